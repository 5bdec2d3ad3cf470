"""`melodies`: the notes follow the stated rules, factors their probabilities, and entropies are exact."""

import collections
import hashlib
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import chisquare

from hvae_keras import music
from hvae_keras.data import load, melodies

PARTS = ("train", "validation", "test")
# Pitch classes of keys by their names, written out: not by the tables of the module.
NAMES = {"C": 0, "D♭": 1, "D": 2, "E♭": 3, "E": 4, "F": 5, "G♭": 6, "G": 7, "A♭": 8, "A": 9, "B♭": 10, "B": 11}
ON_C = {"major": {0, 2, 4, 5, 7, 9, 11}, "minor": {0, 2, 3, 5, 7, 8, 10}}
# The triads of C major and C minor on each degree.
CHORDS_ON_C = {
    "major": {
        "I": {0, 4, 7},
        "ii": {2, 5, 9},
        "iii": {4, 7, 11},
        "IV": {5, 9, 0},
        "V": {7, 11, 2},
        "vi": {9, 0, 4},
    },
    "minor": {
        "I": {0, 3, 7},
        "ii": {2, 5, 8},
        "iii": {3, 7, 10},
        "IV": {5, 8, 0},
        "V": {7, 10, 2},
        "vi": {8, 0, 3},
    },
}

CORNERS = {"rising": (0, 3.5, 7), "falling": (7, 3.5, 0), "arch": (0, 7, 0), "valley": (7, 0, 7)}


@pytest.fixture(scope="module")
def data():
    return load("melodies")


def words(data, split, name):
    return data.factor_values[name][split.factors[name]]


def notes_of(tune):
    """The notes of a tune as (phrase, step in the phrase, pitch), by the definition of the tokens."""
    return [(t // 16, t % 16, int(token) - 2 + 51) for t, token in enumerate(tune) if token >= 2]


def test_arrays_are_what_the_contract_says(data):
    for part, size in zip(PARTS, (12_000, 500, 500), strict=True):
        split = getattr(data, part)
        assert split.x.dtype == np.int32 and split.x.shape == (size, 64)
        assert split.x.min() == music.HOLD and split.x.max() < music.TOKENS
        assert np.array_equal(music.check_tokens(split.x), split.x)
        assert list(split.factors) == list(data.factor_values) == list(data.levels)
        for name, index in split.factors.items():
            assert index.dtype == np.int64 and index.shape == (size,)
            assert np.array_equal(np.unique(index), np.arange(len(data.factor_values[name])))
    assert {name for name, level in data.levels.items() if level == 2} == {"form", "tonic", "mode"}
    assert set(data.levels.values()) == {1, 2} and len(data.levels) == 15


def test_phrases_return_exactly_as_the_form_says(data):
    """Phrases of one letter are the same, with the same factors; those of two letters differ, in rhythm too."""
    for part in PARTS:
        split = getattr(data, part)
        phrases, form = split.x.reshape(-1, 4, 16), words(data, split, "form")
        for i, j in itertools.combinations(range(4), 2):
            same = np.array([name[i] == name[j] for name in form])
            assert np.array_equal((phrases[:, i] == phrases[:, j]).all(axis=1), same)
            onsets = phrases > music.REST
            assert (onsets[~same, i] != onsets[~same, j]).any(axis=1).all()
            for name in ("chords", "rhythm", "contour"):
                one, two = split.factors[f"{name}_{i + 1}"], split.factors[f"{name}_{j + 1}"]
                assert np.array_equal(one[same], two[same])
                if name != "chords":
                    assert (one[~same] != two[~same]).all()


def test_rhythms_are_those_named(data):
    signs = np.where(data.test.x == 0, "-", np.where(data.test.x == 1, ".", "x")).reshape(-1, 4, 16)
    for phrase in range(4):
        rows = ["".join(row) for row in signs[:, phrase]]
        assert np.array_equal(rows, words(data, data.test, f"rhythm_{phrase + 1}"))


def test_every_note_is_in_the_scale_and_every_strong_note_in_its_chord(data):
    """With the scale and the triads of C written out above, moved to the tune's tonic."""
    tonic, mode = words(data, data.test, "tonic"), words(data, data.test, "mode")
    chords = [words(data, data.test, f"chords_{phrase + 1}") for phrase in range(4)]
    for n, tune in enumerate(data.test.x):
        seen = set()
        for phrase, step, pitch in notes_of(tune):
            above = (pitch - NAMES[tonic[n]]) % 12
            assert above in ON_C[mode[n]]
            if (phrase, step // 4) not in seen:
                seen.add((phrase, step // 4))
                chord = chords[phrase][n].split()[step // 4]
                assert above in CHORDS_ON_C[mode[n]][chord], (n, phrase, step)
        assert len(seen) == 16, "a chord without a note"


def decoded(data, split):
    """Every note of a split as (phrase, strong, chord, degree above the tonic, target of the contour)."""
    tonic, mode = words(data, split, "tonic"), words(data, split, "mode")
    per_phrase = {
        name: [words(data, split, f"{name}_{i + 1}") for i in range(4)] for name in ("chords", "contour")
    }
    result = []
    for n, tune in enumerate(split.x):
        spans = set()
        for phrase, step, pitch in notes_of(tune):
            octave, above = divmod(pitch - 55 - (NAMES[tonic[n]] - 7) % 12, 12)  # the lowest tonic is G3, 55
            degree = 7 * octave + sorted(ON_C[mode[n]]).index(above)
            line = CORNERS[per_phrase["contour"][phrase][n]]
            target = float(np.interp(step, (0, 7.5, 15), line))
            chord = per_phrase["chords"][phrase][n].split()[step // 4]
            result.append((phrase, (phrase, step // 4) not in spans, chord, degree, target))
            spans.add((phrase, step // 4))
    return result


def test_strong_notes_are_the_nearest_of_the_chord(data):
    roots = {"I": 0, "ii": 1, "iii": 2, "IV": 3, "V": 4, "vi": 5}
    notes = [note for note in decoded(data, data.test) if note[1]]
    assert len(notes) == 500 * 16
    for _, _, chord, degree, target in notes:
        tones = {7 * octave + (roots[chord] + third) % 7 for octave in (-1, 0, 1) for third in (0, 2, 4)}
        nearest = min(abs(tone - target) for tone in tones)
        assert degree == min(tone for tone in tones if abs(tone - target) == nearest)


def test_weak_notes_miss_the_contour_as_often_as_stated(data):
    """A degree beside the nearest one: on each side 1 in 20, within 4 standard errors. A letter counts once."""
    once = data.validation.where(words(data, data.validation, "form") == "AABC")
    missed = [
        degree - round(target)
        for phrase, is_strong, _, degree, target in decoded(data, once)
        if phrase > 0 and not is_strong
    ]
    count = collections.Counter(missed)
    assert set(count) == {-1, 0, 1} and len(missed) > 1000
    for by in (-1, 1):
        assert abs(count[by] / len(missed) - 0.05) < 4 * math.sqrt(0.05 * 0.95 / len(missed))


def test_range_of_the_notes(data):
    """From the note below the lowest tonic in minor, F3, to the ninth above the highest, A♭5."""
    pitches = np.concatenate([split.x[split.x > 1] for split in (data.train, data.validation, data.test)]) + 49
    assert (pitches.min(), pitches.max()) == (55 - 2, 66 + 14)


@pytest.mark.parametrize("name", ["form", "tonic", "mode", "chords_1", "rhythm_1", "contour_1", "contour_4"])
def test_factors_are_uniform(data, name):
    """A χ² test of one fixed draw: it fails for a wrong probability, not by chance."""
    assert chisquare(np.bincount(data.train.factors[name])).pvalue > 0.001


@pytest.mark.parametrize(
    "one, two", [("form", "mode"), ("tonic", "mode"), ("mode", "chords_1"), ("chords_1", "rhythm_1")]
)
def test_factors_are_independent(data, one, two):
    cells = np.zeros((len(data.factor_values[one]), len(data.factor_values[two])))
    np.add.at(cells, (data.train.factors[one], data.train.factors[two]), 1)
    assert chisquare(cells.ravel()).pvalue > 0.001


def test_no_tune_is_in_two_splits(data):
    tunes = [{tune.tobytes() for tune in getattr(data, part).x} for part in PARTS]
    for one, two in itertools.combinations(tunes, 2):
        assert not one & two


def test_tunes_that_are_taken_are_drawn_again():
    x, factors = melodies.sample(60, np.random.RandomState(4))
    split = melodies.sample_new(60, np.random.RandomState(4), [x[:10], x[30:]])
    assert (
        np.array_equal(split.x[10:30], x[10:30])
        and (split.factors["tonic"][10:30] == factors["tonic"][10:30]).all()
    )
    changed = np.r_[:10, 30:60]
    assert (split.x[changed] != x[changed]).any(axis=1).all()
    signs = np.where(split.x == 0, "-", np.where(split.x == 1, ".", "x"))[:, :16]
    assert ["".join(row) for row in signs] == [melodies.RHYTHMS[i] for i in split.factors["rhythm_1"]]


def test_keys_and_chords_have_the_notes_of_theory():
    def named(pitch_classes):
        return [list(NAMES)[p] for p in pitch_classes]

    a, e = (melodies.TONICS.index(tonic) for tonic in ("A", "E"))
    assert named(melodies.scale(a, 1)) == ["A", "B", "C", "D", "E", "F", "G"]
    assert named(melodies.scale(e, 0)) == ["E", "G♭", "A♭", "A", "B", "D♭", "E♭"]
    assert named(melodies.triad(4, e, 0)) == ["B", "E♭", "G♭"]
    assert named(melodies.triad(5, a, 1)) == ["F", "A", "C"]
    assert melodies.scale([a, e], [1, 0]).shape == (2, 7) and melodies.triad([0, 4], [[a]], 1).shape == (1, 2, 3)
    assert melodies.midi([0, 7, -1], 0, 0).tolist() == [55, 67, 54]


def all_outcomes(m):
    """Tokens and probability of every outcome of the process with the constants of `m`, one after another."""
    scales, by_chance = list(m.SCALES.values()), dict(m.WANDER)

    def phrases(tonic, mode, chords, pattern, corners):
        options, spans = [], set()
        for step, sign in enumerate(pattern):
            target = float(np.interp(step, (0, (m.STEPS - 1) / 2, m.STEPS - 1), corners))
            if sign != "x":
                options.append([(0 if sign == "-" else 1, 1.0)])
                continue
            if step // m.SPAN in spans:
                moves = [(math.floor(target + 0.5) + by, p) for by, p in by_chance.items()]
            else:
                tones = [d for d in range(-7, 15) if (d - chords[step // m.SPAN]) % 7 in (0, 2, 4)]
                moves = [(min(tones, key=lambda tone: (abs(tone - target), tone)), 1.0)]
            spans.add(step // m.SPAN)
            options.append([(2 + 55 + tonic + 12 * (d // 7) + scales[mode][d % 7] - 51, p) for d, p in moves])
        for chosen in itertools.product(*options):
            yield [token for token, _ in chosen], math.prod(p for _, p in chosen)

    for form, tonic, mode in itertools.product(m.FORMS, range(len(m.TONICS)), range(2)):
        letters = sorted(set(form))
        k = len(letters)
        draws = list(
            itertools.product(
                itertools.permutations(m.RHYTHMS, k),
                itertools.permutations(m.CONTOURS.values(), k),
                itertools.product(m.CHORDS.values(), repeat=k),
            )
        )
        p = 1 / (len(m.FORMS) * len(m.TONICS) * 2 * len(draws))
        for rhythms, contours, chords in draws:
            each = [phrases(tonic, mode, *of) for of in zip(chords, rhythms, contours, strict=True)]
            for made in itertools.product(*each):
                tokens = dict(zip(letters, (tokens for tokens, _ in made), strict=True))
                yield (
                    tuple(itertools.chain(*(tokens[letter] for letter in form))),
                    p * math.prod(q for _, q in made),
                )


@pytest.fixture
def small(monkeypatch):
    """The process with phrases of four steps and few choices, so that every outcome can be listed."""
    constants = {
        "PHRASES": 3,
        "STEPS": 4,
        "FORMS": ("ABA", "ABB"),
        "TONICS": ("G", "A♭"),
        "CHORDS": {"I": (0,), "ii": (1,), "vi": (5,)},
        "RHYTHMS": ("xxx-", "x-xx", "x--."),
        "CONTOURS": {"rising": (0, 3.5, 7), "falling": (7, 3.5, 0)},
        "WANDER": ((-1, 0.2), (0, 0.7), (1, 0.1)),
    }
    for name, value in constants.items():
        monkeypatch.setattr(melodies, name, value)
    table = collections.defaultdict(float)
    for tune, p in all_outcomes(melodies):
        table[tune] += p
    return table


def test_probabilities_are_those_of_an_enumeration(small):
    assert sum(small.values()) == pytest.approx(1)
    np.testing.assert_allclose(melodies.log_prob(np.array(list(small))), np.log(list(small.values())), atol=1e-12)


def test_what_the_enumeration_does_not_list_has_no_probability(small):
    """Tunes of the right form from any two phrases that occur: of one rhythm, one contour, different keys, ..."""
    phrases = sorted({tune[at : at + 4] for tune in small for at in (0, 4)})
    pick = np.random.default_rng(0).integers(len(phrases), size=(5000, 2))
    tunes = [phrases[a] + phrases[b] + phrases[a] for a, b in pick]
    expected = [tune in small for tune in tunes]
    assert 10 < sum(expected) < 4000
    assert np.isfinite(melodies.log_prob(np.array(tunes))).tolist() == expected


def test_entropy_is_that_of_an_enumeration(small):
    expected = -sum(p * math.log(p) for p in small.values())
    assert melodies.entropy() == pytest.approx(expected, abs=1e-12)


def test_draws_are_as_frequent_as_their_probability(small):
    x, _ = melodies.sample(20_000, np.random.RandomState(0))
    count = collections.Counter(map(tuple, x.tolist()))
    assert set(count) <= set(small)
    often = [tune for tune, p in small.items() if 20_000 * p >= 5]
    rest = 20_000 - sum(count[tune] for tune in often)
    expected = [20_000 * small[tune] for tune in often]
    observed = [count[tune] for tune in often]
    assert len(often) > 100 and chisquare([*observed, rest], [*expected, 20_000 - sum(expected)]).pvalue > 0.001


def test_entropy_is_minus_the_mean_log_probability():
    """Of 8,000 fresh tunes, within 4 standard errors; and a stated number, because lessons quote it."""
    x, _ = melodies.sample(8000, np.random.RandomState(7))
    log_prob = melodies.log_prob(x)
    assert abs(melodies.entropy() + log_prob.mean()) < 4 * log_prob.std() / np.sqrt(len(x))
    assert melodies.entropy() == pytest.approx(20.27625, abs=1e-5)


def test_two_phrases_tell_the_tonic_and_the_contours():
    """What `entropy` rests on, by enumeration: all pairs of keys and contours that one phrase leaves open.

    In none of them do two phrases with other rhythms and other contours leave the tonic or a contour open.
    """
    degree, starts = melodies.degrees(), melodies.patterns() == "x"
    on_beat = melodies.strong(starts)

    def makes(rhythm, contour, tonic, mode):
        lines = degree[:, rhythm, contour]
        strong_notes = {tuple(melodies.midi(line[on_beat[rhythm]], tonic, mode)) for line in lines}
        weak = lines[0][starts[rhythm] & ~on_beat[rhythm]]
        return strong_notes, [set(melodies.midi(d + np.array([-1, 0, 1]), tonic, mode)) for d in weak]

    for mode, other_mode, higher in itertools.product(range(2), range(2), range(-11, 12)):
        unclear = []
        for rhythm, contour, other in itertools.product(range(8), range(4), range(4)):
            one, two = makes(rhythm, contour, 0, mode), makes(rhythm, other, higher, other_mode)
            if one[0] & two[0] and all(a & b for a, b in zip(one[1], two[1], strict=True)):
                unclear.append((rhythm, contour, other))
        for one, two in itertools.combinations(unclear, 2):
            if all(a != b for a, b in zip(one, two, strict=True)):
                assert higher == 0 and one[1] == one[2] and two[1] == two[2]


def test_what_the_process_cannot_make_has_no_probability(data):
    tune = data.test.x[words(data, data.test, "form") == "ABAC"][:1]
    assert np.isfinite(melodies.log_prob(tune)).all()
    wrong = np.repeat(tune, 5, axis=0)
    wrong[0, 0] += 1  # one A differs from the other, and the note leaves the chord
    wrong[1, 16:32] = wrong[1, 48:]  # ACAC is the form ABAB: possible, unlike the next
    wrong[2, 32:48] = wrong[2, 48:]  # ABCC
    wrong[3, [0, 32]] = music.HOLD  # in both A
    wrong[4, 60:] = music.PADDING
    assert np.isfinite(melodies.log_prob(wrong)).tolist() == [False, True, False, False, False]


@pytest.mark.parametrize(
    "x, says",
    [
        (np.zeros((2, 48), int), r"\[n, 64\].*\(2, 48\)"),
        (np.zeros((2, 64)), "float64"),
        (np.full((1, 64), 99), "99"),
    ],
)
def test_log_prob_refuses_what_is_no_tune(x, says):
    with pytest.raises(ValueError, match=says):
        melodies.log_prob(x)


def test_data_and_split_are_the_same_on_every_machine(data):
    """A digest of what this code made when written."""
    content = hashlib.md5(usedforsecurity=False)
    for split in (data.train, data.validation, data.test):
        content.update(split.x.astype("u1").tobytes())
        for index in split.factors.values():
            content.update(index.astype("u1").tobytes())
    assert content.hexdigest() == "3cea8c85f70fde50175c2e85d7eb1c8f"


def test_tokens_are_not_binarized(data):
    with pytest.raises(
        ValueError, match="grey levels, floats between 0 and 1; the x of 'melodies' is int32 from 0 to"
    ):
        data.binarized()


def test_loading_needs_numpy_only():
    code = "import sys; from hvae_keras.data import load; load('melodies'); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"tensorflow", "keras", "matplotlib", "sklearn", "music21", "mido"} & set(modules.split())
