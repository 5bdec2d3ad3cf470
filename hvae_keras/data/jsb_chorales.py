"""`jsb_chorales`: 382 chorales of J. S. Bach, the keys that sound in each quarter note, from HVAE_DATA.

The benchmark of models of polyphonic music. The file carries no licence, so nothing of it ships or is fetched.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hvae_keras.data.dataset import DataError, Dataset, Split

KEYS, LOWEST_KEY = 88, 21  # of a piano, and the MIDI number of its lowest, the A below everything
FILE = "jsb-chorales-quarter.json"
MD5 = "3bf6c38f846f08869f8ae53078e34902"
ADVICE = (
    f"put {FILE} of github.com/czhuang/JSB-Chorales-dataset into a folder named jsb_chorales and set HVAE_DATA to "
    "the folder that holds it"
)


def load_jsb_chorales() -> Dataset:
    """Return the piano rolls, float32 `[n, 160, 88]`: 229 / 76 / 77 pieces, the split that published results use.

    1 where a key sounds, 0 where not, -1 in all keys after the end of a piece; key 0 is MIDI number 21, a step is
    a quarter note, and 160 is the longest piece. Source: Boulanger-Lewandowski, Bengio, Vincent (2012), Modeling
    temporal dependencies in high-dimensional sequences. Raises DataError when the file is not there or is not it.
    """
    folder = os.environ.get("HVAE_DATA")
    if not folder:
        raise DataError(f"jsb_chorales is read from a file, and HVAE_DATA is not set: {ADVICE}.")
    path = Path(folder).expanduser() / "jsb_chorales" / FILE
    if not path.is_file():
        raise DataError(f"HVAE_DATA is {folder}, but there is no file {path}: {ADVICE}.")
    pieces = read_pieces(path)
    steps = max(len(piece) for part in pieces.values() for piece in part)
    rolls = {part: Split(piano_rolls(pieces[part], steps)) for part in pieces}
    return Dataset("jsb_chorales", train=rolls["train"], validation=rolls["valid"], test=rolls["test"])


def read_pieces(path: Path, md5: str = MD5) -> dict[str, list[list[list[int]]]]:
    """Return part -> pieces -> steps -> MIDI numbers of the published file; its md5 is checked."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}): {ADVICE}.") from error
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path} is damaged or another file (md5 {found}, expected {md5}): download it again.")
    return json.loads(raw)


def piano_rolls(pieces: Sequence[Sequence[Sequence[int]]], steps: int) -> np.ndarray:
    """Return float32 `[pieces, steps, 88]` from the MIDI numbers of each step; -1 in all keys after the end."""
    rolls = np.full((len(pieces), steps, KEYS), -1, "float32")
    for roll, piece in zip(rolls, pieces, strict=True):
        roll[: len(piece)] = 0
        for row, pitches in zip(roll, piece, strict=False):  # the roll goes on after the piece
            row[np.array(pitches, int) - LOWEST_KEY] = 1
    return rolls
