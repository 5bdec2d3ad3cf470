"""`chorales`: lines written by hand, three real scores, and a cache that is whole or made again."""

import subprocess
import sys

import numpy as np
import pytest

from hvae_keras import music
from hvae_keras.data import DataError, chorales, load

music21 = pytest.importorskip("music21", reason="music21 is not installed (extra [music])")


def score(notes, name="Soprano", key=None, meter="4/4"):
    """A score of one part from (pitch name or None for a rest, quarters, signs), one after another.

    Signs: "f" a fermata, "<" tied to the next, ">" tied to the note before.
    """
    part = music21.stream.Part()
    part.partName = name
    part.append(key or music21.key.Key("G"))
    part.append(music21.meter.TimeSignature(meter))
    for pitch, quarters, *signs in notes:
        note = music21.note.Note(pitch) if pitch else music21.note.Rest()
        note.quarterLength = quarters
        if "f" in signs:
            note.expressions.append(music21.expressions.Fermata())
        if "<" in signs or ">" in signs:
            note.tie = music21.tie.Tie("start" if "<" in signs else "stop")
        part.append(note)
    whole = music21.stream.Score()
    whole.insert(0, part)
    return whole


def tokens(*pitches):
    """Tokens from MIDI numbers, "-" for HOLD and "." for REST."""
    return [music.HOLD if p == "-" else music.REST if p == "." else p - 51 + 2 for p in pitches]


def test_notes_rests_and_fermatas_become_tokens_and_phrases():
    piece = chorales.read_piece(
        score([("G4", 1), ("A4", 0.5), ("B4", 1.5, "f"), (None, 1), ("D5", 2, "f"), (None, 1)])
    )
    assert piece.tokens.tolist() == tokens(67, "-", 69, 71, "-", "-", ".", "-", 74, "-", "-", "-")
    assert piece.ends == [5, 11]
    assert (piece.signature, piece.mode, piece.meter) == (1, "major", "4/4")


def test_tied_notes_are_one_and_a_repeated_note_is_two():
    piece = chorales.read_piece(score([("G4", 1, "<", "f"), ("G4", 0.5, ">"), ("G4", 0.5), ("C5", 1, "f")]))
    assert piece.tokens.tolist() == tokens(67, "-", "-", 67, 72, "-")
    assert piece.ends == [2, 5], "the phrase ends where the tied note does"


def test_notes_between_the_steps_are_left_out_or_heard_from_the_next():
    piece = chorales.read_piece(
        score([("G4", 0.25), ("A4", 0.25), ("B4", 0.75), ("C5", 0.25), ("D5", 0.25), ("E5", 0.75), ("F5", 1, "f")])
    )
    assert piece.tokens.tolist() == tokens(67, 71, "-", 74, 76, 77, "-")


def test_rests_one_after_another_are_one():
    piece = chorales.read_piece(score([(None, 1), (None, 0.5), ("G4", 0.5, "f")]))
    assert piece.tokens.tolist() == tokens(".", "-", "-", 67)


END = ("G4", 1, "f")


@pytest.mark.parametrize(
    "made, why",
    [
        (lambda: score([END], name="Alto"), "no soprano"),
        (lambda: score([("G4", 1)]), "no fermatas"),
        (lambda: score([END, ("G4", 1)]), "notes after the last fermata"),
        (lambda: score([("G4", 0.25, "f"), ("A4", 0.75, "f")]), "ends between two steps"),
        (lambda: score([END] * 9), "more than 8 phrases"),
        (lambda: score([("G4", 1)] * 12 + [END]), "longer than 24 steps"),
        (lambda: score([("G2", 1), END]), "out of range"),
        (lambda: score([END], key=music21.key.KeySignature(2)), "no mode"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_scores_that_break_a_rule_are_left_out(made, why):
    with pytest.raises(chorales.NotUsableError, match=why):
        chorales.read_piece(made())


def test_changes_of_metre_chords_and_gaps_are_left_out():
    changing, chord, gap = (score([("G4", 4), END]) for _ in range(3))
    changing.parts[0].insert(4, music21.meter.TimeSignature("3/4"))
    chord.parts[0].insert(5, music21.chord.Chord(["C5", "E5"]))
    gap.parts[0].notes[-1].offset += 1
    for made, why in ((changing, "one metre"), (chord, "one voice"), (gap, "one voice")):
        with pytest.raises(chorales.NotUsableError, match=why):
            chorales.read_piece(made)


def test_longest_allowed_phrase_fills_its_slot():
    piece = chorales.read_piece(score([("G4", 1)] * 11 + [END] + [("A4", 1), END]))
    x = chorales.to_arrays([piece])["x"]
    assert x.dtype == np.int32 and x.shape == (1, 8 * 24)
    assert x[0, :24].tolist() == tokens(67, "-") * 12
    assert x[0, 24:28].tolist() == tokens(69, "-", 67, "-") and (x[0, 28:] == music.PADDING).all()


@pytest.fixture(scope="module")
def real():
    """Three scores of the corpus, read once."""
    names = ("bwv66.6", "bwv253", "bwv1.6")
    return {
        name: music21.converter.parseFile(
            music21.corpus.getWork(f"bach/{name}"), forceSource=True, storePickle=False
        )
        for name in names
    }


def test_a_real_chorale_is_what_the_edition_shows(real):
    """BWV 66.6: three sharps, six fermatas, and its first two phrases written out from the score."""
    piece = chorales.read_piece(real["bwv66.6"])
    assert (piece.signature, piece.mode, piece.meter, len(piece.ends)) == (3, "minor", "4/4", 6)
    # Quarters but for the upbeat: C sharp, B, A, B, C sharp with a fermata; then E, C sharp, B, A with a fermata.
    written = tokens(73, 71, 69, "-", 71, "-", 73, "-", 76, "-", 73, "-", 71, "-", 69, "-")
    assert piece.tokens[:16].tolist() == written and piece.ends[:2] == [7, 15]


@pytest.mark.parametrize("name", ["bwv66.6", "bwv253"])
def test_a_real_line_sounds_as_music21_says(real, name):
    """At every step the pitch of the note that music21 finds there, by its own search by offset."""
    piece, part = chorales.read_piece(real[name]), real[name].parts[0].flatten()
    for step, pitch in enumerate(music.sounding(piece.tokens)):
        there = part.getElementAtOrBefore(step / 2, [music21.note.GeneralNote])
        assert there.offset <= step / 2 < there.offset + there.quarterLength
        assert (there.pitch.midi if there.isNote else -1) == pitch
    fermatas = [note for note in part.notes if any("Fermata" in sign.classes for sign in note.expressions)]
    assert [2 * (note.offset + note.quarterLength) - 1 for note in fermatas] == piece.ends


def test_a_real_score_without_fermatas_in_the_soprano_is_left_out(real):
    with pytest.raises(chorales.NotUsableError, match="no fermatas"):
        chorales.read_piece(real["bwv1.6"])


def pieces(n=40):
    """n made pieces of two phrases, every fourth with those of its neighbour, a third higher."""
    rng, made = np.random.default_rng(0), []
    for i in range(n):
        line = 20 + rng.integers(-6, 7, 16) if i % 4 else (made[-1].tokens + 3 if made else np.full(16, 20))
        made.append(chorales.Piece(np.asarray(line), [7, 15], i % 3 - 1, "minor", "3/4" if i % 2 else "4/4"))
    return made


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A cache folder of the test's own, and a corpus of made pieces that counts how often it is read."""
    reads = []
    monkeypatch.setattr(chorales, "cache_folder", lambda: tmp_path / "cache" / "hvae_keras")
    monkeypatch.setattr(chorales, "read_corpus", lambda: reads.append(1) or pieces())
    return tmp_path / "cache" / "hvae_keras", reads


def test_splits_hold_every_piece_once_and_no_tune_twice(corpus):
    data = load("chorales")
    splits = (data.train, data.validation, data.test)
    whole = {tuple(row): i for i, row in enumerate(chorales.to_arrays(pieces())["x"].tolist())}
    numbers = [[whole[tuple(row)] for row in split.x.tolist()] for split in splits]
    assert sorted(sum(numbers, [])) == list(range(40))
    assert all(4 <= len(part) <= 6 for part in numbers[1:])
    for part in numbers:
        assert all(i - 1 in part for i in part if i % 4 == 0 and i > 0)
    for split, part in zip(splits, numbers, strict=True):
        for name, at in (("signature", 2), ("mode", 3), ("meter", 4)):
            assert data.factor_values[name][split.factors[name]].tolist() == [pieces()[i][at] for i in part]
        assert set(data.factor_values["phrases"][split.factors["phrases"]]) == {2}


def test_same_tune_is_found_through_transposition_and_through_others():
    a, b, c, d, e = (np.array([20 + i, 20 + (i + 1) ** 2 % 7, 0, 22 - i % 2] * 6) for i in range(5))
    empty = np.full(24, music.PADDING)

    def higher(phrase, by):
        return np.where(phrase > music.REST, phrase + by, phrase)

    x = np.stack(
        [
            np.stack(row)
            for row in ([a, b, empty], [higher(b, 2), c, higher(a, 5)], [c, e, b], [d, a, empty], [d, d, empty])
        ]
    )
    # The first two share a and b; the third shares b and c with the second; the others share one phrase at most.
    assert chorales.same_tune(x.reshape(5, 72)).tolist() == [0, 0, 0, 1, 2]


def test_scores_are_read_once(corpus):
    folder, reads = corpus
    first, second = load("chorales"), load("chorales")
    assert len(reads) == 1 and np.array_equal(first.train.x, second.train.x)
    assert [path.name for path in folder.iterdir()] == [f"chorales-1-music21-{music21.__version__}.npz"]
    for name, index in first.test.factors.items():
        assert np.array_equal(index, second.test.factors[name])


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
        lambda raw: b"<html>",
        lambda raw: raw[:90] + bytes([raw[90] ^ 1]) + raw[91:],
    ],
    ids=["cut", "empty", "another", "bit"],
)
def test_a_damaged_cache_is_made_again(corpus, damage):
    folder, reads = corpus
    first = load("chorales")
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert np.array_equal(load("chorales").train.x, first.train.x)
    assert len(reads) == 2 and chorales.read_cache(file) is not None


def test_a_cache_of_another_shape_is_made_again(corpus):
    folder, reads = corpus
    load("chorales")
    (file,) = folder.iterdir()
    np.savez(file, **{**chorales.read_cache(file), "x": np.zeros((40, 8), "int32")})
    load("chorales")
    assert len(reads) == 2


def test_what_cannot_be_written_is_not_kept_and_leaves_nothing(corpus, monkeypatch, capsys):
    folder, reads = corpus

    def full(file, **arrays):
        file.write(b"PK half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", full)
    assert len(load("chorales").train) > 30 and list(folder.iterdir()) == []
    assert "not kept in" in capsys.readouterr().err
    load("chorales")
    assert len(reads) == 2


def test_without_music21_one_line_says_how_to_install_it(tmp_path):
    """In a process where its metadata cannot be found, as when it is not installed."""
    code = """
import importlib.metadata as metadata, sys
def missing(name):
    raise metadata.PackageNotFoundError(name)
metadata.version = missing
from hvae_keras.data import DataError, load
try:
    load("chorales")
except DataError as error:
    print(error)
print("music21" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(done) == 2 and "pip install" in done[0] and "[music]" in done[0] and done[1] == "False"


def test_a_music21_without_its_corpus_says_so(monkeypatch):
    monkeypatch.setattr(music21.corpus, "getComposer", lambda name: [])
    with pytest.raises(DataError, match="without its corpus"):
        chorales.read_corpus()
