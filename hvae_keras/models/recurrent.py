"""A recurrent language model: one state that reads every step and predicts the next (Elman 1990)."""

from typing import Any

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Tensor
from hvae_keras.layers import SequenceLikelihood
from hvae_keras.models.base import build_once, serialized
from hvae_keras.models.sequence import SequenceModel, before, places


@keras.saving.register_keras_serializable(package="hvae_keras")
class RecurrentModel(SequenceModel):
    """p(x) = ∏ p(x_t | h_t), with a state h_t = cell(x_{t-1}, h_{t-1}).

    Args:
        cell: A Keras cell: `keras.layers.SimpleRNNCell(128)` for Elman's, `GRUCell(128)`, `LSTMCell(128)`, or
            several of them in `StackedRNNCells`.
        likelihood: What a step is: `layers.Categorical(tokens)` or `layers.BernoulliFrames(keys)`.
        meter: With a number, the cell also reads the place of the step in a bar of that many steps.
        dropout: Share of the state that is dropped before it predicts, in training.

    Raises:
        ValueError: if an argument is none of these.
    """

    def __init__(
        self,
        cell: keras.layers.Layer,
        likelihood: SequenceLikelihood,
        meter: int | None = None,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(likelihood, **kwargs)
        self.cell, self.meter = checked_cell(cell, "cell"), meter
        if meter is not None and (not isinstance(meter, int) or meter < 1):
            raise ValueError(f"meter is how many steps a bar has, at least 1, or None; got {meter!r}.")
        self.dropout = keras.layers.Dropout(dropout)
        self.rnn = keras.layers.RNN(cell, return_sequences=True)
        self.head = keras.layers.Dense(self.likelihood.size)

    def build(self, input_shape: tuple) -> None:
        """Make the variables for x of shape `[None, steps, ...]`."""
        self._data_shape = tuple(input_shape[1:])
        self.likelihood.build(input_shape)
        build_once(self.rnn, (None, None, self.likelihood.size + (self.meter or 0)))
        build_once(self.head, (None, None, self.cell.output_size))

    def parameters(self, heard: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        """Read x_{t-1} and the place of t; predict x_t."""
        read = before(heard)
        if self.meter:
            read = ops.concatenate([read, places(*ops.shape(read)[:2], self.meter)], axis=-1)
        return self.head(self.dropout(self.rnn(read, training=training), training=training))

    def start(self, n: int) -> Any:
        """The cell's first state."""
        return self.cell.get_initial_state(batch_size=n)

    def advance(self, state: Any, previous: Tensor, step: Tensor) -> tuple[Tensor, Any]:
        """One call of the cell."""
        read = previous
        if self.meter:
            place = ops.one_hot(ops.broadcast_to(step % self.meter, (previous.shape[0],)), self.meter)
            read = ops.concatenate([read, place], axis=-1)
        output, state = self.cell(read, state)
        return self.head(output), state

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the model again."""
        return {
            **super().get_config(),
            **serialized(cell=self.cell, likelihood=self.likelihood),
            "meter": self.meter,
            "dropout": self.dropout.rate,
        }


def checked_cell(cell: keras.layers.Layer, name: str) -> keras.layers.Layer:
    """The cell, if it is one."""
    if not hasattr(cell, "state_size"):
        raise ValueError(f"{name} is a cell such as keras.layers.LSTMCell(128); got {cell!r}.")
    return cell
