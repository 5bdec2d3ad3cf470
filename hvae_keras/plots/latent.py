"""Figures of codes and of the spaces they span."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hvae_keras.plots.style import COLORS, figure, plain_log_ticks, show, styled

# One a digit. Black is left to what is drawn on top.
CLASS_COLORS = (*COLORS[:-1], "#6B4E16", "#4B0082", "#003F5C", "#555555")


def scatter_by_class(axes: Axes, z: np.ndarray, digit: np.ndarray) -> None:
    """Draw codes `[n, 2]` as the digit they belong to: the glyph tells classes apart, colour only helps."""
    for value in np.unique(digit):
        points = np.asarray(z)[digit == value]
        axes.plot(
            *points.T,
            linestyle="",
            marker=f"${value}$",
            markersize=6,
            color=CLASS_COLORS[value % len(CLASS_COLORS)],
            alpha=0.8,
        )


@styled
def principal_angles(
    epochs: np.ndarray, angles: Mapping[str, np.ndarray], caption: str, alt: str = ""
) -> Figure | None:
    """Show the largest principal angle between two subspaces, in degrees, over training.

    epochs `[t]`; angles: name of a run -> degrees `[t]`.
    """
    made, (axes,) = figure(height=3.2)
    for (name, degrees), dash in zip(angles.items(), ("-", "--", ":", "-."), strict=False):
        axes.plot(epochs, degrees, dash, label=name)
    axes.set(xlabel="epoch", ylabel="largest angle (degrees)", yscale="log")
    plain_log_ticks(axes.yaxis)
    axes.legend()
    last = ", ".join(f"{name} {degrees[-1]:.2g}" for name, degrees in angles.items())
    return show(made, caption, alt or f"Largest principal angle against epoch; at the end, in degrees: {last}.")


@styled
def heatmap(
    matrix: np.ndarray, xlabel: str, ylabel: str, colorbar: str, caption: str, alt: str = ""
) -> Figure | None:
    """Show a matrix of values in [0, 1], one square an entry, with its numbers."""
    matrix = np.asarray(matrix)
    rows, columns = matrix.shape
    made, (axes,) = figure(width=1.6 + 0.55 * columns, height=0.9 + 0.42 * rows)
    picture = axes.imshow(matrix, vmin=0, vmax=1, cmap="cividis", aspect="auto")
    for (row, column), value in np.ndenumerate(matrix):
        color = "white" if value < 0.6 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9, color=color)
    axes.set_xticks(range(columns), range(1, columns + 1))
    axes.set_yticks(range(rows), range(1, rows + 1))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.grid(False)
    made.colorbar(picture, label=colorbar)
    return show(
        made,
        caption,
        alt or f"Table of {rows} by {columns} values ({colorbar}), {matrix.min():.2f} to {matrix.max():.2f}.",
    )
