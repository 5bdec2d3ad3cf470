"""Figures of tunes: every note where it sounds, phrases by letter, numbers told, clear about wrong input."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from hvae_keras import plots
from hvae_keras.music import HOLD, PADDING, REST, TOKENS, Note, notes, token, tokens
from hvae_keras.plots.style import COLORS

CAPTION = "What to see."
C4, G4 = token(60), token(67)
# Two phrases of four: C4 for two steps, C4 again, a rest; silence held, G4 over the end, which is padding.
TUNE = np.array([C4, HOLD, C4, REST, HOLD, G4, HOLD, PADDING])
ALIKE = np.array([[1.0, 0.25, 0.75], [0.25, 1.0, 0.5], [0.75, 0.5, 1.0]])

FIGURES = {
    "form_scores": lambda: plots.form_scores(
        {"flat": np.array([0.25, 0.5]), "hierarchical LSTM": np.array([0.75])},
        CAPTION,
        floor=("shuffled", 0.125),
        ceiling=("real", 1.0),
    ),
    "gradient_norms": lambda: plots.gradient_norms(
        {"Elman": np.array([[1.0, 0.5, 0.0], [3.0, 0.7, 0.0]]), "LSTM": np.array([1.0, 0.9, 0.8])}, CAPTION
    ),
    "phrase_similarity": lambda: plots.phrase_similarity({"real": ALIKE}, CAPTION),
    "piano_roll": lambda: plots.piano_roll({"mine": TUNE, "yours": TUNE[:4]}, CAPTION, 4, letters=["AB", "A"]),
    "self_similarity": lambda: plots.self_similarity({"real": np.kron(ALIKE, np.eye(2))}, CAPTION, length=2),
}


SAYS = [
    (
        "form_scores",
        "flat 0.38 (0.25 to 0.50), hierarchical LSTM 0.75 (0.75 to 0.75), real 1.00, shuffled 0.12",
    ),
    ("gradient_norms", "Elman 2 at distance 0, 0 at 2; LSTM 1 at distance 0, 0.8 at 2"),
    ("phrase_similarity", "real: phrases 1 and 3 are most alike, 0.75, 1 and 2 least, 0.25"),
    ("piano_roll", "mine: 3 notes, C4 to G4, form AB; yours: 2 notes, C4 to C4, form A"),
    ("self_similarity", "real: phrases 1 and 3 are most alike, 0.75, 1 and 2 least, 0.25"),
]


def bars(axes):
    """Start, duration, pitch and colour of every bar that is drawn; and the steps with a dark start."""
    drawn = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    boxes = [(p.get_x(), p.get_width(), p.get_y() + p.get_height() / 2, to_hex(p.get_edgecolor())) for p in drawn]
    whole = [box for box in boxes if box[1] >= 1]
    return whole, [box[0] for box in boxes if box[1] < 1]


def test_every_note_is_a_bar_as_long_as_it_sounds_with_a_start():
    made = plots.piano_roll([TUNE], CAPTION, length=4)
    whole, starts = bars(made.axes[0])
    spans = [(start, duration, round(pitch, 6)) for start, duration, pitch, _ in whole]
    assert spans[:3] == [(0, 2, 60), (2, 1, 60), (5, 2, 67)]
    assert starts == [0, 2, 5]
    assert spans[3][:2] == (7, 1) and len(spans) == 4, "padding is a band of its own"
    assert to_hex(made.axes[0].patches[-1].get_facecolor()) == "#dddddd"


def test_bars_are_the_notes_of_random_tunes():
    rng = np.random.default_rng(0)
    for tune in rng.choice([HOLD, HOLD, REST, *range(2, TOKENS)], size=(6, 40)):
        whole, starts = bars(plots.piano_roll([tune], CAPTION).axes[0])
        assert [Note(start, duration, round(pitch)) for start, duration, pitch, _ in whole] == notes(tune)
        assert starts == [note.start for note in notes(tune)]


def test_a_note_held_over_padding_starts_once():
    whole, starts = bars(plots.piano_roll([np.array([C4, PADDING, HOLD, HOLD])], CAPTION).axes[0])
    assert [(start, duration) for start, duration, *_ in whole[:2]] == [(0, 1), (2, 2)]
    assert starts == [0]


def test_phrases_of_one_letter_have_one_colour_and_the_letter_stands_above():
    tune = np.full(64, HOLD)
    tune[::8] = C4
    axes = plots.piano_roll([tune], CAPTION, letters=np.array(["ABAC"])).axes[0]
    whole, _ = bars(axes)
    colors = [color.upper() for *_, color in whole]
    assert colors == [COLORS[i] for i in (0, 0, 1, 1, 0, 0, 2, 2)]
    assert [(text.get_text(), text.get_position()[0]) for text in axes.texts] == [
        ("A", 8),
        ("B", 24),
        ("A", 40),
        ("C", 56),
    ]
    assert [line.get_xdata()[0] for line in axes.lines] == [16, 32, 48]


def test_a_phrase_of_padding_alone_has_no_letter():
    tune = np.array([C4, HOLD, PADDING, PADDING, G4, PADDING])
    axes = plots.piano_roll([tune], CAPTION, length=2, letters=["AB"]).axes[0]
    shown = [(text.get_text(), text.get_position()[0]) for text in axes.texts if text.get_text().strip()]
    assert shown == [("A", 1), ("B", 5)]
    with pytest.raises(ValueError, match=r"\[2\] letters here; got \['ABC'\]"):
        plots.piano_roll([tune], CAPTION, length=2, letters=["ABC"])


def test_without_letters_there_is_one_colour_and_phrases_are_marked_all_the_same():
    axes = plots.piano_roll([np.full(64, C4)], CAPTION).axes[0]
    assert {color.upper() for *_, color in bars(axes)[0]} == {COLORS[0]}
    assert [line.get_xdata()[0] for line in axes.lines] == [16, 32, 48] and not axes.texts


def test_pitches_have_their_names_and_tunes_one_scale():
    made = plots.piano_roll([np.array([token(55), G4]), np.array([token(76), HOLD])], CAPTION)
    left, right = made.axes
    names = dict(zip(left.get_yticks(), (label.get_text() for label in left.get_yticklabels()), strict=True))
    assert names == {55: "G3", 60: "C4", 67: "G4", 72: "C5"}
    assert left.get_ylim() == right.get_ylim()
    assert left.get_ylim()[0] < 54.5 and left.get_ylim()[1] > 76.5
    made = plots.piano_roll([np.array([token(63), HOLD])], CAPTION)
    assert [label.get_text() for label in made.axes[0].get_yticklabels()] == ["E♭4"]


@pytest.mark.parametrize("n", range(1, 7))
def test_one_to_six_tunes_of_64_steps_fit_a_page_and_can_be_read(n):
    """At 100 dpi: at most 1000 by 700 pixels, 5 or more a step and 3 or more a semitone of the whole range."""
    tunes = np.random.default_rng(n).integers(TOKENS, size=(n, 64))
    made = plots.piano_roll(tunes, CAPTION, letters=["AABA"] * n)
    made.draw_without_rendering()
    page = made.get_tightbbox()  # inches
    assert page.width < 10 and page.height < 7
    assert len(made.axes) == n
    for axes in made.axes:
        assert axes.get_window_extent().width >= 5 * 64
        assert axes.get_window_extent().height >= 3 * np.ptp(axes.get_ylim())


def test_a_tune_of_silence_can_be_drawn(shell):
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        plots.piano_roll({"silence": tokens([], 16), "empty": np.full(16, PADDING)}, CAPTION)
    assert "silence: no notes; empty: no notes" in captured.outputs[0].metadata["image/png"]["alt"]


def test_steps_of_a_matrix_stand_on_the_axes_of_steps():
    matrix = np.zeros((6, 6))
    matrix[1, 4] = 1
    axes = FIGURES["self_similarity"]().axes[0]
    (left, right, bottom, top) = axes.images[0].get_extent()
    assert (left, right, bottom, top) == (0, 6, 6, 0)
    assert [line.get_ydata()[0] for line in axes.lines[::2]] == [2, 4]
    drawn = plots.self_similarity({"one": matrix}, CAPTION).axes[0].images[0]
    np.testing.assert_array_equal(drawn.get_array(), matrix)


def test_every_number_of_a_table_stands_in_its_square():
    axes = FIGURES["phrase_similarity"]().axes[0]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {(c, r): f"{ALIKE[r, c]:.2f}" for r in range(3) for c in range(3)}


def test_one_phrase_has_no_other_to_be_like(shell):
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        plots.phrase_similarity({"short": np.ones((1, 1)), "two": np.full((2, 2), 0.5)}, CAPTION)
    told = captured.outputs[0].metadata["image/png"]["alt"]
    assert "short: one phrase, mean 1.00; two: phrases 1 and 2 are most alike, 0.50." in told


def test_a_gradient_that_vanished_ends_its_line():
    axes = FIGURES["gradient_norms"]().axes[0]
    elman, lstm = axes.lines
    np.testing.assert_allclose(elman.get_ydata(), [2.0, 0.6, np.nan])
    np.testing.assert_allclose(lstm.get_ydata(), [1.0, 0.9, 0.8])
    np.testing.assert_array_equal(lstm.get_xdata(), [0, 1, 2])
    assert axes.get_yscale() == "log" and len(axes.collections) == 1, "one run has no spread"
    assert elman.get_marker() != lstm.get_marker(), "colour alone tells cells apart"


def test_every_seed_is_a_dot_and_every_line_named():
    axes = FIGURES["form_scores"]().axes[0]
    flat, deep, ceiling, floor = axes.lines
    assert list(flat.get_ydata()) == [0.25, 0.5] and list(deep.get_ydata()) == [0.75]
    assert [bar.get_segments()[0][0][1] for bar in axes.collections] == [0.375, 0.75]
    assert ceiling.get_ydata()[0] == 1.0 and floor.get_ydata()[0] == 0.125
    assert ceiling.get_linestyle() != floor.get_linestyle()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["real: 1.00", "shuffled: 0.12"]
    assert plots.form_scores({"a": [0.5]}, CAPTION).axes[0].get_legend() is None


def test_the_names_of_models_do_not_run_into_each_other():
    names = ["flat LSTM", "hierarchical LSTM", "hierarchical LSTM with latents", "scheduled sampling of notes"]
    made = plots.form_scores({name: [0.5] for name in names}, CAPTION, floor=("shuffled phrases", 0.1))
    made.draw_without_rendering()
    boxes = [label.get_window_extent() for label in made.axes[0].get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize(
    "draw, says",
    [
        (lambda: plots.piano_roll([], CAPTION), "at least one tune; got none"),
        (lambda: plots.piano_roll({"a": [[C4, HOLD]]}, CAPTION), r"got shape \(1, 2\) for 'a'"),
        (lambda: plots.piano_roll([[C4, TOKENS]], CAPTION), rf"tokens\[1\] is {TOKENS}"),
        (lambda: plots.piano_roll([[0.5, 1.0]], CAPTION), "array of integers; got float64"),
        (lambda: plots.piano_roll([TUNE], CAPTION, length=0), "at least 1; got 0"),
        (lambda: plots.piano_roll([TUNE], CAPTION, 4, letters=["ABC"]), r"\[2\] letters here; got \['ABC'\]"),
        (lambda: plots.piano_roll([TUNE], CAPTION, 4, letters="AB"), r"\[2\] letters here; got 'AB'"),
        (lambda: plots.piano_roll([TUNE] * 2, CAPTION, 4, letters=["AB"]), r"\[2, 2\] letters here"),
        (lambda: plots.self_similarity({}, CAPTION), "at least one matrix; got none"),
        (
            lambda: plots.self_similarity({"a": np.ones((2, 3))}, CAPTION),
            r"'a'\] must be square, got shape \(2, 3\)",
        ),
        (lambda: plots.self_similarity({"a": np.eye(2)}, CAPTION, length=0), "at least 1; got 0"),
        (lambda: plots.phrase_similarity({"a": 2 * np.eye(2)}, CAPTION), r"in \[0, 1\]; got 0 to 2"),
        (lambda: plots.phrase_similarity({"a": np.full((2, 2), np.nan)}, CAPTION), "got nan to nan"),
        (lambda: plots.gradient_norms({"a": np.ones((2, 2, 2))}, CAPTION), r"got shape \(2, 2, 2\)"),
        (lambda: plots.gradient_norms({"a": [1.0, -1.0]}, CAPTION), r"'a'\] holds finite norms"),
        (lambda: plots.gradient_norms({"a": [np.nan]}, CAPTION), r"'a'\] holds finite norms"),
        (lambda: plots.form_scores({"a": [0.5, 1.5]}, CAPTION), r"from 0 to 1; got \[0.5, 1.5\] for 'a'"),
        (lambda: plots.form_scores({"a": []}, CAPTION), r"got \[\] for 'a'"),
        (lambda: plots.form_scores({"a": [0.5]}, CAPTION, floor=("b", np.nan)), "got nan for 'b'"),
    ],
)
def test_wrong_input_is_named(draw, says):
    with pytest.raises(ValueError, match=says):
        draw()
