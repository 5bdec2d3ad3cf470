"""Images per second and start-up of the MLP VAE here and of the same VAE in PyTorch, on the CPU.

    pip install torch==2.13.0
    python benchmarks/vae_vs_pytorch.py

First both must give the same ELBO and the same gradients for the same weights and noise. Then each variant
trains in a process of its own, in turn, several times over: same weights, batch, optimizer and threads, data
in memory, shuffled every epoch, ELBO and its two parts averaged over the epoch. Run it on an idle machine.
"""

import time

import numpy as np
from side_by_side import Comparison, limit_threads, timed_fit

HIDDEN, LATENT, RATE, EPSILON = (200, 200), 50, 1e-3, 1e-7
VARIANTS = ("here", "here, XLA", "PyTorch")


def data(n):
    """Binary images as sparse as MNIST's; what they show does not change the speed."""
    return (np.random.default_rng(0).random((n, 784)) < 0.13).astype("float32")


def keras_vae(weights=None):
    """The VAE of this library, with the given weights."""
    from hvae_keras import layers, models
    from hvae_keras.backend import keras

    keras.utils.set_random_seed(0)
    encoder = layers.mlp_encoder((784,), HIDDEN, 2 * LATENT)
    vae = models.VAE(encoder, layers.mlp_decoder(LATENT, HIDDEN[::-1], (784,)))
    if weights is not None:
        encoder.set_weights(weights[: len(weights) // 2])
        vae.decoder.set_weights(weights[len(weights) // 2 :])
    return vae


def torch_vae(weights):
    """The same VAE in PyTorch: a function of x and noise, and its parameters in the order of `weights`."""
    import torch
    from torch import nn

    def mlp(arrays):
        layers = []
        for kernel, bias in zip(arrays[::2], arrays[1::2], strict=True):
            dense = nn.Linear(*kernel.shape)
            with torch.no_grad():
                dense.weight.copy_(torch.from_numpy(kernel.T))
                dense.bias.copy_(torch.from_numpy(bias))
            layers += [dense, nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    encoder, decoder = mlp(weights[: len(weights) // 2]), mlp(weights[len(weights) // 2 :])

    def bound(x, noise):
        mean, log_var = encoder(x).chunk(2, dim=-1)
        logits = decoder(mean + torch.exp(0.5 * log_var) * noise)
        pixels = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none")
        kl = 0.5 * (log_var.exp() + mean.square() - 1 - log_var).sum(-1)
        return -pixels.sum(-1), kl

    return bound, [*encoder.parameters(), *decoder.parameters()]


def check(weights):
    """Same weights, same noise: the ELBOs and every gradient agree, or the timing means nothing."""
    import tensorflow as tf
    import torch

    x, vae = data(128), keras_vae(weights)
    seed = vae.seed_generator.state.numpy()
    (level,) = vae.infer(x)
    noise = ((level.z - level.posterior.mean()) / level.posterior.stddev()).numpy()
    vae.seed_generator.state.assign(seed)
    with tf.GradientTape() as tape:
        log_likelihood, kl = vae.bound(x)
        loss = tf.reduce_mean(tf.reduce_sum(kl, -1) - log_likelihood)
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, vae.trainable_variables)]

    bound, parameters = torch_vae(weights)
    torch_log_likelihood, torch_kl = bound(torch.from_numpy(x), torch.from_numpy(noise))
    torch_loss = (torch_kl - torch_log_likelihood).mean()
    torch_loss.backward()
    difference = abs(loss.numpy() / torch_loss.item() - 1)
    print(
        f"ELBO here {-loss.numpy():.4f}, in PyTorch {-torch_loss.item():.4f}: relative difference {difference:.1e}"
    )
    assert difference < 1e-4
    for ours, parameter in zip(gradients, parameters, strict=True):
        theirs = parameter.grad.numpy()
        theirs = theirs.T if theirs.ndim == 2 else theirs
        assert np.linalg.norm(ours - theirs) < 1e-3 * np.linalg.norm(theirs)
    print(f"all {len(parameters)} gradients agree to 1e-3 in norm")


def run_keras(x, weights, batch, epochs, xla):
    """Train with `fit`; the time of the first step and of each epoch, seconds from the call."""
    from hvae_keras.backend import keras

    vae = keras_vae(weights)
    vae.compile(keras.optimizers.Adam(RATE, epsilon=EPSILON), jit_compile=xla)
    return timed_fit(vae, x, batch_size=batch, epochs=epochs)


def run_torch(x, weights, batch, epochs, threads):
    """Train eagerly, the way PyTorch's own examples do."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    bound, parameters = torch_vae(weights)
    optimizer = torch.optim.Adam(parameters, lr=RATE, eps=EPSILON)
    x, times, start = torch.from_numpy(x), [], time.perf_counter()
    for _ in range(epochs):
        sums = torch.zeros(3)
        for rows in torch.randperm(len(x)).split(batch):
            log_likelihood, kl = bound(x[rows], torch.randn(len(rows), LATENT))
            loss = (kl - log_likelihood).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                sums += torch.stack([(log_likelihood - kl).sum(), log_likelihood.sum(), kl.sum()])
            if not times:
                times.append(time.perf_counter() - start)
        elbo = sums[0].item() / len(x)
        times.append(time.perf_counter() - start)
    return times, elbo


def run(variant, x, weights, settings):
    """One timed run in this process: the times of the first step and of each epoch, and the last ELBO."""
    if variant == "PyTorch":
        return run_torch(x, weights, settings.batch, settings.epochs, settings.threads)
    limit_threads(settings.threads)
    return run_keras(x, weights, settings.batch, settings.epochs, xla="XLA" in variant)


def weights():
    """Those that every variant starts from."""
    vae = keras_vae()
    return [*vae.encoder.get_weights(), *vae.decoder.get_weights()]


if __name__ == "__main__":
    Comparison(__file__, __doc__, VARIANTS, data, weights, check, run).main()
