"""Images per second and start-up of the 5-layer Ladder VAE here and in PyTorch, on the CPU.

    pip install torch==2.13.0
    python benchmarks/ladder_vs_pytorch.py

First both must give the same ELBO and the same gradients for the same weights, pixels and noise. Then each
variant trains in a process of its own, in turn, several times over. Timed with the input pipeline: every epoch
shuffles the images and draws their pixels anew. Run it on an idle machine.
"""

import time

import numpy as np
from ladder_mnist import HIDDEN, LATENTS, make
from side_by_side import Comparison, limit_threads, timed_fit

RATE, EPSILON = 1e-3, 1e-7
VARIANTS = ("here", "here, flat Adam", "here, XLA", "PyTorch")
L = len(LATENTS)


def data(n):
    """Grey levels about as bright as MNIST's; what they show does not change the speed."""
    return np.random.default_rng(0).random((n, 28, 28, 1), dtype="float32") ** 6


def parts(model):
    """The networks of the model, in the order of the weights in the file."""
    q = model.inference
    return [*q.ups, *q.heads, *model.downs, *model.heads, model.output_layer]


def weights():
    """Those that every variant starts from: a list of arrays, network by network."""
    from hvae_keras.backend import keras

    keras.utils.set_random_seed(0)
    return [array for part in parts(make("ladder", L)) for array in part.get_weights()]


def keras_ladder(arrays):
    """The model of this library, with the given weights."""
    model, arrays = make("ladder", L), list(arrays)
    for part in parts(model):
        part.set_weights([arrays.pop(0) for _ in part.weights])
    return model


class TorchLadder:
    """The same model in eager PyTorch."""

    def __init__(self, arrays):
        import torch
        from torch import nn

        arrays = [torch.from_numpy(np.array(array)) for array in arrays]

        def dense(bias=True):
            kernel = arrays.pop(0)
            layer = nn.Linear(*kernel.shape, bias=bias)
            layer.weight.data = kernel.T.contiguous()
            if bias:
                layer.bias.data = arrays.pop(0)
            return layer

        def hidden():
            made = []
            for _ in range(2):
                layer = dense(bias=False)
                normalise = nn.BatchNorm1d(layer.out_features, eps=1e-3, momentum=0.01)
                normalise.weight.data, normalise.bias.data = arrays.pop(0), arrays.pop(0)
                normalise.running_mean, normalise.running_var = arrays.pop(0), arrays.pop(0)
                made += [layer, normalise, nn.LeakyReLU(0.2)]
            return nn.Sequential(*made)

        self.ups = nn.ModuleList(hidden() for _ in range(L))
        self.estimates = nn.ModuleList(dense() for _ in range(L))
        self.downs = nn.ModuleList(hidden() for _ in range(L))
        self.priors = nn.ModuleList(dense() for _ in range(L - 1))
        self.output = dense()
        self.all = nn.ModuleList([self.ups, self.estimates, self.downs, self.priors, self.output])

    def bound(self, x, noise):
        """log p(x|z) `[batch]` and the KL of every level, a list of `[batch]`."""
        import torch
        from torch.nn import functional

        h, estimates = x, []
        for up, head in zip(self.ups, self.estimates, strict=True):
            h = up(h)
            estimates.append(head(h).chunk(2, dim=-1))
        mean, log_var = estimates[-1]
        prior_mean, prior_log_var = torch.zeros_like(mean), torch.zeros_like(log_var)
        kl, state = [None] * L, None
        for i in range(L - 1, -1, -1):
            if i < L - 1:
                prior_mean, prior_log_var = self.priors[i](state).chunk(2, dim=-1)
                mean, log_var = estimates[i]
                mean = prior_mean + torch.sigmoid(prior_log_var - log_var) * (mean - prior_mean)
                log_var = -torch.logaddexp(-log_var, -prior_log_var)
            ratio = log_var - prior_log_var
            squares = (mean - prior_mean).square() * torch.exp(-prior_log_var)
            kl[i] = 0.5 * (torch.exp(ratio) + squares - 1 - ratio).sum(-1)
            state = self.downs[i](mean + torch.exp(0.5 * log_var) * noise[i])
        pixels = functional.binary_cross_entropy_with_logits(self.output(state), x, reduction="none")
        return -pixels.sum(-1), kl


def check(arrays):
    """Same weights, pixels and noise, in training mode: the ELBOs and every gradient agree."""
    import tensorflow as tf
    import torch

    x = (data(256) > 0.5).astype("float32")
    model, torch_model = keras_ladder(arrays), TorchLadder(arrays)
    seed = model.seed_generator.state.numpy()
    levels = model.infer(x, training=True)
    noise = [((level.z - level.posterior.mean()) / level.posterior.stddev()).numpy() for level in levels]
    model = keras_ladder(arrays)
    model.seed_generator.state.assign(seed)
    with tf.GradientTape() as tape:
        log_likelihood, kl = model.bound(x, training=True)
        loss = tf.reduce_mean(tf.reduce_sum(kl, -1) - log_likelihood)
    variables = [variable for part in parts(model) for variable in part.trainable_variables]
    gradients = tape.gradient(loss, variables)

    noise = [torch.from_numpy(part) for part in noise]
    torch_log_likelihood, torch_kl = torch_model.bound(torch.from_numpy(x).flatten(1), noise)
    torch_loss = (sum(torch_kl) - torch_log_likelihood).mean()
    torch_loss.backward()
    difference = abs(loss.numpy() / torch_loss.item() - 1)
    print(f"ELBO here {-loss.numpy():.4f}, PyTorch {-torch_loss.item():.4f}: relative difference {difference:.1e}")
    assert difference < 1e-4
    for variable, ours, theirs in zip(variables, gradients, torch_model.all.parameters(), strict=True):
        theirs = theirs.grad.numpy()
        theirs = theirs.T if theirs.ndim == 2 else theirs
        assert np.linalg.norm(ours - theirs) < 1e-3 * np.linalg.norm(theirs) + 1e-5, variable.path
    print(f"all {len(variables)} gradients agree to 1e-3 in norm")


def run(variant, x, arrays, settings):
    """One timed run in this process."""
    if variant == "PyTorch":
        return run_torch(x, arrays, settings)
    from hvae_keras.backend import keras
    from hvae_keras.data.dynamic import DynamicallyBinarized
    from hvae_keras.optimizers import FlatAdam

    limit_threads(settings.threads)
    model, adam = keras_ladder(arrays), FlatAdam if "flat" in variant else keras.optimizers.Adam
    model.compile(adam(RATE, epsilon=EPSILON), jit_compile="XLA" in variant)
    return timed_fit(model, DynamicallyBinarized(x, settings.batch), epochs=settings.epochs)


def run_torch(x, arrays, settings):
    """Train eagerly, the way PyTorch's own examples do."""
    import torch

    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    model = TorchLadder(arrays)
    optimizer = torch.optim.Adam(model.all.parameters(), lr=RATE, eps=EPSILON)
    x, times, start = torch.from_numpy(x).flatten(1), [], time.perf_counter()
    for _ in range(settings.epochs):
        sums, steps = torch.zeros(L + 1), len(x) // settings.batch
        for rows in torch.randperm(len(x))[: steps * settings.batch].split(settings.batch):
            grey = x[rows]
            pixels = (torch.rand(grey.shape) < grey).float()
            log_likelihood, kl = model.bound(pixels, [torch.randn(settings.batch, units) for units in LATENTS])
            loss = (sum(kl) - log_likelihood).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                sums += torch.stack([log_likelihood.mean(), *(term.mean() for term in kl)])
            if not times:
                times.append(time.perf_counter() - start)
        times.append(time.perf_counter() - start)
    return times, ((sums[0] - sums[1:].sum()) / steps).item()


def multiplied():
    """Parameters of the matrix products: kernels, without biases and normalisations."""
    sizes = [784, *(units for hidden in HIDDEN for units in (hidden, hidden))]
    up = sum(a * b for a, b in zip(sizes, sizes[1:], strict=False))
    heads = 2 * sum(a * b for a, b in zip(LATENTS, HIDDEN, strict=True))
    down = sum(latent * hidden + hidden**2 for latent, hidden in zip(LATENTS, HIDDEN, strict=True))
    priors = 2 * sum(latent * hidden for latent, hidden in zip(LATENTS[:-1], HIDDEN[1:], strict=True))
    return up + heads + down + priors + HIDDEN[0] * 784


if __name__ == "__main__":
    Comparison(__file__, __doc__, VARIANTS, data, weights, check, run, multiplied(), batch=256, epochs=5).main()
