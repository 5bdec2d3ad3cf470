"""Distances of feature sets, on distributions whose distance is known."""

import tracemalloc

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import ortho_group

from hvae_keras.metrics import fidelity, frechet_distance, kernel_distance


def exactly(rng, mean, covariance, n=200):
    """n points whose mean and covariance are exactly these; the covariance may be singular."""
    mean, covariance = np.asarray(mean, "float64"), np.asarray(covariance, "float64")
    x = rng.normal(size=(n, len(mean)))
    x -= x.mean(axis=0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(x.T)))).T
    values, vectors = np.linalg.eigh(covariance)
    return mean + white @ (vectors * np.sqrt(values.clip(0))).T


def by_sqrtm(real, generated):
    """The formula as the papers write it."""
    a, b = np.cov(real.T), np.cov(generated.T)
    gap = real.mean(axis=0) - generated.mean(axis=0)
    return gap @ gap + np.trace(a + b - 2 * sqrtm(a @ b).real)


def covariance_of(rng, d, rank=None):
    factor = rng.normal(size=(d, rank or 2 * d))
    return factor @ factor.T / d


# Closed forms


def test_one_feature_has_the_closed_form(rng):
    real, generated = exactly(rng, [1.0], [[4.0]]), exactly(rng, [-2.0], [[0.25]], n=50)
    assert frechet_distance(real, generated) == pytest.approx(3.0**2 + (2.0 - 0.5) ** 2, rel=1e-12)


def test_two_points_each_by_hand():
    real, generated = np.array([[0.0], [2.0]]), np.array([[5.0], [11.0]])  # variances 2 and 18, by n - 1
    assert frechet_distance(real, generated) == pytest.approx(7**2 + (np.sqrt(18) - np.sqrt(2)) ** 2, rel=1e-12)


def test_diagonal_covariances_are_squared_gaps_of_deviations(rng):
    r, g, gap = rng.uniform(0.1, 3, 6), rng.uniform(0.1, 3, 6), rng.normal(size=6)
    real, generated = exactly(rng, gap, np.diag(r**2)), exactly(rng, np.zeros(6), np.diag(g**2), n=90)
    assert frechet_distance(real, generated) == pytest.approx(gap @ gap + ((r - g) ** 2).sum(), rel=1e-10)


def test_equal_covariances_leave_the_gap_of_the_means(rng):
    covariance = covariance_of(rng, 5)
    real = exactly(rng, np.zeros(5), covariance)
    assert frechet_distance(real, exactly(rng, np.full(5, 2.0), covariance)) == pytest.approx(20.0, rel=1e-10)


def test_a_known_pair_that_does_not_commute(rng):
    # tr (AB)^½ of 2×2 matrices is √(tr AB + 2 √det AB).
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 0.75]])
    shared = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a) + np.trace(b) - 2 * shared
    assert not np.allclose(a @ b, b @ a)
    found = frechet_distance(exactly(rng, [0, 0], a), exactly(rng, [0, 0], b))
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("d", [2, 8, 32])
def test_it_is_what_sqrtm_gives_where_that_is_stable(rng, d):
    real, generated = rng.normal(size=(400, d)), 0.5 + rng.normal(size=(300, d)) @ covariance_of(rng, d)
    assert frechet_distance(real, generated) == pytest.approx(by_sqrtm(real, generated), rel=1e-8)


@pytest.mark.parametrize("real", [(0, 6), (0, 2), (1, 6)], ids=["full rank", "rank 2", "few examples"])
@pytest.mark.parametrize("generated", [(0, 6), (2, 1), (3, 6)], ids=["full rank", "rank 1", "few examples"])
def test_three_routes_agree(rng, real, generated):
    """The paper's square root of a matrix, the eigenvalues of the product, and ours."""

    def drawn(few, rank):
        return rng.normal(size=(4 if few % 2 else 90, rank)) @ rng.normal(size=(rank, 6)) + few

    real, generated = drawn(*real), drawn(*generated)
    product = np.cov(real.T) @ np.cov(generated.T)
    eigenvalues = np.sqrt(np.linalg.eigvals(product).real.clip(0)).sum()
    gap = real.mean(axis=0) - generated.mean(axis=0)
    traces = real.var(axis=0, ddof=1).sum() + generated.var(axis=0, ddof=1).sum()
    found = frechet_distance(real, generated)
    assert gap @ gap + traces - 2 * eigenvalues == pytest.approx(found, rel=1e-6)
    assert by_sqrtm(real, generated) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize(("n", "m", "d"), [(1000, 500, 24), (1000, 1000, 64), (4000, 4000, 64)])
def test_two_draws_of_one_normal_are_as_far_as_the_docstring_says(rng, n, m, d):
    """So the floor grows with d² / n: 2.2 and 0.55 with 64 features."""
    found = [frechet_distance(rng.normal(size=(n, d)), rng.normal(size=(m, d))) for _ in range(20)]
    assert np.mean(found) == pytest.approx((d * (d + 1) / 4 + d) * (1 / n + 1 / m), rel=0.05)


def test_with_as_few_examples_as_features_the_floor_is_as_large_as_the_variance(rng):
    found = frechet_distance(*rng.normal(size=(2, 64, 64)))
    assert 16 < found < 128  # 128 is the distance of two sets that share no direction


# What it must not depend on


def test_rotations_shifts_and_order_change_nothing(rng):
    real, generated = rng.normal(size=(60, 7)), rng.normal(size=(80, 7)) * 2 + 1
    turn = ortho_group.rvs(7, random_state=1)
    expected = frechet_distance(real, generated)
    assert frechet_distance(real @ turn + 3, generated @ turn + 3) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(real[::-1], rng.permutation(generated)) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(10 * real, 10 * generated) == pytest.approx(100 * expected, rel=1e-10)


def test_it_is_symmetric(rng):
    real, generated = rng.normal(size=(60, 7)), rng.normal(size=(9, 7)) * 2 + 1
    assert frechet_distance(real, generated) == pytest.approx(frechet_distance(generated, real), rel=1e-12)


def test_a_far_mean_costs_no_digits(rng):
    real, generated = rng.normal(size=(100, 4)), rng.normal(size=(100, 4))
    expected = frechet_distance(real, generated)
    assert frechet_distance(real + 1e6, generated + 1e6) == pytest.approx(expected, rel=1e-6)


def test_float32_is_computed_in_float64(rng):
    real, generated = (rng.normal(size=(50, 3)).astype("float32") + 1000 for _ in range(2))
    wide = frechet_distance(real.astype("float64"), generated.astype("float64"))
    assert frechet_distance(real, generated) == wide
    assert isinstance(wide, float)


# Singular covariances


@pytest.mark.parametrize("n", [2, 5, 64, 300])
def test_a_set_is_at_0_from_itself(rng, n):
    x = rng.normal(size=(n, 64)) * 10
    assert frechet_distance(x, x) <= 1e-10
    shrunk = 2 * (n - 1) / (2 * n - 1)  # the divisors are n - 1 and 2n - 1
    expected = x.var(axis=0, ddof=1).sum() * (1 - np.sqrt(shrunk)) ** 2
    assert frechet_distance(x, np.concatenate([x, x])) == pytest.approx(expected, rel=1e-8)


def test_fewer_examples_than_features(rng):
    covariance = covariance_of(rng, 5)
    basis = ortho_group.rvs(40, random_state=2)[:5]
    real, generated = exactly(rng, np.zeros(5), covariance, n=20), exactly(rng, np.ones(5), np.eye(5), n=12)
    inside = frechet_distance(real, generated)
    assert frechet_distance(real @ basis, generated @ basis) == pytest.approx(inside, rel=1e-10)


def test_subspaces_that_share_no_direction(rng):
    real, generated = np.zeros((30, 6)), np.zeros((40, 6))
    real[:, :3], generated[:, 3:] = rng.normal(size=(30, 3)), rng.normal(size=(40, 3))
    gap = real.mean(axis=0) - generated.mean(axis=0)
    expected = gap @ gap + real.var(axis=0, ddof=1).sum() + generated.var(axis=0, ddof=1).sum()
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=1e-12)


def test_covariances_of_different_rank(rng):
    low = covariance_of(rng, 6, rank=2)
    values, vectors = np.linalg.eigh(low)
    expected = np.trace(low) + 6 - 2 * np.sqrt(values.clip(0)).sum()
    found = frechet_distance(exactly(rng, np.zeros(6), low), exactly(rng, np.zeros(6), np.eye(6)))
    assert found == pytest.approx(expected, rel=1e-6)


def test_one_picture_again_and_again(rng):
    real, same = rng.normal(size=(50, 4)), np.tile(rng.normal(size=(1, 4)), (30, 1))
    gap = real.mean(axis=0) - same[0]
    assert frechet_distance(real, same) == pytest.approx(gap @ gap + real.var(axis=0, ddof=1).sum(), rel=1e-12)
    assert frechet_distance(same, same + 1) == pytest.approx(4.0, rel=1e-12)


def test_nearly_dependent_features_keep_their_digits(rng):
    scales = np.array([1.0, 1e-7, 1e-9])  # by the eigenvalues of a product of covariances these would be noise
    real, generated = exactly(rng, np.zeros(3), np.eye(3)), exactly(rng, np.zeros(3), np.eye(3), n=70)
    turn = ortho_group.rvs(3, random_state=3)
    found = frechet_distance(real * scales @ turn, generated * 3 * scales @ turn)
    assert found == pytest.approx(4 * (scales**2).sum(), rel=1e-12)


# The kernel distance


def by_loops(real, generated):
    """The definition: no point is paired with itself."""

    def kernel(x, y):
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    def within(points):
        return np.mean([kernel(x, y) for i, x in enumerate(points) for j, y in enumerate(points) if i != j])

    return within(real) + within(generated) - 2 * np.mean([kernel(x, y) for x in real for y in generated])


def test_two_equal_sets_of_two_points_by_hand():
    """k(x, x) = (1/2 + 1)³ = 3.375 and k(x, y) = 1, so 1 + 1 - 2 (2 · 3.375 + 2 · 1) / 4 = -2.375."""
    assert kernel_distance(np.eye(2), np.eye(2)) == -2.375


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (7, 12, 3), (20, 9, 30)])
def test_the_kernel_distance_is_the_one_of_the_definition(rng, n, m, d):
    real, generated = rng.normal(size=(n, d)), 2 * rng.normal(size=(m, d)) + 1
    found = kernel_distance(real, generated)
    assert isinstance(found, float) and found == pytest.approx(by_loops(real, generated), rel=1e-11)
    assert found == pytest.approx(kernel_distance(generated, real), rel=1e-11)
    assert found == pytest.approx(kernel_distance(real[::-1], generated), rel=1e-11)


@pytest.mark.parametrize("block", [1, 50, 150, 999])
def test_blocks_change_nothing(rng, monkeypatch, block):
    real, generated = rng.normal(size=(40, 5)), rng.normal(size=(31, 5)) + 1
    expected = kernel_distance(real, generated)
    monkeypatch.setattr(fidelity, "BLOCK", block)
    assert kernel_distance(real, generated) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("n", [4, 30])
def test_it_has_no_bias_whatever_the_size(rng, n):
    """In one dimension it is Σ_j C(3, j) (E x^j - E y^j)²: with moments 0, 1, 0 and 1, 2, 4 that is 3 + 3 + 16."""
    alike = [kernel_distance(*rng.normal(size=(2, n, 1))) for _ in range(1500)]
    moved = [kernel_distance(rng.normal(size=(n, 1)), rng.normal(size=(n, 1)) + 1) for _ in range(1500)]
    for found, expected in ((alike, 0), (moved, 22)):
        assert abs(np.mean(found) - expected) < 3.5 * np.std(found) / np.sqrt(len(found))
    assert 0.3 < np.mean(np.array(alike) < 0) < 0.9, "near 0 it is often negative"


def test_it_sees_a_third_moment_which_the_frechet_distance_does_not(rng):
    """Exponential less 1: moments 0, 1, 2, against 0, 1, 0 of a normal: (2 - 0)² = 4."""
    real, skewed = rng.normal(size=(4000, 1)), rng.exponential(size=(4000, 1)) - 1
    assert frechet_distance(real, skewed) < 0.01
    assert 2.5 < kernel_distance(real, skewed) < 6


def test_of_a_constant_set_it_is_defined():
    real, one = np.zeros((5, 3)), np.ones((4, 3))  # kernels 1, 8, and 1 across
    assert kernel_distance(real, one) == 1 + 8 - 2


def test_it_needs_little_memory(rng):
    """All pairs at once would be 128 MB."""
    real, generated = rng.normal(size=(2, 4000, 8))
    tracemalloc.start()
    kernel_distance(real, generated)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


# Errors


@pytest.mark.parametrize("name", ["real", "generated"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros(5), r"has shape \(5,\), expected \[n, d\]"),
        (np.zeros((5, 2, 2)), r"has shape \(5, 2, 2\), expected \[n, d\]"),
        (np.zeros((5, 0)), r"has shape \(5, 0\), expected \[n, d\]"),
        (np.zeros((1, 3)), "has 1 examples, expected at least 2"),
        (np.zeros((0, 3)), "has 0 examples, expected at least 2"),
        (np.array([[0, 1, 2], [0, np.nan, 1]]), "is NaN or infinite in row 1"),
        (np.array([[np.inf, 1, 2], [0, 0, 1]]), "is NaN or infinite in row 0"),
        (np.zeros((5, 3), "complex128"), "has dtype complex128, expected real numbers"),
        (np.full((5, 3), "a"), "has dtype <U1, expected real numbers"),
    ],
)
@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_errors_name_the_argument(distance, name, wrong, message):
    given = {"real": np.eye(3), "generated": np.eye(3), name: wrong}
    with pytest.raises(ValueError, match=f"^{name} {message}"):
        distance(**given)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_both_have_the_same_features(distance):
    with pytest.raises(ValueError, match="^generated has 2 features, expected 3, as real has"):
        distance(np.eye(3), np.eye(2))
