"""Figures of the game of generator and discriminator: who is ahead, what is learned, and what is forgotten."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from hvae_keras.plots.style import COLORS, DPI, MARKERS, figure, show, styled

PLAYERS = ("discriminator", "generator")
DASHES = ("-", "--", "-.", ":")
MOST_MOMENTS = 5  # more panels side by side, or more of them with numbers inside, cannot be read on a page
MOST_PANELS = 6
HEADROOM = 3  # heights of the data: a generator that has collapsed must not press them flat
FEWEST = 0.005  # a smaller share is written as "0 %"


@styled
def game(
    snapshots: Mapping[str, tuple[np.ndarray, np.ndarray]],
    places: np.ndarray,
    real: np.ndarray,
    caption: str,
    alt: str = "",
) -> Figure | None:
    """Show two players on a line at a few moments of training, a column a moment.

    Above: the density of the data and that of the generator. Below: the discriminator as trained, and the ideal
    one, p_data(x) / (p_data(x) + p_model(x)) (Goodfellow et al. 2014, proposition 1), which has no value where
    neither has any density. The gap in a title is the mean of |trained - ideal| over x, half from the data and
    half from the generator. A peak more than three times as high as the data's is cut off, its height written.

    Args:
        snapshots: Title of a moment, such as "step 100" -> (density of the generator, p(real|x) as the
            discriminator has it), each `[k]`; 1 to 5 moments.
        places: x, `[k]`, rising: where the densities are known, such as the middles of a histogram's bins (wide
            ones: with few points in a bin the ideal discriminator is drawn from noise).
        real: Density of the data, `[k]`.
        caption: What to see.
        alt: Alternative text, in place of the one made from the numbers.

    Raises:
        ValueError: if a shape differs, a density is negative or nowhere positive, a p(real|x) is not in [0, 1],
            or there are too many moments.
    """
    places, real = _checked_places(places), np.asarray(real, "float64")
    _check_density(real, "real", len(places))
    if not 1 <= len(snapshots) <= MOST_MOMENTS:
        raise ValueError(f"snapshots holds 1 to {MOST_MOMENTS} moments; got {len(snapshots)}")
    made = Figure(figsize=(9.0, 4.4), dpi=DPI, layout="constrained")
    grid = made.subplots(2, len(snapshots), squeeze=False, sharex=True, sharey="row")
    told = []
    for column, (title, (generated, judged)) in zip(grid.T, snapshots.items(), strict=True):
        generated, judged = np.asarray(generated, "float64"), np.asarray(judged, "float64")
        _check_density(generated, f"snapshots[{title!r}][0]", len(places))
        _check_share(judged, f"snapshots[{title!r}][1]", len(places))
        both = real + generated
        ideal = np.divide(real, both, out=np.full(len(places), np.nan), where=both > 0)
        width = np.gradient(places)
        gap = np.nansum(both * width * np.abs(judged - ideal)) / (both * width).sum()
        overlap = (np.minimum(real, generated) * width).sum()
        _draw_densities(column[0], places, real, generated)
        _draw_discriminators(column[1], places, judged, ideal)
        column[0].set_title(title)
        column[1].set_title(f"gap {gap:.2f}")
        told.append(f"{title}: densities overlap by {overlap:.2f}, gap to the ideal discriminator {gap:.2f}")
    for row, label in zip(grid, ("density", "p(real|x)"), strict=True):
        row[0].set_ylabel(label)
        row[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    for axes in grid[1]:
        axes.set(xlabel="x", ylim=(-0.05, 1.05), xlim=(places[0], places[-1]))
        axes.xaxis.set_major_locator(MaxNLocator(4))
    highest = max(np.max(generated) for generated, _ in snapshots.values())
    grid[0, 0].set_ylim(0, 1.08 * min(max(highest, real.max()), HEADROOM * real.max()))
    return show(made, caption, alt or f"Densities and discriminator on a line. {'; '.join(told)}.")


def _draw_densities(axes: Axes, places: np.ndarray, real: np.ndarray, generated: np.ndarray) -> None:
    axes.fill_between(places, generated, color=COLORS[1], alpha=0.3, linewidth=0)
    axes.plot(places, generated, color=COLORS[1], linewidth=1.2, label="generator")
    axes.plot(places, real, "--", color="black", label="data")
    peak = generated.argmax()
    if generated[peak] > HEADROOM * real.max():
        left = peak > len(places) / 2  # the number stands on the side with more room
        look = {"ha": "right" if left else "left", "va": "top", "fontsize": 9, "textcoords": "offset points"}
        at, aside = (places[peak], 0.98), (-8 if left else 8, 0)
        axes.annotate(f"up to {generated[peak]:.2g}", at, aside, xycoords=axes.get_xaxis_transform(), **look)


def _draw_discriminators(axes: Axes, places: np.ndarray, judged: np.ndarray, ideal: np.ndarray) -> None:
    axes.axhline(0.5, color="#777777", linewidth=1.3, linestyle=":", label="guessing")
    axes.plot(places, judged, color=COLORS[0], linewidth=2.4, label="as trained")
    axes.plot(places, ideal, "--", color="black", label="ideal")


def _checked_places(places: np.ndarray) -> np.ndarray:
    places = np.asarray(places, "float64")
    if places.ndim != 1 or len(places) < 2 or not (np.diff(places) > 0).all():
        raise ValueError(f"places holds two or more rising numbers, [k]; got an array of shape {places.shape}")
    return places


def _check_density(values: np.ndarray, name: str, places: int) -> None:
    if values.shape != (places,):
        raise ValueError(f"{name} is a density at each of {places} places; got shape {values.shape}")
    if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
        raise ValueError(
            f"{name} is a density, finite, at least 0 and somewhere above; "
            f"got {values.min():g} to {values.max():g}"
        )


def _check_share(values: np.ndarray, name: str, places: int) -> None:
    if values.shape != (places,):
        raise ValueError(f"{name} is p(real|x) at each of {places} places; got shape {values.shape}")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{name} holds numbers from 0 to 1; got {values.min():g} to {values.max():g}")


@styled
def modes(
    panels: Mapping[str, np.ndarray], centres: np.ndarray, radius: float, caption: str, alt: str = ""
) -> Figure | None:
    """Show which modes points of the plane have found, and how many stand in none.

    Each circle has beside it the share of the points that it holds, and is dotted if that is less than 0.5 %.
    Each title ends with the share in any circle. What is far from all of them is not drawn, but counted in a
    corner.

    Args:
        panels: Title -> points `[n, 2]`; 1 to 6 panels.
        centres: Where the modes are, `[k, 2]`.
        radius: Of the circles, such as three standard deviations of a mode.
        caption: What to see.
        alt: Alternative text, in place of the one made from the numbers.

    Raises:
        ValueError: for another shape, points that are not finite, a radius of 0 or less, or too many panels.
    """
    centres = _checked_points(centres, "centres")
    if not radius > 0:
        raise ValueError(f"radius is above 0; got {radius!r}")
    if not 1 <= len(panels) <= MOST_PANELS:
        raise ValueError(f"panels holds 1 to {MOST_PANELS} sets of points; got {len(panels)}")
    columns = len(panels) if len(panels) <= 3 else -(-len(panels) // 2)
    rows = -(-len(panels) // columns)
    side = 3.2 if rows == 1 and columns < 3 else 2.9
    made = Figure(figsize=(side * columns + 0.3, (side + 0.45) * rows), dpi=DPI, layout="constrained")
    grid = made.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    limits = _window(centres, radius)
    told = []
    for axes, (title, points) in zip(grid.flat, panels.items(), strict=False):
        points = _checked_points(points, f"panels[{title!r}]")
        shares, anywhere = _held(points, centres, radius)
        axes.plot(*points.T, ".", color=COLORS[0], markersize=3, alpha=0.35, markeredgewidth=0)
        _draw_circles(axes, centres, radius, shares)
        away = int(((points < limits[:, 0]) | (points > limits[:, 1])).any(axis=1).sum())
        if away:
            axes.text(0.02, 0.02, f"{away} not shown", transform=axes.transAxes, fontsize=9, style="italic")
        axes.set(title=f"{title}\n{_percent(anywhere)} in circles", aspect="equal")
        axes.set(xlim=limits[0], ylim=limits[1])
        told.append(f"{title}: {', '.join(map(_percent, shares))}; {_percent(anywhere)} in any")
    for axes in list(grid.flat[: len(panels)])[-columns:]:  # the lowest one of each column
        axes.set_xlabel("first coordinate")
        axes.tick_params(labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("second coordinate")
    return show(made, caption, alt or f"Share of the points in each of {len(centres)} circles. {'. '.join(told)}.")


def _checked_points(points: np.ndarray, name: str) -> np.ndarray:
    points = np.asarray(points, "float64")
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"{name} holds points of the plane, [n, 2]; got shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"{name} holds finite numbers; got one that is not")
    return points


def _window(centres: np.ndarray, radius: float) -> np.ndarray:
    """What is shown, `[2, (low, high)]`: the circles, and room for the numbers beside them."""
    low, high = centres.min(axis=0), centres.max(axis=0)
    return np.stack([low, high], axis=1) + np.array([-1, 1]) * (2 * radius + 0.2 * max(high - low))


def _held(points: np.ndarray, centres: np.ndarray, radius: float) -> tuple[np.ndarray, float]:
    """The share of the points in each circle `[k]`, each point in the nearest one only; and in any of them."""
    distances = np.linalg.norm(points[:, None] - centres, axis=2)
    nearest = distances.argmin(axis=1)[distances.min(axis=1) <= radius]
    shares = np.bincount(nearest, minlength=len(centres)) / len(points)
    return shares, float(shares.sum())


def _draw_circles(axes: Axes, centres: np.ndarray, radius: float, shares: np.ndarray) -> None:
    """The circles, dotted where they are empty, with their shares on the side away from the middle."""
    middle = centres.mean(axis=0)
    for centre, share in zip(centres, shares, strict=True):
        dash = "-" if share >= FEWEST else ":"
        axes.add_patch(Circle(centre, radius, fill=False, color="black", linewidth=1.2, linestyle=dash, zorder=3))
        out = centre - middle
        size = np.linalg.norm(out)
        out = out / size if size > 1e-9 else np.array([0.0, 1.0])
        look = {"ha": _side(out[0], "right", "left"), "va": _side(out[1], "top", "bottom"), "fontsize": 9}
        axes.annotate(_percent(share), centre + radius * out, 4 * out, textcoords="offset points", **look)


def _side(direction: float, before: str, after: str) -> str:
    """How a text stands that begins here and leads away in this direction."""
    return "center" if abs(direction) < 0.3 else after if direction > 0 else before


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


@styled
def players(
    history: Mapping[str, Sequence[float]],
    caption: str,
    levels: Mapping[int, str] | None = None,
    alt: str = "",
) -> Figure | None:
    """Show both losses, and how well the discriminator tells, by epoch: a row a level, training solid.

    Args:
        history: `history.history` of an adversarial model, with keys `discriminator_loss`, `generator_loss` and
            `accuracy`, or the same with `_1` to `_L` behind (`MultiLevelGAN`); where there was validation, also
            with `val_` in front, dashed. The accuracy is the share of pairs of a real and a generated example in
            which the real one has the higher score: one half is guessing.
        caption: What to see.
        levels: Number of a level -> its title, from the top row down. By default all of them, the highest first.
        alt: Alternative text, in place of the one made from the numbers.

    Raises:
        ValueError: if the history lacks a key, or `levels` has no titles.
    """
    rows = _rows(history, levels)
    made = Figure(figsize=(8.5, 0.8 + 2.3 * len(rows)), dpi=DPI, layout="constrained")
    grid = made.subplots(len(rows), 2, squeeze=False, sharex=True)
    told = []
    for (left, right), (suffix, title) in zip(grid, rows.items(), strict=True):
        ends = [_draw_term(left, history, f"{who}_loss{suffix}", i) for i, who in enumerate(PLAYERS)]
        ends += [_draw_term(right, history, f"accuracy{suffix}", 0)]
        right.axhline(0.5, color="black", linestyle=":", linewidth=1.3)
        left.set(ylabel="loss")
        right.set(ylabel="accuracy", ylim=(min(0.4, right.get_ylim()[0]), 1.03))
        left.set_title(f"{title}: losses" if title else "losses", loc="left")
        right.set_title(f"{title}: discriminator" if title else "discriminator", loc="left")
        told.append(f"{title}: {', '.join(ends)}" if title else ", ".join(ends))
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    made.legend(handles=_legend(any(name.startswith("val_") for name in history)), loc="outside right center")
    return show(made, caption, alt or f"Losses and accuracy against epoch. At the end, {'; '.join(told)}.")


def _rows(history: Mapping[str, Sequence[float]], levels: Mapping[int, str] | None) -> dict[str, str]:
    """What the keys of each level end with -> its title."""
    if levels is None:
        found = [re.fullmatch(r"discriminator_loss_(\d+)", name) for name in history]
        numbers = sorted((int(match[1]) for match in found if match), reverse=True)
        levels = {number: f"level {number}" for number in numbers}
    if not isinstance(levels, Mapping):
        raise ValueError(f"levels is the number of a level -> its title; got {levels!r}")
    rows = {f"_{number}": title for number, title in levels.items()} or {"": ""}
    needed = [f"{term}{end}" for end in rows for term in ("discriminator_loss", "generator_loss", "accuracy")]
    missing = [name for name in needed if not len(history.get(name, ()))]
    if missing:
        raise ValueError(f"history lacks {', '.join(missing)}; it has {', '.join(history) or 'nothing'}")
    return rows


def _draw_term(axes: Axes, history: Mapping[str, Sequence[float]], name: str, player: int) -> str:
    """Draw a term of the logs, in training and validation, and tell how it ended."""
    look = {"color": COLORS[player], "marker": MARKERS[player], "markersize": 4.5}
    epochs = np.arange(1, len(history[name]) + 1)
    few = max(1, len(epochs) // 6)
    axes.plot(epochs, history[name], markevery=(player * few // 2, few), **look)
    told = f"{name.replace('_', ' ')} {history[name][-1]:.3g}"
    if f"val_{name}" in history:
        axes.plot(epochs, history[f"val_{name}"], "--", linewidth=1.3, color=look["color"])
        told += f" (validation {history[f'val_{name}'][-1]:.3g})"
    return told


def _legend(validation: bool) -> list[Line2D]:
    drawn = [
        Line2D([], [], color=COLORS[i], marker=MARKERS[i], markersize=4.5, label=who)
        for i, who in enumerate(PLAYERS)
    ]
    if validation:
        drawn += [Line2D([], [], color="#777777", label="train")]
        drawn += [Line2D([], [], color="#777777", linestyle="--", linewidth=1.3, label="validation")]
    return [*drawn, Line2D([], [], color="black", linestyle=":", linewidth=1.3, label="guessing")]


@styled
def gradient_by_score(
    probabilities: np.ndarray,
    curves: Mapping[str, np.ndarray],
    caption: str,
    ylabel: str = "size of the generator's gradient",
    alt: str = "",
) -> Figure | None:
    """Show how large the generator's gradient is as the discriminator grows sure, both axes logarithmic.

    Args:
        probabilities: p(real|x) of generated x, `[k]`, above 0 and below 1, in any order. Drawn from the largest
            one, at the left, to the smallest.
        curves: Name of a loss -> `[k]`, at least 0. A zero has no place on the axis: the line ends there.
        caption: What to see.
        ylabel: What the curves are.
        alt: Alternative text, in place of the one made from the numbers.

    Raises:
        ValueError: for another shape, a probability out of range, no curve, or one that is negative or not finite.
    """
    p = np.asarray(probabilities, "float64")
    if p.ndim != 1 or len(p) < 2 or not ((p > 0) & (p < 1)).all():
        raise ValueError(f"probabilities holds two or more numbers above 0 and below 1; got {probabilities!r}")
    if not curves:
        raise ValueError("curves holds at least one loss; got none")
    made, (axes,) = figure(height=3.6)
    order, few, told = np.argsort(-p), max(1, len(p) // 6), []
    for i, (name, values) in enumerate(curves.items()):
        values = np.asarray(values, "float64")
        if values.shape != p.shape or not (values >= 0).all() or np.isinf(values).any():
            raise ValueError(f"curves[{name!r}] holds {len(p)} finite numbers, at least 0; got {values!r}")
        look = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)], "markersize": 5.5}
        look |= {"linestyle": DASHES[i % len(DASHES)], "markevery": (i * few // len(curves), few)}
        look["linewidth"] = 1.8 + 0.7 * (len(curves) - 1 - i)  # a line under another one still shows at its sides
        sizes = values[order]
        axes.plot(p[order], np.where(sizes > 0, sizes, np.nan), label=name, **look)
        told.append(f"{name} {sizes[0]:.2g} and {sizes[-1]:.2g}")
    axes.set(xscale="log", yscale="log", xlabel="p(real|x) of a generated x", ylabel=ylabel)
    powers = range(-1, int(np.floor(np.log10(p.min()))) - 1, -1)
    ticks = {0.5: "0.5"} | {10.0**power: f"$10^{{{power}}}$" for power in powers}
    axes.set_xticks(list(ticks), ticks.values())
    axes.set_xticks([], minor=True)
    axes.set_xlim(p.max() * 1.15, p.min() / 1.15)  # the discriminator is surest at the right
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    spoken = f"{ylabel} against p(real|x), at {p.max():.2g} and at {p.min():.2g}: {'; '.join(told)}."
    return show(made, caption, alt or spoken)


@styled
def rule_bars(
    scores: Mapping[str, Mapping[str, np.ndarray | float]],
    caption: str,
    ceiling: tuple[str, Mapping[str, float]] | None = None,
    xlabel: str = "share of pictures that keep the rule",
    alt: str = "",
) -> Figure | None:
    """Show how often each model keeps each rule: a dot for each seed and a bar at their mean, a row a rule.

    Args:
        scores: Name of a model -> rule -> shares in [0, 1], one a seed `[seeds]`, or one number. All models have
            the same rules.
        caption: What to see.
        ceiling: (name, rule -> share), what to compare with, such as real pictures: a black line in each row.
        xlabel: What the shares are.
        alt: Alternative text, in place of the one made from the numbers.

    Raises:
        ValueError: if there is no model or no rule, a model lacks a rule, or a value is outside [0, 1].
    """
    rules = _checked_rules(scores, ceiling)
    made, (axes,) = figure(width=8.5, height=1.0 + (0.22 + 0.16 * len(scores)) * len(rules))
    shifts = 0.7 * ((np.arange(len(scores)) + 0.5) / len(scores) - 0.5)
    rows, told = np.arange(len(rules)), []
    for i, (shift, (name, kept)) in enumerate(zip(shifts, scores.items(), strict=True)):
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
        means = np.array([np.mean(kept[rule]) for rule in rules])
        for row, rule in zip(rows, rules, strict=True):
            seeds = np.ravel(kept[rule])
            axes.plot(seeds, np.full(len(seeds), row + shift), marker, color=color, markersize=5.5, alpha=0.5)
        top, bottom = rows + shift - 0.35 / len(scores), rows + shift + 0.35 / len(scores)
        axes.vlines(means, top, bottom, color=color, linewidth=2.4, zorder=3)
        axes.plot([], [], marker, color=color, label=name, markersize=6)
        told.append(f"{name}: " + ", ".join(f"{rule} {m:.2f}" for rule, m in zip(rules, means, strict=True)))
    if ceiling is not None:
        name, best = ceiling
        axes.vlines([best[rule] for rule in rules], rows - 0.43, rows + 0.43, color="black", label=name)
        told.append(f"{name}: " + ", ".join(f"{rule} {best[rule]:.2f}" for rule in rules))
    for border in rows[1:] - 0.5:
        axes.axhline(border, color="#BBBBBB", linewidth=0.7)
    axes.set_yticks(rows, rules)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.set(xlabel=xlabel, xlim=(-0.02, 1.02), ylim=(len(rules) - 0.5, -0.5))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return show(made, caption, alt or f"{xlabel}, means over seeds. {'; '.join(told)}.")


def _checked_rules(scores: Mapping[str, Mapping], ceiling: tuple[str, Mapping] | None) -> list[str]:
    """The rules that all have, in the order of the first model; ValueError if they differ or are not shares."""
    rules = list(next(iter(scores.values()), ()))
    if not rules:
        raise ValueError("scores holds at least one model with one rule; got none")
    for name, kept in [*scores.items(), *([] if ceiling is None else [ceiling])]:
        if missing := [rule for rule in rules if rule not in kept]:
            raise ValueError(f"{name!r} has no share for {', '.join(missing)}; expected {', '.join(rules)}")
        for rule in rules:
            values = np.asarray(kept[rule], "float64")
            if not values.size or not ((values >= 0) & (values <= 1)).all():
                raise ValueError(f"scores are shares, from 0 to 1; got {values.tolist()} for {name!r}, {rule!r}")
    return rules
