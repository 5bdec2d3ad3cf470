"""Redundancy: tables by enumeration, classifiers against tables, and levels of a model that copy or share out."""

import itertools

import numpy as np
import pytest
from own_pixels import own_pixels
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from small_models import make_vae

from hvae_keras import metrics

BITS = list(itertools.product((0, 1), repeat=2))


def table(entries, shape=(2, 2, 2)):
    """p(a, b, v) from {(a, b, v): probability}."""
    joint = np.zeros(shape)
    for place, p in entries.items():
        joint[place] = p
    return joint


COPIES = table({(v, v, v): p for v, p in enumerate((0.5, 0.3, 0.2))}, (3, 3, 3))
PARTS = table({(a, b, 2 * a + b): 0.25 for a, b in BITS}, (2, 2, 4))
XOR = table({(a, b, a ^ b): 0.25 for a, b in BITS})
AND = table({(a, b, a & b): 0.25 for a, b in BITS})
BOTH = table(
    {(2 * w + a, 2 * w + b, 2 * w + (a ^ b)): 1 / 8 for w, (a, b) in itertools.product((0, 1), BITS)}, (4,) * 3
)


def sampled(joint, n=3000, seed=0):
    rng = np.random.default_rng(seed)
    return np.unravel_index(rng.choice(joint.size, n, p=joint.ravel()), joint.shape)


# Tables


def informations(joint):
    """I(a; v), I(b; v) and I((a, b); v) by the definition, entry by entry."""

    def information(p):
        return sum(
            p[i, j] * np.log(p[i, j] / (p[i].sum() * p[:, j].sum())) for i, j in np.ndindex(p.shape) if p[i, j] > 0
        )

    return [information(p) for p in (joint.sum(1), joint.sum(0), joint.reshape(-1, joint.shape[2]))]


def test_a_table_is_summed_as_the_definition_says(rng):
    for shape in ((2, 3, 4), (1, 2, 3), (5, 5, 2)):
        joint = rng.random(shape) * (rng.random(shape) < 0.7)
        joint /= joint.sum()
        first, second, together = informations(joint)
        np.testing.assert_allclose(metrics.co_information(joint), first + second - together, atol=1e-12)
        swapped = [metrics.co_information(joint.transpose(order)) for order in itertools.permutations(range(3))]
        np.testing.assert_allclose(swapped, swapped[0], atol=1e-12)


@pytest.mark.parametrize(
    ("joint", "nats"),
    [
        (COPIES, -(0.5 * np.log(0.5) + 0.3 * np.log(0.3) + 0.2 * np.log(0.2))),
        (PARTS, 0),
        (XOR, -np.log(2)),
        # H(v) - log 2: each says half of the time that v is 0, and v is a function of both.
        (AND, 0.25 * np.log(4) + 0.75 * np.log(4 / 3) - np.log(2)),
        (BOTH, 0),  # A bit told twice and a XOR cancel.
    ],
)
def test_known_tables(joint, nats):
    np.testing.assert_allclose(metrics.co_information(joint), nats, atol=1e-12)


@pytest.mark.parametrize(
    ("joint", "says"),
    [
        (np.full((2, 2), 0.25), r"three axes; got shape \(2, 2\)"),
        (2 * XOR, "sum to 2, expected 1"),
        (np.zeros((2, 2, 0)), "sum to 0, expected 1"),
        (table({(0, 0, 0): 1.5, (1, 1, 1): -0.5}), "negative probability or NaN"),
        (np.full((2, 2, 2), np.nan), "negative probability or NaN"),
    ],
)
def test_what_is_no_table_is_refused(joint, says):
    with pytest.raises(ValueError, match=says):
        metrics.co_information(joint)


# Classifiers


@pytest.mark.parametrize("joint", [COPIES, PARTS, XOR, AND, BOTH], ids=["copies", "parts", "XOR", "AND", "both"])
def test_the_estimates_are_those_of_the_table(joint):
    first, second, factor = sampled(joint)
    found = metrics.redundancy(first, second, factor, DecisionTreeClassifier())
    np.testing.assert_allclose(found, informations(joint), atol=0.02)
    np.testing.assert_allclose(found.shared, metrics.co_information(joint), atol=0.02)


def test_the_default_classifier_reads_what_only_both_tell(rng):
    signs = rng.choice([-1, 1], (2, 600))
    first, second = (signs[:, :, None] + 0.1 * rng.normal(size=(2, 600, 3))).astype("float32")
    found = metrics.redundancy(first, second, (signs[0] == signs[1]).astype(int))
    np.testing.assert_allclose(found.shared, -np.log(2), atol=0.05)


def test_the_same_draws_are_read_by_the_same_classifier_and_folds(rng):
    z, factor = rng.normal(size=(100, 2)), rng.integers(2, size=100)
    found = metrics.redundancy(z, z, factor, seed=3)
    assert found.first == found.second == metrics.information_with_factor(z, factor, seed=3)


def test_a_constant_factor_is_told_by_nobody(rng):
    z = rng.normal(size=(2, 50, 2))
    assert metrics.redundancy(*z, np.zeros(50, int)) == (0, 0, 0)


def test_wrong_input_is_named(rng):
    z, factor = rng.normal(size=(20, 2)), np.repeat([0, 1], 10)
    with pytest.raises(ValueError, match="second holds 19 examples; first has 20"):
        metrics.redundancy(z, z[1:], factor)
    with pytest.raises(ValueError, match="second is NaN or infinite in row 3"):
        metrics.redundancy(z, np.where(np.arange(20)[:, None] == 3, np.inf, z), factor)
    with pytest.raises(ValueError, match=r"first is \[n, ...\], a row an example; got shape \(0, 2\)"):
        metrics.redundancy(z[:0], z, factor)
    with pytest.raises(ValueError, match="factor is .n., one value for each z"):
        metrics.redundancy(z, z, factor[1:])
    with pytest.raises(ValueError, match="each value of factor occurs at least folds=5 times; 1 occurs 4"):
        metrics.redundancy(z[:14], z[:14], factor[:14])


# Levels


def test_levels_that_copy_share_out_or_hide_a_factor(rng):
    """One sign in both levels, one in z_1 alone, one as the product of two."""
    a, b, hidden = rng.choice([-1, 1], (3, 1000))
    x = np.stack([a, hidden, a, b * hidden], axis=1) + 0.1 * rng.normal(size=(1000, 4))
    factors = {"both": a, "bottom": hidden, "hidden": b, "constant": np.ones(1000, int)}
    found = metrics.redundancy_by_level(own_pixels(), np.float32(x), factors, KNeighborsClassifier(9))
    assert list(found) == [(1, 2)] and list(found[1, 2]) == list(factors)
    one, none = np.log(2), 0
    for name, nats in {"both": (one, one, one), "bottom": (one, none, one), "hidden": (none, none, one)}.items():
        np.testing.assert_allclose(found[1, 2][name], nats, atol=0.02)
    assert found[1, 2]["constant"] == (0, 0, 0)


def test_a_dead_level_shares_nothing(rng):
    sign = rng.choice([-1, 1], 300)
    x = np.float32(np.repeat(sign[:, None], 4, axis=1))
    model = own_pixels(dead=(2,))
    asked = {"classifier": KNeighborsClassifier(9), "examples": 250}
    found = metrics.redundancy_by_level(model, x, {"sign": sign}, **asked)[1, 2]["sign"]
    np.testing.assert_allclose(found, (np.log(2), 0, np.log(2)), atol=0.03)


def test_a_flat_model_has_no_pair(vae, images):
    assert metrics.redundancy_by_level(vae, images, {"a": np.arange(96) % 2}) == {}


def test_factors_of_another_length_are_named(images):
    with pytest.raises(ValueError, match=r"factors\['a'\] has shape \(95,\); expected \(96,\), as x"):
        metrics.redundancy_by_level(make_vae(), images, {"a": np.zeros(95, int)})
    with pytest.raises(ValueError, match="factors names no factor"):
        metrics.redundancy_by_level(make_vae(), images, {})
    with pytest.raises(ValueError, match="examples is at least 1; got 0"):
        metrics.redundancy_by_level(make_vae(), images, {"a": np.zeros(96, int)}, examples=0)
