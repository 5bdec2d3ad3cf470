"""How far what the model draws is from real examples, in features of the data set at hand."""

import warnings
from collections.abc import Sequence
from typing import Any

from hvae_keras import plots
from hvae_keras.metrics import SurfaceHistograms
from hvae_keras.metrics.scores import Fidelity, Score
from hvae_keras.report.blocks import Content, LeftOutError, percent, share_of, with_interval
from hvae_keras.report.subject import Subject

TITLE = "How near to real examples"
QUESTION = (
    "How far is a set of draws from a set of real examples, and how would other real examples of the same "
    "number score? A model is as good as these features can tell when it reaches the second number."
)
LIMITS = (
    "A distance sees what its features see: what the factors do not name, such as texture, may be wrong and "
    "cost nothing. Fréchet distances of other features or other numbers of examples cannot be compared with "
    "these, and are no FID. None of the scores tells a model that repeats its training data from one that "
    "has understood them."
)

TUNES = 2000  # of the training data, that the deviations of the features are measured on


def make(subject: Subject) -> Content:
    """Every score with its interval beside real against real."""
    content = Content()
    extractors = _extractors(subject)
    content.values |= {"n": subject.n, "seed": subject.seed, "by_features": {}}
    samples = subject.samples
    if subject.holds_pictures:
        _accuracies(content, subject)
    for extractor in extractors:
        subject.step("scores of fidelity")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # each score has its warning with it
            classes = getattr(extractor, "classes", "")
            scores = Fidelity(extractor, subject.test.x, subject.other.x, classes).measure(samples, subject.seed)
        _show(content, extractor.name, scores)
        content.values["by_features"][extractor.name] = scores
    return content


def _extractors(subject: Subject) -> Sequence[Any]:
    if subject.holds_pictures:
        return subject.classifiers
    if subject.holds_tunes:
        return [SurfaceHistograms(subject.data.train.x[:TUNES])]
    raise LeftOutError("There are features for pictures and for tunes, and these data are neither.")


def _accuracies(content: Content, subject: Subject) -> None:
    """How good the classifiers are that the features come from."""
    content.say(
        "Features are those of a small classifier of the factors of this data set, trained once on its "
        "training data, with fixed seeds, and kept. What it cannot read, it cannot judge: a factor that some "
        "pictures do not show cannot be read from them. A share near that of always naming the most frequent "
        "value means little."
    )
    rows = [
        [
            factor,
            "–" if each.level is None else str(each.level),
            percent(share_of(accuracy, each.n)),
            f"{100 * each.chance[factor]:.1f}",
        ]
        for each in subject.classifiers
        for factor, accuracy in each.accuracy.items()
    ]
    seconds = sum(each.seconds for each in subject.classifiers)
    digests = " and ".join(each.digest for each in subject.classifiers)
    content.say(f"Distances of two reports can be compared if these digits agree: {digests}.")
    content.tabulate(
        f"How often the classifiers read {subject.classifiers[0].n:,} validation pictures rightly. Their "
        f"training took {seconds:.0f} s.",
        ["factor", "level of the data", "read rightly, % (95 % interval)", "most frequent value, %"],
        rows,
    )
    content.values["classifiers"] = {
        each.name: {
            "digest": each.digest,
            "accuracy": each.accuracy,
            "chance": each.chance,
            "n": each.n,
            "seconds": each.seconds,
        }
        for each in subject.classifiers
    }


def _show(content: Content, name: str, scores: dict[str, Score]) -> None:
    rows = [
        [
            score.name,
            "higher" if score.higher_is_better else "lower",
            with_interval(score.value, score.low, score.high),
            with_interval(score.floor, score.floor_low, score.floor_high),
        ]
        for score in scores.values()
    ]
    first = next(iter(scores.values()))
    content.draw(
        plots.score_dots,
        {"model": scores},
        f"Scores by the {name}. The grey band is what other real examples score.",
    )
    content.tabulate(
        f"By the {name}: n = {first.n:,} draws beside as many real examples, d = {first.d} features. In "
        "brackets the 95 % interval over examples.",
        ["score", "better if", "model against real", "real against real"],
        rows,
    )
    for score in scores.values():
        if score.warning:
            content.warn(f"{score.name}: {score.warning}.")
