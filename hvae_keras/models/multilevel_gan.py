"""A hierarchy of adversarial pairs: a sketch from noise, and each finer picture from the one above and noise."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Tensor
from hvae_keras.models.adversarial import (
    GAN,
    LOGGED,
    AdversarialGame,
    AdversarialModel,
    ConditionalGAN,
    TranslationGAN,
)
from hvae_keras.models.base import held_latents


@keras.saving.register_keras_serializable(package="hvae_keras")
class MultiLevelGAN(AdversarialGame):
    """L levels, each a generator and a discriminator with a latent variable of its own (Denton et al. 2015).

    The top draws the coarsest picture x_L from z_L. Level i draws x_i from z_i and x_{i+1}, and its discriminator
    sees that pair; x_1 is the picture. A level learns from its own discriminator only.

    `fit([x_1, ..., x_L])` trains all levels together, a move of every player in each step. `level(i).fit(x_i,
    x_{i+1})` trains one alone, and the others stay as they are; if a level was compiled anew for it, `compile` the
    whole again before the next `fit`. Logs as in `AdversarialGame`, with the number of the level: `accuracy_1`.

    Args:
        pairs: The levels from 1 to L: each a `TranslationGAN`, and on top a `GAN` or a `ConditionalGAN`, whose
            labels are then y of `fit`.
        generated_share: Share of a batch in which a level below the top is given what the level above draws, in
            place of what is in the data. At 0, as in Denton et al., it never meets that level's faults.

    Raises:
        ValueError: if the levels do not fit on one another, or the share is not between 0 and 1.
    """

    def __init__(self, pairs: Sequence[AdversarialModel], generated_share: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        _check_levels(pairs)
        if not 0 <= generated_share <= 1:
            raise ValueError(f"generated_share is between 0 and 1; got {generated_share!r}.")
        self.pairs, self.generated_share, self.levels = list(pairs), float(generated_share), len(pairs)
        self.latent_shapes = [pair.latent_shapes[0] for pair in pairs]
        self._data_shape = pairs[0].data_shape
        names = [[f"{term}_{level}" for term in LOGGED] for level in range(1, self.levels + 1)]
        # By term, so that a report shows the levels side by side.
        self._track(
            logged=[of_level[t] for t in range(len(LOGGED)) for of_level in names],
            watched=[name for of_level in reversed(names) for name in of_level[:2]],
        )
        self.built = True

    def level(self, level: int) -> AdversarialModel:
        """The pair of players of one level, a model in itself; level 1 makes the picture.

        Raises:
            ValueError: if there is no such level.
        """
        if level not in range(1, self.levels + 1):
            raise ValueError(f"level is 1 to {self.levels}; got {level!r}.")
        return self.pairs[level - 1]

    @property
    def top(self) -> GAN | ConditionalGAN:
        """Level L."""
        return self.pairs[-1]

    # Training together

    def compile(self, optimizers: Sequence[tuple] | None = None, **kwargs: Any) -> None:
        """Choose the optimizers of every level.

        Args:
            optimizers: For each level from 1 to L, those of generator and discriminator, as `AdversarialModel`
                takes them; by default its own choice, or what a level was compiled with before.
            **kwargs: As in `BaseModel.compile`.

        Raises:
            ValueError: if there are more or fewer pairs of optimizers than levels.
        """
        if optimizers is not None and len(optimizers) != self.levels:
            raise ValueError(f"optimizers holds a pair for each of {self.levels} levels; got {len(optimizers)}.")
        for i, pair in enumerate(self.pairs):
            if optimizers is not None:
                pair.compile(*optimizers[i], **kwargs)
            elif not pair.compiled:
                pair.compile(**kwargs)
        super().compile(self.top.optimizer, **kwargs)

    def optimized(self) -> list[tuple]:
        """Every optimizer with its variables, from level 1 to L."""
        return [player for pair in self.pairs for player in pair.optimized()]

    def get_compile_config(self) -> dict:
        """What `compile` was given."""
        return (
            {"pairs": [pair.get_compile_config() for pair in self.pairs], **self._asked} if self.compiled else {}
        )

    def compile_from_config(self, config: dict) -> None:
        """Compile as a saved model was."""
        for pair, settings in zip(self.pairs, config["pairs"], strict=True):
            pair.compile_from_config(settings)
        self.compile(**{key: value for key, value in config.items() if key != "pairs"})

    def moves(self, real: Sequence[Tensor], given: Any) -> dict[str, Tensor]:
        """A move of every player, from the top down."""
        return self._every_level("play", real, given)

    def judged(self, real: Sequence[Tensor], given: Any) -> dict[str, Tensor]:
        """The terms of every level, without a move."""
        return self._every_level("judge", real, given)

    def _every_level(self, act: str, real: Sequence[Tensor], given: Any) -> dict[str, Tensor]:
        terms, condition = {}, self.top.condition(given)
        mixed = condition
        for level in range(self.levels, 0, -1):
            pair, x = self.pairs[level - 1], ops.cast(real[level - 1], "float32")
            of_level = getattr(pair, act)(x, condition, mixed)
            terms |= {f"{name}_{level}": value for name, value in of_level.items()}
            condition, mixed = x, self._mixed(pair, x, mixed)
        return terms

    def _mixed(self, pair: AdversarialModel, x: Tensor, condition: Tensor | None) -> Tensor:
        """Pictures for the level below: part of the batch drawn by this level, the rest from the data."""
        batch = ops.shape(x)[0]
        drawn = ops.stop_gradient(pair.drawn(pair.draw(batch), condition))
        places = (ops.cast(ops.arange(batch), "float32") + 0.5) / ops.cast(batch, "float32")
        from_above = ops.reshape(places < self.generated_share, (-1, *(1 for _ in x.shape[1:])))
        return ops.where(from_above, drawn, x)

    def _accept(self, x: Any, y: Any = None, name: str = "x") -> None:
        if hasattr(x, "element_spec"):  # tf.data.Dataset
            self._check_spec(x.element_spec, name)
            self._build_optimizers()
            return
        if not isinstance(x, (list, tuple)) or len(x) != self.levels:
            got = f"{len(x)} arrays" if isinstance(x, (list, tuple)) else type(x).__name__
            raise ValueError(
                f"{name} is a list of {self.levels} arrays, the pictures of level 1 first; got {got}."
            )
        if len({len(part) for part in x}) > 1:
            raise ValueError(f"{name} holds {[len(part) for part in x]} pictures of its levels: not one for each.")
        for i, (pair, part) in enumerate(zip(self.pairs, x, strict=True)):
            pair._prepare(part, f"{name}[{i}]")
        self.top._accept(x[-1], y, name)
        self._build_optimizers()

    def _check_spec(self, spec: Any, name: str) -> None:
        """Raise ValueError unless a dataset yields pictures of all levels, and labels if the top needs them."""
        told = isinstance(self.top, ConditionalGAN)
        pictures = spec[0] if isinstance(spec, tuple) and len(spec) == 1 + told else None
        if not isinstance(pictures, tuple) or len(pictures) != self.levels:
            levels = ", ".join(f"x_{level}" for level in range(1, self.levels + 1))
            expected = f"(({levels}), labels)" if told else f"(({levels}),)"
            raise ValueError(f"{name} is a dataset that yields {expected}; got {spec}.")

    # What a trained model is asked

    @property
    def draws_with(self) -> list[keras.layers.Layer]:
        """The layers that `generate` uses, from level 1 to L."""
        return [layer for pair in self.pairs for layer in pair.draws_with]

    def generate(
        self,
        n: int,
        latents: dict[int, Tensor] | None = None,
        temperature: float = 1.0,
        level: int = 1,
        labels: Any = None,
    ) -> np.ndarray:
        """Pictures of one level, drawn from the top down to it: `[n, *shape of that level]`.

        Args:
            n: How many.
            latents: `{level: z}`, z of shape `[n, latent]`: these are held, the others drawn.
            temperature: Factor on every z that is drawn.
            level: Where to stop: 1 gives the picture, L the coarsest sketch.
            labels: For a model whose top is told a label: one, or n of them.

        Raises:
            ValueError: if there is no such level, `latents` holds another level, number or shape, or labels are
                missing, out of range, or not asked for.
            RuntimeError: if a level that is needed has not been trained.
        """
        self.level(level)
        held = held_latents(n, latents, self.latent_shapes)
        untrained = [i for i in range(level, self.levels + 1) if not self.level(i).trained]
        if untrained:
            raise RuntimeError(
                f"level {untrained[-1]} has not been trained: call fit, or level({untrained[-1]}).fit, first."
            )
        # Every z is drawn, also those not used: the levels above see the same noise whatever `level` is.
        z = {i: self.level(i).draw(n, temperature) for i in range(self.levels, 0, -1)} | held
        if isinstance(self.top, ConditionalGAN):
            if labels is None:
                raise ValueError("labels are missing: the top level of this model is told what to draw.")
            x = self.top.generate(n, labels, {1: z[self.levels]})
        elif labels is not None:
            raise ValueError("labels were given, but the top level of this model is not told anything.")
        else:
            x = self.top.generate(n, {1: z[self.levels]})
        for i in range(self.levels - 1, level - 1, -1):
            x = self.level(i).translate(x, {1: z[i]})
        return x

    def get_config(self) -> dict:
        """Arguments that make the model again."""
        pairs = [keras.saving.serialize_keras_object(pair) for pair in self.pairs]
        return {**super().get_config(), "pairs": pairs, "generated_share": self.generated_share}

    @classmethod
    def from_config(cls, config: dict) -> "MultiLevelGAN":
        """The model that `get_config` described, with new weights."""
        pairs = [keras.saving.deserialize_keras_object(pair) for pair in config["pairs"]]
        return cls(**{**config, "pairs": pairs})


def _check_levels(pairs: Sequence[AdversarialModel]) -> None:
    """Raise ValueError unless each level takes what the one above makes."""
    kinds = [type(pair).__name__ for pair in pairs]
    below_ok = all(isinstance(pair, TranslationGAN) for pair in pairs[:-1])
    if not pairs or not below_ok or not isinstance(pairs[-1], (GAN, ConditionalGAN)):
        raise ValueError(
            f"pairs are TranslationGANs, and on top a GAN or a ConditionalGAN; got {', '.join(kinds) or 'none'}."
        )
    for i, (below, above) in enumerate(zip(pairs[:-1], pairs[1:], strict=True), 1):
        takes = tuple(below.generator.inputs[1].shape[1:])
        if takes != above.data_shape:
            raise ValueError(
                f"level {i} refines pictures of shape {takes}; level {i + 1} makes {above.data_shape}."
            )
