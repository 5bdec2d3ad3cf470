"""FlatAdam: Adam as Keras has it, weight for weight."""

import subprocess
import sys

import numpy as np
import pytest
from small_models import count_traces, make_vae

from hvae_keras.backend import BACKEND, keras, ops
from hvae_keras.optimizers import FlatAdam

SHAPES = [(3, 4), (4,), (), (2, 3, 2)]
FIT = {"verbose": 0, "batch_size": 32}


def steps(optimizer, steps=20, missing=(), shapes=SHAPES, dtype="float32", constraint=None):
    """Weights after steps along given gradients, of sizes 1e-6 to 1e2; those in `missing` have none."""
    rng = np.random.default_rng(0)
    variables = [keras.Variable(rng.normal(size=shape).astype(dtype), dtype=dtype) for shape in shapes]
    variables[0].constraint = constraint
    optimizer.build(variables)
    for _ in range(steps):
        gradients = [(10.0 ** rng.integers(-6, 3) * rng.normal(size=shape)).astype(dtype) for shape in shapes]
        gradients = [None if i in missing else ops.convert_to_tensor(g) for i, g in enumerate(gradients)]
        optimizer.apply(gradients, variables)
    return [ops.convert_to_numpy(variable) for variable in variables]


def assert_close(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


ARGUMENTS = [
    {},
    {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)},
    {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    {"weight_decay": 0.1},
    {"clipnorm": 0.5},
    {"clipvalue": 0.1},
    {"global_clipnorm": 0.5},
    {"use_ema": True, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 2},
    {"loss_scale_factor": 8.0},
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda arguments: next(iter(arguments), "plain"))
def test_every_weight_is_where_keras_puts_it(arguments):
    """The same operations on the same numbers: twenty steps of 0.01, each with one rounding of 6e-8 a weight."""
    arguments = {"learning_rate": 0.01, **arguments}
    expected = steps(keras.optimizers.Adam(**arguments))
    assert_close(steps(FlatAdam(**arguments)), expected, 2e-6)
    assert np.abs(expected[0] - steps(FlatAdam(0.01, beta_1=0.8))[0]).max() > 1e-4  # The tolerance can tell.


def test_in_float64_they_agree_to_its_precision():
    if BACKEND == "jax":
        pytest.skip("JAX has float64 only by a setting of the whole process.")
    expected = steps(keras.optimizers.Adam(0.01), dtype="float64")
    assert_close(steps(FlatAdam(0.01), dtype="float64"), expected, 1e-14)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_weights_without_a_gradient_stay_and_keep_their_moments():
    flat, keras_own = FlatAdam(0.01, name="flat"), keras.optimizers.Adam(0.01, name="own")
    start = steps(FlatAdam(), steps=0)
    found = steps(flat, missing=(1, 3))
    assert_close(found, steps(keras_own, missing=(1, 3)), 2e-6)
    assert_close([found[1], found[3]], [start[1], start[3]], 0)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_part_of_the_weights_can_be_stepped_alone():
    """Steps on one weight, then on the other, then on both, as in training by turns."""
    results = []
    for optimizer in (FlatAdam(0.01), keras.optimizers.Adam(0.01)):
        rng = np.random.default_rng(0)
        variables = [keras.Variable(np.ones(3, "float32")), keras.Variable(np.ones((2, 2), "float32"))]
        optimizer.build(variables)
        for part in ([0], [1], [0, 1], [1, 0], [1]):
            chosen = [variables[i] for i in part]
            optimizer.apply([ops.convert_to_tensor(rng.normal(size=v.shape), "float32") for v in chosen], chosen)
        results.append([ops.convert_to_numpy(variable) for variable in variables])
    assert_close(*results, 2e-6)


def test_one_weight_alone_and_constraints():
    expected = steps(keras.optimizers.Adam(0.5), shapes=[(5,)], constraint=keras.constraints.NonNeg())
    found = steps(FlatAdam(0.5), shapes=[(5,)], constraint=keras.constraints.NonNeg())
    assert_close(found, expected, 2e-6)
    assert found[0].min() == 0


def test_a_vae_trains_as_under_keras_adam(images):
    """Twenty steps of one training run. Rounding feeds back into the gradients, hence the wider tolerance."""
    results = []
    for optimizer in (keras.optimizers.Adam(1e-3), FlatAdam(1e-3)):
        vae = make_vae()
        vae.compile(optimizer)
        counts = count_traces(vae)
        history = vae.fit(images[:64], epochs=10, **FIT).history
        assert counts["train"] == 1 and int(optimizer.iterations) == 20
        results.append((vae.get_weights(), history["loss"]))
    for found, expected in zip(*(weights for weights, _ in results), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5)


def test_saved_with_its_moments_and_loaded_it_goes_on(images, tmp_path):
    vae = make_vae()
    vae.compile(FlatAdam(0.01, beta_1=0.8, global_clipnorm=1.0))
    vae.fit(images, **FIT)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    assert isinstance(loaded.optimizer, FlatAdam)
    assert loaded.optimizer.get_config() == vae.optimizer.get_config()
    for one, other in zip(vae.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))
    runs = [model.fit(images, shuffle=False, **FIT).history for model in (vae, loaded)]
    assert runs[0] == runs[1]


def test_reinitialised_it_starts_again(images):
    vae = make_vae()
    vae.compile(FlatAdam(0.01))
    vae.fit(images, **FIT)
    runs = []
    for _ in range(2):
        vae.reinitialise(0)
        moments = [ops.convert_to_numpy(v) for v in vae.optimizer.variables if len(v.shape) == 1]
        assert len(moments) == 2 and not np.any(moments)
        runs.append(vae.fit(images, epochs=2, **FIT).history["loss"])
    assert runs[0] == runs[1]


def test_weights_of_two_types_are_refused():
    variables = [keras.Variable([1.0], dtype=dtype) for dtype in ("float32", "float16")]
    with pytest.raises(ValueError, match=r"one dtype; got \['float16', 'float32'\]"):
        FlatAdam().build(variables)


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="not recognized: {'amsgrad': True}"):
        FlatAdam(amsgrad=True)


if BACKEND == "tensorflow":

    def test_it_needs_a_small_part_of_the_operations():
        import tensorflow as tf

        def operations(optimizer):
            variables = [keras.Variable(np.ones(3, "float32")) for _ in range(50)]
            optimizer.build(variables)
            step = tf.function(lambda: optimizer.apply([tf.ones(3)] * 50, variables))
            return len(step.get_concrete_function().graph.get_operations())

        assert operations(FlatAdam()) < operations(keras.optimizers.Adam()) / 5

    def test_a_sparse_gradient_with_a_repeated_index_is_its_dense_sum():
        """As of an embedding that a batch looks up twice. Keras squares the two rows before it adds them."""
        import tensorflow as tf

        sparse = tf.IndexedSlices(
            tf.constant([[1.0, 2.0], [3.0, -1.0], [1.0, 2.0]]), tf.constant([1, 3, 1]), (5, 2)
        )
        dense = tf.constant([[0.0, 0.0], [2.0, 4.0], [0.0, 0.0], [3.0, -1.0], [0.0, 0.0]])
        results = []
        for optimizer, gradient in ((keras.optimizers.Adam(0.01), dense), (FlatAdam(0.01), sparse)):
            table = keras.Variable(np.ones((5, 2), "float32"))
            optimizer.build([table])
            for _ in range(3):
                optimizer.apply([gradient], [table])
            results.append([ops.convert_to_numpy(table)])
        assert_close(*results, 2e-6)

    def test_replicas_take_the_same_steps_as_one():
        """Two replicas with half of a batch each, in a process of their own."""
        code = """
import numpy as np, tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from hvae_keras import layers, models
from hvae_keras.backend import keras
from hvae_keras.optimizers import FlatAdam
def train():
    keras.utils.set_random_seed(0)
    model = models.Autoencoder(layers.mlp_encoder((6,), (5,), 2), layers.mlp_decoder(2, (5,), (6,)))
    model.compile(FlatAdam(0.01, epsilon=1e-3))
    x = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
    history = model.fit(x, batch_size=8, epochs=3, shuffle=False, verbose=0).history
    return history["loss"], model.get_weights()
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    losses, weights = train()
    assert tf.distribute.get_strategy().num_replicas_in_sync == 2
alone, expected = train()
np.testing.assert_allclose(losses, alone, rtol=1e-5)
for one, other in zip(weights, expected, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-6)
"""
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert found.returncode == 0, found.stderr[-2000:]
