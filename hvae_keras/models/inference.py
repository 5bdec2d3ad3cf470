"""Inference orders: in which order, and from what, the posterior of a hierarchy draws its levels."""

from collections.abc import Callable
from typing import Any, NamedTuple

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Distribution, Tensor, diagonal_normal, kl_units, log_prob_units
from hvae_keras.layers import Networks, precision_weighted_merge


class Level(NamedTuple):
    """What inference found at one level."""

    prior: Distribution
    posterior: Distribution
    z: Tensor
    kl_units: Tensor  # [batch, *event], nats

    @property
    def kl(self) -> Tensor:
        """The KL of the level, summed over the dimensions of z: `[batch]`, nats."""
        return ops.sum(self.kl_units, axis=tuple(range(1, len(self.kl_units.shape))))


Descend = Callable[[Callable[[int, Tensor, Tensor], Tensor]], Tensor]


class Inference(keras.layers.Layer):
    """The posterior q(z_1, ..., z_L | x) of a `HierarchicalVAE`. A subclass writes `encode` and `explain`.

    It belongs to one model, which makes its networks with `connect`.
    """

    def connect(self, networks: Networks, latents: tuple[int, ...], x_shape: tuple, states: list[tuple]) -> None:
        """Make the networks.

        Args:
            networks: What makes them.
            latents: Units of z_1 to z_L.
            x_shape: Shape of one example.
            states: Shapes of the top-down state beside z_1 to z_{L-1}.

        Raises:
            ValueError: if it already belongs to a model.
        """
        if self.built:
            raise ValueError(f"this {type(self).__name__} belongs to a model already: give each model its own.")
        self.latents = latents
        self.shapes = [networks.latent_shape(x_shape, i, units) for i, units in enumerate(latents, 1)]
        self.ups = [networks.up(i) for i in range(1, len(latents) + 1)]
        self.heads = [networks.parameters(units) for units in latents]
        self._build_networks(x_shape, states)
        self.built = True

    def _build_networks(self, x_shape: tuple, states: list[tuple]) -> None:
        raise NotImplementedError

    def encode(self, x: Tensor, training: bool) -> list[Tensor]:
        """The part that does not depend on a draw: tensors `[batch, ...]`."""
        raise NotImplementedError

    def explain(
        self, encoded: list[Tensor], descend: Descend, draw: Callable[[int, Distribution], Tensor], training: bool
    ) -> tuple[list[Level], Tensor]:
        """Draw every level and walk down the generator.

        Args:
            encoded: What `encode` gave.
            descend: Walks from z_L to x: `descend(choose)` calls `choose(level, prior_parameters, state)` for
                L to 1, which returns z, and gives the parameters of p(x|z).
            draw: `draw(level, posterior)` gives z.
            training: Passed to the networks.

        Returns:
            The levels from 1 to L, and the parameters of p(x|z).
        """
        raise NotImplementedError

    def _normal(self, level: int, parameters: Tensor) -> Distribution:
        return diagonal_normal(parameters, event_dims=len(self.shapes[level - 1]))

    def get_build_config(self) -> None:
        """Nothing: the model that it belongs to makes its networks."""


@keras.saving.register_keras_serializable(package="hvae_keras")
class BottomUp(Inference):
    """q(z_1|x) ∏ q(z_{i+1}|z_i): each level from the one below (Hinton et al. 1995; Burda et al. 2016).

    z_i and z_{i+1} are drawn together, so the term of a level i < L is the one-draw estimate of
    E[log q(z_i|z_{i-1}) - log p(z_i|z_{i+1})]. It is no divergence and may be negative, in expectation too;
    the sum over levels is one. The closed form of KL(q(z_i|z_{i-1}) ‖ p(z_i|z_{i+1})) would be another number,
    as it takes z_i to be independent of the z_{i+1} that was drawn from it.

    Args:
        skip: Whether x reaches every level: q(z_{i+1}|z_i, x), through the features that gave z_i.
    """

    def __init__(self, skip: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.skip = skip

    def _build_networks(self, x_shape: tuple, states: list[tuple]) -> None:
        below = x_shape
        for up, head, shape in zip(self.ups, self.heads, self.shapes, strict=True):
            features = built(up, below)
            built(head, features)
            below = (*shape[:-1], shape[-1] + features[-1]) if self.skip else shape

    def encode(self, x: Tensor, training: bool) -> list[Tensor]:
        """Mean and log-variance of q(z_1|x); with `skip`, the features they came from as well."""
        features = self.ups[0](x, training=training)
        parameters = self.heads[0](features)
        return [parameters, features] if self.skip else [parameters]

    def explain(
        self, encoded: list[Tensor], descend: Descend, draw: Callable[[int, Distribution], Tensor], training: bool
    ) -> tuple[list[Level], Tensor]:
        """Draw z_1 to z_L, then look up the priors on the way down."""
        parameters, *features = encoded
        posteriors, z, priors = [], [], []
        for level in range(1, len(self.latents) + 1):
            if level > 1:
                features = [self.ups[level - 1](ops.concatenate([z[-1], *features], axis=-1), training=training)]
                parameters = self.heads[level - 1](features[0])
                features = features if self.skip else []
            posteriors.append(self._normal(level, parameters))
            z.append(draw(level, posteriors[-1]))

        def choose(level: int, prior_parameters: Tensor, state: Tensor) -> Tensor:
            priors.insert(0, self._normal(level, prior_parameters))
            return z[level - 1]

        x_parameters = descend(choose)
        terms = [
            log_prob_units(q, z_i) - log_prob_units(p, z_i)
            for q, p, z_i in zip(posteriors[:-1], priors[:-1], z[:-1], strict=True)
        ]
        terms.append(kl_units(posteriors[-1], priors[-1]))
        return [Level(*level) for level in zip(priors, posteriors, z, terms, strict=True)], x_parameters

    def get_config(self) -> dict:
        """Arguments that make the layer again."""
        return {**super().get_config(), "skip": self.skip}


class _FromTheTop(Inference):
    """q(z_L|x) ∏ q(z_i|z_{i+1}, x): x goes up without draws, and the levels are drawn on the way down."""

    def posterior_parameters(
        self, level: int, encoded: list[Tensor], prior_parameters: Tensor, state: Tensor, training: bool
    ) -> Tensor:
        """Mean and log-variance of q at this level."""
        raise NotImplementedError

    def explain(
        self, encoded: list[Tensor], descend: Descend, draw: Callable[[int, Distribution], Tensor], training: bool
    ) -> tuple[list[Level], Tensor]:
        """One walk down, shared by the prior and the posterior."""
        levels = []

        def choose(level: int, prior_parameters: Tensor, state: Tensor) -> Tensor:
            parameters = self.posterior_parameters(level, encoded, prior_parameters, state, training)
            posterior, prior = self._normal(level, parameters), self._normal(level, prior_parameters)
            z = draw(level, posterior)
            levels.insert(0, Level(prior, posterior, z, kl_units(posterior, prior)))
            return z

        x_parameters = descend(choose)
        return levels, x_parameters

    def _features(self, x: Tensor, training: bool) -> list[Tensor]:
        features = []
        for up in self.ups:
            features.append(up(features[-1] if features else x, training=training))
        return features


@keras.saving.register_keras_serializable(package="hvae_keras")
class TopDown(_FromTheTop):
    """q(z_L|x) ∏ q(z_i|z_{>i}, x), each level a learned function of x's features and the top-down state.

    The state is the generator's own, shared with the prior (Kingma et al. 2016; Maaløe et al. 2019 and later
    models merge in this way).
    """

    def _build_networks(self, x_shape: tuple, states: list[tuple]) -> None:
        below = x_shape
        for up, head, state in zip(self.ups, self.heads, [*states, None], strict=True):
            below = built(up, below)
            built(head, below if state is None else (*below[:-1], below[-1] + state[-1]))

    def encode(self, x: Tensor, training: bool) -> list[Tensor]:
        """The features d_1 to d_L."""
        return self._features(x, training)

    def posterior_parameters(
        self, level: int, encoded: list[Tensor], prior_parameters: Tensor, state: Tensor, training: bool
    ) -> Tensor:
        """The head of [d_i, state]; at the top, of d_L."""
        seen = encoded[level - 1] if state is None else ops.concatenate([encoded[level - 1], state], axis=-1)
        return self.heads[level - 1](seen)


@keras.saving.register_keras_serializable(package="hvae_keras")
class Ladder(_FromTheTop):
    """q(z_L|x) ∏ q(z_i|z_{>i}, x), each level the precision-weighted merge of x's estimate and the prior.

    The prior in the merge is the generator's p(z_i|z_{>i}) itself (Sønderby et al. 2016, section 2.2; their
    released code has a flag by which it is a network of the encoder instead). At the top q(z_L|x) is x's
    estimate alone. The merged scale is never above the prior's.
    """

    def _build_networks(self, x_shape: tuple, states: list[tuple]) -> None:
        below = x_shape
        for up, head in zip(self.ups, self.heads, strict=True):
            below = built(up, below)
            built(head, below)

    def encode(self, x: Tensor, training: bool) -> list[Tensor]:
        """x's estimate of every level: mean and log-variance side by side."""
        features = self._features(x, training)
        return [head(d) for head, d in zip(self.heads, features, strict=True)]

    def posterior_parameters(
        self, level: int, encoded: list[Tensor], prior_parameters: Tensor, state: Tensor, training: bool
    ) -> Tensor:
        """The merge of x's estimate with the prior; at the top, x's estimate."""
        if state is None:
            return encoded[level - 1]
        estimate = ops.split(ops.cast(encoded[level - 1], "float32"), 2, axis=-1)
        prior = ops.split(ops.cast(prior_parameters, "float32"), 2, axis=-1)
        return ops.concatenate(precision_weighted_merge(*estimate, *prior), axis=-1)


def built(layer: keras.layers.Layer, shape: tuple[Any, ...]) -> tuple:
    """Build a layer for examples of this shape; return the shape of its output for one."""
    layer.build((None, *shape))
    return tuple(layer.compute_output_shape((None, *shape))[1:])
