"""Figures of how generated sets score beside real ones."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hvae_keras.plots.style import COLORS, DPI, MARKERS, show, styled

if TYPE_CHECKING:  # metrics import TensorFlow
    from hvae_keras.metrics import Score

COLUMNS = 4  # panels side by side
BAND = "#BBBBBB"


@styled
def score_dots(
    scores: Mapping[str, Mapping[str, "Score | Sequence[Score]"]], caption: str, alt: str = ""
) -> Figure | None:
    """Show the scores of some models, a panel a score: a dot for each seed with its interval, a row a model.

    The grey band is what real examples score: from the lowest to the highest end of the intervals of all floors.

    Args:
        scores: Name of a model -> name of a score -> its scores, one a seed, or a single one; as
            `Fidelity.measure` returns them. All models have the same scores.
        caption: What to see.
        alt: Alternative text, in place of the one made from the numbers.

    Raises:
        ValueError: if there is no model or no score, a model lacks a score, or the scores of a panel are of
            different numbers of examples or features: they cannot be compared.
    """
    panels = _panels(scores)
    columns, rows = min(COLUMNS, len(panels)), math.ceil(len(panels) / COLUMNS)
    height = 0.4 + rows * (0.95 + 0.36 * len(scores))
    made = Figure(figsize=(1.4 + 1.9 * columns, height), dpi=DPI, layout="constrained")
    grid = made.subplots(rows, columns, squeeze=False, sharey=True)
    told = []
    for axes, (name, models) in zip(grid.flat, panels.items(), strict=False):
        told.append(_draw_panel(axes, name, models))
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    grid[0, 0].set_ylim(len(scores) - 0.5, -0.5)
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(scores)), scores)
    made.legend(handles=[Patch(color=BAND, label="real examples")], loc="outside lower center")
    return show(made, caption, alt or f"Dots with intervals, means over seeds. {'; '.join(told)}.")


def _draw_panel(axes: Axes, name: str, models: Mapping[str, Sequence["Score"]]) -> str:
    """Draw one score of all models, and tell it."""
    every = [score for seeds in models.values() for score in seeds]
    floor = float(np.mean([score.floor for score in every]))
    low, high = min(score.floor_low for score in every), max(score.floor_high for score in every)
    axes.axvspan(low, high, color=BAND, linewidth=0)
    axes.axvline(floor, color="#555555", linewidth=1.2)
    means = []
    for row, (model, seeds) in enumerate(models.items()):
        places = row + 0.6 * ((np.arange(len(seeds)) + 0.5) / len(seeds) - 0.5)
        look = {"color": COLORS[row % len(COLORS)], "marker": MARKERS[row % len(MARKERS)], "markersize": 5}
        values = np.array([score.value for score in seeds])
        ends = np.array([(score.low, score.high) for score in seeds]).T
        axes.hlines(places, *ends, color=look["color"], linewidth=1.4)
        axes.plot(values, places, linestyle="", **look)
        means.append(f"{model} {values.mean():.3g}")
    better = "better →" if every[0].higher_is_better else "← better"
    axes.set_title(f"{name}\n{better}")
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    return f"{name}: {', '.join(means)}, real {floor:.3g}"


def _panels(scores: Mapping[str, Mapping]) -> dict[str, dict[str, list["Score"]]]:
    """Name of a score -> name of a model -> its scores; ValueError if they cannot stand side by side."""
    names = list(next(iter(scores.values()), ()))
    if not names:
        raise ValueError("scores holds at least one model with one score; got none")
    panels = {name: {} for name in names}
    for model, measured in scores.items():
        if missing := [name for name in names if name not in measured]:
            raise ValueError(f"{model!r} has no {', '.join(missing)}; expected {', '.join(names)}")
        for name in names:
            found = measured[name]
            panels[name][model] = list(found) if isinstance(found, Sequence) else [found]
            if not panels[name][model]:
                raise ValueError(f"{model!r} has no seed for {name}")
    for name, models in panels.items():
        sizes = sorted({(score.n, score.d) for seeds in models.values() for score in seeds})
        if len(sizes) > 1:
            told = ", ".join(f"n = {n} and d = {d}" for n, d in sizes)
            raise ValueError(f"scores of one name have one n and one d; got {told} for {name}")
    return panels
