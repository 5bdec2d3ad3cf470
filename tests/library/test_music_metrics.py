"""Scores of tunes short enough to count by hand; `melodies` as the ceiling, its phrases shuffled as the floor."""

import itertools

import numpy as np
import pytest

from hvae_keras import music
from hvae_keras.data import load, melodies
from hvae_keras.metrics import music as metrics
from hvae_keras.music import HOLD, PADDING, REST

C, D, E, F, G, A, B, HIGH_C = (music.token(pitch) for pitch in (60, 62, 64, 65, 67, 69, 71, 72))
F_SHARP = music.token(66)
IN_C = (melodies.TONICS.index("C"), melodies.MODES.index("major"))
NOTHING = [HOLD] * 64
PER_TUNE = (
    lambda x: metrics.in_key(x, *IN_C),
    lambda x: metrics.harmony(x, *IN_C, np.zeros((1, 4), int)),
    lambda x: metrics.best_harmony(x, *IN_C),
)


@pytest.fixture(scope="module")
def test():
    return load("melodies").test


@pytest.fixture(scope="module")
def own(test):
    """What each tune was made from: form, tonic and mode, chords `[n, phrases]`."""
    chords = [test.factors[f"chords_{phrase}"] for phrase in (1, 2, 3, 4)]
    return (
        np.array(melodies.FORMS)[test.factors["form"]],
        (test.factors["tonic"], test.factors["mode"]),
        np.stack(chords, axis=1),
    )


@pytest.fixture(scope="module")
def mixed(test):
    """Tunes whose phrases come from four tunes, each at its place."""
    rng = np.random.default_rng(0)
    phrases = music.cut(test.x, 16)
    return music.join(np.stack([phrases[rng.permutation(len(phrases)), place] for place in range(4)], axis=1))


def transposed(x, semitones):
    return np.where(x > REST, x + semitones, x)


def histogram(**shares):
    """A pitch-class histogram from the shares of named notes."""
    names = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
    return np.array([shares.get(name, 0.0) for name in names])


# Two phrases of eight steps: of these, 0 to 3 and 6 sound the same.
HALF_ALIKE = [C, HOLD, D, REST, E, HOLD, G, HOLD] + [C, C, D, HOLD, F, HOLD, G, A]


def test_similarity_counts_the_steps_that_sound_the_same():
    """C C D - E E G G against C C D D F F G A: four of eight."""
    expected = [[1, 0.5], [0.5, 1]]
    assert metrics.similarity(HALF_ALIKE, 8).tolist() == [expected]
    assert metrics.similarity([HALF_ALIKE, [REST] * 16], 8).tolist() == [expected, [[1, 1], [1, 1]]]


def test_a_note_held_from_the_phrase_before_counts_as_that_note():
    assert metrics.similarity([C, HOLD, HOLD, C], 2)[0].tolist() == [[1, 1], [1, 1]]


def test_padding_of_one_phrase_counts_as_different_and_of_both_does_not_count():
    """C D - - against C D E -: two of three places. A phrase of padding is like none."""
    x = [C, D, PADDING, PADDING] + [C, D, E, PADDING] + [PADDING] * 4
    assert metrics.similarity(x, 4)[0] == pytest.approx(np.array([[1, 2 / 3, 0], [2 / 3, 1, 0], [0, 0, 0]]))


def test_similarity_is_symmetric_and_a_phrase_is_like_itself(rng):
    x = rng.integers(-1, music.TOKENS, (40, 32))
    found = metrics.similarity(x, 8)
    assert (found == found.transpose(0, 2, 1)).all() and found.min() >= 0
    assert (found[:, range(4), range(4)] == 1).all()


@pytest.mark.parametrize("function", [metrics.similarity, metrics.form, lambda x: metrics.form_score(x, ["AABA"])])
def test_phrases_that_do_not_fill_the_tune_are_refused(function):
    with pytest.raises(ValueError, match=r"whole phrases of 16 steps; got shape \(2, 60\)"):
        function(np.full((2, 60), C))


def test_self_similarity_of_single_steps():
    """C C D: the first two steps sound alike."""
    assert metrics.self_similarity([C, HOLD, D], window=1).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_self_similarity_is_a_mean_along_the_diagonal():
    """C D E C D F, window 3: steps 1 and 4 sound alike, so do 0 and 3 before them, 2 and 5 after them do not."""
    found = metrics.self_similarity([C, D, E, C, D, F], window=3)
    assert found[1, 4] == pytest.approx(2 / 3)
    assert found[0, 3] == 1  # the pair before lies outside the tune
    assert found[2, 5] == 0.5
    assert found[0, 1] == found[0, 2] == 0


def test_self_similarity_finds_where_a_phrase_returns(test, own):
    """In AABA, equal phrases give ones along the whole diagonal, but for two steps at an end whose next differ."""
    tune = test.x[own[0] == "AABA"][0]
    found = metrics.self_similarity(tune)
    assert np.allclose(found, found.T) and found.min() >= 0 and found.max() == 1
    for shift, first, last in ((16, 0, 14), (48, 0, 16), (32, 18, 32)):
        assert (np.diagonal(found, shift)[first:last] == 1).all()
    assert (np.diagonal(found, 16)[18:30] < 1).any()


def test_self_similarity_leaves_padding_out():
    found = metrics.self_similarity([C, PADDING, C], window=3)
    assert found.tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 1]]


@pytest.mark.parametrize("window", [0, 2, -1])
def test_a_window_without_a_middle_is_refused(window):
    with pytest.raises(ValueError, match=f"odd and at least 1; got {window}"):
        metrics.self_similarity([C, D], window)


def test_self_similarity_is_of_one_tune():
    with pytest.raises(ValueError, match=r"one tune \[steps\]; got shape \(1, 2\)"):
        metrics.self_similarity([[C, D]])


@pytest.mark.parametrize(
    ("phrases", "expected"),
    [
        ("CC DD CC DD", "ABAB"),
        ("CC CC DD CC", "AABA"),
        ("CC DD EE FF", "ABCD"),
        ("CC CC CC CC", "AAAA"),
        ("CC DD CC EE DD", "ABACB"),
        ("CC", "A"),
        ("CD CE CC", "AAA"),  # half of the steps are enough below
        ("CC DD CD", "ABA"),  # as like the first as the second: the first
        ("CC DC DD", "AAA"),  # like the second alone, which is like the first
        ("CC .. DD", "AB"),  # a missing phrase has no letter
        ("..", ""),
        ("-- -- CC", "AAB"),  # silence repeats itself
    ],
)
def test_form_of_tunes_of_short_phrases(phrases, expected):
    """Phrases of two steps, with a threshold of one step in two."""
    step = {"C": C, "D": D, "E": E, "F": F, "-": REST, ".": PADDING}
    tune = [step[name] for name in phrases.replace(" ", "")]
    assert metrics.form(tune, length=2, threshold=0.5).tolist() == [expected]


def test_the_threshold_is_the_share_that_is_enough():
    assert metrics.form(HALF_ALIKE, 8, threshold=0.5).tolist() == ["AA"]
    assert metrics.form(HALF_ALIKE, 8, threshold=0.51).tolist() == ["AB"]


def test_more_phrases_than_letters_and_thresholds_out_of_range_are_refused():
    with pytest.raises(ValueError, match="at most 26 phrases, one a letter; got 27"):
        metrics.form([C] * 27, length=1)
    assert metrics.form([C] * 26, length=1).tolist() == ["A" * 26]
    for threshold in (0, 1.5):
        with pytest.raises(ValueError, match=f"above 0 and at most 1; got {threshold}"):
            metrics.form(NOTHING, threshold=threshold)


def test_form_score_is_the_share_of_tunes_of_these_forms():
    """AAB, ABA, ABC and AAA."""
    x = [[C, C, D], [C, D, C], [C, D, E], [C, C, C]]
    assert metrics.form_score(x, ["ABA"], length=1) == 0.25
    assert metrics.form_score(x, "ABA", length=1) == 0.25
    assert metrics.form_score(x, ("AAB", "ABA", "ABB"), length=1) == 0.5


@pytest.mark.parametrize(
    ("form", "message"),
    [("AAB", "one letter for each of 4 phrases; got 'AAB'"), ("", "got ''"), ("ACAB", "order of the alphabet")],
)
def test_forms_that_no_tune_can_have_are_refused(form, message):
    for score in (lambda: metrics.form_score(NOTHING, [form]), lambda: metrics.repetition(NOTHING, form)):
        with pytest.raises(ValueError, match=message):
            score()


def test_real_tunes_have_their_form_and_shuffled_ones_do_not(test, own, mixed):
    assert (metrics.form(test.x) == own[0]).all()
    assert metrics.form_score(test.x, melodies.FORMS) == 1
    assert metrics.form_score(mixed, melodies.FORMS) < 0.02


def test_the_order_of_phrases_matters_by_as_much_as_chance_says(test, own):
    """Of all orders of AABA, ABAB, ABAC and AABC, the share that is a stated form is counted over the orders."""
    legal = []
    for form in melodies.FORMS:
        orders = ["".join(form[i] for i in order) for order in itertools.permutations(range(4))]
        renamed = [
            order.translate({ord(c): "ABC"[k] for k, c in enumerate(dict.fromkeys(order))}) for order in orders
        ]
        legal.append(np.isin(renamed, melodies.FORMS).mean())
    rng = np.random.default_rng(1)
    shuffled = music.join(np.stack([tune[rng.permutation(4)] for tune in music.cut(test.x, 16)]))
    expected = np.mean([legal[form] for form in test.factors["form"]])
    error = np.sqrt(expected * (1 - expected) / len(shuffled))
    assert abs(metrics.form_score(shuffled, melodies.FORMS) - expected) < 4 * error


def test_repetition_by_hand():
    """C D C E of one step each. As ABAC: 1 for the pair of A, 0 for the five others."""
    assert metrics.repetition([C, D, C, E], "ABAC", length=1).tolist() == [1]
    # As AABC: the pair of A is C D, 0; of the five others, one of C C.
    assert metrics.repetition([C, D, C, E], "AABC", length=1) == pytest.approx([-0.2])
    # As ABAB: of the pairs C C and D E one is equal, and none of the others.
    assert metrics.repetition([[C, D, C, E]] * 2, ["ABAB", "ABAC"], length=1) == pytest.approx([0.5, 1])


def test_repetition_is_high_for_the_own_form_and_zero_on_average_for_shuffled_phrases(test, own, mixed):
    forms = own[0]
    real = metrics.repetition(test.x, forms)
    assert real.min() > 0.4 and real.mean() > 0.85  # other phrases share less than the threshold of `form`, 0.6
    other = np.where(forms == "ABAB", "AABC", "ABAB")
    assert (real > metrics.repetition(test.x, other)).all()
    floor = metrics.repetition(mixed, forms)
    assert abs(floor.mean()) < 4 * floor.std() / np.sqrt(len(floor)) < 0.05


def test_silence_repeats_itself_and_so_keeps_no_form():
    assert metrics.repetition(NOTHING, "AABA").tolist() == [0]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("AAAA", "another that does not equal it; got 'AAAA'"),
        ("ABCD", "got 'ABCD'"),
        (["AABA"], "one for each of 2 tunes; got 1"),
        ([], "got 0"),
    ],
)
def test_forms_that_cannot_be_heard_are_refused(form, message):
    with pytest.raises(ValueError, match=message):
        metrics.repetition([NOTHING, NOTHING], form)


def test_in_key_counts_durations():
    """Of C major: C for two steps and E for one are in it, F♯ for one is not; the rest does not sound."""
    x = [C, HOLD, E, F_SHARP, REST, HOLD]
    assert metrics.in_key(x, *IN_C).tolist() == [0.75]
    assert metrics.in_key([x, x], [5, 0], [0, 0]).tolist() == [0.75, 1]  # all of it is in G major


@pytest.mark.parametrize("score", PER_TUNE)
def test_a_tune_without_a_note_scores_0(score):
    assert score(NOTHING).tolist() == score([REST] * 64).tolist() == score([PADDING] * 64).tolist() == [0]


@pytest.mark.parametrize("score", PER_TUNE)
def test_one_note_scores_1_if_it_fits_and_0_if_not(score):
    assert score([G] + NOTHING[1:]).tolist() == [1]  # G is in C major, and in the triad of C
    assert score([F_SHARP] + NOTHING[1:]).tolist() == [0]


@pytest.mark.parametrize(
    "score", (*PER_TUNE, metrics.key, metrics.pitch_class_histogram, metrics.duration_histogram)
)
def test_tokens_out_of_range_and_empty_tunes_are_refused(score):
    with pytest.raises(ValueError, match=r"tokens\[1\] is 34"):
        score([0, 34])
    with pytest.raises(ValueError, match="at least one step"):
        score([])
    with pytest.raises(ValueError, match=r"one tune \[steps\]; got shape \(1, 4, 16\)"):
        score(np.zeros((1, 4, 16), int))


@pytest.mark.parametrize(
    ("tonic", "mode", "message"),
    [
        (12, 0, "tonic is from 0 to 11; got 12 to 12"),
        ([0, -1], 0, "tonic is from 0 to 11; got -1 to 0"),
        (0, 2, "mode is from 0 to 1; got 2"),
        ([0, 1, 2], 0, r"tonic is one class index or \[2\] of them; got int64 \(3,\)"),
        (0, 0.5, "mode is one class index"),
    ],
)
def test_keys_out_of_range_are_refused(tonic, mode, message):
    for score in (metrics.in_key, metrics.best_chords, metrics.best_harmony):
        with pytest.raises(ValueError, match=message):
            score([NOTHING, NOTHING], tonic, mode)


SCALE_OF_C = [C, D, E, F, G, A, B, HIGH_C]


@pytest.mark.parametrize("semitones", range(-9, 11))
def test_the_key_of_a_scale_moves_with_it(semitones):
    tonic, mode = metrics.key(transposed(np.array(SCALE_OF_C), semitones))
    assert (tonic.tolist(), mode.tolist()) == ([(5 + semitones) % 12], [0])


@pytest.mark.parametrize(
    ("tune", "tonic", "mode"),
    [
        ([A, B, C, D, E, F, G, A], "A", "minor"),  # the first note decides
        ([E, B, C, D, A, F, G, A], "A", "minor"),  # neither tonic is first: A starts two notes, C one
        ([E, B, C, D, A, F, G, HIGH_C], "C", "major"),
        ([HOLD, REST, A, B, C, D, E, F, G], "A", "minor"),  # the first note is not the first step
        ([*SCALE_OF_C, F_SHARP], "C", "major"),  # G major has all but one step too, but C is first
        ([C], "C", "major"),
        (NOTHING, "G", "major"),  # all fit, so the first
        ([PADDING, *SCALE_OF_C, PADDING], "C", "major"),
    ],
)
def test_key_by_hand(tune, tonic, mode):
    found = metrics.key(tune)
    assert (melodies.TONICS[found[0][0]], melodies.MODES[found[1][0]]) == (tonic, mode)


def test_key_finds_a_scale_that_fits_best_and_mostly_the_own_key(test, own):
    """95.8 % of the test tunes; the others have no note outside of the key that is found."""
    tonic, mode = metrics.key(test.x)
    assert (metrics.in_key(test.x, tonic, mode) == 1).all()
    assert ((tonic == own[1][0]) & (mode == own[1][1])).mean() > 0.94


# Two bars in C over I IV V I: strong notes C, A, D and E, the first that starts in each span of four steps.
OVER_FIRST = [C, F, HOLD, HOLD] + [HOLD, A, B, C] + [D, HOLD, REST, HOLD] + [REST, HOLD, HOLD, E]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 1.0),
        ({0: E}, 1.0),  # another note of the triad
        ({0: D}, 0.75),  # the first strong note is none of C E G
        ({1: D, 6: D}, 1.0),  # weak notes may be what they like
        ({15: HOLD}, 1.0),  # a chord in which no note starts is not counted
        ({15: HOLD, 8: C}, 2 / 3),  # C is none of G B D
    ],
)
def test_harmony_by_hand(change, expected):
    tune = OVER_FIRST.copy()
    for step, token in change.items():
        tune[step] = token
    first = list(melodies.CHORDS).index("I IV V I")
    assert metrics.harmony(tune, *IN_C, [[first]]) == pytest.approx([expected])


def test_harmony_takes_the_chords_of_each_phrase_and_tune():
    """Over I V vi IV, of C, A, D and E: C is in C E G; A not in G B D; D not in A C E; E not in F A C."""
    first, second = (list(melodies.CHORDS).index(name) for name in ("I IV V I", "I V vi IV"))
    x = [OVER_FIRST * 2] * 2
    assert metrics.harmony(x, *IN_C, [[first, first], [second, first]]).tolist() == [1, 5 / 8]


def test_best_chords_by_hand():
    """Only I IV V I holds all of C, A, D, E. Over I alone all progressions that begin so are equal: the first."""
    first = list(melodies.CHORDS).index("I IV V I")
    assert metrics.best_chords(OVER_FIRST, *IN_C).tolist() == [[first]]
    second = list(melodies.CHORDS).index("ii V I I")
    tune = [D, HOLD, HOLD, HOLD] + [B, HOLD, HOLD, HOLD] + [E, HOLD, HOLD, HOLD] + [C, HOLD, HOLD, HOLD]
    assert metrics.best_chords([tune + OVER_FIRST], *IN_C).tolist() == [[second, first]]
    for tonic, mode in np.ndindex(12, 2):  # no progression has a strong note
        assert metrics.best_chords([NOTHING, [REST] * 64], tonic, mode).tolist() == [[0] * 4] * 2


@pytest.mark.parametrize(
    ("chords", "message"),
    [
        ([[0, 0, 0]], r"here \(1, 4\); got int64 \(1, 3\)"),
        ([0, 0, 0, 0], r"got int64 \(4,\)"),
        ([[0.0] * 4], "got float64"),
        ([[0, 0, 0, 6]], "chords is from 0 to 5; got 0 to 6"),
        ([[0, 0, 0, -1]], "got -1 to 0"),
    ],
)
def test_chords_that_do_not_fit_are_refused(chords, message):
    with pytest.raises(ValueError, match=message):
        metrics.harmony(NOTHING, *IN_C, chords)


def test_harmony_needs_whole_phrases():
    with pytest.raises(ValueError, match="whole phrases of 16 steps"):
        metrics.harmony([C] * 20, *IN_C, [[0]])


def test_real_tunes_keep_key_and_chords_and_shuffled_ones_do_not(test, own, mixed):
    """A random note is in a scale 7 times of 12 and in a triad 3 times of 12; mixed phrases have random keys."""
    _, key, chords = own
    assert (metrics.in_key(test.x, *key) == 1).all()
    assert (metrics.harmony(test.x, *key, chords) == 1).all()
    assert (metrics.best_harmony(test.x, *key) == 1).all()
    for score, chance in (
        (metrics.in_key(mixed, *key), 7 / 12),
        (metrics.harmony(mixed, *key, chords), 3 / 12),
    ):
        assert abs(score.mean() - chance) < 4 * score.std() / np.sqrt(len(score)) < 0.05
    assert (metrics.best_harmony(mixed, *key) >= metrics.harmony(mixed, *key, chords)).all()
    assert metrics.best_harmony(mixed, *key).mean() < 0.55


def test_the_best_chords_are_the_own_ones_wherever_only_they_fit(test, own):
    _, key, chords = own
    every = [metrics.harmony(test.x, *key, np.full_like(chords, c)) for c in range(len(melodies.CHORDS))]
    best = metrics.best_harmony(test.x, *key)
    assert (best >= np.max(every, axis=0)).all()
    assert (metrics.best_chords(test.x, *key) == chords).mean() > 0.9


def test_key_and_chords_move_with_the_tune(test, own):
    _, (tonic, mode), chords = own
    fits = np.array([(tune[tune > REST].max() + 1 < music.TOKENS) for tune in test.x])
    higher = transposed(test.x[fits], 1)
    tonic, mode, chords = (tonic[fits] + 1) % 12, mode[fits], chords[fits]
    assert (metrics.in_key(higher, tonic, mode) == 1).all()
    assert (metrics.harmony(higher, tonic, mode, chords) == 1).all()


def test_pitch_classes_by_hand():
    """C for two steps in one octave and one in the next, G for one: 3/4 and 1/4. All tunes count together."""
    tune = [C, HOLD, REST, HIGH_C, G]
    assert metrics.pitch_class_histogram(tune) == pytest.approx(histogram(C=0.75, G=0.25))
    two = [tune, [PADDING, E, HOLD, HOLD, HOLD]]
    assert metrics.pitch_class_histogram(two) == pytest.approx(histogram(C=3 / 8, G=1 / 8, E=4 / 8))


def test_durations_by_hand():
    """C for 1, D for 2, E for 1 up to the rest, F for 3; with at most 2, F counts there."""
    tune = [HOLD, C, D, HOLD, E, REST, F, HOLD, HOLD]
    assert metrics.duration_histogram(tune, 4).tolist() == [0.5, 0.25, 0.25, 0]
    assert metrics.duration_histogram(tune, 2).tolist() == [0.5, 0.5]
    assert metrics.duration_histogram(tune, 1).tolist() == [1]


def test_durations_end_with_the_tune_and_leave_padding_out():
    """C lasts 2 and does not go on in the second tune; D lasts 3, across padding."""
    x = [[REST, HOLD, C, HOLD], [HOLD, HOLD, HOLD, REST], [D, HOLD, PADDING, HOLD], [PADDING] * 4]
    assert metrics.duration_histogram(x, 4).tolist() == [0, 0.5, 0.5, 0]


def test_durations_are_those_of_the_notes(test):
    expected = np.bincount([note.duration for tune in test.x for note in music.notes(tune)], minlength=17)[1:]
    assert metrics.duration_histogram(test.x) == pytest.approx(expected / expected.sum())


def test_histograms_of_silence_are_empty_and_share_nothing():
    silence = metrics.pitch_class_histogram(NOTHING)
    assert not silence.any() and not metrics.duration_histogram(NOTHING, 3).any()
    assert metrics.overlap(silence, histogram(C=1.0)) == 0


def test_a_duration_histogram_without_bins_is_refused():
    with pytest.raises(ValueError, match="longest is at least 1; got 0"):
        metrics.duration_histogram(NOTHING, 0)


def test_overlap_by_hand():
    assert metrics.overlap([0.5, 0.3, 0.2], [0.5, 0.3, 0.2]) == pytest.approx(1)
    assert metrics.overlap([1, 0], [0, 1]) == 0
    assert metrics.overlap([0.5, 0.5, 0], [0.25, 0.25, 0.5]) == pytest.approx(0.5)


def test_overlap_is_one_minus_the_total_variation(rng):
    for p, q in rng.dirichlet(np.ones(12), (20, 2)):
        assert metrics.overlap(p, q) == pytest.approx(1 - abs(p - q).sum() / 2)


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([1, 0], [1, 0, 0], r"same bins; got shapes \(2,\) and \(3,\)"),
        ([3, 1], [1, 0], r"p is a histogram of shares that add up to 1; got \[3.0, 1.0\]"),
        ([1, 0], [1.5, -0.5], "q is a histogram"),
        ([float("nan"), 1], [1, 0], "p is a histogram"),
        ([[1.0]], [1], "p is a histogram"),
    ],
)
def test_what_is_no_histogram_is_refused(p, q, message):
    with pytest.raises(ValueError, match=message):
        metrics.overlap(p, q)


@pytest.mark.parametrize(
    ("note", "squared"),
    [
        # Squared chords of the three circles, 2 r² (1 - cos angle): fifths, minor thirds, major thirds.
        ("G", 2 - np.sqrt(3) + 2 + 0.75),  # 30, 90 and 120 degrees apart
        ("E", 3 + 0 + 0.75),  # 120, 0 and 120
        ("Eb", 2 + 2 + 0),  # 90, 90 and 0
        ("D", 1 + 4 + 0.75),  # 60, 180 and 240
        ("Db", 2 + np.sqrt(3) + 2 + 0.75),  # 150, 90 and 120
        ("Gb", 4 + 4 + 0),  # opposite on two circles, the same on that of major thirds
        ("C", 0),
    ],
)
def test_tonal_distance_of_single_notes(note, squared):
    found = metrics.tonal_distance(histogram(C=1.0), histogram(**{note: 1.0}))
    assert found == pytest.approx(np.sqrt(squared), abs=1e-9)


def test_tonal_distance_of_even_histograms_and_their_means():
    """All classes together are in the middle of each circle; a note is the radius √(1 + 1 + 1/4) away from it."""
    even = np.full(12, 1 / 12)
    assert metrics.tonal_distance(even, histogram(A=1.0)) == pytest.approx(1.5)
    half = histogram(C=0.5, G=0.5)
    whole = metrics.tonal_distance(histogram(C=1.0), histogram(G=1.0))
    assert metrics.tonal_distance(histogram(C=1.0), half) == pytest.approx(whole / 2)


def test_tonal_distance_is_a_distance_that_transposition_leaves_as_it_is(rng):
    for p, q, r in rng.dirichlet(np.full(12, 0.3), (20, 3)):
        found = metrics.tonal_distance(p, q)
        assert 0 < found <= 3 and found == pytest.approx(metrics.tonal_distance(q, p))
        assert found <= metrics.tonal_distance(p, r) + metrics.tonal_distance(r, q) + 1e-12
        for semitones in range(1, 12):
            assert metrics.tonal_distance(np.roll(p, semitones), np.roll(q, semitones)) == pytest.approx(found)


def test_tonal_distance_is_smaller_within_tunes_than_between_them(test):
    halves = [[metrics.pitch_class_histogram(half) for half in (tune[:32], tune[32:])] for tune in test.x[:200]]
    within = [metrics.tonal_distance(first, second) for first, second in halves]
    between = [metrics.tonal_distance(a[0], b[1]) for a, b in itertools.pairwise(halves)]
    assert np.mean(within) < 0.5 * np.mean(between)


@pytest.mark.parametrize("wrong", [np.zeros(12), np.ones(11) / 11])
def test_tonal_distance_needs_twelve_filled_classes(wrong):
    with pytest.raises(ValueError, match="q is a filled histogram of 12 pitch classes"):
        metrics.tonal_distance(histogram(C=1.0), wrong)
