"""Figures of estimators: how they scatter, and how they approach the exact value."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from hvae_keras.plots.style import COLORS, MARKERS, figure, show, styled


@styled
def estimator_histograms(
    estimates: Mapping[str, np.ndarray], exact: float, xlabel: str, caption: str, alt: str = ""
) -> Figure | None:
    """Show how estimates of one number scatter, a panel an estimator on a shared axis.

    estimates: name -> `[repeats]`. exact: the number they estimate, a black line.
    """
    made, panels = figure(len(estimates), width=8.0, height=3.2, sharex=True)
    edges = np.histogram_bin_edges(np.concatenate(list(estimates.values())), 60)
    for axes, color, (name, values) in zip(panels, COLORS, estimates.items(), strict=False):
        axes.hist(values, edges, color=color)
        axes.axvline(exact, color="black", linewidth=1.5, label=f"exact: {exact:.3g}")
        axes.set(title=f"{name}: standard deviation {np.std(values):.3g}", xlabel=xlabel, ylabel="estimates")
        axes.legend(loc="upper left")
    spreads = ", ".join(f"{name} {np.mean(v):.3g} ± {np.std(v):.3g}" for name, v in estimates.items())
    return show(made, caption, alt or f"Histograms of estimates of {exact:.3g}: {spreads}.")


@styled
def convergence(
    samples: Sequence[int],
    estimates: Mapping[str, np.ndarray],
    exact: float | None,
    ylabel: str,
    caption: str,
    xlabel: str = "samples in one estimate",
    alt: str = "",
) -> Figure | None:
    """Show estimates against the number of samples behind each: mean, and the range of the middle 80 %.

    estimates: name -> `[len(samples), repeats]`, such as a distance by the number of examples. exact: what they
    should approach, a black line; None if that is not known.
    """
    made, (axes,) = figure(height=3.6)
    ends = []
    for color, marker, (name, values) in zip(COLORS, MARKERS, estimates.items(), strict=False):
        low, high = np.quantile(values, [0.1, 0.9], axis=1)
        axes.fill_between(samples, low, high, color=color, alpha=0.2, linewidth=0)
        axes.plot(samples, values.mean(axis=1), marker=marker, markersize=5, color=color, label=name)
        ends.append(
            f"{name}: mean {values[0].mean():.3g} at {samples[0]}, {values[-1].mean():.3g} at {samples[-1]}"
        )
    if exact is not None:
        axes.axhline(exact, color="black", linewidth=1.5, label=f"exact: {exact:.4g}")
    axes.set(xscale="log", xlabel=xlabel, ylabel=ylabel)
    axes.legend()
    known = "" if exact is None else f"; exact {exact:.4g}"
    return show(made, caption, alt or f"{ylabel} against samples{known}. {'; '.join(ends)}.")


@styled
def bound_and_gap(
    places: np.ndarray,
    elbo: np.ndarray,
    log_evidence: float,
    best: float,
    xlabel: str,
    caption: str,
    alt: str = "",
) -> Figure | None:
    """Show the ELBO as q moves, under the log-likelihood that it bounds; the gap is shaded.

    places, elbo: `[n]`. log_evidence: log p(x). best: where q is the true posterior.
    """
    made, (axes,) = figure(height=3.4)
    axes.axhline(log_evidence, color="black", label="log p(x)")
    axes.plot(places, elbo, color=COLORS[0], label="ELBO")
    axes.fill_between(places, elbo, log_evidence, color=COLORS[1], alpha=0.25, linewidth=0, label="gap")
    axes.axvline(best, color=COLORS[2], linestyle="--", label="the true posterior")
    axes.set(xlabel=xlabel, ylabel="nats")
    axes.legend(loc="lower center")
    alt = alt or (
        f"ELBO against {xlabel}: {elbo[0]:.3g} nats at {places[0]:.3g}, at most {elbo.max():.3g}, "
        f"{elbo[-1]:.3g} at {places[-1]:.3g}; log p(x) is {log_evidence:.3g}, reached at {best:.3g}."
    )
    return show(made, caption, alt)
