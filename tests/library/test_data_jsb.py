"""`jsb_chorales`: real file where there is one, small made ones always; a damaged file is refused."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from hvae_keras.data import DataError, jsb_chorales, load

FILE = "jsb-chorales-quarter.json"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "datasets"
# Small pieces, two of them with a silent step.
PIECES = {
    "train": [[[60, 64, 67], [60], []], [[43, 96]]],
    "valid": [[[21], [108], [21, 108], []]],
    "test": [[[69], [70]], [[71]]],
}


def real_folders():
    """Folders on this machine that hold the real file."""
    named = os.environ.get("HVAE_DATA")
    folders = [Path(named).expanduser()] if named else []
    return [folder for folder in (*folders, SHARED) if (folder / "jsb_chorales" / FILE).is_file()]


def one_line(caught):
    message = str(caught.value)
    assert "\n" not in message and message.endswith("."), message
    return message


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A small file in a folder that HVAE_DATA names; its path."""
    path = tmp_path / "jsb_chorales" / FILE
    path.parent.mkdir()
    path.write_text(json.dumps(PIECES))
    monkeypatch.setenv("HVAE_DATA", str(tmp_path))
    return path


def test_rolls_hold_the_notes_that_were_written(made, monkeypatch):
    md5 = hashlib.md5(made.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(jsb_chorales.read_pieces, "__defaults__", (md5,))
    data = load("jsb_chorales")
    for split, pieces in (
        (data.train, PIECES["train"]),
        (data.validation, PIECES["valid"]),
        (data.test, PIECES["test"]),
    ):
        assert split.x.dtype == np.float32 and split.x.shape == (len(pieces), 4, 88)
        for roll, piece in zip(split.x, pieces, strict=True):
            assert [sorted(np.flatnonzero(row == 1) + 21) for row in roll[: len(piece)]] == [
                sorted(s) for s in piece
            ]
            assert (roll[len(piece) :] == -1).all() and np.isin(roll[: len(piece)], [0, 1]).all()


@pytest.mark.skipif(not real_folders(), reason="the real file is neither in HVAE_DATA nor beside the checkout")
@pytest.mark.parametrize("folder", real_folders(), ids=str)
def test_the_real_file_has_the_published_numbers(folder, monkeypatch):
    """Pieces and quarter notes of each part of the standard split, notes a step, and the range of the voices."""
    monkeypatch.setenv("HVAE_DATA", str(folder))
    data = load("jsb_chorales")
    splits = (data.train, data.validation, data.test)
    assert [len(split) for split in splits] == [229, 76, 77]
    there = [split.x[:, :, 0] >= 0 for split in splits]
    assert [int(steps.sum()) for steps in there] == [13_807, 4_602, 4_725]
    assert [int(steps.any(axis=0).sum()) for steps in there] == [129, 144, 160]
    for split, steps in zip(splits, there, strict=True):
        sounding = split.x[steps].sum(axis=1)
        assert sounding.max() == 4 and abs(sounding.mean() - 3.9) < 0.05
        keys = np.flatnonzero((split.x == 1).any(axis=(0, 1))) + 21
        assert keys.min() >= 43 and keys.max() <= 96
        # A piece is followed by padding only.
        assert (np.diff(steps.astype(int), axis=1) <= 0).all() and np.array_equal(
            steps, (split.x >= 0).all(axis=2)
        )


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: raw.replace(b"60", b"61", 1)]
)
def test_a_file_that_is_not_the_published_one_is_refused(made, damage):
    md5 = hashlib.md5(made.read_bytes(), usedforsecurity=False).hexdigest()
    assert jsb_chorales.read_pieces(made, md5) == PIECES
    made.write_bytes(damage(made.read_bytes()))
    with pytest.raises(DataError, match="damaged or another file .*download it again") as caught:
        jsb_chorales.read_pieces(made, md5)
    assert str(made) in one_line(caught)


def test_a_folder_without_the_file_says_what_to_put_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"there is no file .*{FILE}: put {FILE} of .* into a folder") as caught:
        load("jsb_chorales")
    one_line(caught)


def test_without_hvae_data_one_line_says_what_to_do(monkeypatch):
    monkeypatch.delenv("HVAE_DATA", raising=False)
    with pytest.raises(DataError, match=f"HVAE_DATA is not set: put {FILE}") as caught:
        load("jsb_chorales")
    one_line(caught)


def test_rolls_with_padding_are_not_binarized(made, monkeypatch):
    md5 = hashlib.md5(made.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(jsb_chorales.read_pieces, "__defaults__", (md5,))
    with pytest.raises(
        ValueError, match="grey levels, floats between 0 and 1; the x of 'jsb_chorales' is float32 from -1"
    ):
        load("jsb_chorales").binarized()
