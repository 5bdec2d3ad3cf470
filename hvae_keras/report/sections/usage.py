"""What each level of a variational model costs, and how many of its units are in use."""

import numpy as np

from hvae_keras import metrics, plots
from hvae_keras.models import BottomUp
from hvae_keras.report.blocks import Content, mean, with_error
from hvae_keras.report.subject import Subject

TITLE = "What each level costs, and what of it is used"
QUESTION = (
    "How many nats does each level take from the ELBO, and in how many units? A level of about 0 nats tells "
    "nothing of x: it has collapsed, and the model is one without it."
)
LIMITS = (
    "Nats say how much a level says of x, given the levels above, and not what, nor whether it is of use. A "
    "unit counts as active by a threshold that is a convention."
)
EXAMPLES, THRESHOLD = 500, 0.01


def make(subject: Subject) -> Content:
    """KL by level, KL by unit, active units by two rules."""
    content, model = Content(), subject.need_posterior()
    n = min(subject.n, EXAMPLES)
    x, arguments = subject.test.x[:n], {"seed": subject.seed}
    levels = metrics.kl_by_level(model, x, **arguments)
    by_level = [mean(column) for column in levels.T]
    units = metrics.kl_by_unit(model, x, **arguments)
    active = [int((level > THRESHOLD).sum()) for level in units]
    by_variance = metrics.active_units_by_variance(model, x, THRESHOLD, **arguments)
    collapsed = metrics.collapsed_levels(model, x, THRESHOLD, **arguments)
    content.draw(
        plots.unit_kl,
        {f"z{i}": level for i, level in enumerate(units, 1)},
        f"Mean KL of every unit, largest first. Those above the line, {THRESHOLD} nats, count as active.",
        threshold=THRESHOLD,
    )
    rows = [
        [f"z{i}", with_error(kl), f"{np.size(units[i - 1])}", f"{active[i - 1]}", f"{by_variance[i - 1]}"]
        for i, kl in enumerate(by_level, 1)
    ]
    total = mean(levels.sum(axis=1))
    if len(rows) > 1:
        all_units, all_active = sum(np.size(level) for level in units), sum(active)
        rows.append(["all", with_error(total), f"{all_units}", f"{all_active}", f"{int(np.sum(by_variance))}"])
    content.tabulate(
        f"Over {n:,} test examples, ± half the 95 % interval. z1 is nearest to the data.",
        ["level", "KL, nats per example", "units", "active by KL", "active by variance of the mean"],
        rows,
    )
    if isinstance(getattr(model, "inference", None), BottomUp) and model.levels > 1:
        content.say(
            "Inference goes bottom-up, so the term of a level below the top is no divergence: it may be "
            "negative, and a small one does not say that the level is idle. Only the sum over levels is a "
            "divergence."
        )
    for level in collapsed:
        content.warn(f"Level {level} has collapsed: its posterior is its prior, to {THRESHOLD} nats.")
    content.values |= {
        "n": n,
        "arguments": arguments,
        "threshold": THRESHOLD,
        "kl": by_level,
        "kl_total": total,
        "units": [int(np.size(level)) for level in units],
        "active_by_kl": active,
        "active_by_variance": by_variance,
        "collapsed": collapsed,
        "kl_by_unit": units,
    }
    return content
