"""Spectral normalisation: a layer whose matrix stretches no direction (Miyato et al. 2018)."""

from typing import Any

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Tensor


@keras.saving.register_keras_serializable(package="hvae_keras")
class SpectralNormalization(keras.layers.Wrapper):
    """A dense or convolutional layer with its kernel W replaced by W / σ(W).

    σ(W) is the largest singular value of the kernel as a matrix `[inputs, outputs]`, height × width × channels
    of a convolution being its inputs. It is followed by power iteration, one step at each pass in training
    (Miyato et al. 2018, algorithm 1): the kernel moves little in between, so the estimate keeps up. The stored
    kernel stays what the optimizer made of it, and the gradient passes through σ.

    Args:
        layer: A `Dense` or `Conv2D` layer, or another one whose kernel ends in the axis of its outputs.

    Raises:
        ValueError: if the layer has no such kernel.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs):
        super().__init__(layer, **kwargs)
        if not isinstance(layer, (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)):
            raise ValueError(f"layer is a Dense or Conv2D layer; got {type(layer).__name__}.")

    def build(self, input_shape: tuple) -> None:
        """Make the layer's weights, and the direction u that power iteration follows."""
        super().build(input_shape)
        self.u = self.add_weight(
            shape=(self.layer.kernel.shape[-1],), initializer="random_normal", trainable=False, name="u"
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """What the layer gives with W / σ(W); in training, u moves on."""
        kernel = self.layer.kernel
        sigma, u = power_iteration(ops.reshape(kernel, (-1, kernel.shape[-1])), self.u)
        if training:
            self.u.assign(ops.cast(u, self.u.dtype))
        # Within the scope the layer reads these values; every other weight as it stands, for JAX.
        values = [(v, kernel / sigma if v is self._kernel() else v.value) for v in self.layer.variables]
        with keras.StatelessScope(state_mapping=values):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """The layer's."""
        return self.layer.compute_output_shape(input_shape)

    def _kernel(self) -> keras.Variable:
        return next(v for v in self.layer.variables if v.name == "kernel")

    def get_config(self) -> dict[str, Any]:
        """The layer."""
        return super().get_config()


def power_iteration(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """One step of power iteration: an estimate of the largest singular value, and the next u.

    Args:
        matrix: W, `[inputs, outputs]`.
        u: Estimate of the first right singular vector, `[outputs]`, of any length but zero.

    Returns:
        vᵀWu, which is at most the singular value, and differentiable in W with u and v held; and u of length 1.
    """
    fixed = ops.stop_gradient(matrix)
    v = ops.normalize(ops.matmul(fixed, u), axis=-1)
    u = ops.normalize(ops.matmul(v, fixed), axis=-1)
    return ops.sum(v * ops.matmul(matrix, u)), u
