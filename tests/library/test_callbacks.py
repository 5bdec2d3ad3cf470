"""The short report, and the stop at a term that is not finite."""

import numpy as np
import pytest
import tensorflow as tf
from small_models import SHAPE, make_autoencoder, make_vae

from hvae_keras import layers, models
from hvae_keras.backend import BACKEND, keras, ops
from hvae_keras.callbacks import FirstNonFinite, Progress, StopOnCollapse

STEPS = {"batch_size": 8, "shuffle": False, "verbose": 0}


@pytest.mark.parametrize(("epochs", "lines", "printed"), [(3, 10, 3), (100, 10, 11), (25, 5, 6), (7, 1, 2)])
def test_progress_prints_about_so_many_lines_first_and_last_among_them(epochs, lines, printed, capsys):
    report = Progress(lines)
    model = make_autoencoder()
    report.set_model(model)
    report.set_params({"epochs": epochs})
    report.on_train_begin()
    for epoch in range(epochs):
        report.on_epoch_end(epoch, {"loss": 1.0})
    report.on_train_end()
    found = capsys.readouterr().out.splitlines()
    assert len(found) == printed
    assert found[0].split()[1] == f"1/{epochs}" and found[-1].split()[1] == f"{epochs}/{epochs}"


def test_progress_shows_every_term_with_validation(vae, images, capsys):
    vae.fit(images, validation_data=images, epochs=2, callbacks=[Progress()], **STEPS)
    words = capsys.readouterr().out.splitlines()[-1].split()
    terms = ["loss", "elbo", "log_likelihood", "kl"]
    assert words[2:-2:2] == terms + [f"val_{term}" for term in terms]
    assert words[-1] == "s"


def test_progress_prints_the_last_epoch_of_a_run_that_stops_early(images, capsys):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 4

    make_vae().fit(images, epochs=100, callbacks=[Progress(3), Stop()], **STEPS)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["1/100", "5/100"]


def test_progress_needs_a_line():
    with pytest.raises(ValueError, match="at least 1; got 0"):
        Progress(0)


def test_the_record_names_the_first_bad_step_and_no_later_one():
    record = FirstNonFinite(["a", "b"])
    for a, b in [(1.0, 2.0), (1.0, float("inf")), (float("nan"), float("nan")), (1.0, 1.0)]:
        record.update_state([ops.convert_to_tensor(a), ops.convert_to_tensor([0.0, b])])
    assert record.report() == (2, ["b"])
    record.reset_state()
    assert record.report() is None


def batches(x):
    """Data whose values are not looked at before they are trained on."""
    return tf.data.Dataset.from_tensor_slices(x).batch(8)


@pytest.mark.parametrize("make", [make_vae, make_autoencoder])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_data_stops_training_at_its_step(make, bad, images):
    images[20] = bad  # Batches of 8: the third.
    with pytest.raises(FloatingPointError, match="epoch 1, at step 3: the data x held NaN"):
        make().fit(batches(images), verbose=0)


def test_bad_data_in_an_array_are_refused_at_once(vae, images):
    images[20, 0] = np.nan
    with pytest.raises(ValueError, match="x holds NaN or infinite values, first in example 20"):
        vae.fit(images, verbose=0)


def test_bad_validation_data_is_told_from_bad_training_data(vae, images):
    bad = images.copy()
    bad[30, 0] = np.nan
    with pytest.raises(FloatingPointError, match="Validation stopped after epoch 1, at step 4: the data x"):
        vae.fit(images, validation_data=batches(bad), **STEPS)
    with pytest.raises(FloatingPointError, match="Evaluation stopped, at step 4: the data x"):
        vae.evaluate(batches(bad), verbose=0)


@keras.saving.register_keras_serializable(package="tests")
class Overflow(keras.layers.Layer):
    """Adds infinity to one column where the first pixel of x is on."""

    def __init__(self, column):
        super().__init__()
        self.column = column

    def call(self, parameters, x):
        column = np.eye(parameters.shape[-1])[self.column].astype("float32")
        on = ops.reshape(x, (-1, 16))[:, :1]
        return ops.where(on * column > 0, float("inf"), parameters)


def test_an_infinite_kl_is_named_with_its_level(images):
    """Log-variance infinite for one example: the KL is, and log p(x|z) too, as z is."""
    images[..., 0, 0, 0] = 0
    images[11, 0, 0, 0] = 1
    x = keras.Input(SHAPE)
    head = keras.layers.Dense(4)(keras.layers.Flatten()(x))
    vae = models.VAE(keras.Model(x, Overflow(2)(head, x)), layers.mlp_decoder(2, (), SHAPE))
    vae.compile()
    with pytest.raises(FloatingPointError, match="at step 2: .*kl of level 1"):
        vae.fit(images, **STEPS)


def test_an_infinite_log_likelihood_is_named_alone(images):
    z = keras.Input((2,))
    head = keras.layers.Dense(16)(z)
    huge = keras.layers.Rescaling(1e38)(keras.layers.Rescaling(1e38)(head))
    vae = models.VAE(layers.mlp_encoder(SHAPE, (), 4), keras.Model(z, keras.layers.Reshape(SHAPE)(huge)))
    vae.compile()
    with pytest.raises(FloatingPointError, match="at step 1: log_likelihood became NaN or infinite.$"):
        vae.fit(images, **STEPS)


def test_weights_that_are_not_finite_are_suspected_when_every_term_goes_at_once(images):
    vae = make_vae()
    vae.compile(keras.optimizers.SGD(1e30))
    with pytest.raises(FloatingPointError, match="step 2: log_likelihood, kl of level 1 .* lower learning rate"):
        vae.fit(images, **STEPS)


def test_it_is_noticed_before_the_epoch_ends(images):
    """The record is looked at every 50 steps, not only after an epoch of 120."""
    seen = []
    x = np.tile(images, (10, 1, 1, 1))
    x[8] = np.nan
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    with pytest.raises(FloatingPointError, match="at step 2"):
        make_vae().fit(batches(x), callbacks=[count], verbose=0)
    assert len(seen) == 50


# The stop at a game that is lost

trains = pytest.mark.skipif(BACKEND != "tensorflow", reason="adversarial models train on TensorFlow")


def epochs_until_stopped(stop, history):
    """Epochs of a history, a list of logs, that pass before the callback stops."""
    stop.on_train_begin()
    for epoch, logs in enumerate(history):
        try:
            stop.on_epoch_end(epoch, logs)
        except RuntimeError:
            return epoch + 1
    return None


def alike(*values, name="diversity"):
    return [{"discriminator_loss": 1.0, "generator_loss": -1.0, name: value} for value in values]


@pytest.mark.parametrize(
    ("values", "stopped"),
    [
        ([0.01] * 9, 3),
        ([1.0, 0.01, 0.01, 0.01, 0.01], 4),
        ([0.01, 0.01, 0.3, 0.01, 0.01, 0.3], None),  # never three in a row
        ([0.1] * 9, None),  # the limit itself is not below it
        ([0.0999] * 9, 3),
    ],
)
def test_a_generator_that_repeats_itself_is_believed_after_so_many_epochs(values, stopped):
    assert epochs_until_stopped(StopOnCollapse(least=0.1, patience=3), alike(*values)) == stopped


def test_a_new_run_counts_anew():
    stop = StopOnCollapse(patience=2)
    assert epochs_until_stopped(stop, alike(0.0)) is None
    assert epochs_until_stopped(stop, alike(0.0)) is None
    assert epochs_until_stopped(stop, alike(0.0, 0.0)) == 2


def test_the_level_is_named_and_levels_are_counted_apart():
    stop = StopOnCollapse(patience=2)
    turns = [{"diversity_1": 0.0, "diversity_2": 1.0}, {"diversity_1": 1.0, "diversity_2": 0.0}]
    assert epochs_until_stopped(stop, turns * 3) is None
    stop.on_train_begin()
    with pytest.raises(RuntimeError, match="after epoch 2: level 2 has collapsed, the generator repeats itself"):
        for epoch in range(2):
            stop.on_epoch_end(epoch, {"diversity_1": 0.5, "diversity_2": 0.01})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("discriminator_loss", -101.0, "after epoch 1: the model has diverged, its discriminator loss is -101"),
        ("generator_loss", 101.0, "the model has diverged, its generator loss is 101"),
        ("generator_loss_3", 1e9, r"level 3 has diverged, its generator loss is 1e\+09. Try lower"),
    ],
)
def test_a_loss_that_grows_without_bounds_is_named(name, value, message):
    stop = StopOnCollapse(largest_loss=100)
    stop.on_train_begin()
    stop.on_epoch_end(0, {name: np.sign(value) * 99.0})
    stop.on_epoch_end(0, {"val_" + name: value, "loss": value})
    with pytest.raises(RuntimeError, match=message):
        stop.on_epoch_end(0, {name: value})


@pytest.mark.parametrize("limits", [{"least": -0.1}, {"patience": 0}, {"largest_loss": 0}])
def test_limits_out_of_range_are_refused(limits):
    ((name, value),) = limits.items()
    with pytest.raises(ValueError, match=f"{name} is at least .; got {value}"):
        StopOnCollapse(**limits)


def make_gan(start="glorot_uniform", rates=(0.0, 0.0), loss="non-saturating"):
    """A linear generator and discriminator of two numbers; a start of "zeros" makes all examples alike."""
    keras.utils.set_random_seed(0)
    pair = [
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, kernel_initializer=start)]),
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]),
    ]
    gan = models.GAN(*pair, loss=loss)
    gan.compile(*(keras.optimizers.SGD(rate) for rate in rates), run_eagerly=True)
    return gan


@pytest.fixture
def points(rng):
    return np.float32(rng.normal(size=(32, 2)) + 1)


@trains
def test_training_stops_by_itself_when_the_generator_repeats_itself(points):
    with pytest.raises(RuntimeError, match="after epoch 5: the model has collapsed.* For 5 epochs .* 0 of the"):
        make_gan("zeros").fit(points, epochs=9, verbose=0)


@trains
def test_a_healthy_run_is_not_stopped(points):
    history = make_gan(rates=(0.05, 0.05)).fit(points, epochs=9, verbose=0).history
    assert len(history["diversity"]) == 9 and min(history["diversity"]) > 0.05


@trains
def test_other_limits_take_the_place_of_the_models_own(points):
    with pytest.raises(RuntimeError, match="after epoch 2: .* For 2 epochs"):
        make_gan("zeros").fit(points, epochs=9, callbacks=[StopOnCollapse(patience=2)], verbose=0)
    history = make_gan("zeros").fit(points, epochs=9, callbacks=StopOnCollapse(least=0), verbose=0).history
    assert history["diversity"] == [0] * 9


@trains
def test_training_stops_when_a_loss_grows_without_bounds(points):
    """Nothing holds the slope of this discriminator: each step adds to it."""
    gan = make_gan(rates=(0.0, 3e3), loss="wasserstein")
    with pytest.raises(RuntimeError, match="has diverged, its discriminator loss is -"):
        gan.fit(points, epochs=50, verbose=0)


@trains
def test_a_level_of_a_hierarchy_that_repeats_itself_is_named():
    """The generator on top makes one sketch; the one below draws from sketches of the data."""
    keras.utils.set_random_seed(0)
    z = keras.Input((2,))
    sketch = keras.layers.Reshape((2, 2, 1))(keras.layers.Dense(4, kernel_initializer="zeros")(z))
    top = models.GAN(keras.Model(z, sketch), layers.image_discriminator((2, 2, 1), (3,)))
    below = models.TranslationGAN(
        layers.image_refiner(2, (2, 2, 1), (4, 4, 1), (2, 3, 3)),
        layers.image_discriminator((4, 4, 1), (3,), (2, 2, 1)),
    )
    model = models.MultiLevelGAN([below, top], generated_share=0)
    model.compile([[keras.optimizers.SGD(0.0) for _ in range(2)] for _ in range(2)], run_eagerly=True)
    x = np.random.default_rng(0).random((16, 4, 4, 1)).astype("float32")
    with pytest.raises(RuntimeError, match="after epoch 3: level 2 has collapsed"):
        model.fit([x, x[:, ::2, ::2]], epochs=9, callbacks=[StopOnCollapse(patience=3)], verbose=0)
