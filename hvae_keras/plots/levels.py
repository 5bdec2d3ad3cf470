"""Figures of a hierarchy: what each level costs, what it knows, and what the decoder makes of it."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from hvae_keras.plots.images import image_grid, tiled
from hvae_keras.plots.style import COLORS, DPI, MARKERS, figure, show, styled

GROUP_GAP = 5  # pixels of white between the images of two levels


@styled
def level_kl(
    history: Mapping[str, Sequence[float]], caption: str, ylabel: str = "KL, nats per example", alt: str = ""
) -> Figure | None:
    """Show the KL of each level against the epoch, train (solid) and validation (dashed).

    history: `history.history` of Keras, with keys `kl_1` to `kl_L` (`kl` for a model of one level) and, where
    there was validation, the same with `val_` in front.
    """
    names = sorted((name for name in history if name.startswith("kl_")), key=lambda name: int(name[3:]))
    names = names or [name for name in history if name == "kl"]
    if not names:
        raise ValueError(f"history needs the keys kl_1 to kl_L, or kl; got {', '.join(history)}")
    made, (axes,) = figure(height=3.4)
    ends = []
    for i, name in enumerate(names):
        look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)], "markersize": 5}
        epochs = np.arange(1, len(history[name]) + 1)
        few = max(1, len(epochs) // 8)
        axes.plot(epochs, history[name], markevery=(i * few // len(names), few), label=f"level {i + 1}", **look)
        ends.append(f"level {i + 1} {history[name][-1]:.3g}")
        if f"val_{name}" in history:
            axes.plot(epochs, history[f"val_{name}"], "--", color=look["color"])
            ends[-1] += f" (validation {history[f'val_{name}'][-1]:.3g})"
    axes.plot([], [], "-", color="#777777", label="train")
    axes.plot([], [], "--", color="#777777", label="validation")
    axes.set(xlabel="epoch", ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return show(made, caption, alt or f"{ylabel} of each level against epoch. At the end: {', '.join(ends)}.")


@styled
def unit_kl(
    kl: Mapping[str, np.ndarray],
    caption: str,
    threshold: float = 0.01,
    ylabel: str = "KL, nats",
    alt: str = "",
) -> Figure | None:
    """Show the KL of every latent unit, largest first, a panel a level, on a logarithmic axis.

    kl: label of a level -> nats `[units]`, means over the data. Units above `threshold`, the black line, count
    as active; the others are hatched. What is below a hundredth of the threshold is drawn there.
    """
    sizes = [np.size(values) for values in kl.values()]
    ratios = [max(size, 11) for size in sizes]  # a level of few units still has room for its title
    made, panels = figure(len(kl), width=8.0, height=3.2, sharey=True, width_ratios=ratios)
    floor, counts = threshold / 100, []
    for axes, (label, values) in zip(panels, kl.items(), strict=True):
        values = np.sort(np.ravel(values))[::-1]
        active = int(np.sum(values > threshold))
        places, tops = np.arange(1, len(values) + 1), np.maximum(values, floor)
        axes.bar(places[:active], tops[:active], color=COLORS[0], width=0.85)
        axes.bar(places[active:], tops[active:], color="white", edgecolor=COLORS[1], hatch="////", width=0.85)
        axes.axhline(threshold, color="black", linewidth=1)
        axes.set(yscale="log", title=f"{label}\n{active} of {len(values)}", xlabel="unit")
        axes.set_xticks([1, len(values)] if len(values) > 1 else [1])
        axes.set_xlim(0.3, len(values) + 0.7)
        counts.append(f"{label}: {active} of {len(values)} units above {threshold:g}, largest {values[0]:.2g}")
    panels[0].set(ylabel=ylabel, ylim=(floor, None))
    return show(made, caption, alt or f"Bars of {ylabel} for each unit, sorted. {'; '.join(counts)}.")


@styled
def traversals(
    images: Mapping[str, np.ndarray],
    caption: str,
    steps: Sequence[float] = (),
    row_labels: Mapping[str, Sequence[object]] | None = None,
    alt: str = "",
) -> Figure | None:
    """Show walks through the latents of each level, a block of rows a level.

    images: label of a level -> `[rows, columns, height, width, channels]`, values clipped to [0, 1]; one row is
    one walk. steps: where the columns stand, written above. row_labels: label of a level -> one a row, written
    at the right.
    """
    blocks = {label: np.asarray(block) for label, block in images.items()}
    for label, block in blocks.items():
        if (
            block.ndim != 5
            or block.shape[-1] not in (1, 3)
            or block.shape[1:] != next(iter(blocks.values())).shape[1:]
        ):
            raise ValueError(
                "images holds arrays [rows, columns, height, width, 1 or 3] that differ in rows alone; "
                f"got {block.shape} for {label!r}"
            )
    _, columns, h, w, _ = next(iter(blocks.values())).shape
    canvases = [tiled(list(block)) for block in blocks.values()]
    tops = np.cumsum([0] + [len(canvas) + GROUP_GAP for canvas in canvases])
    picture = np.ones((tops[-1] - GROUP_GAP, canvases[0].shape[1], 3))
    for top, canvas in zip(tops, canvases, strict=False):
        picture[top : top + len(canvas)] = canvas
    width = min(0.6 * columns, 5.5)  # inches
    made = Figure(figsize=(width, width * picture.shape[0] / picture.shape[1]), dpi=DPI)
    axes = made.add_axes((0, 0, 1, 1))  # labels stand outside; `show` keeps what stands outside
    axes.imshow(picture)
    axes.set_yticks([top + len(canvas) / 2 - 0.5 for top, canvas in zip(tops, canvases, strict=False)], blocks)
    axes.set_xticks([(w + 1) * (c + 0.5) - 1 for c in range(len(steps))], [f"{step:g}" for step in steps])
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    for top, label in zip(tops, blocks, strict=False):
        for row, text in enumerate((row_labels or {}).get(label, ())):
            axes.text(picture.shape[1] + 1, top + (h + 1) * (row + 0.5) - 1, str(text), va="center")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    change = ", ".join(f"{label} {_change(block):.2g}" for label, block in blocks.items())
    return show(
        made,
        caption,
        alt
        or f"Walks of {columns} images, a block of rows each for {', '.join(blocks)}. Squared change of an "
        f"image from the first column to the last, summed over its pixels, mean over rows: {change}.",
    )


def _change(block: np.ndarray) -> float:
    """Squared difference of last and first column, summed over an image, mean over rows."""
    return float(np.mean(np.sum((block[:, -1] - block[:, 0]) ** 2, axis=(1, 2, 3))))


def reconstructions_by_level(
    x: np.ndarray, reconstructions: Mapping[int, np.ndarray], caption: str, alt: str = ""
) -> Figure | None:
    """Show images over what is left of them when only the levels from k to the top are inferred.

    x: `[n, height, width, channels]`. reconstructions: k -> `model.reconstruct(x, from_level=k)`, same shape.
    """
    x = np.asarray(x)
    for k, images in reconstructions.items():
        if np.shape(images) != x.shape:
            raise ValueError(f"reconstructions[{k}] must have the shape of x, {x.shape}; got {np.shape(images)}")
    top = max(reconstructions)
    labels = {k: f"z{k} to z{top}" if k < top else f"z{k} alone" for k in reconstructions}
    errors = {k: np.mean(np.sum((images - x) ** 2, axis=(1, 2, 3))) for k, images in reconstructions.items()}
    told = ", ".join(f"{labels[k]} {errors[k]:.3g}" for k in reconstructions)
    return image_grid(
        [x, *reconstructions.values()],
        caption,
        row_labels=["x", *labels.values()],
        alt=alt or f"{len(x)} images and their reconstructions from some levels. Squared error an image: {told}.",
    )


@styled
def latent_map(
    codes: Mapping[str, np.ndarray], factors: Mapping[str, np.ndarray], caption: str, alt: str = ""
) -> Figure | None:
    """Show two-dimensional codes, a row of panels for each level, a column for each factor that colours them.

    codes: label of a level -> z `[n, 2]`. factors: name -> index `[n]`, integers from 0. Small values are dark;
    up to seven values differ in their markers too.
    """
    rows, columns = len(codes), len(factors)
    width = min(9.0, 3.4 * columns + 0.6)
    made = Figure(figsize=(width, (width / columns * 0.82 + 0.1) * rows), dpi=DPI, layout="constrained")
    panels = made.subplots(rows, columns, squeeze=False)
    spreads = []
    for row, (label, z) in zip(panels, codes.items(), strict=True):
        z = np.asarray(z)
        if z.ndim != 2 or z.shape[1] != 2:
            raise ValueError(f"codes[{label!r}] must be [n, 2], got shape {z.shape}")
        spreads.append(f"{label} {z[:, 0].std():.2g} by {z[:, 1].std():.2g}")
        for axes, (name, index) in zip(row, factors.items(), strict=True):
            values, last = np.unique(index), max(int(np.max(index)), 1)
            for value in values:
                marker = MARKERS[int(value) % len(MARKERS)] if last < len(MARKERS) else "o"
                look = {"c": np.full(np.sum(index == value), value), "vmin": 0, "vmax": last, "cmap": "viridis"}
                drawn = axes.scatter(*z[index == value].T, s=16, marker=marker, linewidths=0, alpha=0.8, **look)
            axes.set(xlabel="first coordinate", title=f"{label}, by {name}")
            made.colorbar(drawn, ax=axes, ticks=values if len(values) < 10 else None).solids.set(alpha=1)
        row[0].set_ylabel("second coordinate")
    told = f"Codes of {len(z)} examples, coloured by {', '.join(factors)}. Spread: {'; '.join(spreads)}."
    return show(made, caption, alt or told)


@styled
def information_by_level(
    information: np.ndarray,
    levels: Sequence[object],
    factors: Sequence[object],
    caption: str,
    unit: str = "nats",
    alt: str = "",
) -> Figure | None:
    """Show a table of information, one square an entry, with its numbers.

    information: `[levels, factors]`, not negative. levels and factors: what to write at rows and columns; rows may
    as well be single latent units. unit: written at the scale.
    """
    information = np.asarray(information)
    if information.shape != (len(levels), len(factors)):
        raise ValueError(f"information must be [{len(levels)}, {len(factors)}], got shape {information.shape}")
    widest = max(len(str(level)) for level in levels)
    made, (axes,) = figure(width=1.9 + 0.9 * len(factors) + 0.08 * widest, height=0.9 + 0.42 * len(levels))
    picture = _table(axes, information, factors, max(float(information.max()), 1e-12))
    axes.set_yticks(range(len(levels)), levels)
    made.colorbar(picture, label=unit)
    best = "; ".join(
        f"{factor}: most in {levels[int(np.argmax(column))]}, {np.max(column):.2f}"
        for factor, column in zip(factors, information.T, strict=True)
    )
    return show(
        made, caption, alt or f"Table of numbers in {unit}, {len(levels)} rows by {len(factors)} columns. {best}."
    )


@styled
def factors_by_level(
    values: np.ndarray,
    rows: Sequence[object],
    factors: Sequence[str],
    levels: Mapping[str, int],
    caption: str,
    scale: str = "share of the examples",
    top: float = 1.0,
    alt: str = "",
) -> Figure | None:
    """Show a number for each level of a model and each factor of the data, a panel a level of the data.

    values: `[rows, factors]`, not negative, such as the shares of `metrics.factors_changed`; NaN, where there is
    no number, is a dash. rows: what to write beside them, level 1 first, so that a hierarchy shows as a diagonal.
    levels: factor -> its level, such as `Dataset.levels`. scale: written at the scale, which ends at `top`.
    """
    values = np.asarray(values, "float64")
    if values.shape != (len(rows), len(factors)):
        raise ValueError(f"values must be [{len(rows)}, {len(factors)}], got shape {values.shape}")
    missing = [factor for factor in factors if factor not in levels]
    if missing or not len(factors):
        raise ValueError(f"levels needs the level of every factor, at least one; lacks {', '.join(missing)}")
    groups = {level: [i for i, f in enumerate(factors) if levels[f] == level] for level in sorted(levels.values())}
    groups = {level: columns for level, columns in groups.items() if columns}
    crowded = len(factors) > 6  # numbers still fit, names only if they are turned
    widest = max(len(str(row)) for row in rows)
    made, panels = figure(
        len(groups),
        width=1.5 + (0.5 if crowded else 0.9) * len(factors) + 0.1 * widest,
        height=(2.1 if crowded else 1.4) + 0.42 * len(rows),
        width_ratios=[len(columns) for columns in groups.values()],
        sharey=True,
    )
    told = []
    for axes, (level, columns) in zip(panels, groups.items(), strict=True):
        names = [factors[i] for i in columns]
        picture = _table(axes, values[:, columns], names, top)
        axes.set_title(f"level {level} of the data")
        if crowded:
            axes.set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor")
        means = [row[~np.isnan(row)] for row in values[:, columns]]
        means = ", ".join(f"{row} {np.mean(m):.2f}" for row, m in zip(rows, means, strict=True) if len(m))
        told.append(f"level {level} of the data ({', '.join(names)}): {means or 'none'}")
    panels[0].set_yticks(range(len(rows)), rows)
    made.colorbar(picture, ax=panels, label=scale)
    return show(made, caption, alt or f"Table of {scale}. Means over the factors of {'; '.join(told)}.")


def _table(axes: Axes, values: np.ndarray, columns: Sequence[object], top: float) -> AxesImage:
    """Draw values from 0 to `top` as squares with their numbers; NaN is a dash on white."""
    picture = axes.imshow(values, vmin=0, vmax=top, cmap="cividis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value < 0.6 * top else "black"
        text = "–" if np.isnan(value) else f"{value:.2f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=color)
    axes.set_xticks(range(len(columns)), columns)
    axes.tick_params(length=0)
    axes.grid(False)
    return picture
