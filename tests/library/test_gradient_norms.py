"""How far back the gradient of a cell reaches: against products of Jacobians and finite differences."""

import numpy as np
import pytest
from sequences_by_hand import CELLS, exact, move, nothing

from hvae_keras import metrics
from hvae_keras.backend import keras

STEPS, FEATURES, UNITS = 6, 2, 3
every_cell = pytest.mark.parametrize("name", CELLS)


def make(name, units=UNITS, scale=0.7):
    cell = CELLS[name](units)
    cell.build((None, FEATURES))
    rng = np.random.default_rng(0)
    for weight in cell.trainable_variables:
        weight.assign(np.float32(rng.normal(size=weight.shape) * scale))
    return cell


def output_after(cell, x, t, state):
    """The last output for one x `[steps, features]`, going on from `state` after step t."""
    output = state[0]
    for step in x[t + 1 :]:
        output, state = move(cell, step[None], state)
    return output[0]


def frobenius_norms(cell, x, nudge=1e-5):
    """Norm of dh_T/ds_t at every t for one x, by central differences in each number of the state."""
    state, norms = nothing(cell, 1), []
    for t in range(len(x)):
        _, state = move(cell, x[t][None], state)
        columns = []
        for part in range(len(state)):
            for unit in range(cell.units):
                ends = []
                for sign in (1, -1):
                    moved = [np.copy(each) for each in state]
                    moved[part][0, unit] += sign * nudge
                    ends.append(output_after(cell, x, t, moved))
                columns.append((ends[0] - ends[1]) / (2 * nudge))
        norms.append(np.linalg.norm(columns))
    return np.array(norms)


@every_cell
def test_norms_are_those_of_finite_differences(name, rng):
    cell, x = make(name), rng.normal(size=(2, STEPS, FEATURES))
    expected = np.array([frobenius_norms(cell, each) for each in x])
    found = metrics.gradient_norms(cell, x, projections=4000)
    assert found.shape == (2, STEPS)
    # The stated error of 4000 directions is 0.011.
    np.testing.assert_allclose(found, expected, rtol=4.5 / np.sqrt(2 * 4000))
    assert expected.max() / expected.min() > 2


def test_elmans_norms_are_those_of_the_product_of_jacobians(rng):
    """dh_T/dh_t = W diag(1 - h_{t+1}²) W diag(1 - h_{t+2}²) ..., for row vectors h."""
    cell, x = make("Elman"), rng.normal(size=(1, STEPS, FEATURES))
    kernel, state, states = exact(cell.recurrent_kernel), nothing(cell, 1), []
    for step in x[0]:
        h, state = move(cell, step[None], state)
        states.append(h[0])
    product, norms = np.eye(UNITS), [np.sqrt(UNITS)]
    for h in states[:0:-1]:
        product = kernel * (1 - h**2) @ product
        norms.insert(0, np.linalg.norm(product))
    found = metrics.gradient_norms(cell, x, projections=4000)[0]
    np.testing.assert_allclose(found, norms, rtol=4.5 / np.sqrt(2 * 4000))


@every_cell
def test_the_last_output_depends_on_itself_as_a_whole(name, rng):
    """dh_T/ds_T is the identity on h, and nothing on c: its norm is the root of the units."""
    found = metrics.gradient_norms(make(name, units=5), rng.normal(size=(3, 2, FEATURES)), projections=4000)
    np.testing.assert_allclose(found[:, -1], np.sqrt(5), rtol=4.5 / np.sqrt(2 * 4000))


def test_the_error_is_the_one_stated(rng):
    """1,000 estimates for one x, each from 8 directions: squares without bias, errors within 1 / sqrt(16)."""
    cell, x = make("Elman"), rng.normal(size=(STEPS, FEATURES))
    found = metrics.gradient_norms(cell, np.tile(x, (1000, 1, 1)), projections=8)
    expected = frobenius_norms(cell, x)
    squares = (found / expected) ** 2
    assert (np.abs(squares.mean(0) - 1) < 4 * squares.std(0) / np.sqrt(1000)).all()
    error = np.sqrt(((found / expected - 1) ** 2).mean(0))
    assert (error < 1.1 / np.sqrt(16)).all() and error.min() > 0.05


def test_a_seed_gives_the_directions(rng):
    cell, x = make("GRU"), rng.normal(size=(2, 3, FEATURES))
    first, again, other = (metrics.gradient_norms(cell, x, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize(("gain", "factor"), [(0.5, 0.5), (1.5, 1.5)])
def test_a_linear_cell_vanishes_or_explodes_by_its_gain(gain, factor, rng):
    """h_t = gain h_{t-1} + x: the norm falls or grows by that factor a step, whatever x."""
    cell = keras.layers.SimpleRNNCell(4, activation=None, recurrent_initializer=keras.initializers.Identity(gain))
    found = metrics.gradient_norms(cell, rng.normal(size=(2, 20, FEATURES)))  # Builds the cell, too.
    np.testing.assert_allclose(found[:, :-1] / found[:, 1:], factor, rtol=1e-4)


@pytest.mark.parametrize(
    ("cell", "x", "projections", "message"),
    [
        (keras.layers.GRUCell(2), np.zeros((3, 2)), 8, r"\[n, steps, features\]; got shape \(3, 2\)"),
        (keras.layers.GRUCell(2), np.zeros((3, 0, 2)), 8, r"got shape \(3, 0, 2\)"),
        (keras.layers.GRUCell(2), np.zeros((1, 3, 2)), 0, "projections is at least 1; got 0"),
        (keras.layers.StackedRNNCells([keras.layers.GRUCell(2)]), np.zeros((1, 3, 2)), 8, "got a stack of them"),
    ],
)
def test_what_cannot_be_measured_is_refused(cell, x, projections, message):
    with pytest.raises(ValueError, match=message):
        metrics.gradient_norms(cell, x, projections)
