"""A hierarchy of recurrences: a conductor goes from phrase to phrase, and a lower cell writes the steps of each.

After the hierarchical recurrent encoder-decoder (Sordoni et al. 2015; Serban et al. 2016) and the conductor of
MusicVAE (Roberts et al. 2018).
"""

from typing import Any

from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Tensor
from hvae_keras.layers import SequenceLikelihood
from hvae_keras.models.base import build_once, serialized
from hvae_keras.models.recurrent import checked_cell
from hvae_keras.models.sequence import SequenceModel, before, places


@keras.saving.register_keras_serializable(package="hvae_keras")
class HierarchicalRecurrentModel(SequenceModel):
    """p(x) = ∏_p ∏_t p(x_{p,t} | x_{p,<t}, plan_p, last step before p), where plan_p knows the phrases before p.

    The encoder reads a phrase and leaves a summary of it. The conductor reads the summaries, one a phrase, and
    gives the plan of the next one. The writer starts each phrase from its plan, and reads the plan beside every
    step. So no step is further from any step before it than two phrases and a few moves of the conductor.

    Args:
        encoder: Keras cell that reads a phrase.
        conductor: Keras cell that makes one move a phrase.
        writer: Keras cell that writes the steps of a phrase.
        likelihood: What a step is: `layers.Categorical(tokens)` or `layers.BernoulliFrames(keys)`.
        phrase_length: Steps in a phrase. The steps of x are a multiple of it.
        plan: Numbers in a plan.
        dropout: Share of the writer's state that is dropped before it predicts, in training.

    Raises:
        ValueError: if an argument is none of these, or x cannot be cut into phrases.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        conductor: keras.layers.Layer,
        writer: keras.layers.Layer,
        likelihood: SequenceLikelihood,
        phrase_length: int,
        plan: int = 64,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(likelihood, **kwargs)
        self.encoder, self.conductor = checked_cell(encoder, "encoder"), checked_cell(conductor, "conductor")
        self.phrase_length = checked_length(phrase_length)
        self.listen = keras.layers.RNN(encoder)
        self.conduct = keras.layers.RNN(conductor, return_sequences=True)
        self.plan = keras.layers.Dense(plan, activation="tanh")
        self.writer = PhraseWriter(writer, likelihood.size, phrase_length, dropout)

    def build(self, input_shape: tuple) -> None:
        """Make the variables for x of shape `[None, steps, ...]`."""
        self._data_shape = tuple(input_shape[1:])
        check_phrases(self._data_shape[0], self.phrase_length)
        self.likelihood.build(input_shape)
        build_once(self.listen, (None, self.phrase_length, self.likelihood.size + self.phrase_length))
        build_once(self.conduct, (None, None, self.encoder.output_size))
        build_once(self.plan, (None, None, self.conductor.output_size))
        build_once(self.writer, (None, self.phrase_length, self.plan.units))

    def parameters(self, heard: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        """Summaries of the phrases, plans from the summaries before, and all phrases written at once."""
        summaries = summarise(self.listen, heard, mask, self.phrase_length, training)
        plans = self.plan(self.conduct(before(summaries), training=training))
        return self.writer(before(heard), plans, training=training)

    def start(self, n: int) -> Any:
        """No phrase heard yet."""
        return {
            "conductor": self.conductor.get_initial_state(batch_size=n),
            "encoder": self.encoder.get_initial_state(batch_size=n),
            "summary": ops.zeros((n, self.encoder.output_size), self.compute_dtype),
            "plan": ops.zeros((n, self.plan.units), self.compute_dtype),
            "writer": self.writer.cell.get_initial_state(batch_size=n),
        }

    def advance(self, state: Any, previous: Tensor, step: Tensor) -> tuple[Tensor, Any]:
        """The encoder hears the step before; at the start of a phrase the conductor moves; the writer writes."""
        at = step % self.phrase_length
        state = self._hear(state, previous, (step - 1) % self.phrase_length, step > 0)
        state = ops.cond(at == 0, lambda: self._move(state), lambda: state)
        parameters, writer = self.writer.advance(state["writer"], previous, at, state["plan"])
        return parameters, {**state, "writer": writer}

    def _hear(self, state: dict, previous: Tensor, place: Tensor, heard: Tensor) -> dict:
        """The state with one more step in the encoder; untouched before the first."""
        place = ops.one_hot(ops.broadcast_to(place, (previous.shape[0],)), self.phrase_length)
        summary, encoder = self.encoder(ops.concatenate([previous, place], axis=-1), state["encoder"])
        after = {**state, "summary": summary, "encoder": encoder}
        return keras.tree.map_structure(lambda new, old: ops.where(heard, new, old), after, state)

    def _move(self, state: dict) -> dict:
        """The state after one move of the conductor: a plan, a writer at its beginning, an encoder that forgot."""
        output, conductor = self.conductor(state["summary"], state["conductor"])
        plan = self.plan(output)
        forgotten = keras.tree.map_structure(ops.zeros_like, state["encoder"])
        writer = self.writer.start(plan)
        return {**state, "conductor": conductor, "plan": plan, "writer": writer, "encoder": forgotten}

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the model again."""
        parts = {"encoder": self.encoder, "conductor": self.conductor, "writer": self.writer.cell}
        return {
            **super().get_config(),
            **serialized(**parts, likelihood=self.likelihood),
            "phrase_length": self.phrase_length,
            "plan": self.plan.units,
            "dropout": self.writer.dropout.rate,
        }


class PhraseWriter(keras.layers.Layer):
    """The lower level: it starts from a phrase's plan, reads the plan beside every step, and predicts the next.

    Its state never passes from one phrase to the next. Only the plan does, and the last step before the phrase.

    Args:
        cell: Keras cell.
        size: Numbers that describe a step.
        phrase_length: Steps in a phrase.
        dropout: Share of the state that is dropped before it predicts, in training.
    """

    def __init__(self, cell: keras.layers.Layer, size: int, phrase_length: int, dropout: float = 0.0):
        super().__init__()
        self.cell, self.size, self.phrase_length = checked_cell(cell, "writer"), size, phrase_length
        self.rnn = keras.layers.RNN(cell, return_sequences=True)
        self.beginnings = [
            keras.layers.Dense(units, activation="tanh") for units in keras.tree.flatten(cell.state_size)
        ]
        self.dropout, self.head = keras.layers.Dropout(dropout), keras.layers.Dense(size)

    def build(self, plans_shape: tuple) -> None:
        """Make the variables for plans of shape `[batch, phrases, plan]`."""
        plan = plans_shape[-1]
        build_once(self.rnn, (None, None, self.size + self.phrase_length + plan))
        for beginning in self.beginnings:
            build_once(beginning, (None, plan))
        build_once(self.head, (None, None, self.cell.output_size))

    def start(self, plan: Tensor) -> Any:
        """The cell's state at the start of a phrase, from its plan `[batch, plan]`."""
        return begun(self.cell, self.beginnings, plan)

    def call(self, previous: Tensor, plans: Tensor, training: bool = False) -> Tensor:
        """Parameters of every step: `[batch, steps, size]`.

        Args:
            previous: The step before each, `[batch, steps, size]`.
            plans: `[batch, phrases, plan]`.
            training: Passed to the networks.
        """
        batch, steps = ops.shape(previous)[0], previous.shape[1]
        plan = ops.reshape(plans, (-1, plans.shape[-1]))
        beside = ops.repeat(plan[:, None], self.phrase_length, axis=1)
        read = ops.concatenate([by_phrase(previous, self.phrase_length), beside], axis=-1)
        states = self.rnn(read, initial_state=self.start(plan), training=training)
        return ops.reshape(self.head(self.dropout(states, training=training)), (batch, steps, self.size))

    def advance(self, state: Any, previous: Tensor, at: Tensor, plan: Tensor) -> tuple[Tensor, Any]:
        """Parameters of one step and the state after it; `at` is its place in the phrase, a scalar."""
        place = ops.one_hot(ops.broadcast_to(at, (previous.shape[0],)), self.phrase_length)
        output, state = self.cell(ops.concatenate([previous, place, plan], axis=-1), state)
        return self.head(output), state


def begun(cell: keras.layers.Layer, beginnings: list[keras.layers.Layer], told: Tensor) -> Any:
    """The first state of a cell, each part of it made from `told` by a layer of its own."""
    states = [beginning(told) for beginning in beginnings]
    # Packed like a state, not like `state_size`: a layer's own lists are of a type that JAX tells from a list.
    return keras.tree.pack_sequence_as(cell.get_initial_state(batch_size=1), states)


def by_phrase(steps: Tensor, length: int) -> Tensor:
    """`[batch, steps, size]` as phrases with each step's place: `[batch * phrases, length, size + length]`."""
    phrases = ops.reshape(steps, (-1, length, steps.shape[-1]))
    return ops.concatenate([phrases, places(ops.shape(phrases)[0], length, length)], axis=-1)


def summarise(listen: keras.layers.RNN, heard: Tensor, mask: Tensor, length: int, training: bool) -> Tensor:
    """What `listen` makes of every phrase: `[batch, phrases, units]`."""
    phrases = heard.shape[1] // length
    real = ops.reshape(mask, (-1, length)) > 0
    summary = listen(by_phrase(heard, length), mask=real, training=training)
    return ops.reshape(summary, (-1, phrases, summary.shape[-1]))


def checked_length(phrase_length: int) -> int:
    """The length of a phrase, if it is one."""
    if not isinstance(phrase_length, int) or phrase_length < 1:
        raise ValueError(f"phrase_length is how many steps a phrase has, at least 1; got {phrase_length!r}.")
    return phrase_length


def check_phrases(steps: int, phrase_length: int) -> None:
    """Raise ValueError if so many steps are not a number of whole phrases."""
    if not steps or steps % phrase_length:
        raise ValueError(
            f"x is cut into phrases of {phrase_length} steps, so its length is a multiple of that; got {steps}."
        )
