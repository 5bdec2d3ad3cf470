"""Scores of a generated set: the parts agree, intervals are as wide as they say, floors are real examples."""

import dataclasses
import warnings

import numpy as np
import pytest
from scipy.special import softmax

from hvae_keras.backend import keras
from hvae_keras.metrics import (
    FactorFeatures,
    Fidelity,
    Score,
    density_coverage,
    frechet_distance,
    inception_score,
    kernel_distance,
    precision_recall,
)

NAMES = ["Fréchet distance", "kernel distance", "precision", "recall", "density", "coverage"]
CEILINGS = NAMES[2:]


class Points:
    """Points are their own features. It counts how many it has seen, and classified."""

    def __init__(self, name="points"):
        self.name, self.seen, self.classified = name, 0, 0

    def features(self, x):
        self.seen += len(x)
        return x

    def probabilities(self, x, factor):
        assert factor == "kind"
        self.classified += len(x)
        return softmax(3 * x, axis=1)


@pytest.fixture
def sets(rng):
    """Real, held out and generated, enough of them for two features."""
    return rng.normal(size=(90, 2)), rng.normal(size=(80, 2)), 0.8 * rng.normal(size=(60, 2)) + 0.3


def test_every_score_is_that_of_its_function(sets):
    real, held_out, x = sets
    scores = Fidelity(Points(), real, held_out, classes="kind").measure(x, draws=3)
    assert list(scores) == [*NAMES, "Inception Score"]
    expected = [frechet_distance(real, x), kernel_distance(real, x)]
    expected += [*precision_recall(real, x), *density_coverage(real, x), inception_score(softmax(3 * x, axis=1))]
    assert [score.value for score in scores.values()] == pytest.approx(expected, rel=1e-12)
    for name, score in scores.items():
        assert score.name == name and score.n == 60 and score.d == 2
        assert score.higher_is_better == (name in [*CEILINGS, "Inception Score"])


def test_there_is_an_inception_score_only_if_a_factor_is_named(sets):
    assert list(Fidelity(Points(), *sets[:2]).measure(sets[2], draws=3)) == NAMES


def test_with_features_of_inception_the_distances_are_called_fid_and_kid(sets):
    fidelity = Fidelity(Points("Inception"), *sets[:2])
    scores = fidelity.measure(sets[2], draws=3)
    assert list(scores) == ["FID", "KID", *CEILINGS] and scores["FID"].name == "FID"
    assert fidelity.features_name == "Inception"
    assert list(Fidelity(Points("Inception, weights a.h5"), *sets[:2]).measure(sets[2], draws=3)) == NAMES


# The floor


def test_the_floor_is_what_all_held_out_examples_score(sets):
    real, held_out, _ = sets
    for score in Fidelity(Points(), real, held_out).measure(held_out, draws=3).values():
        assert score.floor == pytest.approx(score.value, rel=1e-9, abs=1e-12)


def test_the_floor_is_of_as_many_examples_drawn_at_random(rng):
    """Held out: 200 in order of their first feature. The first 50 of them would be far from the real ones."""
    real, held_out = rng.normal(size=(200, 2)), rng.normal(size=(200, 2))
    held_out = held_out[np.argsort(held_out[:, 0])]
    scores = Fidelity(Points(), real, held_out).measure(real[:50] + 9, draws=3)
    assert scores["Fréchet distance"].floor < 0.3 and scores["recall"].floor > 0.8
    assert scores["Fréchet distance"].value > 100 and scores["recall"].value == 0


def test_real_examples_are_looked_at_once_and_floors_are_kept(sets, monkeypatch):
    points = Points()
    fidelity = Fidelity(points, *sets[:2], classes="kind")
    first = fidelity.measure(sets[2], draws=3)
    assert points.seen == 90 + 80 + 60 and points.classified == 80 + 60
    monkeypatch.setattr(fidelity, "_held_out", fidelity._held_out._replace(features=np.full((80, 2), np.nan)))
    second = fidelity.measure(sets[2] + 1, draws=3)
    assert points.seen == 90 + 80 + 60 + 60
    for name in NAMES:
        assert second[name].value != first[name].value
        for end in ("floor", "floor_low", "floor_high"):
            assert getattr(first[name], end) == getattr(second[name], end)
    with pytest.raises(ValueError, match="NaN"):
        fidelity.measure(sets[2][:50], draws=3)  # a floor of another size


# The interval


def test_a_seed_repeats_the_intervals_and_another_moves_their_ends_only(sets):
    fidelity = Fidelity(Points(), *sets[:2])
    first, again, other = (fidelity.measure(sets[2], seed=seed, draws=5) for seed in (1, 1, 2))
    assert first == again
    for name in NAMES:
        assert first[name].value == other[name].value
        assert (first[name].low, first[name].high) != (other[name].low, other[name].high)


def test_intervals_hold_the_value_and_stay_in_range(sets):
    real, held_out, x = sets
    scores = Fidelity(Points(), real, held_out, classes="kind").measure(np.concatenate([x[:20], real[:20]]))
    for name, score in scores.items():
        assert score.low <= score.value <= score.high and score.floor_low <= score.floor <= score.floor_high
        assert score.low < score.high
        least, most = {"kernel distance": (-9, 9), "Inception Score": (1, 2)}.get(name, (0, 9))
        most = 1 if name in ("precision", "recall", "coverage") else most
        assert least <= min(score.low, score.floor_low) and max(score.high, score.floor_high) <= most


def test_errors_are_as_large_as_scores_vary_from_set_to_set(rng):
    """The mean standard error by halves over the deviation of the scores of 60 sets, whose own error is 9 %."""
    values, errors = [], []
    for _ in range(60):
        real, held_out = rng.normal(size=(2, 60, 2))
        x = 0.6 * rng.normal(size=(60, 2)) + 0.6
        scores = Fidelity(Points(), real, held_out, classes="kind").measure(x, draws=12).values()
        values.append([score.value for score in scores])
        errors.append([max(score.high - score.value, score.value - score.low) / 1.96 for score in scores])
    ratios = np.mean(errors, axis=0) / np.std(values, axis=0, ddof=1)
    assert ((ratios > 0.75) & (ratios < 1.5)).all()


def test_where_no_half_differs_the_interval_has_no_width(rng):
    real, held_out = rng.normal(size=(2, 40, 2))
    scores = Fidelity(Points(), real, held_out).measure(real[:20] + 1000, draws=4)
    for name in CEILINGS:
        assert (scores[name].value, scores[name].low, scores[name].high) == (0, 0, 0)


# What is said


def test_a_score_is_one_line():
    score = Score("recall", 0.25, 0.2, 0.3, 0.75, 0.7, 0.8, 500, 64, True)
    assert str(score) == "recall 0.25 (0.2 to 0.3); real 0.75 (0.7 to 0.8); higher is better; n = 500, d = 64"
    warned = dataclasses.replace(score, warning="few", higher_is_better=False)
    assert str(warned).endswith("lower is better; n = 500, d = 64; few")
    with pytest.raises(dataclasses.FrozenInstanceError):
        score.value = 1


@pytest.mark.parametrize(("real", "generated"), [(100, 20), (20, 20), (19, 100), (100, 19)])
def test_few_examples_are_warned_of_once(rng, real, generated):
    fidelity = Fidelity(Points(), rng.normal(size=(real, 2)), rng.normal(size=(100, 2)), "kind")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        scores = fidelity.measure(rng.normal(size=(generated, 2)), draws=3)
    few = min(real, generated) < 20
    assert len(told) == few
    assert bool(scores["Fréchet distance"].warning) == few
    assert bool(scores["Inception Score"].warning) == (generated < 20)
    assert not scores["precision"].warning, "it does not grow with d² / n"
    if few:
        assert told[0].category is UserWarning and told[0].filename == __file__
        assert "Fréchet distance: fewer than 20 examples, ten times d" in str(told[0].message)


# A classifier's features


def test_a_classifier_of_factors_has_all_that_is_asked(rng):
    keras.utils.set_random_seed(0)
    classifier = FactorFeatures((8, 8, 1), {"bright half": 2, "hue / tone": 3}, units=4, channels=(4, 4))
    assert classifier.name == "classifier_of_bright_half_and_hue_tone"
    assert FactorFeatures((8, 8, 1), {"row": 2}, name="level_2").name == "level_2"
    half = rng.integers(2, size=150)
    x = 0.3 * rng.random((150, 8, 8, 1)).astype("float32")
    x[half == 0, :, :4] += 0.6
    x[half == 1, :, 4:] += 0.6
    classifier.train(x, {"bright half": half, "hue / tone": np.full(150, -1)}, epochs=6, rate=1e-2, batch_size=30)

    noise = 0.5 * rng.random((150, 8, 8, 1)).astype("float32")
    p = classifier.probabilities(noise, "bright half")
    assert p.shape == (150, 2) and p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    nats = classifier.compute_loss(y=np.stack([half, np.full(150, -1)], axis=1), y_pred=classifier(noise))
    assert -np.log(p[np.arange(150), half]).mean() == pytest.approx(float(nats), rel=1e-3)
    with pytest.raises(ValueError, match="factor is one of 'bright half', 'hue / tone'; got 'shade'"):
        classifier.probabilities(x, "shade")

    fidelity = Fidelity(classifier, x[:60], x[60:120], classes="bright half")
    assert fidelity.features_name == classifier.name
    both, one = (fidelity.measure(pictures[:45], draws=3) for pictures in (x, x[half == 1]))
    assert one["Inception Score"].value < 1.1 < 1.5 < both["Inception Score"].value <= 2
    assert both["Fréchet distance"].d == 4 and both["Inception Score"].d == 2


# Errors


def test_more_than_were_held_out_are_refused(sets):
    fidelity = Fidelity(Points(), *sets[:2])
    with pytest.raises(
        ValueError, match="^x has 81 examples, but only 80 real ones were held out: give at most 80"
    ):
        fidelity.measure(np.zeros((81, 2)))


@pytest.mark.parametrize("name", ["real_x", "held_out_x", "x"])
def test_fewer_than_12_are_refused(rng, name):
    given = {part: rng.normal(size=(12, 2)) for part in ("real_x", "held_out_x", "x")}

    def measure():
        return Fidelity(Points(), given["real_x"], given["held_out_x"]).measure(given["x"], draws=2)

    with pytest.warns(UserWarning, match="ten times d"):
        assert list(measure()) == NAMES
    given[name] = given[name][:11]
    with pytest.raises(ValueError, match=f"^{name} has 11 examples, expected at least 12"):
        measure()


def test_other_errors(sets):
    fidelity = Fidelity(Points(), *sets[:2])
    with pytest.raises(ValueError, match="draws is at least 2; got 1"):
        fidelity.measure(sets[2], draws=1)
    with pytest.raises(ValueError, match="generated is NaN or infinite in row"):
        fidelity.measure(np.full((20, 2), np.nan))
    with pytest.raises(ValueError, match="generated has 3 features, expected 2, as real has"):
        fidelity.measure(np.zeros((20, 3)))
