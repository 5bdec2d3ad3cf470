"""Traversals and interpolations, where a chain says what every z and x must be."""

import numpy as np
import pytest
from small_models import make_autoencoder
from test_changes import written_gan

from hvae_keras import latents, layers
from hvae_keras.backend import keras, ops
from hvae_keras.models import BottomUp, HierarchicalVAE, Ladder, LinearGaussianChain, TopDown


@pytest.fixture
def chain():
    return LinearGaussianChain.tree(8, (4, 2, 1), (0.5, 0.7, 0.8))


@pytest.fixture
def model(chain):
    return chain.as_hierarchical_vae(TopDown())


def example(chain, seed=0):
    return np.float32(chain.sample(1, seed)[0][0])


def means(chain, x):
    """z_1 to z_L at the means of the exact top-down posterior."""
    z = [chain.conditional(3, {0: x[None]})[0]]
    for level in (2, 1):
        z.insert(0, chain.conditional(level, {0: x[None], level + 1: z[0]})[0])
    return z


def down(chain, z, level):
    """The mean of the level below."""
    return z @ chain.weights[level - 1].T + chain.biases[level - 1]


@pytest.fixture
def maps():
    keras.utils.set_random_seed(0)
    model = HierarchicalVAE((3, 2), layers.ConvolutionalNetworks((4, 4)))
    model.build((None, 8, 8, 1))
    return model


# Inferring


def test_at_temperature_0_latents_are_posterior_means(chain, model):
    x = example(chain)
    found = latents.infer_latents(model, x[None], temperature=0.0)
    for z, expected in zip(found, means(chain, x), strict=True):
        np.testing.assert_allclose(z, expected, atol=1e-5)


def test_draws_have_the_spread_of_the_posterior(chain, model):
    x = example(chain)
    top = latents.infer_latents(model, np.repeat(x[None], 4000, axis=0), batch_size=1000)[2]
    mean, variance = chain.conditional(3, {0: x[None]})
    assert abs(top.mean() - mean.item()) < 4 * np.sqrt(variance.item() / 4000)
    np.testing.assert_allclose(top.var(), variance.item(), rtol=0.1)


def test_a_model_without_a_posterior_infers_nothing(images):
    with pytest.raises(ValueError, match="Autoencoder infers no latents from x; `draw_latents` draws some"):
        latents.infer_latents(make_autoencoder(), images)


# Drawing


def test_draws_follow_the_priors_given_the_levels_above(chain, model):
    z = latents.draw_latents(model, 4000, batch_size=1500)
    assert [part.shape for part in z] == [(4000, 4), (4000, 2), (4000, 1)]
    noise = [(z[0] - down(chain, z[1], 2)) / 0.7, (z[1] - down(chain, z[2], 3)) / 0.8, z[2]]
    joined = np.concatenate(noise, axis=1)
    assert np.abs(joined.mean(axis=0)).max() < 4 / np.sqrt(4000)
    assert np.abs(np.cov(joined.T) - np.eye(7)).max() < 0.1


def test_what_is_held_stays_and_changes_no_noise(chain, model):
    free = latents.draw_latents(model, 5, seed=3)
    held = latents.draw_latents(model, 5, {2: np.zeros((5, 2))}, seed=3)
    np.testing.assert_array_equal(held[1], 0)
    np.testing.assert_array_equal(held[2], free[2])
    noise = (free[0] - down(chain, free[1], 2)) / 0.7
    np.testing.assert_allclose((held[0] - down(chain, held[1], 2)) / 0.7, noise, atol=1e-5)
    assert np.abs(latents.draw_latents(model, 5, seed=4)[2] - free[2]).min() > 1e-4


def test_at_temperature_0_draws_are_prior_means(chain, model):
    z = latents.draw_latents(model, 2, {3: np.float32([[1], [-1]])}, temperature=0.0)
    np.testing.assert_allclose(z[0], down(chain, down(chain, np.array([[1.0], [-1]]), 3), 2), atol=1e-5)


def test_adversarial_levels_are_drawn_from_independent_normals():
    model = written_gan()
    z = latents.draw_latents(model, 3000, seed=1)
    assert np.abs(np.cov(np.hstack(z).T) - np.eye(4)).max() < 0.1
    held = latents.draw_latents(model, 3000, {2: np.ones((3000, 2))}, temperature=0.5, seed=1)
    np.testing.assert_allclose(held[0], 0.5 * z[0])
    assert (held[1] == 1).all()


# Replacing


@pytest.mark.parametrize("below", latents.RULES)
def test_one_level_of_many_is_replaced_as_interpolation_does_for_one(model, below):
    z, others = (latents.draw_latents(model, 3, seed=seed) for seed in (1, 2))
    found = latents.replace_each_level(model, z, others, below, batch_size=2)
    for level in (1, 2, 3):
        for i in range(3):
            a, b = ({j: part[i] for j, part in enumerate(at, 1)} for at in (z, others))
            ends = latents.interpolate(model, a, b, steps=2, levels=level, below=below)
            made = latents.decode(model, [part[i : i + 1] for part in found[level - 1]])
            np.testing.assert_allclose(made[0], ends[1], atol=1e-4)


def test_levels_above_stay_and_a_level_that_is_its_own_moves_nothing(chain, model):
    z, others = latents.draw_latents(model, 6), latents.draw_latents(model, 6, seed=1)
    for level, found in enumerate(latents.replace_each_level(model, z, others), 1):
        np.testing.assert_array_equal(found[level - 1], others[level - 1])
        for above in range(level, 3):
            np.testing.assert_array_equal(found[above], z[above])
    for found in latents.replace_each_level(model, z, z):
        for part, expected in zip(found, z, strict=True):
            np.testing.assert_allclose(part, expected, atol=1e-5)


def test_noise_is_carried_to_the_levels_above_of_another(chain, model):
    z, others = latents.draw_latents(model, 5), latents.draw_latents(model, 5, seed=1)
    found = latents.carry_noise(model, z, others, batch_size=2)
    np.testing.assert_allclose(found[0], down(chain, z[1], 2) + others[0] - down(chain, others[1], 2), atol=1e-5)
    np.testing.assert_allclose(found[1], down(chain, z[2], 3) + others[1] - down(chain, others[2], 3), atol=1e-5)
    np.testing.assert_allclose(found[2], others[2], atol=1e-6)
    with pytest.raises(ValueError, match="others holds 4 examples; z has 5"):
        latents.carry_noise(model, z, [part[:4] for part in others])


def test_adversarial_levels_do_not_move_one_another():
    model = written_gan()
    z, others = latents.draw_latents(model, 4), latents.draw_latents(model, 4, seed=1)
    for carried, other in zip(latents.carry_noise(model, z, others), others, strict=True):
        np.testing.assert_allclose(carried, other, atol=1e-6)
    (low, stays), (untouched, high) = latents.replace_each_level(model, z, others)
    np.testing.assert_array_equal([low, high], others)
    np.testing.assert_allclose([untouched, stays], z[:2], atol=1e-6)
    np.testing.assert_allclose(latents.decode(model, z, batch_size=3), np.hstack(z), atol=1e-5)


def test_latents_that_do_not_fit_are_named(model):
    z = latents.draw_latents(model, 4)
    with pytest.raises(ValueError, match="others holds 3 examples; z has 4"):
        latents.replace_each_level(model, z, [part[:3] for part in z])
    with pytest.raises(ValueError, match="below is one of mean, noise, value; got 'none'"):
        latents.replace_each_level(model, z, z, below="none")
    with pytest.raises(ValueError, match=r"z holds z_2 of shape \(3, 2\); expected \[n, 2\], n as of z_1"):
        latents.decode(model, [z[0], z[1][:3], z[2]])
    with pytest.raises(ValueError, match="z is a list of z_1 to z_3; got ndarray"):
        latents.decode(model, z[0])
    with pytest.raises(ValueError, match=r"z holds z_1 of shape \(0, 4\)"):
        latents.decode(model, [part[:0] for part in z])
    with pytest.raises(ValueError, match="z holds NaN or infinity in z_3 of example 2"):
        latents.decode(model, [*z[:2], np.float32([[0], [0], [np.inf], [0]])])
    with pytest.raises(ValueError, match="n is at least 1; got 0"):
        latents.draw_latents(model, 0)
    with pytest.raises(ValueError, match=r"latents\[2\] holds 3 draws; n is 4"):
        latents.draw_latents(model, 4, {2: np.zeros((3, 2))})


# Traversals


def test_a_traversal_of_the_top_moves_the_means_below_it(chain, model):
    values = [-2.0, 0.0, 1.5]
    found = latents.traverse(model, example(chain), 3, 0, values)
    expected = np.array(values)[:, None]
    for level in (3, 2, 1):
        expected = down(chain, expected, level)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_levels_above_and_other_units_stay(chain, model):
    """z_1 of a chain decides x alone, so what is seen is z_1 with one unit set."""
    x = example(chain)
    found = latents.traverse(model, x, 1, 2, [0.0, 3.0])
    z = np.repeat(means(chain, x)[0], 2, axis=0)
    z[:, 2] = [0.0, 3.0]
    np.testing.assert_allclose(found, down(chain, z, 1), atol=1e-4)


def test_relative_values_count_scales_of_the_prior(chain, model):
    x = example(chain)
    found = latents.traverse(model, x, 2, 1, [-1.0, 0.0, 2.0], relative=True)
    z = np.repeat(means(chain, x)[1], 3, axis=0)
    z[:, 1] = down(chain, means(chain, x)[2], 3)[0, 1] + 0.8 * np.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(found, down(chain, down(chain, z, 2), 1), atol=1e-4)


def test_what_the_levels_below_do(chain, model):
    """At the value z has already: "noise" and "value" give the reconstruction back, "mean" does not."""
    x = example(chain)
    z1, z2, z3 = means(chain, x)
    reconstruction = down(chain, z1, 1)
    found = {rule: latents.traverse(model, x, 3, 0, [z3.item(), 2.0], below=rule) for rule in latents.RULES}
    np.testing.assert_allclose(found["noise"][:1], reconstruction, atol=1e-4)
    np.testing.assert_allclose(found["value"], np.repeat(reconstruction, 2, axis=0), atol=1e-4)
    np.testing.assert_allclose(found["mean"][:1], down(chain, down(chain, down(chain, z3, 3), 2), 1), atol=1e-4)
    # Away from it the noise is added to new means: in a linear chain the image moves as far as the mean does.
    moved = found["noise"][1] - found["noise"][0]
    np.testing.assert_allclose(moved, found["mean"][1] - found["mean"][0], atol=1e-4)
    assert np.abs(moved).max() > 0.1


def test_a_start_from_latents_fills_in_prior_means(chain, model):
    found = latents.traverse(model, {2: [0.3, -0.4]}, 2, 0, [0.3, 1.0])
    expected = down(chain, down(chain, np.array([[0.3, -0.4], [1.0, -0.4]]), 2), 1)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    empty = latents.traverse(model, {}, 3, 0, [0.0])
    np.testing.assert_allclose(empty, chain.joint()[0][None, :8], atol=1e-4)


@pytest.mark.parametrize("inference", [TopDown, Ladder, BottomUp])
def test_every_order_and_skip_connections_can_be_walked(inference):
    keras.utils.set_random_seed(0)
    model = HierarchicalVAE((4, 2), layers.DenseNetworks(((8,), (8,))), inference(), skip=True)
    model.build((None, 6))
    x = np.float32(np.random.default_rng(0).random(6) < 0.5)
    found = latents.traverse(model, x, 2, 1, [-1.0, 1.0], below="value")
    assert found.shape == (2, 6) and np.abs(found[0] - found[1]).max() > 1e-4  # x sees z_2 past z_1.
    assert latents.interpolate(model, x, 1 - x).shape == (8, 6)


def test_a_unit_of_a_map_is_a_channel_or_one_place(maps):
    start = {1: np.zeros((4, 4, 3)), 2: np.zeros((2, 2, 2))}
    base = latents.traverse(maps, start, 1, 1, [0.0])[0]
    channel = latents.traverse(maps, start, 1, 1, [0.0, 2.0])
    place = latents.traverse(maps, start, 1, (0, 0, 1), [0.0, 2.0])
    assert channel.shape == place.shape == (2, 8, 8, 1)
    np.testing.assert_allclose(channel[0], base, atol=1e-6)
    np.testing.assert_allclose(place[0], base, atol=1e-6)
    full = np.zeros((4, 4, 3), "float32")
    full[..., 1] = 2
    expected = ops.convert_to_numpy(maps.likelihood(maps.ancestral(1, {1: full[None], 2: start[2][None]})[1]))
    np.testing.assert_allclose(channel[1:], expected, atol=1e-6)
    # One place reaches the pixels near it.
    changed = np.abs(place[1] - place[0])[..., 0] > 1e-6
    assert changed[:2, :2].any() and not changed[6:, 6:].any()


def test_a_flat_model_is_walked_in_its_one_level(vae, images):
    found = latents.traverse(vae, images[0], 1, 0, [-1.0, 1.0])
    z = latents.infer_latents(vae, images[:1], temperature=0.0)[0]
    z = np.repeat(z, 2, axis=0)
    z[:, 0] = [-1.0, 1.0]
    np.testing.assert_allclose(found, ops.convert_to_numpy(vae.likelihood(vae.decoder(z))), atol=1e-5)


# Interpolations


@pytest.mark.parametrize("below", latents.RULES)
def test_all_levels_go_from_one_reconstruction_to_the_other(chain, model, below):
    a, b = example(chain, 1), example(chain, 2)
    found = latents.interpolate(model, a, b, steps=5, below=below)
    ends = np.concatenate([means(chain, a)[0], means(chain, b)[0]])
    shares = np.linspace(0, 1, 5)[:, None]
    np.testing.assert_allclose(found, down(chain, (1 - shares) * ends[:1] + shares * ends[1:], 1), atol=1e-4)


def test_the_top_alone_keeps_the_details_of_a(chain, model):
    """z_1 = mean given z_2 + noise of a: a linear chain then moves by the image of z_3's step."""
    a, b = example(chain, 1), example(chain, 2)
    found = latents.interpolate(model, a, b, steps=3, levels=3)
    np.testing.assert_allclose(found[:1], down(chain, means(chain, a)[0], 1), atol=1e-4)
    w1, w2, w3 = chain.weights
    step = (means(chain, b)[2] - means(chain, a)[2]) @ (w1 @ w2 @ w3).T
    np.testing.assert_allclose(found - found[:1], np.array([[0], [0.5], [1]]) * step, atol=1e-4)


def test_the_bottom_alone_ends_at_the_reconstruction_of_b(chain, model):
    """x depends on z_1 alone, so the levels above, which stay, are not seen."""
    a, b = example(chain, 1), example(chain, 2)
    found = latents.interpolate(model, a, b, levels=[1])
    np.testing.assert_allclose(found[-1:], down(chain, means(chain, b)[0], 1), atol=1e-4)
    np.testing.assert_allclose(found, latents.interpolate(model, a, b), atol=1e-4)


def test_with_values_kept_below_the_top_of_a_chain_is_not_seen(chain, model):
    a, b = example(chain, 1), example(chain, 2)
    found = latents.interpolate(model, a, b, steps=3, levels=(2, 3), below="value")
    np.testing.assert_allclose(found, np.repeat(found[:1], 3, axis=0), atol=1e-6)


def test_ends_can_be_latents(chain, model):
    found = latents.interpolate(model, {3: [-1.0]}, {3: [1.0]}, steps=3, levels=[3], below="mean")
    expected = latents.traverse(model, {}, 3, 0, [-1.0, 0.0, 1.0])
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Bad input


def test_bad_arguments_are_named(chain, model, maps):
    x = example(chain)
    with pytest.raises(ValueError, match="level is a level, 1 to 3; got 4"):
        latents.traverse(model, x, 4, 0, [0.0])
    with pytest.raises(ValueError, match="levels is a level, 1 to 3; got 0"):
        latents.interpolate(model, x, x, levels=[1, 0])
    with pytest.raises(ValueError, match="levels is 'all', a level or a sequence of levels; got 'top'"):
        latents.interpolate(model, x, x, levels="top")
    with pytest.raises(ValueError, match=r"levels is 'all', a level or a sequence of levels; got \[\]"):
        latents.interpolate(model, x, x, levels=[])
    with pytest.raises(ValueError, match="steps is at least 2, one for each end; got 1"):
        latents.interpolate(model, x, x, steps=1)
    with pytest.raises(ValueError, match="below is one of mean, noise, value; got 'none'"):
        latents.traverse(model, x, 3, 0, [0.0], below="none")
    for unit in (2, (0, 0), 0.5):
        with pytest.raises(ValueError, match=r"z, of shape \(2,\), or a place in it; got"):
            latents.traverse(model, x, 2, unit, [0.0])
    with pytest.raises(ValueError, match=r"z, of shape \(2, 2, 2\), or a place in it; got \(0, 1\)"):
        latents.traverse(maps, np.zeros((8, 8, 1)), 2, (0, 1), [0.0])
    with pytest.raises(ValueError, match=r"shape \(7,\); the model takes \(8,\)"):
        latents.traverse(model, x[:7], 3, 0, [0.0])
    with pytest.raises(ValueError, match="latents holds level 5"):
        latents.traverse(model, {5: [0.0]}, 3, 0, [0.0])
    with pytest.raises(ValueError, match="holds z of shape"):
        latents.traverse(model, {2: [0.0]}, 3, 0, [0.0])
