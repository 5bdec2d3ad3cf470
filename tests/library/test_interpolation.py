"""Interpolation by level, where levels write their own pixels and the features are those pixels."""

import numpy as np
import pytest
from own_pixels import examples, own_pixels

from hvae_keras import latents, metrics
from hvae_keras.backend import keras
from hvae_keras.layers import ConvolutionalNetworks
from hvae_keras.models import HierarchicalVAE

REAL = np.float32([[0, 0, 0, 0], [3, 4, 6, 8]])  # 5 apart in the pixels of z_1, 10 in those of z_2


class Pixels:
    """Features that are pixels, or a function of them."""

    def __init__(self, *which, seen=lambda x: x):
        self.which, self.seen = list(which), seen

    def features(self, x):
        return self.seen(x[:, self.which])


OWN = {1: Pixels(0, 1), 2: Pixels(2, 3)}


def ends(model, n=40):
    x = examples(n, seed=1), examples(n, seed=2)
    return *x, *(latents.infer_latents(model, part, temperature=0.0) for part in x)


def moved(start, end, columns):
    return np.linalg.norm((end - start)[:, columns], axis=1).mean()


def test_each_level_moves_the_features_of_its_own_pixels():
    model = own_pixels()
    a, b, start, end = ends(model)
    found = metrics.interpolation_by_level(model, start, end, OWN, REAL)
    own = [moved(a, b, [0, 1]) / 5, moved(a, b, [2, 3]) / 10]
    assert found.features == (1, 2) and found.n == 40
    np.testing.assert_allclose(found.distance, np.diag(own), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.whole, own, rtol=1e-4)
    np.testing.assert_allclose(found.largest_step, [[1, np.nan], [np.nan, 1]], rtol=1e-3)


def test_what_lies_below_moves_with_its_prior_and_keeps_its_noise():
    """z_1 = 2 z_2 + noise: its pixels move twice as far as z_2."""
    model = own_pixels(follows=2.0)
    a, b, start, end = ends(model)
    found = metrics.interpolation_by_level(model, start, end, OWN, REAL, steps=3)
    expected = [[moved(a, b, [0, 1]) / 5, 0], [2 * moved(a, b, [2, 3]) / 5, moved(a, b, [2, 3]) / 10]]
    np.testing.assert_allclose(found.distance, expected, rtol=1e-4, atol=1e-6)


def test_by_its_noise_a_level_moves_what_it_adds_to_those_above():
    """z_1 = 2 z_2 + e: with the noise of b it goes from x_1 to x_1 + e_b - e_a, and z_2 moves as by its value."""
    model = own_pixels(follows=2.0)
    a, b, start, end = ends(model)
    found = metrics.interpolation_by_level(model, start, end, OWN, REAL, by="noise", steps=3)
    noise = [x[:, :2] - 2 * x[:, 2:] for x in (a, b)]
    by_value = metrics.interpolation_by_level(model, start, end, OWN, REAL, steps=3)
    np.testing.assert_allclose(found.distance[0], [moved(*noise, [0, 1]) / 5, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.distance[1], by_value.distance[1])
    np.testing.assert_array_equal(found.whole, by_value.whole)


def test_features_that_jump_are_told_from_features_that_move_evenly():
    """A sign changes in one of the steps, if it does: largest step over mean step is steps - 1."""
    model = own_pixels()
    a, b, start, end = ends(model)
    sign = Pixels(0, seen=lambda x: np.sign(x))
    found = metrics.interpolation_by_level(model, start, end, {"sign": sign}, REAL - 1, steps=6)
    np.testing.assert_allclose(found.largest_step, [[5.0], [np.nan]])
    turns = (np.sign(a[:, 0]) != np.sign(b[:, 0])).mean()
    assert 0 < turns < 1
    with pytest.raises(ValueError, match="all 2 real examples are alike to the features 'sign'"):
        metrics.interpolation_by_level(model, start, end, {"sign": sign}, np.ones((2, 4)))


def test_the_largest_step_is_that_of_the_definition():
    """Squares: steps of 1/9, 3/9 and 5/9 of the way, whatever the pair, if it starts at 0."""
    model = own_pixels()
    start = [np.zeros((7, 2)), np.zeros((7, 2))]
    end = [np.random.default_rng(0).normal(size=(7, 2)), np.zeros((7, 2))]
    square = Pixels(0, seen=lambda x: x**2)
    found = metrics.interpolation_by_level(model, start, end, {"square": square}, REAL, steps=4)
    np.testing.assert_allclose(found.largest_step[0], 5 / 3, rtol=1e-3)
    np.testing.assert_allclose(found.distance[0], (end[0][:, 0] ** 2).mean() / 9, rtol=1e-4)


def test_the_unit_is_the_distance_of_random_pairs_of_real_examples():
    """E‖a - b‖ of two draws of N(0, I) in two dimensions is sqrt(pi)."""
    model, real = own_pixels(), examples(4000, seed=3)
    start, end = [np.zeros((1, 2))] * 2, [np.float32([[3, 4]])] * 2
    found = metrics.interpolation_by_level(model, start, end, OWN, real)
    np.testing.assert_allclose(found.whole, 5 / np.sqrt(np.pi), rtol=0.03)


def test_maps_are_walked_and_batches_do_not_matter():
    keras.utils.set_random_seed(0)
    model = HierarchicalVAE((3, 2), ConvolutionalNetworks((4, 4)))
    model.build((None, 4, 4, 1))
    start, end = (latents.draw_latents(model, 5, seed=seed) for seed in (0, 1))
    real = np.random.default_rng(0).random((9, 4, 4, 1))
    mean = Pixels(*range(4), seen=lambda x: x.reshape(len(x), -1))
    whole, small = (
        metrics.interpolation_by_level(model, start, end, {"pixels": mean}, real, steps=3, batch_size=size)
        for size in (256, 4)
    )
    np.testing.assert_allclose(small.distance, whole.distance, rtol=1e-3)
    assert whole.distance.shape == (2, 1) and (whole.distance > 0).all()


def test_bad_arguments_are_named():
    model = own_pixels()
    _, _, start, end = ends(model, 5)

    def ask(start=start, end=end, features=OWN, real=REAL, **arguments):
        return metrics.interpolation_by_level(model, start, end, features, real, **arguments)

    with pytest.raises(ValueError, match="steps is at least 2, one for each end; got 1"):
        ask(steps=1)
    with pytest.raises(ValueError, match="by is one of 'value', 'noise'; got 'swap'"):
        ask(by="swap")
    with pytest.raises(ValueError, match="features names nothing that sees examples"):
        ask(features={})
    with pytest.raises(ValueError, match="end holds 4 examples; start has 5"):
        ask(end=[part[:4] for part in end])
    with pytest.raises(ValueError, match="start is a list of z_1 to z_2; got 3 arrays"):
        ask(start=[*start, start[0]])
    with pytest.raises(ValueError, match="real holds 1 examples; the distance of a pair takes at least 2"):
        ask(real=REAL[:1])
    with pytest.raises(ValueError, match=r"the features 2 of 2 examples have shape \(2,\); expected \[n, d\]"):
        ask(features={2: Pixels(0, seen=lambda x: x[:, 0])})
    with pytest.raises(ValueError, match="the features 2 are NaN or infinite in row 0"):
        ask(features={2: Pixels(0, seen=lambda x: x * np.nan)})
