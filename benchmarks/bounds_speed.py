"""Seconds for L_1000 of 1,000 images: the encoder once for each image, against a loop that encodes every copy.

    python benchmarks/bounds_speed.py

The loop is the one that public libraries use: one image at a time, ten batches of 100 copies of it, each encoded
again, operation by operation. It is timed compiled as well, which shows how much of the difference is the order
of the work. All give the same bound, up to the noise of the draws. The loops are timed on part of the images
and scaled up.
"""

import argparse
import time

import numpy as np
from ladder_mnist import make

from hvae_keras import metrics
from hvae_keras.backend import compiled, keras, ops
from hvae_keras.distributions import stateless_seed


def encode_every_copy(model, x: np.ndarray, samples: int, in_one_graph: bool, copies: int = 100) -> np.ndarray:
    """L_k of each image, image by image."""

    def log_weights(repeated, seed):
        levels, parameters = model.explain(model.encode(repeated), seed)
        kl = sum(level.posterior.log_prob(level.z) - level.prior.log_prob(level.z) for level in levels)
        return model.likelihood.log_prob(parameters, repeated) - kl

    weigh = compiled(log_weights, xla=False) if in_one_graph else log_weights
    noise, bounds = np.random.default_rng(1), []
    for image in x:
        repeated = ops.convert_to_tensor(np.repeat(image[None], copies, axis=0))
        found = []
        for _ in range(samples // copies):
            seed = stateless_seed(ops.convert_to_tensor(noise.integers(2**31, size=2)))
            found.append(ops.convert_to_numpy(weigh(repeated, seed)))
        bounds.append(np.logaddexp.reduce(np.concatenate(found).astype("float64")) - np.log(samples))
    return np.array(bounds)


def main() -> None:
    """Time both, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--loop-images", type=int, default=100, help="images the loop is timed on")
    parser.add_argument("--repeats", type=int, default=3)
    settings = parser.parse_args()

    keras.utils.set_random_seed(0)
    model = make("ladder", 5)
    x = (np.random.default_rng(0).random((settings.images, 28, 28, 1)) < 0.13).astype("float32")
    few = x[: settings.loop_images]
    ways = {
        "encoder once": lambda: metrics.importance_weighted_bound(model, x, settings.samples),
        "every copy encoded, compiled": lambda: encode_every_copy(model, few, settings.samples, in_one_graph=True),
        "every copy encoded": lambda: encode_every_copy(model, few, settings.samples, in_one_graph=False),
    }
    seconds, bounds = {way: [] for way in ways}, {}
    for _ in range(settings.repeats):
        for way, bound in ways.items():
            start = time.perf_counter()
            bounds[way] = bound()
            scale = len(x) / len(bounds[way])
            seconds[way].append((time.perf_counter() - start) * scale)
    print(settings)
    for way, found in seconds.items():
        ratios = np.array(found) / np.array(seconds["encoder once"])
        difference = bounds[way][: len(few)] - bounds["encoder once"][: len(few)]
        error = difference.std() / np.sqrt(len(few))
        print(
            f"{way}: median {np.median(found):.1f} s ({min(found):.1f} to {max(found):.1f}), "
            f"{np.median(ratios):.1f} times ({ratios.min():.1f} to {ratios.max():.1f}) the first; "
            f"bounds differ by {difference.mean():.3f} ± {error:.3f} nats"
        )


if __name__ == "__main__":
    main()
