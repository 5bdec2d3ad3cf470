"""`melodies`: generated tunes of four phrases, whose factors form a hierarchy that is known exactly.

Level 2, the tune: its form (which phrases return), tonic and mode. Level 1, each phrase: a chord progression, a
rhythm and a contour. The notes follow from them, but for a little freedom of the weak ones. The process is simple
enough for the exact probability of any tune, so the likelihood of a model has a known floor.
"""

from itertools import combinations, permutations
from math import perm

import numpy as np
from numpy.typing import ArrayLike

from hvae_keras.data.dataset import Dataset, Split
from hvae_keras.music import HOLD, LOWEST, REST, check_tokens

PHRASES, STEPS = 4, 16  # phrases in a tune; steps in a phrase, eighth notes: two bars of 4/4
TUNES = {"train": 12_000, "validation": 500, "test": 500}

FORMS = ("AABA", "ABAB", "ABAC", "AABC")
TONICS = ("G", "A♭", "A", "B♭", "B", "C", "D♭", "D", "E♭", "E", "F", "G♭")
MODES = ("major", "minor")
FIRST_TONIC = 55  # MIDI number of the lowest tonic, the G below middle C
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}  # semitones above the tonic

# Roots of four chords, as degrees of the scale from 0; each chord lasts SPAN steps.
SPAN = 4
CHORDS = {
    "I IV V I": (0, 3, 4, 0),
    "I vi IV V": (0, 5, 3, 4),
    "I V vi IV": (0, 4, 5, 3),
    "vi IV I V": (5, 3, 0, 4),
    "ii V I I": (1, 4, 0, 0),
    "I iii IV V": (0, 2, 3, 4),
}
# x starts a note, - holds it, . is a rest.
RHYTHMS = (
    "x-x-x-x-x-x-x---",
    "x---x-x-x---x-x-",
    "x-xxx-xxx-xxx---",
    "x--xx--xx--xx-x.",
    "xxx-xxx-xxx-x---",
    "x-x---x-x-x---x.",
    "xx-xxx-xxx-xxx-.",
    "x-----x-x-----x.",
)
# Degrees of the scale above the tonic, at the start, the middle and the end of a phrase.
CONTOURS = {"rising": (0, 3.5, 7), "falling": (7, 3.5, 0), "arch": (0, 7, 0), "valley": (7, 0, 7)}
WANDER = ((-1, 0.05), (0, 0.9), (1, 0.05))  # degrees by which a weak note misses the contour, and how often

LEVELS = {"form": 2, "tonic": 2, "mode": 2} | {
    f"{name}_{phrase + 1}": 1 for name in ("chords", "rhythm", "contour") for phrase in range(PHRASES)
}


def load_melodies() -> Dataset:
    """Return 13,000 tunes, int32 `[n, 64]`: every split is a draw of its own from the stated process.

    A tune of validation or test that an earlier split holds already is drawn again (see `sample_new`).
    """
    rng = np.random.RandomState(3)  # not default_rng: NumPy promises that this stream never changes
    splits: dict[str, Split] = {}
    for part, size in TUNES.items():
        splits[part] = sample_new(size, rng, [split.x for split in splits.values()])
    values = {"form": np.array(FORMS), "tonic": np.array(TONICS), "mode": np.array(MODES)}
    per_phrase = {"chords": list(CHORDS), "rhythm": RHYTHMS, "contour": list(CONTOURS)}
    values |= {name: np.array(per_phrase[name.split("_")[0]]) for name, level in LEVELS.items() if level == 1}
    return Dataset("melodies", **splits, factor_values=values, levels=LEVELS)


def sample_new(n: int, rng: np.random.RandomState, taken: list[np.ndarray]) -> Split:
    """Draw n tunes that are in none of the arrays `taken`: a tune that is, is drawn again."""
    old = {tune.tobytes() for x in taken for tune in x}
    x, factors = sample(n, rng)
    while len(again := np.flatnonzero([tune.tobytes() in old for tune in x])):
        x[again], new = sample(len(again), rng)
        for name, index in factors.items():
            index[again] = new[name]
    return Split(x, factors)


def sample(n: int, rng: np.random.RandomState) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw n tunes from the process: tokens int32 `[n, 64]`, and the class index int64 `[n]` of each factor.

    Form, tonic and mode are uniform and independent. Each letter of the form has chords, uniform and independent;
    a rhythm and a contour, uniform, but never those of another letter of the same tune. So phrases of different
    letters always differ, in rhythm too, and those of one letter are the same, note by note.
    """
    form, tonic, mode = (rng.randint(len(values), size=n) for values in (FORMS, TONICS, MODES))
    letters = form_letters()
    most = letters.max() + 1
    chords = rng.randint(len(CHORDS), size=(n, most))
    # The order of uniform numbers is a random permutation; its start is a draw without replacement.
    rhythm = rng.random_sample((n, len(RHYTHMS))).argsort(axis=1, kind="stable")[:, :most]
    contour = rng.random_sample((n, len(CONTOURS))).argsort(axis=1, kind="stable")[:, :most]
    steps, probabilities = zip(*WANDER, strict=True)
    above = np.searchsorted(np.cumsum(probabilities)[:-1], rng.random_sample((n, most, STEPS)), side="right")

    pattern = patterns()[rhythm]
    weak = (pattern == "x") & ~strong(pattern == "x")
    degree = degrees()[chords, rhythm, contour] + np.array(steps)[above] * weak
    tokens = 2 + midi(degree, tonic[:, None, None], mode[:, None, None]) - LOWEST
    tokens = np.where(pattern == "x", tokens, np.where(pattern == ".", REST, HOLD))

    row, letter = np.arange(n)[:, None], letters[form]
    factors = {"form": form, "tonic": tonic, "mode": mode}
    for name, index in (("chords", chords), ("rhythm", rhythm), ("contour", contour)):
        factors |= {f"{name}_{phrase + 1}": index[row, letter][:, phrase] for phrase in range(PHRASES)}
    factors = {name: index.astype("int64") for name, index in factors.items()}
    return tokens[row, letter].reshape(n, PHRASES * STEPS).astype("int32"), factors


def form_letters() -> np.ndarray:
    """Return which letter each phrase of each form has, 0 for A, int `[forms, phrases]`."""
    return np.array([[ord(letter) - ord("A") for letter in form] for form in FORMS])


def patterns() -> np.ndarray:
    """Return the rhythms as characters `[rhythms, 16]`: x starts a note, - holds it, . is a rest."""
    return np.array([list(pattern) for pattern in RHYTHMS])


def roots() -> np.ndarray:
    """Return the roots of the progressions, int `[progressions, 4]`: a degree of the scale every SPAN steps."""
    return np.array(list(CHORDS.values()))


def strong(starts: np.ndarray) -> np.ndarray:
    """Return which notes are strong: the first to start in each span of SPAN steps. Both bool `[..., steps]`."""
    spans = starts.reshape(*starts.shape[:-1], -1, SPAN)
    return (spans & (spans.cumsum(axis=-1) == 1)).reshape(starts.shape)


def degrees() -> np.ndarray:
    """Return the degree of every note before it wanders, int `[progressions, rhythms, contours, 16]`, 0 the tonic.

    A strong note takes the degree of the chord nearest to the contour; a weak note, any other, the degree nearest
    to the contour. No two are ever as near. Where no note starts the number means nothing.
    """
    places = np.arange(STEPS)
    target = np.array([np.interp(places, (0, (STEPS - 1) / 2, STEPS - 1), line) for line in CONTOURS.values()])
    tones = np.arange(-3, 11)  # reaches past the lowest and the highest contour by more than the gaps of a triad
    in_chord = np.isin((tones - roots()[..., None]) % 7, (0, 2, 4))  # [progressions, chord, tones]
    distance = np.where(in_chord[:, None, places // SPAN], abs(tones - target[:, :, None]), np.inf)
    of_chord = tones[distance.argmin(axis=-1)]  # [progressions, contours, 16]
    nearest = np.floor(target + 0.5).astype(int)
    return np.where(strong(patterns() == "x")[None, :, None], of_chord[:, None], nearest)


def midi(degree: ArrayLike, tonic: ArrayLike, mode: ArrayLike) -> np.ndarray:
    """Return the MIDI number of a degree of the scale: 0 is the tonic, 7 its octave, -1 the note below it.

    Tonic and mode are class indices, into TONICS and MODES; all three broadcast.
    """
    octave, place = np.divmod(degree, 7)
    return FIRST_TONIC + np.asarray(tonic) + 12 * octave + np.array(list(SCALES.values()))[mode, place]


def scale(tonic: ArrayLike, mode: ArrayLike) -> np.ndarray:
    """Return the pitch classes of a scale, int `[..., 7]`, 0 for C, the tonic first.

    Tonic and mode are class indices, into TONICS and MODES; they broadcast.
    """
    return midi(np.arange(7), np.asarray(tonic)[..., None], np.asarray(mode)[..., None]) % 12


def triad(root: ArrayLike, tonic: ArrayLike, mode: ArrayLike) -> np.ndarray:
    """Return the pitch classes of the triad on a degree of a scale, int `[..., 3]`, 0 for C, the root first.

    Root is a degree, 0 for the chord on the tonic; tonic and mode are class indices; all three broadcast.
    """
    degree = np.asarray(root)[..., None] + np.array([0, 2, 4])
    return midi(degree, np.asarray(tonic)[..., None], np.asarray(mode)[..., None]) % 12


def log_prob(x: np.ndarray) -> np.ndarray:
    """Return the exact log-probability of tunes `[n, 64]` under the process, nats `[n]`; -inf for impossible ones.

    Minus its mean over a test set is what a perfect model scores there. Form and rhythms can be read off a tune,
    because no two letters share a rhythm; key and contours are summed over:
    p(x) = p(form) p(rhythms) mean_key mean_contours prod_letter p(phrase | key, contour, rhythm).
    """
    x = check_tokens(x)
    if x.shape != (len(x), PHRASES * STEPS):
        raise ValueError(f"x is [n, {PHRASES * STEPS}]; got shape {x.shape}.")
    phrases = x.reshape(-1, PHRASES, STEPS)
    given = phrase_prob(x.reshape(-1, STEPS)).reshape(len(x), PHRASES, -1, len(CONTOURS))
    sounds_like = np.where(phrases > REST, 2, phrases)  # a rhythm: which steps start a note, which a rest

    total = np.zeros(len(x))
    for letters in form_letters():
        first = [int(np.argmax(letters == letter)) for letter in range(letters.max() + 1)]
        possible = (phrases == phrases[:, np.array(first)[letters]]).all(axis=(1, 2))
        for one, two in combinations(first, 2):
            possible &= (sounds_like[:, one] != sounds_like[:, two]).any(axis=1)
        chosen = permutations(range(len(CONTOURS)), len(first))
        joint = [given[:, first, :, contours].prod(axis=0) for contours in chosen]  # each [n, keys]
        rhythms = perm(len(RHYTHMS), len(first))
        total += possible * np.mean(joint, axis=(0, 2)) / (len(FORMS) * rhythms)
    with np.errstate(divide="ignore"):
        return np.log(total)


def phrase_prob(phrases: np.ndarray) -> np.ndarray:
    """Return p(phrase | tonic and mode, contour, its rhythm), `[n, 24, contours]`, for tokens `[n, 16]`.

    The chords are summed over. It is 0 everywhere for a phrase of no known rhythm.
    """
    degree = degrees()
    keys = np.indices((len(TONICS), len(MODES))).reshape(2, -1, 1, 1)
    shown = np.where(phrases > REST, "x", np.where(phrases == REST, ".", np.where(phrases == HOLD, "-", " ")))
    result = np.zeros((len(phrases), keys.shape[1], len(CONTOURS)))
    for r, pattern in enumerate(patterns()):
        of_this = (shown == pattern).all(axis=1)
        pitch = phrases[of_this][:, None, None] - 2 + LOWEST
        on_beat = strong(pattern == "x")
        weak = (pattern == "x") & ~on_beat  # the chords do not change what weak notes do: take any
        wandered = sum(p * (pitch[..., weak] == midi(degree[0, r][:, weak] + by, *keys)) for by, p in WANDER)
        in_chords = [(pitch[..., on_beat] == midi(d, *keys)).all(axis=-1) for d in degree[:, r][..., on_beat]]
        result[of_this] = wandered.prod(axis=-1) * np.mean(in_chords, axis=0)
    return result


def entropy() -> float:
    """Return the exact entropy of a tune in nats: the least mean NLL that any model can have.

    H(tune) = H(tune, key, contours) - H(key, contours | tune). Two phrases always tell the tonic and the
    contours, and the mode too, unless no note is the third, the sixth or the seventh of the scale: only these
    differ. Then both modes are as probable. So the second term is log 2 times the probability of no such note.
    """
    inside, unclear = phrase_entropy()
    total = np.log(len(FORMS) * len(TONICS) * len(MODES))
    for letters in form_letters():
        k = int(letters.max()) + 1
        both = [
            unclear[list(r), list(c)].prod()
            for r in permutations(range(len(RHYTHMS)), k)
            for c in permutations(range(len(CONTOURS)), k)
        ]
        named = np.log(perm(len(RHYTHMS), k)) + np.log(perm(len(CONTOURS), k))
        total += (named + k * inside.mean() - np.log(2) * np.mean(both)) / len(FORMS)
    return float(total)


def phrase_entropy() -> tuple[np.ndarray, np.ndarray]:
    """Return what is left open in a phrase whose key, rhythm and contour are known, both `[rhythms, contours]`.

    First its entropy in nats: of the strong notes, which several progressions can share, and of the weak ones.
    Then the probability that all its notes are the same in both modes.
    """
    major, minor = SCALES.values()
    shared = [place for place in range(7) if major[place] == minor[place]]
    steps, p = map(np.array, zip(*WANDER, strict=True))
    degree = degrees()
    entropy, unclear = np.zeros((2, len(RHYTHMS), len(CONTOURS)))
    for r, c in np.ndindex(entropy.shape):
        starts = patterns()[r] == "x"
        on_beat = strong(starts)
        lines = degree[:, r, c][:, on_beat]
        weak = degree[0, r, c, starts & ~on_beat]
        share = np.unique(lines, axis=0, return_counts=True)[1] / len(lines)
        entropy[r, c] = -share @ np.log(share) - len(weak) * (p @ np.log(p))
        in_both = np.isin((weak[:, None] + steps) % 7, shared) @ p
        unclear[r, c] = np.isin(lines % 7, shared).all(axis=1).mean() * in_both.prod()
    return entropy, unclear
