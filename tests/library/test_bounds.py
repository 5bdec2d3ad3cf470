"""Bounds on log p(x) where log p(x) is known."""

import numpy as np
import pytest
from small_models import make_vae

from hvae_keras.backend import ops
from hvae_keras.metrics import elbo, importance_weighted_bound


def test_with_the_exact_posterior_every_weight_is_p_of_x(exact):
    x = np.float32(exact.sample(8, seed=0))
    vae = exact.as_vae()
    log_weights = ops.convert_to_numpy(vae.log_weights(x, vae.encode(x), 50, seed=1))
    assert log_weights.shape == (50, 8)
    np.testing.assert_allclose(log_weights, np.tile(exact.log_prob(x), (50, 1)), atol=1e-4)


@pytest.mark.parametrize("bound", [elbo, importance_weighted_bound])
@pytest.mark.parametrize("samples", [1, 7])
def test_with_the_exact_posterior_both_bounds_are_log_p(exact, bound, samples):
    x = np.float32(exact.sample(10, seed=0))
    found = bound(exact.as_vae(), x, samples=samples, chunk=3, batch_size=4)
    np.testing.assert_allclose(found, exact.log_prob(x), atol=1e-4)


def test_l_k_rises_to_log_p_and_the_elbo_stays(exact):
    """A wrong posterior, 2,000 x: L_1 < L_10 < L_100 <= log p(x), each by more than its noise."""
    x = np.float32(exact.sample(2000, seed=1))
    vae, truth = exact.as_vae(shift=0.4, stretch=1.3), exact.log_prob(x)
    gaps = [truth - importance_weighted_bound(vae, x, k, batch_size=1000) for k in (1, 10, 100)]
    error = [4 * gap.std() / np.sqrt(len(gap)) for gap in gaps]
    means = [gap.mean() for gap in gaps]
    assert means[0] - error[0] > means[1] + error[1]
    assert means[1] - error[1] > means[2] + error[2]
    assert means[2] > -error[2]


def test_the_gap_of_the_elbo_is_the_kl_to_the_posterior(slanted):
    x = np.float32(slanted.sample(4, seed=0))
    vae = slanted.as_vae(shift=0.3, stretch=0.8)
    posterior = vae.infer(x)[0].posterior
    mean, variance = (ops.convert_to_numpy(f()) for f in (posterior.mean, posterior.variance))
    found = elbo(vae, np.repeat(x, 20, axis=0), samples=1000, chunk=500).reshape(4, 20)
    error = found.std(axis=1) / np.sqrt(20)
    gap = slanted.log_prob(x) - found.mean(axis=1)
    # 20 runs estimate their own error: Student's t with 19 degrees of freedom, 4.9 leaves 1 in 10,000.
    assert (abs(gap - slanted.kl_to_posterior(x, mean, variance)) < 4.9 * error).all()


@pytest.mark.parametrize("chunk", [1, 7, 64, 100])
def test_chunks_change_the_noise_and_not_the_estimate(slanted, chunk):
    """A posterior near enough that L_64 is almost log p(x), whatever the chunk."""
    x = np.float32(slanted.sample(200, seed=3))
    gaps = slanted.log_prob(x) - importance_weighted_bound(slanted.as_vae(), x, 64, chunk=chunk)
    whole = slanted.log_prob(x) - importance_weighted_bound(slanted.as_vae(), x, 64, chunk=64, seed=1)
    error = np.sqrt((gaps.var() + whole.var()) / len(x))
    assert abs(gaps.mean() - whole.mean()) < 4 * error


def test_one_sample_is_the_elbo_of_that_sample(images):
    found = importance_weighted_bound(make_vae(), images, samples=1, seed=4)
    np.testing.assert_allclose(found, elbo(make_vae(), images, samples=1, seed=4), rtol=1e-6)


def test_a_seed_makes_a_bound_reproducible(vae, images):
    first, again, other = (importance_weighted_bound(vae, images, 5, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 0


def test_it_sees_weights_trained_since_the_last_call(vae, images):
    before = importance_weighted_bound(vae, images, 5)
    vae.fit(images, epochs=20, verbose=0)
    assert importance_weighted_bound(vae, images, 5).mean() > before.mean() + 2


def test_the_encoder_runs_once_for_each_x(vae, images, monkeypatch):
    seen = []
    encode = vae.encode
    monkeypatch.setattr(vae, "encode", lambda x: seen.append(len(x)) or encode(x))
    inner = vae.encoder.call
    calls = []
    monkeypatch.setattr(vae.encoder, "call", lambda *args, **kw: calls.append(1) or inner(*args, **kw))
    importance_weighted_bound(vae, images, samples=300, chunk=50, batch_size=40)
    assert seen == [40, 40, 16] and len(calls) == 3


def test_weights_far_below_the_smallest_float_do_not_underflow(exact):
    """log p(x) near -1e5: exp of it is 0 in any precision, the bound is as exact as ever."""
    x = np.float32(exact.sample(3, seed=0) + 200)
    assert (exact.log_prob(x) < -1e4).all()
    found = importance_weighted_bound(exact.as_vae(), x, samples=20)
    np.testing.assert_allclose(found, exact.log_prob(x), rtol=1e-5)


def test_progress_says_how_far_it_is(vae, images, capsys):
    importance_weighted_bound(vae, images, samples=2, batch_size=50, progress=True)
    assert "50 of 96, " in capsys.readouterr().out
    importance_weighted_bound(vae, images, samples=2)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["samples", "chunk", "batch_size"])
def test_counts_below_one_are_refused(vae, images, name):
    with pytest.raises(ValueError, match=f"{name} is at least 1; got 0"):
        importance_weighted_bound(vae, images, **{name: 0})


def test_data_of_another_shape_are_refused(vae, images):
    with pytest.raises(ValueError, match=r"shape \(3, 4, 1\); the model takes \(4, 4, 1\)"):
        importance_weighted_bound(vae, images[:, :3])


def test_a_bound_that_is_nan_is_an_error(vae, images):
    images[5] = np.nan
    with pytest.raises(FloatingPointError, match="example 5"):
        importance_weighted_bound(vae, images, samples=2)
