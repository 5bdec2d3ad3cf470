"""Densities, draws and divergences against closed forms in float64."""

import math

import numpy as np
import pytest

from hvae_keras import distributions
from hvae_keras.backend import keras, ops
from hvae_keras.distributions import tfd


def array(tensor):
    return ops.convert_to_numpy(tensor)


def normal_kl(mean, log_var):
    """KL(N(mean, exp(log_var)) ‖ N(0, I)) in float64 (Kingma & Welling 2014, appendix B)."""
    mean, log_var = np.float64(mean), np.float64(log_var)
    return 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum(-1)


def test_kl_to_the_standard_normal_is_the_closed_form(rng):
    mean, log_var = rng.normal(size=(2, 7, 3)).astype("float32")
    q = distributions.diagonal_normal(ops.concatenate([mean, log_var], axis=-1))
    found = distributions.kl(q, distributions.standard_normal((3,)))
    np.testing.assert_allclose(array(found), normal_kl(mean, log_var), rtol=1e-5)


def test_kl_between_normals_is_the_closed_form_and_the_mean_of_log_ratios(rng):
    q_mean, p_mean = rng.normal(size=(2, 4))
    q_scale, p_scale = np.exp(0.5 * rng.normal(size=(2, 4)))
    q, p = distributions.normal(q_mean, q_scale), distributions.normal(p_mean, p_scale)
    found = float(distributions.kl(q, p))
    ratio = (q_scale / p_scale) ** 2 + ((q_mean - p_mean) / p_scale) ** 2
    np.testing.assert_allclose(found, (0.5 * (ratio - 1) + np.log(p_scale / q_scale)).sum(), rtol=1e-5)

    z = q_mean + q_scale * rng.normal(size=(200_000, 4))
    log_ratio = np.log(p_scale / q_scale) + 0.5 * (((z - p_mean) / p_scale) ** 2 - ((z - q_mean) / q_scale) ** 2)
    draws = log_ratio.sum(-1)
    assert abs(draws.mean() - found) < 4 * draws.std() / math.sqrt(len(draws))


def test_kl_falls_back_on_monte_carlo_where_there_is_no_closed_form():
    """KL(N(0, 1) ‖ Laplace(0, b)) = log 2b + E|z|/b - ½ log 2πe, which TFP does not know."""
    q = distributions.standard_normal((1,))
    p = tfd.Independent(tfd.Laplace(ops.zeros(1), 2.0), 1)
    with pytest.raises(NotImplementedError):
        tfd.kl_divergence(q, p)
    draws = 40_000
    found = float(distributions.kl(q, p, samples=draws, seed=1))
    truth = math.log(4) + math.sqrt(2 / math.pi) / 2 - 0.5 * math.log(2 * math.pi * math.e)
    # The standard deviation of log q - log p is below 1: z²/2 has 0.71, |z|/2 has 0.30.
    assert abs(found - truth) < 4 / math.sqrt(draws)
    assert found == float(distributions.kl(q, p, samples=draws, seed=1))


def test_kl_refuses_two_sizes():
    with pytest.raises(ValueError, match="one event shape"):
        distributions.kl(distributions.standard_normal((2,)), distributions.standard_normal((3,)))


def test_mean_stands_before_log_variance():
    q = distributions.diagonal_normal(np.float32([[3.0, -1.0, math.log(4.0), math.log(0.25)]]))
    np.testing.assert_allclose(array(q.mean()), [[3.0, -1.0]])
    np.testing.assert_allclose(array(q.stddev()), [[2.0, 0.5]], rtol=1e-6)


def test_a_head_of_odd_size_is_refused():
    with pytest.raises(ValueError, match=r"even; got shape \(2, 3\)"):
        distributions.diagonal_normal(ops.zeros((2, 3)))


def test_densities_are_float32_under_half_precision():
    q = distributions.diagonal_normal(ops.zeros((2, 4), dtype="float16"))
    assert ops.dtype(distributions.kl(q, distributions.standard_normal((2,)))) == "float32"


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_bernoulli_is_the_closed_form_up_to_1000(x):
    logits = np.array([-1000.0, -88.0, -30.0, -1.0, 0.0, 1.0, 30.0, 88.0, 1000.0])
    wrong_way = np.where(x == 1, -logits, logits)
    truth = -np.logaddexp(0, wrong_way)  # log p(x) = -log(1 + exp(∓logit)), float64
    found = distributions.bernoulli(logits[:, None]).log_prob(np.full((9, 1), x, "float32"))
    np.testing.assert_allclose(array(found), truth, rtol=1e-6, atol=1e-30)


def test_bernoulli_sums_over_all_but_the_batch(rng):
    logits = rng.normal(size=(3, 2, 4, 1)).astype("float32")
    x = (rng.random(logits.shape) < 0.5).astype("float32")
    pixels = -np.logaddexp(0, np.where(x == 1, -1, 1) * np.float64(logits))
    np.testing.assert_allclose(
        array(distributions.bernoulli(logits).log_prob(x)), pixels.sum((1, 2, 3)), rtol=1e-5
    )


def test_a_generator_gives_new_noise_and_an_int_the_same():
    q = distributions.standard_normal((5,))
    generator = keras.random.SeedGenerator(3)
    first, second = (array(distributions.sample(q, generator)) for _ in range(2))
    assert np.abs(first - second).min() > 0
    again = keras.random.SeedGenerator(3)
    np.testing.assert_array_equal(first, array(distributions.sample(q, again)))
    np.testing.assert_array_equal(array(distributions.sample(q, 7)), array(distributions.sample(q, 7)))


def test_a_draw_is_a_function_of_its_parameters():
    """One noise, two parameters: z = μ + σ ε with the same ε, so gradients pass through z."""
    mean, log_var = np.float32([[1.0, -2.0]]), np.float32([[0.5, -1.0]])
    noise = array(distributions.sample(distributions.diagonal_normal(np.zeros((1, 4), "float32")), 5))
    z = distributions.sample(distributions.diagonal_normal(np.concatenate([mean, log_var], -1)), 5)
    np.testing.assert_allclose(array(z), mean + np.exp(0.5 * log_var) * noise, rtol=1e-5)


def test_draws_have_the_moments_of_the_distribution():
    q = distributions.diagonal_normal(np.float32([2.0, -1.0, math.log(9.0), 0.0]))
    z = array(distributions.sample(q, keras.random.SeedGenerator(0), (100_000,)))
    score = (z - [2.0, -1.0]) / [3.0, 1.0]
    assert np.abs(score.mean(0)).max() < 4 / math.sqrt(len(z))
    assert np.abs((score**2).mean(0) - 1).max() < 4 * math.sqrt(2 / len(z))


def test_a_draw_that_no_gradient_passes_is_refused():
    with pytest.raises(ValueError, match="differentiable"):
        distributions.sample(distributions.bernoulli(ops.zeros((2, 3))), 0)
