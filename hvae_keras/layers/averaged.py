"""A network whose weights are a running mean of another's."""

from typing import Any

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Tensor


@keras.saving.register_keras_serializable(package="hvae_keras")
class AveragedNetwork(keras.layers.Layer):
    """A copy of a network with averaged weights: each `update` moves it towards the network as it is then.

    After t updates its weights are the mean of those seen, the one k updates ago with a weight in proportion to
    decay^k (Yazıcı et al. 2019, without the start counting for more than the rest). The players of a game circle
    about its solution, and a mean over a turn is nearer to it than any point on the way.

    Args:
        network: A built Keras model; it is copied.
        decay: From 0, which keeps the last weights only, to below 1.

    Raises:
        ValueError: if `decay` is out of range.
    """

    def __init__(self, network: keras.Model, decay: float = 0.99, **kwargs):
        super().__init__(trainable=False, **kwargs)
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of a running average is at least 0 and below 1; got {decay!r}.")
        self.decay = decay
        self.network = keras.models.clone_model(network)
        self.network.set_weights(network.get_weights())
        self.network.trainable = False
        # Sum of the weights (1 - decay) decay^k so far: 0 before the first update, then on its way to 1.
        self.mass = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="float32", name="mass")
        self.built = True

    @property
    def updated(self) -> bool:
        """Whether there was an update."""
        return float(ops.convert_to_numpy(self.mass)) > 0

    def update(self, network: keras.Model) -> None:
        """Take the network's weights into the mean."""
        self.mass.assign(self.decay * self.mass + (1 - self.decay))
        share = (1 - self.decay) / self.mass
        for mean, new in zip(self.network.variables, network.variables, strict=True):
            if "float" in str(mean.dtype):
                mean.assign(mean + ops.cast(share, mean.dtype) * (new - mean))

    def call(self, inputs: Tensor) -> Tensor:
        """What the network with the mean weights gives."""
        return self.network(inputs, training=False)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the layer again."""
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network, "decay": self.decay}

    @classmethod
    def from_config(cls, config: dict) -> "AveragedNetwork":
        """The layer that `get_config` described."""
        config = {key: value for key, value in config.items() if key != "trainable"}
        return cls(**{**config, "network": keras.saving.deserialize_keras_object(config["network"])})
