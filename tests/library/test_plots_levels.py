"""Figures of hierarchies: drawn from the numbers given, told in the alternative text, clear about wrong input."""

import numpy as np
import pytest

from hvae_keras import plots

CAPTION = "What to see."
HISTORY = {
    "kl_2": [0.5, 0.25],
    "val_kl_2": [0.5, 0.75],
    "kl_1": [1.0, 4.0],
    "val_kl_1": [1.0, 5.0],
    "beta_1": [0.0, 1.0],
}


def images(*shape):
    return np.random.default_rng(0).random((*shape, 6, 5, 1))


TOP = {"pose": 2, "skin": 2}
SHARES = np.array([[0.5, 0.0, 0.25, np.nan], [0.0, 0.75, 0.0, np.nan]])

FIGURES = {
    "factors_by_level": lambda: plots.factors_by_level(
        SHARES, ["level 1", "level 2"], ["eyes", "pose", "nose", "skin"], {"eyes": 1, "nose": 1} | TOP, CAPTION
    ),
    "information_by_level": lambda: plots.information_by_level(
        np.array([[0.1, 0.9], [1.2, 0.0]]), ["level 1", "level 2"], ["shape", "x"], CAPTION
    ),
    "latent_map": lambda: plots.latent_map(
        {"level 1": np.array([[0.0, 1], [2, 3]]), "level 2": np.ones((2, 2))}, {"shape": np.array([0, 2])}, CAPTION
    ),
    "level_kl": lambda: plots.level_kl(HISTORY, CAPTION),
    "rate_distortion": lambda: plots.rate_distortion(
        {"trained": ([3.0, 1.0], [5.0, 9.0]), "exact": ([0.0, 4.0], [9.0, 4.0])},
        CAPTION,
        betas={"trained": [1.0, 4.0]},
        equal_elbo=-8.0,
    ),
    "reconstructions_by_level": lambda: plots.reconstructions_by_level(
        np.zeros((2, 6, 5, 1)), {1: np.zeros((2, 6, 5, 1)), 2: np.ones((2, 6, 5, 1))}, CAPTION
    ),
    "traversals": lambda: plots.traversals(
        {"level 1": images(2, 3), "level 2": images(1, 3)}, CAPTION, steps=(-1, 0, 1), row_labels={"level 1": "ab"}
    ),
    "unit_kl": lambda: plots.unit_kl({"level 1": np.array([0.001, 2, 0.5]), "level 2": np.zeros(2)}, CAPTION),
}


SAYS = [
    (
        "factors_by_level",
        "level 1 of the data (eyes, nose): level 1 0.38, level 2 0.00; "
        "level 2 of the data (pose, skin): level 1 0.00, level 2 0.75",
    ),
    ("information_by_level", "shape: most in level 2, 1.20; x: most in level 1, 0.90"),
    ("latent_map", "Codes of 2 examples, coloured by shape. Spread: level 1 1 by 1; level 2 0 by 0"),
    ("level_kl", "level 1 4 (validation 5), level 2 0.25 (validation 0.75)"),
    ("rate_distortion", "trained: from rate 1 distortion 9 to rate 3 distortion 5"),
    ("reconstructions_by_level", "z1 to z2 0, z2 alone 30"),
    ("traversals", "Walks of 3 images, a block of rows each for level 1, level 2"),
    ("unit_kl", "level 1: 2 of 3 units above 0.01, largest 2; level 2: 0 of 2"),
]


def test_levels_are_drawn_from_1_to_l_each_with_a_mark_of_its_own():
    lines = [line for line in FIGURES["level_kl"]().axes[0].lines if len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in lines] == [
        HISTORY[k] for k in ("kl_1", "val_kl_1", "kl_2", "val_kl_2")
    ]
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-", "--"]
    assert lines[0].get_marker() != lines[2].get_marker(), "colour alone tells levels apart"


def test_a_flat_model_is_one_level():
    lines = plots.level_kl({"loss": [3.0, 2.0], "kl": [1.0, 2.0]}, CAPTION).axes[0].lines
    assert list(lines[0].get_ydata()) == [1.0, 2.0]


def test_units_are_sorted_and_counted():
    panel = FIGURES["unit_kl"]().axes[0]
    heights = [bar.get_height() for bar in panel.patches]
    assert heights == sorted(heights, reverse=True) and heights[:2] == [2, 0.5]
    assert [bool(bar.get_hatch()) for bar in panel.patches] == [False, False, True]
    assert panel.get_title() == "level 1\n2 of 3"


def test_every_beta_stands_at_its_point():
    axes = FIGURES["rate_distortion"]().axes[0]
    assert {(text.get_text(), text.xy) for text in axes.texts} == {("1", (3.0, 5.0)), ("4", (1.0, 9.0))}
    assert len(axes.lines) == 3, "two curves and the line of equal ELBO"


def test_points_need_not_be_joined():
    made = plots.rate_distortion({"a": ([1.0, 2.0], [2.0, 1.0])}, CAPTION, betas={"a": [2, 1]}, joined=False)
    assert made.axes[0].lines[0].get_linestyle() == "None"


def test_walks_lie_below_their_level_and_steps_above_their_column():
    axes = FIGURES["traversals"]().axes[0]
    canvas = np.asarray(axes.images[0].get_array())
    block = images(1, 3)
    assert canvas.shape == (13 + 5 + 6, 17, 3)
    np.testing.assert_array_equal(canvas[18:24, 12:17, 0], block[0, 2, ..., 0])
    assert (canvas[13:18] == 1).all()
    np.testing.assert_allclose(axes.get_xticks(), [2, 8, 14])
    assert [text.get_text() for text in axes.texts] == ["a", "b"]


def test_factors_stand_by_level_of_the_data_and_what_is_no_number_is_a_dash():
    made = FIGURES["factors_by_level"]()
    panels = made.axes[:2]
    assert [axes.get_title() for axes in panels] == ["level 1 of the data", "level 2 of the data"]
    names = [[label.get_text() for label in axes.get_xticklabels()] for axes in panels]
    assert names == [["eyes", "nose"], ["pose", "skin"]]
    assert [text.get_text() for text in panels[1].texts] == ["0.00", "–", "0.75", "–"]
    np.testing.assert_array_equal(panels[0].images[0].get_array(), SHARES[:, [0, 2]])


def test_the_scale_ends_where_it_is_told_and_many_names_are_turned():
    names = [f"factor {i}" for i in range(9)]
    made = plots.factors_by_level(np.ones((1, 9)), ["level 1"], names, dict.fromkeys(names, 3), CAPTION, top=2.0)
    axes = made.axes[0]
    assert axes.images[0].get_clim() == (0, 2)
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {50}
    assert {text.get_color() for text in axes.texts} == {"white"}, "black on dark blue"


@pytest.mark.parametrize(
    "draw, says",
    [
        (
            lambda: plots.factors_by_level(np.ones((2, 2)), ["a"], ["b", "c"], {"b": 1, "c": 1}, CAPTION),
            r"values must be \[1, 2\], got shape \(2, 2\)",
        ),
        (
            lambda: plots.factors_by_level(np.ones((1, 2)), ["a"], ["b", "c"], {"b": 1}, CAPTION),
            "levels needs the level of every factor, at least one; lacks c",
        ),
        (lambda: plots.level_kl({"loss": [1.0]}, CAPTION), "needs the keys kl_1 to kl_L, or kl; got loss"),
        (lambda: plots.traversals({"level 1": images(3)}, CAPTION), r"got \(3, 6, 5, 1\) for 'level 1'"),
        (
            lambda: plots.traversals({"a": images(2, 3), "b": images(2, 4)}, CAPTION),
            r"differ in rows alone; got \(2, 4, 6, 5, 1\) for 'b'",
        ),
        (
            lambda: plots.reconstructions_by_level(images(2), {1: images(3)}, CAPTION),
            r"reconstructions\[1\] must have the shape of x",
        ),
        (lambda: plots.latent_map({"z": np.ones((3, 4))}, {"f": np.zeros(3)}, CAPTION), r"must be \[n, 2\]"),
        (
            lambda: plots.rate_distortion({"a": ([1, 2], [2, 1])}, CAPTION, betas={"a": [1]}),
            "one number for each point of a curve; got 1 for 'a'",
        ),
        (lambda: plots.information_by_level(np.ones((2, 3)), "ab", "cd", CAPTION), r"must be \[2, 2\], got"),
    ],
)
def test_wrong_input_is_named(draw, says):
    with pytest.raises(ValueError, match=says):
        draw()
