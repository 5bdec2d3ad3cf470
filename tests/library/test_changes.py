"""Factors that a level decides, where levels write their own pixels, and normals say how often a sign changes."""

from functools import partial

import numpy as np
import pytest
from own_pixels import LEVELS, examples, near, own_pixels, read, sign_changes
from small_models import make_vae
from test_recurrent_vae import make as make_recurrent

from hvae_keras import latents, layers, metrics, models
from hvae_keras.backend import keras
from hvae_keras.metrics.changes import FactorChanges, another
from hvae_keras.models import HierarchicalVAE, LinearGaussianChain

N = 4000
FOLLOWS = 2.0
WAYS = pytest.mark.parametrize("by", ["swap", "redraw"])


def drawn(model, n=N, seed=0):
    return latents.draw_latents(model, n, seed=seed, batch_size=N)


def changed(model, z, by="swap", **arguments):
    return metrics.factors_changed(model, z, read, by, batch_size=N, **arguments)


def written_gan():
    """x_2 = z_2 and x_1 = (z_1, x_2), two numbers each."""

    def linear(*sizes, outputs):
        entries = [keras.Input((size,)) for size in sizes]
        joined = keras.layers.Concatenate()(entries) if len(entries) > 1 else entries[0]
        kernel = keras.layers.Dense(outputs, kernel_initializer="identity")
        return keras.Model(entries if len(entries) > 1 else entries[0], kernel(joined))

    keras.utils.set_random_seed(0)
    top = models.GAN(linear(2, outputs=2), linear(2, outputs=1))
    bottom = models.TranslationGAN(linear(2, 2, outputs=4), linear(4, 2, outputs=1))
    model = models.MultiLevelGAN([bottom, top])
    for pair in model.pairs:
        pair.average.mass.assign(1.0)
        pair.average.network.set_weights(pair.generator.get_weights())
    return model


# Changes


@WAYS
def test_levels_that_write_their_own_pixels_change_them_and_no_others(by):
    model = own_pixels()
    z = latents.infer_latents(model, examples(N), temperature=0.0, batch_size=N)
    changes = changed(model, z, by)
    assert changes.factors == tuple(LEVELS) and changes.n == N
    assert (changes.share[0, 2:] == 0).all() and (changes.share[1, :2] == 0).all()
    assert (
        near(changes.share[0, :2], 0.5, N) and near(changes.share[1, 2:], 0.5, N) and near(changes.whole, 0.5, N)
    )
    np.testing.assert_array_equal(metrics.consistency(changes, LEVELS), [1, np.nan])


def test_a_swap_changes_what_differs_between_the_two():
    """A sign of probability p changes in 2 p (1 - p) of the swaps, and its level decides it alone."""
    model, x = own_pixels(), examples(N) + np.float32([0.5, -1, 0, 2])
    z = latents.infer_latents(model, x, temperature=0.0, batch_size=N)
    changes = changed(model, z)
    p = np.array([0.691462, 0.158655, 0.5, 0.977250])  # of a standard normal above -0.5, 1, 0 and -2
    assert near(changes.whole, 2 * p * (1 - p), N)
    np.testing.assert_array_equal(changes.relative, [[1, 1, 0, 0], [0, 0, 1, 1]])
    np.testing.assert_array_equal(metrics.specificity(changes, LEVELS), [1, 1])


def test_below_a_level_that_moves_the_noise_stays():
    """z_1 = 2 z_2 + e of variance 5: a new e leaves it a correlation of 4/5 with what it was, a new z_2 of 1/5."""
    model = own_pixels(FOLLOWS)
    bottom, top = sign_changes(0.8), sign_changes(0.2)
    expected = {"redraw": [[bottom] * 2 + [0, 0], [top] * 2 + [0.5] * 2]}
    # Swapped by its value z_1 forgets z_2 altogether.
    expected["swap"] = [[0.5, 0.5, 0, 0], expected["redraw"][1]]
    for by, share in expected.items():
        assert near(changed(model, drawn(model), by).share, share, N)


def test_in_a_chain_the_bottom_carries_all_and_adds_little():
    """Without skip connections a swap of z_1 swaps the example; what z_1 adds to z_2 is another question."""
    chain = LinearGaussianChain(
        [np.eye(4), [[3, 0], [0, 3], [0, 0], [0, 0]]], [np.zeros(4), np.zeros(4)], (0.1, 1.0)
    )
    model = chain.as_hierarchical_vae()
    swapped = changed(model, drawn(model))
    np.testing.assert_array_equal(swapped.share[0], swapped.whole)
    redrawn = changed(model, drawn(model), "redraw")
    assert near(redrawn.share, [[sign_changes(0.9)] * 2 + [0.5] * 2, [sign_changes(0.1)] * 2 + [0, 0]], N)


@WAYS
def test_generated_examples_of_adversarial_levels_are_asked_in_the_same_way(by):
    model = written_gan()
    changes = changed(model, drawn(model), by)
    assert (changes.share[0, 2:] == 0).all() and (changes.share[1, :2] == 0).all()
    assert (
        near(changes.share[0, :2], 0.5, N) and near(changes.share[1, 2:], 0.5, N) and near(changes.whole, 0.5, N)
    )


def test_a_redraw_is_new_under_the_seed_that_drew_the_examples():
    for model in (own_pixels(), written_gan()):
        changes = changed(model, drawn(model, 500, seed=3), "redraw", seed=3)
        assert near(changes.whole, 0.5, 500) and near(changes.share[1, 2:], 0.5, 500)


def test_noise_of_the_steps_of_a_sequence_counts_unless_it_is_turned_off():
    """Every example has the same z, so a swap changes nothing, and all that changes is drawn in the steps."""
    model = make_recurrent()
    z = [np.repeat(part[:1], 50, axis=0) for part in drawn(model, 1)]

    def first_and_last(x):
        return {"first": x[:, 0], "last": x[:, -1]}

    noisy = metrics.factors_changed(model, z, first_and_last)
    sure = metrics.factors_changed(model, z, first_and_last, generate=partial(model.generate, top_k=1))
    assert (sure.share == 0).all() and (sure.whole == 0).all() and np.isnan(sure.relative).all()
    assert (noisy.share > 0.1).all()


@WAYS
def test_maps_and_flat_models_are_asked_too(by, images):
    keras.utils.set_random_seed(0)
    maps = HierarchicalVAE((3, 2), layers.ConvolutionalNetworks((4, 4)))
    maps.build((None, 4, 4, 1))
    for model in (maps, make_vae()):
        z = latents.infer_latents(model, images)
        changes = metrics.factors_changed(model, z, lambda x: {"light": x.mean(axis=(1, 2, 3)) > x.mean()}, by)
        assert changes.share.shape == (model.levels, 1)
    np.testing.assert_array_equal(changes.share[0], changes.whole)  # one level is all there is


def test_neither_batches_nor_a_second_run_matter():
    model, z = own_pixels(FOLLOWS), drawn(own_pixels(FOLLOWS), 100)
    first, again, small = (
        metrics.factors_changed(model, z, read, seed=5, batch_size=size).share for size in (256, 256, 7)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, small)
    assert (first != metrics.factors_changed(model, z, read, seed=6).share).any()


@pytest.mark.parametrize("n", [2, 3, 50])
def test_everyone_gets_another_and_nobody_is_taken_twice(n):
    partner = another(n, seed=1)
    assert (partner != np.arange(n)).all() and sorted(partner) == list(range(n))


# Summaries


def record(share, whole, factors="abc"):
    return FactorChanges(tuple(factors), np.array(share), np.array(whole), 100)


def test_specificity_is_the_mean_of_the_own_less_that_of_all_others():
    changes = record([[0.4, 0.2, 0.1], [0.1, 0.3, 0.5], [0.0, 0.0, 0.0]], [0.5, 0.5, 0.5])
    found = metrics.specificity(changes, {"a": 1, "b": 3, "c": 2, "unread": 7})
    np.testing.assert_allclose(found, [0.8 - 0.3, 1.0 - 0.4, 0.0])
    # The data have no level 3, or only one level.
    np.testing.assert_allclose(metrics.specificity(changes, {"a": 1, "b": 2, "c": 2}), [0.5, 0.8 - 0.2, np.nan])
    assert np.isnan(metrics.specificity(changes, dict.fromkeys("abc", 2))).all()


def test_consistency_is_what_stays_of_the_levels_above():
    changes = record([[0.4, 0.2, 0.1], [0.1, 0.3, 0.5], [0.5, 0.5, 0.5]], [0.5, 0.5, 0.5])
    np.testing.assert_allclose(metrics.consistency(changes, {"a": 1, "b": 2, "c": 3}), [0.85, 0.5, np.nan])


def test_a_factor_that_never_changes_is_left_out():
    changes = record([[0.4, 0.0, 0.1], [0.1, 0.0, 0.5]], [0.5, 0.0, 0.5])
    np.testing.assert_allclose(changes.relative, [[0.8, np.nan, 0.2], [0.2, np.nan, 1.0]])
    np.testing.assert_allclose(metrics.specificity(changes, {"a": 1, "b": 1, "c": 2}), [0.6, 0.8])


# Kept


def test_what_is_inferred_is_kept_and_the_rest_is_as_the_prior_says():
    model, x = own_pixels(FOLLOWS), examples(N, FOLLOWS)
    x = x[(np.abs(x) > 0.1).all(axis=1)]  # The posterior's noise flips no sign.
    kept = metrics.factors_kept(model, x, read, batch_size=N)
    assert kept.factors == tuple(LEVELS) and kept.n == len(x) and kept.share.shape == (3, 4)
    assert (kept.share[0] == 1).all() and (kept.share[1, 2:] == 1).all()
    # Of what is left, the signs of the third row are still independent of x.
    assert near(kept.share[2], 0.5, len(x))
    everything = metrics.factors_kept(model, examples(N, FOLLOWS), read, batch_size=N)
    assert near(everything.share[1, :2], 1 - sign_changes(0.8), N)


def test_the_truth_can_be_given_and_need_not_be_what_is_read():
    model, x = own_pixels(), examples(500)
    truth = {"pose": 1 - read(x)["pose"], "eyes": read(x)["eyes"]}
    kept = metrics.factors_kept(model, x, read, truth, temperature=0.0)
    assert kept.factors == ("pose", "eyes")
    np.testing.assert_array_equal(kept.share[0], [0, 1])


def test_a_dead_level_keeps_no_more_than_chance():
    x = examples(N)
    kept = metrics.factors_kept(own_pixels(dead=(1,), scale=1.0), x, read, batch_size=N).share
    assert near(kept[:2, :2], 0.5, N)


# Bad input


def test_a_model_without_a_posterior_says_so():
    with pytest.raises(ValueError, match="MultiLevelGAN infers no latents from x; `draw_latents` draws some"):
        metrics.factors_kept(written_gan(), examples(5), read)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda x: {}, "read gives factor -> class index .n.; got no factor"),
        (lambda x: x[:, 0] > 0, "read gives factor -> class index .n.; got ndarray"),
        (lambda x: {"a": np.zeros(3, int)}, r"read gives int64 of shape \(3,\) for 'a'; .* each of 9 examples"),
        (lambda x: {"a": np.full(len(x), np.nan)}, r"read gives float64 of shape \(9,\) for 'a'"),
    ],
)
def test_what_is_read_is_checked(wrong, says):
    model = own_pixels()
    with pytest.raises(ValueError, match=says):
        metrics.factors_changed(model, drawn(model, 9), wrong)
    with pytest.raises(ValueError, match=says):
        metrics.factors_kept(model, examples(9), wrong)


def test_bad_arguments_are_named():
    model, x = own_pixels(), examples(9)
    z = drawn(model, 9)
    with pytest.raises(ValueError, match="by is one of 'swap', 'redraw'; got 'noise'"):
        metrics.factors_changed(model, z, read, "noise")
    with pytest.raises(ValueError, match="z holds 1 example; to change a level takes at least 2"):
        metrics.factors_changed(model, [part[:1] for part in z], read)
    with pytest.raises(ValueError, match="z is a list of z_1 to z_2; got 1 arrays"):
        metrics.factors_changed(model, z[:1], read)
    with pytest.raises(ValueError, match="read gives no 'nose'; it gives eyes, mouth, pose, head"):
        metrics.factors_kept(model, x, read, {"nose": np.zeros(9, int)})
    with pytest.raises(ValueError, match=r"factors gives int64 of shape \(8,\) for 'eyes'"):
        metrics.factors_kept(model, x, read, {"eyes": np.zeros(8, int)})
    with pytest.raises(ValueError, match=r"shape \(3,\); the model takes \(4,\)"):
        metrics.factors_kept(model, x[:, :3], read)
    changes = metrics.factors_changed(model, z, read)
    for summary in (metrics.specificity, metrics.consistency):
        with pytest.raises(ValueError, match="levels lacks 'head'; there are: eyes, mouth, pose"):
            summary(changes, {"eyes": 1, "mouth": 1, "pose": 2})


def test_an_example_that_is_no_number_is_named():
    model, z = own_pixels(), drawn(own_pixels(), 9)
    with pytest.raises(ValueError, match="z holds NaN or infinity in z_2 of example 4"):
        metrics.factors_changed(model, [z[0], np.where(np.arange(9)[:, None] == 4, np.nan, z[1])], read)
    model.output_layer.set_weights([np.full((4, 4), np.nan), np.zeros(4)])
    with pytest.raises(FloatingPointError, match="what the model makes of example 0 is NaN or infinite"):
        metrics.factors_changed(model, z, read)
