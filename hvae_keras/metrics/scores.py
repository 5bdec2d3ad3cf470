"""All scores of a generated set at once, each with an interval and with what real examples reach."""

import math
import warnings
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from hvae_keras.metrics.fidelity import frechet_distance, kernel_distance, one_thread
from hvae_keras.metrics.inception_score import inception_score
from hvae_keras.metrics.manifolds import density_coverage, precision_recall

FEWEST = 12  # examples: a half of them has the 5 neighbours that a ball of `density_coverage` reaches to
RANGES = {  # smallest and largest value
    "Fréchet distance": (0, math.inf),
    "kernel distance": (-math.inf, math.inf),
    "precision": (0, 1),
    "recall": (0, 1),
    "density": (0, math.inf),
    "coverage": (0, 1),
    "Inception Score": (1, math.inf),
}
LOWER_IS_BETTER = ("Fréchet distance", "kernel distance")
MOVED_BY_SIZE = ("Fréchet distance", "Inception Score")  # they err by about d / n of their own size, or more
WITH_INCEPTION = {"Fréchet distance": "FID", "kernel distance": "KID"}


@dataclass(frozen=True)
class Score:
    """A score of a generated set, with a 95 % interval, and the same score of as many real examples.

    Attributes:
        name: Which score.
        value: What was measured.
        low: Lower end of the interval.
        high: Its upper end.
        floor: The score of real examples; a ceiling where higher is better.
        floor_low: Lower end of its interval.
        floor_high: Its upper end.
        n: Number of generated examples, and of the real ones in their place.
        d: Number of features; for the Inception Score of classes.
        higher_is_better: Whether it is.
        warning: What to keep in mind with these numbers, or "".
    """

    name: str
    value: float
    low: float
    high: float
    floor: float
    floor_low: float
    floor_high: float
    n: int
    d: int
    higher_is_better: bool
    warning: str = ""

    def __str__(self) -> str:
        own = f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"
        real = f"{self.floor:.3g} ({self.floor_low:.3g} to {self.floor_high:.3g})"
        better = "higher" if self.higher_is_better else "lower"
        line = f"{self.name} {own}; real {real}; {better} is better; n = {self.n}, d = {self.d}"
        return f"{line}; {self.warning}" if self.warning else line


class Features(Protocol):
    """What `Fidelity` asks of features, such as `FactorFeatures` and `InceptionFeatures`."""

    name: str

    def features(self, x: np.ndarray) -> np.ndarray:
        """Features `[n, d]` of examples `[n, ...]`."""


class Interval(NamedTuple):
    """A measured value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Seen(NamedTuple):
    """What features tell of a set: `[n, d]`, and p(class|x) `[n, classes]` where the Inception Score is wanted."""

    features: np.ndarray
    probabilities: np.ndarray | None = None

    def some(self, chosen: np.ndarray) -> "Seen":
        """The same of the chosen examples."""
        return Seen(*(part if part is None else part[chosen] for part in self))


class Fidelity:
    """Measures generated sets against one set of real examples, whose features it keeps.

    The floor of a score is the score of as many held-out real examples against the same real ones: what a perfect
    generator would reach. Scores depend on the number of examples and on the features, so nothing but values of
    one `Fidelity` and one n can be compared. Have at least as many real examples as generated ones.

    Intervals are by half-sampling (Shao & Wu 1989, A general theory for jackknife variance estimation): the score
    is measured again on random halves, without replacement, of both sets, and 1.96 standard deviations of these
    values are laid to both sides. The mean of a half differs from that of the set as much as that of the set from
    the truth. (Drawing with replacement makes copies, and the nearest neighbour of an example is then its copy.)

    An interval is for the mean score of sets of this n, from the same generator and the same world; not for the
    score that infinitely many would have, and not for a generator trained with another seed. It is up to 1.7 times
    too wide for the two distances where generated and real are alike, and has no width where no half differs, as
    where all examples are inside. In `benchmarks/interval_coverage.py` 92 to 100 % of the intervals hold that
    mean, of each score in each case but one: 82 % for the density where few balls hold most examples (300 examples
    of 64 features).

    Attributes:
        features_name: The name of the features, for tables and captions.
    """

    def __init__(self, features: Features, real_x: np.ndarray, held_out_x: np.ndarray, classes: str = ""):
        """Compute the features of the real examples.

        Args:
            features: What sees the examples.
            real_x: Real examples `[N, ...]`, the reference; at least 12.
            held_out_x: Other real examples, for the floor; at least as many as will be measured.
            classes: The factor whose classes the Inception Score is about, if that is wanted; `features` then has
                `probabilities(x, factor)`, `[n, classes]`.

        Raises:
            ValueError: if there are fewer than 12 real or held-out examples; also what `features` raises.
        """
        self.features_name = features.name
        self._features, self._classes = features, classes
        self._real = self._seen(real_x, "real_x", classes="")  # the Inception Score does not look at it
        self._held_out = self._seen(held_out_x, "held_out_x", classes)
        self._floors: dict[tuple[int, int, int], dict[str, Interval]] = {}

    def measure(self, x: np.ndarray, seed: int = 0, draws: int = 30) -> dict[str, Score]:
        """Every score of a generated set.

        Args:
            x: Generated examples `[n, ...]`, from 12 to as many as were held out.
            seed: Seed of the halves, and of which held-out examples the floor is of.
            draws: Number of halves.

        Returns:
            Name -> score: "Fréchet distance" and "kernel distance" ("FID" and "KID" with the features of
            Inception), "precision", "recall", "density", "coverage", and "Inception Score" if it is wanted.

        Warns:
            UserWarning: once, if there are fewer than ten examples for each feature (Fréchet distance), or for
                each class (Inception Score).

        Raises:
            ValueError: if n is below 12 or above the number of held-out examples, or draws below 2; also what
                the features raise.
        """
        most = len(self._held_out.features)
        if len(x) > most:
            raise ValueError(
                f"x has {len(x)} examples, but only {most} real ones were held out: give at most {most}."
            )
        if draws < 2:
            raise ValueError(f"draws is at least 2; got {draws!r}.")
        generated = self._seen(x, "x", self._classes)
        floors, scores = self._floor(len(x), seed, draws), {}
        for name, own in _intervals(self._real, generated, np.random.default_rng(seed), draws).items():
            called = WITH_INCEPTION.get(name, name) if self.features_name == "Inception" else name
            (n, d), fewest = generated.features.shape, min(len(x), len(self._real.features))
            if name == "Inception Score":
                d, fewest = generated.probabilities.shape[1], n
            few = name in MOVED_BY_SIZE and fewest < 10 * d
            warning = f"fewer than {10 * d} examples, ten times d: it depends much on n" if few else ""
            better = name not in LOWER_IS_BETTER
            scores[called] = Score(called, *own, *floors[name], n, d, better, warning)
        if said := [f"{name}: {score.warning}" for name, score in scores.items() if score.warning]:
            warnings.warn("; ".join(said), UserWarning, stacklevel=2)
        return scores

    def _seen(self, x: np.ndarray, name: str, classes: str) -> Seen:
        """What the features tell of x; ValueError if it has too few examples."""
        if len(x) < FEWEST:
            raise ValueError(f"{name} has {len(x)} examples, expected at least {FEWEST}.")
        probabilities = self._features.probabilities(x, classes) if classes else None
        return Seen(np.asarray(self._features.features(x)), probabilities)

    def _floor(self, n: int, seed: int, draws: int) -> dict[str, Interval]:
        """The scores of n held-out examples, computed once."""
        if (n, seed, draws) not in self._floors:
            rng = np.random.default_rng(seed)
            held_out = self._held_out.some(rng.permutation(len(self._held_out.features))[:n])
            self._floors[n, seed, draws] = _intervals(self._real, held_out, rng, draws)
        return self._floors[n, seed, draws]


@one_thread
def _intervals(real: Seen, generated: Seen, rng: np.random.Generator, draws: int) -> dict[str, Interval]:
    """Every score, with the interval that random halves of both sets give."""
    halves = [_scores(_half(real, rng), _half(generated, rng)) for _ in range(draws)]
    intervals = {}
    for name, value in _scores(real, generated).items():
        reach = 1.96 * np.std([half[name] for half in halves], ddof=1)
        low, high = np.clip([value - reach, value + reach], *RANGES[name])
        intervals[name] = Interval(value, float(low), float(high))
    return intervals


def _half(seen: Seen, rng: np.random.Generator) -> Seen:
    n = len(seen.features)
    return seen.some(rng.permutation(n)[: n // 2])


def _scores(real: Seen, generated: Seen) -> dict[str, float]:
    """Every score, by its name."""
    both = real.features, generated.features
    scores = {"Fréchet distance": frechet_distance(*both), "kernel distance": kernel_distance(*both)}
    scores |= precision_recall(*both)._asdict() | density_coverage(*both)._asdict()
    if generated.probabilities is not None:
        scores["Inception Score"] = inception_score(generated.probabilities)
    return scores
