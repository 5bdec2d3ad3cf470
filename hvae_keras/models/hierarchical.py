"""The hierarchical variational autoencoder: one generator, several ways to infer its levels."""

from collections.abc import Callable, Sequence
from typing import Any

from hvae_keras import distributions
from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Distribution, Seed, Tensor
from hvae_keras.layers import Bernoulli, Likelihood, Networks, Penalty
from hvae_keras.models.base import serialized
from hvae_keras.models.inference import Inference, Ladder, Level, built
from hvae_keras.models.variational import Draw, VariationalModel


@keras.saving.register_keras_serializable(package="hvae_keras")
class HierarchicalVAE(VariationalModel):
    """p(z_L) ∏ p(z_i|z_{i+1}) p(x|z_1), p(z_L) = N(0, I), every conditional a diagonal normal.

    With `inference=Ladder()` it is the Ladder VAE (Sønderby et al. 2016). With one level it is the `VAE`.

    Args:
        latents: Units of z_1 (nearest the data) to z_L; channels if the networks are convolutional.
        networks: What makes the networks, such as `layers.DenseNetworks(((256,), (128,)))`: one entry a level.
        inference: The posterior: `BottomUp()`, `TopDown()` or `Ladder()`, the default.
        likelihood: Layer that says what the decoder's output means; `Bernoulli()` by default.
        skip: Whether each level also sees the top-down state of the level above. Then the model is
            p(z_L) ∏ p(z_i|z_{>i}) p(x|z_1, ..., z_L).
        beta: Weight of the KL in the loss, one number or one a level.
        penalty: What beta weighs in place of the KL, such as `layers.FreeBits(0.1)`.

    Raises:
        ValueError: if there is no level, latents and networks differ in length, or a number of units is not a
            positive integer.
    """

    def __init__(
        self,
        latents: Sequence[int],
        networks: Networks,
        inference: Inference | None = None,
        likelihood: Likelihood | None = None,
        skip: bool = False,
        beta: float | Sequence[float] = 1.0,
        penalty: Penalty | None = None,
        **kwargs,
    ):
        latents = tuple(latents)
        if not latents or not all(isinstance(units, int) and units > 0 for units in latents):
            raise ValueError(f"latents holds the units of z_1 to z_L, positive integers; got {latents}.")
        if not isinstance(networks, Networks):
            raise ValueError(f"networks is made by a class such as layers.DenseNetworks; got {networks!r}.")
        if networks.levels != len(latents):
            raise ValueError(f"latents has {len(latents)} levels, networks {networks.levels}: one entry a level.")
        likelihood = Bernoulli() if likelihood is None else likelihood
        super().__init__(likelihood, len(latents), beta, penalty, **kwargs)
        self.latents, self.networks, self.skip = latents, networks, skip
        self.inference = Ladder() if inference is None else inference
        if not isinstance(self.inference, Inference):
            raise ValueError(f"inference is BottomUp(), TopDown() or Ladder(); got {inference!r}.")

    def build(self, input_shape: tuple) -> None:
        """Make the variables for x of shape `[None, *shape]`: the generator's first, then the inference's."""
        self._data_shape = shape = tuple(input_shape[1:])
        below = range(1, self.levels)
        self.latent_shapes = [self.networks.latent_shape(shape, i, u) for i, u in enumerate(self.latents, 1)]
        self.downs = [self.networks.down(i, shape) for i in range(1, self.levels + 1)]
        self.heads = [self.networks.parameters(units) for units in self.latents[:-1]]
        self.output_layer = self.networks.output(shape)
        states = [None] * self.levels
        for i in range(self.levels, 0, -1):
            seen = self.latent_shapes[i - 1]
            if self.skip and i < self.levels:
                seen = (*seen[:-1], seen[-1] + states[i][-1])
            states[i - 1] = built(self.downs[i - 1], seen)
        for i in below:
            built(self.heads[i - 1], states[i])
        built(self.output_layer, states[0])
        self.inference.connect(self.networks, self.latents, shape, [states[i] for i in below])
        self.likelihood.build((None, *shape))

    def _descend(self, choose: Callable[[int, Tensor, Tensor], Tensor], training: bool) -> Tensor:
        """Walk from z_L to x: training, sampling and holding levels all come this way.

        Args:
            choose: `choose(level, prior_parameters, state)` gives z of the level. The parameters of the top
                prior are zeros, mean and log-variance of N(0, I), without a batch, and its state is None.
            training: Passed to the networks.

        Returns:
            Parameters of p(x|z).
        """
        *space, units = self.latent_shapes[-1]
        prior_parameters, state = ops.zeros((*space, 2 * units)), None
        for level in range(self.levels, 0, -1):
            z = choose(level, prior_parameters, state)
            seen = ops.concatenate([z, state], axis=-1) if self.skip and state is not None else z
            state = self.downs[level - 1](seen, training=training)
            if level > 1:
                prior_parameters = self.heads[level - 2](state)
        return self.output_layer(state)

    def encode(self, x: Tensor, training: bool = False) -> list[Tensor]:
        """The part of inference that does not depend on a draw, each tensor `[batch, ...]`."""
        return self.inference.encode(ops.cast(x, "float32"), training)

    def explain(
        self,
        encoded: list[Tensor],
        seed: Seed,
        temperature: float = 1.0,
        training: bool = False,
        latents: dict[int, Tensor] | None = None,
    ) -> tuple[list[Level], Tensor]:
        """The levels of the posterior and the parameters of p(x|z)."""
        seeds, held = distributions.split_seed(seed, self.levels), latents or {}

        def draw(level: int, posterior: Distribution) -> Tensor:
            if level in held:
                return held[level]
            return distributions.cooled_sample(posterior, seeds[level - 1], temperature)

        def descend(choose: Callable) -> Tensor:
            return self._descend(choose, training)

        return self.inference.explain(encoded, descend, draw, training)

    def ancestral(
        self, n: int, latents: dict[int, Tensor] | None = None, temperature: float = 1.0, seed: Seed | None = None
    ) -> tuple[list[Draw], Tensor]:
        """Draw z_L to z_1 from the priors; the levels in `latents` are held."""
        seeds = distributions.split_seed(self.seed_generator if seed is None else seed, self.levels)
        held, draws = self._held(n, latents), []

        def choose(level: int, prior_parameters: Tensor, state: Tensor) -> Tensor:
            prior = distributions.diagonal_normal(prior_parameters, len(self.latent_shapes[level - 1]))
            repeats = (n,) if level == self.levels else ()
            z = held.get(level)
            if z is None:
                z = distributions.cooled_sample(prior, seeds[level - 1], temperature, repeats)
            draws.insert(0, Draw(prior, z))
            return z

        parameters = self._descend(choose, training=False)
        return draws, parameters

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the model again."""
        parts = serialized(networks=self.networks, inference=self.inference, likelihood=self.likelihood)
        return {
            **super().get_config(),
            "latents": list(self.latents),
            **parts,
            "skip": self.skip,
        }
