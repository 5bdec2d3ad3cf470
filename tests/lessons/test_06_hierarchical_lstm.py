"""Checks of lesson 06. Expected values come from Keras's cells, finite differences, loops and hand-made cases."""

import functools

import numpy as np
from scipy.special import expit as sigmoid
from scipy.special import logsumexp, softmax

from hvae_keras.backend import keras, ops
from hvae_keras.course import Exercise, assert_close


def _two(result, names):
    """The two parts of an answer, or a sentence about what came instead."""
    assert isinstance(result, (tuple, list)) and len(result) == 2, f"two values are asked for, {names}"
    return result


def _whole(array, what):
    """Refuse right numbers in an array of floats, where integers are asked for."""
    kind = np.asarray(array).dtype
    assert kind.kind in "iu", f"{what} are integers; yours are {kind}"


# 6.1 ----------------------------------------------------------------------------------------------------

cut = Exercise(
    "6.1",
    "cut",
    stars=1,
    points=2,
    minutes=5,
    hints=(
        "A phrase begins where the one before it has ended. What does the rest of its row hold?",
        "Phrase p goes from step ends[p − 1] + 1 to step ends[p], both included; the first one from step 0.",
        "Fill an integer array with −1. A loop over the ends keeps the start of the current phrase in a variable.",
    ),
)


@cut.check(points=1)
def test_ends_each_phrase_with_the_step_named(cut):
    """Three phrases of 3, 1 and 4 steps, written out by hand."""
    got = cut(np.array([5, 0, 7, 9, 4, 0, 0, 1]), np.array([2, 3, 7]), 4)
    assert_close(got, [[5, 0, 7, -1], [9, -1, -1, -1], [4, 0, 0, 1]], what="phrases")
    _whole(got, "phrases")


@cut.check(points=1)
def test_loses_nothing(cut, rng):
    """Without its padding, what was cut is the tune again; and every row starts with its first step."""
    lengths = rng.permutation(np.arange(1, 8))
    tune, ends = rng.integers(0, 34, size=lengths.sum()), np.cumsum(lengths) - 1
    phrases = np.asarray(cut(tune, ends, 8))
    assert phrases.shape == (7, 8), f"7 phrases of 8 steps make shape (7, 8), got {phrases.shape}"
    assert_close(phrases[phrases >= 0], tune, what="the steps that are not padding")
    assert_close((phrases >= 0).argmin(axis=1), lengths, what="steps of each phrase")


def _cut(tune, begins, ends, length, padding=-1, right=False):
    """Rows of tune[begin:end]; longer ones lose what does not fit."""
    phrases = np.full((len(ends), length), padding)
    for row, begin, end in zip(phrases, begins, ends, strict=True):
        part = tune[begin:end][:length]
        if len(part):
            row[slice(-len(part), None) if right else slice(len(part))] = part
    return phrases


def _begins(ends):
    return np.append(0, ends[:-1] + 1)


@cut.misconception("Your phrases end a step early: the step named in `ends` belongs to the phrase that it ends.")
def end_left_out(tune, ends, length):
    return _cut(tune, _begins(ends), ends, length)


@cut.misconception("Each end goes to the phrase after it in yours. It is the last step of its own phrase.")
def end_given_to_the_next(tune, ends, length):
    return _cut(tune, np.append(0, ends[:-1]), ends, length)


@cut.misconception("The last step of a phrase stands in two rows: the next phrase begins one step later.")
def end_twice(tune, ends, length):
    return _cut(tune, np.append(0, ends[:-1]), ends + 1, length)


@cut.misconception("You padded with 0. That is a token, HOLD: nobody could tell it from a note that lasts.")
def padded_with_hold(tune, ends, length):
    return _cut(tune, _begins(ends), ends + 1, length, padding=0)


@cut.misconception("You padded in front. A phrase starts at the start of its row; the padding follows.")
def padded_in_front(tune, ends, length):
    return _cut(tune, _begins(ends), ends + 1, length, right=True)


@cut.misconception(
    "The numbers are right, and they are floats: `np.full` and `np.zeros` make floats unless you say otherwise."
)
def rows_of_floats(tune, ends, length):
    return _cut(tune, _begins(ends), ends + 1, length).astype(float)


@cut.misconception("You cut every `length` steps. The phrases are as long as `ends` says; `length` is the row.")
def cut_evenly(tune, ends, length):
    begins = length * np.arange(len(ends))
    return _cut(tune, begins, begins + length, length)


@cut.misconception("The last phrase is missing: its end stands in `ends` like all the others.")
def last_phrase_lost(tune, ends, length):
    return _cut(tune, _begins(ends), ends + 1, length)[:-1]


# 6.2 ----------------------------------------------------------------------------------------------------

one_step = Exercise(
    "6.2",
    "one_step",
    stars=1,
    points=4,
    minutes=8,
    hints=(
        "Both cells begin with the same sum of what comes in and what is remembered. Only then do they part.",
        "The gates i, f and o go through a sigmoid before they multiply anything; the candidate g and the new "
        "c go through a tanh. Every product here is unit by unit, except those with the two kernels.",
        "One line for the sum, one `if` for the Elman cell, `np.split` in four along the last axis for the other. "
        "The new c is needed before the new h.",
    ),
)


def _cell_inputs(rng, units, gates):
    """x of 3 numbers, h and c, a batch of 5; kernel, recurrent kernel and bias of so many gates. In float64."""
    x, h = rng.uniform(0.5, 1.5, size=(5, 3)), rng.uniform(-0.9, 0.9, size=(5, units))
    c = rng.uniform(0.6, 1.6, size=(5, units)) * rng.choice([-1, 1], size=(5, units))
    kernel, recurrent = rng.normal(size=(3, gates * units)), rng.normal(size=(units, gates * units))
    return x, h, c, kernel, recurrent, rng.uniform(0.5, 1.0, size=gates * units)


@functools.cache  # making a cell takes longer than all the rest
def _keras_cell(kind):
    """A Keras cell of 4 units for x of 3 numbers."""
    layer = {"elman": keras.layers.SimpleRNNCell, "lstm": keras.layers.LSTMCell}[kind](4)
    layer.build((None, 3))
    return layer


def _by_keras(kind, x, states, weights):
    """New states of a Keras cell with these weights, as NumPy arrays."""
    x, *states = (np.asarray(part, "float32") for part in (x, *states))
    layer = _keras_cell(kind)
    layer.set_weights([np.asarray(weight, "float32") for weight in weights])
    return [ops.convert_to_numpy(state) for state in layer(x, states)[1]]


@one_step.check(points=1)
def test_elman_cell_does_what_the_one_of_keras_does(one_step, rng):
    """`keras.layers.SimpleRNNCell` with the same weights."""
    x, h, c, *weights = _cell_inputs(rng, 4, 1)
    got, got_c = _two(one_step("elman", x, h, c, *weights), "h and c")
    assert_close(got, _by_keras("elman", x, [h], weights)[0], rtol=1e-3, atol=1e-4, what="h")
    assert_close(got_c, c, what="c, which an Elman cell leaves alone,")


@one_step.check(points=3)
def test_lstm_cell_does_what_the_one_of_keras_does(one_step, rng):
    """`keras.layers.LSTMCell` with the same weights."""
    x, h, c, *weights = _cell_inputs(rng, 4, 4)
    expected = _by_keras("lstm", x, [h, c], weights)
    got, got_c = _two(one_step("lstm", x, h, c, *weights), "h and c")
    assert_close(got_c, expected[1], rtol=1e-3, atol=1e-4, what="c")
    assert_close(got, expected[0], rtol=1e-3, atol=1e-4, what="h")


def _sum(x, h, kernel, recurrent, bias):
    return x @ kernel + h @ recurrent + bias


def _lstm(i, f, g, o, c):
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def _parts(a):
    return np.split(a, 4, axis=-1)


@one_step.misconception("You left out the state: without h U the cell remembers nothing.")
def state_forgotten(cell, x, h, c, kernel, recurrent, bias):
    a = x @ kernel + bias
    return (np.tanh(a), c) if cell == "elman" else _lstm(*_parts(a), c)


@one_step.misconception("The bias is missing from the sum.")
def bias_forgotten(cell, x, h, c, kernel, recurrent, bias):
    a = x @ kernel + h @ recurrent
    return (np.tanh(a), c) if cell == "elman" else _lstm(*_parts(a), c)


@one_step.misconception(
    "An Elman cell ends with a tanh, so that the state stays between -1 and 1. Yours is linear."
)
def elman_without_tanh(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    return (a, c) if cell == "elman" else _lstm(*_parts(a), c)


@one_step.misconception("Your Elman cell ends with a sigmoid. In an Elman cell as Keras has it, it is a tanh.")
def elman_with_sigmoid(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    return (sigmoid(a), c) if cell == "elman" else _lstm(*_parts(a), c)


@one_step.misconception("You return c before h. The order is h, c.")
def cell_state_first(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    h, c = (np.tanh(a), c) if cell == "elman" else _lstm(*_parts(a), c)
    return c, h


@one_step.misconception("You read the parts as i, f, o, g. They are i, f, g, o: the output gate is last.")
def output_gate_third(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    if cell == "elman":
        return np.tanh(a), c
    i, f, o, g = _parts(a)
    return _lstm(i, f, g, o, c)


@one_step.misconception("You read the parts as i, g, f, o. They are i, f, g, o: the forget gate is second.")
def forget_gate_third(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    if cell == "elman":
        return np.tanh(a), c
    i, g, f, o = _parts(a)
    return _lstm(i, f, g, o, c)


@one_step.misconception(
    "The gates have changed places: f says how much of the old c stays, i how much of the new candidate comes in."
)
def input_and_forget_swapped(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    if cell == "elman":
        return np.tanh(a), c
    i, f, g, o = _parts(a)
    return _lstm(f, i, g, o, c)


@one_step.misconception("h is made from the new c. Yours still holds the old one.")
def output_of_the_old_cell(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    if cell == "elman":
        return np.tanh(a), c
    i, f, g, o = _parts(a)
    return sigmoid(o) * np.tanh(c), _lstm(i, f, g, o, c)[1]


@one_step.misconception("The cell's state goes through a tanh on its way to h: h' = σ(o) tanh(c').")
def output_without_tanh(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    if cell == "elman":
        return np.tanh(a), c
    i, f, g, o = _parts(a)
    c = _lstm(i, f, g, o, c)[1]
    return sigmoid(o) * c, c


@one_step.misconception(
    "The candidate is no gate: it goes through a tanh, so that it can lower c as well as raise it."
)
def candidate_through_sigmoid(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    if cell == "elman":
        return np.tanh(a), c
    i, f, g, o = _parts(a)
    c = sigmoid(f) * c + sigmoid(i) * sigmoid(g)
    return sigmoid(o) * np.tanh(c), c


@one_step.misconception("Your gates are sums as they come. Each goes through a sigmoid before it multiplies.")
def sigmoids_forgotten(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    if cell == "elman":
        return np.tanh(a), c
    i, f, g, o = _parts(a)
    c = f * c + i * np.tanh(g)
    return o * np.tanh(c), c


@one_step.misconception("The candidate comes in as tanh(g), between -1 and 1. Yours comes in as g.")
def candidate_without_tanh(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    if cell == "elman":
        return np.tanh(a), c
    i, f, g, o = _parts(a)
    c = sigmoid(f) * c + sigmoid(i) * g
    return sigmoid(o) * np.tanh(c), c


@one_step.misconception("An LSTM has an input gate of its own: 1 − σ(f) in its place makes the two gates one.")
def gates_coupled(cell, x, h, c, kernel, recurrent, bias):
    a = _sum(x, h, kernel, recurrent, bias)
    if cell == "elman":
        return np.tanh(a), c
    _, f, g, o = _parts(a)
    c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


# 6.3 ----------------------------------------------------------------------------------------------------

masked_nll = Exercise(
    "6.3",
    "masked_nll",
    stars=1,
    points=3,
    minutes=5,
    hints=(
        "Every step asks: how probable was the token that came? Where no token came, nothing is asked.",
        "log p(x_t) = logit of x_t − logsumexp of all the logits at t; minus the sum over steps with x_t ≥ 0. "
        "A share per step divides by the number of such steps.",
        "Index −1 is the last class in Python: replace it before `np.take_along_axis`, and multiply by the mask "
        "after.",
    ),
)


@masked_nll.check(points=1)
def test_guessing_costs_the_logarithm_of_the_classes(masked_nll):
    """All logits equal: log 5 nats for each of 4 and of 1 steps, whatever stands at the padding (HOLD is dear)."""
    logits = np.full((2, 4, 5), 3.0)
    logits[1, 1:] = [2.0, -2.0, 9.0, 1.0, -7.0]
    nll, per_step = _two(
        masked_nll(np.array([[4, 0, 2, 1], [3, -1, -1, -1]]), logits), "the nats of each tune and nats per step"
    )
    assert_close(nll, np.log(5) * np.array([4, 1]), what="nats of each tune")
    assert_close(per_step, np.log(5), what="nats per step")


@masked_nll.check(points=2)
def test_agrees_with_a_loop_over_the_steps(masked_nll, rng):
    """In float64, step by step; some logits are beyond what exp holds in float32, one token is improbable."""
    tokens, logits = rng.integers(0, 5, size=(4, 6)), rng.normal(size=(4, 6, 5)) * 2
    logits[2] += 300.0
    logits[0, 0, tokens[0, 0]] = -40.0
    for row, steps in zip(tokens, rng.permutation([2, 3, 5, 6]), strict=True):
        row[steps:] = -1
    expected, steps = np.zeros(4), 0
    for n, t in np.argwhere(tokens >= 0):
        p = np.exp(logits[n, t] - logits[n, t].max())
        expected[n] -= np.log(p[tokens[n, t]] / p.sum())
        steps += 1
    nll, per_step = _two(masked_nll(tokens, logits), "the nats of each tune and nats per step")
    assert_close(nll, expected, rtol=1e-3, atol=1e-3, what="nats of each tune")
    assert_close(per_step, expected.sum() / steps, rtol=1e-3, what="nats per step")


def _log_p(tokens, logits):
    """log p of every token, that of the last class where there is padding."""
    log_p = logits - logsumexp(logits, axis=-1, keepdims=True)
    return np.take_along_axis(log_p, np.asarray(tokens)[..., None] % logits.shape[-1], axis=-1)[..., 0]


@masked_nll.misconception(
    "Your padding costs nats. Index -1 is the last class in Python: mask what you picked for it."
)
def padding_counted_as_the_last_class(tokens, logits):
    nll = -_log_p(tokens, logits).sum(axis=1)
    return nll, nll.sum() / (tokens >= 0).sum()


@masked_nll.misconception("You turned padding into token 0, HOLD, and counted that. Padding is no token at all.")
def padding_counted_as_hold(tokens, logits):
    nll = -_log_p(np.maximum(tokens, 0), logits).sum(axis=1)
    return nll, nll.sum() / (tokens >= 0).sum()


@masked_nll.misconception(
    "Nothing is masked: padding costs nats (index -1 is the last class) and counts as steps. It is neither."
)
def nothing_masked(tokens, logits):
    nll = -_log_p(tokens, logits).sum(axis=1)
    return nll, nll.sum() / tokens.size


@masked_nll.misconception("Padding is turned into HOLD and counted, in the nats and in the steps. It is neither.")
def nothing_masked_after_filling_with_hold(tokens, logits):
    nll = -_log_p(np.maximum(tokens, 0), logits).sum(axis=1)
    return nll, nll.sum() / tokens.size


@masked_nll.misconception(
    "You added a little to the probability. A surprise may be large: take log p from the logits, by `logsumexp`."
)
def small_number_added(tokens, logits):
    known = tokens >= 0
    nll = -(np.log(np.exp(_log_p(tokens, logits)) + 1e-7) * known).sum(axis=1)
    return nll, nll.sum() / known.sum()


@masked_nll.misconception(
    "You clip the probability from below. A surprise may be large: take log p from the logits."
)
def probability_clipped(tokens, logits):
    known = tokens >= 0
    nll = -(np.log(np.maximum(np.exp(_log_p(tokens, logits)), 1e-6)) * known).sum(axis=1)
    return nll, nll.sum() / known.sum()


@masked_nll.misconception("You masked token 0 as well. HOLD is a token like all others; only -1 is padding.")
def hold_masked(tokens, logits):
    known = tokens > 0
    nll = -(_log_p(tokens, logits) * known).sum(axis=1)
    return nll, nll.sum() / known.sum()


@masked_nll.misconception("Your nats leave HOLD out: token 0 is a token like all others. Only -1 is padding.")
def hold_masked_and_counted(tokens, logits):
    nll = -(_log_p(tokens, logits) * (tokens > 0)).sum(axis=1)
    return nll, nll.sum() / (tokens >= 0).sum()


@masked_nll.misconception("Your nats per step are divided by the padding too. Count the steps that have a token.")
def divided_by_all_steps(tokens, logits):
    nll = -(_log_p(tokens, logits) * (tokens >= 0)).sum(axis=1)
    return nll, nll.sum() / tokens.size


@masked_nll.misconception(
    "You averaged the tunes' nats per step. Divide all nats by all steps: else short tunes count for more."
)
def mean_of_means(tokens, logits):
    nll = -(_log_p(tokens, logits) * (tokens >= 0)).sum(axis=1)
    return nll, np.mean(nll / (tokens >= 0).sum(axis=1))


@masked_nll.misconception("That is the log-likelihood. Its negative is asked, which is never below zero here.")
def sign_forgotten(tokens, logits):
    log_p = (_log_p(tokens, logits) * (tokens >= 0)).sum(axis=1)
    return log_p, log_p.sum() / (tokens >= 0).sum()


@masked_nll.misconception("Those are bits. Nats come from the natural logarithm.")
def in_bits(tokens, logits):
    nll = -(_log_p(tokens, logits) * (tokens >= 0)).sum(axis=1) / np.log(2)
    return nll, nll.sum() / (tokens >= 0).sum()


@masked_nll.misconception("A tune's nats are a sum over its steps. You returned their mean.")
def mean_over_steps(tokens, logits):
    known = tokens >= 0
    nll = -(_log_p(tokens, logits) * known).sum(axis=1)
    return nll / known.sum(axis=1), nll.sum() / known.sum()


@masked_nll.misconception("The logits are not normalised: log p is the logit less the logsumexp of all of them.")
def logit_for_log_probability(tokens, logits):
    known = tokens >= 0
    picked = np.take_along_axis(logits, np.maximum(tokens, 0)[..., None], axis=-1)[..., 0]
    nll = -(picked * known).sum(axis=1)
    return nll, nll.sum() / known.sum()


@masked_nll.misconception(
    "You shifted the tokens against the logits. The logits at step t are for token t: they saw those before it."
)
def shifted(tokens, logits):
    known = tokens[:, 1:] >= 0
    nll = -(_log_p(tokens[:, 1:], logits[:, :-1]) * known).sum(axis=1)
    return nll, nll.sum() / known.sum()


@masked_nll.misconception(
    "e^300 is infinite in float32. Use `logsumexp`, which takes the largest logit out first."
)
def exp_that_overflows(tokens, logits):
    known = tokens >= 0
    with np.errstate(all="ignore"):
        p = np.exp(logits)
        log_p = np.log(p / p.sum(axis=-1, keepdims=True))
        picked = np.take_along_axis(log_p, np.maximum(tokens, 0)[..., None], axis=-1)[..., 0]
        nll = -(picked * known).sum(axis=1)
    return nll, nll.sum() / known.sum()


# 6.4 ----------------------------------------------------------------------------------------------------

gradient_norms = Exercise(
    "6.4",
    "gradient_norms",
    stars=2,
    points=4,
    minutes=10,
    hints=(
        "A small change of h_t makes a small change of h_{t+1}, and so on to the end: one matrix a step.",
        "A change δ of h_{t−1} changes h_t by (δU) ⊙ (1 − h_t²). As a matrix that δ is multiplied by, from the "
        "right: U diag(1 − h_t²).",
        "Begin with the identity at the last step and go backwards: in front of what you have comes the next "
        "step's matrix. Keep the norm each time, then turn the list round.",
    ),
)


def _elman_states(rng, steps, units):
    """States of an Elman cell from random inputs, its recurrent kernel, and the inputs x W + b. In float64.

    Inputs large and small by turns: a unit is steep at one step and flat at the next, so the matrices of two steps
    hardly commute. Drawn again until the product in the wrong order is off by a quarter somewhere.
    """
    while True:
        recurrent = rng.normal(size=(units, units)) * 0.9
        drive = rng.uniform(0.2, 1.6, size=(steps, units)) * rng.choice([-1, 1], size=(steps, units))
        h, states = np.zeros(units), []
        for a in drive:
            h = np.tanh(a + h @ recurrent)
            states.append(h)
        states = np.array(states)
        right, wrong = (_norms(_matrices(states, recurrent), units, order=order) for order in ("back", "forth"))
        if np.abs(wrong / right - 1).max() > 0.25:
            return states, recurrent, drive


def _by_differences(states, recurrent, drive, small=1e-6):
    """Frobenius norms of d h_T / d h_t: every unit of h_t moved by ±small, the cell run to the end."""

    def end(h, since):
        for a in drive[since:]:
            h = np.tanh(a + h @ recurrent)
        return h

    norms = []
    for t, h in enumerate(states):
        moved = small * np.eye(len(h))
        norms.append(np.linalg.norm((end(h + moved, t + 1) - end(h - moved, t + 1)) / (2 * small)))
    return np.array(norms)


@gradient_norms.check(points=1)
def test_near_zero_an_orthogonal_kernel_scales_by_a_power(gradient_norms, rng):
    """At h = 0 the tanh has slope 1: s times an orthogonal matrix gives s^k times the norm of the identity, 2."""
    orthogonal = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    got = gradient_norms(np.zeros((5, 4)), 0.6 * orthogonal)
    assert_close(got, [2 * 0.6**4, 2 * 0.6**3, 2 * 0.6**2, 2 * 0.6, 2.0], what="norms")


@gradient_norms.check(points=3)
def test_agrees_with_finite_differences(gradient_norms, rng):
    """The cell run from h_t to the end, with each unit of h_t moved up and down a little."""
    states, recurrent, drive = _elman_states(rng, 5, 3)
    expected = _by_differences(states, recurrent, drive)
    assert_close(gradient_norms(states, recurrent), expected, rtol=5e-4, atol=1e-6, what="norms")


def _norms(matrices, units, norm=np.linalg.norm, order="back"):
    """Norms of the products of the last 0, 1, 2, ... matrices, the longest product first."""
    product, norms = np.eye(units), []
    for matrix in (*matrices[::-1], None):
        norms.append(norm(product))
        if matrix is not None:
            product = matrix @ product if order == "back" else product @ matrix
    return np.array(norms[::-1])


def _matrices(h, recurrent):
    return [recurrent * (1 - state**2) for state in h[1:]]


@gradient_norms.misconception(
    "You left out the slope of the tanh: where the states are near ±1, hardly anything passes."
)
def slope_forgotten(h, recurrent):
    return _norms([recurrent] * (len(h) - 1), recurrent.shape[0])


@gradient_norms.misconception("The slope of tanh at a is 1 − tanh²(a) = 1 − h²: the square is missing.")
def slope_not_squared(h, recurrent):
    return _norms([recurrent * (1 - state) for state in h[1:]], recurrent.shape[0])


@gradient_norms.misconception(
    "The slope belongs to the state after the step: h_t = tanh(...) has the slope 1 − h_t², not 1 − h_{t−1}²."
)
def slope_of_the_state_before(h, recurrent):
    return _norms([recurrent * (1 - state**2) for state in h[:-1]], recurrent.shape[0])


@gradient_norms.misconception(
    "The slopes stand on the wrong side: h_{t−1} passes U first, then the tanh. That is U diag(1 − h_t²)."
)
def slope_on_the_wrong_side(h, recurrent):
    return _norms([(1 - state**2)[:, None] * recurrent for state in h[1:]], recurrent.shape[0])


@gradient_norms.misconception(
    "Your matrices stand in the wrong order. Of all of them, a change of h_t meets that of step t + 1 first; "
    "going backwards, each new one belongs in front of the product of those after it."
)
def product_in_the_wrong_order(h, recurrent):
    return _norms(_matrices(h, recurrent), recurrent.shape[0], order="forth")


@gradient_norms.misconception(
    "You multiplied the norms. Only the norm of the product is the gradient's; yours bounds it."
)
def product_of_norms(h, recurrent):
    units = recurrent.shape[0]
    each = [np.linalg.norm(matrix) for matrix in _matrices(h, recurrent)]
    return np.append(np.cumprod(each[::-1])[::-1], np.sqrt(units))


@gradient_norms.misconception(
    "That is the largest singular value. The Frobenius norm is asked: the root of the sum of all squares."
)
def spectral_norm(h, recurrent):
    return _norms(_matrices(h, recurrent), recurrent.shape[0], lambda matrix: np.linalg.norm(matrix, 2))


@gradient_norms.misconception(
    "Your norms are in the order of distance. The first is asked for t = 1, the farthest."
)
def nearest_first(h, recurrent):
    return _norms(_matrices(h, recurrent), recurrent.shape[0])[::-1]


@gradient_norms.misconception(
    "One step too many: dh_T/dh_T is the identity, whose norm is √units, and each step back adds one matrix."
)
def one_step_too_many(h, recurrent):
    return _norms([recurrent * (1 - state**2) for state in h], recurrent.shape[0])[:-1]


@gradient_norms.misconception("Those are the squares of the norms: take the root of the sum of squares.")
def root_forgotten(h, recurrent):
    return _norms(_matrices(h, recurrent), recurrent.shape[0]) ** 2


# 6.5 ----------------------------------------------------------------------------------------------------

sharpen = Exercise(
    "6.5",
    "sharpen",
    stars=2,
    points=3,
    minutes=5,
    hints=(
        "Low temperature makes the probable more probable. And what is left out must not keep a share.",
        "p_k ∝ exp(logit_k / T) for the k largest logits, 0 for all others; the sum over the rest is 1.",
        "Sort each row to find its k-th largest logit. Put −∞ below it, divide by T, and take out the largest of "
        "the row before you exponentiate.",
    ),
)


@sharpen.check(points=1)
def test_halving_the_temperature_squares_the_odds(sharpen):
    """Odds of 1 : 2 : 4 become 1 : 4 : 16 at T = 1/2; those of 1 : 4 : 16 become 1 : 2 : 4 at T = 2."""
    logits = np.log([[1.0, 2.0, 4.0], [4.0, 1.0, 2.0]])
    sharp, flat = np.array([[1, 4, 16], [16, 1, 4]]) / 21, np.array([[1, 2, 4], [4, 1, 2]]) / 7
    assert_close(sharpen(logits, 0.5, 3), sharp, what="probabilities")
    assert_close(sharpen(2 * logits, 2.0, 3), flat, what="probabilities")


@sharpen.check(points=1)
def test_keeps_the_largest_in_each_row_and_nothing_else(sharpen):
    """The two largest of four at T = 1, and the largest alone; the rows differ in level and in where these are."""
    logits = np.log([[1.0, 2.0, 8.0, 4.0], [60.0, 20.0, 10.0, 30.0]])
    two = sharpen(logits, 1.0, 2)
    assert_close(two, [[0, 0, 2 / 3, 1 / 3], [2 / 3, 0, 0, 1 / 3]], what="probabilities")
    assert_close(sharpen(logits, 1.0, 1), [[0, 0, 1, 0], [1, 0, 0, 0]], what="probabilities")
    dropped = np.asarray(two)[[0, 0, 1, 1], [0, 1, 1, 2]]
    assert (dropped == 0).all(), f"what is left out has probability 0, exactly; yours are {dropped.tolist()}"


@sharpen.check(points=1)
def test_bears_low_temperatures(sharpen, rng):
    """Logits of tens over a temperature of a tenth: e^300 is infinite in float32, and the odds are ordinary.

    So are those of two rows far apart: e^-160, which is 0, is no part of either.
    """
    top = rng.uniform(30, 40, size=(4, 1))
    logits = np.concatenate([top, top - 0.1, top - 0.3, top - 9.0], axis=1)
    odds = np.exp([0.0, -1.0, -3.0])
    expected = np.append(odds / odds.sum(), 0.0)
    assert_close(sharpen(logits, 0.1, 3), np.tile(expected, (4, 1)), rtol=2e-3, atol=1e-5)
    far = np.array([[80.0, 79.0], [-80.0, -81.0]])
    assert_close(sharpen(far, 1.0, 2), np.tile([np.e, 1.0], (2, 1)) / (np.e + 1), what="of two rows far apart")


def _sharpened(logits, temperature, top_k):
    kth = np.partition(logits, -top_k, axis=-1)[:, [-top_k]]
    return softmax(np.where(logits < kth, -np.inf, logits / temperature), axis=-1)


@sharpen.misconception("You multiplied by the temperature: a low one must make the draw sharper, not flatter.")
def multiplied(logits, temperature, top_k):
    return _sharpened(logits, 1 / temperature, top_k)


@sharpen.misconception(
    "The temperature changes nothing in yours. It divides the logits: normalising undoes it on probabilities."
)
def probabilities_divided(logits, temperature, top_k):
    return _sharpened(logits, 1.0, top_k)


@sharpen.misconception(
    "You never go above a temperature of 1. Any above 0 is allowed; a high one makes the draw flatter."
)
def temperature_capped(logits, temperature, top_k):
    return _sharpened(logits, min(temperature, 1.0), top_k)


@sharpen.misconception("You always keep two at least. With k = 1 only the largest is left.")
def two_kept_at_least(logits, temperature, top_k):
    return _sharpened(logits, temperature, max(top_k, 2))


@sharpen.misconception(
    "What is left out is improbable in yours, not impossible: it needs a logit of −∞, not a low one."
)
def low_logit_for_minus_infinity(logits, temperature, top_k):
    kth = np.sort(logits, axis=-1)[:, -top_k, None]
    kept = np.where(logits >= kth, logits / temperature, -30.0)
    p = np.exp(kept - kept.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


@sharpen.misconception("What is left after top-k must sum to 1 again.")
def not_normalised_again(logits, temperature, top_k):
    p = _sharpened(logits, temperature, logits.shape[-1])
    return np.where(_sharpened(logits, temperature, top_k) > 0, p, 0.0)


@sharpen.misconception("Your rows do not sum to 1: divide the exponentials by their sum, after top-k.")
def never_normalised(logits, temperature, top_k):
    kth = np.sort(logits, axis=-1)[:, -top_k, None]
    return np.where(logits >= kth, np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature), 0.0)


@sharpen.misconception(
    "Your rows do not sum to 1, and can overflow: take out the largest logit, divide by the sum."
)
def never_normalised_nor_shifted(logits, temperature, top_k):
    kth = np.sort(logits, axis=-1)[:, -top_k, None]
    with np.errstate(all="ignore"):
        return np.where(logits >= kth, np.exp(logits / temperature), 0.0)


@sharpen.misconception("p^(1/T) is right up to a factor: the powers of the probabilities no longer sum to 1.")
def power_not_normalised(logits, temperature, top_k):
    kth = np.sort(logits, axis=-1)[:, -top_k, None]
    p = np.where(logits >= kth, np.exp(logits - logits.max(axis=-1, keepdims=True)), 0.0)
    return (p / p.sum(axis=-1, keepdims=True)) ** (1 / temperature)


@sharpen.misconception("You kept the smallest logits. The largest are asked.")
def smallest_kept(logits, temperature, top_k):
    kth = np.sort(logits, axis=-1)[:, top_k - 1, None]
    kept = np.where(logits <= kth, logits / temperature, -np.inf)
    p = np.exp(kept - kept.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


@sharpen.misconception("A logit of 0 is no ban: e^0 = 1. What is left out gets a logit of −∞.")
def zero_for_minus_infinity(logits, temperature, top_k):
    kth = np.sort(logits, axis=-1)[:, -top_k, None]
    kept = np.where(logits >= kth, logits / temperature, 0.0)
    p = np.exp(kept - kept.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


@sharpen.misconception("You took one threshold for the whole batch. Each row has its own k largest.")
def threshold_of_the_batch(logits, temperature, top_k):
    rows, classes = logits.shape
    kth = np.sort(logits.ravel())[-top_k * rows]
    kept = np.where(logits >= kth, logits / temperature, -1e9)
    p = np.exp(kept - kept.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


@sharpen.misconception("You keep one too many: count from the end, −1 is the largest and −k the k-th largest.")
def one_too_many(logits, temperature, top_k):
    return _sharpened(logits, temperature, min(top_k + 1, logits.shape[-1]))


@sharpen.misconception("You took out the largest logit of the batch: of a row far below it nothing is left, 0/0.")
def largest_of_the_batch(logits, temperature, top_k):
    kth = np.sort(logits, axis=-1)[:, -top_k, None]
    kept = np.where(logits >= kth, logits / temperature, -np.inf)
    p = np.exp(kept - kept.max())
    with np.errstate(all="ignore"):
        return p / p.sum(axis=-1, keepdims=True)


@sharpen.misconception("e^300 is infinite in float32: take the largest logit of the row out first.")
def overflowing(logits, temperature, top_k):
    kth = np.sort(logits, axis=-1)[:, -top_k, None]
    with np.errstate(all="ignore"):
        p = np.where(logits >= kth, np.exp(logits / temperature), 0.0)
        return p / p.sum(axis=-1, keepdims=True)


# 6.6 ----------------------------------------------------------------------------------------------------

form_score = Exercise(
    "6.6",
    "form_score",
    stars=2,
    points=5,
    minutes=10,
    hints=(
        "Go through the phrases in order. Each asks: which of those before me is most like me, and how like?",
        "Similarity of two phrases: the share of steps with the same pitch. At or above the threshold the letter "
        "of the most similar earlier phrase, else the largest letter so far plus one.",
        "Reshape to (n, phrases, length); compare all pairs at once by two new axes and a mean over the last one. "
        "Then a loop over the phrases from the second, with `argmax` over the earlier ones.",
    ),
)

FORMS = np.array([[0, 0, 1, 0], [0, 1, 0, 1], [0, 1, 0, 2], [0, 0, 1, 2]])  # AABA, ABAB, ABAC, AABC


def _tunes(rng, forms, changes):
    """Tunes of the forms, in phrases of 10 pitches; a phrase that returns differs in `changes` of its steps."""
    tunes = []
    for letters in forms:
        motifs = 10 * np.arange(4)[:, None] + 50 + rng.integers(0, 10, size=(4, 10))
        phrases, seen = motifs[letters], set()
        for phrase, letter in zip(phrases, letters, strict=True):
            if letter in seen:
                phrase[rng.permutation(10)[:changes]] += 40
            seen.add(letter)
        tunes.append(phrases.ravel())
    return np.array(tunes)


@form_score.check(points=1)
def test_finds_the_letters_of_phrases_that_return_exactly(form_score, rng):
    """Two tunes in four have one of the four forms: ABAC and AABA, and not ABCD and ABBA."""
    letters = np.array([[0, 1, 0, 2], [0, 1, 2, 3], [0, 0, 1, 0], [0, 1, 1, 0]])
    got, score = _two(form_score(_tunes(rng, letters, 0), FORMS, 10, 0.65), "letters and score")
    assert_close(got, letters, what="letters")
    assert_close(score, 0.5, what="score")
    _whole(got, "letters")


@form_score.check(points=1)
def test_forgives_changes_below_the_threshold(form_score, rng):
    """Three steps of ten changed in every return: 70 % the same, and a threshold of 65 %. One form only, ABBC."""
    letters = np.array([[0, 1, 0, 2], [0, 1, 1, 2], [0, 0, 1, 2]])
    one = np.array([[0, 1, 1, 2]])
    got, score = _two(form_score(_tunes(rng, letters, 3), one, 10, 0.65), "letters and score")
    assert_close(got, letters, what="letters")
    assert_close(score, 1 / 3, what="score")


@form_score.check(points=1)
def test_takes_the_most_similar_and_meets_the_threshold(form_score, rng):
    """By hand, in phrases of 8 and a threshold of 1/2, which is met by exactly four steps of eight."""
    first = rng.permutation(8) + 50
    half = np.where(np.arange(8) < 4, first, first + 20)  # half like the first
    less = np.where(np.arange(8) < 3, first, first + 40)  # three steps like the first: a new letter
    near = np.where(np.arange(8) < 7, less, less + 20)  # three steps like the first, seven like `less`
    both = np.where(np.arange(8) < 5, first, first + 40)  # five steps like the first, six like `less`
    tunes = np.stack([np.concatenate(parts) for parts in ([first, half, less, near], [first, less, both, first])])
    got, score = _two(form_score(tunes, FORMS, 8, 0.5), "letters and score")
    assert_close(got, [[0, 0, 1, 1], [0, 1, 1, 0]], what="letters")
    assert_close(score, 0.0, what="score")


@form_score.check(points=1)
def test_hears_silence_like_a_pitch(form_score, rng):
    """By hand, in phrases of 8 and a threshold of 1/2: two steps, silent in both phrases, are the same."""
    first = rng.permutation(8) + 50
    first[3:5] = -1
    at = np.arange(8)
    half = np.where((at == 0) | (at == 7) | (first < 0), first, first + 20)  # two notes and two silences of eight
    more = np.where((at < 2) | (at == 7) | (first < 0), first, first + 40)  # three notes and two silences
    less = np.where((at == 0) | (first < 0), first, first + 60)  # one note and two silences: a new letter
    bare = np.where(first < 0, 90, np.where(at < 2, first, -1))  # two notes; silent where the first is not
    tunes = np.stack([np.concatenate(parts) for parts in ([first, less, first, half], [first, more, less, bare])])
    got, score = _two(form_score(tunes, FORMS, 8, 0.5), "letters and score")
    assert_close(got, [[0, 1, 0, 0], [0, 0, 1, 2]], what="letters")
    assert_close(score, 0.5, what="score")


@form_score.check(points=1)
def test_compares_with_every_earlier_phrase(form_score, rng):
    """By hand, five phrases of 10: like one of A's phrases is A, whichever; an octave higher is another phrase."""
    first, at = rng.permutation(10) + 50, np.arange(10)
    second = np.where(at < 6, first, first + 20)  # six steps like the first
    chain = np.where(at < 4, first + 40, second)  # six steps like the second, two like the first
    fork = np.where(at < 4, first + 40, first)  # six steps like the first, two like the second
    octave, other = first + 12, first + 31
    tunes = np.stack([np.concatenate((first, second, third, octave, other)) for third in (chain, fork)])
    tunes = np.concatenate([tunes, np.concatenate((first, second, other, octave, first))[None]])
    got, score = _two(form_score(tunes, np.array([[0, 0, 0, 1, 2]]), 10, 0.6), "letters and score")
    assert_close(got, [[0, 0, 0, 1, 2], [0, 0, 0, 1, 2], [0, 0, 1, 2, 0]], what="letters")
    assert_close(score, 2 / 3, what="score")
    got, score = _two(form_score(np.array([[60, 62, 60, 64]]), FORMS, 1, 0.6), "letters and score")
    assert_close(got, [[0, 1, 0, 2]], what="letters of phrases of one step")
    assert_close(score, 1.0, what="score of phrases of one step")


def _letters(pitch, length, threshold, choose=None, strictly=False, new=None, likeness=None):
    """The rule, tune by tune; `choose` picks an earlier phrase from similarities, `new` a new letter."""
    found = []
    for tune in pitch:
        phrases, letters = tune.reshape(-1, length), [0]
        for i in range(1, len(phrases)):
            same = phrases[:i] == phrases[i]
            alike = likeness(same, phrases[:i], phrases[i]) if likeness else same.mean(axis=1)
            best = choose(alike) if choose else int(alike.argmax())
            enough = best is not None and (alike[best] > threshold if strictly else alike[best] >= threshold)
            letters.append(letters[best] if enough else (new(i) if new else max(letters) + 1))
        found.append(letters)
    return np.array(found)


def _share(letters, forms):
    return float(np.mean([(form == forms).all(axis=1).any() for form in letters]))


# These pass all checks but one of the last two, which no other wrong answer reaches; so they are looked for first.
def _of_each_letter(pitch, length, threshold, newest):
    """The rule with one phrase to stand for each letter, the first or the newest."""
    found = []
    for tune in pitch:
        phrases = tune.reshape(-1, length)
        stands, letters = [phrases[0]], [0]
        for phrase in phrases[1:]:
            alike = (np.array(stands) == phrase).mean(axis=1)
            letter = int(alike.argmax()) if alike.max() >= threshold else len(stands)
            if letter == len(stands):
                stands.append(phrase)
            elif newest:
                stands[letter] = phrase
            letters.append(letter)
        found.append(letters)
    return np.array(found)


@form_score.misconception(
    "You compare with the first phrase of each letter only. A phrase may be most like a later one of that letter."
)
def first_of_each_letter(pitch, forms, length, threshold):
    letters = _of_each_letter(pitch, length, threshold, newest=False)
    return letters, _share(letters, forms)


@form_score.misconception(
    "You compare with the newest phrase of each letter only. A phrase may be most like an earlier one of it."
)
def newest_of_each_letter(pitch, forms, length, threshold):
    letters = _of_each_letter(pitch, length, threshold, newest=True)
    return letters, _share(letters, forms)


@form_score.misconception("Two silent steps are the same in both phrases: they count as steps that agree.")
def silence_never_the_same(pitch, forms, length, threshold):
    letters = _letters(
        pitch, length, threshold, likeness=lambda same, before, now: (same & (now >= 0)).mean(axis=1)
    )
    return letters, _share(letters, forms)


@form_score.misconception(
    "You left the steps out that are silent in both phrases. They are steps like all others, and the same."
)
def shared_silence_dropped(pitch, forms, length, threshold):
    def likeness(same, before, now):
        heard = (before >= 0) | (now >= 0)
        return (same & heard).sum(axis=1) / np.maximum(heard.sum(axis=1), 1)

    letters = _letters(pitch, length, threshold, likeness=likeness)
    return letters, _share(letters, forms)


@form_score.misconception(
    "You compared only the steps at which both phrases sound. A note against silence is a step that differs."
)
def only_steps_where_both_sound(pitch, forms, length, threshold):
    def likeness(same, before, now):
        heard = (before >= 0) & (now >= 0)
        return (same & heard).sum(axis=1) / np.maximum(heard.sum(axis=1), 1)

    letters = _letters(pitch, length, threshold, likeness=likeness)
    return letters, _share(letters, forms)


@form_score.misconception(
    "You ask for phrases that are exactly the same. A return may differ a little: use the threshold."
)
def exact_return(pitch, forms, length, threshold):
    letters = _letters(pitch, length, 1.0)
    return letters, _share(letters, forms)


@form_score.misconception("You compare a phrase with the one before it only. It may return to any earlier one.")
def neighbours_only(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold, choose=lambda alike: len(alike) - 1)
    return letters, _share(letters, forms)


@form_score.misconception("You compare every phrase with the first one only. It may return to any earlier one.")
def first_phrase_only(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold, choose=lambda alike: 0)
    return letters, _share(letters, forms)


@form_score.misconception("A new letter is the next one not used yet, not the number of the phrase.")
def letter_by_place(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold, new=lambda i: i)
    return letters, _share(letters, forms)


@form_score.misconception(
    "You take the first phrase that is similar enough. The most similar one gives the letter."
)
def first_above_the_threshold(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold, choose=lambda alike: int((alike >= threshold).argmax()))
    return letters, _share(letters, forms)


@form_score.misconception("A similarity equal to the threshold is enough: at or above it.")
def strictly_above(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold, strictly=True)
    return letters, _share(letters, forms)


@form_score.misconception("You compare pitches up to the octave. The same pitch is asked for: 62 is not 50.")
def octaves_alike(pitch, forms, length, threshold):
    letters = _letters(np.where(pitch < 0, pitch, pitch % 12), length, threshold)
    return letters, _share(letters, forms)


@form_score.misconception(
    "Your letters stop after four phrases. There are as many as phrases of `length` in a tune."
)
def four_phrases_only(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold)
    letters[:, 4:] = 0
    return letters, _share(letters, forms)


@form_score.misconception("Your score asks for AABA, ABAB, ABAC and AABC whatever `forms` holds.")
def forms_of_the_lesson(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold)
    return letters, _share(letters, FORMS) if letters.shape[1] == 4 else 0.0


@form_score.misconception("Your letters are floats. They are numbers of letters: make an array of integers.")
def letters_of_floats(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold)
    return letters.astype(float), _share(letters, forms)


@form_score.misconception(
    "Your score counts single letters. A tune counts if all its letters are those of one of the forms."
)
def letters_counted(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold)
    return letters, float(np.mean([(form == forms).mean(axis=1).max() for form in letters]))


@form_score.misconception(
    "You counted the tunes with a form. The score is their share: divide by the number of tunes."
)
def tunes_counted(pitch, forms, length, threshold):
    letters = _letters(pitch, length, threshold)
    return letters, len(letters) * _share(letters, forms)


# 6.7 ----------------------------------------------------------------------------------------------------

conduct = Exercise(
    "6.7",
    "conduct",
    stars=3,
    points=4,
    minutes=12,
    hints=(
        "Two loops, one in the other. Ask of every variable: does it start anew with each phrase, or live through "
        "the tune?",
        "Outside: h_p = tanh(m_{p−1} W + h_{p−1} U). Inside: s_t = tanh(y_{t−1} W + h_p P + s_{t−1} U), "
        "y_t = s_t O. After the inner loop: m_p, the mean of the phrase's y.",
        "Before the outer loop: h and m. At the start of each phrase: h first, then a fresh s, y of zeros and an "
        "empty list. Stack the notes along axis 1, the phrases along axis 1 of that.",
    ),
)


def _conductor_inputs(rng):
    """Weights of a conductor of 5 units and a writer of 6, for notes of 4 numbers, and a code of 5, a batch of 3.

    None has fewer than 13 numbers, so a verdict shows each by its shape and range, in a line.
    """
    shapes = {"kernel": (4, 5), "recurrent": (5, 5)}
    conductor = {name: rng.normal(size=shape) * 0.7 for name, shape in shapes.items()}
    shapes = {"start": (5, 6), "kernel": (4, 6), "plan": (5, 6), "recurrent": (6, 6), "output": (6, 4)}
    writer = {name: rng.normal(size=shape) * 0.7 for name, shape in shapes.items()}
    return rng.uniform(-0.9, 0.9, size=(3, 5)), conductor, writer


def _conducted(z, conductor, writer, phrases, length):
    """The same recursion written over one matrix a level, with everything that comes in side by side."""
    upper = np.concatenate([conductor["kernel"], conductor["recurrent"]])
    lower = np.concatenate([writer["kernel"], writer["plan"], writer["recurrent"]])
    notes = np.zeros((len(z), phrases, length, writer["output"].shape[1]))
    h, mean = z, np.zeros((len(z), notes.shape[-1]))
    for p in range(phrases):
        h = np.tanh(np.hstack([mean, h]) @ upper)
        s = np.tanh(h @ writer["start"])
        for t in range(length):
            before = notes[:, p, t - 1] if t else 0 * mean
            s = np.tanh(np.hstack([before, h, s]) @ lower)
            notes[:, p, t] = s @ writer["output"]
        mean = notes[:, p].mean(axis=1)
    return notes


@conduct.check(points=1)
def test_writes_one_phrase(conduct, rng):
    """A single phrase of two notes: the plan is made once, each note feeds the next."""
    inputs = _conductor_inputs(rng)
    assert_close(conduct(*inputs, 1, 2), _conducted(*inputs, 1, 2), rtol=2e-3, atol=2e-4, what="notes")


@conduct.check(points=3)
def test_every_phrase_feeds_the_next(conduct, rng):
    """Three phrases of five notes."""
    inputs = _conductor_inputs(rng)
    assert_close(conduct(*inputs, 3, 5), _conducted(*inputs, 3, 5), rtol=2e-3, atol=2e-4, what="notes")


def _unrolled(z, conductor, writer, phrases, length, fault=""):
    """The two loops, with one fault if it is named."""
    h = start = z
    mean = np.zeros((len(z), writer["output"].shape[1]))
    s, y, plan, tune = None, 0 * mean, None, []
    for _ in range(phrases):
        before = start if fault == "conductor begins anew" else h
        heard = 0 * mean if fault == "phrases not heard" else mean
        h = np.tanh(heard @ conductor["kernel"] + before @ conductor["recurrent"])
        plan = h if plan is None or fault != "first plan kept" else plan
        if fault == "start skipped":
            plan = before
        if s is None or fault != "state leaks":
            s = np.tanh(plan @ writer["start"])
        if fault == "writer from zero":
            s = 0 * s
        if fault != "note leaks":
            y = 0 * mean
        phrase = []
        for _ in range(length):
            shown = 0 * plan if fault == "plan hidden" else plan
            before = 0 * y if fault == "notes do not feed" else y
            s = np.tanh(before @ writer["kernel"] + shown @ writer["plan"] + s @ writer["recurrent"])
            y = s @ writer["output"]
            phrase.append(y)
        mean = phrase[-1] if fault == "last note" else np.mean(phrase, axis=0)
        mean = np.sum(phrase, axis=0) if fault == "sum" else mean
        tune.append(np.stack(phrase, axis=1))
    return np.stack(tune, axis=1)


@conduct.misconception(
    "The writer's state runs on into the next phrase in yours. It starts anew from each plan, tanh(h start)."
)
def state_leaks(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "state leaks")


@conduct.misconception(
    "The last note of a phrase feeds the next phrase in yours. Each phrase begins with y of zeros."
)
def note_leaks(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "note leaks")


@conduct.misconception(
    "Your conductor does not hear what was written: the mean of a phrase's notes is its next input."
)
def phrases_not_heard(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "phrases not heard")


@conduct.misconception("Your conductor hears the last note of a phrase. Its input is the mean of all of them.")
def last_note_for_the_mean(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "last note")


@conduct.misconception("Your conductor hears the sum of a phrase's notes. Its input is their mean.")
def sum_for_the_mean(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "sum")


@conduct.misconception("Your conductor begins anew with each phrase. Its state h lives through the whole tune.")
def conductor_begins_anew(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "conductor begins anew")


@conduct.misconception("All your phrases are written from the first plan. The conductor makes a new one for each.")
def first_plan_kept(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "first plan kept")


@conduct.misconception("The plan is the conductor's state after its step. You used the one before it.")
def plan_before_the_step(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "start skipped")


@conduct.misconception("Your writer starts from zero. Its first state in each phrase is tanh(h start).")
def writer_from_zero(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "writer from zero")


@conduct.misconception("The writer sees the plan at every step, as h plan. It is missing in your sum.")
def plan_hidden(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "plan hidden")


@conduct.misconception("Your notes do not feed the next one: y_{t−1} kernel is missing from the writer's sum.")
def notes_do_not_feed(z, conductor, writer, phrases, length):
    return _unrolled(z, conductor, writer, phrases, length, "notes do not feed")


# 6.8 ----------------------------------------------------------------------------------------------------

mended_inputs = Exercise(
    "6.8",
    "mended_inputs",
    stars=3,
    points=4,
    minutes=10,
    hints=(
        "Change one note in the middle. Which inputs may move, and which move in the broken function?",
        "The note before the first of a phrase is the last of the phrase before. Heard before phrase p is the "
        "embedding of phrase p − 1, and zeros before the first.",
        "Flatten the phrases of a tune to one row before you shift it, and shape it back. Shift by joining "
        "something in front and leaving out the last, along the right axis: a roll wraps around.",
    ),
)


def _input_arrays(rng):
    """Tokens (2, 4 phrases, 3 steps), all different; embeddings of 5 numbers, none zero."""
    tokens, sign = rng.permutation(30)[:24].reshape(2, 4, 3), rng.choice([-1, 1], size=(2, 4, 5))
    return tokens, rng.uniform(0.5, 1.5, size=(2, 4, 5)) * sign


@mended_inputs.check(points=2)
def test_feeds_every_note_the_one_before_it(mended_inputs, rng):
    """Step by step through the tune, from one phrase into the next."""
    tokens, embeddings = _input_arrays(rng)
    start = int(rng.integers(35, 60))
    previous, _ = _two(mended_inputs(tokens, embeddings, start), "previous and heard")
    expected = np.empty_like(tokens)
    for n, tune in enumerate(tokens):
        last = start
        for p, phrase in enumerate(tune):
            for t, token in enumerate(phrase):
                expected[n, p, t], last = last, token
    assert_close(previous, expected, what="previous")


@mended_inputs.check(points=2)
def test_hears_only_what_has_been_played(mended_inputs, rng):
    """Before each phrase the embedding of the one before it, before the first nothing."""
    tokens, embeddings = _input_arrays(rng)
    _, heard = _two(mended_inputs(tokens, embeddings, 34), "previous and heard")
    assert np.shape(heard) == (2, 4, 5), f"heard has the shape of the embeddings, (2, 4, 5), got {np.shape(heard)}"
    assert_close(heard[:, 0], np.zeros((2, 5)), what="heard before the first phrase")
    for p in (1, 2, 3):
        assert_close(heard[:, p], embeddings[:, p - 1], what=f"heard before phrase {p + 1}")


def _previous(tokens, start):
    row = tokens.reshape(len(tokens), -1)
    return np.concatenate([np.full_like(row[:, :1], start), row[:, :-1]], axis=1).reshape(tokens.shape)


def _heard(embeddings):
    return np.concatenate([0 * embeddings[:, :1], embeddings[:, :-1]], axis=1)


def _rolled_in_phrases(tokens, start):
    previous = np.roll(tokens, 1, axis=2)
    previous[:, 0, 0] = start
    return previous


@mended_inputs.misconception(
    "Both faults are still there. Change the last note of a phrase: what moves at its first?"
)
def as_it_was(tokens, embeddings, start):
    return _rolled_in_phrases(tokens, start), embeddings


@mended_inputs.misconception(
    "The first note of each phrase is still fed that phrase's own last note: a roll along the steps wraps around."
)
def notes_still_wrap(tokens, embeddings, start):
    return _rolled_in_phrases(tokens, start), _heard(embeddings)


@mended_inputs.misconception(
    "The notes are mended. The conductor still hears the very phrase that it is to plan: shift the embeddings."
)
def phrase_hears_itself(tokens, embeddings, start):
    return _previous(tokens, start), embeddings


@mended_inputs.misconception("Now the first phrase hears the last one: a roll wraps around. Put zeros there.")
def last_phrase_heard_first(tokens, embeddings, start):
    return _previous(tokens, start), np.roll(embeddings, 1, axis=1)


@mended_inputs.misconception(
    "You shifted the embeddings the wrong way: phrase p hears phrase p + 1, which has not been played."
)
def next_phrase_heard(tokens, embeddings, start):
    return _previous(tokens, start), np.concatenate([embeddings[:, 1:], 0 * embeddings[:, :1]], axis=1)


@mended_inputs.misconception(
    "Every phrase begins with `start` in yours. Only the tune does; the others get the last note before them."
)
def start_in_every_phrase(tokens, embeddings, start):
    previous = np.roll(tokens, 1, axis=2)
    previous[:, :, 0] = start
    return previous, _heard(embeddings)


@mended_inputs.misconception(
    "The tune's first note is fed its last one: the roll wraps around the whole tune. `start` belongs there."
)
def start_forgotten(tokens, embeddings, start):
    return np.roll(tokens.reshape(len(tokens), -1), 1, axis=1).reshape(tokens.shape), _heard(embeddings)


@mended_inputs.misconception(
    "You rolled all tunes as one row: the first note of a tune is fed the last one of the tune before."
)
def rolled_over_the_batch(tokens, embeddings, start):
    return np.roll(tokens, 1), _heard(embeddings)


@mended_inputs.misconception(
    "Only the first tune begins with `start` in yours. The others get the last note of another tune."
)
def start_in_the_first_tune(tokens, embeddings, start):
    previous = np.roll(tokens, 1)
    previous[0, 0, 0] = start
    return previous, _heard(embeddings)


@mended_inputs.misconception(
    "You shifted the embeddings along the batch: each phrase hears another tune. The phrases are axis 1."
)
def heard_from_another_tune(tokens, embeddings, start):
    return _previous(tokens, start), np.concatenate([0 * embeddings[:1], embeddings[:-1]], axis=0)


@mended_inputs.misconception(
    "Your embeddings wrap around, over all axes: zeros belong before the first phrase, and a roll needs its axis."
)
def heard_rolled_over_everything(tokens, embeddings, start):
    return _previous(tokens, start), np.roll(embeddings, 1)


@mended_inputs.misconception("Your tunes begin with 34 whatever `start` is.")
def start_of_the_lesson(tokens, embeddings, start):
    return _previous(tokens, 34), _heard(embeddings)


@mended_inputs.misconception("Every note is fed itself in yours: the model only has to copy its input.")
def every_note_fed_itself(tokens, embeddings, start):
    previous = tokens.copy()
    previous[:, 0, 0] = start
    return previous, _heard(embeddings)


@mended_inputs.misconception("You shifted the wrong way: each note is fed the one that comes after it.")
def next_note_fed(tokens, embeddings, start):
    row = tokens.reshape(len(tokens), -1)
    row = np.concatenate([row[:, 1:], np.full_like(row[:, :1], start)], axis=1)
    return row.reshape(tokens.shape), _heard(embeddings)
