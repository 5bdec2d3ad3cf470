"""The VAE and the autoencoder: what they optimise, and how they behave under Keras."""

import subprocess
import sys

import numpy as np
import pytest
from small_models import SHAPE, count_traces, make_autoencoder, make_vae

from hvae_keras import layers, models
from hvae_keras.backend import BACKEND, keras, ops
from hvae_keras.models import base

FIT = {"verbose": 0, "batch_size": 32}


def array(tensor):
    return ops.convert_to_numpy(tensor)


def weights(model):
    return [array(variable) for variable in model.variables]


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


# What the VAE optimises


def test_kl_is_the_closed_form_of_what_the_encoder_says(vae, images):
    mean, log_var = np.split(np.float64(array(vae.encode(images))), 2, axis=-1)
    _, kl = vae.bound(images)
    assert kl.shape == (96, 1)
    np.testing.assert_allclose(array(kl)[:, 0], 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum(-1), rtol=1e-4)


def test_bound_is_that_of_the_draw(images):
    """The same model twice with the same seed: z from `infer`, decoded by hand, gives `bound`."""
    (level,) = make_vae().infer(images)
    twin = make_vae()
    log_likelihood, kl = twin.bound(images)
    logits = np.float64(array(twin.decoder(level.z)))
    by_hand = -np.logaddexp(0, np.where(images == 1, -logits, logits)).sum((1, 2, 3))
    np.testing.assert_allclose(array(log_likelihood), by_hand, rtol=1e-5)
    np.testing.assert_array_equal(array(kl)[:, 0], array(level.kl))


def test_with_the_exact_posterior_the_elbo_is_log_p(exact):
    """E log p(x|z) by a cubature exact for quadratics, minus the KL: no noise, so 1e-4 means 1e-4."""
    x = np.float32(exact.sample(20, seed=0))
    vae = exact.as_vae()
    posterior = vae.infer(x)[0].posterior
    mean, scale = array(posterior.mean()), array(posterior.stddev())
    steps = np.sqrt(exact.latent) * np.concatenate([np.eye(exact.latent), -np.eye(exact.latent)])
    log_likelihood = np.mean(
        [array(vae.likelihood.log_prob(vae.decoder(mean + step * scale), x)) for step in steps], axis=0
    )
    _, kl = vae.bound(x)
    np.testing.assert_allclose(log_likelihood - array(kl)[:, 0], exact.log_prob(x), atol=1e-4)


def test_bound_is_an_unbiased_elbo(slanted):
    """20,000 draws for one x: log p(x) - KL(q ‖ posterior), within 4 standard errors."""
    x = np.float32(slanted.sample(1, seed=0))
    vae = slanted.as_vae(shift=0.3)
    posterior = vae.infer(x)[0].posterior
    gap = slanted.kl_to_posterior(x, array(posterior.mean()), array(posterior.variance()))
    log_likelihood, kl = vae.bound(np.repeat(x, 20_000, axis=0))
    draws = array(log_likelihood) - array(kl)[:, 0]
    error = draws.std() / np.sqrt(len(draws))
    assert abs(draws.mean() - (slanted.log_prob(x) - gap)[0]) < 4 * error


@pytest.mark.parametrize("beta", [1.0, 4.0])
def test_loss_is_the_elbo_with_beta_on_the_kl(beta, images):
    vae = make_vae(beta=beta)
    logs = vae.evaluate(images, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["elbo"], logs["log_likelihood"] - logs["kl"], rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], beta * logs["kl"] - logs["log_likelihood"], rtol=1e-5)


def test_no_beta_hides_in_the_size_of_the_data(images):
    """Every pixel twice, under the same z: the log-likelihood doubles and the KL stays."""
    once = make_vae(hidden=())
    encoder = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Lambda(lambda x: x[..., :1]), once.encoder])
    z = keras.Input((2,))
    logits = once.decoder(z)
    twice = models.VAE(encoder, keras.Model(z, keras.layers.Concatenate()([logits, logits])))
    twice.seed_generator.state.assign(once.seed_generator.state)
    log_likelihood, kl = once.bound(images)
    doubled, same = twice.bound(np.repeat(images, 2, axis=-1))
    np.testing.assert_allclose(array(doubled), 2 * array(log_likelihood), rtol=1e-5)
    np.testing.assert_allclose(array(same), array(kl), rtol=1e-6)


def test_a_latent_equal_to_its_prior_costs_nothing(images):
    vae = make_vae(hidden=())
    (kernel, bias), wider = vae.encoder.get_weights(), make_vae(hidden=(), latent=3)
    mean, log_var = np.split(kernel, 2, axis=1)
    dead = np.zeros((16, 1))
    wider.encoder.set_weights([np.concatenate([mean, dead, log_var, dead], axis=1), np.zeros(6)])
    np.testing.assert_array_equal(bias, 0)
    np.testing.assert_allclose(array(wider.bound(images)[1]), array(vae.bound(images)[1]), rtol=1e-5)


def test_penalties_of_layers_count_in_the_loss_and_not_in_the_elbo(images):
    encoder = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(4, kernel_regularizer="l2")]
    )
    vae = models.VAE(encoder, layers.mlp_decoder(2, (8,), SHAPE))
    vae.compile()
    logs = vae.evaluate(images, verbose=0, return_dict=True)
    penalty = 0.01 * (encoder.get_weights()[0] ** 2).sum()
    np.testing.assert_allclose(logs["loss"] + logs["elbo"], penalty, rtol=1e-3)


def test_training_raises_the_elbo(images):
    vae = make_vae()
    history = vae.fit(images, epochs=30, **FIT).history
    assert set(history) == {"loss", "elbo", "log_likelihood", "kl"}
    assert history["elbo"][-1] > history["elbo"][0] + 2


def test_a_learned_scale_comes_near_the_residuals(rng):
    """With a decoder that cannot follow x, the best scale is the standard deviation of x."""
    x = rng.normal(scale=0.2, size=(512, 3)).astype("float32")
    keras.utils.set_random_seed(0)
    decoder = layers.mlp_decoder(1, (), (3,))
    decoder.trainable = False
    decoder.set_weights([np.zeros((1, 3)), np.zeros(3)])
    vae = models.VAE(layers.mlp_encoder((3,), (), 2), decoder, layers.Normal(1.0, learn_scale=True))
    vae.compile(keras.optimizers.Adam(0.05))
    vae.fit(x, epochs=20, **FIT)
    np.testing.assert_allclose(float(vae.likelihood.scale), np.sqrt((x**2).mean()), rtol=0.02)


def test_terms_are_float32_under_mixed_precision(images):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        log_likelihood, kl = make_vae().bound(images)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert (ops.dtype(log_likelihood), ops.dtype(kl)) == ("float32", "float32")


# Drawing


def test_held_latents_are_what_is_decoded(vae, rng):
    z = rng.normal(size=(5, 2)).astype("float32")
    np.testing.assert_allclose(
        vae.generate(5, latents={1: z}), 1 / (1 + np.exp(-array(vae.decoder(z)))), rtol=1e-5
    )


def test_temperature_scales_the_prior():
    """With an identity decoder the samples show z: standard deviation 1, or the temperature."""
    identity = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    identity.set_weights([np.eye(2), np.zeros(2)])
    vae = models.VAE(layers.mlp_encoder((2,), (), 4), identity, layers.Normal(1.0))
    for temperature in (1.0, 0.5):
        z = vae.generate(20_000, temperature=temperature)
        assert abs((z**2).mean() / temperature**2 - 1) < 4 * np.sqrt(2 / z.size)
    assert not vae.generate(3, temperature=0).any()
    assert np.abs(vae.generate(3) - vae.generate(3)).min() > 0


def test_reconstruction_at_temperature_0_decodes_the_mean(vae, images):
    mean = array(vae.encode(images))[:, :2]
    expected = 1 / (1 + np.exp(-array(vae.decoder(mean))))
    np.testing.assert_allclose(vae.reconstruct(images, temperature=0), expected, rtol=1e-4)


def test_predict_gives_the_reconstructions_alone(vae, images):
    found = vae.predict(images, verbose=0)
    assert isinstance(found, np.ndarray) and found.shape == images.shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda vae: vae.generate(2, latents={2: np.zeros((2, 2))}), "level 2; the levels are 1 to 1"),
        (lambda vae: vae.generate(3, latents={1: np.zeros((2, 2))}), "holds 2 draws; n is 3"),
        (lambda vae: vae.reconstruct(np.zeros((1, *SHAPE)), from_level=2), "1 to 1; got 2"),
        (lambda vae: setattr(vae, "beta", [1.0, 2.0]), r"got shape \(2,\)"),
    ],
)
def test_bad_levels_are_named(vae, call, message):
    with pytest.raises(ValueError, match=message):
        call(vae)


# The autoencoder


def test_loss_is_the_squared_error_of_an_example(autoencoder, images):
    loss = autoencoder.evaluate(images, batch_size=40, verbose=0, return_dict=True)["loss"]
    errors = ((images - autoencoder.predict(images, verbose=0)) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(autoencoder.reconstruction_error(images), errors, rtol=1e-5)
    # Three batches, the last one smaller: Keras weighs the loss of a batch by its size.
    np.testing.assert_allclose(loss, errors.mean(), rtol=1e-5)


def test_a_linear_autoencoder_at_the_principal_axes_has_the_error_of_pca(rng):
    x = (rng.normal(size=(200, 5)) * [3, 2, 1, 0.5, 0.1]).astype("float32")
    centre = x.mean(0)
    _, singular, axes = np.linalg.svd(np.float64(x - centre), full_matrices=False)
    model = models.Autoencoder(layers.mlp_encoder((5,), (), 2), layers.mlp_decoder(2, (), (5,)))
    model.encoder.set_weights([axes[:2].T, -centre @ axes[:2].T])
    model.decoder.set_weights([axes[:2], centre])
    np.testing.assert_allclose(model.reconstruction_error(x).sum(), (singular[2:] ** 2).sum(), rtol=1e-4)


def test_codes_decode_to_the_reconstruction(autoencoder, images):
    found = array(autoencoder.decode(autoencoder.encode(images)))
    np.testing.assert_allclose(found, autoencoder.predict(images, verbose=0), rtol=1e-4, atol=1e-5)


# Under Keras


@pytest.mark.parametrize("make", [make_vae, make_autoencoder])
def test_the_step_is_traced_once(make, images):
    model = make()
    counts = count_traces(model)
    model.fit(images, validation_data=images, epochs=2, **FIT)
    model.fit(images, validation_data=images, **FIT)
    assert counts == {"train": 1, "test": 1}


def test_networks_without_an_input_shape_are_built_before_the_first_step(images):
    encoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])
    decoder = keras.Sequential([keras.layers.Dense(16), keras.layers.Reshape(SHAPE)])
    vae = models.VAE(encoder, decoder)
    vae.compile()
    assert not vae.built
    counts = count_traces(vae)
    vae.fit(images, **FIT)
    assert counts["train"] == 1


def test_beta_changes_the_loss_without_a_trace(images):
    vae = make_vae()
    counts = count_traces(vae)

    class Raise(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.beta = [1.0, 1.0, 5.0][epoch]

    history = vae.fit(images, epochs=3, callbacks=[Raise()], **FIT).history
    beta = (np.array(history["loss"]) + history["log_likelihood"]) / history["kl"]
    np.testing.assert_allclose(beta, [1, 1, 5], rtol=1e-3)
    assert counts["train"] == 1
    assert isinstance(vae.beta, keras.Variable) and vae.beta.shape == (1,)
    assert all(variable is not vae.beta for variable in vae.trainable_variables)


def test_reinitialised_with_a_seed_the_same_run_follows_without_a_trace(images):
    vae = make_vae()
    counts = count_traces(vae)
    runs = []
    for seed in (1, 2, 1):
        vae.reinitialise(seed)
        assert int(vae.optimizer.iterations) == 0
        start = weights(vae.encoder)
        runs.append((start, vae.fit(images, epochs=2, **FIT).history["loss"], weights(vae)))
    assert_same(runs[0][0], runs[2][0])
    assert runs[0][1] == runs[2][1]
    assert_same(runs[0][2], runs[2][2])
    assert np.abs(runs[0][0][0] - runs[1][0][0]).min() > 0
    assert counts["train"] == 1


def test_reinitialised_weights_come_from_the_same_initialisers(images):
    """Biases at zero again, kernels within the bounds of Glorot's uniform, beta where it started."""
    vae = make_vae(hidden=(), beta=0.5)
    vae.fit(images, epochs=3, **FIT)
    vae.beta = 7.0
    vae.reinitialise(0)
    kernel, bias = vae.encoder.get_weights()
    limit = np.sqrt(6 / (16 + 4))
    assert not bias.any() and 0.8 * limit < np.abs(kernel).max() <= limit
    assert array(vae.beta) == 0.5


@pytest.mark.parametrize("make", [make_vae, make_autoencoder])
def test_a_seed_makes_a_run_reproducible(make, images):
    first, second = (make(seed=5).fit(images, epochs=2, **FIT).history for _ in range(2))
    assert first == second
    assert make(seed=6).fit(images, epochs=2, **FIT).history != first


def test_saved_and_loaded_it_goes_on_as_if_nothing_had_been(images, tmp_path):
    vae = make_vae(likelihood=layers.Normal(0.5, learn_scale=True))
    vae.fit(images, epochs=1, **FIT)
    vae.beta = 0.25
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    assert isinstance(loaded, models.VAE) and array(loaded.beta) == 0.25
    assert_same(weights(loaded), weights(vae))  # Seeds of the draws and the scale among them.
    runs = [model.fit(images, shuffle=False, **FIT).history for model in (vae, loaded)]
    assert runs[0] == runs[1]
    assert_same(weights(loaded), weights(vae))


def test_an_autoencoder_saved_and_loaded_is_the_same(autoencoder, images, tmp_path):
    autoencoder.fit(images, **FIT)
    autoencoder.save(tmp_path / "autoencoder.keras")
    loaded = keras.saving.load_model(tmp_path / "autoencoder.keras")
    assert_same([loaded.predict(images, verbose=0)], [autoencoder.predict(images, verbose=0)])


def test_summary_shows_the_parts(vae, capsys):
    vae.summary()
    text = capsys.readouterr().out
    assert "encoder" in text and "decoder" in text and "bernoulli" in text


def test_a_dataset_trains_like_an_array(images):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(images).batch(32)
    history = make_vae().fit(dataset, validation_data=dataset, epochs=2, verbose=0).history
    expected = make_vae().fit(images, validation_data=images, epochs=2, shuffle=False, **FIT).history
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)


@pytest.mark.parametrize("make", [make_vae, make_autoencoder])
def test_pixels_may_be_bytes(make, images):
    expected = make().fit(images, **FIT).history
    found = make().fit(images.astype("uint8"), **FIT).history
    assert found == expected
    assert array(make_vae().infer(images.astype("uint8"))[0].z).shape == (96, 2)


def test_the_compiler_is_chosen_said_and_can_be_overruled(vae, images, capsys, monkeypatch):
    vae.fit(images, batch_size=32, verbose=2)
    assert capsys.readouterr().out.startswith(f"{vae.name}: {vae.compilation}\n")
    vae.fit(images, **FIT)
    assert capsys.readouterr().out == ""
    vae.compile(jit_compile=True)
    assert vae.jit_compile is True and vae.compilation == "XLA, as asked"
    monkeypatch.setattr(base, "has_gpu", lambda: True)
    vae.compile()
    assert vae.jit_compile is True


if BACKEND == "tensorflow":

    def test_tensorflow_on_a_cpu_runs_without_xla(vae):
        assert vae.jit_compile is False

    def test_a_smaller_last_batch_is_not_traced_again(vae, images):
        counts = count_traces(vae)
        vae.fit(images, validation_data=images, epochs=2, batch_size=40, verbose=0)
        assert counts == {"train": 1, "test": 1}

    def test_replicas_take_the_same_step_as_one():
        """Two replicas with half of a batch each, in a process of their own: SGD gives the same weights."""
        code = """
import numpy as np, tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from hvae_keras import layers, models
from hvae_keras.backend import keras
def train():
    keras.utils.set_random_seed(0)
    model = models.Autoencoder(layers.mlp_encoder((6,), (5,), 2), layers.mlp_decoder(2, (5,), (6,)))
    model.compile(keras.optimizers.SGD(0.01))
    x = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
    history = model.fit(x, batch_size=8, epochs=3, shuffle=False, verbose=0).history
    return history["loss"], model.get_weights()
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    losses, weights = train()
    assert tf.distribute.get_strategy().num_replicas_in_sync == 2
alone, expected = train()
np.testing.assert_allclose(losses, alone, rtol=1e-5)
for one, other in zip(weights, expected, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-6)
"""
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert found.returncode == 0, found.stderr[-2000:]


# Refusals


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: m.fit(x, x), "y was given"),
        (lambda m, x: m.fit(x, sample_weight=np.ones(96)), "sample_weight was given"),
        (lambda m, x: m.fit(x, validation_data=(x, x)), r"validation_data\[1\] was given"),
        (lambda m, x: m.evaluate(x, x), "y was given"),
        (lambda m, x: m.fit(x[:, :3]), r"x has examples of shape \(3, 4, 1\); the model takes \(4, 4, 1\)"),
        (lambda m, x: m.fit(x, validation_data=x[:, :3]), "validation_data has examples of shape"),
        (lambda m, x: m.fit(255 * x), "between 0 and 1; got values from 0 to 255"),
        (lambda m, x: m.fit(iter([x]), y=x), "y was given"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(vae, images, call, message):
    with pytest.raises(ValueError, match=message):
        call(vae, images)


def test_a_dataset_of_pairs_is_refused(vae, images):
    import tensorflow as tf

    pairs = tf.data.Dataset.from_tensor_slices((images, np.zeros(96))).batch(32)
    with pytest.raises(ValueError, match="element 1 of x was given"):
        vae.fit(pairs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: (layers.mlp_encoder(SHAPE, (), 5), layers.mlp_decoder(2, (), SHAPE)), "mean and log-variance"),
        (lambda: (layers.mlp_encoder(SHAPE, (), 6), layers.mlp_decoder(2, (), SHAPE)), "3 latent dimensions"),
        (lambda: (layers.mlp_encoder(SHAPE, (), 4), layers.mlp_decoder(2, (), (16,))), r"shape \(16,\); x has"),
    ],
)
def test_networks_that_do_not_fit_together_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        models.VAE(*make())


def test_a_likelihood_is_a_layer():
    with pytest.raises(ValueError, match="likelihood is a layer such as"):
        make_vae(likelihood="bernoulli")


def test_fit_before_compile_is_refused(images):
    with pytest.raises(ValueError, match="compile"):
        models.VAE(layers.mlp_encoder(SHAPE, (), 4), layers.mlp_decoder(2, (), SHAPE)).fit(images)


def test_reinitialise_before_there_are_weights_is_refused():
    vae = models.VAE(keras.Sequential([keras.layers.Dense(4)]), layers.mlp_decoder(2, (), (3,)))
    with pytest.raises(ValueError, match="no weights yet"):
        vae.reinitialise(0)
