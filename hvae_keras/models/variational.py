"""The objective that every model of the VAE family shares: the evidence lower bound, level by level."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Distribution, Seed, Tensor
from hvae_keras.layers import Likelihood, Penalty
from hvae_keras.models.base import BaseModel, held_latents
from hvae_keras.models.inference import Level


class Draw(NamedTuple):
    """One level of a walk down the priors."""

    prior: Distribution
    z: Tensor


class VariationalModel(BaseModel):
    """A model with L levels of latent variables z_1 (nearest the data) to z_L, trained on the ELBO.

    The loss of one example is -(log_likelihood - sum_i beta_i KL_i), in nats (Kingma & Welling 2014,
    equation 10; Higgins et al. 2017 for beta): sums over dimensions, and a mean over the batch only.
    `elbo` in the logs is the bound itself, with every beta equal to 1 and no penalty.

    A subclass writes `encode`, `explain` and `ancestral`.

    Attributes:
        sequential_levels: Levels whose z is drawn part by part, each part given those before. Their `prior` and
            `posterior` have the right density at the z that was drawn with them, and at no other.

    Args:
        likelihood: A layer of `hvae_keras.layers` that says what the decoder's output means.
        levels: L.
        beta: Weight of the KL, one number or one a level. It becomes a weight of the model of shape `[L]`,
            which is not trained and which `model.beta = ...` sets without a new trace.
        penalty: What beta weighs in place of the KL, a layer such as `layers.FreeBits(0.1)`; the logs then
            hold its sum over the levels as `penalty`, beside the true KL.

    Raises:
        ValueError: if a part is of another kind, or has another number of levels.
    """

    sequential_levels: tuple[int, ...] = ()

    def __init__(
        self,
        likelihood: Likelihood,
        levels: int,
        beta: float | Sequence[float] = 1.0,
        penalty: Penalty | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(likelihood, Likelihood):
            raise ValueError(f"likelihood is a layer such as hvae_keras.layers.Bernoulli(); got {likelihood!r}.")
        if penalty is not None and not isinstance(penalty, Penalty):
            raise ValueError(f"penalty is a layer such as hvae_keras.layers.FreeBits(0.1); got {penalty!r}.")
        self.likelihood, self.levels, self.penalty = likelihood, levels, penalty
        if penalty is not None:
            penalty.build_levels(levels)
        start = self._one_a_level(beta)
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
        floored = [] if penalty is None else ["penalty"]
        self._track(
            logged=("elbo", "log_likelihood", "kl", *each, *floored), watched=("log_likelihood", *kls, *floored)
        )

    @property
    def beta(self) -> keras.Variable:
        """Weights of the KL terms, `[L]`. Assigning a number or L numbers changes the weight's values."""
        return self._beta

    @beta.setter
    def beta(self, value: float | Sequence[float]) -> None:
        self._beta.assign(self._one_a_level(value))

    def _one_a_level(self, beta: float | Sequence[float]) -> np.ndarray:
        beta = np.asarray(ops.convert_to_numpy(beta), "float32")
        if beta.shape not in ((), (self.levels,)):
            raise ValueError(f"beta is one number or {self.levels}, one a level; got shape {beta.shape}.")
        return np.broadcast_to(beta, (self.levels,))

    # What a subclass writes

    def encode(self, x: Tensor, training: bool = False) -> Any:
        """The part of inference that does not depend on a draw: a tensor or a list of them, `[batch, ...]`."""
        raise NotImplementedError

    def explain(
        self,
        encoded: Any,
        seed: Seed,
        temperature: float = 1.0,
        training: bool = False,
        latents: dict[int, Tensor] | None = None,
    ) -> tuple[list[Level], Tensor]:
        """The rest of inference: draw every level given what `encode` found, and go down to x.

        Args:
            encoded: `encode(x)`.
            seed: As `distributions.sample` takes it.
            temperature: Factor on the posterior's scale in the draw; 0 gives its mean. The KL is that of
                the posterior itself.
            training: Passed to the networks.
            latents: `{level: z}`, z of shape `[batch, *event]`: these are held instead of drawn, and the
                posteriors of the other levels are conditional on them.

        Returns:
            The levels from 1 to L, and the parameters of p(x|z) in the shape of x.
        """
        raise NotImplementedError

    def ancestral(
        self, n: int, latents: dict[int, Tensor] | None = None, temperature: float = 1.0, seed: Seed | None = None
    ) -> tuple[list[Draw], Tensor]:
        """Ancestral sampling: draw z_L from its prior, then each level given those above, down to x.

        Args:
            n: How many.
            latents: `{level: z}`, z of shape `[n, *event]`: these are held, the others drawn.
            temperature: Factor on the scale of every prior drawn from.
            seed: As `distributions.sample` takes it; the model's own generator by default.

        Returns:
            Prior and draw of the levels from 1 to L, and the parameters of p(x|z), `[n, *shape]`.

        Raises:
            ValueError: if `latents` names a level that is not there, or holds another number of z than n.
        """
        raise NotImplementedError

    # What every subclass shares

    def infer(self, x: Tensor, temperature: float = 1.0, training: bool = False) -> list[Level]:
        """Prior, posterior, draw and KL of each level given x, from level 1 to L.

        Args:
            x: `[batch, *shape]`.
            temperature: Factor on the posterior's scale in the draw; 0 gives its mean. The KL is that of
                the posterior itself.
            training: Passed to the networks.
        """
        return self.explain(self.encode(x, training), self.seed_generator, temperature, training)[0]

    def call(self, x: Tensor, training: bool = False) -> dict[str, Tensor]:
        """One draw of the posterior: reconstruction, log_likelihood `[batch]` and kl `[batch, L]`."""
        levels, parameters = self.explain(self.encode(x, training), self.seed_generator, training=training)
        outputs = {
            "reconstruction": self.likelihood(parameters),
            "log_likelihood": self.likelihood.log_prob(parameters, x),
            "kl": ops.stack([level.kl for level in levels], axis=-1),
        }
        if self.penalty is not None:
            outputs["penalty"] = self.penalty([level.kl_units for level in levels])
        return outputs

    def log_weights(self, x: Tensor, encoded: Any, samples: int, seed: Seed) -> Tensor:
        """log p(x, z) - log q(z|x) in nats for `samples` draws of every z: `[samples, batch]`.

        Args:
            x: `[batch, *shape]`.
            encoded: `encode(x)`, so that the deterministic part of inference runs once for all draws.
            samples: Draws for each example.
            seed: As `distributions.sample` takes it.
        """
        levels, parameters = self.explain(_repeated(encoded, samples), seed)
        parameters = ops.reshape(parameters, (samples, -1, *parameters.shape[1:]))
        kl = sum(level.posterior.log_prob(level.z) - level.prior.log_prob(level.z) for level in levels)
        return self.likelihood.log_prob(parameters, x) - ops.reshape(kl, (samples, -1))

    def objective(self, x: Tensor, outputs: dict[str, Tensor]) -> tuple[Tensor, dict, dict]:
        """The negative ELBO of each example, with the KL (or penalty) of level i weighted by beta_i."""
        log_likelihood, kl = outputs["log_likelihood"], outputs["kl"]
        penalty = outputs.get("penalty", kl)
        loss = ops.sum(self.beta * penalty, axis=-1) - log_likelihood
        each = {f"kl_{i + 1}": kl[:, i] for i in range(self.levels)}
        total = ops.sum(kl, axis=-1)
        logged = {"elbo": log_likelihood - total, "log_likelihood": log_likelihood, "kl": total, **each}
        watched = {"log_likelihood": log_likelihood, **each}
        if self.penalty is not None:
            logged["penalty"] = watched["penalty"] = ops.sum(penalty, axis=-1)
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
        return ops.convert_to_numpy(self.likelihood(self.ancestral(n, latents, temperature)[1]))

    def _held(self, n: int, latents: dict[int, Tensor] | None) -> dict[int, Tensor]:
        """The levels to hold, checked."""
        return held_latents(n, latents, self.latent_shapes)

    def reconstruct(self, x: Tensor, from_level: int = 1, temperature: float = 1.0) -> np.ndarray:
        """Means of p(x|z), levels `from_level` to L inferred from x and those below drawn from their priors.

        Args:
            x: `[batch, *shape]`.
            from_level: Lowest level to infer.
            temperature: Factor on the scale of every draw; 0 uses the means.

        Raises:
            ValueError: if the model has no such level.
        """
        return self.generate(len(x), self._inferred(x, from_level, temperature), temperature)

    def _inferred(self, x: Tensor, from_level: int, temperature: float) -> dict[int, Tensor]:
        """z of the levels from `from_level` up, given x."""
        if from_level not in range(1, self.levels + 1):
            raise ValueError(f"from_level is a level, 1 to {self.levels}; got {from_level!r}.")
        levels = self.infer(ops.cast(x, "float32"), temperature=temperature)
        return {i: level.z for i, level in enumerate(levels, 1) if i >= from_level}

    def log_likelihood(self, x: Tensor, latents: dict[int, Tensor], seed: Seed) -> Tensor:
        """log p(x|z) in nats, `[batch]`, z as in `latents` where it is held and drawn from the priors where not.

        Args:
            x: `[batch, *shape]`.
            latents: `{level: z}`, z of shape `[batch, *event]`.
            seed: As `distributions.sample` takes it.
        """
        return self.likelihood.log_prob(self.ancestral(x.shape[0], latents, seed=seed)[1], x)

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """Reconstructions of x, each from one draw of the posterior; arguments as in Keras."""
        return super().predict(x, **kwargs)["reconstruction"]

    def check_range(self, low: float, high: float) -> None:
        """Ask the likelihood whether it can explain such data."""
        self.likelihood.check(low, high)

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "beta": self._beta}

    def get_config(self) -> dict:
        """Arguments that make the model again."""
        penalty = None if self.penalty is None else keras.saving.serialize_keras_object(self.penalty)
        return {**super().get_config(), "beta": self.initial_beta, "penalty": penalty}


def _repeated(encoded: Any, samples: int) -> Any:
    """Each tensor `[batch, ...]` as `[samples * batch, ...]`, the examples in order within each sample."""
    if isinstance(encoded, list):
        return [_repeated(part, samples) for part in encoded]
    return ops.tile(encoded, (samples, *(1 for _ in encoded.shape[1:])))
