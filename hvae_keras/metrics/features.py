"""Features of pictures: the numbers from which a classifier reads their known factors."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import softmax

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Tensor

BATCH = 256
SLOPE = 0.1  # of a leaky ReLU below zero
ROUNDING = 1e-4  # how far outside [0, 1] a pixel may be
DROPOUT = 0.2  # the share of the last map that a training step does not see


@keras.saving.register_keras_serializable(package="hvae_keras")
class FactorFeatures(keras.Model):
    """A small convolutional classifier of several factors at once, and the features that it reads them from.

    Leaky convolutions that halve the sides; a linear layer of `units`, the features; a softmax for each factor,
    linear in them. A linear layer has no unit that is always 0, as a rectified one has. The factors decide what
    the features see: those of one level of a hierarchy measure that level.

    Training ends with a pass over the pictures it was given, for the mean and the standard deviation of each
    feature. They are weights, so they are saved with the others.

    Attributes:
        name: "classifier_of_..." and the factors, unless another one was given.
        shape: Height, width and channels of a picture.
        classes: Factor -> number of its classes, in the order of the columns of the logits.
        units: Number of features.
        channels: Channels of the maps; each but the first halves the sides.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: Mapping[str, int],
        units: int = 64,
        channels: Sequence[int] = (16, 32, 48, 64),
        **kwargs,
    ):
        """Make the network, with weights, for pictures in [0, 1].

        Args:
            shape: Height, width and channels of a picture; the sides divide by 2 to the power of the halvings.
            classes: Factor -> number of its classes, at least 2.
            units: Number of features.
            channels: Channels of the maps, from the picture's own size to the smallest.
            **kwargs: As in Keras, such as `name`.

        Raises:
            ValueError: if a number is too small, there is no factor, or the sides do not divide.
        """
        classes = {str(name): int(count) for name, count in classes.items()}
        kwargs.setdefault("name", re.sub("[^A-Za-z0-9]+", "_", f"classifier of {' and '.join(classes)}"))
        super().__init__(**kwargs)
        self.shape, self.channels = tuple(map(int, shape)), tuple(map(int, channels))
        self.classes, self.units = classes, int(units)
        self._check()
        maps = [layer for i, width in enumerate(self.channels) for layer in _convolution(width, halved=i > 0)]
        self.trunk = keras.Sequential(
            [
                keras.Input(self.shape),
                keras.layers.Rescaling(4.0, offset=-2.0),
                *maps,
                keras.layers.Flatten(),
                keras.layers.Dropout(DROPOUT),
                keras.layers.Dense(self.units, name="features"),
            ],
            name="trunk",
        )
        self.heads = keras.layers.Dense(sum(self.classes.values()), name="heads")
        self.standardise = Standardised(name="standardised")
        self.build((None, *self.shape))

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the weights; the constructor calls it."""
        self.heads.build((None, self.units))
        self.standardise.build((None, self.units))
        self.built = True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Logits `[batch, sum of the classes]`, the factors side by side."""
        return self.heads(self.trunk(x, training=training))

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Cross-entropy of the classes `y`, `[batch, factors]`, in nats, summed over the factors shown."""
        loss = ops.zeros_like(y_pred[:, 0])
        for i, (start, end) in enumerate(pairwise([0, *self._ends(), y_pred.shape[-1]])):
            index, logits = y[:, i], y_pred[:, start:end]
            nats = keras.losses.sparse_categorical_crossentropy(ops.maximum(index, 0), logits, from_logits=True)
            loss = loss + ops.where(index >= 0, nats, 0.0)
        return ops.mean(loss)

    def train(
        self,
        x: np.ndarray,
        factors: Mapping[str, np.ndarray],
        epochs: int = 12,
        validation: tuple[np.ndarray, Mapping[str, np.ndarray]] | None = None,
        rate: float = 3e-3,
        batch_size: int = 64,
        verbose: int | str = 0,
    ) -> dict[str, list[float]]:
        """Train by Adam, whose rate falls to 0 as a cosine does, and measure the features of x.

        Args:
            x: Real pictures, `[n, *shape]`.
            factors: Factor -> class indices, `[n]`, or -1 where a picture does not show the factor: it is not
                learned there. Factors that `classes` does not name are not looked at.
            epochs: Passes over x.
            validation: Other pictures and their factors, for `val_loss`.
            rate: Learning rate at the start.
            batch_size: Pictures in a step.
            verbose: As in Keras.

        Returns:
            `loss`, and with `validation` also `val_loss`: nats per picture after each epoch.

        Raises:
            ValueError: if pictures have another shape or a pixel outside [0, 1], a factor is missing, or its
                indices have another shape or range; if a count is below 1.
        """
        for name, count in {"epochs": epochs, "batch_size": batch_size}.items():
            if count < 1:
                raise ValueError(f"{name} is at least 1; got {count!r}.")
        x, y = self._pictures(x), self._labels(factors, len(x))
        if validation is not None:
            pictures = self._pictures(validation[0], "validation[0]")
            validation = pictures, self._labels(validation[1], len(pictures), "validation[1]")
        steps = epochs * math.ceil(len(x) / batch_size)
        self.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)))
        history = self.fit(x, y, batch_size, epochs, verbose, validation_data=validation).history
        self.standardise.adapt(self._raw(x))
        return {name: [float(value) for value in values] for name, values in history.items()}

    def features(self, x: np.ndarray) -> np.ndarray:
        """Features float32 `[n, units]`, each of mean 0 and variance 1 over the pictures of the training.

        Raises:
            ValueError: if x has another shape than `[n, *shape]` or a pixel outside [0, 1].
            RuntimeError: if the model is neither trained nor loaded.
        """
        x = self._ready(x)
        return ops.convert_to_numpy(self.standardise(ops.convert_to_tensor(self._raw(x))))

    def predict_factors(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The most probable class of each factor: factor -> int64 `[n]`. Errors as for `features`."""
        return {name: part.argmax(axis=-1) for name, part in self._logits(x).items()}

    def probabilities(self, x: np.ndarray, factor: str) -> np.ndarray:
        """p(class|x) of one factor, float64 `[n, classes]`.

        Raises:
            ValueError: if there is no such factor; also as for `features`.
            RuntimeError: as for `features`.
        """
        if factor not in self.classes:
            raise ValueError(f"factor is one of {', '.join(map(repr, self.classes))}; got {factor!r}.")
        return softmax(self._logits(x)[factor].astype("float64"), axis=-1)

    def accuracy(self, x: np.ndarray, factors: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Share of the pictures whose class is the most probable one, for each factor.

        A picture whose index is -1 is not counted; where all are, the share is NaN. Errors as for `features` and,
        about the factors, as for `train`.
        """
        x = self._ready(x)
        labels, found = self._labels(factors, len(x)).T, self.predict_factors(x)
        right = {name: found[name][y >= 0] == y[y >= 0] for name, y in zip(self.classes, labels, strict=True)}
        return {name: float(share.mean()) if len(share) else math.nan for name, share in right.items()}

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same network."""
        own = {"shape": self.shape, "classes": self.classes, "units": self.units, "channels": self.channels}
        return {**super().get_config(), **own}

    def _ends(self) -> list[int]:
        """Where the logits of one factor end and those of the next begin."""
        return [int(end) for end in np.cumsum(list(self.classes.values()))[:-1]]

    def _logits(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Factor -> logits `[n, classes]`."""
        logits = ops.convert_to_numpy(self.heads(ops.convert_to_tensor(self._raw(self._ready(x)))))
        return dict(zip(self.classes, np.split(logits, self._ends(), axis=-1), strict=True))

    def _raw(self, x: np.ndarray) -> np.ndarray:
        """The features as the heads read them, `[n, units]`."""
        # Filled up, so that every batch has one size: a new size would be traced anew.
        full = np.concatenate([x, np.repeat(x[-1:], -len(x) % BATCH, axis=0)])
        return self.trunk.predict(full, batch_size=BATCH, verbose=0)[: len(x)]

    def _ready(self, x: np.ndarray) -> np.ndarray:
        if not self.standardise.adapted:
            raise RuntimeError("these features are not trained: call train(x, factors), or load weights.")
        return self._pictures(x)

    def _pictures(self, x: np.ndarray, name: str = "x") -> np.ndarray:
        """x as float32, if it holds pictures of the model's shape."""
        x = np.asarray(x)
        if x.shape[1:] != self.shape or x.ndim != len(self.shape) + 1 or not len(x):
            wanted = ", ".join(["n", *map(str, self.shape)])
            raise ValueError(f"{name} has shape {x.shape}, expected [{wanted}] with n at least 1.")
        return checked_pixels(x, name)

    def _labels(self, factors: Mapping[str, np.ndarray], n: int, name: str = "factors") -> np.ndarray:
        """Class indices int32 `[n, factors]` of the model's factors, if they are in range."""
        columns = []
        for factor, count in self.classes.items():
            if factor not in factors:
                there = ", ".join(factors) or "none"
                raise ValueError(f"{name} lacks {factor!r}; there are: {there}.")
            index = np.asarray(factors[factor])
            if index.shape != (n,) or index.dtype.kind not in "iu":
                raise ValueError(
                    f"{name}[{factor!r}] is {index.dtype} {index.shape}, expected a class index for each of {n} "
                    "pictures."
                )
            if index.min() < -1 or index.max() >= count:
                wrong = index[(index < -1) | (index >= count)][0]
                raise ValueError(
                    f"{name}[{factor!r}] holds {wrong}, expected 0 to {count - 1}, or -1 where it is not shown."
                )
            columns.append(index)
        return np.stack(columns, axis=1).astype("int32")

    def _check(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape is height, width and channels of a picture; got {self.shape}.")
        if not self.classes:
            raise ValueError("classes names no factor; give at least one, with the number of its classes.")
        for name, count in self.classes.items():
            if count < 2:
                raise ValueError(f"classes[{name!r}] is at least 2; got {count}.")
        if self.units < 1:
            raise ValueError(f"units is at least 1; got {self.units}.")
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels is one or more numbers, each at least 1; got {self.channels}.")
        halved = 2 ** (len(self.channels) - 1)
        if self.shape[0] % halved or self.shape[1] % halved:
            raise ValueError(
                f"the sides of shape {self.shape} divide by {halved}, for {len(self.channels)} channels entries."
            )


@keras.saving.register_keras_serializable(package="hvae_keras")
class Standardised(keras.layers.Layer):
    """Features `[batch, d]` less their mean, over their standard deviation; both are measured by `adapt`."""

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the two weights; the deviation is 0 until it is measured."""
        size = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=size, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=size, initializer="zeros", trainable=False)

    @property
    def adapted(self) -> bool:
        """Whether the deviations were measured, here or before the weights were saved."""
        return bool(ops.all(self.deviation > 0))

    def adapt(self, features: np.ndarray) -> None:
        """Measure `[n, d]`. A feature that does not vary is divided by 1."""
        deviation = features.std(axis=0, dtype="float64")
        self.mean.assign(features.mean(axis=0, dtype="float64"))
        self.deviation.assign(np.where(deviation > 1e-4, deviation, 1.0))

    def call(self, x: Tensor) -> Tensor:
        """The standardised features."""
        return (x - self.mean) / self.deviation


def checked_pixels(x: np.ndarray, name: str = "x") -> np.ndarray:
    """x as float32, if it holds finite numbers in [0, 1]."""
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {x.dtype}, expected real numbers.")
    x = x.astype("float32", copy=False)
    if not np.isfinite(x).all():
        raise ValueError(f"{name} holds NaN or infinity.")
    if x.min() < -ROUNDING or x.max() > 1 + ROUNDING:
        raise ValueError(f"{name} goes from {x.min():g} to {x.max():g}; pictures are between 0 and 1.")
    return x


def _convolution(channels: int, halved: bool) -> list[keras.layers.Layer]:
    stride = 2 if halved else 1
    convolution = keras.layers.Conv2D(channels, 3, stride, padding="same", kernel_initializer="he_normal")
    return [convolution, keras.layers.LeakyReLU(negative_slope=SLOPE)]
