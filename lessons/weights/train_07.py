"""Train what lesson 07 loads because it trains for longer than a lesson may.

    python lessons/weights/train_07.py features
    python lessons/weights/train_07.py flat 0
    python lessons/weights/train_07.py two_level 2 --alone 8 --together 10

`features` writes `07_features_1.npz` and `07_features_2.npz` beside this file, classifiers of the factors of
level 1 and of level 2 of `landscapes`. The other two write `07_flat_SEED.npz`, one GAN, and
`07_two_level_SEED.npz`, with about as many weights. Of the two levels the sketches train alone for `--alone`
epochs, then both together for `--together`; the flat model takes as many epochs as make it the same number of
multiply-adds, rounded up. Seconds, accuracies and curves go into `07_training.json`. The models are those of the
lesson's own cells.
"""

import argparse
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from hvae_keras.course.weights import learned, save_weights
from hvae_keras.data import Dataset, load
from hvae_keras.layers import SpectralNormalization, image_discriminator, image_generator, image_refiner
from hvae_keras.metrics import FactorFeatures
from hvae_keras.models import GAN, MultiLevelGAN, TranslationGAN

FOLDER = Path(__file__).parent
EPOCHS = {1: 18, 2: 6}
# Factor -> the factor whose first value means that there is nothing whose place or kind could be seen.
NEEDS = {
    "mountain place": "mountains",
    "cloud place": "clouds",
    "tree kind": "trees",
    "tree place": "trees",
    "rock place": "rocks",
    "water place": "water",
}


def make_features(data: Dataset, level: int) -> FactorFeatures:
    """A classifier of the factors of one level, without training."""
    classes = {name: len(values) for name, values in data.factor_values.items() if data.levels[name] == level}
    return FactorFeatures(data.train.x.shape[1:], classes)


def shown(factors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The indices `[n]` of each factor, -1 where there is nothing that has the kind or the place."""
    return {
        name: np.where(factors[NEEDS[name]] > 0, index, -1) if name in NEEDS else index
        for name, index in factors.items()
    }


def train_features(folder: Path) -> None:
    """Train a classifier on the factors of each level; write weights, print and report seconds and accuracies."""
    data = load("landscapes")
    for level in (1, 2):
        keras.utils.set_random_seed(level)
        model = make_features(data, level)
        validation = data.validation.x, shown(data.validation.factors)
        start = time.monotonic()
        curves = model.train(data.train.x, shown(data.train.factors), EPOCHS[level], validation, verbose=2)
        seconds = time.monotonic() - start
        run = f"features_{level}"
        path = save_weights(model, folder / f"07_{run}.npz")
        for variable in learned(model).values():  # measured is what is shipped
            variable.assign(np.float32(np.float16(variable)))
        every = model.accuracy(data.validation.x, data.validation.factors)
        where_shown = model.accuracy(*validation)
        report = {
            "epochs": EPOCHS[level],
            "seconds": round(seconds),
            "parameters": model.count_params(),
            "accuracy": {name: round(share, 4) for name, share in every.items()},
            "accuracy where shown": {name: round(share, 4) for name, share in where_shown.items()},
            **{name: [round(value, 3) for value in values] for name, values in curves.items()},
        }
        _add_report(folder / "07_training.json", run, report)
        print(f"{run}: {model.count_params():,} parameters, {seconds:.0f} s, {path.stat().st_size / 1000:.0f} kB")
        print(json.dumps({key: report[key] for key in report if "accuracy" in key}, indent=1))


def _add_report(path: Path, run: str, report: dict) -> None:
    """Put one run's report into the file, beside those of other runs."""
    reports = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    reports[run] = report
    path.write_text(json.dumps(dict(sorted(reports.items())), indent=1) + "\n", encoding="utf-8")


PICTURE, SKETCH = (32, 32, 3), (16, 16, 3)
BATCH = 32
RATES = {"flat": 1e-3, "two_level": 2e-3}  # each the better of these two after 500 steps, seed 0
Arrays = np.ndarray | list[np.ndarray]
GAME = {"loss": "non-saturating", "r1": 0.5, "averaging": 0.995}


def make_flat() -> GAN:
    """Pictures from 64 numbers, at once."""
    return GAN(
        image_generator(64, PICTURE, (76, 56, 32, 24)), image_discriminator(PICTURE, (20, 40, 88, 100)), **GAME
    )


def make_two_level() -> MultiLevelGAN:
    """Sketches from 32 numbers, and pictures from sketches and 32 more."""
    sketches = GAN(image_generator(32, SKETCH, (64, 48, 32)), image_discriminator(SKETCH, (32, 64, 64)), **GAME)
    pictures = TranslationGAN(
        image_refiner(32, SKETCH, PICTURE, (16, 32, 24)),
        image_discriminator(PICTURE, (16, 32, 64, 64), SKETCH),
        **GAME,
    )
    return MultiLevelGAN([pictures, sketches])


def multiply_adds(pair: GAN | TranslationGAN) -> int:
    """Multiplications of one example in a training step, without the penalty.

    Backward costs twice as much as forward. The generator goes forward twice and backward once; the discriminator
    forward and backward for real and generated examples in its own move, and once more in the generator's.
    """

    def forward(network: keras.Model) -> int:
        total = 0
        for layer in network.layers:
            linear = layer.layer if isinstance(layer, SpectralNormalization) else layer
            if isinstance(linear, (keras.layers.Dense, keras.layers.Conv2D)):
                total += math.prod(linear.kernel.shape) * math.prod(layer.output.shape[1:-1])
        return total

    return 4 * forward(pair.generator) + 9 * forward(pair.discriminator)


def train_gan(name: str, seed: int, alone: int, together: int, folder: Path) -> None:
    """Train one model from one seed; write its weights, report epochs, seconds and curves."""
    data = load("landscapes")
    two_level = make_two_level()
    pictures, sketches = map(multiply_adds, two_level.pairs)
    cost = alone * sketches + together * (sketches + pictures)
    model = two_level if name == "two_level" else make_flat()
    model.reinitialise(seed)
    start = time.monotonic()
    if name == "two_level":
        epochs = {"alone": alone, "together": together}
        fit(model.level(2), data.train.sketch, data.validation.sketch, alone, RATES[name])
        levels = [[part.x, part.sketch] for part in (data.train, data.validation)]
        curves = fit(model, *levels, together, RATES[name])
    else:
        epochs = {"together": math.ceil(cost / multiply_adds(model))}
        cost = epochs["together"] * multiply_adds(model)
        curves = fit(model, data.train.x, data.validation.x, epochs["together"], RATES[name])
    seconds = time.monotonic() - start
    path = save_weights(model, folder / f"07_{name}_{seed}.npz")
    report = {
        "epochs": epochs,
        "million multiply-adds of an example in all epochs": round(cost / 1e6),
        "parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        "seconds": round(seconds),
        **{term: [round(float(value), 3) for value in values] for term, values in curves.items()},
    }
    _add_report(folder / "07_training.json", f"{name}_{seed}", report)
    print(
        f"{path.name}: {report['parameters']:,} parameters, {seconds:.0f} s, {path.stat().st_size / 1000:.0f} kB"
    )


def fit(
    model: GAN | MultiLevelGAN, x: Arrays, validation: Arrays, epochs: int, rate: float
) -> dict[str, list[float]]:
    """Train for a number of epochs, all learning rates falling from `rate` to zero; return the curves."""
    rows = len(x[0]) if isinstance(x, list) else len(x)
    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * math.ceil(rows / BATCH))

    def players() -> tuple:
        return tuple(keras.optimizers.Adam(falling, beta_1=0.0, beta_2=0.99) for _ in range(2))

    if isinstance(model, MultiLevelGAN):
        model.compile([players() for _ in model.pairs], steps_per_execution=10)
    else:
        model.compile(*players(), steps_per_execution=10)
    return model.fit(
        x, batch_size=BATCH, epochs=epochs, validation_data=(validation, None), validation_freq=2, verbose=2
    ).history


def main() -> None:
    """Read the command line and train what it names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["features", "flat", "two_level"])
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--alone", type=int, default=8)
    parser.add_argument("--together", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    if given.command == "features":
        train_features(given.folder)
    else:
        train_gan(given.command, given.seed, given.alone, given.together, given.folder)


if __name__ == "__main__":
    main()
