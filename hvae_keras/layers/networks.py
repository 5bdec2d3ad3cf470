"""The networks of a hierarchy: what stands between two levels, dense or convolutional."""

import math
from collections.abc import Sequence

from hvae_keras.backend import keras
from hvae_keras.layers.spectral import SpectralNormalization

Shape = tuple[int, ...]


class Networks:
    """Makes the networks of a hierarchy of L levels; the model connects them.

    A subclass writes `latent_shape`, `up`, `down`, `parameters` and `output`. Level i of `blocks` serves both
    directions: the block up into level i, and the block down out of level i.

    Args:
        blocks: One entry a level, from level 1.
        activation: Of the hidden layers.
        batch_normalization: Whether each hidden layer is normalised over the batch before its activation
            (Ioffe & Szegedy 2015).
        spectral_normalization: Whether each hidden layer's matrix is divided by its largest singular value
            (Miyato et al. 2018).

    Raises:
        ValueError: if there is no level.
    """

    def __init__(self, blocks: Sequence, activation: str, batch_normalization: bool, spectral_normalization: bool):
        self.levels = len(blocks)
        if not self.levels:
            raise ValueError("a hierarchy has at least one level; the networks were given none.")
        self.activation = activation
        self.batch_normalization, self.spectral_normalization = batch_normalization, spectral_normalization

    def latent_shape(self, x_shape: Shape, level: int, units: int) -> Shape:
        """Shape of one z of this level, for data of shape `x_shape`."""
        raise NotImplementedError

    def up(self, level: int) -> keras.layers.Layer:
        """From what lies below level `level` (x below level 1) to the features of that level."""
        raise NotImplementedError

    def down(self, level: int, x_shape: Shape) -> keras.layers.Layer:
        """From z of level `level` to the top-down state of the level below; below level 1 lies x."""
        raise NotImplementedError

    def parameters(self, units: int) -> keras.layers.Layer:
        """From features or state to mean and log-variance side by side on the last axis."""
        raise NotImplementedError

    def output(self, x_shape: Shape) -> keras.layers.Layer:
        """From the state below level 1 to the parameters of p(x|z), in the shape of x."""
        raise NotImplementedError

    def _hidden(self, layer: keras.layers.Layer) -> list[keras.layers.Layer]:
        """A linear layer with its normalisations and the activation."""
        if self.spectral_normalization:
            layer = SpectralNormalization(layer)
        between = [keras.layers.BatchNormalization()] if self.batch_normalization else []
        return [layer, *between, keras.layers.Activation(self.activation)]

    def get_config(self) -> dict:
        """Arguments that make the networks again."""
        return {
            "activation": self.activation,
            "batch_normalization": self.batch_normalization,
            "spectral_normalization": self.spectral_normalization,
        }

    @classmethod
    def from_config(cls, config: dict) -> "Networks":
        """The networks that `get_config` described."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="hvae_keras")
class DenseNetworks(Networks):
    """Dense layers: z of every level is a vector.

    Args:
        hidden: Units of the hidden layers between two levels, one tuple a level, such as
            `((256, 256), (128,))`; `()` for a linear map.
        activation, batch_normalization, spectral_normalization: As in `Networks`.

    Raises:
        ValueError: if there is no level, or an entry is not a tuple of positive integers.
    """

    def __init__(
        self,
        hidden: Sequence[Sequence[int]],
        activation: str = "leaky_relu",
        batch_normalization: bool = False,
        spectral_normalization: bool = False,
    ):
        super().__init__(hidden, activation, batch_normalization, spectral_normalization)
        for level, units in enumerate(hidden, 1):
            if not isinstance(units, Sequence) or any(int(u) != u or u < 1 for u in units):
                raise ValueError(
                    f"hidden holds a tuple of units for each level, such as ((256,), (128,)); "
                    f"level {level} has {units!r}."
                )
        self.hidden = tuple(tuple(int(u) for u in units) for units in hidden)

    def latent_shape(self, x_shape: Shape, level: int, units: int) -> Shape:
        """`(units,)`."""
        return (units,)

    def up(self, level: int) -> keras.layers.Layer:
        """The hidden layers of the level, first to last."""
        flatten = [keras.layers.Flatten()] if level == 1 else []
        return self._stack([*flatten, *self._layers(self.hidden[level - 1])], f"up_{level}")

    def down(self, level: int, x_shape: Shape) -> keras.layers.Layer:
        """The hidden layers of the level, last to first."""
        return self._stack(self._layers(self.hidden[level - 1][::-1]), f"down_{level}")

    def parameters(self, units: int) -> keras.layers.Layer:
        """One dense layer."""
        return keras.layers.Dense(2 * units, kernel_initializer=_near_zero())

    def output(self, x_shape: Shape) -> keras.layers.Layer:
        """One dense layer in the shape of x."""
        return self._stack([keras.layers.Dense(math.prod(x_shape)), keras.layers.Reshape(x_shape)], "output")

    def _layers(self, hidden: Sequence[int]) -> list[keras.layers.Layer]:
        made = []
        for units in hidden:
            # Batch normalisation has a shift of its own.
            made += self._hidden(keras.layers.Dense(units, use_bias=not self.batch_normalization))
        return made

    def _stack(self, made: list[keras.layers.Layer], name: str) -> keras.layers.Layer:
        return keras.Sequential(made or [keras.layers.Identity()], name=name)

    def get_config(self) -> dict:
        """Arguments that make the networks again."""
        return {"hidden": [list(units) for units in self.hidden], **super().get_config()}


@keras.saving.register_keras_serializable(package="hvae_keras")
class ConvolutionalNetworks(Networks):
    """3×3 convolutions: each level halves height and width, and z_i is a map of that size.

    A block up is a convolution with stride 2 and `depth - 1` more; a block down doubles the map by repeating
    pixels, cuts it to size where a side is odd, and convolves `depth` times.

    Args:
        channels: Channels of the hidden layers between two levels, one number a level.
        depth: Convolutions in a block.
        activation, batch_normalization, spectral_normalization: As in `Networks`.

    Raises:
        ValueError: if there is no level, or a number is not a positive integer.
    """

    def __init__(
        self,
        channels: Sequence[int],
        depth: int = 2,
        activation: str = "leaky_relu",
        batch_normalization: bool = False,
        spectral_normalization: bool = False,
    ):
        super().__init__(channels, activation, batch_normalization, spectral_normalization)
        for name, value in [("depth", depth), *((f"channels[{i}]", c) for i, c in enumerate(channels))]:
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a positive integer; got {value!r}.")
        self.channels, self.depth = tuple(channels), depth

    def latent_shape(self, x_shape: Shape, level: int, units: int) -> Shape:
        """`(height, width, units)`, the sides of x halved `level` times and rounded up."""
        return (*self._sides(x_shape, level), units)

    def up(self, level: int) -> keras.layers.Layer:
        """Half the height and width."""
        return keras.Sequential(self._convolutions(level, stride=2), name=f"up_{level}")

    def down(self, level: int, x_shape: Shape) -> keras.layers.Layer:
        """Twice the height and width."""
        above, below = self._sides(x_shape, level), self._sides(x_shape, level - 1)
        surplus = [(0, 2 * a - b) for a, b in zip(above, below, strict=True)]
        grow = [keras.layers.UpSampling2D(2), keras.layers.Cropping2D(surplus)]
        return keras.Sequential([*grow, *self._convolutions(level, stride=1)], name=f"down_{level}")

    def parameters(self, units: int) -> keras.layers.Layer:
        """One 1×1 convolution."""
        return keras.layers.Conv2D(2 * units, 1, kernel_initializer=_near_zero())

    def output(self, x_shape: Shape) -> keras.layers.Layer:
        """One 3×3 convolution to the channels of x."""
        return keras.layers.Conv2D(x_shape[-1], 3, padding="same", name="output")

    def _convolutions(self, level: int, stride: int) -> list[keras.layers.Layer]:
        made = []
        for i in range(self.depth):
            strides = stride if i == 0 else 1
            bias = not self.batch_normalization
            layer = keras.layers.Conv2D(self.channels[level - 1], 3, strides, "same", use_bias=bias)
            made += self._hidden(layer)
        return made

    def _sides(self, x_shape: Shape, level: int) -> Shape:
        if len(x_shape) != 3:
            raise ValueError(f"convolutional networks take x of shape (height, width, channels); got {x_shape}.")
        return tuple(-(-side // 2**level) for side in x_shape[:2])

    def get_config(self) -> dict:
        """Arguments that make the networks again."""
        return {"channels": list(self.channels), "depth": self.depth, **super().get_config()}


def _near_zero() -> keras.initializers.Initializer:
    """Kernels a tenth of Glorot & Bengio's (2010): every normal starts near N(0, I), every KL near zero.

    A log-variance far from zero at the start makes a KL that grows with its exponential, level upon level.
    """
    return keras.initializers.VarianceScaling(0.01, "fan_avg", "uniform")
