"""How often the intervals of `metrics.Fidelity` hold what they are for: the mean score of sets of this size.

    OMP_NUM_THREADS=1 python benchmarks/interval_coverage.py

Real and generated sets are drawn again and again from known distributions, and measured each time. The mean over
all repeats stands for the expected score. A column has the share of the 95 % intervals that hold it, and how wide
they are: the mean standard error over the standard deviation of the scores, 1 if it is right. "alike" is the floor
of the first case: real against real. For the two distances, theory says √3 = 1.73 times too wide there.

Expected before the first run: shares of .93 to .99, and for "alike" near 1 in both distances.
"""

import argparse
import time
import warnings

import numpy as np
from scipy.special import softmax

from hvae_keras.metrics import Fidelity


class Plain:
    """Points are their own features, and the logits of up to ten classes."""

    name = "plain"

    def features(self, x):
        """The points."""
        return x

    def probabilities(self, x, factor):
        """Of the classes."""
        return softmax(3 * x[:, :10], axis=1)


def moved(rng, n, d):
    """Generated: nearer together, and moved."""
    return 0.8 * rng.normal(size=(n, d)) + 2.4 / d


def half_of_the_modes(rng, n, d):
    """Four of the eight clusters that are real."""
    return clusters(rng, n, d, 4)


def clusters(rng, n, d, count=8):
    """Points about up to eight corners."""
    return 4 * np.eye(8, d)[rng.integers(count, size=n)] + rng.normal(size=(n, d))


def normal(rng, n, d):
    """One normal."""
    return rng.normal(size=(n, d))


def twenty(d):
    """The same in every repeat, as a generator is."""
    return np.random.default_rng(1).normal(size=(20, d))


def with_the_twenty(rng, n, d):
    """Real: the twenty, and others from the normal that they came from."""
    return np.concatenate([twenty(d), normal(rng, n - 20, d)])


def memorised(rng, n, d):
    """Generated: the twenty again and again."""
    return twenty(d)[rng.integers(20, size=n)]


CASES = {
    "moved": (normal, moved, 300, 8),
    "half of the modes": (clusters, half_of_the_modes, 300, 8),
    "20 memorised": (with_the_twenty, memorised, 300, 8),
    "many features": (normal, moved, 300, 64),
}


def measured(real, generated, n, d, repeats, draws):
    """Arrays `[repeats, scores, 3]` of value, low and high: of the case, and of real against real."""
    rng, found, alike = np.random.default_rng(0), [], []
    for seed in range(repeats):
        fidelity = Fidelity(Plain(), real(rng, n, d), real(rng, n, d), "class")
        scores = fidelity.measure(generated(rng, n, d), seed, draws)
        found.append([(score.value, score.low, score.high) for score in scores.values()])
        alike.append([(score.floor, score.floor_low, score.floor_high) for score in scores.values()])
    return list(scores), np.array(found), np.array(alike)


def report(case, names, found):
    """Print a row."""
    value, low, high = np.moveaxis(found, 2, 0)
    mean, spread = value.mean(axis=0), value.std(axis=0, ddof=1)
    # Of an interval that is clipped at one end the other end tells the standard error.
    errors = np.maximum(high - value, value - low).mean(axis=0) / 1.96
    rounding = 1e-9
    held = ((low <= mean + rounding) & (mean - rounding <= high)).mean(axis=0)
    wide = np.divide(errors, spread, out=np.full_like(spread, np.nan), where=spread > rounding)
    cells = [f"{m:.3g}: {h:.2f} ({w:.2f})" for m, h, w in zip(mean, held, wide, strict=True)]
    print(f"| {case} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """A table, a row a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--draws", type=int, default=30)
    settings = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    start = time.perf_counter()
    for i, (case, (real, generated, n, d)) in enumerate(CASES.items()):
        names, found, alike = measured(real, generated, n, d, settings.repeats, settings.draws)
        if i == 0:
            print("each cell: mean score: share of intervals that hold it (their width)\n")
            print("| case, n, d | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
            report(f"alike, {n}, {d}", names, alike)
        report(f"{case}, {n}, {d}", names, found)
    print(f"\n{settings}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
