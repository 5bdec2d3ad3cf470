"""Adam with one vector for each moment: the mathematics of Keras's Adam, in far fewer operations.

Keras writes dozens of graph operations for every weight it updates. A deep hierarchy has hundreds of small
weights, and making those operations is much of the wait for its first step. Here the gradients are put one
after another in a vector, both moments are such vectors, and the update is cut up again at the end.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_keras.backend import BACKEND, keras, ops, replicas
from hvae_keras.distributions import Tensor


@keras.saving.register_keras_serializable(package="hvae_keras")
class FlatAdam(keras.optimizers.Optimizer):
    """Adam (Kingma & Ba 2015), equal to `keras.optimizers.Adam` weight for weight.

    Weight decay, clipping by `clipvalue` or `global_clipnorm`, constraints, moving averages and gradient
    accumulation are Keras's own, which work on each weight: they give the same results, and take back part
    of what is saved. `amsgrad` is not taken.

    It is made for the graph mode of TensorFlow, our choice on a CPU. XLA runs its step fast as well, but
    takes longer to compile it than to compile Keras's.

    A sparse gradient, as TensorFlow has for embeddings, is made dense first. Keras squares its rows before
    it adds those with the same index, so there, and only there, its second moment is another one.

    Args:
        learning_rate: A number, a `LearningRateSchedule`, or a function without arguments.
        beta_1: Decay of the mean of the gradients.
        beta_2: Decay of the mean of their squares.
        epsilon: Added to the root of the second moment.
        **kwargs: Arguments of every Keras optimizer, such as `weight_decay` or `global_clipnorm`.

    Raises:
        ValueError: on `build`, if the weights have more than one dtype.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make both moments for these weights, as vectors `[weights in all]`."""
        if self.built:
            return
        super().build(variables)
        dtypes = sorted({keras.backend.standardize_dtype(variable.dtype) for variable in variables})
        if len(dtypes) > 1:
            raise ValueError(f"FlatAdam puts all weights in one vector, so they have one dtype; got {dtypes}.")
        self._sizes = [math.prod(variable.shape) for variable in variables]
        shape = (sum(self._sizes),)
        self._momentum = self.add_variable(shape, dtype=dtypes[0], name="momentum")
        self._velocity = self.add_variable(shape, dtype=dtypes[0], name="velocity")

    def _backend_update_step(
        self, grads: Sequence[Tensor], trainable_variables: Sequence[keras.Variable], learning_rate: Tensor
    ) -> None:
        """Update all weights at once; Keras calls it after clipping and weight decay."""
        gradients = dict(zip(map(self._get_variable_index, trainable_variables), grads, strict=True))
        flat = [self._flat(gradients.get(i), size) for i, size in enumerate(self._sizes)]
        self._on_each_replica(ops.concatenate(flat), learning_rate, tuple(gradients), tuple(trainable_variables))

    def _flat(self, gradient: Tensor | None, size: int) -> Tensor:
        """The gradient of one weight as a vector; zeros if it has none."""
        if gradient is None:
            return ops.zeros(size, self._momentum.dtype)
        return ops.reshape(ops.cast(ops.convert_to_tensor(gradient), self._momentum.dtype), (size,))

    def _step(
        self,
        m: Tensor,
        v: Tensor,
        gradient: Tensor,
        learning_rate: Tensor,
        indices: tuple[int, ...],
        variables: tuple[Any, ...],
    ) -> None:
        """One step of Adam in its efficient form (Kingma & Ba 2015, end of section 2), as Keras has it.

        Args:
            m: First moment, `[weights in all]`.
            v: Second moment.
            gradient: `[weights in all]`.
            learning_rate: A number.
            indices: Which of the weights to update; the moments of the others stay.
            variables: These weights.
        """
        dtype = self._momentum.dtype
        step = ops.cast(self.iterations + 1, dtype)
        power_1, power_2 = (ops.power(ops.cast(beta, dtype), step) for beta in (self.beta_1, self.beta_2))
        rate = ops.cast(learning_rate, dtype) * ops.sqrt(1 - power_2) / (1 - power_1)
        to_m, to_v = (gradient - m) * (1 - self.beta_1), (ops.square(gradient) - v) * (1 - self.beta_2)
        if len(indices) < len(self._sizes):
            given = np.repeat(np.isin(np.arange(len(self._sizes)), indices), self._sizes)
            to_m, to_v = ops.where(given, to_m, 0), ops.where(given, to_v, 0)
        self.assign_add(m, to_m)
        self.assign_add(v, to_v)
        update = m * rate / (ops.sqrt(v) + self.epsilon)
        cuts = np.cumsum(self._sizes)[:-1].tolist()
        parts = ops.split(update, cuts) if cuts else [update]
        for index, variable in zip(indices, variables, strict=True):
            self.assign_sub(variable, ops.reshape(parts[index], variable.shape))

    def _on_each_replica(
        self, gradient: Tensor, learning_rate: Tensor, indices: tuple[int, ...], variables: tuple[Any, ...]
    ) -> None:
        """Run `_step`; under `tf.distribute`, with the gradients of all replicas, on the copies of each."""
        if BACKEND == "jax":
            self._step(self._momentum, self._velocity, gradient, learning_rate, indices, variables)
            return
        import tensorflow as tf

        if replicas() > 1:
            gradient = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradient)

        def update(strategy: Any, gradient: Tensor, learning_rate: Tensor, variables: tuple[Any, ...]) -> None:
            arguments = (self._velocity.value, gradient, learning_rate, indices, variables)
            strategy.extended.update(self._momentum.value, self._step, args=arguments, group=False)

        tf.__internal__.distribute.interim.maybe_merge_call(
            update,
            tf.distribute.get_strategy(),
            gradient,
            learning_rate,
            tuple(variable.value for variable in variables),
        )

    def get_config(self) -> dict:
        """Arguments that make the optimizer again, without its moments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
