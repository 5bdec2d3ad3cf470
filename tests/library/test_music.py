"""Tokens against tunes written out by hand, MIDI files read back by two other readers, sound by its spectrum."""

import io
import subprocess
import sys
import wave

import mido
import numpy as np
import pytest

from hvae_keras import music
from hvae_keras.data import load
from hvae_keras.music import HOLD, PADDING, REST, Note

C, D, E = 11, 13, 15  # tokens of C4, D4 and E4, MIDI 60, 62 and 64
# Silence, C for two steps, D twice, a rest of two steps, E.
TUNE = np.array([HOLD, C, HOLD, D, D, REST, HOLD, E])
NOTES = [Note(1, 2, 60), Note(3, 1, 62), Note(4, 1, 62), Note(7, 1, 64)]


@pytest.fixture(scope="module")
def tunes():
    return load("melodies").test.x


@pytest.fixture
def random_notes(rng):
    """Notes of any pitch and length with gaps or none between them, and the steps they fill."""
    made, start = [], 0
    for pitch in rng.integers(music.LOWEST, music.HIGHEST + 1, 30):
        start += rng.integers(3)
        made.append(Note(int(start), int(rng.integers(1, 6)), int(pitch)))
        start += made[-1].duration
    return made, int(start)


def test_every_token_starts_the_pitch_it_came_from():
    pitches = range(music.LOWEST, music.HIGHEST + 1)
    assert [music.token(pitch) for pitch in pitches] == list(range(2, music.TOKENS))
    assert [music.pitch(music.token(pitch)) for pitch in pitches] == list(pitches)


@pytest.mark.parametrize("pitch", [50, 83, -1, 60.5])
def test_a_pitch_out_of_range_has_no_token(pitch):
    with pytest.raises(ValueError, match=f"51 to 82; got {pitch}"):
        music.token(pitch)


@pytest.mark.parametrize("token", [PADDING, HOLD, REST, 34, 2.5])
def test_a_token_that_starts_no_note_has_no_pitch(token):
    with pytest.raises(ValueError, match=f"2 to 33; got {token}"):
        music.pitch(token)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], r"at least one step; got shape \(0,\)"),
        (np.zeros((0, 8), int), r"got shape \(0, 8\)"),
        (3, r"got shape \(\)"),
        ([0.0, 1.0], "integers; got float64"),
        ([True, False], "integers; got bool"),
        ([0, 34], r"tokens\[1\] is 34"),
        ([[0, 1], [-2, 0]], r"tokens\[1, 0\] is -2"),
    ],
)
def test_bad_tokens_are_named(tokens, message):
    for function in (music.check_tokens, music.sounding, music.notes, music.synthesise):
        with pytest.raises(ValueError, match=message):
            function(tokens)


@pytest.mark.parametrize("function", [music.notes, music.synthesise, music.play])
def test_functions_of_one_tune_refuse_two(function):
    with pytest.raises(ValueError, match=r"one tune \[steps\]; got shape \(2, 8\)"):
        function(np.stack([TUNE, TUNE]))


def test_what_sounds_at_each_step():
    assert music.sounding(TUNE).tolist() == [-1, 60, 60, 62, 62, -1, -1, 64]


def test_a_note_is_held_across_padding_but_not_into_the_next_tune():
    rows = [[C, HOLD, PADDING, HOLD, D, PADDING], [HOLD, PADDING, HOLD, REST, HOLD, E]]
    expected = [[60, 60, -2, 60, 62, -2], [-1, -2, -1, -1, -1, 64]]
    assert music.sounding(rows).tolist() == expected
    assert music.sounding([rows]).tolist() == [expected]


def test_notes_of_a_tune():
    assert music.notes(TUNE) == NOTES
    assert music.notes([HOLD, REST, HOLD]) == []
    assert music.notes([E]) == [Note(0, 1, 64)]


def test_padding_takes_no_time():
    padded = np.insert(TUNE, [0, 2, 2, 8], PADDING)
    assert music.notes(padded) == NOTES
    assert (music.synthesise(padded) == music.synthesise(TUNE)).all()


def test_tokens_of_notes():
    assert music.tokens(NOTES[::-1], 8).tolist() == [REST, C, HOLD, D, D, REST, HOLD, E]
    assert music.tokens([], 3).tolist() == [REST, HOLD, HOLD]


def test_tokens_and_notes_are_inverses(random_notes, tunes):
    made, steps = random_notes
    assert music.notes(music.tokens(made, steps)) == made
    assert music.notes(music.tokens(made, steps + 3)) == made
    for tune in tunes[:50]:
        assert (music.tokens(music.notes(tune), len(tune)) == tune).all()


def test_what_sounds_is_what_the_notes_say(tunes):
    for tune in tunes[:50]:
        expected = np.full(len(tune), -1)
        for start, duration, pitch in music.notes(tune):
            expected[start : start + duration] = pitch
        assert (music.sounding(tune) == expected).all()


@pytest.mark.parametrize(
    ("notes", "steps", "message"),
    [
        ([Note(0, 2, 60), Note(1, 1, 62)], 8, "do not overlap; got Note.start=1"),
        ([Note(0, 2, 60), Note(0, 1, 62)], 8, "do not overlap"),
        ([Note(6, 3, 60)], 8, "within 0 to 7; got Note.start=6"),
        ([Note(-1, 2, 60)], 8, "within 0 to 7"),
        ([Note(0, 0, 60)], 8, "at least one step"),
        ([Note(0, 1, 83)], 8, "51 to 82; got 83"),
        ([], 0, "steps is at least 1; got 0"),
    ],
)
def test_notes_that_are_no_tune_are_refused(notes, steps, message):
    with pytest.raises(ValueError, match=message):
        music.tokens(notes, steps)


def test_cut_and_join_are_inverses(tunes):
    phrases = music.cut(tunes, 16)
    assert phrases.shape == (500, 4, 16) and (phrases[3, 2] == tunes[3, 32:48]).all()
    assert (music.join(phrases) == tunes).all()
    assert music.cut(TUNE, 4).tolist() == [TUNE[:4].tolist(), TUNE[4:].tolist()]


@pytest.mark.parametrize("length", [0, -4, 3, 9])
def test_a_length_that_leaves_steps_over_is_refused(length):
    with pytest.raises(ValueError, match=rf"whole phrases of {length} steps; got shape \(8,\)"):
        music.cut(TUNE, length)


def test_cut_of_nothing_and_join_of_a_row_are_refused():
    with pytest.raises(ValueError, match=r"got shape \(3, 0\)"):
        music.cut(np.zeros((3, 0), int), 4)
    with pytest.raises(ValueError, match=r"phrases is \[..., phrases, length\]; got shape \(8,\)"):
        music.join(TUNE)


def test_cut_at_pads_each_phrase():
    assert music.cut_at(TUNE, [2, 3, 7], 5).tolist() == [
        [HOLD, C, HOLD, PADDING, PADDING],
        [D, PADDING, PADDING, PADDING, PADDING],
        [D, REST, HOLD, E, PADDING],
    ]


def test_uncut_is_the_inverse_of_cut_at_wherever_the_ends_are(rng, tunes):
    for tune in tunes[:50]:
        ends = np.append(np.sort(rng.choice(63, rng.integers(8), replace=False)), 63)
        phrases = music.cut_at(tune, ends, np.diff(ends, prepend=-1).max())
        assert len(phrases) == len(ends)
        assert (music.uncut(phrases) == tune).all()
        assert (music.uncut(phrases.ravel()) == tune).all()


@pytest.mark.parametrize(
    ("ends", "length", "message"),
    [
        ([3, 7], 3, r"at most 3 steps \(length\); phrase 0 has 4"),
        ([1, 7], 4, "phrase 1 has 6"),
        ([3, 3, 7], 8, r"increases, up to the last step 7; got \[3, 3, 7\]"),
        ([5, 3, 7], 8, "increases"),
        ([-1, 7], 8, "increases"),
        ([3, 6], 8, "up to the last step 7"),
        ([3, 8], 8, "up to the last step 7"),
        ([], 8, "ends is a list of steps"),
        ([3.0, 7.0], 8, "ends is a list of steps"),
    ],
)
def test_ends_that_do_not_cut_the_tune_are_refused(ends, length, message):
    with pytest.raises(ValueError, match=message):
        music.cut_at(TUNE, ends, length)


def test_a_padded_tune_is_not_cut_again_and_an_empty_one_is_named():
    with pytest.raises(ValueError, match="tokens has padding"):
        music.cut_at([C, PADDING], [1], 2)
    for function in (music.uncut, music.notes, music.play):
        with pytest.raises(ValueError, match="the tune is empty: all of its 3 places are padding"):
            function([PADDING] * 3)


@pytest.mark.parametrize("pitch", [51, 69, 82])
def test_a_note_sounds_at_its_frequency_and_whole_multiples_of_it_alone(pitch):
    """Multiples above 4 kHz would be heard as other pitches; 0.9999 of the energy is at the right ones."""
    sound = music.synthesise([music.token(pitch)] + [HOLD] * 19)
    power = abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / 8000)
    expected = 440 * 2 ** ((pitch - 69) / 12)
    assert frequency[power.argmax()] == pytest.approx(expected, abs=1)
    nearest = np.maximum(1, np.round(frequency / expected)) * expected
    assert power[abs(frequency - nearest) < 10].sum() > 0.9999 * power.sum()


def test_sound_is_where_the_notes_are_and_does_not_jump(random_notes):
    made, steps = random_notes
    sound = music.synthesise(music.tokens(made, steps + 4), rate=8000, steps_per_second=7.0)
    assert sound.dtype == np.float32 and len(sound) == round((steps + 4) * 8000 / 7)
    assert 0.3 < abs(sound).max() <= 1
    silent = np.ones(len(sound), bool)
    for start, duration, _ in made:
        first, end = round(start * 8000 / 7), round((start + duration) * 8000 / 7)
        silent[first:end] = False
        assert abs(sound[first:end]).max() > 0.2
        assert sound[first] == 0 and sound[end - 1] == 0
    assert silent.any() and not sound[silent].any()


def test_a_note_swells_and_dies_away():
    """The highest note, a wave of 9 samples: the loudest place is within 10 to 20 ms, so samples 80 to 160."""
    sound = abs(music.synthesise([music.token(82)] + [HOLD] * 9))
    assert sound[:16].max() < 0.3 * sound.max()
    assert 70 < sound.argmax() < 160
    loudness = sound[160:-240].reshape(-1, 760).max(axis=1)
    assert len(loudness) == 10 and (np.diff(loudness) < 0).all()


def test_rests_are_silent():
    assert not music.synthesise([REST, HOLD]).any() and len(music.synthesise([REST, HOLD])) == 1600


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"steps_per_second": -1.0}, {"steps_per_second": float("nan")}])
def test_rates_that_are_not_positive_are_refused(wrong):
    with pytest.raises(ValueError, match="rate and steps_per_second are positive"):
        music.synthesise(TUNE, **wrong)


def test_a_player_for_64_steps_fits_in_a_notebook(tunes):
    player = music.play(tunes[0])
    assert "<audio" in player._repr_html_() and len(player._repr_html_()) < 150_000


def test_a_player_holds_the_sound_as_it_was_made(tunes):
    with wave.open(io.BytesIO(music.play(tunes[0], steps_per_second=12.0).data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert samples / 32767 == pytest.approx(music.synthesise(tunes[0], steps_per_second=12.0), abs=1e-4)


def test_a_tune_too_long_for_a_notebook_is_refused():
    with pytest.raises(ValueError, match="at most 8 s of sound; got 8.1 s"):
        music.play([C] + [HOLD] * 80)
    music.play([C] + [HOLD] * 80, steps_per_second=12.0)


def read_midi(path):
    """Notes in eighths, the length in eighths, and the tempo in microseconds a quarter."""
    file = mido.MidiFile(path)
    (track,) = file.tracks
    now, playing, found, tempo = 0, {}, [], None
    for message in track:
        now += message.time * 2 / file.ticks_per_beat
        if message.type == "set_tempo":
            tempo = message.tempo
        elif message.type == "note_on" and message.velocity > 0:
            assert not playing, "one voice"
            playing[message.note] = now
        elif message.type in ("note_on", "note_off"):
            start = playing.pop(message.note)
            found.append(Note(start, now - start, message.note))
    return found, now, tempo


def test_a_midi_file_holds_the_notes_the_length_and_the_tempo(tmp_path, random_notes):
    made, steps = random_notes
    music.save_midi(tmp_path / "tune.mid", music.tokens(made, steps + 5), beats_per_minute=90)
    assert read_midi(tmp_path / "tune.mid") == (made, steps + 5, round(60e6 / 90))
    assert mido.MidiFile(tmp_path / "tune.mid").length == pytest.approx((steps + 5) / 2 * 60 / 90, rel=1e-5)


def test_real_tunes_come_back_from_midi(tmp_path, tunes):
    for tune in tunes[:20]:
        music.save_midi(str(tmp_path / "tune.mid"), tune)
        found, steps, _ = read_midi(tmp_path / "tune.mid")
        assert (music.tokens([Note(*map(int, note)) for note in found], int(steps)) == tune).all()


def test_a_tune_without_a_note_is_a_file_of_its_length(tmp_path):
    music.save_midi(tmp_path / "rest.mid", [REST, HOLD, HOLD])
    assert read_midi(tmp_path / "rest.mid")[:2] == ([], 3)


def test_music21_reads_the_same_notes(tmp_path, tunes):
    converter = pytest.importorskip("music21.converter", reason="music21 is the extra [music]")
    for number, tune in enumerate(tunes[:3]):
        path = tmp_path / f"tune{number}.mid"
        music.save_midi(path, tune)
        read = converter.parse(path).stripTies().flatten().notes
        found = [Note(note.offset * 2, note.quarterLength * 2, note.pitch.midi) for note in read]
        assert found == music.notes(tune)


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def half(self, filename):
        with open(filename, "wb") as stream:
            stream.write(b"MThd")
        raise OSError("disk full")

    path = tmp_path / "tune.mid"
    path.write_bytes(b"old")
    monkeypatch.setattr(mido.MidiFile, "save", half)
    with pytest.raises(OSError, match="disk full"):
        music.save_midi(path, TUNE)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("tempo", [0, 3.9, 1001, float("nan")])
def test_a_tempo_out_of_range_is_refused_before_anything_is_written(tmp_path, tempo):
    with pytest.raises(ValueError, match="beats_per_minute is from 4 to 1000"):
        music.save_midi(tmp_path / "tune.mid", TUNE, beats_per_minute=tempo)
    with pytest.raises(ValueError, match=r"tokens\[0\] is 99"):
        music.save_midi(tmp_path / "tune.mid", [99])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tempo", [4, 1000])
def test_the_slowest_and_the_fastest_tempo_fit_in_the_file(tmp_path, tempo):
    music.save_midi(tmp_path / "tune.mid", TUNE, beats_per_minute=tempo)
    assert read_midi(tmp_path / "tune.mid")[2] == 60e6 / tempo


def test_importing_music_is_cheap():
    heavy = "{'tensorflow', 'keras', 'mido', 'IPython', 'matplotlib'}"
    code = f"import sys, hvae_keras.music; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
