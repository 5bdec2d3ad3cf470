"""Does a tune keep its form, its key and its chords? Scores of rows of tokens (see `hvae_keras.music`).

Tunes are int `[n, steps]`; one tune `[steps]` counts as n = 1. Keys and chords are class indices into TONICS,
MODES and CHORDS of `hvae_keras.data.melodies`. Except where notes are counted, what sounds is counted by its
duration, so a HOLD counts like the note it holds. Bad tokens raise ValueError (see `music.check_tokens`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hvae_keras import music
from hvae_keras.data import melodies

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# The 12 pitch classes on three circles: of fifths, of minor thirds and of major thirds (Harte et al.).
TONAL_ANGLES = np.array([7 / 6, 3 / 2, 2 / 3]) * np.pi
TONAL_RADII = np.array([1.0, 1.0, 0.5])


def similarity(x: np.ndarray, length: int = melodies.STEPS) -> np.ndarray:
    """How alike any two phrases of a tune are: the share of steps on which they sound the same pitch or both rest.

    Two silent steps are the same. Places that are padding in both are not counted. A place that is padding in one
    counts as different, so a phrase is not like its own beginning. A phrase of padding alone is like none, not
    even itself.

    Args:
        x: Tunes `[n, steps]`, phrases of `length` steps (ValueError if it does not divide them).
        length: Steps of a phrase.

    Returns:
        `[n, phrases, phrases]`, symmetric.
    """
    phrases = music.cut(music.sounding(_tunes(x)), length)
    first, second = phrases[:, :, None], phrases[:, None]
    there = (first != music.ABSENT) | (second != music.ABSENT)
    same = (first == second) & there
    return same.sum(axis=-1) / np.maximum(there.sum(axis=-1), 1)


def self_similarity(tokens: np.ndarray, window: int = 5) -> np.ndarray:
    """Where one tune returns, for a picture: 1 where steps i and j lie in passages that sound the same.

    Each cell is the mean, over a diagonal of `window` cells with (i, j) in its middle, of whether one pitch (or
    silence) sounds at both steps. Pairs outside the tune or with padding are left out; without any, the cell is 0.

    Args:
        tokens: One tune `[steps]`.
        window: Steps, odd and at least 1. With 1 nothing is averaged, and every return of a pitch is seen.

    Returns:
        `[steps, steps]` in [0, 1], symmetric.

    Raises:
        ValueError: if `tokens` is not one tune or `window` is even or less than 1.
    """
    sounding = music.sounding(tokens)
    if sounding.ndim != 1:
        raise ValueError(f"tokens is one tune [steps]; got shape {sounding.shape}.")
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window is odd and at least 1; got {window!r}.")
    present = sounding != music.ABSENT
    there = present[:, None] & present
    same = there & (sounding[:, None] == sounding)
    reach = window // 2
    near = [np.pad(pairs, reach) for pairs in (same, there)]
    steps = len(sounding)
    total, count = (sum(pairs[k : k + steps, k : k + steps].astype(int) for k in range(window)) for pairs in near)
    return np.where(there, total, 0) / np.maximum(count, 1)


def form(x: np.ndarray, length: int = melodies.STEPS, threshold: float = 0.6) -> np.ndarray:
    """Name the form of each tune, such as "ABAC".

    From the first phrase on, each takes the letter of the earlier phrase most similar to it (of equals the first)
    if their `similarity` is `threshold` or more, and the next new letter if not. Phrases of padding alone get no
    letter. Silence repeats itself: "AAAA".

    Args:
        x: Tunes `[n, steps]` of at most 26 phrases.
        length: Steps of a phrase.
        threshold: Share of steps, above 0 and at most 1. In `melodies`, two phrases of different letters share
            less than 0.6 but in rare tunes.

    Returns:
        `[n]` of strings.

    Raises:
        ValueError: if `length` does not divide the steps, there are more than 26 phrases, or `threshold` is out
            of range.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is above 0 and at most 1; got {threshold!r}.")
    alike = similarity(x, length)
    if alike.shape[1] > len(LETTERS):
        raise ValueError(f"x has at most {len(LETTERS)} phrases, one a letter; got {alike.shape[1]}.")
    return np.array([_letters(matrix, threshold) for matrix in alike])


def _letters(alike: np.ndarray, threshold: float) -> str:
    """The form of one tune from its similarities `[phrases, phrases]`."""
    letters: list[str] = []
    for phrase, row in enumerate(alike):
        before = row[:phrase]
        if row[phrase] == 0:  # not even like itself: no step of it is there
            letters.append("")
        elif phrase and before.max() >= threshold:
            letters.append(letters[before.argmax()])
        else:
            letters.append(LETTERS[len(set(letters) - {""})])
    return "".join(letters)


def form_score(x: np.ndarray, forms: Sequence[str], length: int = melodies.STEPS, threshold: float = 0.6) -> float:
    """Return the share of tunes whose `form` is one of `forms`; ValueError if one of them is no form of theirs.

    A form is written with one letter a phrase, each new letter the next of the alphabet: "ABAC", not "BABC".
    """
    found = form(x, length, threshold)
    phrases = _tunes(x).shape[1] // length
    forms = [forms] if isinstance(forms, str) else list(forms)
    for name in forms:
        _check_form(name, phrases)
    return float(np.isin(found, forms).mean())


def repetition(x: np.ndarray, form: str | Sequence[str], length: int = melodies.STEPS) -> np.ndarray:
    """How much of a stated form is heard: mean `similarity` of the phrases it repeats, less that of the others.

    1 if the phrases of one letter are equal and those of two letters share no step; about 0 if the form is not
    kept; at least -1. Unlike `form` it has no threshold.

    Args:
        x: Tunes `[n, steps]`.
        form: One form for all tunes, or one a tune, as in `form_score`.
        length: Steps of a phrase.

    Returns:
        `[n]`.

    Raises:
        ValueError: if a form has not one letter a phrase, repeats nothing ("ABCD") or everything ("AAAA"), or
            there is not one form a tune.
    """
    alike = similarity(x, length)
    n, phrases = alike.shape[:2]
    forms = [form] * n if isinstance(form, str) else list(form)
    if len(forms) != n:
        raise ValueError(f"form is one string, or one for each of {n} tunes; got {len(forms)}.")
    for name in set(forms):
        _check_form(name, phrases)
        if not 1 < len(set(name)) < phrases:
            raise ValueError(f"form has a letter that returns and another that does not equal it; got {name!r}.")
    letters = np.array([list(name) for name in forms])
    pairs = np.triu_indices(phrases, k=1)
    alike, repeats = alike[:, *pairs], (letters[:, :, None] == letters[:, None])[:, *pairs]
    return _mean_where(alike, repeats) - _mean_where(alike, ~repeats)


def _mean_where(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The mean of the chosen values of each row, 0 where none is chosen."""
    return (values * chosen).sum(axis=-1) / np.maximum(chosen.sum(axis=-1), 1)


def _check_form(form: str, phrases: int) -> None:
    """Refuse a form that `form` could never return for so many phrases."""
    if len(form) != phrases:
        raise ValueError(f"a form has one letter for each of {phrases} phrases; got {form!r}.")
    if "".join(dict.fromkeys(form)) != LETTERS[: len(set(form))]:
        raise ValueError(f"a form takes its letters in the order of the alphabet, like 'ABAC'; got {form!r}.")


def key(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the key that fits each tune best: the one whose scale holds the most sounding steps.

    A major scale is the natural minor scale a third below, so this never decides alone. Of equals, the key wins
    whose tonic is the first note, then the one whose tonic starts more notes, then the first in the order of
    TONICS, major before minor (G major, if nothing sounds). In `melodies` it finds the tune's own key in about 19
    of 20 tunes; the others fit the key that it finds as well. Of tunes that do not begin on their tonic, as many
    chorales, trust the scale and not the tonic.

    Returns:
        Class indices int `[n]` of tonic and mode, as the factors of `melodies`.
    """
    tunes = _tunes(x)
    tonic, mode = np.indices((len(melodies.TONICS), len(melodies.MODES))).reshape(2, -1)
    in_scale = (melodies.scale(tonic, mode)[..., None] == np.arange(12)).any(axis=1)  # [keys, 12]
    home = melodies.scale(tonic, mode)[:, 0]

    sounding, starts = music.sounding(tunes), tunes > music.REST
    held, started = _classes(sounding), _classes(sounding, starts)
    first = _classes(sounding, starts & (starts.cumsum(axis=1) == 1))
    # Whole numbers, so that equals are equal; no count reaches steps + 1.
    base = tunes.shape[1] + 1
    score = (held @ in_scale.T * base + first[:, home]) * base + started[:, home]
    best = score.argmax(axis=1)
    return tonic[best], mode[best]


def _classes(sounding: np.ndarray, where: np.ndarray | bool = True) -> np.ndarray:
    """How many of the steps `where` sound each pitch class, int `[n, 12]`."""
    chosen = (sounding >= 0) & where
    return np.stack([(chosen & (sounding % 12 == pitch_class)).sum(axis=1) for pitch_class in range(12)], axis=1)


def in_key(x: np.ndarray, tonic: ArrayLike, mode: ArrayLike) -> np.ndarray:
    """Return the share of the sounding steps that are in the scale of a key, `[n]`; 0 if nothing sounds.

    Tonic and mode are class indices, `[n]` or one for all. Notes drawn at random have 7/12, not 0.
    """
    tunes = _tunes(x)
    tonic, mode = _checked_key(tonic, mode, len(tunes))
    sounding = music.sounding(tunes)
    in_scale = (sounding[..., None] % 12 == melodies.scale(tonic, mode)[:, None]).any(axis=-1)
    return _mean_where(in_scale, sounding >= 0)


def harmony(x: np.ndarray, tonic: ArrayLike, mode: ArrayLike, chords: np.ndarray) -> np.ndarray:
    """Return the share of the strong notes that are in the triad of their chord, `[n]`; 0 without a strong note.

    A strong note is the first that starts while a chord lasts. A chord with none is not counted.

    Args:
        x: Tunes `[n, steps]` with phrases of 16 steps, each of four chords of 4 steps.
        tonic: Class indices `[n]`, or one for all.
        mode: The same.
        chords: Class indices `[n, phrases]` into CHORDS: the factors chords_1, chords_2, ...

    Raises:
        ValueError: if a class index is out of range, `chords` has another shape, or 16 does not divide the steps.
    """
    fits, strong = _strong_notes(x, tonic, mode)
    chords = np.asarray(chords)
    if chords.shape != fits.shape[:2] or not np.issubdtype(chords.dtype, np.integer):
        shape = fits.shape[:2]
        raise ValueError(f"chords is integers [n, phrases], here {shape}; got {chords.dtype} {chords.shape}.")
    _check_index("chords", chords, melodies.CHORDS)
    chosen = np.take_along_axis(fits, chords[:, :, None, None], axis=2)[:, :, 0]
    return _mean_where(music.join(chosen), music.join(strong))


def best_chords(x: np.ndarray, tonic: ArrayLike, mode: ArrayLike) -> np.ndarray:
    """Return for each phrase the progression with the most strong notes in its triads (of equals the first).

    Arguments as in `harmony`; class indices int `[n, phrases]` into CHORDS.
    """
    fits, _ = _strong_notes(x, tonic, mode)
    return fits.sum(axis=-1).argmax(axis=-1)


def best_harmony(x: np.ndarray, tonic: ArrayLike, mode: ArrayLike) -> np.ndarray:
    """Return `harmony` under the `best_chords`, `[n]`: for tunes whose chords nobody stated.

    It is at least the harmony under any other of the progressions, so compare it with its own value for real tunes
    and for shuffled ones, not with 1.
    """
    return harmony(x, tonic, mode, best_chords(x, tonic, mode))


def _strong_notes(x: np.ndarray, tonic: ArrayLike, mode: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Whether each strong note fits: bool `[n, phrases, progressions, spans]`, and where there is one: without
    the progressions."""
    tunes = _tunes(x)
    tonic, mode = _checked_key(tonic, mode, len(tunes))
    spans = music.cut(music.cut(tunes, melodies.STEPS), melodies.SPAN)  # [n, phrases, spans, 4]
    starts = spans > music.REST
    strong = starts.any(axis=-1)
    token = np.take_along_axis(spans, starts.argmax(axis=-1)[..., None], axis=-1)
    classes = (token - 2 + music.LOWEST) % 12
    triads = melodies.triad(melodies.roots(), tonic[:, None, None], mode[:, None, None])
    fits = (classes[:, :, None] == triads[:, None]).any(axis=-1)  # triads is [n, progressions, spans, 3]
    return fits & strong[:, :, None], strong


def pitch_class_histogram(x: np.ndarray) -> np.ndarray:
    """Return the shares of the twelve pitch classes in what sounds, C first, `[12]`: all tunes together.

    They add up to 1; all are 0 if nothing sounds.
    """
    counts = _classes(music.sounding(_tunes(x))).sum(axis=0)
    return counts / max(counts.sum(), 1)


def duration_histogram(x: np.ndarray, longest: int = 16) -> np.ndarray:
    """Return the shares of the notes that last 1, 2, ... `longest` steps or more, `[longest]`: all tunes together.

    They add up to 1; all are 0 without a note. Silences are not counted. Padding takes no time.
    """
    if longest < 1:
        raise ValueError(f"longest is at least 1; got {longest!r}.")
    ended = np.pad(_tunes(x), ((0, 0), (0, 1)), constant_values=music.REST)  # no note goes on into the next tune
    row = ended[ended != music.PADDING]
    starts = np.flatnonzero(row > music.HOLD)
    durations = np.diff(starts, append=len(row))[row[starts] > music.REST]
    counts = np.bincount(np.minimum(durations, longest), minlength=longest + 1)[1:]
    return counts / max(counts.sum(), 1)


def overlap(p: ArrayLike, q: ArrayLike) -> float:
    """Return what two histograms share, sum_i min(p_i, q_i): 1 if they are equal, 0 if no bin is filled in both.

    It is 1 minus their total variation distance. ValueError if the shapes differ, or a histogram is negative or
    adds up to anything but 1 (or 0: it is empty).
    """
    p, q = _checked_histogram("p", p), _checked_histogram("q", q)
    if p.shape != q.shape:
        raise ValueError(f"p and q have the same bins; got shapes {p.shape} and {q.shape}.")
    return float(np.minimum(p, q).sum())


def tonal_distance(p: ArrayLike, q: ArrayLike) -> float:
    """Return how far two pitch-class histograms `[12]` are apart in harmony: of their tonal centroids, Euclidean.

    The centroid lays the pitch classes on the circles of fifths (radius 1), minor thirds (1) and major thirds
    (1/2) and averages. Two single notes are near at a fifth (1.74) or a major third (1.94), far at a semitone
    (2.55) or a tritone (2.83); no two histograms are further apart than 3. Both transposed alike, it stays.

    Source: Harte, Sandler and Gasser (2006), Detecting harmonic change in musical audio.

    Raises:
        ValueError: if a histogram is not `[12]`, is empty, negative, or does not add up to 1.
    """
    centroids = []
    for name, histogram in (("p", p), ("q", q)):
        histogram = _checked_histogram(name, histogram)
        if histogram.shape != (12,) or not histogram.any():
            raise ValueError(f"{name} is a filled histogram of 12 pitch classes; got {histogram.tolist()}.")
        centroids.append(TONAL_RADII * (histogram @ np.exp(1j * np.outer(np.arange(12), TONAL_ANGLES))))
    return float(np.linalg.norm(centroids[0] - centroids[1]))


def _tunes(x: np.ndarray) -> np.ndarray:
    """The checked tunes `[n, steps]`."""
    tunes = music.check_tokens(x)
    if tunes.ndim > 2:
        raise ValueError(f"x is tunes [n, steps] or one tune [steps]; got shape {tunes.shape}.")
    return np.atleast_2d(tunes)


def _checked_key(tonic: ArrayLike, mode: ArrayLike, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Both class indices as `[n]`."""
    keys = []
    for name, index, values in (("tonic", tonic, melodies.TONICS), ("mode", mode, melodies.MODES)):
        index = np.asarray(index)
        if index.shape not in ((), (n,)) or not np.issubdtype(index.dtype, np.integer):
            raise ValueError(f"{name} is one class index or [{n}] of them; got {index.dtype} {index.shape}.")
        _check_index(name, index, values)
        keys.append(np.broadcast_to(index, (n,)))
    return keys[0], keys[1]


def _check_index(name: str, index: np.ndarray, values: Sequence | dict) -> None:
    """Refuse class indices that name none of the values."""
    if index.min() < 0 or index.max() >= len(values):
        raise ValueError(f"{name} is from 0 to {len(values) - 1}; got {index.min()} to {index.max()}.")


def _checked_histogram(name: str, histogram: ArrayLike) -> np.ndarray:
    """Shares in float64."""
    histogram = np.asarray(histogram, "float64")
    total = histogram.sum()
    if histogram.ndim != 1 or not (histogram >= 0).all() or min(total, abs(total - 1)) > 1e-6:
        raise ValueError(f"{name} is a histogram of shares that add up to 1; got {histogram.tolist()}.")
    return histogram
