"""Likelihood layers and the small networks."""

import numpy as np
import pytest
import scipy.stats

from hvae_keras import layers
from hvae_keras.backend import keras, ops


def array(tensor):
    return ops.convert_to_numpy(tensor)


def test_normal_is_scipys(rng):
    mean, x = rng.normal(size=(2, 3, 2, 2)).astype("float32")
    found = layers.Normal(scale=0.3).log_prob(mean, x)
    truth = scipy.stats.norm.logpdf(np.float64(x), np.float64(mean), 0.3).sum((1, 2))
    np.testing.assert_allclose(array(found), truth, rtol=1e-5)


@pytest.mark.parametrize("likelihood", [layers.Bernoulli(), layers.Normal(0.5)])
def test_log_likelihood_sums_over_dimensions(likelihood, rng):
    """Every pixel twice: twice the log-likelihood. A mean over pixels would leave it as it is."""
    parameters = rng.normal(size=(4, 3, 2)).astype("float32")
    x = (rng.random(parameters.shape) < 0.5).astype("float32")
    once = array(likelihood.log_prob(parameters, x))
    twice = array(likelihood.log_prob(np.repeat(parameters, 2, axis=1), np.repeat(x, 2, axis=1)))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)


@pytest.mark.parametrize("likelihood", [layers.Bernoulli(), layers.Normal(0.5)])
def test_many_parameters_for_one_batch(likelihood, rng):
    """A leading axis of samples, x without it: the same as one sample after the other."""
    parameters = rng.normal(size=(5, 4, 3, 2)).astype("float32")
    x = (rng.random((4, 3, 2)) < 0.5).astype("float32")
    one_by_one = np.stack([array(likelihood.log_prob(p, x)) for p in parameters])
    np.testing.assert_allclose(array(likelihood.log_prob(parameters, x)), one_by_one, rtol=1e-5)


def test_the_mean_is_in_the_data_space(rng):
    parameters = rng.normal(size=(2, 3)).astype("float32")
    np.testing.assert_allclose(array(layers.Bernoulli()(parameters)), 1 / (1 + np.exp(-parameters)), rtol=1e-5)
    np.testing.assert_array_equal(array(layers.Normal(2.0)(parameters)), parameters)


def test_a_scale_is_trained_only_when_asked():
    assert len(layers.Normal(0.5).trainable_weights) == 0
    learned = layers.Normal(0.5, learn_scale=True)
    assert len(learned.trainable_weights) == 1
    np.testing.assert_allclose(float(learned.scale), 0.5, rtol=1e-6)


def test_a_scale_is_positive():
    with pytest.raises(ValueError, match=r"above 0 is expected, got 0"):
        layers.Normal(scale=0)


@pytest.mark.parametrize("layer", [layers.Bernoulli(), layers.Normal(0.25, learn_scale=True)])
def test_likelihoods_are_registered_under_the_package_name(layer):
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"hvae_keras>{type(layer).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(layer) and again.get_config() == layer.get_config()


def test_networks_have_the_shapes_asked_for():
    encoder = layers.mlp_encoder((4, 4, 1), (8, 7), 6)
    decoder = layers.mlp_decoder(3, (7, 8), (4, 4, 1))
    assert encoder.input_shape == (None, 4, 4, 1) and encoder.output_shape == (None, 6)
    assert decoder.input_shape == (None, 3) and decoder.output_shape == (None, 4, 4, 1)
    assert encoder.count_params() == (16 * 8 + 8) + (8 * 7 + 7) + (7 * 6 + 6)


def test_without_hidden_layers_a_network_is_affine(rng):
    decoder = layers.mlp_decoder(2, (), (3,))
    kernel, bias = rng.normal(size=(2, 3)), rng.normal(size=3)
    decoder.set_weights([kernel, bias])
    z = rng.normal(size=(5, 2))
    np.testing.assert_allclose(array(decoder(z)), z @ kernel + bias, rtol=1e-4, atol=1e-5)
