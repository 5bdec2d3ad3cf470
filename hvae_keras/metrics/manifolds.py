"""Shares of generated examples that could be real, and of real ones that could be generated, by neighbours.

A set of features stands for where its distribution is: a ball about each example, as far as its k-th nearest
neighbour in the set. Conventions that other code differs in: an example is not its own neighbour, but a copy of it
is one; a ball holds its border, so that a set is inside its own balls even if all its examples are equal.
Distances are Euclidean, and lengths that are equal to 9 digits count as equal.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from hvae_keras.metrics.fidelity import BLOCK, checked_pair, one_thread

NEAR = 1e-4  # of a squared norm: a smaller squared distance is not computed from norms
BORDER = 1 + 2e-9  # of a squared radius


class PrecisionRecall(NamedTuple):
    """Share of the generated examples inside the real balls, and of the real ones inside the generated balls."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """In how many real balls a generated example is, by k, and the share of real balls that hold one."""

    density: float
    coverage: float


@one_thread
def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkäänniemi et al. 2019, equations 1 and 2).

    Precision: whether what is generated could be real. Recall: whether what is real could be generated. Two sets
    from one distribution do not reach 1; compare with two sets of real examples of the same sizes. One far example
    has a large ball, so that both err high where there are outliers.

    Args:
        real: `[n, d]`, n above k.
        generated: `[m, d]`, m above k.
        k: The neighbour that a ball reaches to; 3 in the paper.

    Returns:
        Both shares, in [0, 1].

    Raises:
        ValueError: if k is below 1 or a set has not more than k examples; also as for `frechet_distance`.
    """
    real, generated = _checked(real, generated, k)
    found_real, found_generated = np.zeros(len(real), bool), np.zeros(len(generated), bool)
    real_radii, generated_radii = _squared_radii(real, k), _squared_radii(generated, k)
    for at, squared in _blocks(real, generated):
        found_generated |= (squared <= real_radii[at, None]).any(axis=0)
        found_real[at] = (squared <= generated_radii).any(axis=1)
    return PrecisionRecall(float(found_generated.mean()), float(found_real.mean()))


@one_thread
def density_coverage(real: np.ndarray, generated: np.ndarray, k: int = 5) -> DensityCoverage:
    """Density and coverage (Naeem et al. 2020, Reliable fidelity and diversity metrics, equations 2 and 3).

    Only the real examples have balls, so that an outlier among the generated ones counts little. For two sets from
    one continuous distribution the expectations are known, whatever the distribution: the density is 1, and the
    coverage 1 - (n-1) ... (n-k) / ((n+m-1) ... (n+m-k)), which is about 1 - 2^-k if n = m.

    Args:
        real: `[n, d]`, n above k.
        generated: `[m, d]`, m above k.
        k: The neighbour that a ball reaches to; 5 in the paper's experiments.

    Returns:
        The density, at least 0, at most n / k, and the coverage, in [0, 1].

    Raises:
        ValueError: as for `precision_recall`.
    """
    real, generated = _checked(real, generated, k)
    held, radii = np.zeros(len(real), int), _squared_radii(real, k)
    for at, squared in _blocks(real, generated):
        held[at] = (squared <= radii[at, None]).sum(axis=1)
    return DensityCoverage(float(held.sum() / (k * len(generated))), float((held > 0).mean()))


def _checked(real: np.ndarray, generated: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sets in float64, moved to about the middle of the real one, so that norms keep most digits."""
    if k < 1:
        raise ValueError(f"k is at least 1; got {k!r}.")
    real, generated = checked_pair(real, generated, fewest=k + 1)
    middle = real.mean(axis=0)
    return real - middle, generated - middle


def _squared_radii(x: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each row to its k-th nearest other row, a little widened, `[n]`."""
    radii = np.empty(len(x))
    for at, squared in _blocks(x, x):
        squared[np.arange(len(squared)), np.arange(at.start, at.start + len(squared))] = np.inf
        radii[at] = np.partition(squared, k - 1, axis=1)[:, k - 1]
    return radii * BORDER


def _blocks(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of x and the squared distances of their rows to all of y, `[rows, m]`."""
    rows = BLOCK // len(y) + 1
    for start in range(0, len(x), rows):
        at = slice(start, min(start + rows, len(x)))
        yield at, _squared_distances(x[at], y)


def _squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`[n, m]`: by a product of matrices, but by differences where the points are near one another.

    There |x|² + |y|² - 2 x·y keeps too few digits, and copies of a point would not be at 0.
    """
    norms = (x * x).sum(axis=1)[:, None]
    squared = x @ y.T
    squared *= -2
    squared += norms
    squared += (y * y).sum(axis=1)
    near = np.flatnonzero(squared < NEAR * norms)
    if len(near) > 0.01 * squared.size:
        return cdist(x, y, "sqeuclidean")
    i, j = np.divmod(near, len(y))
    squared[i, j] = ((x[i] - y[j]) ** 2).sum(axis=1)
    return squared
