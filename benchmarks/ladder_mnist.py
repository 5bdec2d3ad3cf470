"""Held-out L_k of deep hierarchies on dynamically binarized MNIST, as in the Ladder VAE paper.

    HVAE_DATA=../shared/datasets python benchmarks/ladder_mnist.py --model ladder --layers 5 --epochs 200

The networks are those of Sønderby et al. (2016): latents 64-32-16-8-4, two hidden layers of 512-256-128-64-64
units between levels, batches of 256, trained on the 60,000 images of train and validation with new pixels in
every epoch. The test images are binarized once, with the seed printed. Nothing is chosen on the test images.
`--model` is `vae` (bottom-up), `vae+bn+wu` (with batch normalisation and warm-up) or `ladder` (with both).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from hvae_keras import callbacks, layers, metrics, models, schedules
from hvae_keras.backend import keras
from hvae_keras.data import load
from hvae_keras.data.dynamic import DynamicallyBinarized

LATENTS, HIDDEN = (64, 32, 16, 8, 4), (512, 256, 128, 64, 64)
KINDS = ("vae", "vae+bn+wu", "ladder")
TEST_SEED = 0


def make(kind: str, levels: int, mean_image: np.ndarray | None = None) -> models.HierarchicalVAE:
    """The model, its output starting at the log-odds of the mean image."""
    hidden = tuple((units, units) for units in HIDDEN[:levels])
    networks = layers.DenseNetworks(hidden, batch_normalization=kind != "vae")
    inference = models.Ladder() if kind == "ladder" else models.BottomUp()
    model = models.HierarchicalVAE(LATENTS[:levels], networks, inference)
    model.build((None, 28, 28, 1))
    if mean_image is not None:
        rate = np.clip(mean_image.reshape(-1), 1e-4, 1 - 1e-4)
        model.output_layer.layers[0].bias.assign(np.log(rate / (1 - rate)))
    return model


def measure(model: models.HierarchicalVAE, x: np.ndarray, samples: int) -> dict:
    """ELBO, L_k and its standard error over the images, KL per level, and seconds."""
    start = time.perf_counter()
    logs = model.evaluate(x, batch_size=1000, verbose=0, return_dict=True)
    result = {name: round(value, 2) for name, value in logs.items() if name != "loss"}
    if samples:
        bound = metrics.importance_weighted_bound(model, x, samples, progress=True)
        result[f"L_{samples}"] = round(bound.mean(), 2)
        result["standard error"] = round(bound.std() / np.sqrt(len(x)), 2)
    active = metrics.active_units(model, x[:1000])
    result["active units"] = [int(np.sum(units)) for units in active]
    return {"images": len(x), **result, "seconds": round(time.perf_counter() - start)}


class Sometimes(keras.callbacks.Callback):
    """Save the weights and measure the bound on a few images, every so many epochs."""

    def __init__(self, every: int, x: np.ndarray, samples: int, file: Path):
        super().__init__()
        self.every, self.x, self.samples, self.file, self.found = every, x, samples, file, []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measure, if it is time."""
        if (epoch + 1) % self.every == 0:
            self.model.save_weights(self.file)
            self.found.append({"epoch": epoch + 1, **measure(self.model, self.x, self.samples)})
            print(json.dumps(self.found[-1]), flush=True)


def main() -> None:
    """Train, measure now and then and at the end, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", choices=KINDS, default="ladder")
    parser.add_argument("--layers", type=int, default=5, help="levels, 1 to 5")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=None, help="epochs; a fifth of all by default")
    parser.add_argument("--rate", type=float, default=1e-3, help="of Adam, falling to a twentieth along a cosine")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=5000, help="k of the last measurement, on all test images")
    parser.add_argument("--every", type=int, default=50, help="epochs between two measurements on 1,000 images")
    parser.add_argument("--between", type=int, default=100, help="k of those; 0 leaves the bound out")
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--weights", type=Path, default=Path("ladder_mnist.weights.h5"))
    settings = parser.parse_args()

    keras.utils.set_random_seed(settings.seed)
    data = load("mnist")
    x = np.concatenate([data.train.x, data.validation.x])
    test = data.binarized(TEST_SEED).test.x
    model = make(settings.model, settings.layers, x.mean(axis=0))
    batches = DynamicallyBinarized(x, settings.batch, settings.seed)
    rate = keras.optimizers.schedules.CosineDecay(settings.rate, settings.epochs * len(batches), alpha=0.05)
    model.compile(keras.optimizers.Adam(rate), jit_compile=settings.xla or "auto")
    warm_up = settings.epochs // 5 if settings.warm_up is None else settings.warm_up
    measured = Sometimes(settings.every, test[:1000], settings.between, settings.weights)
    used = [callbacks.Progress(20), measured]
    if settings.model != "vae" and warm_up:
        used.append(callbacks.BetaSchedule(schedules.linear(warm_up)))
    start = time.perf_counter()
    model.fit(batches, epochs=settings.epochs, verbose=0, callbacks=used)
    seconds = round(time.perf_counter() - start)
    model.save_weights(settings.weights)
    result = {"settings": vars(settings) | {"weights": None, "warm_up": warm_up}, "training seconds": seconds}
    result |= {"parameters": sum(int(np.prod(v.shape)) for v in model.trainable_variables)}
    print(
        json.dumps({**result, "test binarization seed": TEST_SEED, "test": measure(model, test, settings.samples)})
    )


if __name__ == "__main__":
    main()
