"""Rules of tunes: all that the process can make keeps them, and each kind of broken tune breaks its own."""

import itertools

import numpy as np
import pytest

from hvae_keras import music
from hvae_keras.data import load, melodies, melody_rules
from hvae_keras.metrics.music import form

RULES = melody_rules.RULES
ALL = {"known form", "one key", "chords", "rhythms", "contours"}


@pytest.fixture(scope="module")
def data():
    return load("melodies")


def broken_by(x):
    """The rules that none of the tunes keeps; every tune must keep all others."""
    kept = {name: holds.mean() for name, holds in RULES.kept(x).items()}
    assert set(kept.values()) <= {0, 1}, kept
    return {name for name, mean in kept.items() if mean == 0}


def phrases(x):
    return x.reshape(-1, melodies.PHRASES, melodies.STEPS)


def test_levels_and_names():
    assert {name: rule.level for name, rule in RULES.items()} == {
        "known form": 2, "one key": 2, "chords": 1, "rhythms": 1, "contours": 1,
    }  # fmt: skip


def test_real_tunes_keep_every_rule(data):
    for x in (data.test.x, data.validation.x, data.train.x[:1000]):
        assert broken_by(x) == set()


def test_the_form_of_every_tune_of_the_data_set_is_found(data):
    for split in (data.train, data.validation, data.test):
        found = form(split.x, threshold=melody_rules.ALIKE)
        assert np.array_equal(found, np.array(melodies.FORMS)[split.factors["form"]])


def test_no_tune_of_the_process_leaves_its_contour():
    """All progressions, rhythms, contours and modes, each weak note at its worst: 5.4 semitones."""
    degree, patterns, worst = melodies.degrees(), melodies.patterns(), 0
    for r, (mode, (c, line)) in itertools.product(
        range(8), itertools.product(range(2), enumerate(melodies.CONTOURS))
    ):
        starts = patterns[r] == "x"
        weak = starts & ~melodies.strong(starts)
        height = np.interp(np.arange(16), (0, 7.5, 15), melodies.CONTOURS[line]) * 12 / 7
        highest = melodies.midi(degree[:, r, c] + weak, 0, mode) - height
        lowest = melodies.midi(degree[:, r, c] - weak, 0, mode) - height
        worst = max(worst, (highest[:, starts].max(axis=1) - lowest[:, starts].min(axis=1)).max())
    assert worst == pytest.approx(5.4) and worst < melody_rules.SPREAD


def test_chords_against_a_search_by_hand():
    """Random pitches in real rhythms, so that some phrases fit and most tunes do not."""
    rng = np.random.default_rng(0)
    x = load("melodies").test.x[:150].copy()
    wrong = (x > music.REST) & (rng.random(x.shape) < 0.04)
    x[wrong] = rng.integers(2, music.TOKENS, wrong.sum())

    def fits(phrase):
        strong = [next((t for t in phrase[i : i + 4] if t > 1), None) for i in range(0, 16, 4)]
        for tonic, scale, roots in itertools.product(
            range(12), melodies.SCALES.values(), melodies.CHORDS.values()
        ):
            triads = [{(tonic + scale[(root + k) % 7]) % 12 for k in (0, 2, 4)} for root in roots]
            if all(t is None or (int(t) + 49) % 12 in triad for t, triad in zip(strong, triads, strict=True)):
                return True
        return False

    expected = [all(fits(phrase) for phrase in tune) for tune in phrases(x)]
    assert 0.2 < np.mean(expected) < 0.9
    assert np.array_equal(RULES.kept(x)["chords"], expected)


def test_phrases_in_another_order_lose_the_form_only(data):
    rng = np.random.default_rng(0)
    order = np.array([rng.permutation(4) for _ in data.test.x])
    x = phrases(data.test.x)[np.arange(500)[:, None], order]
    form_letters = melodies.form_letters()[data.test.factors["form"]][np.arange(500)[:, None], order]
    # The first new letter is A, the next B: rename, then compare with the four known forms.
    names = ["".join("ABC"[list(dict.fromkeys(row)).index(letter)] for letter in row) for row in form_letters]
    known = np.isin(names, melodies.FORMS)
    assert 0.2 < known.mean() < 0.8
    kept = RULES.kept(x.reshape(500, -1))
    assert np.array_equal(kept.pop("known form"), known)
    assert all(holds.all() for holds in kept.values())


@pytest.mark.parametrize("semitones", [1, -1])
def test_a_phrase_in_another_key_loses_the_key_only(data, semitones):
    """Of ABAC and AABC the last phrase: it comes once, so the form stays."""
    x = phrases(data.test.x)[np.isin(data.test.factors["form"], [2, 3])].copy()
    x[:, 3] += semitones * (x[:, 3] > music.REST).astype("int32")
    assert x.max() < music.TOKENS
    assert broken_by(x.reshape(len(x), -1)) == {"one key"}


def test_a_phrase_of_another_rhythm_loses_the_rhythm_only(data):
    """The last phrase of ABAC and AABC holds its third note's place: one note fewer, which no rhythm has."""
    x = phrases(data.test.x)[np.isin(data.test.factors["form"], [2, 3])].copy()
    rhythm = data.test.factors["rhythm_4"][np.isin(data.test.factors["form"], [2, 3])]
    x = x[rhythm == 0]  # x-x-x-x-x-x-x---
    x[:, 3, 2] = music.HOLD
    assert len(x) > 10 and broken_by(x.reshape(len(x), -1)) == {"rhythms"}


def test_a_note_an_octave_away_leaves_the_contour_only(data):
    """The last of seven notes or more, in an arch or a valley that comes once: pitch classes and form stay."""
    lines = [list(melodies.CONTOURS).index(name) for name in ("arch", "valley")]
    once = np.isin(data.test.factors["form"], [2, 3]) & np.isin(data.test.factors["contour_4"], lines)
    x = phrases(data.test.x)[once]
    x = x[(x[:, 3] > music.REST).sum(axis=1) >= 7]
    row, place = np.arange(len(x)), np.where(x[:, 3] > music.REST, np.arange(16), -1).max(axis=1)
    x[row, 3, place] += np.where(x[row, 3, place] > 17, -12, 12).astype("int32")
    assert len(x) > 50 and broken_by(x.reshape(len(x), -1)) == {"contours"}


def test_random_tokens_keep_next_to_nothing():
    x = np.random.default_rng(0).integers(0, music.TOKENS, (500, 64))
    assert {name for name, holds in RULES.kept(x).items() if holds.mean() > 0.03} == set()


@pytest.mark.parametrize("token", [music.HOLD, music.REST, music.PADDING])
def test_silence_and_padding_keep_no_rule(token):
    assert broken_by(np.full((2, 64), token)) == ALL


def test_one_pitch_for_ever_is_in_a_key_and_nothing_else():
    assert broken_by(np.full((2, 64), 9)) == ALL - {"one key"}


@pytest.mark.parametrize("shape", [(64,), (2, 48), (2, 4, 16)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"x has shape \(.*\), expected \(n, 64\)"):
        RULES.kept(np.full(shape, 2))


@pytest.mark.parametrize("x", [np.full((2, 64), 34), np.full((2, 64), 2.5), np.zeros((0, 64), int)])
def test_what_is_no_token_is_refused(x):
    with pytest.raises(ValueError, match="tokens"):
        RULES.kept(x)
