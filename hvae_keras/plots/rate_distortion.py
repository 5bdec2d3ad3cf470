"""The plane of rate and distortion, where every value of beta is a point (Alemi et al. 2018)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from hvae_keras.plots.style import COLORS, MARKERS, figure, show, styled


@styled
def rate_distortion(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    caption: str,
    betas: Mapping[str, Sequence[float]] | None = None,
    equal_elbo: float | None = None,
    joined: bool = True,
    alt: str = "",
) -> Figure | None:
    """Show distortion (the negative log-likelihood) against rate (the KL), both in nats per example.

    curves: name -> (rate, distortion), each `[points]`. betas: name -> `[points]`, written at the points of that
    curve; a curve without betas is a line without points. equal_elbo: an ELBO in nats whose points, rate +
    distortion = -ELBO, are drawn as a thin dashed line. joined: whether points with betas are joined by a line.
    """
    betas = betas or {}
    for name, values in betas.items():
        if name not in curves or len(values) != len(curves[name][0]):
            raise ValueError(f"betas holds one number for each point of a curve; got {len(values)} for {name!r}")
    made, (axes,) = figure(width=6.4, height=4.2)
    told = []
    for i, (name, (rate, distortion)) in enumerate(curves.items()):
        rate, distortion = np.asarray(rate, "float64"), np.asarray(distortion, "float64")
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)] if name in betas else ""
        order = np.argsort(rate)
        look = {"linestyle": "-" if joined or not marker else "none", "marker": marker, "color": color}
        axes.plot(rate[order], distortion[order], label=name, **look)
        for j, beta in enumerate(betas.get(name, ())):
            where = rate[j], distortion[j]
            axes.annotate(f"{beta:g}", where, (6, 5), textcoords="offset points", color=color, fontsize=10)
        points = [f"rate {rate[j]:.3g} distortion {distortion[j]:.3g}" for j in (order[0], order[-1])]
        told.append(f"{name}: from {points[0]} to {points[1]}")
    if equal_elbo is not None:
        limits = axes.get_xlim(), axes.get_ylim()
        look = {"color": "#777777", "linewidth": 1, "linestyle": (0, (4, 4))}
        axes.axline((0, -equal_elbo), slope=-1, label=f"ELBO = {equal_elbo:.4g}", **look)
        axes.set(xlim=limits[0], ylim=limits[1])
    axes.set(xlabel="rate: KL, nats per example", ylabel="distortion: −log p(x|z), nats per example")
    axes.margins(x=0.08)
    axes.legend(title="β at the points" if betas else None)
    return show(made, caption, alt or f"Distortion against rate, in nats. {'; '.join(told)}.")
