"""The objective that every model of the VAE family shares: the evidence lower bound, level by level."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Distribution, Tensor
from hvae_keras.layers import Likelihood
from hvae_keras.models.base import BaseModel


class Level(NamedTuple):
    """What inference found at one level."""

    prior: Distribution
    posterior: Distribution
    z: Tensor
    kl: Tensor  # [batch], nats, summed over the dimensions of z


class VariationalModel(BaseModel):
    """A model with L levels of latent variables z_1 (nearest the data) to z_L, trained on the ELBO.

    The loss of one example is -(log_likelihood - sum_i beta_i KL_i), in nats (Kingma & Welling 2014,
    equation 10; Higgins et al. 2017 for beta): sums over dimensions, and a mean over the batch only.
    `elbo` in the logs is the bound itself, with every beta equal to 1.

    A subclass writes `infer`, `decode_levels`, `draw`, `encode` and `log_weights`.

    Args:
        likelihood: A layer of `hvae_keras.layers` that says what the decoder's output means.
        levels: L.
        beta: Weight of the KL, one number or one a level. It becomes a weight of the model of shape `[L]`,
            which is not trained and which `model.beta = ...` sets without a new trace.
    """

    def __init__(self, likelihood: Likelihood, levels: int, beta: float | Sequence[float] = 1.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(likelihood, Likelihood):
            raise ValueError(f"likelihood is a layer such as hvae_keras.layers.Bernoulli(); got {likelihood!r}.")
        self.likelihood, self.levels = likelihood, levels
        start = np.broadcast_to(np.asarray(beta, "float32"), (levels,))
        self._beta = self.add_weight(
            shape=(levels,),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(start, dtype=dtype),
            trainable=False,
            dtype="float32",
            name="beta",
        )
        self.initial_beta = [float(value) for value in start]
        kls = [f"kl of level {i}" for i in range(1, levels + 1)]
        each = [f"kl_{i}" for i in range(1, levels + 1)] if levels > 1 else []
        self._track(logged=("elbo", "log_likelihood", "kl", *each), watched=("log_likelihood", *kls))

    @property
    def beta(self) -> keras.Variable:
        """Weights of the KL terms, `[L]`. Assigning a number or L numbers changes the weight's values."""
        return self._beta

    @beta.setter
    def beta(self, value: float | Sequence[float]) -> None:
        value = np.asarray(ops.convert_to_numpy(value), "float32")
        if value.shape not in ((), (self.levels,)):
            raise ValueError(f"beta is one number or {self.levels}, one a level; got shape {value.shape}.")
        self._beta.assign(np.broadcast_to(value, (self.levels,)))

    # What a subclass writes

    def infer(self, x: Tensor, temperature: float = 1.0, training: bool = False) -> list[Level]:
        """Prior, posterior, draw and KL of each level given x, from level 1 to L.

        Args:
            x: `[batch, *shape]`.
            temperature: Factor on the posterior's scale in the draw; 0 gives its mean. The KL is that of
                the posterior itself.
            training: Passed to the networks.
        """
        raise NotImplementedError

    def decode_levels(self, latents: list[Tensor], training: bool = False) -> Tensor:
        """Parameters of p(x|z) from z_1 to z_L, in the shape of x."""
        raise NotImplementedError

    def draw(self, latents: dict[int, Tensor], n: int, temperature: float) -> list[Tensor]:
        """z_1 to z_L, drawn from the top down; the levels in `latents` are held at what is given."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Any:
        """The part of inference that does not depend on a draw; each tensor in it is `[batch, ...]`."""
        raise NotImplementedError

    def log_weights(self, x: Tensor, encoded: Any, samples: int, seed: Any) -> Tensor:
        """log p(x, z) - log q(z|x) in nats for `samples` draws of every z: `[samples, batch]`.

        Args:
            x: `[batch, *shape]`.
            encoded: `encode(x)`.
            samples: Draws for each example.
            seed: As `distributions.sample` takes it.
        """
        raise NotImplementedError

    # What every subclass shares

    def call(self, x: Tensor, training: bool = False) -> dict[str, Tensor]:
        """One draw of the posterior: reconstruction, log_likelihood `[batch]` and kl `[batch, L]`."""
        x = ops.cast(x, "float32")
        levels = self.infer(x, training=training)
        parameters = self.decode_levels([level.z for level in levels], training=training)
        return {
            "reconstruction": self.likelihood(parameters),
            "log_likelihood": self.likelihood.log_prob(parameters, x),
            "kl": ops.stack([level.kl for level in levels], axis=-1),
        }

    def objective(self, x: Tensor, outputs: dict[str, Tensor]) -> tuple[Tensor, dict, dict]:
        """The negative ELBO of each example, with the KL of level i weighted by beta_i."""
        log_likelihood, kl = outputs["log_likelihood"], outputs["kl"]
        loss = ops.sum(self.beta * kl, axis=-1) - log_likelihood
        each = {f"kl_{i + 1}": kl[:, i] for i in range(self.levels)}
        total = ops.sum(kl, axis=-1)
        logged = {"elbo": log_likelihood - total, "log_likelihood": log_likelihood, "kl": total, **each}
        watched = {"log_likelihood": log_likelihood, **each}
        return loss, logged, watched

    def bound(self, x: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """The two parts of the ELBO of each example, from one draw of the posterior.

        Args:
            x: `[batch, *shape]`.
            training: Passed to the networks.

        Returns:
            log p(x|z), `[batch]`, and the KL of each level, `[batch, L]`, both in nats.
        """
        outputs = self(x, training=training)
        return outputs["log_likelihood"], outputs["kl"]

    def generate(self, n: int, latents: dict[int, Tensor] | None = None, temperature: float = 1.0) -> np.ndarray:
        """Means of p(x|z) for z drawn from the prior: `[n, *shape]`.

        Args:
            n: How many.
            latents: `{level: z}`, z of shape `[n, *event]`: these levels are held, the others drawn.
            temperature: Factor on the scale of every prior drawn from.

        Raises:
            ValueError: if `latents` names a level that is not there, or holds another number of z than n.
        """
        held = {level: ops.cast(z, "float32") for level, z in (latents or {}).items()}
        for level, z in held.items():
            if level not in range(1, self.levels + 1):
                raise ValueError(f"latents holds level {level!r}; the levels are 1 to {self.levels}.")
            if z.shape[0] != n:
                raise ValueError(f"latents[{level}] holds {z.shape[0]} draws; n is {n}.")
        parameters = self.decode_levels(self.draw(held, n, temperature))
        return ops.convert_to_numpy(self.likelihood(parameters))

    def reconstruct(self, x: Tensor, from_level: int = 1, temperature: float = 1.0) -> np.ndarray:
        """Means of p(x|z), levels `from_level` to L inferred from x and those below drawn from their priors.

        Args:
            x: `[batch, *shape]`.
            from_level: Lowest level to infer.
            temperature: Factor on the scale of every draw; 0 uses the means.

        Raises:
            ValueError: if the model has no such level.
        """
        if from_level not in range(1, self.levels + 1):
            raise ValueError(f"from_level is a level, 1 to {self.levels}; got {from_level!r}.")
        levels = self.infer(ops.cast(x, "float32"), temperature=temperature)
        inferred = {i: level.z for i, level in enumerate(levels, 1) if i >= from_level}
        return self.generate(len(x), inferred, temperature)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Reconstructions of x, each from one draw of the posterior; arguments as in Keras."""
        return super().predict(x, **kwargs)["reconstruction"]

    def check_range(self, low: float, high: float) -> None:
        """Ask the likelihood whether it can explain such data."""
        self.likelihood.check(low, high)

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "beta": self._beta}
