"""Figures: shown with caption and alternative text, never popping up, and drawn from the numbers given."""

import base64
import itertools
import struct
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from test_plots_adversarial import FIGURES as OF_GAMES
from test_plots_adversarial import SAYS as SAYS_OF_GAMES
from test_plots_evaluation import FIGURES as OF_SCORES
from test_plots_evaluation import SAYS as SAYS_OF_SCORES
from test_plots_levels import FIGURES as BY_LEVEL
from test_plots_levels import SAYS as SAYS_BY_LEVEL
from test_plots_music import FIGURES as OF_MUSIC
from test_plots_music import SAYS as SAYS_OF_MUSIC

from hvae_keras import plots
from hvae_keras.plots.images import tile_extent, tiled
from hvae_keras.plots.latent import CLASS_COLORS
from hvae_keras.plots.music import NOTE_COLORS
from hvae_keras.plots.style import COLORS, styled

CAPTION = "What to see."


def images(*shape):
    return np.random.default_rng(0).random((*shape, 6, 5, 1))


def history(*ends):
    return {"loss": [3.0, 2.0, ends[0]], "val_loss": [3.5, 2.5, ends[1]]}


FIGURES = {
    "bound_and_gap": lambda: plots.bound_and_gap(
        np.array([-1.0, 0, 1]), np.array([-9.0, -7.5, -8.0]), -7.25, 0.25, "mean of q", CAPTION
    ),
    "convergence": lambda: plots.convergence(
        [1, 10], {"a": np.array([[1.0, 2, 3], [2, 2.5, 3]])}, 2.75, "nats", CAPTION
    ),
    "dots": lambda: plots.dots([0, 1, 2], {"a": np.array([0.5, 0.6, 0.7])}, "digit", "AUROC", CAPTION, line=0.5),
    "error_by_size": lambda: plots.error_by_size(
        [2, 4], {"a, train": np.array([[3.0, 1.0], [5.0, 2.0]]), "a, validation": np.array([4.0, 2.0])}, CAPTION
    ),
    "estimator_histograms": lambda: plots.estimator_histograms(
        {"a": np.array([1.0, 3.0]), "b": np.array([2.0, 2.0])}, 2.0, "nats", CAPTION
    ),
    "heatmap": lambda: plots.heatmap(np.eye(2, 3), "column", "row", "value", CAPTION),
    "image_grid": lambda: plots.image_grid(
        [images(4), images(3)], CAPTION, row_labels=["above", "below"], column_labels=list("abcd")
    ),
    "latent_plane": lambda: plots.latent_plane(
        np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([4, 7]), images(2, 2), (0, 3, 0, 3), CAPTION, np.ones((1, 2))
    ),
    "principal_angles": lambda: plots.principal_angles([1, 2], {"seed 1": np.array([80.0, 0.25])}, CAPTION),
    "roc": lambda: plots.roc({"perfect": ([2.0, 3.0], [0.0, 1.0, 1.5]), "even": ([1.0], [1.0])}, CAPTION),
    "score_histogram": lambda: plots.score_histogram(
        {"in": np.array([1.0, 2, 9]), "out": np.ones(2)}, "score", CAPTION
    ),
    "training_curves": lambda: plots.training_curves(
        {"net": history(1.25, 1.5)}, CAPTION, ylabel="error", log=True
    ),
}

EVERY = {**FIGURES, **BY_LEVEL, **OF_MUSIC, **OF_GAMES, **OF_SCORES}


def test_every_public_figure_is_tested():
    assert {*EVERY, "show"} == set(plots.__all__)


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_returns_the_figure_outside_ipython(draw):
    made = draw()
    assert isinstance(made, Figure)
    assert all(axes.has_data() for axes in made.axes)


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_shows_a_small_png_with_alternative_text_and_caption(draw, shell):
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        returned = draw()
    assert returned is None, "IPython would draw a returned figure a second time"
    picture, caption = captured.outputs
    png = base64.b64decode(picture.data["image/png"])
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG") and 150 < width < 1000 and height < 700
    assert len(png) < 100_000
    assert len(picture.metadata["image/png"]["alt"]) > 20
    assert caption.data == {"text/markdown": f"*{CAPTION}*", "text/plain": CAPTION}


def alt_of(draw, shell):
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        draw()
    return captured.outputs[0].metadata["image/png"]["alt"]


@pytest.mark.parametrize(
    "name, says",
    [
        ("roc", "perfect: area 1.000; even: area 0.500"),
        ("score_histogram", "in 2, out 1"),
        ("training_curves", "net: train 1.25, validation 1.5"),
        ("error_by_size", "At size 4: a, train 1.5; a, validation 2"),
        ("principal_angles", "seed 1 0.25"),
        ("dots", "a mean 0.6"),
        ("bound_and_gap", "-9 nats at -1, at most -7.5, -8 at 1; log p(x) is -7.25, reached at 0.25"),
        ("convergence", "a: mean 2 at 1, 2.5 at 10"),
        ("estimator_histograms", "of 2: a 2 ± 1, b 2 ± 0"),
        ("image_grid", "rows: above, below; columns: a, b, c, d"),
        *SAYS_BY_LEVEL,
        *SAYS_OF_MUSIC,
        *SAYS_OF_GAMES,
        *SAYS_OF_SCORES,
    ],
)
def test_alternative_text_tells_the_numbers(name, says, shell):
    assert says in alt_of(EVERY[name], shell)


def test_alternative_text_can_be_written_by_the_lesson(shell):
    assert alt_of(lambda: plots.image_grid([images(2)], CAPTION, alt="Two  grey\n squares."), shell) == (
        "Two grey squares."
    )


def test_a_figure_without_words_is_refused():
    for caption, alt in (("", "alt"), ("caption", " ")):
        with pytest.raises(ValueError, match="needs a caption and an alternative text"):
            plots.show(Figure(), caption, alt)


def test_nothing_pops_up_and_nothing_heavy_is_imported():
    code = """
import sys
from hvae_keras import plots
plots.training_curves({"a": {"loss": [2, 1], "val_loss": [2, 1]}}, "caption")
print(*sys.modules)
"""
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "matplotlib.figure" in modules
    assert not {"matplotlib.pyplot", "tensorflow", "IPython"} & set(modules)


def test_drawing_leaves_the_readers_settings_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    FIGURES["heatmap"]()
    assert dict(matplotlib.rcParams) == before
    assert styled(lambda: matplotlib.rcParams["axes.grid"])() is True


def test_tiles_stand_where_they_should():
    """Row 1, image 2 of images 6 high and 5 wide, one white pixel between."""
    rows = [images(4), images(3)]
    canvas = tiled(rows)
    assert canvas.shape == (13, 23, 3)
    np.testing.assert_array_equal(canvas[7:13, 12:17, 0], rows[1][2, ..., 0])
    assert (canvas[6] == 1).all() and (canvas[:, 5] == 1).all() and (canvas[7:, 18:] == 1).all()
    assert tiled([np.full((1, 2, 2, 3), 7.0)]).max() == 1, "values are not clipped"


def test_a_decoded_image_is_centred_on_its_code():
    """3 columns at -1, 1, 3 of images 5 wide, and 2 rows at 4 and 0 of images 6 high: centres by pixel count."""
    left, right, bottom, top = tile_extent((2, 3, 6, 5, 1), (-1.0, 3.0, 0.0, 4.0))
    pixel = (right - left) / 17  # 5 + 1 + 5 + 1 + 5
    np.testing.assert_allclose([left + pixel * (2.5 + 6 * column) for column in range(3)], [-1, 1, 3])
    pixel = (top - bottom) / 13  # 6 + 1 + 6
    np.testing.assert_allclose([top - pixel * (3 + 7 * row) for row in range(2)], [4, 0], atol=1e-12)


def test_no_draw_is_cut_off():
    draws = np.array([[9.0, 0.0], [0.0, -7.0]])
    made = plots.latent_plane(np.zeros((1, 2)), np.array([3]), images(2, 2), (0, 3, 0, 3), CAPTION, draws)
    for axes in made.axes:
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert left < 0 and right > 9 and bottom < -7 and top > 3


@pytest.mark.parametrize("runs", [1, 3, 6])
def test_the_legend_of_training_curves_covers_no_line(runs):
    names = ["a name of some length", *"bcdef"][:runs]
    made = plots.training_curves({name: history(i, i + 0.5) for i, name in enumerate(names)}, CAPTION)
    made.draw_without_rendering()
    (axes,) = made.axes
    assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1
    assert axes.get_window_extent().width > made.bbox.width / 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [*names, "train", "validation"]


def test_many_sizes_keep_few_ticks():
    made = plots.error_by_size(range(1, 65), {"a": np.linspace(2, 1, 64)}, CAPTION)
    np.testing.assert_array_equal(made.axes[0].get_xticks(), [1, 2, 4, 8, 16, 32, 64])
    assert len(made.axes[0].lines[0].get_xdata()) == 64


def test_image_grid_names_a_wrong_shape():
    with pytest.raises(ValueError, match=r"\[n, height, width, 1 or 3\], got one of shape \(2, 8, 8\)"):
        plots.image_grid([np.zeros((2, 8, 8))], CAPTION)


def test_labels_are_inside_the_picture(shell):
    """A long row label widens the PNG by about its own width; before, it was cut off."""
    from IPython.utils.capture import capture_output

    widths = []
    for label in ("a", "a label of some length, to be read whole"):
        with capture_output() as captured:
            plots.image_grid([images(4)], CAPTION, row_labels=[label])
        png = base64.b64decode(captured.outputs[0].data["image/png"])
        widths.append(struct.unpack(">I", png[16:20])[0])
    assert widths[1] - widths[0] > 250


# Colour vision deficiencies as matrices on linear RGB (Machado, Oliveira, Fernandes, 2009, severity 1).
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


@pytest.mark.parametrize(
    "colors", [COLORS, (*CLASS_COLORS, "#000000"), NOTE_COLORS], ids=["lines", "classes and draws", "notes"]
)
@pytest.mark.parametrize("deficiency", DEFICIENCIES.values(), ids=DEFICIENCIES)
def test_colours_stay_apart_with_colour_blindness(deficiency, colors):
    """CIE 1976 differences of at least 10, where 2.3 is just noticeable."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    seen = []
    for color in colors:
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        xyz = to_xyz @ np.clip(np.asarray(deficiency) @ linear, 0, 1) / to_xyz.sum(axis=1)
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        seen.append([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
    closest = min(np.linalg.norm(np.subtract(a, b)) for a, b in itertools.combinations(seen, 2))
    assert closest > 10


def test_images_are_as_large_as_asked_for():
    """An image and its gap of a pixel: twice the inches, twice the width of the figure."""
    rows = np.zeros((2, 3, 4, 4, 1))
    small, large = (plots.image_grid(rows, caption="c", size=size).get_figwidth() for size in (0.5, 1.0))
    assert large == 2 * small == 3.0
