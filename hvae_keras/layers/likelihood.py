"""Likelihoods p(x|z): what the decoder's output means."""

import math

from hvae_keras import distributions
from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Distribution, Tensor


class Likelihood(keras.layers.Layer):
    """Base of the likelihoods: calling one on a decoder's output gives the mean of p(x|z).

    A subclass says which distribution the output stands for. `x` and the decoder's output have one shape.
    """

    def distribution(self, parameters: Tensor, event_dims: int | None = None) -> Distribution:
        """p(x|z).

        Args:
            parameters: The decoder's output, `[batch, *event]`.
            event_dims: How many of the last dimensions make one x; by default all but the first.
        """
        raise NotImplementedError

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over the dimensions of x: `[batch]`.

        Args:
            parameters: The decoder's output, `[batch, *event]`, or for several z a batch
                `[..., batch, *event]`; the result then has the shape `[..., batch]`.
            x: `[batch, *event]`.
        """
        return self.distribution(parameters, len(x.shape) - 1).log_prob(ops.cast(x, "float32"))

    def call(self, parameters: Tensor) -> Tensor:
        """The mean of p(x|z), in the shape of x."""
        return self.distribution(parameters).mean()

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """The mean has the shape of the decoder's output."""
        return input_shape

    def check(self, low: float, high: float) -> None:
        """Raise ValueError if data between `low` and `high` cannot come from this likelihood."""


@keras.saving.register_keras_serializable(package="hvae_keras")
class Bernoulli(Likelihood):
    """Independent Bernoulli pixels; the decoder gives logits. Stable for any logit.

    On x between 0 and 1, log p(x|z) is the cross-entropy, which is a log-likelihood for x in {0, 1} only.
    """

    def distribution(self, parameters: Tensor, event_dims: int | None = None) -> Distribution:
        """Bernoulli(sigmoid(parameters)) for each pixel."""
        return distributions.bernoulli(parameters, event_dims)

    def check(self, low: float, high: float) -> None:
        """Pixels are probabilities or outcomes: 0 to 1."""
        if low < 0 or high > 1:
            raise ValueError(
                f"the Bernoulli likelihood needs x between 0 and 1; got values from {low:g} to {high:g}. "
                "Rescale x (pixels of 0 to 255: divide by 255), or use layers.Normal."
            )


@keras.saving.register_keras_serializable(package="hvae_keras")
class Normal(Likelihood):
    """Normal observations of one standard deviation; the decoder gives the mean.

    With `scale` fixed, log p(x|z) is the squared error times -1/(2 scale²) plus a constant, so the scale
    says how much an error of reconstruction weighs against the KL.

    Args:
        scale: Standard deviation of every dimension of x.
        learn_scale: Whether training fits it (one number for all dimensions, starting at `scale`).
    """

    def __init__(self, scale: float = 1.0, learn_scale: bool = False, **kwargs):
        super().__init__(**kwargs)
        if not scale > 0:
            raise ValueError(f"scale is a standard deviation: a number above 0 is expected, got {scale!r}.")
        self.initial_scale, self.learn_scale = float(scale), learn_scale
        self.log_scale = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(math.log(scale)),
            trainable=learn_scale,
            dtype="float32",
            name="log_scale",
        )

    @property
    def scale(self) -> Tensor:
        """The standard deviation in use."""
        return ops.exp(self.log_scale)

    def distribution(self, parameters: Tensor, event_dims: int | None = None) -> Distribution:
        """N(parameters, scale²) for each dimension."""
        event_dims = len(parameters.shape) - 1 if event_dims is None else event_dims
        return distributions.normal(parameters, self.scale, event_dims)

    def get_config(self) -> dict:
        """Arguments that make the layer again."""
        return {**super().get_config(), "scale": self.initial_scale, "learn_scale": self.learn_scale}
