"""Which level stands for which known factor of the data."""

import numpy as np

from hvae_keras import metrics
from hvae_keras.models import Autoencoder
from hvae_keras.report.blocks import Content, LeftOutError, number
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
TESTED = 0.25  # share of the examples that informativeness is measured on, the default of `metrics.dci`


def make(subject: Subject) -> Content:
    """Scores of the codes of each level, and how well each factor is read from each level."""
    content, data = Content(), subject.data
    n = min(subject.n, EXAMPLES)
    x = subject.test.x[:n]
    factors = {name: index[:n] for name, index in subject.test.factors.items() if np.ptp(index[:n]) > 0}
    if not factors:
        raise LeftOutError(f"{data.name} has no known factors.")
    found = _scores(subject, x, factors)
    names = ["codes" if of["level"] is None else f"z{of['level']}" for of in found]
    rows = [
        [name, *(number(value) for value in (*of["dci"][:3], of["mig"].score, of["sap"].score))]
        for name, of in zip(names, found, strict=True)
    ]
    content.tabulate(
        f"Codes of {n:,} test examples against {len(factors)} factors; MIG with {BINS} bins.",
        ["codes", "disentanglement", "completeness", "informativeness", "MIG", "SAP"],
        rows,
    )
    chance = {name: float(np.bincount(index).max() / n) for name, index in factors.items()}
    tested = round(TESTED * n)
    draw_table(
        content,
        np.array(
            [
                [
                    *of["dci"].informativeness_by_factor.values(),
                ]
                for of in found
            ]
        ),
        names,
        list(factors),
        data.levels,
        f"Share of {tested:,} test examples whose factor a random forest reads rightly from the codes; ± at "
        f"most {0.98 / tested**0.5:.2f}.",
        "share read rightly",
    )
    told = ", ".join(f"{name} {value:.2f}" for name, value in chance.items())
    content.say(f"Always naming the most frequent value would read rightly: {told}.")
    if data.levels:
        data_levels = sorted({data.levels[name] for name in factors}, reverse=True)
        header = ["informativeness, mean", *(f"factors of level {level} of the data" for level in data_levels)]
        rows = [
            [name, *(number(of["by_data_level"][level]["informativeness"]) for level in data_levels)]
            for name, of in zip(names, found, strict=True)
            if of["by_data_level"]
        ]
        if rows:
            content.tabulate("Means over the factors of a level of the data.", header, rows)
    content.values |= {"n": n, "bins": BINS, "seed": subject.seed, "chance": chance, "by_level": found}
    return content


def _scores(subject: Subject, x: np.ndarray, factors: dict[str, np.ndarray]) -> list[dict]:
    """Level, MIG, SAP, DCI and means by level of the data; an autoencoder's codes are no level."""
    subject.step("scores of disentanglement")
    if not isinstance(subject.model, Autoencoder):
        arguments = {
            "levels": subject.data.levels or None,
            "examples": EXAMPLES,
            "bins": BINS,
            "seed": subject.seed,
        }
        found = metrics.disentanglement_by_level(subject.need_posterior(), x, factors, **arguments)
        return [of._asdict() for of in found]
    codes = np.asarray(subject.model.encode(x))
    scores = {
        "mig": metrics.mig(codes, factors, BINS),
        "sap": metrics.sap(codes, factors, seed=subject.seed),
        "dci": metrics.dci(codes, factors, seed=subject.seed),
    }
    return [{"level": None, **scores, "by_data_level": {}}]
