"""The exact model against SciPy, against Bayes's theorem, and as a VAE."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from hvae_keras import models
from hvae_keras.backend import ops


def test_log_prob_is_that_of_the_marginal_normal(slanted):
    x = slanted.sample(20, seed=0)
    covariance = slanted.weights @ slanted.weights.T + slanted.scale**2 * np.eye(slanted.data)
    truth = multivariate_normal(slanted.bias, covariance).logpdf(x)
    np.testing.assert_allclose(slanted.log_prob(x), truth, rtol=1e-10)


def test_posterior_obeys_bayes(slanted, rng):
    """log p(z|x) = log p(x|z) + log p(z) - log p(x) for any z, not only the likely ones."""
    x, z = slanted.sample(8, seed=0), rng.normal(size=(8, 3))
    mean, covariance = slanted.posterior(x)
    posterior = multivariate_normal(np.zeros(3), covariance).logpdf(z - mean)
    likelihood = norm.logpdf(x, z @ slanted.weights.T + slanted.bias, slanted.scale).sum(-1)
    prior = norm.logpdf(z).sum(-1)
    np.testing.assert_allclose(posterior, likelihood + prior - slanted.log_prob(x), rtol=1e-9)


def test_samples_have_the_moments_of_the_model(slanted):
    """The mean of -log p(x) over draws of x is the entropy of the marginal."""
    surprise = -slanted.log_prob(slanted.sample(100_000, seed=1))
    covariance = slanted.weights @ slanted.weights.T + slanted.scale**2 * np.eye(slanted.data)
    entropy = multivariate_normal(slanted.bias, covariance).entropy()
    assert abs(surprise.mean() - entropy) < 4 * surprise.std() / np.sqrt(len(surprise))


def test_kl_to_posterior_is_the_mean_log_ratio(slanted, rng):
    x = slanted.sample(1, seed=2)
    mean, variance = np.array([[0.3, -0.2, 0.5]]), np.array([[0.5, 0.1, 0.9]])
    z = mean + np.sqrt(variance) * rng.normal(size=(100_000, 3))
    exact_mean, covariance = slanted.posterior(x)
    ratio = norm.logpdf(z, mean, np.sqrt(variance)).sum(-1)
    ratio -= multivariate_normal(exact_mean[0], covariance).logpdf(z)
    found = slanted.kl_to_posterior(x, mean, variance)
    assert found.shape == (1,)
    assert abs(ratio.mean() - found[0]) < 4 * ratio.std() / np.sqrt(len(ratio))


def test_kl_to_posterior_is_zero_at_the_posterior(exact):
    x = exact.sample(5, seed=0)
    mean, covariance = exact.posterior(x)
    np.testing.assert_allclose(exact.kl_to_posterior(x, mean, np.diag(covariance)), 0, atol=1e-12)


def test_as_vae_has_the_posterior_where_that_is_diagonal(exact):
    x = exact.sample(5, seed=0)
    posterior = exact.as_vae().infer(np.float32(x))[0].posterior
    mean, covariance = exact.posterior(x)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-12)
    np.testing.assert_allclose(ops.convert_to_numpy(posterior.mean()), mean, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(posterior.variance())[0], np.diag(covariance), rtol=1e-5)


def test_as_vae_has_the_nearest_diagonal_normal_elsewhere(slanted):
    """Any other mean or variance has a larger KL to the posterior."""
    x = slanted.sample(4, seed=0)
    posterior = slanted.as_vae().infer(np.float32(x))[0].posterior
    mean, variance = (np.float64(ops.convert_to_numpy(f())) for f in (posterior.mean, posterior.variance))
    best = slanted.kl_to_posterior(x, mean, variance)
    assert best.min() > 0.01
    for shift, stretch in [(0.05, 1), (-0.05, 1), (0, 1.05), (0, 0.95)]:
        assert (slanted.kl_to_posterior(x, mean + shift, variance * stretch) > best).all()


def test_shift_and_stretch_make_the_posterior_wrong(exact):
    x = np.float32(exact.sample(5, seed=0))
    right, wrong = exact.as_vae().infer(x)[0].posterior, exact.as_vae(0.5, 2.0).infer(x)[0].posterior
    difference = ops.convert_to_numpy(wrong.mean() - right.mean())
    np.testing.assert_allclose(difference, 0.5, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(wrong.stddev() / right.stddev()), 2.0, rtol=1e-5)


def test_bad_arguments_are_named(exact):
    with pytest.raises(ValueError, match=r"got shapes \(3, 2\) and \(2,\)"):
        models.LinearGaussian(np.ones((3, 2)), np.ones(2), 1.0)
    with pytest.raises(ValueError, match="above 0 is expected, got -1"):
        models.LinearGaussian(np.ones((3, 2)), np.ones(3), -1)
    with pytest.raises(ValueError, match=r"x is \[n, 6\]; got shape \(4, 5\)"):
        exact.log_prob(np.ones((4, 5)))
