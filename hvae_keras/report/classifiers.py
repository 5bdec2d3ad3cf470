"""Classifiers of the factors of a data set: trained once, kept in the user's cache, and read from there."""

import hashlib
import json
import math
import random
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hvae_keras.backend import keras
from hvae_keras.data import Dataset
from hvae_keras.data.chorales import cache_folder
from hvae_keras.files import written_whole
from hvae_keras.metrics import FactorFeatures

VERSION = 1  # of how they are made; a new number makes older caches void
STEPS, BATCH = 1400, 64  # of training
UPPER_STEPS = 500  # for the levels above the first, whose factors show in more of the picture
CHANNELS = (16, 32, 48, 64)
SMALLEST = 4  # the sides of a map that is not halved any more
UNITS = 64
PER_UNIT = 10  # pictures to compare for each feature; with fewer a Fréchet distance tells little


@dataclass(frozen=True)
class Classifier:
    """A classifier of the factors of one level of a data set, or of all where they have no levels.

    level: 1 nearest the data, or None. accuracy: factor -> share of the validation pictures that are read rightly.
    chance: the same for always naming the most frequent value. n: how many validation pictures. seconds: what the
    training took.
    """

    level: int | None
    network: FactorFeatures
    accuracy: Mapping[str, float]
    chance: Mapping[str, float]
    n: int
    seconds: float

    @property
    def name(self) -> str:
        """What it is called in tables."""
        of_level = "" if self.level is None else f" of level {self.level}"
        return f"classifier of the factors{of_level} ({', '.join(self.network.classes)})"

    @property
    def classes(self) -> str:
        """The factor whose values the Inception Score is about: the only one, or "" where there are several."""
        return next(iter(self.network.classes)) if len(self.network.classes) == 1 else ""

    @property
    def digest(self) -> str:
        """Eight digits that are the same for the same weights: only then can distances be compared."""
        weights = (np.ascontiguousarray(weight).tobytes() for weight in self.network.get_weights())
        return hashlib.sha256(b"".join(weights)).hexdigest()[:8]

    def features(self, x: np.ndarray) -> np.ndarray:
        """Features of pictures, `[n, d]`."""
        return self.network.features(x)

    def probabilities(self, x: np.ndarray, factor: str) -> np.ndarray:
        """p(class|x) of one factor, `[n, classes]`."""
        return self.network.probabilities(x, factor)


def classifiers(data: Dataset, step: Callable[[str], None]) -> list[Classifier]:
    """One for each level of the factors, level 1 first; one for all factors where they have no levels.

    step: is told when one is trained. ValueError if the data have no factors with two values or more.
    """
    factors = [name for name, values in data.factor_values.items() if len(values) > 1]
    if not factors:
        raise ValueError(f"{data.name} has no factors to read from its pictures.")
    if not data.levels:
        return [_classifier(data, None, factors, step)]
    levels = sorted({data.levels[name] for name in factors})
    return [_classifier(data, level, [f for f in factors if data.levels[f] == level], step) for level in levels]


def _classifier(data: Dataset, level: int | None, factors: list[str], step: Callable[[str], None]) -> Classifier:
    """From the cache, or trained and put there."""
    network = _network(data, factors)
    path = cache_folder() / "classifiers" / f"{data.name}-{level or 'all'}-{VERSION}-{_key(data, factors)}.npz"
    told = _read(path, network)
    if told is None:
        what = "the factors" if level is None else f"the factors of level {level}"
        step(f"training a classifier of {what} of {data.name}, once")
        network, told = _trained(network, data, STEPS if level in (None, 1) else UPPER_STEPS)
        _write(path, network, told)
    return Classifier(level, network, **told)


def _network(data: Dataset, factors: list[str]) -> FactorFeatures:
    """Halves the sides as long as they divide and are large enough; fewer features for fewer pictures."""
    height, width, channels = data.test.x.shape[1:]
    sides = (height, width)
    fits = [
        i for i in range(len(CHANNELS)) if all(side % 2**i == 0 and side // 2**i >= SMALLEST for side in sides)
    ]
    units = int(np.clip(min(len(data.test), len(data.validation)) // PER_UNIT, 8, UNITS))
    classes = {name: len(data.factor_values[name]) for name in factors}
    return FactorFeatures((height, width, channels), classes, units, CHANNELS[: max(fits, default=0) + 1])


def _trained(blank: FactorFeatures, data: Dataset, steps: int) -> tuple[FactorFeatures, dict]:
    """A copy trained from fixed seeds, and what `Classifier` says of it."""
    start = time.perf_counter()
    python, numpy = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(VERSION)
    network = FactorFeatures.from_config(blank.get_config())
    epochs = max(1, round(steps * BATCH / len(data.train)))
    network.train(data.train.x, data.train.factors, epochs, batch_size=BATCH)
    random.setstate(python)
    np.random.set_state(numpy)
    found, factors = network.accuracy(data.validation.x, data.validation.factors), data.validation.factors
    chance = {name: _most_frequent(factors[name]) for name in found}
    return network, {
        "accuracy": found,
        "chance": chance,
        "n": len(data.validation),
        "seconds": round(time.perf_counter() - start, 1),
    }


def _most_frequent(index: np.ndarray) -> float:
    """The share of the most frequent class, of the pictures that show the factor."""
    shown = index[index >= 0]
    return float(np.bincount(shown).max() / len(shown)) if len(shown) else math.nan


# The cache


def _key(data: Dataset, factors: list[str]) -> str:
    """Twelve digits that change with the training pictures or the factors."""
    digest = hashlib.sha256(np.ascontiguousarray(data.train.x).tobytes())
    for name in factors:
        digest.update(name.encode() + data.train.factors[name].tobytes())
    return digest.hexdigest()[:12]


def _read(path: Path, network: FactorFeatures) -> dict | None:
    """Give the network its weights and return what was said of it; None if the file is not there or damaged."""
    if not path.is_file():
        return None
    expected = network.get_weights()
    try:
        with np.load(path, allow_pickle=False) as archive:  # the zip's CRC is checked
            weights = [archive[f"weight_{i}"] for i in range(len(expected))]
            told = json.loads(str(archive["told"]))
        fits = all(
            new.shape == old.shape and np.isfinite(new).all() for new, old in zip(weights, expected, strict=True)
        )
        told = {key: told[key] for key in ("accuracy", "chance", "n", "seconds")}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        fits = False
    if not fits:
        print(f"{path} is damaged: the classifier is trained again.", file=sys.stderr)
        return None
    network.set_weights(weights)
    return told


def _write(path: Path, network: FactorFeatures, told: dict) -> None:
    """Keep weights and what is said of them, whole or not at all; if it cannot be done, the next call trains."""
    weights = {f"weight_{i}": weight for i, weight in enumerate(network.get_weights())}
    try:
        with written_whole(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, told=json.dumps(told), **weights)
    except OSError as error:
        print(f"the classifier is not kept in {path.parent} ({error}).", file=sys.stderr)
