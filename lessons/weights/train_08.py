"""Train what lesson 08 compares, all on the same `faces`: the kinds of models of lessons 02 to 05 and 07.

    python lessons/weights/train_08.py features
    python lessons/weights/train_08.py ladder 2
    python lessons/weights/train_08.py gan 0 --epochs 20

`features` writes `08_features_2.npz`, a classifier of the factors of level 2, `08_features_1.npz`, of level 1, and
`08_features.npz`, of both. A name and a seed write `08_NAME_SEED.npz` beside this file: "vae"; "beta_vae", the
same with beta 4; "hierarchical", two levels under bottom-up inference; "ladder", the same with a ladder; "gan".
Settings, seconds and curves go into `08_training.json`. The models are those of the lesson's own cell.
"""

import argparse
import json
import math
import time
from pathlib import Path

import keras
import numpy as np

from hvae_keras.callbacks import BetaSchedule
from hvae_keras.course.weights import learned, save_weights
from hvae_keras.data import load
from hvae_keras.layers import (
    DenseNetworks,
    Normal,
    image_discriminator,
    image_generator,
    mlp_decoder,
    mlp_encoder,
)
from hvae_keras.metrics import FactorFeatures
from hvae_keras.models import GAN, VAE, BottomUp, HierarchicalVAE, Ladder
from hvae_keras.models.variational import VariationalModel
from hvae_keras.schedules import linear

FOLDER = Path(__file__).parent
PICTURE = (32, 32, 1)
GAME = {"loss": "non-saturating", "r1": 0.5, "averaging": 0.995}
BETA = {"vae": 1.0, "beta_vae": 4.0, "hierarchical": 1.0, "ladder": 1.0}
EPOCHS = {**dict.fromkeys(BETA, 80), "gan": 12}
LEVELS = {"features": (1, 2), "features_1": (1,), "features_2": (2,)}


def make(name: str) -> VariationalModel | GAN:
    """One of the five models, without training."""
    if name in ("vae", "beta_vae"):
        encoder, decoder = mlp_encoder(PICTURE, (64,), 2 * 24), mlp_decoder(24, (64,), PICTURE)
        return VAE(encoder, decoder, Normal(scale=0.1))
    if name in ("hierarchical", "ladder"):
        inference = Ladder() if name == "ladder" else BottomUp()
        return HierarchicalVAE((16, 8), DenseNetworks(((64,), (64,))), inference, Normal(scale=0.1))
    return GAN(
        image_generator(32, PICTURE, (48, 40, 24, 16)), image_discriminator(PICTURE, (12, 24, 48, 64)), **GAME
    )


def train_features(folder: Path) -> None:
    """Train the classifiers; write weights, and report seconds and the accuracy of what is shipped."""
    data = load("faces")
    for seed, (name, levels) in enumerate(LEVELS.items()):
        keras.utils.set_random_seed(seed)
        classes = {key: len(data.factor_values[key]) for key in data.levels if data.levels[key] in levels}
        model = FactorFeatures(PICTURE, classes, units=16, channels=(16, 32, 32, 32))
        start = time.monotonic()
        validation = data.validation.x, data.validation.factors
        curves = model.train(data.train.x, data.train.factors, 12, validation, verbose=2)
        seconds = time.monotonic() - start
        path = save_weights(model, folder / f"08_{name}.npz")
        for variable in learned(model).values():  # measured is what is shipped
            variable.assign(np.float32(np.float16(variable)))
        accuracy = {key: round(share, 4) for key, share in model.accuracy(*validation).items()}
        add_report(folder, name, path, {"epochs": 12, "accuracy": accuracy}, model.count_params(), seconds, curves)


def train(name: str, seed: int, epochs: int, folder: Path) -> None:
    """Train one model from one seed; write its weights, report settings, seconds and curves."""
    data, model = load("faces"), make(name)
    x, validation = data.train.x, data.validation.x
    batch, rate = (64, 2e-3) if name in BETA else (32, 1e-3)
    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * math.ceil(len(x) / batch))
    settings = {"epochs": epochs, "batch": batch, "rate": rate}
    if name in BETA:
        model.compile(keras.optimizers.Adam(falling))
        model.build((None, *PICTURE))
        settings["beta"] = BETA[name]
        arguments = {"callbacks": [BetaSchedule(linear(10, end=BETA[name]))], "validation_data": validation}
    else:
        players = (keras.optimizers.Adam(falling, beta_1=0.0, beta_2=0.99) for _ in range(2))
        model.compile(*players, steps_per_execution=10)
        arguments = {"validation_data": (validation, None), "validation_freq": 2}
    model.reinitialise(seed)
    start = time.monotonic()
    curves = model.fit(x, batch_size=batch, epochs=epochs, verbose=2, **arguments).history
    seconds = time.monotonic() - start
    path = save_weights(model, folder / f"08_{name}_{seed}.npz")
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    add_report(folder, f"{name}_{seed}", path, settings, parameters, seconds, curves)


def add_report(
    folder: Path, run: str, path: Path, settings: dict, parameters: int, seconds: float, curves: dict
) -> None:
    """Put one run's report into `08_training.json`, beside those of other runs."""
    file = folder / "08_training.json"
    reports = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    rounded = {term: [round(float(value), 2) for value in values[4::5]] for term, values in curves.items()}
    reports[run] = {**settings, "parameters": parameters, "seconds": round(seconds), "every fifth": rounded}
    file.write_text(json.dumps(dict(sorted(reports.items())), indent=1) + "\n", encoding="utf-8")
    print(f"{path.name}: {parameters:,} parameters, {seconds:.0f} s, {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Read the command line and train what it names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["features", *EPOCHS])
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="as stated in EPOCHS if it is not given")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    if given.name == "features":
        train_features(given.folder)
    else:
        train(given.name, given.seed, given.epochs or EPOCHS[given.name], given.folder)


if __name__ == "__main__":
    main()
