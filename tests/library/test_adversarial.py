"""The losses of the two players, and the penalty on the gradient of the score."""

import numpy as np
import pytest
from scipy.optimize import minimize

from hvae_keras.adversarial import LOSSES, discriminator_loss, generator_loss, r1_penalty
from hvae_keras.backend import BACKEND, gradient, keras, ops

SCORES = np.linspace(-4, 4, 9, dtype="float32")


def array(tensor):
    return np.float64(ops.convert_to_numpy(tensor))


def slope(function, at):
    """Derivative of an elementwise function at every entry, by autodiff."""
    return array(gradient(lambda x: ops.sum(function(x)), np.float32(at)))


def real_probability(score):
    return 1 / (1 + np.exp(-np.float64(score)))


# Written with probabilities, as in the papers, from the value function each of them states.
DISCRIMINATOR = {
    "minimax": lambda r, f: -np.log(real_probability(r)) - np.log(1 - real_probability(f)),
    "non-saturating": lambda r, f: -np.log(real_probability(r)) - np.log(1 - real_probability(f)),
    "hinge": lambda r, f: -np.minimum(0, -1 + r) - np.minimum(0, -1 - f),
    "wasserstein": lambda r, f: -(r - f),
}
GENERATOR = {
    "minimax": lambda f: np.log(1 - real_probability(f)),
    "non-saturating": lambda f: -np.log(real_probability(f)),
    "hinge": lambda f: -f,
    "wasserstein": lambda f: -f,
}
every_loss = pytest.mark.parametrize("loss", DISCRIMINATOR)


@every_loss
def test_losses_are_those_of_the_papers(loss):
    real, fake = np.meshgrid(SCORES, SCORES)
    found = discriminator_loss(loss, real, fake)
    assert found.shape == (9, 9)
    np.testing.assert_allclose(array(found), DISCRIMINATOR[loss](real, fake), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(array(generator_loss(loss, SCORES)), GENERATOR[loss](SCORES), rtol=1e-5, atol=1e-6)


def test_every_loss_has_a_closed_form_here():
    assert set(LOSSES) == set(DISCRIMINATOR) == set(GENERATOR)


@every_loss
def test_slopes_are_the_differences_of_the_closed_forms(loss):
    """Away from the corners of the hinge, by central differences in float64."""
    at, step = SCORES[SCORES % 1 == 0] + np.float32(0.3), 1e-5
    fixed = np.full_like(at, 0.7)
    for function, exact in (
        (lambda x: generator_loss(loss, x), GENERATOR[loss]),
        (lambda x: discriminator_loss(loss, x, fixed), lambda x: DISCRIMINATOR[loss](x, 0.7)),
        (lambda x: discriminator_loss(loss, fixed, x), lambda x: DISCRIMINATOR[loss](0.7, x)),
    ):
        x = np.float64(at)
        np.testing.assert_allclose(
            slope(function, at), (exact(x + step) - exact(x - step)) / (2 * step), rtol=1e-4, atol=1e-5
        )


def test_where_the_discriminator_is_sure_only_the_games_own_loss_has_no_gradient():
    """As D -> -inf: minimax to 0 as fast as p(real|x), the other three to -1."""
    sure = np.float32([-5, -10, -20, -50])
    minimax = slope(lambda x: generator_loss("minimax", x), sure)
    np.testing.assert_allclose(minimax, -real_probability(sure), rtol=1e-4)
    assert (np.abs(minimax) <= np.exp(sure) * (1 + 1e-4)).all()
    for loss in ("non-saturating", "hinge", "wasserstein"):
        np.testing.assert_allclose(slope(lambda x, loss=loss: generator_loss(loss, x), sure), -1, atol=0.01)
        assert np.isfinite(array(generator_loss(loss, sure))).all()


def test_no_loss_overflows_for_scores_far_out():
    far = np.float32([-1e4, 1e4])
    for loss in LOSSES:
        assert np.isfinite(array(discriminator_loss(loss, far[:, None], far))).all()
        assert np.isfinite(array(generator_loss(loss, far))).all()


# The best discriminator, on a space of five points


def expected(loss, scores, p, q):
    """Mean of the discriminator's loss over x ~ p and over x ~ q, by enumeration, and its gradient."""

    def total(s):
        losses = discriminator_loss(loss, s[:, None], s[None, :])  # every real x with every generated one
        return ops.sum(ops.cast(p, "float32")[:, None] * ops.cast(q, "float32")[None, :] * losses)

    scores = np.float32(scores)
    return float(array(total(ops.convert_to_tensor(scores)))), array(gradient(total, scores))


@pytest.fixture
def densities(rng):
    return rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))


def best_scores(loss, p, q):
    return minimize(lambda s: expected(loss, s, p, q), np.zeros(5), jac=True, method="BFGS", tol=1e-5).x


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_the_best_discriminator_knows_the_share_of_the_data(loss, densities):
    """Goodfellow et al. 2014, proposition 1: p(real|x) = p / (p + q); and the value is 2 log 2 - 2 JS."""
    p, q = densities
    best = best_scores(loss, p, q)
    np.testing.assert_allclose(real_probability(best), p / (p + q), atol=2e-3)
    middle = (p + q) / 2
    js = ((p * np.log(p / middle)).sum() + (q * np.log(q / middle)).sum()) / 2
    assert abs(expected(loss, best, p, q)[0] - (2 * np.log(2) - 2 * js)) < 1e-4


def test_where_the_generator_is_right_the_best_discriminator_guesses(densities):
    p, _ = densities
    best = best_scores("non-saturating", p, p)
    np.testing.assert_allclose(best, 0, atol=2e-3)
    assert abs(expected("non-saturating", best, p, p)[0] - 2 * np.log(2)) < 1e-6


def test_the_best_hinge_discriminator_says_which_density_is_larger(densities):
    """Lim & Ye 2017: +1 or -1, and the value is 2 - total variation (sum of |p - q|)."""
    p, q = densities
    signs = np.sign(p - q)
    at_signs = expected("hinge", signs, p, q)[0]
    np.testing.assert_allclose(at_signs, 2 - np.abs(p - q).sum(), rtol=1e-5)
    others = np.random.default_rng(0).normal(scale=1.5, size=(200, 5))
    assert min(expected("hinge", s, p, q)[0] for s in others) >= at_signs - 1e-6


# R1


def test_penalty_of_a_linear_score_is_half_its_squared_slope(rng):
    x, w = rng.normal(size=(6, 3)), rng.normal(size=3)
    found = r1_penalty(lambda at: ops.matmul(at, np.float32(w)[:, None]) + 4, np.float32(x))
    assert found.shape == (6,)
    np.testing.assert_allclose(array(found), np.full(6, 0.5 * (w**2).sum()), rtol=1e-5)


def test_penalty_of_a_quadratic_score_is_in_closed_form_at_every_example(rng):
    """D(x) = xᵀAx / 2 with A symmetric has the gradient Ax."""
    x, a = rng.normal(size=(6, 3)), rng.normal(size=(3, 3))
    a = a + a.T
    found = r1_penalty(lambda at: 0.5 * ops.sum(at * ops.matmul(at, np.float32(a)), axis=-1), np.float32(x))
    np.testing.assert_allclose(array(found), 0.5 * ((x @ a) ** 2).sum(-1), rtol=1e-4)


def tanh_score(kernels, x):
    """A score of images `[batch, 2, 2, 1]`, for arrays and for tensors alike."""
    tools = np if isinstance(x, np.ndarray) else ops
    return tools.matmul(tools.tanh(tools.matmul(tools.reshape(x, (-1, 4)), kernels[0])), kernels[1])


def test_penalty_of_images_against_differences(rng):
    x, kernels = rng.normal(size=(5, 2, 2, 1)), (rng.normal(size=(4, 6)), rng.normal(size=(6, 1)))
    step, squares = 1e-5, np.zeros(5)
    for pixel in np.eye(4).reshape(4, 2, 2, 1):
        rise = tanh_score(kernels, x + step * pixel) - tanh_score(kernels, x - step * pixel)
        squares += (rise[:, 0] / (2 * step)) ** 2
    tensors = [ops.convert_to_tensor(np.float32(kernel)) for kernel in kernels]
    found = r1_penalty(lambda at: tanh_score(tensors, at), np.float32(x))
    np.testing.assert_allclose(array(found), squares / 2, rtol=1e-4)


def test_penalty_can_be_differentiated_by_the_discriminators_weights(rng):
    """As training does. For a linear score the mean of ½ ‖w‖² has the gradient w."""
    x, w = np.float32(rng.normal(size=(6, 3))), np.float32(rng.normal(size=(3, 1)))
    found = gradient(lambda w: ops.mean(r1_penalty(lambda at: ops.matmul(at, w), x)), w)
    np.testing.assert_allclose(array(found), w, rtol=1e-5)


def test_penalty_of_a_curved_score_differentiated_once_more_against_differences(rng):
    x, kernels = rng.normal(size=(5, 4)), (rng.normal(size=(4, 6)), rng.normal(size=(6, 1)))

    def penalty(first):
        """Mean of ½ ‖∇D‖², the gradient of the score written out, in float64."""
        bend = (1 - np.tanh(x @ first) ** 2) * kernels[1][:, 0]
        return 0.5 * ((bend @ first.T) ** 2).sum(-1).mean()

    step, expected_slope = 1e-5, np.zeros((4, 6))
    for at in np.ndindex(4, 6):
        bump = np.zeros((4, 6))
        bump[at] = step
        expected_slope[at] = (penalty(kernels[0] + bump) - penalty(kernels[0] - bump)) / (2 * step)
    last = ops.convert_to_tensor(np.float32(kernels[1]))
    found = gradient(
        lambda first: ops.mean(
            r1_penalty(lambda at: ops.matmul(ops.tanh(ops.matmul(at, first)), last), np.float32(x))
        ),
        np.float32(kernels[0]),
    )
    np.testing.assert_allclose(array(found), expected_slope, rtol=1e-3, atol=1e-4)


def test_penalty_passes_through_a_keras_network(rng):
    """A network of one dense layer: the penalty is that of its kernel, and the tape of training reaches it."""
    if BACKEND != "tensorflow":
        pytest.skip("uses TensorFlow's tape")
    import tensorflow as tf

    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    x = np.float32(rng.normal(size=(4, 3)))
    with tf.GradientTape() as tape:
        value = ops.mean(r1_penalty(network, x))
    kernel, bias = network.trainable_variables
    slopes = tape.gradient(value, [kernel, bias])
    np.testing.assert_allclose(float(value), 0.5 * (array(kernel) ** 2).sum(), rtol=1e-5)
    np.testing.assert_allclose(array(slopes[0]), array(kernel), rtol=1e-5)
    assert slopes[1] is None, "a shift of the score has no gradient in x"


@pytest.mark.parametrize("call", [lambda: discriminator_loss("lsgan", 0.0, 0.0), lambda: generator_loss("", 0.0)])
def test_an_unknown_loss_is_refused_with_the_names_there_are(call):
    with pytest.raises(ValueError, match="minimax, non-saturating, hinge, wasserstein; got"):
        call()
