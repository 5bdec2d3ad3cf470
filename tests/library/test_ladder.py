"""The merge of the Ladder VAE against the product of two normal densities."""

import numpy as np
import pytest

from hvae_keras.backend import ops
from hvae_keras.layers import precision_weighted_merge


def merged(*arguments):
    arguments = [np.float32(argument) for argument in arguments]
    return [ops.convert_to_numpy(part) for part in precision_weighted_merge(*arguments)]


@pytest.mark.parametrize("seed", range(5))
def test_merge_is_the_product_of_the_densities(seed):
    """The formula of the paper in float64, with precisions, against the float32 of log space."""
    mean, log_var, prior_mean, prior_log_var = np.random.default_rng(seed).normal(size=(4, 1000))
    mean, log_var, prior_mean, prior_log_var = (np.float32(v) for v in (mean, log_var, prior_mean, prior_log_var))
    precision, prior_precision = np.exp(-np.float64(log_var)), np.exp(-np.float64(prior_log_var))
    total = precision + prior_precision
    found_mean, found_log_var = merged(mean, log_var, prior_mean, prior_log_var)
    np.testing.assert_allclose(found_mean, (mean * precision + prior_mean * prior_precision) / total, atol=1e-6)
    np.testing.assert_allclose(found_log_var, -np.log(total), atol=1e-6)


def test_merge_is_proportional_to_the_product_at_every_point():
    """log N(z; a) + log N(z; b) - log N(z; merged) is one number for all z."""
    (mean,), (log_var,) = merged([0.7], [-0.4], [-1.2], [0.9])

    def log_density(z, mean, log_var):
        return -0.5 * ((z - mean) ** 2 / np.exp(log_var) + log_var)

    z = np.linspace(-3, 3, 13)
    surplus = log_density(z, 0.7, -0.4) + log_density(z, -1.2, 0.9) - log_density(z, mean, log_var)
    np.testing.assert_allclose(surplus, surplus[0], atol=1e-5)


def test_merge_does_not_overflow():
    """Precisions of e^±200 are beyond float32; their logarithms are not."""
    found_mean, found_log_var = merged([1, 1, 1, 1], [200, -200, 200, -200], [2, 2, 2, 2], [-200, 200, 200, -200])
    np.testing.assert_allclose(found_mean, [2, 1, 1.5, 1.5])
    np.testing.assert_allclose(found_log_var, [-200, -200, 200 - np.log(2), -200 - np.log(2)], rtol=1e-6)


def test_merged_variance_is_below_both():
    rng = np.random.default_rng(0)
    log_var, prior_log_var = np.float32(rng.normal(size=(2, 100)) * 10)
    _, found = merged(rng.normal(size=100), log_var, rng.normal(size=100), prior_log_var)
    assert (found <= np.minimum(log_var, prior_log_var)).all()
