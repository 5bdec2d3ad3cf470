"""HierarchicalVAE: each inference order against formulas written again in NumPy, and its manners under Keras."""

import numpy as np
import pytest
from scipy.stats import norm
from small_models import SHAPE, count_traces

from hvae_keras import layers, metrics, models
from hvae_keras.backend import BACKEND, keras, ops

HIDDEN, LATENTS = ((7,), (6,), (5,)), (4, 3, 2)
ORDERS = {
    "bottom-up": models.BottomUp,
    "bottom-up, skip": lambda: models.BottomUp(skip=True),
    "top-down": models.TopDown,
    "ladder": models.Ladder,
}
every_order = pytest.mark.parametrize("order", ORDERS)
with_and_without_skip = pytest.mark.parametrize("skip", [False, True])


def array(tensor):
    return ops.convert_to_numpy(tensor)


def make(order="ladder", skip=False, latents=LATENTS, hidden=HIDDEN, seed=0, noisy=True, networks=(), **arguments):
    """A small hierarchy whose every weight is random, biases and heads too."""
    keras.utils.set_random_seed(seed)
    model = models.HierarchicalVAE(
        latents, layers.DenseNetworks(hidden, **dict(networks)), ORDERS[order](), skip=skip, **arguments
    )
    model.build((None, *SHAPE))
    if noisy:
        rng = np.random.default_rng(seed)
        for variable in model.trainable_variables:
            variable.assign(np.float32(rng.normal(size=variable.shape) * 0.3))
    model.compile(keras.optimizers.Adam(1e-2))
    return model


# A second implementation, in NumPy


def dense(stack, h, hidden=True):
    """The dense layers of `stack` (a layer or a Sequential) on h."""
    for layer in getattr(stack, "layers", [stack]):
        if layer.weights:
            kernel, bias = (np.float64(array(weight)) for weight in layer.weights)
            h = h @ kernel + bias
            h = np.where(h > 0, h, 0.2 * h) if hidden else h
    return h


def halves(parameters):
    return np.split(parameters, 2, axis=-1)


def generator(model, z):
    """Mean and log-variance of each prior, the top-down states, and the logits of x, given every z."""
    parameters, states, state = [np.zeros((len(z[0]), 2 * LATENTS[-1]))], [None], None
    for i in range(3, 0, -1):
        seen = np.concatenate([z[i - 1], state], -1) if model.skip and state is not None else z[i - 1]
        state = dense(model.downs[i - 1], seen)
        if i > 1:
            parameters.insert(0, dense(model.heads[i - 2], state, hidden=False))
            states.insert(0, state)
    return parameters, states, dense(model.output_layer, state, hidden=False)


def posteriors(model, order, x, z):
    """Mean and log-variance of each q, given x and every z."""
    q = model.inference
    priors, states, _ = generator(model, z)
    features, found = x.reshape(len(x), -1), []
    for i in range(3):
        if order.startswith("bottom-up"):
            below = features if i == 0 else np.concatenate([z[i - 1], features], -1) if q.skip else z[i - 1]
            features = dense(q.ups[i], below)
            found.append(dense(q.heads[i], features, hidden=False))
            continue
        features = dense(q.ups[i], features)
        seen = np.concatenate([features, states[i]], -1) if order == "top-down" and i < 2 else features
        found.append(dense(q.heads[i], seen, hidden=False))
        if order == "ladder" and i < 2:
            (mean, log_var), (prior_mean, prior_log_var) = halves(found[i]), halves(priors[i])
            a, b = np.exp(-log_var), np.exp(-prior_log_var)
            found[i] = np.concatenate([(a * mean + b * prior_mean) / (a + b), -np.log(a + b)], -1)
    return found


@every_order
@with_and_without_skip
def test_every_term_is_that_of_the_formulas(order, skip, images):
    model = make(order, skip)
    levels, logits = model.explain(model.encode(images), model.seed_generator)
    z = [np.float64(array(level.z)) for level in levels]
    priors, _, expected_logits = generator(model, z)
    np.testing.assert_allclose(array(logits).reshape(96, -1), expected_logits, rtol=1e-4, atol=1e-4)
    for i, (level, p, q) in enumerate(zip(levels, priors, posteriors(model, order, images, z), strict=True), 1):
        (mean, log_var), (prior_mean, prior_log_var) = halves(q), halves(p)
        np.testing.assert_allclose(array(level.posterior.mean()), mean, rtol=1e-4, atol=1e-4)
        if order.startswith("bottom-up") and i < 3:
            log_q = norm.logpdf(z[i - 1], mean, np.exp(log_var / 2))
            units = log_q - norm.logpdf(z[i - 1], prior_mean, np.exp(prior_log_var / 2))
        else:
            ratio = log_var - prior_log_var
            units = 0.5 * (np.exp(ratio) + (mean - prior_mean) ** 2 / np.exp(prior_log_var) - 1 - ratio)
        np.testing.assert_allclose(array(level.kl_units), units, rtol=2e-3, atol=1e-3)
        np.testing.assert_allclose(array(level.kl), units.sum(-1), rtol=2e-3, atol=5e-3)


@every_order
@with_and_without_skip
def test_log_weights_are_the_ratio_of_the_densities(order, skip, images):
    """For 4 draws of 5 images: log p(x|z) + sum log p(z_i|·) - sum log q(z_i|·), by SciPy."""
    model, x = make(order, skip), images[:5]
    encoded = model.encode(x)
    found = array(model.log_weights(x, encoded, samples=4, seed=3))
    repeated = [ops.tile(part, (4, 1)) for part in encoded]
    levels, _ = model.explain(repeated, 3)
    z, x_4 = [np.float64(array(level.z)) for level in levels], np.tile(x, (4, 1, 1, 1))
    priors, _, logits = generator(model, z)
    expected = -np.logaddexp(0, np.where(x_4.reshape(20, -1) == 1, -logits, logits)).sum(-1)
    for z_i, p, q in zip(z, priors, posteriors(model, order, x_4, z), strict=True):
        for sign, (mean, log_var) in ((1, halves(p)), (-1, halves(q))):
            expected += sign * norm.logpdf(z_i, mean, np.exp(log_var / 2)).sum(-1)
    np.testing.assert_allclose(found, expected.reshape(4, 5), rtol=1e-3, atol=1e-2)


@every_order
def test_one_level_is_the_vae(order, images):
    model = make(order, latents=(2,), hidden=((7,),))
    vae = models.VAE(
        layers.mlp_encoder(SHAPE, (7,), 4, "leaky_relu"), layers.mlp_decoder(2, (7,), SHAPE, "leaky_relu")
    )
    vae.encoder.set_weights(
        [w for part in (model.inference.ups[0], model.inference.heads[0]) for w in part.get_weights()]
    )
    vae.decoder.set_weights([w for part in (model.downs[0], model.output_layer) for w in part.get_weights()])
    vae.seed_generator.state.assign(model.seed_generator.state)
    for ours, theirs in zip(model.bound(images), vae.bound(images), strict=True):
        np.testing.assert_allclose(array(ours), array(theirs), rtol=1e-5)
    vae.seed_generator.state.assign(model.seed_generator.state)
    np.testing.assert_allclose(model.generate(3), vae.generate(3), rtol=1e-5)


@every_order
def test_a_held_level_conditions_the_others(order, images):
    model = make(order)
    encoded, z = model.encode(images), {level: np.ones((96, LATENTS[level - 1]), "float32") for level in (1, 2, 3)}
    levels, _ = model.explain(encoded, 0, latents=z)
    for level in levels:
        np.testing.assert_array_equal(array(level.z), 1)
    only_top, _ = model.explain(encoded, 0, latents={3: z[3]})
    other_top, _ = model.explain(encoded, 0, latents={3: -z[3]})
    same = np.allclose(array(only_top[1].posterior.mean()), array(other_top[1].posterior.mean()))
    assert same == order.startswith("bottom-up")


def test_skip_of_bottom_up_lets_x_reach_every_level(images):
    for order, reaches in (("bottom-up", False), ("bottom-up, skip", True)):
        model, z = make(order), {1: np.zeros((48, 4), "float32")}
        first, second = (model.explain(model.encode(x), 0, latents=z)[0] for x in (images[:48], images[48:]))
        differ = not np.allclose(array(first[1].posterior.mean()), array(second[1].posterior.mean()))
        assert differ == reaches


def test_ladder_is_never_wider_than_the_prior(images):
    for level in make("ladder").infer(images)[:2]:
        assert (array(level.posterior.stddev()) <= array(level.prior.stddev()) * (1 + 1e-6)).all()


def test_bound_has_the_gradient_of_its_own_draw(images):
    """With the noise fixed, autodiff against central differences, for a weight in every part of the model."""
    if BACKEND != "tensorflow":
        pytest.skip("uses TensorFlow's tape")
    import tensorflow as tf

    for order in ORDERS:
        model = make(order, skip=True)

        def loss(model=model):
            levels, parameters = model.explain(model.encode(images[:8]), 5)
            log_likelihood = model.likelihood.log_prob(parameters, images[:8])
            return ops.sum(sum(level.kl for level in levels) - log_likelihood)

        with tf.GradientTape() as tape:
            value = loss()
        gradients = tape.gradient(value, model.trainable_variables)
        assert all(gradient is not None for gradient in gradients)
        for variable, gradient in list(zip(model.trainable_variables, gradients, strict=True))[::3]:
            start = np.copy(array(variable))
            direction = np.random.default_rng(1).normal(size=start.shape).astype("float32")
            sides = []
            for step in (1e-3, -1e-3):
                variable.assign(start + step * direction)
                sides.append(float(loss()))
            variable.assign(start)
            slope, expected = float((array(gradient) * direction).sum()), (sides[0] - sides[1]) / 2e-3
            assert abs(slope - expected) < 0.02 * abs(expected) + 0.3, (order, variable.path)


# Walking down


def test_a_chain_forgets_what_is_above_and_skip_does_not():
    """Given z_1, the image of a Markov chain does not depend on z_2."""
    z = {1: np.ones((4, 4), "float32"), 3: np.ones((4, 2), "float32")}
    for skip in (False, True):
        model = make(skip=skip)
        first, second = (model.generate(4, {**z, 2: np.full((4, 3), c, "float32")}) for c in (-2, 2))
        assert np.allclose(first, second) != skip


def test_levels_held_stay_and_the_others_are_drawn():
    model = make()
    top = np.ones((200, 2), "float32")
    draws, _ = model.ancestral(200, {3: top})
    np.testing.assert_array_equal(array(draws[2].z), 1)
    assert (array(draws[0].z).std(axis=0) > 0).all()
    mean, scale = array(draws[1].prior.mean()), array(draws[1].prior.stddev())
    # All 200 share one prior: mean and spread of the draws within 5 standard errors.
    assert (abs(array(draws[1].z).mean(0) - mean[0]) < 5 * scale[0] / np.sqrt(200)).all()
    assert (abs(array(draws[1].z).std(0) / scale[0] - 1) < 5 / np.sqrt(400)).all()


def test_temperature_zero_is_the_mean_all_the_way_down():
    model = make()
    draws, _ = model.ancestral(3, temperature=0.0)
    for draw in draws:
        np.testing.assert_allclose(array(draw.z), np.broadcast_to(array(draw.prior.mean()), draw.z.shape))
    assert np.ptp(model.generate(3, temperature=0.0), axis=0).max() == 0


def test_reconstruct_from_a_level_holds_it_and_those_above(images):
    """At temperature 0 everything is determined: the means of q from level k on, the means of p below."""
    model = make()
    for k in (1, 2, 3):
        z = {i: level.z for i, level in enumerate(model.infer(images, temperature=0.0), 1) if i >= k}
        expected = model.generate(96, z, temperature=0.0)
        np.testing.assert_allclose(model.reconstruct(images, k, temperature=0.0), expected, rtol=1e-5, atol=1e-6)


# Networks


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 9, 3), (5, 6, 1)])
@every_order
def test_convolutional_levels_halve_the_image(order, shape):
    networks = layers.ConvolutionalNetworks((6, 5, 4), depth=1)
    model = models.HierarchicalVAE((3, 2, 2), networks, ORDERS[order](), skip=True)
    x = np.random.default_rng(0).random((4, *shape)).round().astype("float32")
    log_likelihood, kl = model.bound(x)
    assert log_likelihood.shape == (4,) and kl.shape == (4, 3)
    h, w = shape[:2]
    for i, level in enumerate(model.infer(x), 1):
        h, w = (h + 1) // 2, (w + 1) // 2
        assert level.z.shape == (4, h, w, model.latents[i - 1]) == level.kl_units.shape
    assert model.generate(2).shape == (2, *shape)
    bound = metrics.importance_weighted_bound(model, x, samples=7, chunk=3)
    assert bound.shape == (4,)


def test_batch_normalisation_uses_the_batch_in_training_only(images):
    model = make(networks={"batch_normalization": True}, noisy=False)
    alone, together = array(model.encode(images[:1])[2]), array(model.encode(images)[2])[:1]
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-6)
    alone, together = (
        array(model.encode(images[:2], training=True)[2]),
        array(model.encode(images, training=True)[2]),
    )
    assert not np.allclose(alone, together[:2], rtol=1e-3)
    assert all(not layer.use_bias for layer in model.downs[0].layers if isinstance(layer, keras.layers.Dense))


def test_spectral_normalisation_bounds_every_hidden_matrix(images):
    model = make(networks={"spectral_normalization": True}, noisy=False)
    model.fit(images, epochs=20, verbose=0)
    stretched = []
    for stack in (*model.downs, *model.inference.ups):
        for layer in stack.layers:
            if isinstance(layer, layers.SpectralNormalization):
                kernel = array(layer.layer.kernel)
                # What the layer does to a basis, less its shift, is its matrix.
                matrix = array(layer(np.eye(len(kernel)))) - array(layer(np.zeros((1, len(kernel)))))
                assert np.linalg.svd(matrix, compute_uv=False)[0] < 1.1
                stretched.append(np.linalg.svd(kernel, compute_uv=False)[0])
    assert len(stretched) == 6 and max(stretched) > 1.2, "without the division the bound would be broken"


# Manners


@every_order
def test_training_raises_the_elbo_and_traces_once(order, images):
    model = make(order, noisy=False)
    counts = count_traces(model)
    history = model.fit(images, epochs=40, batch_size=32, verbose=0).history
    assert history["elbo"][-1] > history["elbo"][0] + 1
    np.testing.assert_allclose(
        history["kl"][-1], sum(history[f"kl_{i}"][-1] for i in (1, 2, 3)), rtol=1e-4, atol=1e-4
    )
    model.beta = [0.1, 0.2, 0.3]
    model.reinitialise(1)
    model.fit(images, batch_size=32, verbose=0)
    assert counts["train"] == 1


@every_order
@with_and_without_skip
def test_saved_and_loaded_it_is_the_same_model(order, skip, images, tmp_path):
    model = make(order, skip, penalty=layers.FreeBits(0.1, per="unit"), beta=[1, 2, 3])
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(array(loaded.beta), [1, 2, 3])
    assert loaded.penalty.per == "unit" and loaded.skip == skip
    for ours, theirs in zip(model.bound(images), loaded.bound(images), strict=True):
        np.testing.assert_allclose(array(ours), array(theirs), rtol=1e-6)
    loaded.fit(images, verbose=0)


def test_one_seed_gives_one_generator_under_every_order():
    generators = []
    for order in ORDERS:
        model = make(order, noisy=False)
        model.reinitialise(7)
        parts = (*model.downs, *model.heads, model.output_layer)
        generators.append([weight for part in parts for weight in part.get_weights()])
    for other in generators[1:]:
        for one, two in zip(generators[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_floor_changes_the_loss_and_not_the_kl(images):
    """Untrained heads: every KL is near zero, the floor of 0.5 nats a unit is not."""
    plain, floored = make(noisy=False), make(noisy=False, penalty=layers.FreeBits(0.5, per="unit"))
    logs, with_floor = (model.evaluate(images, verbose=0, return_dict=True) for model in (plain, floored))
    np.testing.assert_allclose(with_floor["kl"], logs["kl"], rtol=1e-5)
    np.testing.assert_allclose(with_floor["elbo"], logs["elbo"], rtol=1e-5)
    np.testing.assert_allclose(with_floor["penalty"], 0.5 * sum(LATENTS), rtol=1e-5)
    np.testing.assert_allclose(with_floor["loss"], 0.5 * sum(LATENTS) - logs["log_likelihood"], rtol=1e-5)


def test_beta_weighs_its_own_level(images):
    logs = make(beta=[1, 0, 5]).evaluate(images, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], logs["kl_1"] + 5 * logs["kl_3"] - logs["log_likelihood"], rtol=1e-4)


def test_nan_names_its_level(images):
    model = make()
    kernel = model.heads[1].kernel  # of p(z_2|z_3)
    kernel.assign(np.full(kernel.shape, np.nan, "float32"))
    with pytest.raises(FloatingPointError, match="kl of level 1, kl of level 2"):
        model.fit(images, verbose=0)


def test_half_precision_keeps_every_density_in_float32(images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for order in ORDERS:
            model = make(order, skip=True)
            for level in model.infer(images):
                assert ops.dtype(level.kl_units) == ops.dtype(level.z) == "float32"
            assert all(ops.dtype(part) == "float32" for part in model.bound(images))
            model.fit(images, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")


DENSE = layers.DenseNetworks(((4,), (4,)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latents": (), "networks": DENSE}, "latents holds the units of z_1 to z_L"),
        ({"latents": (2, 0), "networks": DENSE}, r"positive integers; got \(2, 0\)"),
        ({"latents": (2, 1.5), "networks": DENSE}, "positive integers"),
        ({"latents": (2,), "networks": DENSE}, "latents has 1 levels, networks 2"),
        ({"latents": (2, 2), "networks": ((4,), (4,))}, "networks is made by a class"),
        ({"latents": (2, 2), "networks": DENSE, "inference": "ladder"}, "inference is BottomUp"),
        ({"latents": (2, 2), "networks": DENSE, "beta": [1, 2, 3]}, "beta is one number or 2"),
        ({"latents": (2, 2), "networks": DENSE, "penalty": 0.1}, "penalty is a layer"),
        ({"latents": (2, 2), "networks": DENSE, "penalty": layers.FreeBits([1, 2, 3])}, "nats is one number or 2"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.HierarchicalVAE(**arguments)


def test_networks_that_do_not_fit():
    with pytest.raises(ValueError, match="at least one level"):
        layers.DenseNetworks(())
    with pytest.raises(ValueError, match="level 2 has 4"):
        layers.DenseNetworks(((4,), 4))
    with pytest.raises(ValueError, match=r"channels\[1\] is a positive integer; got 0"):
        layers.ConvolutionalNetworks((4, 0))
    with pytest.raises(ValueError, match=r"take x of shape \(height, width, channels\); got \(16,\)"):
        models.HierarchicalVAE((2,), layers.ConvolutionalNetworks((4,))).build((None, 16))


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        ({4: np.zeros((2, 2))}, "latents holds level 4; the levels are 1 to 3"),
        ({0: np.zeros((2, 2))}, "latents holds level 0"),
        ({3: np.zeros((5, 2))}, r"latents\[3\] holds 5 draws; n is 2"),
        ({3: np.zeros((2, 3))}, r"latents\[3\] holds z of shape \(3,\); the level has \(2,\)"),
    ],
)
def test_levels_that_cannot_be_held(latents, message):
    with pytest.raises(ValueError, match=message):
        make().generate(2, latents)


def test_wrong_data_and_levels(images):
    model = make()
    with pytest.raises(ValueError, match="from_level is a level, 1 to 3; got 4"):
        model.reconstruct(images, from_level=4)
    with pytest.raises(ValueError, match=r"x has examples of shape \(3, 3, 1\)"):
        model.fit(np.zeros((4, 3, 3, 1), "float32"), verbose=0)
    with pytest.raises(ValueError, match="belongs to a model already"):
        models.HierarchicalVAE(LATENTS, model.networks, model.inference).build((None, *SHAPE))
