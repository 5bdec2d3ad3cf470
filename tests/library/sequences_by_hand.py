"""Recurrent cells and models of sequences, written out again in NumPy and float64, and small models to compare."""

import itertools

import numpy as np
from scipy.special import expit, log_expit, log_softmax
from scipy.stats import chisquare

from hvae_keras import layers
from hvae_keras.backend import keras, ops

CELLS = {
    "Elman": keras.layers.SimpleRNNCell,
    "GRU": keras.layers.GRUCell,
    "LSTM": keras.layers.LSTMCell,
}


def array(tensor):
    return ops.convert_to_numpy(tensor)


def exact(tensor):
    """A tensor or a weight as float64."""
    return np.float64(array(getattr(tensor, "value", tensor)))


def randomise(model, seed=0, scale=0.5):
    """Every weight random, biases and heads too, so that nothing is 0 by its initialiser."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(np.float32(rng.normal(size=variable.shape) * scale))
    return model


def every_sequence(tokens, steps):
    """All `tokens ** steps` sequences: `[n, steps]`."""
    return np.array(list(itertools.product(range(tokens), repeat=steps)), "int32")


def every_frame_sequence(keys, steps):
    """All sequences of frames: `[2 ** (keys * steps), steps, keys]`."""
    return np.array(list(itertools.product((0, 1), repeat=keys * steps)), "float32").reshape(-1, steps, keys)


def p_value_of_draws(drawn, sequences, probabilities):
    """Of Pearson's test that `drawn` have these probabilities; outcomes expected less than 5 times are one."""
    place = {sequence.tobytes(): i for i, sequence in enumerate(sequences)}
    counts = np.bincount([place[sequence.tobytes()] for sequence in drawn], minlength=len(sequences))
    expected = probabilities / probabilities.sum() * len(drawn)
    rare = expected < 5
    assert not counts[expected == 0].any()
    if expected[rare].sum() > 0:
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    else:
        counts, expected = counts[~rare], expected[~rare]
    return chisquare(counts, expected).pvalue


# Layers


def dense(layer, x, tanh=False):
    y = x @ exact(layer.kernel) + exact(layer.bias)
    return np.tanh(y) if tanh else y


def elman(cell, x, state):
    (h,) = state
    h = np.tanh(x @ exact(cell.kernel) + h @ exact(cell.recurrent_kernel) + exact(cell.bias))
    return h, [h]


def gru(cell, x, state):
    """Cho et al. (2014), with the reset gate after the product: that is the variant of cuDNN and of Keras."""
    (h,) = state
    bias, recurrent_bias = exact(cell.bias)
    x_z, x_r, x_h = np.split(x @ exact(cell.kernel) + bias, 3, axis=-1)
    h_z, h_r, h_h = np.split(h @ exact(cell.recurrent_kernel) + recurrent_bias, 3, axis=-1)
    z = expit(x_z + h_z)
    h = z * h + (1 - z) * np.tanh(x_h + expit(x_r + h_r) * h_h)
    return h, [h]


def lstm(cell, x, state):
    h, c = state
    gates = x @ exact(cell.kernel) + h @ exact(cell.recurrent_kernel) + exact(cell.bias)
    i, f, new, o = np.split(gates, 4, axis=-1)
    c = expit(f) * c + expit(i) * np.tanh(new)
    h = expit(o) * np.tanh(c)
    return h, [h, c]


def move(cell, x, state):
    """One step of a cell: `(output, state)`."""
    return {"SimpleRNNCell": elman, "GRUCell": gru, "LSTMCell": lstm}[type(cell).__name__](cell, x, state)


def nothing(cell, n):
    """The state before the first step."""
    return [np.zeros((n, cell.units)) for _ in range(2 if isinstance(cell, keras.layers.LSTMCell) else 1)]


# Models


def inputs(model, x):
    """What a network reads in the place of x: one-hot tokens or keys, zeros for padding."""
    if isinstance(model.likelihood, layers.Categorical):
        return np.eye(model.likelihood.classes)[x] * (x >= 0)[..., None]
    return np.maximum(np.float64(x), 0)


def is_step(model, x):
    return x >= 0 if isinstance(model.likelihood, layers.Categorical) else x[..., 0] >= 0


def step_log_prob(model, logits, x):
    """log p of each step, 0 at padding."""
    if isinstance(model.likelihood, layers.Categorical):
        found = np.take_along_axis(log_softmax(logits, axis=-1), np.maximum(x, 0)[..., None], axis=-1)[..., 0]
    else:
        found = log_expit(np.where(x == 1, logits, -logits)).sum(-1)
    return found * is_step(model, x)


def flat_logits(model, x):
    """Of a `RecurrentModel`: `[n, steps, size]`."""
    read, found = inputs(model, x), []
    before, state = np.zeros_like(read[:, 0]), nothing(model.cell, len(x))
    for t in range(x.shape[1]):
        place = np.eye(model.meter or 0)[[t % model.meter] * len(x)] if model.meter else np.zeros((len(x), 0))
        h, state = move(model.cell, np.concatenate([before, place], -1), state)
        found.append(dense(model.head, h))
        before = read[:, t]
    return np.stack(found, axis=1)


def summary(model, x, p):
    """What the encoder keeps of phrase p, one sequence after the other, with the padding left out."""
    length, found = model.phrase_length, []
    for read, real in zip(inputs(model, x), is_step(model, x), strict=True):
        h, state = np.zeros((1, model.encoder.units)), nothing(model.encoder, 1)
        for at in range(length):
            if real[p * length + at]:
                step = np.concatenate([read[p * length + at], np.eye(length)[at]])
                h, state = move(model.encoder, step[None], state)
        found.append(h[0])
    return np.array(found)


def phrase_logits(model, x, p, plan):
    """What the writer says of phrase p: `[n, length, size]`."""
    writer, length, read, found = model.writer, model.phrase_length, inputs(model, x), []
    state = [dense(beginning, plan, tanh=True) for beginning in writer.beginnings]
    for at in range(length):
        t = p * length + at
        before = read[:, t - 1] if t else np.zeros_like(read[:, 0])
        place = np.eye(length)[[at] * len(x)]
        h, state = move(writer.cell, np.concatenate([before, place, plan], -1), state)
        found.append(dense(writer.head, h))
    return np.stack(found, axis=1)


def hierarchical_logits(model, x):
    """Of a `HierarchicalRecurrentModel`: `[n, steps, size]`."""
    found, state = [], nothing(model.conductor, len(x))
    heard = np.zeros((len(x), model.encoder.units))
    for p in range(x.shape[1] // model.phrase_length):
        h, state = move(model.conductor, heard, state)
        found.append(phrase_logits(model, x, p, dense(model.plan, h, tanh=True)))
        heard = summary(model, x, p)
    return np.concatenate(found, axis=1)


def conduct(model, z_2, z_1=None, noise=None):
    """Of a `HierarchicalRecurrentVAE`, given z_1 or the noise it is drawn with, `[n, phrases, units]`.

    Returns:
        z_1, mean and standard deviation of its prior, what the writer is told, and the conductor's outputs.
    """
    state = [dense(beginning, z_2, tanh=True) for beginning in model.beginnings]
    z, found = np.zeros((len(z_2), model.latents[0])), []
    for p in range(model.phrases):
        h, state = move(model.conductor, np.concatenate([z, z_2], -1), state)
        mean, log_var = np.split(dense(model.phrase_prior, h), 2, axis=-1)
        scale = np.exp(log_var / 2)
        z = z_1[:, p] if noise is None else mean + scale * noise[:, p]
        found.append((z, mean, scale, np.concatenate([z, h], -1), h))
    return tuple(np.stack(parts, axis=1) for parts in zip(*found, strict=True))


def decoded_logits(model, x, told):
    """Of a `HierarchicalRecurrentVAE`: `[n, steps, size]`."""
    return np.concatenate([phrase_logits(model, x, p, told[:, p]) for p in range(model.phrases)], axis=1)


def tune_posterior(model, x):
    """Mean and standard deviation of q(z_2|x)."""
    state = nothing(model.reader, len(x))
    for p in range(model.phrases):
        h, state = move(model.reader, summary(model, x, p), state)
    mean, log_var = np.split(dense(model.tune_posterior, h), 2, axis=-1)
    return mean, np.exp(log_var / 2)


def phrase_posterior(model, x, states):
    """Mean and standard deviation of q(z_1|z_2, x), given the conductor's outputs along z_1."""
    found = []
    for p in range(model.phrases):
        seen = np.concatenate([summary(model, x, p), states[:, p]], -1)
        parameters = dense(model.phrase_posterior, dense(model.phrase_features, seen, tanh=True))
        mean, log_var = np.split(parameters, 2, axis=-1)
        found.append((mean, np.exp(log_var / 2)))
    return tuple(np.stack(parts, axis=1) for parts in zip(*found, strict=True))
