"""Likelihoods of sequences: p(x) = ∏ p(x_t | x_{<t}), one distribution a step, and what a step looks like."""

from hvae_keras import distributions
from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Distribution, Seed, Tensor
from hvae_keras.layers.likelihood import Likelihood

PADDING = -1  # what stands in x where a sequence has ended


class SequenceLikelihood(Likelihood):
    """Base of the likelihoods whose x is a sequence. A step of x is padding where it holds -1.

    A subclass sets `size`, how many numbers describe a step, and writes `distribution`, `mask`, `as_input`,
    `step_log_prob` and `draw`.
    """

    size: int

    def mask(self, x: Tensor) -> Tensor:
        """1.0 where x has a step, 0.0 where it is padding: `[batch, steps]`."""
        raise NotImplementedError

    def as_input(self, x: Tensor) -> Tensor:
        """x as a network reads it, zeros in the place of padding: `[batch, steps, size]`."""
        raise NotImplementedError

    def step_log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log p(x_t | x_{<t}) in nats, 0 at padding.

        Args:
            parameters: Of every step, `[..., batch, steps, size]`.
            x: `[batch, steps, ...]`.

        Returns:
            `[..., batch, steps]`.
        """
        raise NotImplementedError

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log p(x) in nats, summed over the steps that are not padding: `[..., batch]`."""
        return ops.sum(self.step_log_prob(parameters, x), axis=-1)

    def draw(
        self, parameters: Tensor, seed: Seed, temperature: float | Tensor = 1.0, top_k: int | None = None
    ) -> Tensor:
        """A draw of each step, given the steps before it.

        Args:
            parameters: `[..., size]`.
            seed: As `distributions.sample` takes it.
            temperature: What the logits are divided by, above 0. Towards 0 the most probable outcome is left.
            top_k: Draw among the k most probable outcomes only.

        Returns:
            Steps like those of x, one for each of `parameters`.
        """
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="hvae_keras")
class Categorical(SequenceLikelihood):
    """One of `classes` tokens a step: x is int `[batch, steps]`, tokens from 0 and -1 for padding.

    Calling it gives the probabilities of the tokens, which are the mean of x as one-hot vectors.

    Args:
        classes: How many tokens there are, at least 2.

    Raises:
        ValueError: if there are fewer.
    """

    def __init__(self, classes: int, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(classes, int) or classes < 2:
            raise ValueError(f"classes is how many tokens there are, at least 2; got {classes!r}.")
        self.classes = self.size = classes

    def distribution(self, parameters: Tensor, event_dims: int | None = None) -> Distribution:
        """A categorical over the tokens for every step, from logits `[..., steps, classes]`."""
        return distributions.categorical(parameters)

    def call(self, parameters: Tensor) -> Tensor:
        """Probabilities of the tokens of every step: `[..., steps, classes]`."""
        return ops.softmax(ops.cast(parameters, "float32"), axis=-1)

    def mask(self, x: Tensor) -> Tensor:
        """1.0 where x is a token: `[batch, steps]`."""
        return ops.cast(ops.cast(x, "int32") >= 0, "float32")

    def as_input(self, x: Tensor) -> Tensor:
        """x as one-hot vectors, zeros for padding: `[batch, steps, classes]`."""
        return ops.one_hot(ops.cast(x, "int32"), self.classes)

    def step_log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log of the probability of each token in nats, 0 at padding: `[..., batch, steps]`."""
        tokens = ops.maximum(ops.cast(x, "int32"), 0)
        return self.distribution(parameters).log_prob(tokens) * self.mask(x)

    def draw(
        self, parameters: Tensor, seed: Seed, temperature: float | Tensor = 1.0, top_k: int | None = None
    ) -> Tensor:
        """A token, int32 `[...]`, for logits `[..., classes]`."""
        logits = ops.cast(parameters, "float32") / temperature
        if top_k is not None and top_k < self.classes:
            # By their places, not by their value: of equals no more than k are kept. The largest becomes 0, so
            # that at no temperature is it less than what is left out.
            largest, places = ops.top_k(logits, top_k)
            chosen = ops.sum(ops.one_hot(places, self.classes), axis=-2)
            logits = ops.where(chosen > 0, logits - largest[..., :1], -1e9)
        return ops.cast(distributions.draw_discrete(self.distribution(logits), seed), "int32")

    def check(self, low: float, high: float) -> None:
        """Tokens are 0 to classes - 1, and -1."""
        if low < PADDING or high >= self.classes:
            raise ValueError(
                f"x holds tokens 0 to {self.classes - 1}, and -1 for padding; got values from {low:g} to {high:g}."
            )

    def get_config(self) -> dict:
        """Arguments that make the layer again."""
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable(package="hvae_keras")
class BernoulliFrames(SequenceLikelihood):
    """Keys on or off, independent given the past: x is `[batch, steps, keys]` of 0 and 1, -1 for padding.

    The model of Boulanger-Lewandowski, Bengio & Vincent (2012) without their joint output: given the past, no
    key knows of another in the same frame.

    Args:
        keys: How many keys a frame has, at least 1.

    Raises:
        ValueError: if there is none.
    """

    def __init__(self, keys: int, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(keys, int) or keys < 1:
            raise ValueError(f"keys is how many keys a frame has, at least 1; got {keys!r}.")
        self.keys = self.size = keys

    def distribution(self, parameters: Tensor, event_dims: int | None = None) -> Distribution:
        """Independent Bernoullis of one frame a step, from logits `[..., steps, keys]`."""
        return distributions.bernoulli(parameters, 1)

    def mask(self, x: Tensor) -> Tensor:
        """1.0 where x is a frame: `[batch, steps]`."""
        return ops.cast(x[..., 0] >= 0, "float32")

    def as_input(self, x: Tensor) -> Tensor:
        """x with zeros for padding: `[batch, steps, keys]`."""
        return ops.maximum(ops.cast(x, "float32"), 0.0)

    def step_log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log-probability of each frame in nats, summed over its keys, 0 at padding: `[..., batch, steps]`."""
        return self.distribution(parameters).log_prob(self.as_input(x)) * self.mask(x)

    def draw(
        self, parameters: Tensor, seed: Seed, temperature: float | Tensor = 1.0, top_k: int | None = None
    ) -> Tensor:
        """A frame, float32 `[..., keys]`, for logits `[..., keys]`."""
        if top_k is not None:
            raise ValueError("top_k chooses among tokens; the keys of a frame are drawn each for itself.")
        drawn = distributions.draw_discrete(distributions.bernoulli(parameters / temperature, 1), seed)
        return ops.cast(drawn, "float32")

    def check(self, low: float, high: float) -> None:
        """Keys are 0 or 1, and -1."""
        if low < PADDING or high > 1:
            raise ValueError(f"x holds 0 and 1, and -1 for padding; got values from {low:g} to {high:g}.")

    def get_config(self) -> dict:
        """Arguments that make the layer again."""
        return {**super().get_config(), "keys": self.keys}
