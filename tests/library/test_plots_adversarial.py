"""Figures of games: the ideal discriminator, every mode counted, numbers told, clear about wrong input."""

import numpy as np
import pytest
from matplotlib.patches import Circle

from hvae_keras import plots

CAPTION = "What to see."
PLACES = np.array([0.0, 1.0, 2.0, 3.0])
REAL = np.array([0.0, 0.5, 0.5, 0.0])
# Generated: a half at 1, where the data are, and a half at 0, where they are not. At 3 nobody is.
GENERATED = np.array([0.5, 0.5, 0.0, 0.0])
CENTRES = np.array([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [0.0, -2.0]])
# Of ten points six in the right circle, two in the upper one, one in the middle, one far away.
POINTS = np.array([[2.0, 0.1]] * 6 + [[0.2, 2.0]] * 2 + [[0.0, 0.0]] + [[0.0, 99.0]])
RULES = {"sky above ground": [0.5, 0.75], "one light": [1.0, 0.5]}


def history(*levels, validation=True):
    """Two epochs; the numbers tell level, term and whether they are of validation."""
    terms = {"discriminator_loss": 10, "generator_loss": 20, "accuracy": 0.5}
    made = {f"{term}{level}": [value, value * 1.5] for term, value in terms.items() for level in levels}
    if validation:
        made |= {f"val_{name}": [values[0], values[0] * 1.25] for name, values in made.items()}
    return made


FIGURES = {
    "game": lambda: plots.game({"step 0": (GENERATED, np.full(4, 0.5))}, PLACES, REAL, CAPTION),
    "gradient_by_score": lambda: plots.gradient_by_score(
        np.array([0.01, 0.5, 0.1]),
        {"minimax": [0.02, 1.0, 0.2], "saturated": [0.0, 0.5, 0.25]},
        CAPTION,
    ),
    "modes": lambda: plots.modes({"minimax": POINTS, "hinge": CENTRES}, CENTRES, 0.3, CAPTION),
    "players": lambda: plots.players(history("_1", "_2"), CAPTION, levels={2: "sketches", 1: "pictures"}),
    "rule_bars": lambda: plots.rule_bars(
        {"flat": RULES, "two levels": {"one light": 0.75, "sky above ground": 1.0}},
        CAPTION,
        ceiling=("real pictures", {"sky above ground": 1.0, "one light": 0.875}),
    ),
}

SAYS = [
    ("game", "step 0: densities overlap by 0.50, gap to the ideal discriminator 0.25"),
    ("gradient_by_score", "at 0.5 and at 0.01: minimax 1 and 0.02; saturated 0.5 and 0."),
    (
        "modes",
        "each of 4 circles. minimax: 60 %, 20 %, 0 %, 0 %; 80 % in any. hinge: 25 %, 25 %, 25 %, 25 %; 100 %",
    ),
    (
        "players",
        "sketches: discriminator loss 2 15 (validation 12.5), generator loss 2 30 (validation 25), accuracy",
    ),
    (
        "rule_bars",
        "flat: sky above ground 0.62, one light 0.75; two levels: sky above ground 1.00, one light 0.75",
    ),
    ("rule_bars", "real pictures: sky above ground 1.00, one light 0.88"),
]


def beside(legend, panels):
    """Whether a legend stands to the right of all panels, inside the picture."""
    legend.figure.draw_without_rendering()
    box = legend.get_window_extent()
    return box.x0 >= max(axes.get_window_extent().x1 for axes in panels)


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


# The game


def test_the_ideal_discriminator_is_the_share_of_the_data_and_nothing_where_nobody_is():
    above, below = FIGURES["game"]().axes
    np.testing.assert_allclose(lines(below)["ideal"].get_ydata(), [0, 0.5, 1, np.nan])
    np.testing.assert_array_equal(lines(below)["as trained"].get_ydata(), 0.5)
    np.testing.assert_array_equal(lines(above)["data"].get_ydata(), REAL)
    np.testing.assert_array_equal(lines(above)["generator"].get_ydata(), GENERATED)
    assert below.get_title() == "gap 0.25", "a half where x is 0 and 2, none at 1, as many real as generated"


def test_two_normal_densities_have_the_logistic_function_as_their_ideal():
    """log p / q of normals of deviation 1 about 1 and -1 is 2x, so that the ideal is 1 / (1 + exp(-2x))."""
    x = np.linspace(-6, 6, 121)
    real, generated = (np.exp(-((x - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (1, -1))
    best = 1 / (1 + np.exp(-2 * x))
    below = plots.game({"end": (generated, best)}, x, real, CAPTION).axes[1]
    np.testing.assert_allclose(lines(below)["ideal"].get_ydata(), best, rtol=1e-9)
    assert below.get_title() == "gap 0.00"


def test_uneven_places_weigh_what_they_span():
    """A finer grid on one half of the line changes no number: both halves are constant."""
    for places in (np.linspace(0, 2, 2001), np.r_[np.linspace(0, 1, 4000), np.linspace(1, 2, 500)[1:]]):
        generated = np.where(places < 1, 0.25, 0.75)
        below = plots.game({"a": (generated, np.full_like(places, 1.0))}, places, 0 * places + 0.5, CAPTION).axes[
            1
        ]
        assert below.get_title() == "gap 0.50"  # ideal 2/3 and 2/5, weighed 3 to 5


def test_a_collapsed_generator_does_not_press_the_data_flat():
    spike = np.array([0.0, 0.0, 0.0, 20.0])
    low, high = (plots.game({"a": (g, REAL)}, PLACES, REAL, CAPTION).axes[0] for g in (GENERATED, spike))
    assert REAL.max() < low.get_ylim()[1] < 2 * REAL.max() and not low.texts
    assert high.get_ylim()[1] < 4 * REAL.max()
    assert [text.get_text() for text in high.texts] == ["up to 20"]


# The modes


def test_every_circle_has_its_share_beside_it_and_is_dotted_if_empty():
    axes = FIGURES["modes"]().axes[0]
    circles = [patch for patch in axes.patches if isinstance(patch, Circle)]
    np.testing.assert_array_equal([circle.center for circle in circles], CENTRES)
    assert {circle.radius for circle in circles} == {0.3}
    assert [circle.get_linestyle() for circle in circles] == ["-", "-", ":", ":"]
    numbers = {text.xy: text.get_text() for text in axes.texts if text.get_text().endswith("%")}
    assert numbers == {(2.3, 0): "60 %", (0, 2.3): "20 %", (-2.3, 0): "0 %", (0, -2.3): "0 %"}
    assert axes.get_title() == "minimax\n80 % in circles"


def test_what_is_not_drawn_is_counted():
    left, right = FIGURES["modes"]().axes
    assert [text.get_text() for text in left.texts if "shown" in text.get_text()] == ["1 not shown"]
    assert not [text for text in right.texts if "shown" in text.get_text()]
    assert left.get_ylim() == right.get_ylim() and left.get_ylim()[1] < 5


def test_a_point_in_two_circles_is_counted_once_in_the_nearer():
    made = plots.modes({"a": [[0.4, 0.0], [0.6, 0.0]]}, [[0.0, 0.0], [1.0, 0.0]], 0.9, CAPTION)
    assert [text.get_text() for text in made.axes[0].texts] == ["50 %", "50 %"]
    assert made.axes[0].get_title().endswith("100 % in circles")


@pytest.mark.parametrize("n", range(1, 7))
def test_one_to_six_panels_fit_a_page_and_no_number_leaves_its_panel_or_covers_another(n):
    angles = 2 * np.pi * np.arange(8) / 8
    ring = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    made = plots.modes({f"panel {i}": ring for i in range(n)}, ring, 0.3, CAPTION)
    made.draw_without_rendering()
    page = made.get_tightbbox()  # inches
    assert page.width < 10 and page.height < 7 and len(made.axes) == n
    for axes in made.axes:
        inside, boxes = axes.get_window_extent(), [text.get_window_extent() for text in axes.texts]
        assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)
        assert all(inside.y0 <= box.y0 and box.y1 <= inside.y1 for box in boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert sum(axes.get_xlabel() != "" for axes in made.axes) == (n if n <= 3 else -(-n // 2))


# The players


def test_each_level_has_a_row_with_what_the_history_holds():
    made = FIGURES["players"]()
    assert len(made.axes) == 4
    left, right, below, _ = made.axes
    assert left.get_title(loc="left").startswith("sketches")
    assert below.get_title(loc="left").startswith("pictures")
    drawn = [(line.get_linestyle(), *line.get_ydata()) for line in left.lines]
    assert drawn == [("-", 10, 15), ("--", 10, 12.5), ("-", 20, 30), ("--", 20, 25)]
    assert [(*line.get_ydata(),) for line in right.lines] == [(0.5, 0.75), (0.5, 0.625), (0.5, 0.5)]
    assert left.lines[0].get_marker() != left.lines[2].get_marker(), "colour alone tells players apart"


def test_by_default_every_level_is_shown_the_highest_first():
    titles = [axes.get_title(loc="left") for axes in plots.players(history("_1", "_10", "_2"), CAPTION).axes[::2]]
    assert titles == ["level 10: losses", "level 2: losses", "level 1: losses"]


def test_one_pair_without_validation_has_one_row_and_no_dashes():
    made = plots.players(history("", validation=False), CAPTION)
    assert [axes.get_title(loc="left") for axes in made.axes] == ["losses", "discriminator"]
    names = [text.get_text() for text in made.legends[0].get_texts()]
    assert names == ["discriminator", "generator", "guessing"]


def test_an_accuracy_far_below_guessing_is_seen():
    terms = {**history("", validation=False), "accuracy": [0.5, 0.01]}
    low, high = plots.players(terms, CAPTION).axes[1].get_ylim()
    assert low < 0.01 and high > 1


# The gradient


def test_gradients_are_drawn_from_a_guess_to_certainty_and_end_at_zero():
    axes = FIGURES["gradient_by_score"]().axes[0]
    minimax, saturated = axes.lines
    np.testing.assert_array_equal(minimax.get_xdata(), [0.5, 0.1, 0.01])
    np.testing.assert_array_equal(minimax.get_ydata(), [1.0, 0.2, 0.02])
    np.testing.assert_array_equal(saturated.get_ydata(), [0.5, 0.25, np.nan])
    assert axes.get_xlim()[0] > axes.get_xlim()[1] and axes.get_xscale() == axes.get_yscale() == "log"
    assert minimax.get_marker() != saturated.get_marker() and minimax.get_linestyle() != saturated.get_linestyle()
    assert minimax.get_linewidth() > saturated.get_linewidth(), "an equal curve above would hide it"
    ticks = {label.get_text() for label in axes.get_xticklabels()}
    assert {"0.5", "$10^{-1}$", "$10^{-2}$"} == ticks


# The rules


def test_every_seed_is_a_dot_in_the_row_of_its_rule():
    axes = FIGURES["rule_bars"]().axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(RULES)
    dots = [line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_xdata())]
    found = [(line.get_marker(), round(line.get_ydata()[0]), list(line.get_xdata())) for line in dots]
    assert found == [
        ("o", 0, [0.5, 0.75]),
        ("o", 1, [1.0, 0.5]),
        ("s", 0, [1.0]),
        ("s", 1, [0.75]),
    ]
    bars = [[segment[0][0] for segment in group.get_segments()] for group in axes.collections]
    assert bars == [[0.625, 0.75], [1.0, 0.75], [1.0, 0.875]], "means of both models, and the real pictures"
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first rule is at the top"


@pytest.mark.parametrize("models", [1, 2, 5])
def test_marks_of_models_do_not_meet_and_stay_in_their_row(models):
    """In pixels, with seven rules: a mark is 5.5 points, 7.6 pixels, high."""
    scores = {f"model {i}": {f"rule {k}": 0.5 for k in range(7)} for i in range(models)}
    made = plots.rule_bars(scores, CAPTION)
    made.draw_without_rendering()
    (axes,) = made.axes
    marks = [line for line in axes.lines if line.get_marker() != "None" and len(line.get_xdata())]
    heights = np.sort([mark.get_ydata()[0] for mark in marks])
    assert len(heights) == 7 * models
    np.testing.assert_array_equal(np.round(heights), np.repeat(np.arange(7), models))
    pixels = axes.transData.transform([(0.5, height) for height in heights])[:, 1]
    assert np.abs(np.diff(pixels)).min() > 7.6


@pytest.mark.parametrize("name", ["game", "gradient_by_score", "players", "rule_bars"])
def test_legends_stand_beside_the_panels(name):
    made = FIGURES[name]()
    legends = [*made.legends, *(axes.get_legend() for axes in made.axes if axes.get_legend())]
    assert legends and all(beside(legend, made.axes) for legend in legends)


ONE = {"a": (GENERATED, np.full(4, 0.5))}


@pytest.mark.parametrize(
    "draw, says",
    [
        (lambda: plots.game({}, PLACES, REAL, CAPTION), "1 to 5 moments; got 0"),
        (lambda: plots.game({str(i): ONE["a"] for i in range(6)}, PLACES, REAL, CAPTION), "5 moments; got 6"),
        (lambda: plots.game(ONE, PLACES[::-1], REAL, CAPTION), "rising numbers"),
        (lambda: plots.game(ONE, PLACES, REAL[:2], CAPTION), r"real is a density.*4 places; got shape \(2,\)"),
        (lambda: plots.game(ONE, PLACES, -REAL, CAPTION), "real is a density, finite.*got -0.5 to -?0"),
        (lambda: plots.game(ONE, PLACES, 0 * REAL, CAPTION), "real is a density, finite.*got 0 to 0"),
        (lambda: plots.game({"a": (REAL * np.nan, REAL)}, PLACES, REAL, CAPTION), r"snapshots\['a'\]\[0\] is a"),
        (lambda: plots.game({"a": (REAL, 3 * REAL)}, PLACES, REAL, CAPTION), r"\['a'\]\[1\] holds.*got 0 to 1.5"),
        (lambda: plots.game({"a": (REAL, [0.5])}, PLACES, REAL, CAPTION), r"\['a'\]\[1\] is.*got shape \(1,\)"),
        (lambda: plots.modes({}, CENTRES, 0.3, CAPTION), "1 to 6 sets of points; got 0"),
        (lambda: plots.modes({str(i): POINTS for i in range(7)}, CENTRES, 0.3, CAPTION), "points; got 7"),
        (lambda: plots.modes({"a": POINTS}, CENTRES, 0.0, CAPTION), "radius is above 0; got 0.0"),
        (lambda: plots.modes({"a": POINTS}, CENTRES[0], 0.3, CAPTION), r"centres holds.*got shape \(2,\)"),
        (lambda: plots.modes({"a": POINTS.T}, CENTRES, 0.3, CAPTION), r"panels\['a'\].*got shape \(2, 10\)"),
        (lambda: plots.modes({"a": POINTS * np.nan}, CENTRES, 0.3, CAPTION), r"panels\['a'\] holds finite"),
        (lambda: plots.players({"loss": [1.0]}, CAPTION), "lacks discriminator_loss, .*; it has loss"),
        (lambda: plots.players(history("_1"), CAPTION, {2: "top"}), "history lacks discriminator_loss_2"),
        (lambda: plots.players({**history("_1"), "accuracy_1": []}, CAPTION), "history lacks accuracy_1;"),
        (lambda: plots.players(history("_1"), CAPTION, [1]), r"level -> its title; got \[1\]"),
        (lambda: plots.gradient_by_score([0.5, 0.0], {"a": [1, 1]}, CAPTION), r"below 1; got \[0.5, 0.0\]"),
        (lambda: plots.gradient_by_score([0.5, 0.1], {}, CAPTION), "at least one loss; got none"),
        (lambda: plots.gradient_by_score([0.5, 0.1], {"a": [1.0]}, CAPTION), r"curves\['a'\] holds 2"),
        (lambda: plots.gradient_by_score([0.5, 0.1], {"a": [1, -1]}, CAPTION), r"curves\['a'\] holds 2"),
        (lambda: plots.rule_bars({}, CAPTION, ceiling=("real", RULES)), "at least one model with one rule"),
        (lambda: plots.rule_bars({"a": RULES, "b": {"one light": 1}}, CAPTION), "'b' has no share for sky above"),
        (lambda: plots.rule_bars({"a": RULES}, CAPTION, ("real", {})), "'real' has no share for sky above"),
        (lambda: plots.rule_bars({"a": {"r": [0.5, 1.5]}}, CAPTION), r"got \[0.5, 1.5\] for 'a', 'r'"),
        (lambda: plots.rule_bars({"a": {"r": []}}, CAPTION), r"got \[\] for 'a', 'r'"),
    ],
)
def test_wrong_input_is_named(draw, says):
    with pytest.raises(ValueError, match=says):
        draw()
