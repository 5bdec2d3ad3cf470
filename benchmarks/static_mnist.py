"""Held-out ELBO and L_5000 of the one-level MLP VAE on static binarized MNIST.

    python benchmarks/static_mnist.py --data ../shared/datasets/mnist_binarized_static

Published for the same kind of model: -log p(x) at most 89.78 nats, by importance sampling with 200 draws
(pythae's table of reproduced values). The number of epochs is chosen on the validation split; the test
split, binarized once by its authors, is looked at once, at the end.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import scipy.io

from hvae_keras import callbacks, layers, metrics, models
from hvae_keras.backend import keras


def load(folder: Path) -> dict[str, np.ndarray]:
    """The three splits, float32 zeros and ones of shape [n, 784], from MAT v5 files."""
    names = {"train": "train", "validation": "valid", "test": "test"}
    return {
        split: scipy.io.loadmat(folder / f"binarized_mnist_{name}.amat")["X"].astype("float32")
        for split, name in names.items()
    }


def make(x: np.ndarray, hidden: list[int], latent: int, activation: str) -> models.VAE:
    """The VAE, its output starting at the mean image: log-odds of how often each pixel is on."""
    encoder = layers.mlp_encoder((784,), hidden, 2 * latent, activation=activation)
    decoder = layers.mlp_decoder(latent, hidden[::-1], (784,), activation=activation)
    rate = (x.sum(axis=0) + 1) / (len(x) + 2)
    dense = [layer for layer in decoder.layers if isinstance(layer, keras.layers.Dense)][-1]
    dense.bias.assign(np.log(rate / (1 - rate)))
    return models.VAE(encoder, decoder)


def measure(vae: models.VAE, x: np.ndarray, split: str, samples: list[int]) -> dict:
    """The ELBO with its parts on all of `x`; L_k on all test images and on 1,000 validation images."""
    start = time.perf_counter()
    logs = vae.evaluate(x, batch_size=1000, verbose=0, return_dict=True)
    result = {f"{split} {term}": round(logs[term], 2) for term in ("elbo", "log_likelihood", "kl")}
    x = x[:1000] if split == "validation" else x
    for k in samples:
        estimate = metrics.importance_weighted_bound(vae, x, k, progress=True)
        error = estimate.std() / np.sqrt(len(x))
        result[f"{split} L_{k}"] = f"{estimate.mean():.2f} ± {error:.2f} ({len(x)} images)"
    return {**result, f"{split} seconds": round(time.perf_counter() - start)}


def main() -> None:
    """Train, choose the epoch on the validation split, and print the bounds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with binarized_mnist_*.amat")
    parser.add_argument("--hidden", type=int, nargs="+", default=[300, 300])
    parser.add_argument("--latent", type=int, default=50)
    parser.add_argument("--activation", default="silu")
    parser.add_argument("--epochs", type=int, default=250)
    parser.add_argument("--warm-up", type=int, default=30, help="epochs in which beta rises from 0 to 1")
    parser.add_argument("--patience", type=int, default=40)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1e-3, help="of Adam; falls to 5 % along a cosine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, nargs="+", default=[200, 5000])
    parser.add_argument("--validation-only", action="store_true", help="choose settings without the test split")
    settings = parser.parse_args()

    keras.utils.set_random_seed(settings.seed)
    x = load(settings.data)
    vae = make(x["train"], settings.hidden, settings.latent, settings.activation)
    steps = settings.epochs * -(-len(x["train"]) // settings.batch)
    rate = keras.optimizers.schedules.CosineDecay(settings.rate, steps, alpha=0.05)
    vae.compile(keras.optimizers.Adam(rate))
    best = keras.callbacks.EarlyStopping(
        monitor="val_elbo", mode="max", patience=settings.patience, restore_best_weights=True
    )
    warm_up = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(vae, "beta", min(1.0, (epoch + 1) / settings.warm_up))
    )
    start = time.perf_counter()
    history = vae.fit(
        x["train"],
        validation_data=x["validation"],
        validation_batch_size=1000,
        epochs=settings.epochs,
        batch_size=settings.batch,
        callbacks=[warm_up, best, callbacks.Progress(40)],
        verbose=0,
    ).history
    result = {
        **{k: v for k, v in vars(settings).items() if k not in ("data", "validation_only")},
        "epochs run": len(history["val_elbo"]),
        "epoch kept": int(np.argmax(history["val_elbo"])) + 1,
        "training seconds": round(time.perf_counter() - start),
    }
    for split in ("validation",) if settings.validation_only else ("validation", "test"):
        result |= measure(vae, x[split], split, settings.samples)
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
