"""Figures of scores: every seed a dot in the row of its model, real examples behind, wrong input named."""

import dataclasses

import numpy as np
import pytest

from hvae_keras import plots
from hvae_keras.metrics import Score

CAPTION = "What to see."


def score(value, name="recall", floor=0.75, **changes):
    made = Score(name, value, value - 0.125, value + 0.25, floor, floor - 0.25, floor + 0.125, 500, 64, True)
    return dataclasses.replace(made, **changes)


SCORES = {
    "one level": {
        "Fréchet distance": [score(3.0, higher_is_better=False), score(4.0, higher_is_better=False)],
        "recall": [score(0.25), score(0.75)],
    },
    "two levels": {"recall": score(0.5), "Fréchet distance": [score(2.0, higher_is_better=False)]},
}

FIGURES = {"score_dots": lambda: plots.score_dots(SCORES, CAPTION)}
SAYS = [
    (
        "score_dots",
        "means over seeds. Fréchet distance: one level 3.5, two levels 2, real 0.75; recall: one level 0.5",
    ),
]


def dots(axes):
    return [line for line in axes.lines if line.get_marker() != "None"]


def test_every_seed_is_a_dot_with_its_interval_in_the_row_of_its_model():
    distance, recall = FIGURES["score_dots"]().axes
    assert [label.get_text() for label in distance.get_yticklabels()] == ["one level", "two levels"]
    for axes, expected in ((distance, [[3, 4], [2]]), (recall, [[0.25, 0.75], [0.5]])):
        assert [list(line.get_xdata()) for line in dots(axes)] == expected
        for row, (line, bars) in enumerate(zip(dots(axes), axes.collections, strict=True)):
            np.testing.assert_array_equal(np.round(line.get_ydata()), row)
            ends = [segment[:, 0].tolist() for segment in bars.get_segments()]
            assert ends == [[value - 0.125, value + 0.25] for value in expected[row]]
            assert [segment[0, 1] for segment in bars.get_segments()] == list(line.get_ydata())
    assert distance.get_ylim()[0] > distance.get_ylim()[1], "the first model is at the top"
    assert distance.get_title() == "Fréchet distance\n← better" and recall.get_title() == "recall\nbetter →"
    assert dots(recall)[0].get_marker() != dots(recall)[1].get_marker()


def test_the_band_spans_the_intervals_of_all_floors():
    made = plots.score_dots({"a": {"recall": [score(0.5, floor=0.5), score(0.5, floor=0.75)]}}, CAPTION)
    (axes,) = made.axes
    (band,) = axes.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == (0.25, 0.875)
    assert next(line for line in axes.lines if line not in dots(axes)).get_xdata()[0] == 0.625
    assert [text.get_text() for text in made.legends[0].get_texts()] == ["real examples"]


@pytest.mark.parametrize("n", range(1, 8))
def test_one_to_seven_scores_fit_a_page_and_no_title_covers_another(n):
    scores = {
        f"a model of some length {i}": {f"Fréchet distance {k}": score(0.5) for k in range(n)} for i in range(4)
    }
    made = plots.score_dots(scores, CAPTION)
    made.draw_without_rendering()
    page = made.get_tightbbox()  # inches
    assert len(made.axes) == n and page.width < 10 and page.height < 7
    boxes = [axes.title.get_window_extent() for axes in made.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ({}, "at least one model with one score; got none"),
        ({"a": {}}, "at least one model with one score; got none"),
        (
            {**SCORES, "b": {"recall": score(1.0)}},
            "'b' has no Fréchet distance; expected Fréchet distance, recall",
        ),
        ({"a": {"recall": []}}, "'a' has no seed for recall"),
        (
            {"a": {"recall": score(0.5)}, "b": {"recall": score(0.5, n=900)}},
            "one n and one d; got n = 500 and d = 64, n = 900 and d = 64 for recall",
        ),
        ({"a": {"recall": [score(0.5), score(0.5, d=8)]}}, "got n = 500 and d = 8, n = 500 and d = 64 for recall"),
    ],
)
def test_wrong_input_is_named(scores, says):
    with pytest.raises(ValueError, match=says):
        plots.score_dots(scores, CAPTION)


def test_a_score_by_size_has_its_own_label_and_needs_no_exact_value():
    sizes, curves = [10, 100], {"a": np.array([[4.0, 6.0], [1.0, 2.0]])}
    made = plots.convergence(sizes, curves, None, "Fréchet distance", CAPTION, xlabel="examples")
    (axes,) = made.axes
    assert axes.get_xlabel() == "examples" and axes.get_xscale() == "log"
    assert [list(line.get_ydata()) for line in axes.lines] == [[5, 1.5]]
    assert len(plots.convergence(sizes, curves, 0, "Fréchet distance", CAPTION).axes[0].lines) == 2
