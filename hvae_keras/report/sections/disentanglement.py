"""Which level stands for which known factor of the data."""

import numpy as np

from hvae_keras import metrics
from hvae_keras.latents import infer_latents
from hvae_keras.models import Autoencoder
from hvae_keras.report.blocks import Content, LeftOutError, Missing, number
from hvae_keras.report.factors import draw_table
from hvae_keras.report.subject import Subject

TITLE = "Which level stands for which factor"
QUESTION = (
    "Can the known factors of an example be read from the codes of a level (informativeness), and does one "
    "code stand for one factor (disentanglement, completeness, MIG, SAP)? All are between 0 and 1, and "
    "higher is better."
)
LIMITS = (
    "These scores ask whether factors lie along single axes, not whether they are known: a rotated code "
    "keeps all information and scores about 0. They move with the number of examples and from training to "
    "training; no interval is estimated here. The mean of a level below the top follows the levels above it, "
    "so that a dead level may seem informative."
)
EXAMPLES, BINS = 1000, 20
WIDEST = 64  # codes of a level; the time grows with codes times factors
TESTED = 0.25  # share of the examples that informativeness is measured on, the default of `metrics.dci`


def make(subject: Subject) -> Content:
    """Scores of the codes of each level, and how well each factor is read from each level."""
    content, data = Content(), subject.data
    n = min(subject.n, EXAMPLES)
    factors = {name: index[:n] for name, index in subject.test.factors.items() if np.ptp(index[:n]) > 0}
    if not factors:
        raise LeftOutError(f"{data.name} has no known factors.")
    codes = _codes(subject, subject.test.x[:n])
    few = {name: z for name, z in codes.items() if z.shape[1] <= WIDEST}
    told = {
        name: f"{z.shape[1]} codes, more than the {WIDEST} that are compared here" for name, z in codes.items()
    }
    if not few:
        raise LeftOutError(f"Every level has more than {WIDEST} codes, which takes too long to compare.")
    scores = {}
    for name, z in few.items():
        subject.step(f"scores of disentanglement, {name}")
        scores[name] = {
            "mig": metrics.mig(z, factors, BINS),
            "sap": metrics.sap(z, factors, seed=subject.seed),
            "dci": metrics.dci(z, factors, seed=subject.seed),
        }
    rows = [
        [name, *(number(value) for value in (*of["dci"][:3], of["mig"].score, of["sap"].score))]
        for name, of in scores.items()
    ]
    content.tabulate(
        f"Codes of {n:,} test examples against {len(factors)} factors; MIG with {BINS} bins.",
        ["codes", "disentanglement", "completeness", "informativeness", "MIG", "SAP"],
        rows,
    )
    for name in codes:
        if name not in few:
            content.say(f"{name} is left out: it is a map of {told[name]}.")
    chance = {name: float(np.bincount(index).max() / n) for name, index in factors.items()}
    content.values |= {"n": n, "bins": BINS, "seed": subject.seed, "chance": chance}
    content.values["by_level"] = {name: scores.get(name, Missing(told[name])) for name in codes}
    _informativeness(content, subject, scores, chance, n)
    return content


def _codes(subject: Subject, x: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> codes `[n, d]`: the means of each level, as `metrics.disentanglement_by_level` takes them."""
    if isinstance(subject.model, Autoencoder):
        return {"codes": np.asarray(subject.model.encode(x))}
    z = infer_latents(subject.need_posterior(), x, temperature=0.0)
    return {f"z{level}": part.reshape(len(x), -1) for level, part in enumerate(z, 1)}


def _informativeness(
    content: Content, subject: Subject, scores: dict[str, dict], chance: dict[str, float], n: int
) -> None:
    """How well each factor is read from each level, and the means over the factors of a level of the data."""
    names, levels, tested = list(chance), subject.data.levels, round(TESTED * n)
    read = np.array([list(of["dci"].informativeness_by_factor.values()) for of in scores.values()])
    caption = (
        f"Share of {tested:,} test examples whose factor a random forest reads rightly from the codes; ± at most "
        f"{0.98 / tested**0.5:.2f}."
    )
    draw_table(content, read, list(scores), names, levels, caption, "share read rightly")
    told = ", ".join(f"{name} {value:.2f}" for name, value in chance.items())
    content.say(f"Always naming the most frequent value would read rightly: {told}.")
    if levels:
        means = dict(sorted(metrics.mean_by_data_level(read, names, levels).items(), reverse=True))
        header = ["informativeness, mean", *(f"factors of level {level} of the data" for level in means)]
        rows = [[name, *map(number, row)] for name, row in zip(scores, np.array([*means.values()]).T, strict=True)]
        content.tabulate("Means over the factors of a level of the data.", header, rows)
        content.values["informativeness_by_data_level"] = {
            level: dict(zip(scores, row, strict=True)) for level, row in means.items()
        }
