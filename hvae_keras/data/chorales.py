"""`chorales`: the soprano lines of chorales of J. S. Bach in music21's corpus, cut into phrases at the fermatas.

The encodings state no licence, so nothing of them ships: the files are read where music21 installed them, once,
and the arrays are kept in the user's cache folder.
"""

import importlib.metadata
import os
import sys
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hvae_keras import music
from hvae_keras.data.dataset import DataError, Dataset, Split
from hvae_keras.files import written_whole

if TYPE_CHECKING:
    from music21.note import GeneralNote
    from music21.stream import Score

PHRASES, STEPS = 8, 24  # the most phrases of a tune, and the most steps, eighth notes, of a phrase
STEPS_PER_QUARTER = 2
HELD_OUT = 0.1  # the share of the pieces in validation, and in test
SHARED = 2  # pieces that have so many phrases in common are one tune
RULES = 1  # of reading; a new number makes older caches void
FACTORS = ("signature", "mode", "meter", "phrases")


class Piece(NamedTuple):
    """A soprano line: tokens `[steps]`, the last step of each phrase, sharps (flats are negative), mode, meter."""

    tokens: np.ndarray
    ends: list[int]
    signature: int
    mode: str
    meter: str


def load_chorales() -> Dataset:
    """Return the lines, int32 `[n, 192]`: 8 slots of 24 eighth notes, a phrase in each, -1 where there is no step.

    Pieces that share a tune are in the same split (see `same_tune`). Raises DataError when music21 is not there.
    """
    try:
        version = importlib.metadata.version("music21")
    except importlib.metadata.PackageNotFoundError as error:
        raise DataError(
            "chorales come with music21, which is not installed: pip install -c constraints.txt -e '.[music]'."
        ) from error
    path = cache_folder() / f"chorales-{RULES}-music21-{version}.npz"
    arrays = read_cache(path)
    if arrays is None:
        arrays = to_arrays(read_corpus())
        write_cache(path, arrays)
    values, index = {}, {}
    for name in FACTORS:
        values[name], index[name] = np.unique(arrays[name], return_inverse=True)
    everything = Split(arrays["x"], {name: index[name].astype("int64") for name in FACTORS})
    splits = [everything.where(part) for part in parts(same_tune(everything.x))]
    return Dataset("chorales", *splits, factor_values=values)


def read_corpus() -> list[Piece]:
    """Return every piece of the corpus that `read_piece` takes, in the order of file names, no line twice."""
    from music21 import converter, corpus  # here, because music21 is an extra, and slow to import

    files = sorted(path for path in corpus.getComposer("bach") if path.suffix in (".mxl", ".xml"))
    if not files:
        raise DataError("music21 is installed without its corpus, which the chorales are in: install it again.")
    print(f"chorales: reading {len(files)} scores, once: this takes about a minute.", file=sys.stderr)
    pieces = {}
    for file in files:
        try:
            # Not through music21's own cache, which stays behind in the folder of temporary files.
            score = converter.parseFile(file, forceSource=True, storePickle=False)
        except Exception as error:  # music21 raises many kinds for a file that is cut short
            reason = " ".join(str(error).split())
            raise DataError(f"{file} cannot be read ({reason}): install music21 again.") from error
        try:
            piece = read_piece(score)
        except NotUsableError:
            continue
        pieces.setdefault((piece.tokens.tobytes(), *piece.ends), piece)
    return list(pieces.values())


class NotUsableError(ValueError):
    """A score is not one of those that the data set is made of; the message says why."""


def read_piece(score: "Score") -> Piece:
    """Return the soprano line of a score up to its last fermata; NotUsableError for what breaks a rule below."""
    part = next((part for part in score.parts if (part.partName or "").split()[:1] == ["Soprano"]), None)
    if part is None:
        raise NotUsableError("no soprano")
    line = part.flatten()
    signatures = {(key.sharps, getattr(key, "mode", None)) for key in line.getElementsByClass("KeySignature")}
    meters = {meter.ratioString for meter in line.getElementsByClass("TimeSignature")}
    if len(signatures) != 1 or len(meters) != 1:
        raise NotUsableError("not one key signature and one metre")
    (sharps, mode), meter = signatures.pop(), meters.pop()
    if mode not in ("major", "minor"):
        raise NotUsableError("no mode stated")
    tokens, ends = read_line([note for note in line.notesAndRests if note.quarterLength > 0])
    if len(ends) > PHRASES:
        raise NotUsableError(f"more than {PHRASES} phrases")
    if np.diff(ends, prepend=-1).max() > STEPS:
        raise NotUsableError(f"a phrase longer than {STEPS} steps")
    return Piece(tokens, ends, sharps, mode, meter)


def read_line(line: "list[GeneralNote]") -> tuple[np.ndarray, list[int]]:
    """Return the tokens `[steps]` of notes and rests one after another, and the last step of each phrase.

    A step has what sounds when it starts. So of notes shorter than an eighth, those that no step starts in are
    left out, and one that begins between two steps is heard from the second. Tied notes are one, and a fermata
    on any of them counts. What follows the last fermata must be rests, and is dropped.
    """
    starts, sounds, fermatas, time = [], [], [], 0
    for note in line:
        if note.offset != time or note.isChord:
            raise NotUsableError("not one voice without gaps")
        sound = music.REST if note.isRest else note_token(note.pitch.midi)
        tied = note.tie is not None and note.tie.type in ("continue", "stop")
        if not (sounds and sound == sounds[-1] and (note.isRest or tied)):
            starts.append(time)
            sounds.append(sound)
            fermatas.append(False)
        fermatas[-1] |= any("Fermata" in sign.classes for sign in note.expressions)
        time = note.offset + note.quarterLength

    steps = [STEPS_PER_QUARTER * start for start in (*starts, time)]  # may be fractions
    closing = np.flatnonzero(fermatas)
    if not len(closing):
        raise NotUsableError("no fermatas")
    if any(sound != music.REST for sound in sounds[closing[-1] + 1 :]):
        raise NotUsableError("notes after the last fermata")
    after = [steps[i + 1] for i in closing]
    if any(step % 1 for step in after):
        raise NotUsableError("a phrase that ends between two steps")
    place = np.searchsorted(np.array(steps[:-1], float), np.arange(int(after[-1])), side="right") - 1
    tokens = np.where(np.diff(place, prepend=-1) > 0, np.array(sounds)[place], music.HOLD)
    return tokens, [int(step) - 1 for step in after]


def note_token(pitch: int) -> int:
    """Return the token of a MIDI number; NotUsableError outside the range of the tokens."""
    try:
        return music.token(pitch)
    except ValueError as error:
        raise NotUsableError("a note out of range") from error


def to_arrays(pieces: list[Piece]) -> dict[str, np.ndarray]:
    """Return x int32 `[n, 192]`, each phrase in a slot of its own, and the value of each factor `[n]`."""
    x = np.full((len(pieces), PHRASES, STEPS), music.PADDING, "int32")
    for row, piece in zip(x, pieces, strict=True):
        row[: len(piece.ends)] = music.cut_at(piece.tokens, piece.ends, STEPS)
    return {
        "x": music.join(x),
        "signature": np.array([piece.signature for piece in pieces]),
        "mode": np.array([piece.mode for piece in pieces]),
        "meter": np.array([piece.meter for piece in pieces]),
        "phrases": np.array([len(piece.ends) for piece in pieces]),
    }


def same_tune(x: np.ndarray) -> np.ndarray:
    """Return the number of each piece's tune, int `[n]`: 0, 1, ... in the order in which tunes first appear.

    Bach set many tunes more than once. Two pieces are one tune if at least SHARED phrases of one, each counted
    once, are in the other, perhaps transposed; and so is all that such pairs link.
    """
    phrases = [{relative(phrase) for phrase in piece} for piece in music.cut(x, STEPS)]
    alike = np.array([[len((one & two) - {None}) >= SHARED for two in phrases] for one in phrases])
    tune = np.arange(len(x))
    for i, row in enumerate(alike):
        linked = np.unique(tune[row])
        tune[np.isin(tune, linked)] = linked.min(initial=tune[i])
    return np.unique(tune, return_inverse=True)[1]


def relative(phrase: np.ndarray) -> bytes | None:
    """Return what a phrase of tokens is whatever its pitch is: the tokens above its first note; None if empty."""
    notes = phrase > music.REST
    if not notes.any():
        return None
    return np.where(notes, phrase - phrase[notes][0] + music.TOKENS, phrase).tobytes()


def parts(tune: np.ndarray) -> list[np.ndarray]:
    """Return indices of train, validation, test: whole tunes, in a random order that is always the same.

    Tunes go to the test set until it has HELD_OUT of the pieces, then to validation, then to train.
    """
    rng = np.random.RandomState(0)  # not default_rng: NumPy promises that this stream never changes
    sizes = np.bincount(tune)
    order = rng.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    part = np.searchsorted(np.array([1, 2]) * HELD_OUT * len(tune), before, side="right")  # 0 is test
    chosen = [np.flatnonzero(np.isin(tune, order[part == number])) for number in (2, 1, 0)]
    return [rng.permutation(members) for members in chosen]


def cache_folder() -> Path:
    """Return the folder in which this user's programs keep what can be made again, with our name behind."""
    home = Path.home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(base) / "hvae_keras"


def read_cache(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays of `to_arrays`, or None if they are not there or damaged; the zip's CRC is checked."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("x", *FACTORS)}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        return None
    fits = arrays["x"].shape == (len(arrays["phrases"]), PHRASES * STEPS) and len(arrays["x"]) > 0
    return arrays if fits else None


def write_cache(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays, whole or not at all; if it cannot be done, the next call reads the scores again."""
    try:
        with written_whole(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        print(f"chorales: not kept in {path.parent} ({error}).", file=sys.stderr)
