"""Spectral normalisation, against NumPy's singular values."""

import numpy as np
import pytest

from hvae_keras.backend import gradient, keras, ops
from hvae_keras.layers import SpectralNormalization, power_iteration


def array(tensor):
    return ops.convert_to_numpy(tensor)


def stretch(kernel):
    """The largest singular value of a kernel as a matrix [inputs, outputs]."""
    return np.linalg.svd(np.float64(kernel).reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


LAYERS = {
    "dense": (lambda: keras.layers.Dense(5), (7,)),
    "dense, one output": (lambda: keras.layers.Dense(1), (7,)),
    "convolution": (lambda: keras.layers.Conv2D(6, 3, 2, "same"), (6, 6, 3)),
    "convolution in time": (lambda: keras.layers.Conv1D(4, 2), (8, 3)),
}
every_layer = pytest.mark.parametrize("kind", LAYERS)


def make(kind="dense", seed=0):
    """The layer, built, its kernel and bias random."""
    keras.utils.set_random_seed(seed)
    inner, shape = LAYERS[kind]
    layer = SpectralNormalization(inner())
    layer.build((None, *shape))
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(np.float32(rng.normal(size=variable.shape)))
    return layer, np.float32(rng.normal(size=(4, *shape)))


def settle(layer, x, steps=60):
    for _ in range(steps):
        layer(x, training=True)


# The iteration


def test_iterations_reach_the_largest_singular_value_from_below(rng):
    matrix = np.float32(rng.normal(size=(9, 4)))
    singular = np.linalg.svd(np.float64(matrix), compute_uv=False)
    u, found = np.float32(rng.normal(size=4)) * 17, []
    for _ in range(60):
        sigma, u = power_iteration(ops.convert_to_tensor(matrix), u)
        found.append(float(array(sigma)))
        np.testing.assert_allclose(np.linalg.norm(array(u)), 1, rtol=1e-5)
    assert max(found) <= singular[0] * (1 + 1e-5)
    assert (np.diff(found) >= -1e-5).all(), "each step comes nearer"
    np.testing.assert_allclose(found[-1], singular[0], rtol=1e-4)


def test_at_the_singular_vector_one_step_is_exact(rng):
    matrix = np.float32(rng.normal(size=(6, 4)))
    _, singular, right = np.linalg.svd(matrix)
    sigma, u = power_iteration(ops.convert_to_tensor(matrix), right[0])
    np.testing.assert_allclose(array(sigma), singular[0], rtol=1e-5)
    np.testing.assert_allclose(np.abs(array(u) @ right[0]), 1, rtol=1e-5)


def test_gradient_of_the_singular_value_against_differences(rng):
    """d sigma / dW is v uᵀ: at the singular vectors autodiff gives the slope of NumPy's largest singular value."""
    matrix = np.float32(rng.normal(size=(5, 3)))
    top = np.linalg.svd(matrix)[2][0]
    found = array(gradient(lambda w: power_iteration(w, top)[0], matrix))
    step, slopes = 1e-5, np.zeros((5, 3))
    for at in np.ndindex(5, 3):
        bump = np.zeros((5, 3))
        bump[at] = step
        slopes[at] = (stretch(matrix + bump) - stretch(matrix - bump)) / (2 * step)
    np.testing.assert_allclose(found, slopes, atol=1e-4)


# The layer


@every_layer
def test_it_is_the_layer_with_its_kernel_over_the_largest_singular_value(kind):
    layer, x = make(kind)
    settle(layer, x)
    kernel, bias = array(layer.layer.kernel), array(layer.layer.bias)
    alone = LAYERS[kind][0]()
    alone.build((None, *x.shape[1:]))
    alone.set_weights([kernel / stretch(kernel), bias])
    np.testing.assert_allclose(array(layer(x)), array(alone(x)), rtol=1e-3, atol=1e-3)


@every_layer
def test_the_stored_kernel_stays_and_u_moves_in_training_only(kind):
    layer, x = make(kind)
    layer.u.assign(2 * array(layer.u))
    before = [array(variable).copy() for variable in layer.layer.variables]
    u = array(layer.u).copy()
    layer(x)
    layer(x, training=False)
    np.testing.assert_array_equal(array(layer.u), u)
    layer(x, training=True)
    assert np.abs(array(layer.u) - u).max() > 1e-3
    for old, variable in zip(before, layer.layer.variables, strict=True):
        np.testing.assert_array_equal(old, array(variable))


def test_the_scale_of_the_kernel_does_not_matter():
    layer, x = make()
    settle(layer, x)
    layer.layer.bias.assign(np.zeros(5))
    before = array(layer(x))
    layer.layer.kernel.assign(10 * array(layer.layer.kernel))
    np.testing.assert_allclose(array(layer(x)), before, rtol=1e-4, atol=1e-5)


def test_gradient_passes_through_the_singular_value(rng):
    """Of a weighted sum of outputs by the kernel, against differences of x W / sigma(W) in NumPy."""
    layer, x = make()
    settle(layer, x)
    kernel, c = np.float64(array(layer.layer.kernel)), rng.normal(size=(4, 5))
    step, slopes = 1e-5, np.zeros_like(kernel)

    def value(w):
        return (c * (x @ w / stretch(w))).sum()

    for at in np.ndindex(*kernel.shape):
        bump = np.zeros_like(kernel)
        bump[at] = step
        slopes[at] = (value(kernel + bump) - value(kernel - bump)) / (2 * step)

    def through_the_layer(w):
        scope = keras.StatelessScope(state_mapping=[(layer.layer.kernel, w)])
        with scope:
            return ops.sum(np.float32(c) * layer(x))

    found = array(gradient(through_the_layer, array(layer.layer.kernel)))
    np.testing.assert_allclose(found, slopes, rtol=1e-3, atol=1e-3)
    assert abs((found * kernel).sum()) < 1e-3, "along the kernel itself nothing changes"


def test_in_a_model_that_trains_the_kernel_learns_and_u_follows(rng):
    """On either backend. The target stretches by 3, the layer cannot."""
    keras.utils.set_random_seed(0)
    x = np.float32(rng.normal(size=(64, 4)))
    model = keras.Sequential([keras.Input((4,)), SpectralNormalization(keras.layers.Dense(3))])
    layer = model.layers[0]
    before, u = array(layer.layer.kernel).copy(), array(layer.u).copy()
    model.compile(keras.optimizers.Adam(0.05), "mse")
    losses = model.fit(x, 3 * x[:, :3], epochs=20, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.abs(array(layer.layer.kernel) - before).max() > 0.1
    assert np.abs(array(layer.u) - u).max() > 0.01
    matrix = array(layer(np.eye(4))) - array(layer(np.zeros((1, 4))))
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False)[0], 1, atol=0.02)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            SpectralNormalization(keras.layers.Conv2D(4, 3, activation="relu")),
            keras.layers.Flatten(),
            SpectralNormalization(keras.layers.Dense(2, use_bias=False)),
        ]
    )
    x = np.float32(np.random.default_rng(0).normal(size=(3, 6, 6, 3)))
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.layers[0], SpectralNormalization)
    np.testing.assert_array_equal(array(loaded(x)), array(model(x)))
    for one, other in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(array(one), array(other))


def test_only_the_layers_own_weights_are_trained():
    layer, _ = make()
    assert {v.name for v in layer.trainable_variables} == {"kernel", "bias"}
    assert [v.name for v in layer.non_trainable_variables] == ["u"]
    assert layer.compute_output_shape((None, 7)) == (None, 5)


@pytest.mark.parametrize(
    "layer", [keras.layers.Flatten(), keras.layers.LSTM(3), keras.layers.Conv2DTranspose(3, 3)]
)
def test_a_layer_without_such_a_kernel_is_refused(layer):
    with pytest.raises(ValueError, match=f"a Dense or Conv2D layer; got {type(layer).__name__}"):
        SpectralNormalization(layer)
