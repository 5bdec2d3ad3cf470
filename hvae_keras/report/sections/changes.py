"""Which factors of what is drawn each level decides."""

import functools
from collections.abc import Callable, Mapping

import numpy as np

from hvae_keras import metrics
from hvae_keras.latents import draw_latents
from hvae_keras.metrics import music
from hvae_keras.metrics.changes import FactorChanges
from hvae_keras.models import TranslationGAN
from hvae_keras.report.blocks import Content, LeftOutError, Missing, number
from hvae_keras.report.factors import draw_table
from hvae_keras.report.subject import Subject, seeded

TITLE = "What each level decides"
QUESTION = (
    "If one level of a drawn example is drawn anew, and the levels above it stay, how often does each factor "
    "change? Near 0, the level does not touch the factor; near the last line, where all levels are drawn "
    "anew, it decides it."
)
LIMITS = (
    "Factors are read by a classifier, or off the notes, which errs too; on poor samples nobody knows how "
    "often. A level that changes everything may decide much, or only destroy what was there."
)
EXAMPLES, TUNES = 500, 200


def make(subject: Subject) -> Content:
    """Shares of the draws whose factor changes with each level."""
    content = Content()
    if subject.levels == 0:
        raise LeftOutError("The model has no latent variables.")
    if subject.levels == 1 or isinstance(subject.model, TranslationGAN):
        raise LeftOutError("The model has one level of latent variables, and nothing to compare it with.")
    read, source = _reader(subject)
    n = min(subject.n, TUNES if subject.holds_tunes else EXAMPLES)
    subject.step("factors that each level changes")
    z = draw_latents(subject.model, n, seed=subject.seed)
    # The most probable notes, so that nothing changes but by the levels.
    generate = functools.partial(subject.model.generate, top_k=1) if subject.holds_tunes else subject.generate
    arguments = {"by": "redraw", "seed": subject.seed, "batch_size": n if subject.holds_tunes else 256}
    with seeded(subject.model, subject.seed):
        found = metrics.factors_changed(subject.model, z, read, generate=generate, **arguments)
    draw_table(
        content,
        np.concatenate([found.share, found.whole[None]]),
        [*(f"z{i} anew" for i in range(1, len(found.share) + 1)), "all anew"],
        found.factors,
        subject.data.levels,
        f"Share of {found.n:,} draws whose factor changes, ± at most {0.98 / found.n**0.5:.2f}, as {source} "
        "read it.",
        "share that changes",
    )
    content.values |= {"n": n, "arguments": arguments, "read_by": source, "changed": found}
    _by_level(content, found, subject.data.levels)
    return content


def _reader(subject: Subject) -> tuple[Callable[[np.ndarray], Mapping[str, np.ndarray]], str]:
    """From what the model makes to factor -> class index, and who reads it."""
    if subject.holds_tunes:
        if subject.data.name != "melodies":
            raise LeftOutError(f"The factors of {subject.data.name} cannot be read off its tunes.")
        return _of_tunes, "rules that look at the notes"
    found = subject.classifiers

    def read(x: np.ndarray) -> dict[str, np.ndarray]:
        x = subject.as_data(x)
        return {name: index for each in found for name, index in each.network.predict_factors(x).items()}

    return read, "the classifiers"


def _of_tunes(x: np.ndarray) -> dict[str, np.ndarray]:
    """The factors of level 2, which can be read off: a form by a number that is the same for the same letters."""
    tonic, mode = music.key(x)
    form = np.array([int.from_bytes(form.encode(), "big") for form in music.form(x)])
    return {"form": form, "tonic": tonic, "mode": mode}


def _by_level(content: Content, found: FactorChanges, levels: Mapping[str, int]) -> None:
    """Level i of the model beside level i of the data, where the factors are of several levels."""
    if not set(found.factors) <= set(levels) or len({levels[name] for name in found.factors}) < 2:
        return
    scores = {"specificity": metrics.specificity(found, levels), "consistency": metrics.consistency(found, levels)}
    missing = Missing("the data have no such level, or none above it")
    content.values |= {
        name: [missing if np.isnan(value) else value for value in values] for name, values in scores.items()
    }
    rows = [[f"z{i}", number(a), number(b)] for i, (a, b) in enumerate(zip(*scores.values(), strict=True), 1)]
    content.tabulate(
        "Level i of the model beside level i of the data. Specificity: 1 if a level changes the factors of "
        "its own level alone, 0 if it changes all alike. Consistency: share of the factors of the levels "
        "above that stay when it is drawn anew.",
        ["level", *scores],
        rows,
    )
