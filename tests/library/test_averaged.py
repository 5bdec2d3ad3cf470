"""A network with the running mean of another's weights."""

import numpy as np
import pytest

from hvae_keras.backend import keras, ops
from hvae_keras.layers import AveragedNetwork, SpectralNormalization


def array(tensor):
    return ops.convert_to_numpy(tensor)


def make_network(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input((3,)), SpectralNormalization(keras.layers.Dense(4)), keras.layers.Dense(2)]
    )


def move(network, rng):
    """Random weights, and what they are: a list of arrays."""
    new = [np.float32(rng.normal(size=variable.shape)) for variable in network.variables]
    for variable, value in zip(network.variables, new, strict=True):
        variable.assign(value)
    return new


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("updates", [1, 2, 7])
def test_weights_are_the_mean_of_those_seen(decay, updates, rng):
    """The one k updates ago weighs decay^k, whatever the network was before the first update."""
    network = make_network()
    averaged = AveragedNetwork(network, decay)
    seen = []
    for _ in range(updates):
        seen.append(move(network, rng))
        averaged.update(network)
    shares = decay ** np.arange(updates)[::-1]
    for i, mean in enumerate(averaged.network.variables):
        expected = np.average([weights[i] for weights in seen], axis=0, weights=shares)
        np.testing.assert_allclose(array(mean), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(array(averaged.mass), 1 - decay**updates, rtol=1e-4)


def test_a_decay_of_0_keeps_the_last_weights(rng):
    network = make_network()
    averaged = AveragedNetwork(network, 0)
    for _ in range(3):
        last = move(network, rng)
        averaged.update(network)
    for mean, expected in zip(averaged.network.variables, last, strict=True):
        np.testing.assert_allclose(array(mean), expected, rtol=1e-5, atol=1e-6)


def test_it_is_a_copy_that_begins_with_the_networks_weights(rng):
    network, x = make_network(), np.float32(rng.normal(size=(5, 3)))
    averaged = AveragedNetwork(network)
    before = array(network(x))
    np.testing.assert_array_equal(array(averaged(x)), before)
    assert not averaged.updated
    move(network, rng)
    np.testing.assert_array_equal(array(averaged(x)), before)
    averaged.update(network)
    assert averaged.updated
    np.testing.assert_allclose(array(averaged(x)), array(network(x)), rtol=1e-4, atol=1e-5)


def test_nothing_of_it_is_trained(rng):
    network = make_network()
    averaged = AveragedNetwork(network)
    assert averaged.trainable_variables == []
    assert len(network.trainable_variables) == 4, "the network itself still is"


def test_states_that_are_no_weights_are_left_alone(rng):
    """The seed of a dropout layer is a whole number: no mean of it is taken."""
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), keras.layers.Dropout(0.5)])
    averaged = AveragedNetwork(network, 0)
    seed = [array(v).copy() for v in averaged.network.variables if "float" not in str(v.dtype)]
    assert len(seed) == 1
    network(np.ones((4, 3)), training=True)
    averaged.update(network)
    found = [array(v) for v in averaged.network.variables if "float" not in str(v.dtype)]
    np.testing.assert_array_equal(found, seed)
    x = np.float32(rng.normal(size=(4, 3)))
    np.testing.assert_array_equal(array(averaged(x)), array(network(x)))  # and nothing is dropped


def test_saved_and_loaded_it_goes_on_from_where_it_was(rng, tmp_path):
    network = make_network()
    averaged = AveragedNetwork(network, 0.8)
    for _ in range(3):
        move(network, rng)
        averaged.update(network)
    x = keras.Input((3,))
    keras.Model(x, averaged(x)).save(tmp_path / "averaged.keras")
    loaded = keras.saving.load_model(tmp_path / "averaged.keras").layers[-1]
    assert isinstance(loaded, AveragedNetwork) and loaded.decay == 0.8 and loaded.updated
    move(network, rng)
    for one in (averaged, loaded):
        one.update(network)
    for one, other in zip(averaged.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(array(one), array(other))


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match=f"at least 0 and below 1; got {decay}"):
        AveragedNetwork(make_network(), decay)
