"""Figures of numbers: training curves, error against size, scores and how well they separate."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from hvae_keras.plots.style import COLORS, MARKERS, figure, plain_log_ticks, show, styled


@styled
def training_curves(
    histories: Mapping[str, Mapping[str, Sequence[float]]],
    caption: str,
    metric: str = "loss",
    ylabel: str = "loss",
    log: bool = False,
    alt: str = "",
) -> Figure | None:
    """Show one metric against the epoch, train (solid) and validation (dashed).

    histories: name of a run -> `history.history` of Keras, with keys `metric` and `val_` + `metric`.
    """
    made, (axes,) = figure(width=8.0, height=3.4)
    ends = []
    for color, (name, history) in zip(COLORS, histories.items(), strict=False):
        train, validation = history[metric], history[f"val_{metric}"]
        epochs = np.arange(1, len(train) + 1)
        axes.plot(epochs, train, "-", color=color, label=name)
        axes.plot(epochs, validation, "--", color=color)
        ends.append(f"{name}: train {train[-1]:.3g}, validation {validation[-1]:.3g}")
    axes.plot([], [], "-", color="#777777", label="train")
    axes.plot([], [], "--", color="#777777", label="validation")
    axes.set(xlabel="epoch", ylabel=ylabel)
    if log:
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return show(made, caption, alt or f"{ylabel} against epoch. At the end, {'; '.join(ends)}.")


@styled
def error_by_size(
    sizes: Sequence[int],
    errors: Mapping[str, np.ndarray],
    caption: str,
    ylabel: str = "squared error per image",
    alt: str = "",
) -> Figure | None:
    """Show error against the size of the bottleneck on logarithmic axes.

    errors: name -> `[runs, sizes]`; each run is a point, their mean a line. A name that ends in "validation" is
    dashed and takes the colour of the one before it. Of more than twelve sizes only the powers of two get a
    tick and a marker.
    """
    made, (axes,) = figure(height=4.0)
    sizes, color = np.asarray(sizes), -1
    marked = np.flatnonzero((sizes & (sizes - 1) == 0) | (len(sizes) <= 12))
    for name, runs in errors.items():
        runs = np.atleast_2d(runs)
        held_out = name.endswith("validation")
        color += not held_out
        look = {"color": COLORS[color], "marker": MARKERS[color], "markevery": list(marked)}
        axes.plot(sizes, runs.mean(axis=0), "--" if held_out else "-", label=name, markersize=5, **look)
        if len(runs) > 1:
            axes.plot(sizes, runs.T, linestyle="", markersize=3, alpha=0.6, **look)
    axes.set(xscale="log", yscale="log", xlabel="numbers in the bottleneck", ylabel=ylabel)
    axes.set_xticks(sizes[marked], sizes[marked])
    axes.xaxis.set_minor_locator(NullLocator())
    plain_log_ticks(axes.yaxis)
    axes.legend()
    ends = "; ".join(f"{name} {np.atleast_2d(runs).mean(axis=0)[-1]:.2g}" for name, runs in errors.items())
    return show(made, caption, alt or f"{ylabel} against bottleneck size. At size {sizes[-1]}: {ends}.")


@styled
def score_histogram(groups: Mapping[str, np.ndarray], xlabel: str, caption: str, alt: str = "") -> Figure | None:
    """Show how scores are distributed in each group; each histogram has area 1."""
    made, (axes,) = figure(height=3.2)
    edges = np.histogram_bin_edges(np.concatenate([np.ravel(scores) for scores in groups.values()]), 40)
    for color, hatch, (name, scores) in zip(COLORS, ("", "//", "..", "xx"), groups.items(), strict=False):
        look = {"density": True, "histtype": "stepfilled", "alpha": 0.45, "hatch": hatch, "edgecolor": color}
        axes.hist(np.ravel(scores), edges, color=color, label=name, **look)
    axes.set(xlabel=xlabel, ylabel="density")
    axes.legend()
    medians = ", ".join(f"{name} {np.median(scores):.3g}" for name, scores in groups.items())
    return show(made, caption, alt or f"Histograms of {xlabel}. Medians: {medians}.")


@styled
def roc(groups: Mapping[str, tuple[np.ndarray, np.ndarray]], caption: str, alt: str = "") -> Figure | None:
    """Show ROC curves with their areas.

    groups: name -> (scores of positives `[n]`, scores of negatives `[m]`); positives should score higher.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    made, (axes,) = figure(width=5.4, height=4.4)
    areas = []
    for dash, (name, (positive, negative)) in zip(("-", "--", ":", "-."), groups.items(), strict=False):
        truth = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
        false_alarms, hits, _ = roc_curve(truth, np.r_[positive, negative])
        areas.append(f"{name}: area {roc_auc_score(truth, np.r_[positive, negative]):.3f}")
        axes.plot(false_alarms, hits, dash, label=areas[-1])
    axes.plot([0, 1], [0, 1], color="#777777", linewidth=1, label="guessing: area 0.5")
    axes.set(
        xlabel="false alarms (share of inliers flagged)", ylabel="hits (share of outliers flagged)", aspect="equal"
    )
    axes.legend(loc="lower right")
    return show(made, caption, alt or f"ROC curves. {'; '.join(areas)}; the diagonal is guessing.")


@styled
def dots(
    categories: Sequence[object],
    groups: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    caption: str,
    line: float | None = None,
    alt: str = "",
) -> Figure | None:
    """Show one value a category and group: groups name -> `[categories]`, or `[runs, categories]`.

    line: a value to compare with, drawn across.
    """
    made, (axes,) = figure(height=3.2)
    places = np.arange(len(categories))
    shift = 0.16 * (np.arange(len(groups)) - (len(groups) - 1) / 2)
    for color, marker, offset, (name, values) in zip(COLORS, MARKERS, shift, groups.items(), strict=False):
        values = np.atleast_2d(values)
        axes.plot(places + offset, values.T, marker, color=color, alpha=0.8 if len(values) > 1 else 1)
        axes.plot([], [], marker, color=color, label=name)
    if line is not None:
        axes.axhline(line, color="#777777", linewidth=1)
    axes.set_xticks(places, categories)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    means = "; ".join(f"{name} mean {np.mean(values):.3g}" for name, values in groups.items())
    return show(made, caption, alt or f"{ylabel} for each of {len(categories)} values of {xlabel}. {means}.")
