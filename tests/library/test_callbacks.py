"""The short report, and the stop at a term that is not finite."""

import numpy as np
import pytest
import tensorflow as tf
from small_models import SHAPE, make_autoencoder, make_vae

from hvae_keras import layers, models
from hvae_keras.backend import keras, ops
from hvae_keras.callbacks import FirstNonFinite, Progress

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
