"""Images per second and start-up of the MLP VAE here and of the same VAE in PyTorch, on the CPU.

    pip install torch==2.13.0
    python benchmarks/vae_vs_pytorch.py

First both must give the same ELBO and the same gradients for the same weights and noise. Then each variant
trains in a process of its own, in turn, several times over: same weights, batch, optimizer and threads, data
in memory, shuffled every epoch, ELBO and its two parts averaged over the epoch. Run it on an idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

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

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, step, logs=None):
            if step == 1 and not times:
                times.append(time.perf_counter() - start)

        def on_epoch_end(self, epoch, logs=None):
            times.append(time.perf_counter() - start)

    vae, times = keras_vae(weights), []
    vae.compile(keras.optimizers.Adam(RATE, epsilon=EPSILON), jit_compile=xla)
    start = time.perf_counter()
    history = vae.fit(x, batch_size=batch, epochs=epochs, callbacks=[Clock()], verbose=0).history
    return times, history["elbo"][-1]


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


def worker(variant, file, settings):
    """One timed run in this process; prints images per second, start-up and the last ELBO as JSON."""
    with np.load(file) as stored:
        weights = [stored[name] for name in stored.files]
    x = data(settings.images)
    if variant == "PyTorch":
        times, elbo = run_torch(x, weights, settings.batch, settings.epochs, settings.threads)
    else:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
        times, elbo = run_keras(x, weights, settings.batch, settings.epochs, xla="XLA" in variant)
    epoch = statistics.median(np.diff(times[1:]))
    # The first epoch takes one start-up longer than the others.
    result = {"speed": len(x) / epoch, "start-up": times[1] - epoch, "first step": times[0], "elbo": elbo}
    print(json.dumps({name: float(value) for name, value in result.items()}))


def main():
    """Check, then time the variants in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=51_200)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--worker", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.worker:
        worker(settings.worker, settings.weights, settings)
        return
    vae = keras_vae()
    weights = [*vae.encoder.get_weights(), *vae.decoder.get_weights()]
    check(weights)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "weights.npz")
        np.savez(file, *weights)
        found = {variant: [] for variant in VARIANTS}
        for repeat in range(settings.repeats):
            for variant in VARIANTS:
                found[variant].append(in_a_process_of_its_own(variant, file, settings))
                print(f"{repeat + 1}/{settings.repeats}  {variant:10}", found[variant][-1], flush=True)
    report(found, settings)


def in_a_process_of_its_own(variant, file, settings):
    """What `worker` prints."""
    numbers = ("images", "batch", "epochs", "threads")
    options = [f"--{name}={getattr(settings, name)}" for name in numbers]
    command = [sys.executable, __file__, "--worker", variant, "--weights", str(file), *options]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def report(found, settings):
    """Medians, ranges, and the ratio to PyTorch of the run next to it."""
    print(f"\n{settings}\n")
    print("| variant | images/s, median (range) | ratio to PyTorch | start-up, s | first step, s | ELBO |")
    print("|---|---|---|---|---|---|")
    for variant, runs in found.items():
        speeds = [run["speed"] for run in runs]
        ratios = [run["speed"] / other["speed"] for run, other in zip(runs, found["PyTorch"], strict=True)]
        start, first, elbo = (
            statistics.median(run[n] for run in runs) for n in ("start-up", "first step", "elbo")
        )
        print(
            f"| {variant} | {statistics.median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f}) "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {start:.2f} | {first:.2f} | {elbo:.1f} |"
        )


if __name__ == "__main__":
    main()
