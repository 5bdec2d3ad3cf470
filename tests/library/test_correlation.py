"""Total correlation where it is known: products, separate points, normals, and two posteriors by quadrature."""

import numpy as np
import pytest
from scipy.stats import norm

from hvae_keras.metrics import gaussian_total_correlation, total_correlation

ESTIMATORS = ["mixture", "leave one out", "weighted", "stratified"]


def normal_posteriors(n, correlation, variance, rng, d=2):
    """Posteriors N(m, variance) with normal m, so that q(z) is normal; and its exact total correlation."""
    covariance = np.full((d, d), correlation) + (1 - correlation) * np.eye(d)
    mean = rng.multivariate_normal(np.zeros(d), covariance, size=n)
    aggregated = covariance + variance * np.eye(d)
    truth = 0.5 * (np.log(np.diag(aggregated)).sum() - np.linalg.slogdet(aggregated)[1])
    return mean, np.full((n, d), np.log(variance)), truth


def test_a_grid_of_equal_posteriors_is_a_product():
    """q(z) factorises exactly, so every log-ratio is 0, not only their mean."""
    mean = np.indices((4, 5, 3)).reshape(3, -1).T * 1.0
    found = total_correlation(mean, np.tile([-1.0, 0.5, -3.0], (60, 1)))
    assert found == pytest.approx((0, 0), abs=1e-12)


@pytest.mark.parametrize("estimator", ["mixture", "leave one out", "stratified"])
def test_one_posterior_for_all_x_is_a_product_by_every_estimator_whose_weights_add_up_to_one(estimator):
    found = total_correlation(np.tile([1.0, -2.0, 0.0], (6, 1)), np.zeros((6, 3)), estimator, batch_size=3)
    assert found == pytest.approx((0, 0), abs=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_posteriors_that_never_overlap_share_log_n_for_each_unit_but_one(d):
    """Unit 1 tells which of n posteriors it was, and so do all others: (d - 1) log n nats."""
    mean = 100.0 * np.tile(np.arange(30)[:, None], d)
    found = total_correlation(mean, np.zeros((30, d)))
    assert found == pytest.approx(((d - 1) * np.log(30), 0), abs=1e-9)


def test_two_posteriors_by_quadrature():
    mean, scale = np.array([[0.0, 0.0], [1.5, 2.0]]), np.array([[1.0, 0.5], [0.7, 1.2]])
    grid = np.linspace(-8, 10, 1201)
    densities = norm.pdf(grid[:, None, None], mean, scale)  # [grid, posterior, unit]
    joint = np.einsum("ap,bp->ab", densities[..., 0], densities[..., 1]) / 2
    margins = densities.mean(axis=1)
    ratio = np.log(joint) - np.log(margins[:, None, 0] * margins[None, :, 1])
    truth = (joint * ratio).sum() * (grid[1] - grid[0]) ** 2
    found = total_correlation(mean, 2 * np.log(scale), draws=100_000)
    assert abs(found.value - truth) < 4 * found.error < 0.02


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_normal_posteriors_with_normal_means(rng, correlation):
    """2,000 posteriors as wide as their means spread: the sample of x adds about 0.01 nats of bias and noise."""
    mean, log_var, truth = normal_posteriors(2000, correlation, 1.0, rng)
    for estimator in ("mixture", "leave one out"):
        found = total_correlation(mean, log_var, estimator, draws=1000)
        assert abs(found.value - truth) < 4 * np.hypot(found.error, 0.01) + 0.01


def test_mixture_is_too_high_and_leave_one_out_too_low_where_points_are_few(rng):
    """Means over 20 data sets of 40 points, 4 units."""
    found = []
    for seed in range(20):
        mean, log_var, truth = normal_posteriors(40, 0.5, 0.2, rng, d=4)
        both = [total_correlation(mean, log_var, e, draws=200, seed=seed).value for e in ESTIMATORS[:2]]
        found.append(np.array(both) - truth)
    above, below = np.mean(found, axis=0)
    error = 4 * np.std(found, axis=0) / np.sqrt(20)
    assert above > error[0] and below < -error[1]


def test_weighted_sampling_is_too_high_by_log_n_for_each_unit_but_one(rng):
    """With the whole data as one batch the weights are all 1 / n² where those of the mixture are 1 / n."""
    mean, log_var, truth = normal_posteriors(300, 0.6, 1.0, rng, d=3)
    found = total_correlation(mean, log_var, "weighted", draws=3000, batch_size=300)
    mixture = total_correlation(mean, log_var, "mixture", draws=3000, seed=1)
    error = 4 * np.hypot(found.error, mixture.error)
    assert abs(found.value - mixture.value - 2 * np.log(300)) < error


def test_weighted_sampling_with_separate_posteriors_is_too_high_by_log_m():
    mean = 100.0 * np.tile(np.arange(200)[:, None], 3)
    found = total_correlation(mean, np.zeros((200, 3)), "weighted", batch_size=16)
    assert found.value == pytest.approx(2 * np.log(200) + 2 * np.log(16))


def test_stratified_sampling_is_the_mixture_with_the_whole_data_as_a_batch(rng):
    mean, log_var, truth = normal_posteriors(300, 0.6, 1.0, rng)
    found = total_correlation(mean, log_var, "stratified", draws=3000, batch_size=300)
    mixture = total_correlation(mean, log_var, "mixture", draws=3000, seed=1)
    assert abs(found.value - mixture.value) < 4 * np.hypot(found.error, mixture.error)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_scale_and_order_of_units_do_not_matter(rng, estimator):
    mean, log_var = rng.normal(size=(80, 3)), rng.normal(size=(80, 3)) - 1
    first = total_correlation(mean, log_var, estimator, draws=4000, batch_size=20)
    scaled = total_correlation(
        mean * [1, -20, 0.1] + 5, log_var + 2 * np.log([1, 20, 0.1]), estimator, 4000, 20, 7
    )
    swapped = total_correlation(mean[:, ::-1], log_var[:, ::-1], estimator, draws=4000, batch_size=20, seed=8)
    for other in (scaled, swapped):
        assert abs(first.value - other.value) < 4 * np.hypot(first.error, other.error)


def test_narrow_posteriors_do_not_underflow(rng):
    found = total_correlation(rng.normal(size=(50, 8)), np.full((50, 8), -40.0))
    assert found.value == pytest.approx(7 * np.log(50))


def test_the_seed_decides_the_draws(rng):
    mean, log_var = np.float32(rng.normal(size=(2, 40, 3)))
    assert total_correlation(mean, log_var) == total_correlation(mean, log_var, seed=0)
    assert total_correlation(mean, log_var) != total_correlation(mean, log_var, seed=1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mean": np.zeros((5, 2, 2))}, r"mean is \[n, d\].*\(5, 2, 2\)"),
        ({"mean": np.zeros((1, 2)), "log_var": np.zeros((1, 2))}, "n at least 2"),
        ({"log_var": np.zeros((5, 3))}, r"one shape \[n, d\]; got \(5, 2\) and \(5, 3\)"),
        ({"log_var": np.full((5, 2), np.nan)}, "log_var has NaN or infinite values in 5 rows"),
        ({"estimator": "kde"}, "estimator is one of .* got 'kde'"),
        ({"draws": 1}, "draws is at least 2; got 1"),
        ({"estimator": "weighted"}, "batch_size is from 2 to n = 5; got 64"),
        ({"estimator": "stratified", "batch_size": 1}, "batch_size is from 2 to n = 5; got 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        total_correlation(**{"mean": np.zeros((5, 2)), "log_var": np.zeros((5, 2)), **arguments})


def test_gaussian_total_correlation_of_two_codes_is_that_of_their_correlation(rng):
    codes = rng.normal(size=(500, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
    r = np.corrcoef(codes.T)[0, 1]
    assert gaussian_total_correlation(codes) == pytest.approx(-0.5 * np.log(1 - r**2))
    assert gaussian_total_correlation(codes * [-3, 1e-5] + 7) == pytest.approx(-0.5 * np.log(1 - r**2))


def test_gaussian_total_correlation_of_independent_codes_is_its_bias(rng):
    found = [gaussian_total_correlation(rng.normal(size=(400, 6))) for _ in range(100)]
    assert np.mean(found) == pytest.approx(6 * 5 / (4 * 400), abs=4 * np.std(found) / 10)


def test_gaussian_total_correlation_without_dependence_or_with_all_of_it(rng):
    codes = rng.normal(size=(100, 3))
    assert gaussian_total_correlation(codes[:, :1]) == 0
    dead = np.column_stack([codes, np.full(100, 0.1)])
    assert gaussian_total_correlation(dead) == gaussian_total_correlation(codes)
    assert gaussian_total_correlation(np.ones((10, 4))) == 0
    assert gaussian_total_correlation(np.column_stack([codes, codes @ [1, 2, 3]])) == np.inf
    square = np.array([[-1.0, 1], [0, 0], [1, 1]]).repeat(9, axis=0)
    assert gaussian_total_correlation(square) == pytest.approx(0, abs=1e-12)  # y = x²: not seen


def test_gaussian_total_correlation_refuses_too_few_points(rng):
    with pytest.raises(ValueError, match="3 points of 4 codes that vary"):
        gaussian_total_correlation(rng.normal(size=(3, 4)))
    with pytest.raises(ValueError, match="codes has NaN"):
        gaussian_total_correlation(np.full((5, 2), np.nan))
