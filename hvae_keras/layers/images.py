"""Convolutional networks between latent vectors, labels, sketches and images, for adversarial models."""

import math
from collections.abc import Sequence

from hvae_keras.backend import keras
from hvae_keras.layers.spectral import SpectralNormalization

SLOPE = 0.2  # of a leaky ReLU below zero, in every network here (Radford, Metz & Chintala 2016)


def image_generator(
    latent: int, shape: Sequence[int], channels: Sequence[int], classes: int = 0, name: str = "generator"
) -> keras.Model:
    """From z `[batch, latent]`, or z and a class vector, to images in [0, 1].

    A dense layer makes a small map; each further entry of `channels` doubles its sides and convolves.

    Args:
        latent: Size of z.
        shape: Height, width and channels of the image; both sides divide by 2 to the power of the doublings.
        channels: Channels of the maps, from the smallest map to the image's own size.
        classes: Length of the class vector, the second input; 0 for none.
        name: Name of the network.

    Raises:
        ValueError: if the sides do not divide.
    """
    height, width, colours = shape
    if not channels:
        raise ValueError("channels names the channels of at least one map; it is empty.")
    halved = 2 ** (len(channels) - 1)
    if height % halved or width % halved:
        raise ValueError(
            f"the sides of shape {tuple(shape)} divide by {halved}, for {len(channels)} entries of channels."
        )
    z = keras.Input((latent,), name="z")
    inputs = [z, keras.Input((classes,), name="label")] if classes else [z]
    h = keras.layers.Concatenate()(inputs) if classes else z
    start = (height // halved, width // halved, channels[0])
    h = keras.layers.Reshape(start)(keras.layers.Dense(math.prod(start))(h))
    h = _generated(h)
    for width_of_map in channels[1:]:
        h = keras.layers.UpSampling2D(2)(h)
        h = _generated(_convolution(width_of_map)(h))
    x = keras.layers.Conv2D(colours, 3, padding="same", activation="sigmoid")(h)
    return keras.Model(inputs if classes else z, x, name=name)


def image_refiner(
    latent: int,
    sketch_shape: Sequence[int],
    shape: Sequence[int],
    channels: Sequence[int],
    name: str = "refiner",
) -> keras.Model:
    """From z `[batch, latent]` and a sketch to an image in [0, 1]: the sketch, enlarged, and a change of it.

    z becomes a map of half the sketch's sides, so that it can say what goes where. The change is zero at the
    start of training: the network begins by copying the sketch (Denton et al. 2015 learn the difference, too).

    Args:
        latent: Size of z.
        sketch_shape: Height, width and channels of the sketch.
        shape: Those of the image; its sides are those of the sketch times 2, 4, ...
        channels: Channels of z's map, of the maps of the sketch's size, and of the maps of the image's size.
        name: Name of the network.

    Raises:
        ValueError: if the sides or channels do not fit, or `channels` has not three entries.
    """
    factor = _factor(sketch_shape, shape)
    if sketch_shape[0] % 2 or sketch_shape[1] % 2:
        raise ValueError(f"the sides of sketch_shape are even; got {tuple(sketch_shape)}.")
    if len(channels) != 3:
        raise ValueError(f"channels has three entries, of z's map, the sketch and the image; got {channels!r}.")
    z, sketch = keras.Input((latent,), name="z"), keras.Input(tuple(sketch_shape), name="sketch")
    start = (sketch_shape[0] // 2, sketch_shape[1] // 2, channels[0])
    placed = keras.layers.Reshape(start)(keras.layers.Dense(math.prod(start))(z))
    placed = keras.layers.UpSampling2D(2)(_generated(placed))
    h = keras.layers.Concatenate()([placed, sketch])
    h = _generated(_convolution(channels[1])(h))
    h = _generated(_convolution(channels[1])(h))
    enlarged = keras.layers.UpSampling2D(factor, interpolation="bilinear")(sketch)
    h = keras.layers.Concatenate()([keras.layers.UpSampling2D(factor)(h), enlarged])
    h = _generated(_convolution(channels[2])(h))
    h = _generated(_convolution(channels[2])(h))
    change = keras.layers.Conv2D(shape[-1], 3, padding="same", kernel_initializer="zeros")(h)
    return keras.Model([z, sketch], Changed(name="picture")([enlarged, change]), name=name)


def image_discriminator(
    shape: Sequence[int],
    channels: Sequence[int],
    sketch_shape: Sequence[int] | None = None,
    classes: int = 0,
    name: str = "discriminator",
) -> keras.Model:
    """From an image, or an image and what it was made from, to a score `[batch, 1]`; spectrally normalised.

    Each entry of `channels` but the first is a convolution that halves the sides. A sketch is enlarged and laid
    over the image as further channels. A label adds the inner product of its vector with the last features
    (Miyato & Koyama 2018).

    Args:
        shape: Height, width and channels of the image.
        channels: Channels of the maps, from the image's own size to the smallest.
        sketch_shape: Shape of a sketch, the second input; None for none.
        classes: Length of a class vector, the second input; 0 for none.
        name: Name of the network.

    Raises:
        ValueError: if both a sketch and classes are given, or the sides do not fit.
    """
    if sketch_shape is not None and classes:
        raise ValueError("a discriminator sees a sketch or a label beside the image, not both.")
    x = keras.Input(tuple(shape), name="x")
    h, inputs = x, [x]
    if sketch_shape is not None:
        inputs.append(keras.Input(tuple(sketch_shape), name="sketch"))
        h = keras.layers.Concatenate()([x, keras.layers.UpSampling2D(_factor(sketch_shape, shape))(inputs[1])])
    h = _activated(SpectralNormalization(_convolution(channels[0]))(h))
    for width_of_map in channels[1:]:
        h = _activated(SpectralNormalization(_convolution(width_of_map, stride=2))(h))
    features = keras.layers.Flatten()(h)
    score = SpectralNormalization(keras.layers.Dense(1))(features)
    if classes:
        inputs.append(keras.Input((classes,), name="label"))
        features = keras.layers.GlobalAveragePooling2D()(h)
        direction = SpectralNormalization(keras.layers.Dense(channels[-1], use_bias=False))(inputs[1])
        score = keras.layers.Add()([score, keras.layers.Dot(1)([features, direction])])
    return keras.Model(inputs if len(inputs) > 1 else x, score, name=name)


@keras.saving.register_keras_serializable(package="hvae_keras")
class Changed(keras.layers.Layer):
    """An image in [0, 1] whose log-odds are changed by a second input of the same shape."""

    def call(self, inputs: list) -> object:
        """sigmoid(log x / (1 - x) + change), with x kept a hundredth from 0 and 1: every value can be reached."""
        image, change = inputs
        image = keras.ops.clip(image, 0.01, 0.99)
        return keras.ops.sigmoid(keras.ops.log(image) - keras.ops.log(1 - image) + change)

    def compute_output_shape(self, input_shape: list) -> tuple:
        """The image's."""
        return tuple(input_shape[0])


def _convolution(channels: int, stride: int = 1) -> keras.layers.Layer:
    if stride == 1:
        return keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer="he_normal")
    return keras.layers.Conv2D(channels, 4, stride, padding="same", kernel_initializer="he_normal")


def _activated(h: object) -> object:
    return keras.layers.LeakyReLU(negative_slope=SLOPE)(h)


def _generated(h: object) -> object:
    """The activation of pixels over the root mean square of their channels (Karras et al. 2018: after it)."""
    return _activated(keras.layers.RMSNormalization()(h))


def _factor(sketch_shape: Sequence[int], shape: Sequence[int]) -> int:
    """How many times larger the image is; ValueError if it is not a whole number of times."""
    factor = shape[0] // sketch_shape[0]
    if factor < 1 or [side * factor for side in sketch_shape[:2]] != list(shape[:2]):
        raise ValueError(
            f"the sides of shape {tuple(shape)} are a whole multiple of those of the sketch {tuple(sketch_shape)}."
        )
    return factor
