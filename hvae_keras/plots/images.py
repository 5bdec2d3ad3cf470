"""Figures made of images: grids with labels, and a plane of codes with what the decoder makes of it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hvae_keras.plots.latent import scatter_by_class
from hvae_keras.plots.style import DPI, figure, show, styled


@styled
def image_grid(
    rows: Sequence[np.ndarray],
    caption: str,
    row_labels: Sequence[object] = (),
    column_labels: Sequence[object] = (),
    alt: str = "",
    size: float | None = None,
) -> Figure | None:
    """Show images in rows.

    rows: one array `[n, height, width, channels]` a row (or one array with a leading axis), values clipped to
    [0, 1], 1 or 3 channels. Rows may differ in length. size: width of an image in inches; by default 0.6, or less
    where a row would be wider than a page.
    """
    rows = [np.asarray(row) for row in rows]
    row_labels, column_labels = [str(label) for label in row_labels], [str(label) for label in column_labels]
    for row in rows:
        if row.ndim != 4 or row.shape[-1] not in (1, 3):
            raise ValueError(f"rows must be arrays [n, height, width, 1 or 3], got one of shape {row.shape}")
    longest = max(len(row) for row in rows)
    height, width = rows[0].shape[1] + 1, rows[0].shape[2] + 1  # one pixel of gap
    cell = min(0.6, 5.5 / longest) if size is None else size
    made = Figure(figsize=(cell * longest, cell * len(rows) * height / width), dpi=DPI)
    axes = made.add_axes((0, 0, 1, 1))  # labels stand outside; `show` keeps what stands outside
    axes.imshow(tiled(rows), vmin=0, vmax=1)
    axes.set_yticks([height * (r + 0.5) - 0.5 for r in range(len(row_labels))], row_labels)
    axes.set_xticks([width * (c + 0.5) - 0.5 for c in range(len(column_labels))], column_labels)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    if not alt:
        alt = f"Grid of images, {len(rows)} rows of up to {longest}"
        alt += f"; rows: {', '.join(row_labels)}" if len(row_labels) else ""
        alt += f"; columns: {', '.join(column_labels)}" if len(column_labels) else ""
    return show(made, caption, alt)


def tiled(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Lay rows of images out on one white RGB canvas, a pixel of gap between them."""
    longest = max(len(row) for row in rows)
    h, w = rows[0].shape[1:3]
    canvas = np.ones((len(rows) * (h + 1) - 1, longest * (w + 1) - 1, 3))
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            canvas[r * (h + 1) : r * (h + 1) + h, c * (w + 1) : c * (w + 1) + w] = np.clip(image, 0, 1)
    return canvas


@styled
def latent_plane(
    z: np.ndarray,
    digit: np.ndarray,
    images: np.ndarray,
    extent: tuple[float, float, float, float],
    caption: str,
    draws: np.ndarray | None = None,
    alt: str = "",
) -> Figure | None:
    """Show two-dimensional codes beside what the decoder makes of a grid over the same plane.

    z: codes `[n, 2]`, drawn as the digit they belong to (`digit` `[n]`, 0..9). images: `[rows, columns, height,
    width, 1]`, decoded at `linspace(left, right, columns)` and `linspace(top, bottom, rows)` of `extent` =
    (left, right, bottom, top): each image is centred on its code. draws: `[m, 2]`, further codes, as crosses.
    Both panels show the whole grid and every draw; codes outside of that are cut off.
    """
    images = np.asarray(images)
    made, (left, right) = figure(2, width=9.0, height=4.5)
    scatter_by_class(left, z, digit)
    outer = tile_extent(images.shape, extent)
    limits = np.reshape(outer, (2, 2))
    if draws is not None:
        look = {"markersize": 9, "markeredgecolor": "white", "markeredgewidth": 1.0, "zorder": 3}
        left.plot(*np.asarray(draws).T, "kX", **look)
        margin = 0.03 * np.diff(limits)[:, 0]  # room for half a cross
        limits[:, 0] = np.minimum(limits[:, 0], np.min(draws, axis=0) - margin)
        limits[:, 1] = np.maximum(limits[:, 1], np.max(draws, axis=0) + margin)
    left.set(xlabel="z, first coordinate", ylabel="z, second coordinate")
    left.set_title("codes of images" + ("" if draws is None else "; × random draws"))
    right.imshow(tiled(images), vmin=0, vmax=1, extent=outer, aspect="auto")
    right.set(xlabel="z, first coordinate", title="what the decoder makes of each place")
    right.grid(False)
    for axes in (left, right):
        axes.set(xlim=limits[0], ylim=limits[1])
    return show(
        made,
        caption,
        alt
        or f"Left: {len(z)} codes in a plane, drawn as their digits. Right: images decoded from a grid over the "
        f"same plane, {extent[0]:.3g} to {extent[1]:.3g} by {extent[2]:.3g} to {extent[3]:.3g}.",
    )


def tile_extent(
    shape: tuple[int, ...], extent: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """Return the outer edges of tiled images whose outermost centres lie on `extent`.

    shape: `(rows, columns, height, width, ...)`. A tile is a pixel wider than its image: the gap.
    """
    (rows, columns, height, width), (left, right, bottom, top) = shape[:4], extent
    x = (right - left) / max(columns - 1, 1) * width / (width + 1) / 2
    y = (top - bottom) / max(rows - 1, 1) * height / (height + 1) / 2
    return left - x, right + x, bottom - y, top + y
