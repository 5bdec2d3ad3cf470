"""The convolutional networks of the adversarial models."""

import numpy as np
import pytest

from hvae_keras.backend import keras, ops
from hvae_keras.layers import image_discriminator, image_generator, image_refiner


def array(tensor):
    return ops.convert_to_numpy(tensor)


def make_refiner(shape=(8, 8, 3), sketch_shape=(4, 4, 3)):
    return image_refiner(3, sketch_shape, shape, (4, 6, 6))


def one_hot(labels, classes=3):
    return np.eye(classes, dtype="float32")[labels]


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


# Shapes


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((8, 8, 3), (6, 5, 4)), ((8, 12, 1), (4, 4)), ((5, 7, 3), (4,)), ((4, 4, 1), (3, 3))],
)
def test_a_generator_makes_images_of_the_shape_asked_for(shape, channels, rng):
    z = np.float32(10 * rng.normal(size=(6, 2)))
    x = array(image_generator(2, shape, channels)(z))
    assert x.shape == (6, *shape)
    assert x.min() >= 0 and x.max() <= 1
    assert np.abs(x[0] - x[1]).max() > 1e-4, "other z, another image"


def test_a_generator_with_classes_looks_at_the_label(rng):
    z = np.float32(np.repeat(rng.normal(size=(1, 2)), 3, axis=0))
    network = image_generator(2, (8, 8, 1), (6, 6), classes=3)
    assert [tuple(i.shape) for i in network.inputs] == [(None, 2), (None, 3)]
    x = array(network([z, one_hot([0, 1, 1])]))
    assert np.abs(x[0] - x[1]).max() > 1e-4
    np.testing.assert_allclose(x[1], x[2], rtol=1e-5)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_refiner_makes_images_a_whole_number_of_times_as_large(factor, rng):
    network = make_refiner((4 * factor, 4 * factor, 3))
    assert [tuple(i.shape) for i in network.inputs] == [(None, 3), (None, 4, 4, 3)]
    x = array(network([np.float32(rng.normal(size=(2, 3))), np.float32(rng.random((2, 4, 4, 3)))]))
    assert x.shape == (2, 4 * factor, 4 * factor, 3)


@pytest.mark.parametrize(
    ("shape", "channels"), [((8, 8, 3), (4, 4, 4)), ((7, 9, 1), (4, 4)), ((8, 8, 1), (4,)), ((4, 8, 1), (4, 4))]
)
def test_a_discriminator_gives_a_score_without_bounds(shape, channels, rng):
    """Before training there are no shifts: a hundred times the image has a hundred times the score."""
    network = image_discriminator(shape, channels)
    x = np.float32(rng.normal(size=(5, *shape)))
    score = array(network(x))
    assert score.shape == (5, 1) and np.ptp(score) > 1e-3
    np.testing.assert_allclose(array(network(100 * x)), 100 * score, rtol=1e-3, atol=1e-3)


# What the networks do before training


def enlarged(sketch, factor):
    """Bilinear, sample points at the centres of pixels, the border repeated; one side after the other."""
    for axis in (1, 2):
        sides = sketch.shape[axis]
        at = np.clip((np.arange(sides * factor) + 0.5) / factor - 0.5, 0, sides - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, sides - 1)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(sketch.ndim)])
        sketch = np.take(sketch, low, axis) * (1 - share) + np.take(sketch, high, axis) * share
    return sketch


@pytest.mark.parametrize("factor", [2, 4])
def test_a_refiner_begins_with_the_enlarged_sketch(factor, rng):
    sketch = rng.uniform(0.02, 0.98, size=(3, 4, 4, 3))
    network = make_refiner((4 * factor, 4 * factor, 3))
    x = array(network([np.float32(rng.normal(size=(3, 3))), np.float32(sketch)]))
    np.testing.assert_allclose(x, enlarged(sketch, factor), atol=1e-5)


def test_a_refiner_can_leave_black_and_white(rng):
    """Where the sketch is 0 or 1, a change of the log-odds still gets through, and its gradient, too."""
    network, sketch = make_refiner(), np.float32(np.stack([np.zeros((4, 4, 3)), np.ones((4, 4, 3))]))
    z = np.float32(rng.normal(size=(2, 3)))
    before = array(network([z, sketch]))
    np.testing.assert_allclose(before[0], 0.01, atol=1e-5)
    np.testing.assert_allclose(before[1], 0.99, atol=1e-5)
    last = next(layer for layer in network.layers[::-1] if isinstance(layer, keras.layers.Conv2D))
    last.bias.assign(np.full(3, 6.0))
    # log-odds log(.01 / .99) + 6
    np.testing.assert_allclose(array(network([z, sketch]))[0], 1 / (1 + 99 * np.exp(-6)), rtol=1e-4)


def test_a_refiner_that_has_learned_looks_at_z_and_at_the_sketch(rng):
    network = make_refiner()
    last = next(layer for layer in network.layers[::-1] if isinstance(layer, keras.layers.Conv2D))
    last.kernel.assign(np.float32(rng.normal(size=last.kernel.shape)))
    z, sketch = np.float32(rng.normal(size=(2, 3))), np.float32(rng.random((1, 4, 4, 3)))
    x = array(network([z, np.repeat(sketch, 2, axis=0)]))
    assert np.abs(x[0] - x[1]).max() > 1e-3
    far = array(network([z[:1], 1 - sketch]))
    assert np.abs(far[0] - x[0]).max() > 1e-2


def test_a_discriminator_looks_at_the_sketch(rng):
    network = image_discriminator((8, 8, 3), (6, 6), sketch_shape=(4, 4, 3))
    x = np.repeat(np.float32(rng.random((1, 8, 8, 3))), 2, axis=0)
    score = array(network([x, np.float32(rng.random((2, 4, 4, 3)))]))
    assert np.abs(score[0] - score[1]).max() > 1e-4


def test_a_discriminator_sees_sketch_and_picture_pixel_by_pixel(rng):
    """With one convolution of 3×3 a pixel of the sketch bears on the near pixels of the picture, and on no other.

    Bears on: the two changes together are not the sum of each alone.
    """
    network = image_discriminator((8, 8, 1), (6,), sketch_shape=(4, 4, 1))
    x, sketch = np.float32(rng.normal(size=(1, 8, 8, 1))), np.float32(rng.normal(size=(1, 4, 4, 1)))

    def interaction(row, column):
        other, drawn = x.copy(), sketch.copy()
        other[0, row, column] += 20
        drawn[0, 0, 0] -= 20
        a, b, c, d = (array(network([i, j])).item() for i in (x, other) for j in (sketch, drawn))
        return abs(a - b - c + d)

    assert interaction(0, 0) > 0.01 and interaction(1, 1) > 0.01
    assert interaction(7, 7) < 1e-4 and interaction(0, 6) < 1e-4


def test_a_discriminator_looks_at_the_label_and_at_how_it_fits_the_image(rng):
    """A label adds an inner product with the features, so what it changes differs between images."""
    network = image_discriminator((8, 8, 1), (6, 6), classes=3)
    assert [tuple(i.shape) for i in network.inputs] == [(None, 8, 8, 1), (None, 3)]
    first, second = np.float32(rng.normal(size=(2, 8, 8, 1)))
    images = np.stack([first, first, second, second])
    a, b, c, d = array(network([images, one_hot([0, 1, 0, 1])]))[:, 0]
    assert abs(a - b) > 1e-4 and abs((a - b) - (c - d)) > 1e-4


def test_every_matrix_of_a_discriminator_is_normalised():
    """Ten times the kernels give the same scores, as far as the biases (zero here) do not stand in the way."""
    for arguments, seen in (
        ({}, []),
        ({"classes": 3}, [one_hot([0, 2])]),
        ({"sketch_shape": (4, 4, 1)}, [np.full((2, 4, 4, 1), 0.3, "float32")]),
    ):
        network = image_discriminator((8, 8, 1), (6, 6), **arguments)
        inputs = [np.float32(np.random.default_rng(0).random((2, 8, 8, 1))), *seen]
        inputs = inputs if seen else inputs[0]
        before = array(network(inputs))
        kernels = [v for v in network.trainable_variables if v.name == "kernel"]
        assert len(kernels) == 3 + ("classes" in arguments)
        for kernel in kernels:
            kernel.assign(10 * array(kernel))
        np.testing.assert_allclose(array(network(inputs)), before, rtol=1e-4, atol=1e-5)


# Saving


@pytest.mark.parametrize(
    "make",
    [
        lambda: image_generator(2, (8, 8, 1), (6, 6), classes=3),
        make_refiner,
        lambda: image_discriminator((8, 8, 1), (6, 6), sketch_shape=(4, 4, 1)),
        lambda: image_discriminator((8, 8, 1), (6, 6), classes=3),
    ],
)
def test_saved_and_loaded_a_network_is_the_same(make, rng, tmp_path):
    network = make()
    for variable in network.variables:
        variable.assign(np.float32(rng.normal(size=variable.shape)))
    inputs = [np.float32(rng.random((2, *i.shape[1:]))) for i in network.inputs]
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(array(loaded(inputs)), array(network(inputs)))


# Refusals


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: image_generator(2, (8, 6, 1), (4, 4, 4)), r"shape \(8, 6, 1\) divide by 4, for 3 entries"),
        (lambda: image_generator(2, (8, 8, 1), ()), "at least one map; it is empty"),
        (lambda: image_refiner(2, (5, 4, 1), (10, 8, 1), (4, 4, 4)), r"sketch_shape are even; got \(5, 4, 1\)"),
        (lambda: make_refiner((8, 8, 3), (3, 4, 3)), "whole multiple of those of the sketch"),
        (lambda: make_refiner((8, 16, 3)), "whole multiple of those of the sketch"),
        (lambda: make_refiner((2, 2, 3)), "whole multiple of those of the sketch"),
        (lambda: image_refiner(2, (4, 4, 3), (8, 8, 3), (4, 4)), r"three entries.*got \(4, 4\)"),
        (lambda: image_discriminator((8, 8, 3), (4,), (3, 3, 3)), "whole multiple of those of the sketch"),
        (lambda: image_discriminator((8, 8, 3), (4,), (4, 4, 3), classes=2), "a sketch or a label .* not both"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
