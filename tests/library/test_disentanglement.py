"""MIG, SAP and DCI on codes whose scores are known, and against counting by hand."""

import itertools
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from hvae_keras.metrics import dci, mig, sap

VALUES = {"kind": 2, "size": 4, "place": 8}
TREES = {"max_features": None, "min_samples_leaf": 5, "random_state": 0}
METRICS = {  # the forests are small ones, for time
    "mig": mig,
    "sap": sap,
    "sap svm": partial(sap, classifier="svm"),
    "sap correlation": partial(sap, continuous=list(VALUES)),
    "dci": partial(dci, regressor=RandomForestClassifier(10, **TREES)),
    "dci lasso": partial(dci, regressor="lasso"),
    "dci continuous": partial(dci, continuous=list(VALUES), regressor=RandomForestRegressor(10, **TREES)),
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


def scores(result):
    """The numbers of a result: the score of MIG or SAP, the three of DCI."""
    return np.array(result[:1] if len(result) == 3 else result[:3])


@pytest.fixture
def factors():
    """Every combination of 2 × 4 × 8 values, four times, in random order: exactly independent factors."""
    grid = np.indices([*VALUES.values(), 4]).reshape(4, -1)
    order = np.random.default_rng(1).permutation(grid.shape[1])
    return dict(zip(VALUES, grid[:3, order], strict=True))


@pytest.fixture
def perfect(factors):
    """One code for each factor, in another order, with other scales and signs."""
    return np.stack([-3 * factors["place"] + 1, 0.01 * factors["kind"], 50.0 - factors["size"]], axis=1)


@pytest.fixture
def noise(factors, rng):
    return rng.normal(size=(len(factors["kind"]), 3))


@pytest.fixture
def noisy(perfect, noise):
    return np.concatenate([perfect / perfect.std(axis=0) + 0.3 * noise, noise[:, ::-1]], axis=1)


@pytest.fixture
def rotated(factors):
    """Two factors with 8 values each, and their sum and difference as codes."""
    a, b = np.indices((8, 8)).reshape(2, -1).repeat(4, axis=1)
    return np.stack([a + b, a - b], axis=1) / np.sqrt(2), {"a": a, "b": b}


# Perfect codes.


@pytest.mark.parametrize("binning", ["width", "frequency"])
def test_mig_of_perfect_codes_is_one(perfect, factors, binning):
    found = mig(perfect, factors, binning=binning)
    assert found.score == pytest.approx(1)
    assert found.gaps == pytest.approx(dict.fromkeys(VALUES, 1))
    truth = np.diag(np.log([2, 4, 8]))[[2, 0, 1]]
    np.testing.assert_allclose(found.matrix, truth, atol=1e-12)


def test_sap_of_perfect_codes_of_numbers_is_one(perfect, factors):
    found = sap(perfect, factors, continuous=list(VALUES))
    assert found.score == pytest.approx(1)
    np.testing.assert_allclose(found.matrix, np.eye(3)[[2, 0, 1]], atol=1e-12)


def test_sap_of_perfect_codes_of_classes_is_one_less_chance(perfect, factors):
    """The right code is always right. Another code is right once in k, up to the noise of a test of 64 points."""
    found = sap(perfect, factors)
    np.testing.assert_array_equal(found.matrix.max(axis=0), [1, 1, 1])
    for factor, k in VALUES.items():
        assert found.gaps[factor] == pytest.approx(1 - 1 / k, abs=0.2)


def test_sap_of_perfect_codes_beside_dead_ones_is_one(perfect, factors):
    codes = perfect * [1, 0, 0]
    assert sap(codes, {"place": factors["place"]}).score == 1


@pytest.mark.parametrize("regressor", ["random_forest", "gradient_boosting", "lasso"])
@pytest.mark.parametrize("continuous", [(), tuple(VALUES)])
def test_dci_of_perfect_codes_is_one(perfect, factors, regressor, continuous):
    found = dci(perfect, factors, continuous, regressor)
    assert scores(found) == pytest.approx([1, 1, 1], abs=0.03)
    np.testing.assert_array_equal(found.matrix.argmax(axis=0), [1, 2, 0])


def test_svm_misses_the_classes_in_the_middle_and_logistic_regression_does_not(perfect, factors):
    """Why SAP with disentanglement_lib's classifier is low even for perfect codes."""
    place = {"place": factors["place"]}
    assert sap(perfect, place, classifier="svm").matrix.max() < 0.5
    assert sap(perfect, place, classifier="logistic").matrix.max() == 1


# Rotated codes, and codes that know nothing.


def test_gaps_of_a_rotation_by_45_degrees_are_zero(rotated):
    assert mig(*rotated).score == pytest.approx(0, abs=1e-12)
    found = sap(*rotated, continuous=("a", "b"))
    assert found.score == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.matrix, 0.5)
    assert sap(*rotated).score < 0.15


@pytest.mark.parametrize("regressor", ["random_forest", "lasso"])
def test_a_rotation_by_45_degrees_is_informative_and_not_disentangled(rotated, regressor):
    found = dci(*rotated, continuous=("a", "b"), regressor=regressor)
    assert found.disentanglement < 0.05 and found.completeness < 0.05 and found.informativeness > 0.9


def test_noise_scores_near_zero(noise, factors):
    assert mig(noise, factors, bins=10).score < 0.03
    assert sap(noise, factors).score < 0.15
    assert sap(noise, factors, continuous=list(VALUES)).score < 0.02
    found = dci(noise, factors)
    assert found.disentanglement < 0.05 and found.completeness < 0.05
    assert found.informativeness == pytest.approx(np.mean([1 / 2, 1 / 4, 1 / 8]), abs=0.12)


def test_scores_fall_with_noise(perfect, noise, factors):
    """All four numbers, between the perfect codes and noise alone."""
    standard = perfect / perfect.std(axis=0)
    ladder = [standard + level * noise for level in (0, 0.5, 2)]
    found = [[mig(c, factors).score, sap(c, factors).score, *dci(c, factors)[:3]] for c in ladder]
    assert (np.diff(found, axis=0) < 0).all()


# Independent computations.


@pytest.mark.parametrize("binning", ["width", "frequency"])
def test_mutual_information_is_that_of_a_table_counted_by_hand(noisy, factors, binning):
    found = mig(noisy, factors, bins=4, binning=binning)
    n = len(noisy)
    for i, factor in itertools.product(range(noisy.shape[1]), VALUES):
        low, high = noisy[:, i].min(), noisy[:, i].max()
        if binning == "width":
            bins = np.minimum(((noisy[:, i] - low) / (high - low) * 4).astype(int), 3)
        else:
            bins = noisy[:, i].argsort().argsort() * 4 // n
        information = 0.0
        for b, v in itertools.product(range(4), range(VALUES[factor])):
            inside, valued = bins == b, factors[factor] == v
            share = (inside & valued).mean()
            if share:
                information += share * np.log(share / (inside.mean() * valued.mean()))
        assert found.matrix[i, list(VALUES).index(factor)] == pytest.approx(information, abs=1e-12)


def test_gaps_are_best_less_second_over_entropy(noisy, factors):
    found = mig(noisy, factors)
    for j, (factor, k) in enumerate(VALUES.items()):
        second, best = sorted(found.matrix[:, j])[-2:]
        assert found.gaps[factor] == pytest.approx((best - second) / np.log(k))
    assert found.score == pytest.approx(np.mean(list(found.gaps.values())))


def test_normalisers(perfect, factors):
    assert mig(perfect, factors, normaliser="none").gaps == pytest.approx(
        {factor: np.log(k) for factor, k in VALUES.items()}
    )
    place = {"place": factors["place"]}
    assert mig(perfect, place, bins=4, normaliser="entropy").score == pytest.approx(np.log(4) / np.log(8))
    assert mig(perfect, place, bins=4, normaliser="attainable").score == pytest.approx(1)
    assert mig(perfect, place, bins=20, normaliser="attainable").score == pytest.approx(1)


def test_entropy_is_that_of_the_data_not_of_the_number_of_values():
    factor = np.array([0] * 9 + [7])
    assert mig(factor[:, None] * 1.0, {"rare": factor}).score == pytest.approx(1)


def test_squared_correlation_is_r_squared(noisy, factors):
    found = sap(noisy, factors, continuous=list(VALUES))
    for i, (j, factor) in itertools.product(range(noisy.shape[1]), enumerate(factors.values())):
        r2 = LinearRegression().fit(noisy[:, [i]], factor).score(noisy[:, [i]], factor)
        assert found.matrix[i, j] == pytest.approx(r2)


def test_accuracy_of_one_threshold_is_that_of_the_best_cut_counted_by_hand(rng):
    """Two classes, 9 to 1, code without noise but for a known share of flips: mean recall, not accuracy."""
    factor = (np.arange(4000) % 10 == 0).astype(int)
    flipped = rng.random(4000) < np.where(factor == 1, 0.4, 0.1)
    code = np.where(flipped, 1 - factor, factor) + 0.01 * rng.normal(size=4000)
    found = sap(code[:, None], {"rare": factor})
    assert found.score == pytest.approx((0.6 + 0.9) / 2, abs=0.06)


def test_dci_follows_from_its_matrix(noisy, factors):
    """Entropies in base k and d, rows weighted by their share, against sums written out."""
    found = dci(noisy, factors)
    d, k = found.matrix.shape
    total = found.matrix.sum()
    disentanglement = 0.0
    for i, row in enumerate(found.matrix):
        p = row / row.sum()
        one = 1 + sum(q * np.log(q) / np.log(k) for q in p if q > 0)
        assert found.by_code[i] == pytest.approx(one)
        disentanglement += one * row.sum() / total
    assert found.disentanglement == pytest.approx(disentanglement)
    for j, factor in enumerate(VALUES):
        p = found.matrix[:, j] / found.matrix[:, j].sum()
        one = 1 + sum(q * np.log(q) / np.log(d) for q in p if q > 0)
        assert found.completeness_by_factor[factor] == pytest.approx(one)
    assert found.completeness == pytest.approx(np.mean(list(found.completeness_by_factor.values())))
    assert found.informativeness == pytest.approx(np.mean(list(found.informativeness_by_factor.values())))


class Importance(DecisionTreeClassifier):
    """A classifier whose importances are given: rows of a table, by the number of classes."""

    table = {2: [3.0, 1.0, 0.0], 4: [0.0, 1.0, 0.0]}

    @property
    def feature_importances_(self):
        return np.array(self.table[len(self.classes_)])


def test_dci_of_an_importance_matrix_worked_out_by_hand(noise, factors):
    """R = [[3, 0], [1, 1], [0, 0]]: D = (1, 0) with weights 3/5 and 2/5; C = (1 - H_3(3/4, 1/4), 1)."""
    two = {name: factors[name] for name in ("kind", "size")}
    found = dci(noise, two, regressor=Importance(max_depth=2))
    np.testing.assert_allclose(found.by_code, [1, 0, 0], atol=1e-12)
    assert found.disentanglement == pytest.approx(0.6)
    spread = (np.log(4) - 0.75 * np.log(3)) / np.log(3)
    assert found.completeness_by_factor == pytest.approx({"kind": 1 - spread, "size": 1})


# Invariances.


@every_metric
def test_order_sign_and_scale_of_codes_do_not_matter(noisy, factors, metric):
    """Exactly, but for the trees of DCI, whose draws depend on the order of the codes."""
    order = [3, 1, 5, 0, 2, 4]
    first, second = metric(noisy, factors), metric(noisy[:, order] * [1, -2, 30, 0.4, -5, 1e-4], factors)
    tolerance = 0.05 if hasattr(first, "informativeness") else 1e-9
    assert scores(second) == pytest.approx(scores(first), abs=tolerance)
    np.testing.assert_allclose(second.matrix, first.matrix[order], atol=tolerance)


@every_metric
def test_names_of_values_do_not_matter_and_factors_keep_their_order(noisy, factors, metric):
    found = metric(noisy, {name: 5 + 10 * factors[name] for name in ("place", "kind", "size")})
    first = metric(noisy, factors)
    # Trees of numbers break ties by rounding, which scale changes.
    tolerance = 0.01 if metric is METRICS["dci continuous"] else 1e-6
    assert scores(found) == pytest.approx(scores(first), abs=tolerance)
    np.testing.assert_allclose(found.matrix, first.matrix[:, [2, 0, 1]], atol=tolerance)


@every_metric
def test_the_same_call_gives_the_same_numbers_and_leaves_its_input(noisy, factors, metric):
    before = noisy.copy()
    np.testing.assert_array_equal(metric(noisy, factors).matrix, metric(noisy, factors).matrix)
    np.testing.assert_array_equal(noisy, before)


# What is constant, single, or too small.


@every_metric
@pytest.mark.parametrize("dead", [0.0, 0.1, -1e6])
def test_a_constant_code_has_no_entries_even_with_rounding_noise(noisy, factors, metric, dead):
    codes = np.float32(np.column_stack([noisy, np.full(len(noisy), dead)]))
    codes[::2, -1] = np.nextafter(codes[0, -1], np.float32(9)) if dead else 0
    found = metric(codes, factors)
    np.testing.assert_array_equal(found.matrix[-1], [0, 0, 0])


@every_metric
def test_codes_that_are_all_constant_score_zero(factors, metric):
    found = metric(np.full((len(factors["kind"]), 4), 0.3), factors)
    np.testing.assert_array_equal(found.matrix, np.zeros((4, 3)))
    np.testing.assert_array_equal(scores(found)[:2], 0)
    assert np.isfinite(scores(found)).all()


@every_metric
def test_a_constant_factor_changes_no_score(noisy, factors, metric):
    continuous = {"continuous": [*VALUES, "never"]} if "continuous" in str(metric) else {}
    found = metric(noisy, {**factors, "never": np.full(len(noisy), 3)}, **continuous)
    assert scores(found) == pytest.approx(scores(metric(noisy, factors)))
    by_factor = found.gaps if hasattr(found, "gaps") else found.completeness_by_factor
    assert np.isnan(by_factor["never"]) and np.isfinite([by_factor[name] for name in VALUES]).all()


@every_metric
def test_one_code_and_one_factor_are_defined(perfect, factors, metric):
    """The gap to a code that is not there is the whole; an entropy of one outcome is 0."""
    continuous = {"continuous": ["place"]} if "continuous" in str(metric) else {}
    found = metric(perfect[:, :1], {"place": factors["place"]}, **continuous)
    assert found.matrix.shape == (1, 1)
    if hasattr(found, "gaps"):
        unit = np.log(8) if metric is mig else 1
        assert found.score == pytest.approx(found.matrix[0, 0] / unit)
    else:
        assert scores(found) == pytest.approx([1, 1, 1], abs=0.01)


@every_metric
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_codes_that_are_not_finite_are_refused(noisy, factors, metric, bad):
    noisy[[3, 5], 1] = bad
    with pytest.raises(ValueError, match="codes has NaN or infinite values in 2 rows"):
        metric(noisy, factors)


@every_metric
def test_wrong_shapes_are_refused(noisy, factors, metric):
    with pytest.raises(ValueError, match=r"codes is \[n, d\].*got shape \(256,\)"):
        metric(noisy[:, 0], factors)
    with pytest.raises(ValueError, match=r"factors\['kind'\] has shape \(256,\); expected \(255,\)"):
        metric(noisy[1:], factors)
    with pytest.raises(ValueError, match=r"codes is \[n, d\] with n at least 2.*\(1, 6\)"):
        metric(noisy[:1], {name: factor[:1] for name, factor in factors.items()})


def test_factors_that_are_not_classes_are_refused_unless_they_are_continuous(noisy, factors):
    factors["place"] = factors["place"] * 0.5
    with pytest.raises(ValueError, match=r"factors\['place'\] holds class indices.*float64"):
        mig(noisy, factors)
    assert np.isfinite(scores(sap(noisy, factors, continuous=["place"]))).all()
    factors["place"][0] = np.nan
    with pytest.raises(ValueError, match=r"factors\['place'\] holds finite numbers"):
        dci(noisy, factors, continuous=["place"])


@every_metric
def test_factors_that_never_vary_are_refused(noisy, factors, metric):
    with pytest.raises(ValueError, match="no factor that varies"):
        metric(noisy, {name: 0 * factor for name, factor in factors.items()})


@pytest.mark.parametrize("metric", [sap, dci])
def test_too_few_points_are_refused(noisy, factors, metric):
    few = {name: factor[:5] for name, factor in factors.items()}
    with pytest.raises(ValueError, match="codes holds 5 points: fewer than 2 to train on or to test on"):
        metric(noisy[:5], few)
    rare = np.zeros(20, int)
    rare[0] = 1  # held out by seed 0 or another: then training shows one value only
    with pytest.raises(ValueError, match=r"factors\['rare'\] has one value in the 10 of 20 points"):
        for seed in range(20):
            metric(noisy[:20], {"rare": rare}, test_share=0.5, seed=seed)


def test_unknown_choices_are_refused(noisy, factors):
    for call, message in {
        partial(mig, binning="equal"): "binning is one of 'width', 'frequency'; got 'equal'",
        partial(mig, normaliser="max"): "normaliser is one of .* got 'max'",
        partial(mig, bins=1): "bins is at least 2; got 1",
        partial(sap, classifier="tree"): "classifier is one of .* got 'tree'",
        partial(sap, continuous="place"): "continuous holds names out of .* got 'place'",
        partial(sap, continuous=["colour"]): "continuous holds names out of",
        partial(sap, test_share=1.0): "test_share is between 0 and 1; got 1.0",
        partial(dci, regressor="forest"): "regressor is one of .* got 'forest'",
        partial(dci, regressor=3): "regressor is one of .* got 3",
        partial(dci, regressor=LinearRegression()): "a classifier for factors of classes; got Linear",
        partial(dci, continuous=list(VALUES), regressor=DecisionTreeClassifier()): "a regressor for continuous",
    }.items():
        with pytest.raises(ValueError, match=message):
            call(noisy, factors)


def test_an_estimator_of_ones_own(perfect, factors):
    found = dci(perfect, factors, regressor=LogisticRegression(C=100, max_iter=2000))
    assert found.informativeness > 0.95
    np.testing.assert_array_equal(found.matrix.argmax(axis=0), [1, 2, 0])


def test_no_warnings(noisy, factors):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for metric in METRICS.values():
            metric(noisy, factors)
            metric(noisy * 0, {"kind": factors["kind"]} if "continuous" not in str(metric) else factors)
