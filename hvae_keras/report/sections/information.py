"""What the levels know of x and of one another."""

import numpy as np

from hvae_keras import metrics
from hvae_keras.models import BottomUp
from hvae_keras.report.blocks import Content, Missing, number
from hvae_keras.report.subject import Subject

TITLE = "What the levels know"
QUESTION = (
    "How many nats does each level carry about x, and about the level above it? Two estimates bracket each "
    "number: one errs low and one errs high."
)
LIMITS = (
    "No estimate can see more than the logarithm of the number of examples, and where the two estimates are "
    "far apart little is known. Information is not use: a level may know much that the generator ignores."
)
EXAMPLES, CONTEXTS, PAIRS, SURGERY = 300, 8, 200, 100
PART_BY_PART = "the level is drawn part by part, and its density is no mixture of normals"


def make(subject: Subject) -> Content:
    """I(x; z_i), I(z_i; z_{i+1}), and the KL in two parts."""
    content, model = Content(), subject.need_posterior()
    n = min(subject.n, EXAMPLES)
    arguments = {"contexts": CONTEXTS, "seed": subject.seed}
    subject.step("information of each level about x")
    of_x = metrics.information_with_data(model, subject.test.x[:n], **arguments)
    rows = [_row(f"I(x; z{level})", found, np.log(n)) for level, found in enumerate(of_x, 1)]
    between = {}
    for low in range(1, model.levels):
        subject.step(f"information between levels {low} and {low + 1}")
        if low in model.sequential_levels:
            between[f"{low}, {low + 1}"] = Missing(PART_BY_PART)
            rows.append([f"I(z{low}; z{low + 1})", "–", "–", "–", "–"])
            continue
        found = metrics.information_between_levels(model, low, low + 1, PAIRS, **arguments)
        between[f"{low}, {low + 1}"] = found
        rows.append(_row(f"I(z{low}; z{low + 1})", found, np.log(PAIRS)))
    header = ["nats", "errs low", "errs high", "standard error", "most that can be seen"]
    content.tabulate(f"From {n} test examples and {PAIRS} draws of the model.", header, rows)
    if any(np.isnan(found.lower) for found in of_x):
        content.say(f"– : not estimated, because {PART_BY_PART}.")
    full = [f"z{level}" for level, found in enumerate(of_x, 1) if found.upper > np.log(n)]
    if full:
        content.warn(
            f"What {' and '.join(full)} may know of x is more than log {n} = {np.log(n):.2f} nats, the most "
            f"that {n} examples can show: the truth may be far above the estimate that errs low."
        )
    content.values |= {
        "n": n,
        "draws_between_levels": PAIRS,
        "arguments": arguments,
        "with_data": [Missing(PART_BY_PART) if np.isnan(found.lower) else found for found in of_x],
        "between_levels": between,
    }
    _surgery(content, subject)
    return content


def _row(name: str, found: metrics.Information, cap: float) -> list[str]:
    if np.isnan(found.lower):
        return [name, "–", "–", "–", "–"]
    return [name, *(f"{value:.2f}".replace("-", "−") for value in (*found, cap))]


def _surgery(content: Content, subject: Subject) -> None:
    """The KL as information about x plus mismatch of the prior."""
    model, n = subject.model, min(subject.n, SURGERY)
    by_level = not (isinstance(getattr(model, "inference", None), BottomUp) and model.levels > 1)
    subject.step("the KL in two parts")
    arguments = {"by_level": by_level, "seed": subject.seed}
    found = metrics.elbo_surgery(model, subject.test.x[:n], **arguments)
    names = [f"z{level}" for level in range(1, model.levels + 1)] if by_level else ["all levels"]
    rows = [[name, *(number(value) for value in parts)] for name, *parts in zip(names, *found, strict=True)]
    content.tabulate(
        f"The KL in two parts, from {n} test examples: what a level tells of x given the levels above, and "
        f"how far the prior is from what the posteriors make up together. Information here is at most log {n} "
        f"= {np.log(n):.2f} nats in sum; what it lacks is counted as mismatch.",
        ["level", "KL, nats", "information, nats", "mismatch of the prior, nats"],
        rows,
    )
    content.values["surgery"] = {"n": n, "arguments": arguments, **found._asdict()}
