"""Precision, recall, density and coverage, against loops, counts by hand and expectations that are known."""

import tracemalloc

import numpy as np
import pytest

from hvae_keras.metrics import density_coverage, frechet_distance, manifolds, precision_recall


def distances(a, b):
    return np.sqrt(((a[:, None] - b) ** 2).sum(axis=-1)).tolist()


def radii(points, k):
    """The k-th smallest distance to the others; others are told by their place, not by their distance."""
    return [sorted(row[:i] + row[i + 1 :])[k - 1] for i, row in enumerate(distances(points, points))]


def by_loops(real, generated, k):
    """Precision, recall, density, coverage as the papers define them, pair by pair."""
    across = distances(real, generated)
    in_real = [[across[i][j] <= radius for j in range(len(generated))] for i, radius in enumerate(radii(real, k))]
    in_generated = [[row[j] <= radius for row in across] for j, radius in enumerate(radii(generated, k))]
    return (
        np.mean([any(row[j] for row in in_real) for j in range(len(generated))]),
        np.mean([any(row[i] for row in in_generated) for i in range(len(real))]),
        sum(map(sum, in_real)) / (k * len(generated)),
        np.mean([any(row) for row in in_real]),
    )


def found(real, generated, k):
    return (*precision_recall(real, generated, k), *density_coverage(real, generated, k))


@pytest.mark.parametrize(("n", "m", "d", "k"), [(20, 30, 2, 1), (50, 40, 5, 3), (40, 90, 12, 5), (6, 6, 3, 5)])
def test_they_are_what_the_definition_gives(rng, n, m, d, k):
    real, generated = rng.normal(size=(n, d)), 0.7 * rng.normal(size=(m, d)) + 0.5
    assert found(real, generated, k) == pytest.approx(by_loops(real, generated, k), abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_ties_and_copies_too(rng, k):
    """Points of a small grid: most distances are equal to others, and many are 0."""
    real, generated = rng.integers(3, size=(40, 2)), rng.integers(1, 5, size=(35, 2))
    assert found(real, generated, k) == pytest.approx(by_loops(real, generated, k), abs=1e-12)


def test_four_points_on_a_line_by_hand():
    """k = 1. Real radii 1, 1, 3 about 0, 1, 4: [-1, 1], [0, 2], [1, 7]. Generated radii 5, 5 about 5, 10."""
    real, generated = np.array([[0.0], [1.0], [4.0]]), np.array([[5.0], [10.0]])
    precision, recall = precision_recall(real, generated, k=1)
    assert precision == 1 / 2, "5 is in [1, 7], 10 is in none"
    assert recall == 1, "all are in [0, 10], 0 on its border"
    assert density_coverage(real, generated, k=1) == (1 / 2, 1 / 3)


def test_the_first_argument_is_the_real_set(rng):
    """Real: two clusters. Generated: one of them, so that all is precise and half is found."""
    cluster = rng.normal(size=(60, 3))
    real, generated = np.concatenate([cluster, cluster + 50]), 0.8 * rng.normal(size=(80, 3))
    precision, recall = precision_recall(real, generated)
    assert precision > 0.9 and recall <= 0.5
    assert precision_recall(generated, real) == (recall, precision)
    assert density_coverage(real, generated).coverage <= 0.5 < density_coverage(generated, real).coverage


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("offset", [0.0, 3.0, 1e3])
def test_equal_sets_are_inside_one_another(rng, scale, offset):
    x = (rng.normal(size=(70, 20)) + offset) * scale
    assert precision_recall(x, x) == (1, 1)
    density, coverage = density_coverage(x, x, k=5)
    assert coverage == 1 and density == pytest.approx(6 / 5, rel=1e-12), "5 neighbours and the copy of itself"
    assert found(x, rng.permutation(x), 3) == found(x, x, 3)


def test_sets_of_copies(rng):
    one = np.full((30, 4), 0.1)
    assert found(one, one, 3) == (1, 1, 30 / 3, 1)
    assert found(one, one + 1, 3) == (0, 0, 0, 0)
    x = rng.normal(size=(10, 4)).repeat(8, axis=0)  # all 5 neighbours are copies
    assert found(x, x, 5) == (1, 1, 8 / 5, 1)


@pytest.mark.parametrize(("clusters", "size", "k"), [(6, 9, 3), (150, 3, 2)])
def test_neighbours_are_told_apart_where_norms_would_not(rng, clusters, size, k):
    """Clusters a billionth wide, about points whose squared norms keep no digit of that."""
    centres = 10 * rng.normal(size=(clusters, 8)).repeat(size, axis=0)
    real, generated = (centres + 1e-9 * rng.normal(size=centres.shape) for _ in range(2))
    expected = by_loops(real, generated, k)
    assert found(real, generated, k) == pytest.approx(expected, abs=1e-12)
    assert 0.2 < expected[0] < 0.98 and 0.2 < expected[1] < 0.98


def test_equal_lengths_are_equal_however_they_were_computed(rng):
    """A ball about each point of x holds it and its 5 neighbours, one of them on the border, and nothing far.

    In clusters the lengths come from differences one by one, or all at once, as others are near or far.
    """
    clusters = rng.normal(size=(12, 30)).repeat(10, axis=0) + 1e-4 * rng.normal(size=(120, 30))
    far = rng.normal(size=(2000, 30)) + 100
    for x, others in ((clusters, far), (clusters, far[:5]), (rng.normal(size=(300, 30)), far[:64])):
        generated = np.concatenate([others, x])
        expected = 6 * len(x) / (5 * len(generated))
        assert density_coverage(x, generated).density == pytest.approx(expected, rel=1e-12)


def test_one_example_far_away_costs_the_others_no_digits(rng):
    real, generated = rng.normal(size=(2, 50, 6))
    generated[0] = 1e6
    assert found(real, generated, 3) == pytest.approx(by_loops(real, generated, 3), abs=1e-12)


@pytest.mark.parametrize("block", [1, 100, 333])
def test_blocks_change_nothing(rng, monkeypatch, block):
    real, generated = rng.normal(size=(45, 5)), rng.normal(size=(38, 5)) + 0.5
    expected = found(real, generated, 3)
    monkeypatch.setattr(manifolds, "BLOCK", block)
    assert found(real, generated, 3) == expected


@pytest.mark.parametrize(("n", "m", "k"), [(100, 100, 5), (60, 200, 3), (200, 60, 1)])
def test_two_draws_of_one_distribution_have_the_expectations_of_the_docstring(rng, n, m, k):
    scores = np.array([density_coverage(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)), k) for _ in range(300)])
    i = np.arange(1, k + 1)
    expected = [1, 1 - np.prod((n - i) / (n + m - i))]
    errors = scores.std(axis=0, ddof=1) / np.sqrt(len(scores))
    assert (np.abs(scores.mean(axis=0) - expected) < 3.5 * errors).all()
    if n == m:
        assert expected[1] == pytest.approx(1 - 2.0**-k, abs=0.005)


def test_memorised_examples_are_precise_and_cover_little(rng):
    """The Fréchet distance prefers twenty of them to new examples that are spread twice as widely."""
    real = rng.normal(size=(1000, 16))
    memorised, wide = np.tile(real[:20], (50, 1)), 2 * rng.normal(size=(1000, 16))
    assert frechet_distance(real, memorised) < frechet_distance(real, wide) / 2
    precision, recall = precision_recall(real, memorised)
    density, coverage = density_coverage(real, memorised)
    assert precision == 1 and density > 0.9, "every one is a real example"
    assert recall == 20 / 1000, "its balls have no width: they hold the 20 and nothing else"
    assert coverage < 0.25, "of 0.97 that real examples have"


def test_more_features_than_examples(rng):
    real, generated = rng.normal(size=(30, 100)), rng.normal(size=(25, 100))
    assert found(real, generated, 3) == pytest.approx(by_loops(real, generated, 3), abs=1e-12)


def test_it_needs_little_memory(rng):
    """All pairs at once would be 128 MB."""
    real, generated = rng.normal(size=(2, 4000, 8))
    tracemalloc.start()
    precision_recall(real, generated)
    density_coverage(real, generated)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


# Errors


@pytest.mark.parametrize("score", [precision_recall, density_coverage])
@pytest.mark.parametrize("name", ["real", "generated"])
def test_as_few_examples_as_neighbours_are_refused(rng, score, name):
    given = {"real": rng.normal(size=(9, 2)), "generated": rng.normal(size=(9, 2))}
    given[name] = given[name][:4]
    assert all(value >= 0 for value in score(**given, k=3))
    with pytest.raises(ValueError, match=f"^{name} has 4 examples, expected at least 5"):
        score(**given, k=4)


@pytest.mark.parametrize("score", [precision_recall, density_coverage])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k is at least 1; got 0"),
        ({"real": np.full((9, 2), np.nan)}, "real is NaN or infinite in row 0"),
        ({"generated": np.zeros(9)}, r"generated has shape \(9,\), expected \[n, d\]"),
        ({"generated": np.zeros((9, 3))}, "generated has 3 features, expected 2, as real has"),
    ],
)
def test_errors_name_the_argument(score, change, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        score(**{"real": np.zeros((9, 2)), "generated": np.zeros((9, 2)), **change})
