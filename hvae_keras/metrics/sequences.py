"""What is measured on models of sequences: likelihood by step, and how far back a cell's gradient reaches."""

import numpy as np

from hvae_keras.backend import compiled, gradient, keras, ops
from hvae_keras.metrics.draws import at_least_one, checked
from hvae_keras.models.sequence import SequenceModel


def nats_per_step(model: SequenceModel, x: np.ndarray, batch_size: int = 64) -> float:
    """-log p(x) in nats, summed over all sequences and divided by the number of their steps, without padding.

    Args:
        model: A model of sequences.
        x: `[n, steps, ...]`, -1 for padding.
        batch_size: Sequences at a time.

    Raises:
        ValueError: if x has another shape than the model's, no sequence or no step.
    """
    at_least_one(batch_size=batch_size)
    x = checked(model, x)
    steps = float(ops.sum(model.likelihood.mask(ops.convert_to_tensor(x))))
    if not steps:
        raise ValueError("x holds no step: it is padding (-1) from end to end.")
    measure, nats = compiled(lambda batch: ops.sum(model.log_prob(batch)), xla=False), 0.0
    for at in range(0, len(x), batch_size):
        nats -= float(measure(ops.convert_to_tensor(x[at : at + batch_size])))
    return nats / steps


def gradient_norms(cell: keras.layers.Layer, x: np.ndarray, projections: int = 8, seed: int = 0) -> np.ndarray:
    """How strongly the last output of a cell depends on its state at each step: `[n, steps]`.

    Entry t is the Frobenius norm of the Jacobian dh_T/ds_t, where h_T is the output after the last step and s_t
    all that the cell carries after step t: h for Elman's cell and a GRU, h and c for an LSTM. It is estimated from
    random directions v, since E ‖Jᵀv‖² = ‖J‖² for v ~ N(0, I); with `projections` of them its relative error is
    at most about 1 / sqrt(2 * projections). How it falls or grows with T - t is the vanishing or exploding
    gradient of Bengio, Simard & Frasconi (1994).

    Args:
        cell: A Keras cell such as `keras.layers.LSTMCell(64)`; it is built if it is not.
        x: Inputs `[n, steps, features]`.
        projections: Random directions for each sequence.
        seed: Seed of the directions.

    Raises:
        ValueError: if the cell is a stack of cells, x has another number of dimensions, or a count is below 1.
    """
    x = np.asarray(x, "float32")
    if x.ndim != 3 or not x.size:
        raise ValueError(f"x holds inputs of shape [n, steps, features]; got shape {x.shape}.")
    at_least_one(projections=projections)
    if isinstance(cell, keras.layers.StackedRNNCells):
        raise ValueError("cell is a single cell, such as keras.layers.LSTMCell(64); got a stack of them.")
    n, steps, features = x.shape
    repeated = ops.convert_to_tensor(np.repeat(x, projections, axis=0))
    if not cell.built:
        cell.build((None, features))
    v = np.random.default_rng(seed).normal(size=(n * projections, cell.output_size)).astype("float32")
    sizes = keras.tree.flatten(cell.state_size)
    ends = np.cumsum(sizes).tolist()

    def along(nudges: list) -> object:
        """v · h_T when the state after step t is moved by `nudges[t]`."""
        state = cell.get_initial_state(batch_size=n * projections)
        for t in range(steps):
            output, state = cell(repeated[:, t], state)
            flat = [nudges[t][:, end - size : end] for size, end in zip(sizes, ends, strict=True)]
            moved = [part + nudge for part, nudge in zip(keras.tree.flatten(state), flat, strict=True)]
            state = keras.tree.pack_sequence_as(state, moved)
        # The output of these cells is the first part of their state, which the last nudge moves, too.
        return ops.sum(v * (output + flat[0]))

    at = np.zeros((steps, n * projections, sum(sizes)), "float32")
    gradients = ops.convert_to_numpy(gradient(along, at))
    squares = (gradients**2).sum(axis=-1).reshape(steps, n, projections).mean(axis=-1)
    return np.sqrt(squares).T
