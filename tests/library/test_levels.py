"""What each level holds, on the exact chain and on levels that are dead by construction."""

import numpy as np
import pytest
from scipy.stats import norm
from small_models import make_vae

from hvae_keras import layers, metrics
from hvae_keras.backend import keras, ops
from hvae_keras.models import BottomUp, HierarchicalVAE, Ladder, LinearGaussianChain, TopDown

ORDERS = [TopDown, Ladder, BottomUp]


@pytest.fixture
def chain():
    """Exact under every inference order: no unit shares its parent."""
    return LinearGaussianChain.tree(6, (2, 2, 2), (0.5, 0.7, 0.8))


def data(chain, n, seed=0):
    return np.float32(chain.sample(n, seed)[0])


def set_prior(model, chain, level):
    """Make the posterior of a level its prior, by hand for each inference order."""
    head = model.inference.heads[level - 1]
    kernel, bias = (np.zeros(weight.shape, "float32") for weight in head.weights)
    units = chain.units[level]
    if isinstance(model.inference, Ladder) and level < chain.levels:
        bias[units:] = 50  # An estimate of no precision: the merge is the prior.
    elif level < chain.levels and isinstance(model.inference, TopDown):
        kernel[chain.units[0] :, :units] = chain.weights[level].T
        bias[:] = np.repeat(
            [chain.biases[level], 2 * np.log(chain.scales[level]) * np.ones(units)], 1, axis=0
        ).ravel()
    elif level < chain.levels:
        mean, covariance = chain.conditional(level, {})
        bias[:] = np.concatenate([mean[0], np.log(np.diag(covariance))])
    head.set_weights([kernel, bias])


def close(values, expected, margin=0.0):
    """The mean over the first axis is what is expected, within 4 standard errors."""
    error = 4 * values.std(axis=0) / np.sqrt(len(values)) + margin
    return (np.abs(values.mean(axis=0) - expected) < error).all()


# KL


def test_kl_by_level_is_that_of_the_chain(chain):
    x = data(chain, 2)
    for inference, truth in [(TopDown, chain.kl_by_level(x)), (BottomUp, chain.bottom_up_terms(x))]:
        model = chain.as_hierarchical_vae(inference())
        found = metrics.kl_by_level(model, np.tile(x, (4000, 1)), batch_size=4000)
        assert close(found.reshape(4000, 2, 3), truth, margin=2e-4)


@pytest.mark.parametrize("inference", ORDERS)
def test_units_sum_to_levels_and_batches_do_not_matter(chain, inference):
    model, x = chain.as_hierarchical_vae(inference()), data(chain, 50)
    units, levels = metrics.kl_by_unit(model, x, samples=3), metrics.kl_by_level(model, x, samples=3)
    assert [unit.shape for unit in units] == [(2,), (2,), (2,)] and levels.shape == (50, 3)
    np.testing.assert_allclose([unit.sum() for unit in units], levels.mean(0), rtol=1e-4)
    small = metrics.kl_by_level(model, x, samples=3, batch_size=7)
    assert small.shape == (50, 3)
    np.testing.assert_allclose(small[:, 2], levels[:, 2], rtol=1e-4, atol=1 if inference is BottomUp else 1e-4)


def test_a_seed_makes_it_reproducible(chain):
    model, x = chain.as_hierarchical_vae(BottomUp()), data(chain, 9)
    first, again, other = (metrics.kl_by_level(model, x, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_a_flat_model_has_one_level(vae, images):
    kl = metrics.kl_by_level(vae, images)
    expected = ops.convert_to_numpy(vae.infer(images)[0].kl)
    np.testing.assert_allclose(kl, expected[:, None], rtol=1e-4)
    assert [unit.shape for unit in metrics.kl_by_unit(vae, images)] == [(2,)]
    assert metrics.reconstruction_by_level(vae, images).shape == (96, 2)


def test_maps_keep_their_shape(images):
    keras.utils.set_random_seed(0)
    model = HierarchicalVAE((3, 2), layers.ConvolutionalNetworks((4, 4)))
    model.build((None, 4, 4, 1))
    units = metrics.kl_by_unit(model, images)
    assert [unit.shape for unit in units] == [(2, 2, 3), (1, 1, 2)]
    assert (metrics.active_units(model, images, threshold=-1) == [12, 2]).all()
    assert [variance.shape for variance in metrics.variance_by_unit(model, images)] == [(2, 2, 3), (1, 1, 2)]


# Units and levels in use


@pytest.mark.parametrize("inference", ORDERS)
def test_live_levels_are_not_collapsed(chain, inference):
    model, x = chain.as_hierarchical_vae(inference()), data(chain, 200)
    assert metrics.collapsed_levels(model, x) == []


@pytest.mark.parametrize("inference", ORDERS)
@pytest.mark.parametrize("dead", [1, 2, 3])
def test_a_dead_level_is_found(chain, inference, dead):
    model, x = chain.as_hierarchical_vae(inference()), data(chain, 200)
    set_prior(model, chain, dead)
    assert metrics.collapsed_levels(model, x) == [dead]


def test_under_bottom_up_a_level_whose_term_is_negative_is_alive():
    """Noisy data, tight upper levels: the first term is below 0, and z_1 is what all others come from."""
    chain = LinearGaussianChain.tree(6, (2, 2, 2), (3.0, 0.2, 0.2))
    model, x = chain.as_hierarchical_vae(BottomUp()), data(chain, 300)
    assert metrics.kl_by_level(model, x)[:, 0].mean() < -1
    assert metrics.collapsed_levels(model, x) == []


def test_active_units_counts_the_units_that_hold_something():
    """Of three units of z_1 the third reaches no x."""
    chain = LinearGaussianChain([[[1.0, 0, 0], [0, 1, 0]], np.eye(3)], [np.zeros(2), np.zeros(3)], (0.5, 0.7))
    model, x = chain.as_hierarchical_vae(TopDown()), data(chain, 300)
    assert (metrics.active_units(model, x) == [2, 2]).all()
    units = metrics.kl_by_unit(model, x)[0]
    assert (metrics.active_units(model, x, threshold=(units[0] + units[1]) / 2)[0]) == 1


@pytest.mark.parametrize("inference", [TopDown, Ladder])
def test_the_variance_rule_counts_a_dead_level(chain, inference):
    """q(z_1|z_2, x) = p(z_1|z_2): KL_1 is 0, yet the mean of z_1 follows z_2, which follows x."""
    model, x = chain.as_hierarchical_vae(inference()), data(chain, 4000)
    set_prior(model, chain, 1)
    np.testing.assert_allclose(metrics.kl_by_level(model, x)[:, 0], 0, atol=1e-5)
    assert metrics.active_units(model, x)[0] == 0
    assert metrics.active_units_by_variance(model, x)[0] == 2
    # E[z_1|x] is then W E[z_2|x] + b, whose variance the chain knows.
    mean, _ = chain.conditional(2, {0: x})
    expected = (mean @ chain.weights[1].T).var(axis=0)
    assert (expected > 0.1).all()
    np.testing.assert_allclose(metrics.variance_by_unit(model, x)[0], expected, rtol=0.05)


def test_the_variance_is_that_of_the_posterior_mean(chain):
    model, x = chain.as_hierarchical_vae(TopDown()), data(chain, 4000)
    for level, found in enumerate(metrics.variance_by_unit(model, x, samples=3), 1):
        mean, _ = chain.conditional(level, {0: x})
        np.testing.assert_allclose(found, mean.var(axis=0), rtol=0.05)


def test_noise_of_other_levels_is_not_taken_for_variance(chain):
    """One x many times: no variance over x, however much the draws of z_2 move the mean of z_1."""
    model = chain.as_hierarchical_vae(TopDown())
    x = np.repeat(data(chain, 1), 40_000, axis=0)
    found = metrics.variance_by_unit(model, x, samples=2, batch_size=4000)
    assert all(np.abs(variance).max() < 0.005 for variance in found)


# Reconstruction


def expected_reconstruction(chain, x, drawn):
    """E log p(x|z_1) in closed form when z_1 to z_drawn come from the prior given z_{drawn+1} ~ p(.|x)."""
    level = min(drawn + 1, chain.levels)
    mean, covariance = chain.conditional(level, {} if drawn == chain.levels else {0: x})
    for i in range(level - 1, -1, -1):
        mean, noise = mean @ chain.weights[i].T + chain.biases[i], chain.scales[i] ** 2 * (i > 0)
        covariance = chain.weights[i] @ covariance @ chain.weights[i].T + noise * np.eye(chain.units[i])
    scale = chain.scales[0]
    return norm.logpdf(x, mean, scale).sum(-1) - 0.5 * np.trace(covariance) / scale**2


@pytest.mark.parametrize("inference", ORDERS)
def test_reconstruction_by_level_is_that_of_the_chain(chain, inference):
    model, x = chain.as_hierarchical_vae(inference()), data(chain, 2, seed=5)
    found = metrics.reconstruction_by_level(model, np.tile(x, (4000, 1)), batch_size=4000)
    expected = np.stack([expected_reconstruction(chain, np.float64(x), i) for i in range(4)], axis=-1)
    assert close(found.reshape(4000, 2, 4), expected)


def test_what_is_inferred_adds_to_the_reconstruction(chain):
    found = metrics.reconstruction_by_level(chain.as_hierarchical_vae(), data(chain, 500), samples=5).mean(0)
    assert (np.diff(found) < 0).all()


def test_a_dead_level_adds_nothing(chain):
    model, x = chain.as_hierarchical_vae(TopDown()), data(chain, 2000)
    set_prior(model, chain, 1)
    found = metrics.reconstruction_by_level(model, x)
    assert close(found[:, 0] - found[:, 1], 0)
    assert not close(found[:, 1] - found[:, 2], 0)


# Bad input

FUNCTIONS = [
    metrics.kl_by_level,
    metrics.kl_by_unit,
    metrics.active_units,
    metrics.active_units_by_variance,
    metrics.collapsed_levels,
    metrics.reconstruction_by_level,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_input_is_named(function, images):
    model = make_vae()
    with pytest.raises(ValueError, match=r"shape \(3, 4, 1\); the model takes \(4, 4, 1\)"):
        function(model, images[:, :3])
    with pytest.raises(ValueError, match="x holds no example"):
        function(model, images[:0])
    with pytest.raises(ValueError, match="batch_size is at least 1; got 0"):
        function(model, images, batch_size=0)
    images[5] = np.nan
    with pytest.raises(FloatingPointError, match="example 5"):
        function(model, images)
