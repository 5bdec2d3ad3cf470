"""Checks of lesson 08. Expected values come from paper and pencil, SciPy's matrix root, loops and counts."""

import itertools
import math
from collections import Counter
from statistics import fmean, pstdev

import numpy as np
from scipy.linalg import sqrtm
from scipy.special import rel_entr, xlogy
from scipy.stats import norm, t

from hvae_keras.course import Exercise, assert_close


def _parts(result, count, names):
    """The parts of an answer, or a sentence about what came instead."""
    several = isinstance(result, (tuple, list)) or (isinstance(result, np.ndarray) and result.ndim > 0)
    assert several and len(result) == count, f"{count} values are asked for, {names}"
    return result


# 8.1 ----------------------------------------------------------------------------------------------------

inception_score = Exercise(
    "8.1",
    "inception_score",
    stars=1,
    points=3,
    minutes=8,
    hints=(
        "A picture is good if the classifier is sure of it, and a set is good if the sure answers differ. How far "
        "is what it says of one picture from what it says on average?",
        "p(y) is the mean of the rows. KL(p ‖ q) = Σ_y p(y) log(p(y) / q(y)), where a class of probability 0 adds "
        "nothing. The score is exp of the mean KL.",
        "Three steps: a mean down the columns; for each row a sum over the classes; `exp` of a mean, in this "
        "order. `rel_entr(p, q)` is p log(p / q), and 0 where p is 0.",
    ),
)


@inception_score.check(points=1)
def test_is_exp_of_the_entropy_of_the_mean_less_the_mean_entropy(inception_score, rng):
    """Pictures sure and unsure, classes common and rare; both entropies by loops, exp of their difference."""
    rows = np.array(
        [[90, 4, 4, 2], [85, 7, 4, 4], [30, 40, 20, 10], [5, 80, 10, 5], [40, 30, 20, 10], [10, 5, 80, 5]]
    )
    rows = rng.permutation(rows * rng.uniform(0.9, 1.1, size=(6, 4)))
    rows /= rows.sum(axis=1, keepdims=True)
    average = [sum(row[y] for row in rows) / 6 for y in range(4)]
    of_the_mean = -sum(p * math.log(p) for p in average)
    mean_entropy = -sum(p * math.log(p) for row in rows for p in row) / 6
    assert_close(inception_score(rows), math.exp(of_the_mean - mean_entropy), rtol=1e-3, what="score")


@inception_score.check(points=1)
def test_has_the_value_that_paper_and_pencil_give(inception_score):
    """Two sure pictures, two that waver: KL of log 2, log 2, 0 and 0. The third class never comes."""
    rows = [[1.0, 0, 0], [0, 1.0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]]
    assert_close(inception_score(rows), np.sqrt(2), rtol=1e-3, what="score")


@inception_score.check(points=1)
def test_lies_between_one_and_the_number_of_classes(inception_score):
    """Three pictures alike score 1; one sure picture of each of 500 classes scores 500, whatever is rare."""
    assert_close(inception_score([[0.7, 0.3, 0.0]] * 3), 1.0, what="score of pictures alike")
    assert_close(inception_score(np.eye(500)), 500.0, rtol=2e-4, what="score of 500 classes")


def _divergences(probabilities):
    return rel_entr(probabilities, probabilities.mean(axis=0)).sum(axis=1)


@inception_score.misconception(
    "You took the exponential of each KL, then the mean. First the mean over the pictures, then exp."
)
def exponential_inside_the_mean(probabilities):
    return np.exp(_divergences(probabilities)).mean()


@inception_score.misconception("That is the mean KL, in nats. The score is its exponential: a number of classes.")
def exponential_forgotten(probabilities):
    return _divergences(probabilities).mean()


@inception_score.misconception(
    "Your KL is the wrong way round: it is that of p(y|x) from p(y), so p(y|x) weighs the logarithms."
)
def divergence_reversed(probabilities):
    return np.exp(rel_entr(probabilities.mean(axis=0), probabilities).sum(axis=1).mean())


@inception_score.misconception(
    "That is exp of the entropy of p(y) alone: how varied the set is. How sure the classifier is of each picture "
    "is missing."
)
def variety_only(probabilities):
    average = probabilities.mean(axis=0)
    return np.exp(-xlogy(average, average).sum())


@inception_score.misconception(
    "p(y) is missing: you measure how sure the classifier is, not how varied the set is."
)
def certainty_only(probabilities):
    return np.exp(xlogy(probabilities, probabilities).sum(axis=1).mean())


@inception_score.misconception(
    "You measured the KL in bits, and then took e to its power. Use natural logarithms, or 2 to the power."
)
def bits_under_the_exponential(probabilities):
    return np.exp(_divergences(probabilities).mean() / np.log(2))


@inception_score.misconception(
    "You compare with the uniform distribution. p(y) is the mean of the rows: `axis=0`, down the columns."
)
def uniform_for_the_mean(probabilities):
    return np.exp(rel_entr(probabilities, probabilities.mean(axis=1, keepdims=True)).sum(axis=1).mean())


@inception_score.misconception(
    "0 · log 0 came out as NaN. A class of probability 0 adds 0: leave it out, or use `rel_entr`."
)
def nan_at_zeros(probabilities):
    with np.errstate(all="ignore"):
        ratio = probabilities / probabilities.mean(axis=0)
        return np.exp((probabilities * np.log(ratio)).sum(axis=1).mean())


@inception_score.misconception(
    "You added a small constant inside the logarithms. With many classes p(y) is small too, and the score "
    "shrinks. 0 · log 0 is 0, and needs no constant."
)
def constant_inside_the_logarithms(probabilities):
    average = probabilities.mean(axis=0)
    return np.exp((probabilities * (np.log(probabilities + 1e-6) - np.log(average + 1e-6))).sum(axis=1).mean())


@inception_score.misconception(
    "You took the mean over the classes. A KL is their sum: p(y|x) weighs them already."
)
def mean_over_classes(probabilities):
    return np.exp(_divergences(probabilities).mean() / probabilities.shape[1])


@inception_score.misconception(
    "You added up over the pictures. Take their mean, or the score grows with each picture."
)
def sum_over_pictures(probabilities):
    with np.errstate(over="ignore"):
        return np.exp(_divergences(probabilities).sum())


@inception_score.misconception("You return a score for each picture. The mean over the pictures comes before exp.")
def one_score_a_picture(probabilities):
    return np.exp(_divergences(probabilities))


# 8.2 ----------------------------------------------------------------------------------------------------

frechet_distance = Exercise(
    "8.2",
    "frechet_distance",
    stars=2,
    points=5,
    minutes=15,
    hints=(
        "Two normals differ in where they are and in how they spread. The square root is that of a matrix: a "
        "symmetric one, with eigenvalues that are not negative, has a root with the same eigenvectors.",
        "|μ_r − μ_g|² + tr Σ_r + tr Σ_g − 2 tr (Σ_r^½ Σ_g Σ_r^½)^½. The trace of a root is the sum of the roots "
        "of the eigenvalues.",
        "`eigh` of one covariance gives its root, V √λ Vᵀ. Put the other covariance between two of it, and take "
        "`eigvalsh`. Rounding makes an eigenvalue of 0 a little negative: `np.maximum` with 0 before each root.",
    ),
)


@frechet_distance.check(points=1)
def test_adds_up_the_axes_of_two_upright_ellipses(frechet_distance):
    """Variances 6 and 24, and 54 and 6, no correlation: 5 for the means, (√6 − √54)² + (√24 − √6)² = 24 + 6."""
    real = np.array([[3.0, 0], [-3, 0], [0, 6], [0, -6]])
    generated = np.array([[9.0, 0], [-9, 0], [0, 3], [0, -3]]) + [1, -2]
    assert_close(frechet_distance(real, generated), 35.0, rtol=1e-3, what="distance")


@frechet_distance.check(points=2)
def test_agrees_with_the_square_root_of_scipy(frechet_distance, rng):
    """40 and 30 examples of 4 features, all of which vary together; `scipy.linalg.sqrtm` in float64."""
    spread = rng.permutation([2.5, 1.5, 1.0, 0.6])
    real, generated = (
        rng.normal(size=(n, 4)) @ (np.diag(own) + rng.uniform(0.4, 1.2, size=(4, 4)))
        for n, own in ((40, spread), (30, spread[::-1]))
    )
    generated += rng.uniform(0.5, 1.5, size=4)
    sigma, other = (np.cov(x, rowvar=False) for x in (real, generated))
    expected = ((real.mean(axis=0) - generated.mean(axis=0)) ** 2).sum()
    expected += np.trace(sigma + other - 2 * sqrtm(sigma @ other).real)
    assert_close(frechet_distance(real, generated), expected, rtol=1e-3, what="distance")


@frechet_distance.check(points=2)
def test_bears_fewer_examples_than_features(frechet_distance, rng):
    """Three on a line in direction u, three on one in v, 5 features: s² + t² − 2 s t |u·v|. And a shifted copy."""
    u, v, w = np.linalg.qr(rng.normal(size=(5, 3)))[0].T
    line = np.array([[-1.0], [0.0], [1.0]])  # of variance 1
    for cosine in (rng.choice([-0.6, 0.6]), 0.0):
        other = cosine * u + np.sqrt(1 - cosine**2) * v
        got = frechet_distance(3 * line * u, 2 * line * other + 1.5 * w)
        expected = 1.5**2 + 3**2 + 2**2 - 2 * 3 * 2 * abs(cosine)
        assert_close(got, expected, rtol=1e-3, atol=0.01, what=f"distance of two lines (cosine {cosine:g})")
    real = rng.normal(size=(3, 5))
    assert_close(
        frechet_distance(real, real + 2 * v), 4.0, rtol=1e-3, atol=0.01, what="distance of a copy, shifted by 2"
    )


def _moments(real, generated):
    """The squared gap of the means, and both covariances, in float64."""
    real, generated = real.astype("float64"), generated.astype("float64")
    gap = ((real.mean(axis=0) - generated.mean(axis=0)) ** 2).sum()
    return gap, np.cov(real, rowvar=False), np.cov(generated, rowvar=False)


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T


def _shared(sigma, other):
    """tr (Σ_r Σ_g)^½."""
    return np.sqrt(np.maximum(np.linalg.eigvalsh(_root(sigma) @ other @ _root(sigma)), 0)).sum()


def _distance(gap, sigma, other):
    return gap + np.trace(sigma) + np.trace(other) - 2 * _shared(sigma, other)


@frechet_distance.misconception(
    "You took the root of a negative number: with fewer examples than features some eigenvalues are 0, and "
    "rounding puts them a little below. Clip them at 0 first."
)
def root_below_zero(real, generated):
    gap, sigma, other = _moments(real, generated)
    values, vectors = np.linalg.eigh(sigma)
    with np.errstate(invalid="ignore"):
        root = vectors * np.sqrt(values) @ vectors.T
        if np.isnan(root).any():
            return np.nan
        return gap + np.trace(sigma) + np.trace(other) - 2 * np.sqrt(np.linalg.eigvalsh(root @ other @ root)).sum()


@frechet_distance.misconception(
    "`np.sqrt` takes the root of each entry. The root of a matrix S is a matrix R with R @ R = S."
)
def root_of_each_entry(real, generated):
    gap, sigma, other = _moments(real, generated)
    with np.errstate(invalid="ignore"):
        return gap + np.trace(sigma) + np.trace(other) - 2 * np.trace(np.sqrt(sigma @ other))


@frechet_distance.misconception(
    "Σ_r Σ_g is not symmetric, and `eigh` reads only one half of it. Take Σ_r^½ Σ_g Σ_r^½, which is, and has the "
    "same eigenvalues."
)
def taken_for_symmetric(real, generated):
    gap, sigma, other = _moments(real, generated)
    values = np.linalg.eigvalsh(sigma @ other)
    return gap + np.trace(sigma) + np.trace(other) - 2 * np.sqrt(np.maximum(values, 0)).sum()


@frechet_distance.misconception("You took the length of the gap between the means. It comes in squared.")
def gap_not_squared(real, generated):
    gap, sigma, other = _moments(real, generated)
    return _distance(np.sqrt(gap), sigma, other)


@frechet_distance.misconception("Your covariances divide by n. The divisor is n − 1, as `np.cov` has it.")
def divisor_n(real, generated):
    gap, sigma, other = _moments(real, generated)
    return _distance(gap, sigma * (1 - 1 / len(real)), other * (1 - 1 / len(generated)))


@frechet_distance.misconception(
    "You multiplied the two roots. Σ_r^½ Σ_g^½ is not the root of a product, unless both matrices commute: put "
    "Σ_g between two Σ_r^½, and take the root of that."
)
def product_of_the_roots(real, generated):
    gap, sigma, other = _moments(real, generated)
    return gap + np.trace(sigma) + np.trace(other) - 2 * np.trace(_root(sigma) @ _root(other))


@frechet_distance.misconception("The last term counts twice, as the mixed term of (a − b)² does.")
def two_forgotten(real, generated):
    gap, sigma, other = _moments(real, generated)
    return gap + np.trace(sigma) + np.trace(other) - _shared(sigma, other)


@frechet_distance.misconception(
    "You used the variances only. Features that vary together count too: take whole covariances."
)
def variances_only(real, generated):
    gap, sigma, other = _moments(real, generated)
    return _distance(gap, np.diag(np.diag(sigma)), np.diag(np.diag(other)))


@frechet_distance.misconception("The means are missing: a set that is only shifted would be at distance 0.")
def means_forgotten(real, generated):
    _, sigma, other = _moments(real, generated)
    return _distance(0.0, sigma, other)


@frechet_distance.misconception(
    "Your covariances are those of the examples. A feature is a column: `rowvar=False`, and d by d."
)
def covariance_of_the_rows(real, generated):
    gap, _, _ = _moments(real, generated)
    if len(real) != len(generated):
        return gap + np.trace(np.cov(real)) + np.trace(np.cov(generated))
    return _distance(gap, np.cov(real.astype("float64")), np.cov(generated.astype("float64")))


@frechet_distance.misconception("You took the root of the whole. The distance that is in use is squared.")
def root_of_the_distance(real, generated):
    return np.sqrt(np.maximum(_distance(*_moments(real, generated)), 0))


@frechet_distance.misconception(
    "You added something to the covariances to make them regular. It shows, where they are singular, as distance "
    "that is not there. An eigenvalue of 0 has a root."
)
def something_added(real, generated):
    gap, sigma, other = _moments(real, generated)
    return _distance(gap, sigma + 1e-3 * np.eye(len(sigma)), other + 1e-3 * np.eye(len(other)))


@frechet_distance.misconception("The last term is subtracted: two equal sets are at distance 0.")
def last_term_added(real, generated):
    gap, sigma, other = _moments(real, generated)
    return gap + np.trace(sigma) + np.trace(other) + 2 * _shared(sigma, other)


@frechet_distance.misconception(
    "You subtract tr Σ_g. Both traces are added; only the trace of the root is subtracted."
)
def trace_subtracted(real, generated):
    gap, sigma, other = _moments(real, generated)
    return gap + np.trace(sigma) - np.trace(other) - 2 * _shared(sigma, other)


# 8.3 ----------------------------------------------------------------------------------------------------

kernel_distance = Exercise(
    "8.3",
    "kernel_distance",
    stars=2,
    points=4,
    minutes=8,
    hints=(
        "If both sets come from one distribution, a pair of two real examples is on average as alike as a pair of "
        "one real and one generated. An example paired with itself tells nothing, and is always alike.",
        "Mean of k over the n (n − 1) pairs of different real examples, plus that over the m (m − 1) pairs of "
        "generated ones, minus twice the mean over all n m mixed pairs.",
        "A small function for the table of k between two sets. For one set, take the table's trace off its sum "
        "before you divide; for two sets a plain mean.",
    ),
)


@kernel_distance.check(points=2)
def test_agrees_with_double_loops(kernel_distance, rng):
    """5 and 7 examples of 3 features, pair after pair in float64."""
    start = rng.normal(size=(7, 3))  # of both: row i of one set is like row i of the other
    real, generated = start[:5] + rng.uniform(0, 0.5, size=(5, 3)), 0.8 * start + 1.5
    within = [[_kernel_of_two(a, b) for a, b in itertools.permutations(x, 2)] for x in (real, generated)]
    mixed = [_kernel_of_two(a, b) for a in real for b in generated]
    expected = fmean(within[0]) + fmean(within[1]) - 2 * fmean(mixed)
    assert_close(kernel_distance(real, generated), expected, rtol=1e-3, what="distance")


@kernel_distance.check(points=1)
def test_is_negative_for_two_equal_pairs(kernel_distance):
    """(2, 0) and (1, 1), twice: k is 27, 8 and, of one with the other, 8. So 8 + 8 − 2 · (27 + 8 + 8 + 8) / 4."""
    pair = [[2.0, 0.0], [1.0, 1.0]]
    assert_close(kernel_distance(pair, pair), -9.5, what="distance")


@kernel_distance.check(points=1)
def test_is_right_on_average(kernel_distance):
    """Real are (2, 0) and (0, 1), generated (0, 1) and (−1, 1), each half the time: all 16 draws of 2 and 2."""
    real, generated = np.array([[2.0, 0], [0, 1]]), np.array([[0.0, 1], [-1, 1]])
    draws = list(itertools.product(range(2), repeat=2))
    got = [kernel_distance(real[list(i)], generated[list(j)]) for i in draws for j in draws]

    def expectation(a, b):
        return fmean(_kernel_of_two(x, y) for x in a for y in b)

    expected = expectation(real, real) + expectation(generated, generated) - 2 * expectation(real, generated)
    assert_close(np.mean(got, axis=0), expected, rtol=1e-3, what="mean of all draws")


def _kernel_of_two(a, b):
    return (sum(x * y for x, y in zip(a, b, strict=True)) / len(a) + 1) ** 3


def _table(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


def _of_pairs(values):
    """The mean of a table without its diagonal."""
    return (values.sum() - np.trace(values)) / (len(values) * (len(values) - 1))


def _mmd(real, generated, table=_table):
    return (
        _of_pairs(table(real, real)) + _of_pairs(table(generated, generated)) - 2 * table(real, generated).mean()
    )


@kernel_distance.misconception(
    "You cut the estimate off at 0. What is right on average must be allowed below: near 0 about half of them are."
)
def cut_off_at_zero(real, generated):
    return np.maximum(_mmd(real, generated), 0)


@kernel_distance.misconception(
    "You kept the pairs of an example with itself: they are always alike, so the estimate errs high. Leave out "
    "the diagonal of both tables of one set."
)
def own_pairs_kept(real, generated):
    return _table(real, real).mean() + _table(generated, generated).mean() - 2 * _table(real, generated).mean()


@kernel_distance.misconception("Without the diagonal n (n − 1) pairs are left. You divided by n².")
def divisor_with_the_diagonal(real, generated):
    def within(a):
        values = _table(a, a)
        return (values.sum() - np.trace(values)) / len(a) ** 2

    return within(real) + within(generated) - 2 * _table(real, generated).mean()


@kernel_distance.misconception("The mixed pairs count twice, as in (a − b)².")
def mixed_pairs_once(real, generated):
    within = _of_pairs(_table(real, real)) + _of_pairs(_table(generated, generated))
    return within - _table(real, generated).mean()


@kernel_distance.misconception("You forgot to divide the scalar product by d, the number of features.")
def features_not_divided_by(real, generated):
    return _mmd(real, generated, lambda a, b: (a @ b.T + 1) ** 3)


@kernel_distance.misconception("Your kernel is squared. The power is 3: it compares moments up to the third.")
def power_of_two(real, generated):
    return _mmd(real, generated, lambda a, b: (a @ b.T / a.shape[1] + 1) ** 2)


@kernel_distance.misconception("The power of 3 is missing: a linear kernel compares means only.")
def power_forgotten(real, generated):
    return _mmd(real, generated, lambda a, b: a @ b.T / a.shape[1] + 1)


@kernel_distance.misconception(
    "The kernel has a + 1 before the power. Without it moments below the third are lost."
)
def one_forgotten(real, generated):
    return _mmd(real, generated, lambda a, b: (a @ b.T / a.shape[1]) ** 3)


@kernel_distance.misconception(
    "You left a diagonal out of the mixed pairs. Example i of one set and example i of the other are two examples."
)
def mixed_diagonal_left_out(real, generated):
    values = _table(real, generated)
    mixed = (values.sum() - np.trace(values)) / (values.size - min(values.shape))
    return _of_pairs(_table(real, real)) + _of_pairs(_table(generated, generated)) - 2 * mixed


@kernel_distance.misconception("You took the root. MMD² is what has an unbiased estimate, and it may be negative.")
def root_of_the_estimate(real, generated):
    with np.errstate(invalid="ignore"):
        return np.sqrt(_mmd(real, generated))


@kernel_distance.misconception("Those are sums over pairs. Take means: the sets may have different sizes.")
def sums_of_pairs(real, generated):
    def within(a):
        values = _table(a, a)
        return values.sum() - np.trace(values)

    return within(real) + within(generated) - 2 * _table(real, generated).sum()


@kernel_distance.misconception("The sign is turned: pairs within a set are added, and mixed pairs subtracted.")
def sign_turned(real, generated):
    return -_mmd(real, generated)


# 8.4 ----------------------------------------------------------------------------------------------------

bootstrap_interval = Exercise(
    "8.4",
    "bootstrap_interval",
    stars=3,
    points=5,
    minutes=15,
    hints=(
        "The resamples imitate new sets of n examples, drawn from the n that we have. How large is their variance "
        "then, compared with that of all the examples we do not have? And is the spread found in n values itself "
        "certain?",
        "Given the values, the variance of a resample's mean is Σ (x − x̄)² / n². With s² = Σ (x − x̄)² / (n − 1), "
        "the ratio (x̄ − μ) / (s / √n) follows Student's t with n − 1 degrees of freedom. So write the reach of "
        "the interval as a multiple of s / √n.",
        "`values[indices]` holds all resamples, `(draws, n)`; their means, then one standard deviation. z leaves "
        "half of 1 − confidence on each side. The coverage is t's probability between minus and plus that "
        "multiple: twice `t.cdf`, less 1.",
    ),
)

DRAWS = 40_000  # sets of values that the coverage is counted in: a standard error of 0.002


def _z(confidence):
    return norm.ppf((1 + confidence) / 2)


def _coverage_of(result):
    return _parts(result, 3, "both ends of the interval and the coverage")[2]


def _ends(result, low, high, note):
    got = _parts(result, 3, "both ends of the interval and the coverage")
    assert_close(got[0], low, rtol=1e-3, atol=1e-4, what=f"lower end ({note})")
    assert_close(got[1], high, rtol=1e-3, atol=1e-4, what=f"upper end ({note})")


@bootstrap_interval.check(points=1)
def test_has_the_ends_that_paper_and_pencil_give(bootstrap_interval):
    """Values 0, 3, 9 of mean 4; resamples with means 1, 5, 1, 5, of deviation 2. At z = 2 and z = 1."""
    values, indices = np.array([0.0, 3.0, 9.0]), np.array([[0, 0, 1], [1, 1, 2], [0, 1, 0], [2, 1, 1]])
    _ends(bootstrap_interval(values, indices, math.erf(2 / math.sqrt(2))), 0.0, 8.0, "z = 2")
    _ends(bootstrap_interval(values, indices, math.erf(1 / math.sqrt(2))), 2.0, 6.0, "z = 1")


@bootstrap_interval.check(points=1)
def test_knows_all_resamples_of_four_values(bootstrap_interval, rng):
    """Each of the 4⁴ = 256 resamples once: their means have the variance Σ (x − x̄)² / n², exactly."""
    values = rng.permutation([-2.0, 0.0, 1.0, 4.0]) + rng.uniform(-0.5, 0.5, size=4)
    indices = np.array(list(itertools.product(range(4), repeat=4)))
    mean = fmean(values)
    reach = _z(0.9) * math.sqrt(sum((x - mean) ** 2 for x in values)) / 4
    _ends(bootstrap_interval(values, indices, 0.9), mean - reach, mean + reach, "all resamples")


@bootstrap_interval.check(points=1)
def test_covers_as_calculated_for_two_and_three_values(bootstrap_interval, rng):
    """t with 1 and 2 degrees of freedom has a simple integral: 2/π arctan(z / √2), and z / √(3 + z²)."""
    for confidence in (0.8, 0.95):
        z = _z(confidence)
        for n, expected in ((2, 2 / math.pi * math.atan(z / math.sqrt(2))), (3, z / math.sqrt(3 + z * z))):
            coverage = _coverage_of(
                bootstrap_interval(rng.normal(size=n), rng.integers(n, size=(97, n)), confidence)
            )
            assert_close(coverage, expected, rtol=1e-3, what=f"coverage (n = {n})")


@bootstrap_interval.check(points=2)
def test_covers_as_often_as_counted(bootstrap_interval, rng):
    """40,000 sets of n normal values: how often does the interval hold their mean? Within 5 standard errors."""
    for n, confidence in ((4, 0.95), (8, 0.8)):
        x = rng.normal(size=(DRAWS, n))
        counted = np.mean(np.abs(x.mean(axis=1)) < _z(confidence) * x.std(axis=1) / np.sqrt(n))
        error = np.sqrt(counted * (1 - counted) / DRAWS)
        coverage = _coverage_of(bootstrap_interval(x[0], rng.integers(n, size=(97, n)), confidence))
        assert_close(coverage, counted, rtol=0, atol=5 * error, what=f"coverage (n = {n}, ± {5 * error:.3f})")


def _coverage(n, confidence):
    return 2 * t.cdf(_z(confidence) * np.sqrt((n - 1) / n), n - 1) - 1


def _around(values, reach, confidence):
    return values.mean() - reach, values.mean() + reach, _coverage(len(values), confidence)


def _spread(values, indices):
    return values[indices].mean(axis=1).std()


def _with_coverage(values, indices, confidence, coverage):
    low, high, _ = _around(values, _z(confidence) * _spread(values, indices), confidence)
    return low, high, coverage


@bootstrap_interval.misconception(
    "You cut off the tails of the resampled means. That is another bootstrap, the percentile interval: here it is "
    "the mean ± z standard deviations."
)
def percentiles_of_the_means(values, indices, confidence):
    means = values[indices].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return low, high, _coverage(len(values), confidence)


@bootstrap_interval.misconception(
    "That is how far single values spread. The score is a mean: ask how far the means of the resamples spread."
)
def spread_of_the_values(values, indices, confidence):
    return _around(values, _z(confidence) * values.std(), confidence)


@bootstrap_interval.misconception(
    "That is the textbook's s / √n. Asked is the standard deviation of the means of these resamples."
)
def standard_error_for_resamples(values, indices, confidence):
    return _around(values, _z(confidence) * values.std(ddof=1) / np.sqrt(len(values)), confidence)


@bootstrap_interval.misconception(
    "You did not look at the resamples: that is what infinitely many of them would give."
)
def resamples_not_used(values, indices, confidence):
    return _around(values, _z(confidence) * values.std() / np.sqrt(len(values)), confidence)


@bootstrap_interval.misconception(
    "You divided by the number of draws less one. Its divisor here is the number of draws."
)
def divisor_less_one(values, indices, confidence):
    return _around(values, _z(confidence) * values[indices].mean(axis=1).std(ddof=1), confidence)


@bootstrap_interval.misconception(
    "Your z leaves all of 1 − confidence on one side. The interval has two sides: half of it on each."
)
def one_sided(values, indices, confidence):
    return _around(values, norm.ppf(confidence) * _spread(values, indices), confidence)


@bootstrap_interval.misconception(
    "Interval and coverage both have the z of one side. P(|N(0, 1)| < z) leaves half of the rest on each side."
)
def one_sided_throughout(values, indices, confidence):
    two_sided = 2 * confidence - 1  # at which the z of two sides is that z
    return _around(values, _z(two_sided) * _spread(values, indices), two_sided)


@bootstrap_interval.misconception(
    "Your interval is z standard deviations wide in all. It reaches that far to each side."
)
def half_as_wide(values, indices, confidence):
    return _around(values, _z(confidence) * _spread(values, indices) / 2, confidence)


@bootstrap_interval.misconception(
    "You centred on the mean of the resampled means. The score is the mean of the values; the resamples only tell "
    "how far it could be off."
)
def centred_on_the_resamples(values, indices, confidence):
    centre, reach = values[indices].mean(), _z(confidence) * _spread(values, indices)
    return centre - reach, centre + reach, _coverage(len(values), confidence)


@bootstrap_interval.misconception(
    "You promise what was asked for. The spread is estimated from the same few values, and too small on average: "
    "how often does the interval really hold the true mean?"
)
def coverage_is_the_confidence(values, indices, confidence):
    return _with_coverage(values, indices, confidence, confidence)


@bootstrap_interval.misconception(
    "You have the t distribution. But the resamples' variance has the divisor n, not n − 1: the interval reaches "
    "less than z times s / √n."
)
def coverage_without_the_factor(values, indices, confidence):
    return _with_coverage(values, indices, confidence, 2 * t.cdf(_z(confidence), len(values) - 1) - 1)


@bootstrap_interval.misconception(
    "You have the factor of the smaller variance. But s is estimated too: (x̄ − μ) / (s / √n) follows Student's t, "
    "not a normal."
)
def coverage_of_a_normal(values, indices, confidence):
    z = _z(confidence) * np.sqrt(1 - 1 / len(values))
    return _with_coverage(values, indices, confidence, 2 * norm.cdf(z) - 1)


@bootstrap_interval.misconception("n values about their own mean have n − 1 degrees of freedom. Yours has n.")
def coverage_with_n_degrees(values, indices, confidence):
    z = _z(confidence) * np.sqrt(1 - 1 / len(values))
    return _with_coverage(values, indices, confidence, 2 * t.cdf(z, len(values)) - 1)


@bootstrap_interval.misconception(
    "Your factor is upside down: the resamples' spread is smaller than s / √n, and the interval holds less often."
)
def factor_upside_down(values, indices, confidence):
    n = len(values)
    z = _z(confidence) * np.sqrt(n / (n - 1))
    return _with_coverage(values, indices, confidence, 2 * t.cdf(z, n - 1) - 1)


@bootstrap_interval.misconception(
    "(n − 1) / n is the ratio of two variances. A standard deviation, and so the reach, shrinks by its root."
)
def factor_without_its_root(values, indices, confidence):
    n = len(values)
    return _with_coverage(values, indices, confidence, 2 * t.cdf(_z(confidence) * (n - 1) / n, n - 1) - 1)


@bootstrap_interval.misconception(
    "That is the probability below the upper end. Take off what lies below the lower one as well: 2 T − 1."
)
def coverage_of_one_side(values, indices, confidence):
    return _with_coverage(values, indices, confidence, (1 + _coverage(len(values), confidence)) / 2)


@bootstrap_interval.misconception(
    "You counted how many resampled means lie in the interval. They lie about your mean, not about the true one."
)
def coverage_of_the_resampled_means(values, indices, confidence):
    inside = np.abs(values[indices].mean(axis=1) - values.mean()) < _z(confidence) * _spread(values, indices)
    return _with_coverage(values, indices, confidence, inside.mean())


# 8.5 ----------------------------------------------------------------------------------------------------

trees_stand = Exercise(
    "8.5",
    "trees_stand",
    stars=1,
    points=3,
    minutes=8,
    hints=(
        "Lay the picture over itself, moved up by one row: then each pixel meets the one right below it. Which "
        "pairs are forbidden?",
        "A pixel hangs if it is tree, and the one below is not tree, and the one below is none of the carriers. "
        "Count them in each picture, and compare the count with the tolerance: ≤.",
        "Two slices along axis 1, all rows but the last and all but the first. `np.isin` asks whether a kind is "
        "among several. A sum over the last two axes.",
    ),
)

# Kinds as they are written in the maps below. Tree is neither the first nor the last of them.
MAP_KINDS = {".": 0, "#": 2, "T": 3, "~": 4, "o": 7}
TREE, GROUND, ROCK = (MAP_KINDS[letter] for letter in "T#o")
# Whether at most one pixel hangs, if ground and rock carry.
MAPS = (
    (True, ("..T..", "..T..", "..T..", "#####")),
    (False, (".TT..", ".....", ".....", "#####")),
    (True, (".T...", ".....", "..T..", "#####")),
    (True, ("....T", ".....", ".....", "#####")),
    (False, ("..T..", ".....", "..T..", ".....")),
    (True, (".TTT.", ".TTT.", ".ooo.", "#####")),
    (False, (".....", "TTTT.", "~~~~~", "#####")),
    (True, (".....", ".....", "##TTT", "##TTT")),
    (True, ("##o##", ".....", ".....", "TT.TT")),
    (False, ("...T.", "..T..", ".T...", "#####")),
    (True, ("#####", "#####", "#####", "#####")),
)


def _hanging(picture, tree, carriers):
    """How many pixels hang in one picture, one pixel after the other."""
    count = 0
    for row in range(len(picture) - 1):
        for column in range(len(picture[0])):
            if picture[row][column] == tree and picture[row + 1][column] not in (tree, *carriers):
                count += 1
    return count


@trees_stand.check(points=1)
def test_judges_maps_drawn_by_hand(trees_stand):
    """Eleven pictures of 4×5. Trees may stand on ground and rock, one pixel may hang."""
    kinds = np.array([[[MAP_KINDS[letter] for letter in row] for row in rows] for _, rows in MAPS])
    got = trees_stand(kinds, TREE, [GROUND, ROCK], 1)
    if np.shape(got) == (len(MAPS),):
        for answer, (stands, rows) in zip(got, MAPS, strict=True):
            picture = "\n          ".join(["T tree, # ground, o rock, ~ water, . air", *rows])
            assert answer == stands, f"picture   {picture}\nexpected  {stands}\ngot       {answer}"
    assert_close(got, [stands for stands, _ in MAPS])


@trees_stand.check(points=1)
def test_tolerates_as_many_as_it_is_told(trees_stand):
    """Six pictures with no, one, two, ... five hanging pixels, at tolerances of 0 to 4."""
    pictures = np.full((6, 3, 5), MAP_KINDS["."])
    for number in range(6):
        pictures[number, 1, :number] = TREE
    for tolerance in range(5):
        got = trees_stand(pictures, TREE, [GROUND], tolerance)
        assert_close(got, [number <= tolerance for number in range(6)], what="for 0 to 5 hanging pixels")


@trees_stand.check(points=1)
def test_agrees_with_a_loop(trees_stand, rng):
    """50 pictures of random kinds, pixel after pixel; other kinds are tree and carriers."""
    pictures = rng.integers(5, size=(50, 6, 7))
    for tree, carriers in ((0, [4]), (2, [4, 0, 3])):
        hanging = [_hanging(picture.tolist(), tree, carriers) for picture in pictures]
        tolerance = int(np.median(hanging))
        got = trees_stand(pictures, tree, carriers, tolerance)
        assert_close(got, [count <= tolerance for count in hanging])


def _hangs(kinds, tree, carriers):
    """Which pixels hang, in all rows but the last."""
    return (kinds[:, :-1] == tree) & (kinds[:, 1:] != tree) & ~np.isin(kinds[:, 1:], carriers)


def _at_most(hanging, tolerance):
    return hanging.sum(axis=(1, 2)) <= tolerance


@trees_stand.misconception("You looked at the pixel above. A tree stands on what is below it, one row further.")
def looks_above(kinds, tree, carriers, tolerance):
    return _at_most(_hangs(kinds[:, ::-1], tree, carriers), tolerance)


@trees_stand.misconception("As many as the tolerance may hang: ≤, not <.")
def fewer_than_the_tolerance(kinds, tree, carriers, tolerance):
    return _hangs(kinds, tree, carriers).sum(axis=(1, 2)) < tolerance


@trees_stand.misconception(
    "A tree may have tree below: a trunk carries its crown. You let it stand on `carriers` alone."
)
def tree_carries_no_tree(kinds, tree, carriers, tolerance):
    return _at_most((kinds[:, :-1] == tree) & ~np.isin(kinds[:, 1:], carriers), tolerance)


@trees_stand.misconception(
    "Where one pixel hangs you count the whole tree. Only the pixels right above the gap hang."
)
def all_of_a_tree_counted(kinds, tree, carriers, tolerance):
    hanging = _hangs(kinds, tree, carriers).any(axis=(1, 2))
    return np.where(hanging, (kinds == tree).sum(axis=(1, 2)), 0) <= tolerance


@trees_stand.misconception(
    "You count trees in the last row as hanging. What is below the picture is unknown: nothing hangs there."
)
def last_row_hangs(kinds, tree, carriers, tolerance):
    below = np.concatenate([kinds[:, 1:], np.full_like(kinds[:, :1], -1)], axis=1)
    return _at_most((kinds == tree) & (below != tree) & ~np.isin(below, carriers), tolerance)


@trees_stand.misconception(
    "`np.roll` goes round: below the last row you found the first. Nothing hangs in the last row."
)
def picture_rolled_round(kinds, tree, carriers, tolerance):
    below = np.roll(kinds, -1, axis=1)
    return _at_most((kinds == tree) & (below != tree) & ~np.isin(below, carriers), tolerance)


@trees_stand.misconception("You looked at the pixel to the right. Axis 1 goes down a picture, axis 2 goes across.")
def looks_to_the_right(kinds, tree, carriers, tolerance):
    return _at_most(_hangs(kinds.swapaxes(1, 2), tree, carriers), tolerance)


@trees_stand.misconception("You compared each picture with the next. Axis 0 is the picture, axis 1 goes down.")
def next_picture(kinds, tree, carriers, tolerance):
    return _at_most(_hangs(kinds.swapaxes(0, 1), tree, carriers).swapaxes(0, 1), tolerance)


@trees_stand.misconception(
    "You counted the hanging pixels of all pictures together. Each picture is judged by itself."
)
def all_pictures_together(kinds, tree, carriers, tolerance):
    return _hangs(kinds, tree, carriers).sum() <= tolerance


@trees_stand.misconception("In yours a pixel hangs if a carrier is below it. It is the other way round.")
def carriers_inverted(kinds, tree, carriers, tolerance):
    return _at_most((kinds[:, :-1] == tree) & np.isin(kinds[:, 1:], carriers), tolerance)


@trees_stand.misconception("The tolerance is a number of pixels. You compared it with their share.")
def share_for_count(kinds, tree, carriers, tolerance):
    return _hangs(kinds, tree, carriers).mean(axis=(1, 2)) <= tolerance


@trees_stand.misconception("You allowed the first of `carriers` only. Any of them carries: use `np.isin`.")
def first_carrier_only(kinds, tree, carriers, tolerance):
    return _at_most(_hangs(kinds, tree, carriers[:1]), tolerance)


@trees_stand.misconception("You counted columns in which something hangs. Two pixels of one column are two.")
def columns_counted(kinds, tree, carriers, tolerance):
    return _hangs(kinds, tree, carriers).any(axis=1).sum(axis=1) <= tolerance


@trees_stand.misconception("You return which pictures break the rule. Asked is which ones keep it.")
def breakers_returned(kinds, tree, carriers, tolerance):
    return ~_at_most(_hangs(kinds, tree, carriers), tolerance)


@trees_stand.misconception(
    "Anything over something foreign hangs in yours, not only trees: the pixel itself must be tree."
)
def everything_hangs(kinds, tree, carriers, tolerance):
    return _at_most((kinds[:, 1:] != tree) & ~np.isin(kinds[:, 1:], carriers), tolerance)


# 8.6 ----------------------------------------------------------------------------------------------------

mig_by_level = Exercise(
    "8.6",
    "mig_by_level",
    stars=2,
    points=4,
    minutes=10,
    hints=(
        "A factor is disentangled in a level if one unit there tells it, and no other unit there tells it too. "
        "The other levels have no say.",
        "(I(u₁; v) − I(u₂; v)) / H(v), with u₁ and u₂ the two units of the level that tell most about v. "
        "H(v) = −Σ p log p from the counts of v's classes.",
        "Two loops, over levels and factors; a list of one number for each unit, sorted: its last two. "
        "`codes[level].T` has a row for each unit. `np.unique` can count.",
    ),
)


def _mig_by_loops(codes, factors):
    """Each mutual information from counts, one pair of values after the other, in natural logarithms."""
    n, expected = len(factors), np.zeros((len(codes), factors.shape[1]))
    for i, j in np.ndindex(expected.shape):
        factor = factors[:, j].tolist()
        of_factor, nats = Counter(factor), []
        for unit in codes[i].T.tolist():
            of_unit, of_both = Counter(unit), Counter(zip(unit, factor, strict=True))
            nats.append(sum(c / n * math.log(c * n / of_unit[u] / of_factor[v]) for (u, v), c in of_both.items()))
        second, first = sorted(nats)[-2:]
        expected[i, j] = (first - second) / -sum(c / n * math.log(c / n) for c in of_factor.values())
    return expected


@mig_by_level.check(points=1)
def test_counts_bits_that_units_copy(mig_by_level):
    """All 8 settings of bits a, b, c; factors a and (b, c). Three levels of copies, pairs and sums of bits."""
    a, b, c = np.array(list(itertools.product(range(2), repeat=3))).T
    levels = (
        (a, b, a ^ b),  # a is told once; of (b, c) one bit of two is, by one unit
        (2 * b + c, 2 * b + a, 2 * a + c),  # a is told twice; all of (b, c) once, and its halves again
        (a ^ b ^ c, a ^ c, a),  # a is told once, (b, c) not at all
    )
    codes = np.array([np.stack(units, axis=1) for units in levels])
    expected = [[1.0, 0.5], [0.0, 0.5], [1.0, 0.0]]
    assert_close(mig_by_level(codes, np.stack([a, 2 * b + c], axis=1)), expected, what="gaps")


@mig_by_level.check(points=2)
def test_agrees_with_loops_over_counts(mig_by_level, rng):
    """Two levels of five units, three uneven factors of 2, 3 and 4 classes; 90 examples, counted."""
    chances = ((0.7, 0.3), (0.5, 0.3, 0.2), (0.4, 0.3, 0.2, 0.1))
    factors = np.stack([rng.choice(len(p), p=p, size=90) for p in chances], axis=1)
    copied = np.array([[0, 0, 1, 2, 2], [0, 1, 1, 1, 2]])  # the factor that a unit copies
    trust = np.array([[0.95, 0.7, 0.9, 0.85, 0.5], [0.6, 0.95, 0.8, 0.4, 0.9]])  # how often, the others are noise
    codes = np.empty((2, 90, 5), dtype=int)
    for i, u in np.ndindex(2, 5):
        noise = rng.integers(5, size=90)
        codes[i, :, u] = 3 + np.where(rng.uniform(size=90) < trust[i, u], factors[:, copied[i, u]], noise)
    assert_close(mig_by_level(codes, factors), _mig_by_loops(codes, factors), rtol=1e-3, what="gaps")


@mig_by_level.check(points=1)
def test_is_one_for_a_unit_that_knows_an_uneven_factor(mig_by_level):
    """Six examples of one class, two of another. A unit of finer bins knows all, the second nothing: 1."""
    factor = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    knows, nothing = [0, 0, 1, 1, 2, 2, 3, 4], [0, 1, 0, 1, 0, 1, 0, 1]
    codes = np.stack([knows, nothing], axis=1)[None]
    assert_close(mig_by_level(codes, factor[:, None]), [[1.0]], what="gap")


def _information(codes, factors):
    """Mutual information of each unit of each level with each factor, (levels, units, k), in nats."""
    return np.array([[[_mutual(u, v) for v in factors.T] for u in level.T] for level in codes])


def _mutual(u, v):
    table = np.zeros((u.max() + 1, v.max() + 1))
    np.add.at(table, (u, v), 1 / len(u))
    return _nats(table)


def _entropies(columns):
    return np.array([_mutual(column, column) for column in columns.T])


def _gap(nats):
    """The largest less the second largest along axis 1."""
    ordered = np.sort(nats, axis=1)
    return ordered[:, -1] - ordered[:, -2]


@mig_by_level.misconception(
    "You divided by the entropy of the unit. The gap is a share of what there is to know: H(v)."
)
def over_the_entropy_of_the_code(codes, factors):
    own = np.array([_entropies(level) for level in codes])
    return _gap(_information(codes, factors) / own[:, :, None])


@mig_by_level.misconception("Your gaps are in nats. Divide by the factor's entropy, so that 1 is the most.")
def not_normalised(codes, factors):
    return _gap(_information(codes, factors))


@mig_by_level.misconception(
    "You divided by the logarithm of the number of classes. That is the entropy only if all are equally frequent."
)
def over_the_largest_entropy(codes, factors):
    return _gap(_information(codes, factors)) / np.log([len(np.unique(v)) for v in factors.T])


@mig_by_level.misconception(
    "That is the share that the best unit knows. Subtract what the second best knows: the gap is asked."
)
def no_gap(codes, factors):
    return _information(codes, factors).max(axis=1) / _entropies(factors)


@mig_by_level.misconception(
    "You subtracted the mean of the units. The gap is that to the second best: one rival is enough."
)
def gap_to_the_mean(codes, factors):
    nats = _information(codes, factors)
    return (nats.max(axis=1) - nats.mean(axis=1)) / _entropies(factors)


@mig_by_level.misconception("You subtracted the worst unit of the level. The gap is that to the second best.")
def gap_to_the_worst(codes, factors):
    nats = _information(codes, factors)
    return (nats.max(axis=1) - nats.min(axis=1)) / _entropies(factors)


@mig_by_level.misconception(
    "You took the units of all levels as one crowd. Each level has its own best unit, and its own second best."
)
def levels_pooled(codes, factors):
    nats = _information(codes, factors)
    gap = _gap(nats.reshape(1, -1, nats.shape[-1])) / _entropies(factors)
    return np.repeat(gap, len(codes), axis=0)


@mig_by_level.misconception("You divided bits by nats. Both logarithms must have the same base.")
def bits_over_nats(codes, factors):
    return _gap(_information(codes, factors)) / np.log(2) / _entropies(factors)


@mig_by_level.misconception("You divided nats by bits. Both logarithms must have the same base.")
def nats_over_bits(codes, factors):
    return _gap(_information(codes, factors)) * np.log(2) / _entropies(factors)


@mig_by_level.misconception(
    "You compared factors: what the best unit knows of another factor. Compare units, for one factor."
)
def second_among_the_factors(codes, factors):
    nats = _information(codes, factors)
    out = np.empty((len(codes), nats.shape[-1]))
    for i, j in np.ndindex(out.shape):
        best = nats[i, nats[i, :, j].argmax()]
        out[i, j] = best[j] - np.delete(best, j).max(initial=0)
    return out / _entropies(factors)


@mig_by_level.misconception("Your axes are swapped: a row for each level, a column for each factor.")
def axes_swapped(codes, factors):
    return (_gap(_information(codes, factors)) / _entropies(factors)).T


@mig_by_level.misconception(
    "You compared the best unit of a level with the best of the other levels. Its rival is in the same level."
)
def rival_in_another_level(codes, factors):
    best = _information(codes, factors).max(axis=1)
    others = np.array([np.delete(best, i, axis=0).max(axis=0, initial=0) for i in range(len(best))])
    return (best - others) / _entropies(factors)


@mig_by_level.misconception(
    "You used a normalised mutual information: it divides by the unit's entropy too. Take nats, divide by H(v)."
)
def normalised_by_both(codes, factors):
    own = np.array([_entropies(level) for level in codes])
    return _gap(2 * _information(codes, factors) / (own[:, :, None] + _entropies(factors)))


# 8.7 ----------------------------------------------------------------------------------------------------

shared_information = Exercise(
    "8.7",
    "shared_information",
    stars=2,
    points=4,
    minutes=8,
    hints=(
        "What two levels both tell is counted twice if you add up what each tells alone. But two numbers can also "
        "tell together what neither tells alone: think of v = z₁ XOR z₂.",
        "I(a; b) = Σ p(a, b) log(p(a, b) / (p(a) p(b))), over entries that are not 0. All three terms are of this "
        "kind; in the last, a is the pair (z₁, z₂).",
        "One function for the information in a table of two axes; `keepdims=True` makes its margins fit. Three "
        "tables: the joint summed over z₂, summed over z₁, and with its first two axes made one by `reshape`.",
    ),
)


def _by_entropies(joint):
    """Σ of entropies of single, paired and all three variables, with signs; loops, and nothing for a 0."""
    sums = {axes: {} for size in (1, 2, 3) for axes in itertools.combinations(range(3), size)}
    for index in np.ndindex(joint.shape):
        for axes, table in sums.items():
            key = tuple(index[axis] for axis in axes)
            table[key] = table.get(key, 0.0) + joint[index]
    entropies = {axes: -sum(p * math.log(p) for p in table.values() if p > 0) for axes, table in sums.items()}
    return sum((-1) ** (len(axes) + 1) * value for axes, value in entropies.items())


@shared_information.check(points=2)
def test_is_a_signed_sum_of_entropies(shared_information, rng):
    """A table of 3×4×2 where both tell of v and each in its own way; seven entropies by loops."""
    joint = rng.uniform(0.5, 1.5, size=(3, 4, 2))
    for i, j, k in np.ndindex(joint.shape):
        joint[i, j, k] *= (6 if i % 2 == k else 1) * (4 if j // 2 == k else 1)
    joint /= joint.sum()
    assert_close(shared_information(joint), _by_entropies(joint), rtol=2e-3, what="shared information")


@shared_information.check(points=1)
def test_is_negative_where_only_both_together_tell(shared_information):
    """v = z₁ XOR z₂, of two fair coins: neither tells anything, both tell all. So −log 2."""
    joint = np.zeros((2, 2, 2))
    for a, b in itertools.product(range(2), repeat=2):
        joint[a, b, a ^ b] = 1 / 4
    assert_close(shared_information(joint), -np.log(2), what="shared information of an XOR")


@shared_information.check(points=1)
def test_counts_a_copy_once_and_separate_parts_never(shared_information):
    """Two copies of a coin share log 2 about it. Of a coin and a die, each tells its own: nothing is shared."""
    copy = np.zeros((2, 2, 2))
    copy[0, 0, 0] = copy[1, 1, 1] = 1 / 2
    assert_close(shared_information(copy), np.log(2), what="shared information of two copies")
    parts = np.zeros((2, 3, 6))
    for a, b in itertools.product(range(2), range(3)):
        parts[a, b, 3 * a + b] = 1 / 6
    assert_close(shared_information(parts), 0.0, what="shared information of separate parts")


def _terms(joint):
    """I(z_1; v), I(z_2; v), I(z_1, z_2; v) in nats."""
    tables = joint.sum(axis=1), joint.sum(axis=0), joint.reshape(-1, joint.shape[-1])
    return [_nats(table) for table in tables]


def _nats(table):
    return rel_entr(table, table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True)).sum()


def _co_information(joint):
    first, second, together = _terms(joint)
    return first + second - together


@shared_information.misconception(
    "You took the absolute value. Negative means that both together tell more than the two alone, and says so."
)
def absolute_value(joint):
    return np.abs(_co_information(joint))


@shared_information.misconception(
    "You cut it off at 0. It may be negative: both together can tell more than the two alone."
)
def nothing_below_zero(joint):
    return np.maximum(_co_information(joint), 0)


@shared_information.misconception("The sign is turned: what each tells alone is added, what both tell subtracted.")
def turned_sign(joint):
    return -_co_information(joint)


@shared_information.misconception(
    "That is the smaller of what the two tell. Two levels can tell equally much, and not the same."
)
def smaller_of_both(joint):
    return min(_terms(joint)[:2])


@shared_information.misconception("That is I(z₁; z₂), what the two have in common. How much of it is about v?")
def information_of_each_other(joint):
    return _nats(joint.sum(axis=2))


@shared_information.misconception("That is in bits. Use natural logarithms.")
def in_bits(joint):
    return _co_information(joint) / np.log(2)


@shared_information.misconception(
    "That is what z₁ adds to z₂, I(z₁; v | z₂). Shared is what z₁ tells and does not add."
)
def information_added(joint):
    _, second, together = _terms(joint)
    return together - second


@shared_information.misconception("That is what both together tell. How much of it is told twice?")
def told_together(joint):
    return _terms(joint)[2]


@shared_information.misconception("You did not subtract what both together tell.")
def sum_of_both(joint):
    return sum(_terms(joint)[:2])


@shared_information.misconception("You took the mean of what each tells alone. They are added, both in full.")
def mean_of_both(joint):
    first, second, together = _terms(joint)
    return (first + second) / 2 - together


@shared_information.misconception(
    "0 · log 0 came out as NaN. An entry of 0 adds 0: leave it out, or use `rel_entr`."
)
def nan_at_empty_entries(joint):
    def nats(table):
        return (table * np.log(table / table.sum(axis=1, keepdims=True) / table.sum(axis=0, keepdims=True))).sum()

    with np.errstate(all="ignore"):
        return nats(joint.sum(axis=1)) + nats(joint.sum(axis=0)) - nats(joint.reshape(-1, joint.shape[-1]))


@shared_information.misconception(
    "You compared p(z₁, z₂, v) with p(z₁) p(z₂) p(v). In the last term z₁ and z₂ are one: p(z₁, z₂) p(v)."
)
def all_three_apart(joint):
    first, second, _ = _terms(joint)
    alone = [joint.sum(axis=axes, keepdims=True) for axes in ((1, 2), (0, 2), (0, 1))]
    return first + second - rel_entr(joint, alone[0] * alone[1] * alone[2]).sum()


# 8.8 ----------------------------------------------------------------------------------------------------

mended_comparison = Exercise(
    "8.8",
    "mended_comparison",
    stars=2,
    points=4,
    minutes=8,
    hints=(
        "A distance between samples errs high, and more so the smaller a sample is. Which of the three distances "
        "here are measured on samples of the same size?",
        "With n = the smallest of the three sizes: D(real, first n rows of a set) − D(real, first n rows of "
        "held_out), for both sets.",
        "Find one n before anything is measured, slice three arrays to it, and leave the rest as it is. `real` "
        "takes no part in finding n.",
    ),
)


def _by_columns(a, b):
    """The colleague's distance, column after column, by Python's `statistics`."""
    total = 0.0
    for x, y in zip(np.transpose(a).tolist(), np.transpose(b).tolist(), strict=True):
        total += (fmean(x) - fmean(y)) ** 2 + (pstdev(x) - pstdev(y)) ** 2
    return total


@mended_comparison.check(points=1)
def test_compares_as_paper_and_pencil_do(mended_comparison):
    """Two rows of each count. Means 1, 3, 4, 5, deviations 1, 1, 0, 0: a floor of 4, and sets at 9 + 1, 16 + 1."""
    real, held_out = np.array([[0.0], [2.0]]), np.array([[2.0], [4.0], [9.0]])
    first, second = np.array([[4.0], [4.0], [0.0], [9.0]]), np.array([[5.0], [5.0]])
    got = _parts(
        mended_comparison(real, held_out, first, second), 2, "how much farther than the floor each set is"
    )
    assert_close(got[0], 9 + 1 - 4, what="first set")
    assert_close(got[1], 16 + 1 - 4, what="second set")


@mended_comparison.check(points=2)
def test_lets_the_smallest_of_three_decide(mended_comparison, rng):
    """Each set is the smallest once; column by column. Real examples are now the most, now the fewest."""
    for sizes in ((40, 12, 20, 30), (8, 25, 18, 11), (15, 26, 9, 19)):
        real, held_out, first, second = (
            rng.normal(mean, spread, size=(size, 3))
            for size, mean, spread in zip(sizes, (0, 0.2, 1, -1.5), (1, 1.2, 2, 0.5), strict=True)
        )
        n = min(sizes[1:])
        floor = _by_columns(real, held_out[:n])
        got = mended_comparison(real, held_out, first, second)
        first_gap, second_gap = _parts(got, 2, "how much farther than the floor each set is")
        note = "({1} held out, {2} and {3} generated)".format(*sizes)
        assert_close(
            first_gap, _by_columns(real, first[:n]) - floor, rtol=1e-3, atol=1e-4, what=f"first set {note}"
        )
        assert_close(
            second_gap, _by_columns(real, second[:n]) - floor, rtol=1e-3, atol=1e-4, what=f"second set {note}"
        )


@mended_comparison.check(points=1)
def test_finds_real_examples_at_the_floor(mended_comparison, rng):
    """Both sets begin with the examples held out, and go on with others: no farther than the floor."""
    real, held_out = rng.normal(size=(30, 4)), rng.normal(size=(10, 4))
    longer, other = (np.concatenate([held_out, rng.normal(3, 2, size=(size, 4))]) for size in (5, 40))
    got = _parts(
        mended_comparison(real, held_out, longer, other), 2, "how much farther than the floor each set is"
    )
    assert_close(got[0], 0.0, what="first set")
    assert_close(got[1], 0.0, what="second set")


def _apart(a, b):
    return ((a.mean(axis=0) - b.mean(axis=0)) ** 2 + (a.std(axis=0) - b.std(axis=0)) ** 2).sum()


def _over_the_floor(real, held_out, first, second):
    floor = _apart(real, held_out)
    return _apart(real, first) - floor, _apart(real, second) - floor


@mended_comparison.misconception(
    "Nothing has changed: each set still enters with as many rows as it happens to have."
)
def nothing_mended(real, held_out, first, second):
    return _over_the_floor(real, held_out, first, second)


@mended_comparison.misconception(
    "You cut each set to what it and `held_out` both have. Then the two sets are measured at different n, and "
    "cannot be compared: one n for all three."
)
def an_n_for_each_set(real, held_out, first, second):
    out = []
    for x in (first, second):
        n = min(len(held_out), len(x))
        out.append(_apart(real, x[:n]) - _apart(real, held_out[:n]))
    return tuple(out)


@mended_comparison.misconception("The floor is missing: subtract how far real examples are at this n.")
def floor_forgotten(real, held_out, first, second):
    n = min(map(len, (held_out, first, second)))
    return _apart(real, first[:n]), _apart(real, second[:n])


@mended_comparison.misconception(
    "Your floor has all the examples held out, and is too low. It errs high with few rows as the others do: the "
    "same n."
)
def floor_at_full_size(real, held_out, first, second):
    n = min(map(len, (held_out, first, second)))
    floor = _apart(real, held_out)
    return _apart(real, first[:n]) - floor, _apart(real, second[:n]) - floor


@mended_comparison.misconception(
    "You evened out the two sets and forgot `held_out`: it may be the smallest, and it needs the same n."
)
def held_out_has_no_say(real, held_out, first, second):
    n = min(len(first), len(second))
    return _over_the_floor(real, held_out[:n], first[:n], second[:n])


@mended_comparison.misconception(
    "You cut `real` as well. It is on one side of all three distances, so it may stay whole."
)
def real_cut_too(real, held_out, first, second):
    n = min(map(len, (held_out, first, second)))
    return _over_the_floor(real[:n], held_out[:n], first[:n], second[:n])


@mended_comparison.misconception(
    "You let the size of `real` decide as well. It enters whole: n is the smallest of the other three."
)
def real_has_a_say(real, held_out, first, second):
    n = min(map(len, (real, held_out, first, second)))
    return _over_the_floor(real, held_out[:n], first[:n], second[:n])


@mended_comparison.misconception("You took the last rows of each set. Asked are the first.")
def last_rows(real, held_out, first, second):
    n = min(map(len, (held_out, first, second)))
    return _over_the_floor(real, held_out[-n:], first[-n:], second[-n:])


@mended_comparison.misconception(
    "You drew the rows at random. Each call would give another answer: take the first rows."
)
def rows_at_random(real, held_out, first, second):
    n = min(map(len, (held_out, first, second)))
    return _over_the_floor(real, *(x[np.random.permutation(len(x))[:n]] for x in (held_out, first, second)))


@mended_comparison.misconception(
    "You repeated rows until all were equally long. A row that comes twice is no new example: the error stays."
)
def rows_repeated(real, held_out, first, second):
    n = max(map(len, (held_out, first, second)))
    return _over_the_floor(real, *(x[np.arange(n) % len(x)] for x in (held_out, first, second)))


@mended_comparison.misconception(
    "You multiplied each distance by its n. The error falls with n, but what the sets really differ by does not: "
    "measure at the same n instead."
)
def scaled_by_n(real, held_out, first, second):
    floor = len(held_out) * _apart(real, held_out)
    return tuple(len(x) * _apart(real, x) - floor for x in (first, second))


@mended_comparison.misconception("You return the second set first.")
def order_swapped(real, held_out, first, second):
    n = min(map(len, (held_out, first, second)))
    return _over_the_floor(real, held_out[:n], first[:n], second[:n])[::-1]


@mended_comparison.misconception(
    "You divided by the floor. Asked is the difference, in the units of the distance."
)
def ratio_to_the_floor(real, held_out, first, second):
    n = min(map(len, (held_out, first, second)))
    floor = _apart(real, held_out[:n])
    return _apart(real, first[:n]) / floor, _apart(real, second[:n]) / floor
