"""Penalties: what the loss weighs with beta, made from the KL of every unit. By default that is the KL itself.

A penalty changes what is trained on. It never changes the KL or the ELBO that a model reports.
"""

from collections.abc import Sequence

import numpy as np

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Tensor


@keras.saving.register_keras_serializable(package="hvae_keras")
class Penalty(keras.layers.Layer):
    """KL_i of each example, summed over the units of z_i: the ELBO's own term. Base of the other penalties.

    A unit is one element of z: in a convolutional model each channel at each position is one. A subclass
    writes `of_level`.
    """

    def __init__(self, **kwargs):
        # Under mixed precision a layer's inputs are cast down; a KL stays in float32.
        super().__init__(**{"dtype": "float32", **kwargs})

    def build_levels(self, levels: int) -> None:
        """Make what depends on the number of levels; the model calls it once.

        Raises:
            ValueError: if the penalty was made for another number of levels.
        """

    def of_level(self, kl_units: Tensor, level: int) -> Tensor:
        """The penalty of one level in nats: `[batch]`, or `[1]` for the whole batch.

        Args:
            kl_units: The KL of every unit in nats, `[batch, *event]`.
            level: 1 to L.
        """
        return _sum(kl_units)

    def call(self, kl_units: Sequence[Tensor]) -> Tensor:
        """The penalty of every level.

        Args:
            kl_units: For level 1 to L, the KL of every unit in nats, `[batch, *event]`.

        Returns:
            `[batch, L]` in nats. A penalty of the whole batch is repeated for each of its examples.
        """
        levels = enumerate(kl_units, 1)
        return ops.stack([ops.broadcast_to(self.of_level(kl, i), ops.shape(kl)[:1]) for i, kl in levels], axis=-1)

    def get_build_config(self) -> None:
        """Nothing: a loaded penalty is built by its model, which knows the number of levels."""


@keras.saving.register_keras_serializable(package="hvae_keras")
class FreeBits(Penalty):
    """A floor under the KL: what stays below `nats` costs as much as `nats`, so there is no use in less.

    Four objectives go by this name. With kl_bj the KL of example b and unit j, and mean_b over the batch:

    | `per`               | penalty of a level                | known as                                        |
    |---------------------|-----------------------------------|-------------------------------------------------|
    | `"unit and sample"` | Σ_j max(nats, kl_bj)              | an element-wise clamp of the KL                 |
    | `"unit"`            | Σ_j max(nats, mean_b kl_bj)       | free bits of Kingma et al. (2016), groups of 1  |
    | `"level"`           | max(nats, mean_b Σ_j kl_bj)       | the same, with all of a level as one group      |
    | `"level and sample"`| max(nats, Σ_j kl_bj)              | a clamp of the KL of each example               |

    With "sample" in its name a variant floors every example; its mean over the batch is never below that of
    the variant without (Jensen's inequality). Those without take the mean over the batch (on one replica)
    first and give it to every example, so the mean of the loss is the objective of the paper.

    The gradient is exactly zero where the floor is in force, so units settle at the floor. Under `BottomUp`
    the terms below the top are no divergences: one that is negative is lifted to the floor like any other.

    Kingma et al. (2016), "Improved variational inference with inverse autoregressive flow", the objective
    with free bits in the appendix. Their convolutional code sums a feature map over space before the floor;
    here every position of it is a unit of its own.

    Args:
        nats: The floor, one number or one a level, in nats per unit or per level as `per` says.
        per: One of the four above.

    Raises:
        ValueError: if `nats` is negative or not finite, or `per` is none of the four.
    """

    VARIANTS = ("unit and sample", "unit", "level", "level and sample")

    def __init__(self, nats: float | Sequence[float], per: str = "unit", **kwargs):
        super().__init__(**kwargs)
        self.nats, self.per = _nats(nats, "nats"), per
        if per not in self.VARIANTS:
            raise ValueError(f"per is one of {', '.join(map(repr, self.VARIANTS))}; got {per!r}.")

    def build_levels(self, levels: int) -> None:
        """Check that there is a floor for each level."""
        _check_levels(self.nats, levels, "nats")

    def call(self, kl_units: Sequence[Tensor]) -> Tensor:
        """The floored KL of every level, `[batch, L]`, as `Penalty.call`."""
        _check_levels(self.nats, len(kl_units), "nats")
        return super().call(kl_units)

    def of_level(self, kl_units: Tensor, level: int) -> Tensor:
        """The floored KL: `[batch]`, or `[1]` in the variants without "sample"."""
        groups = _sum(kl_units) if self.per.startswith("level") else kl_units
        if not self.per.endswith("sample"):
            groups = ops.mean(groups, axis=0, keepdims=True)
        floor = self.nats[level - 1 if len(self.nats) > 1 else 0]
        # Not ops.maximum: at a tie it lets all or half of the gradient through, as the backend likes. A NaN
        # is not below the floor either, and stays one.
        return _sum(ops.where(groups <= floor, floor, groups))

    def get_config(self) -> dict:
        """Arguments that make the layer again."""
        return {**super().get_config(), "nats": list(self.nats), "per": self.per}


@keras.saving.register_keras_serializable(package="hvae_keras")
class Capacity(Penalty):
    """The distance of a level's KL from a target: |mean_b KL_i - C_i|, in nats.

    Burgess et al. (2018), "Understanding disentangling in β-VAE", equation 8. Their gamma is the model's
    beta, and C grows during training: `callbacks.CapacitySchedule` sets it.

    Attributes:
        capacity: C, a weight of shape `[L]` that is not trained.

    Args:
        nats: C at the start, one number or one a level.

    Raises:
        ValueError: if `nats` is negative or not finite.
    """

    def __init__(self, nats: float | Sequence[float] = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.nats, self.capacity = _nats(nats, "nats"), None

    def build_levels(self, levels: int) -> None:
        """Make the weight `capacity`, `[levels]`."""
        if self.capacity is not None:
            raise ValueError("this Capacity belongs to a model already: make a new one for each model.")
        _check_levels(self.nats, levels, "nats")
        start = np.broadcast_to(np.float32(self.nats), (levels,))
        self.capacity = self.add_weight(
            shape=(levels,),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(start, dtype=dtype),
            trainable=False,
            dtype="float32",
            name="capacity",
        )

    def of_level(self, kl_units: Tensor, level: int) -> Tensor:
        """The distance from the target: `[1]`, as the mean is over the batch."""
        if self.capacity is None:
            raise ValueError("Capacity does not know the number of levels yet: call build_levels(levels) first.")
        return ops.abs(ops.mean(_sum(kl_units), axis=0, keepdims=True) - self.capacity[level - 1])

    def get_config(self) -> dict:
        """Arguments that make the layer again."""
        return {**super().get_config(), "nats": list(self.nats)}


def _sum(kl_units: Tensor) -> Tensor:
    """Sum over all dimensions but the first."""
    return ops.sum(kl_units, axis=tuple(range(1, len(kl_units.shape))))


def _nats(value: float | Sequence[float], name: str) -> tuple[float, ...]:
    """One number, or one a level, as a tuple."""
    found = np.atleast_1d(np.asarray(value, "float64"))
    if found.ndim != 1 or not found.size or not np.isfinite(found).all() or (found < 0).any():
        raise ValueError(f"{name} is a number of nats, at least 0 and finite, or one a level; got {value!r}.")
    return tuple(map(float, found))


def _check_levels(values: tuple[float, ...], levels: int, name: str) -> None:
    """Raise ValueError unless there is one value, or one for each level."""
    if len(values) not in (1, levels):
        raise ValueError(f"{name} is one number or {levels}, one a level; got {len(values)}: {list(values)}.")
