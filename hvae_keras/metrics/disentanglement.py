"""Disentanglement scores for codes whose true factors are known: MIG, SAP and DCI.

All three ask whether one code stands for one factor. MIG and SAP ask it of the factors: how far the best code is
ahead of the second. DCI asks it of codes (disentanglement) and of factors (completeness), and also how well the
factors can be read at all. The definitions are those of the papers. Where the papers leave a choice, it is an
argument, and the docstring says what disentanglement_lib did (Locatello et al. 2019, Challenging common
assumptions in the unsupervised learning of disentangled representations).

What holds for all three:

- A code is `[n, d]`, such as the means of q(z|x). Its sign, scale and shift do not matter.
- A constant code says nothing about any factor: its entries of the matrix are 0.
- A constant factor cannot be scored: its entries by factor are NaN, and every score is that of the other factors.
- The scores of one model on other points, or of one model trained again, differ; compare several seeds.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import entropy
from sklearn.base import clone, is_classifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import accuracy_score, mutual_info_score, r2_score, recall_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from hvae_keras.metrics.correlation import checked_codes, constant

NORMALISERS = ("entropy", "attainable", "none")
BINNINGS = ("width", "frequency")
CLASSIFIERS = ("thresholds", "svm", "logistic")
REGRESSORS = ("random_forest", "gradient_boosting", "lasso")


class GapScore(NamedTuple):
    """A score made of gaps between the best and the second code.

    score: Mean gap over the factors that vary.
    gaps: Factor -> its gap, in the order of the columns; NaN for a constant factor.
    matrix: `[d, factors]`, what each code says about each factor (each function says in which unit).
    """

    score: float
    gaps: dict[str, float]
    matrix: np.ndarray


class DciScore(NamedTuple):
    """Disentanglement, completeness and informativeness, and what they are made of.

    disentanglement, completeness, informativeness: The three scores.
    matrix: `[d, factors]`, importance of each code for each factor, R of the paper.
    by_code: `[d]`, disentanglement D_i of each code; 0 for a code that matters to no factor.
    completeness_by_factor, informativeness_by_factor: Factor -> value, in the order of the columns; NaN for a
        constant factor.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    matrix: np.ndarray
    by_code: np.ndarray
    completeness_by_factor: dict[str, float]
    informativeness_by_factor: dict[str, float]


def mig(
    codes: np.ndarray,
    factors: Mapping[str, np.ndarray],
    bins: int = 20,
    binning: str = "width",
    normaliser: str = "entropy",
) -> GapScore:
    """Mutual information gap (Chen, Li, Grosse & Duvenaud 2018, section 4).

    For each factor v: I(z_i; v) of the best code less that of the second best, over H(v); then the mean. 1 if each
    factor has one code that tells it, and no other code knows of it; 0 if the best two codes know the same.

    Informations are those of a table of counts: code in bins, factor as it is. That is too high by about
    (bins - 1) (values - 1) / (2 n) nats, for every code alike, so gaps suffer less than informations. The paper
    instead averages over draws from q(z|x). disentanglement_lib bins the means: 20 bins of equal width, 10,000
    points.

    Args:
        codes: `[n, d]`.
        factors: Name -> class indices `[n]`.
        bins: Bins of a code, at least 2. Fewer points want fewer bins.
        binning: "width": equal width from the smallest to the largest value, so one outlier takes resolution from
            all. "frequency": equally many points, as far as ties allow.
        normaliser: "entropy": H(v), as in the paper. "attainable": min(H(v), log bins), the most that a binned
            code can tell of a factor with more values than there are bins. "none": the gap in nats.

    Returns:
        The matrix holds I(z_i; v) in nats. With one code the second best counts as 0.

    Raises:
        ValueError: if a shape, length or choice is wrong, a code is NaN, a factor is not integer, or none varies.
    """
    codes, factors, varying = _checked(codes, factors)
    _chosen("binning", binning, BINNINGS)
    _chosen("normaliser", normaliser, NORMALISERS)
    if bins < 2:
        raise ValueError(f"bins is at least 2; got {bins!r}.")
    binned = [_binned(code, bins, binning) for code in codes.T]
    matrix = np.array([[mutual_info_score(factor, code) for factor in factors.values()] for code in binned])
    entropies = np.array([entropy(np.unique(factor, return_counts=True)[1]) for factor in factors.values()])
    if normaliser == "none":
        scale = np.ones_like(entropies)
    else:
        scale = entropies if normaliser == "entropy" else np.minimum(entropies, np.log(bins))
    return _gap_score(matrix, np.where(varying, scale, np.nan), factors)


def sap(
    codes: np.ndarray,
    factors: Mapping[str, np.ndarray],
    continuous: Collection[str] = (),
    classifier: str = "thresholds",
    test_share: float = 0.25,
    seed: int = 0,
) -> GapScore:
    """Separated attribute predictability (Kumar, Sattigeri & Balakrishnan 2018, section 3).

    Predicts each factor from each code alone, and takes the score of the best code less that of the second best;
    then the mean over factors. The score is in [0, 1]:

    - of a continuous factor, the squared correlation with the code (R² of a linear regression), on all points;
    - of a factor of classes, the accuracy on points held out, as a mean over the classes.

    Nothing is taken off for chance. So a perfect code of a factor of k classes is ahead of independent codes by
    1 - 1/k, and of constant ones, which score 0, by 1.

    Args:
        codes: `[n, d]`, scaled to variance 1 before a classifier sees them.
        factors: Name -> class indices `[n]`; real values are allowed for those in `continuous`.
        continuous: Names of factors that are numbers, not classes. disentanglement_lib's study: none.
        classifier: "thresholds": one cut fewer than there are classes, as in the paper; here they are the cuts of
            a decision tree, found one after the other. "svm": a linear support vector machine for each class
            against the rest, C = 0.01, as in disentanglement_lib (with the share of correct answers as score,
            10,000 points to train and 5,000 to test, codes not scaled). On one code it hardly finds classes
            between others. "logistic": multinomial logistic regression, which can find all classes in a row.
        test_share: Share of the points that classifiers are tested on, drawn at random, the same for all factors.
        seed: Seed of that draw.

    Returns:
        The matrix holds squared correlations and accuracies; NaN for a constant factor. With one code the second
        best counts as 0.

    Raises:
        ValueError: as `mig`, and if n is too small to split, or to show two values of a factor in training.
    """
    codes, factors, varying = _checked(codes, factors, continuous)
    _chosen("classifier", classifier, CLASSIFIERS)
    train, test = _split(len(codes), test_share, seed)
    standard = StandardScaler().fit(codes[train]).transform(codes)
    dead = constant(codes) | constant(codes[train])
    matrix = np.full((codes.shape[1], len(factors)), np.nan)
    for j in np.flatnonzero(varying):
        name, factor = list(factors.items())[j]
        if name not in continuous:
            _two_values(name, factor[train], len(codes))
        for i, code in enumerate(standard.T):
            if name in continuous:
                matrix[i, j] = 0 if constant(codes)[i] else np.corrcoef(code, factor)[0, 1] ** 2
            else:
                matrix[i, j] = 0 if dead[i] else _balanced_accuracy(classifier, code[:, None], factor, train, test)
    return _gap_score(matrix, np.where(varying, 1.0, np.nan), factors)


def dci(
    codes: np.ndarray,
    factors: Mapping[str, np.ndarray],
    continuous: Collection[str] = (),
    regressor: Any = "random_forest",
    test_share: float = 0.25,
    seed: int = 0,
) -> DciScore:
    """Disentanglement, completeness and informativeness (Eastwood & Williams 2018, section 2).

    One model a factor predicts it from all codes; R_ij is the importance of code i for factor j. Then, for d codes
    and k factors that vary:

    - disentanglement D_i = 1 - H_k(R_i. / sum_j R_ij), entropy in base k: 1 if code i matters to one factor only.
      The score is the mean weighted with sum_j R_ij / sum_ij R_ij, so codes that matter little count little.
    - completeness C_j = 1 - H_d(R_.j / sum_i R_ij), entropy in base d (constant codes are counted): 1 if factor j
      needs one code only. The score is the mean over factors; disentanglement_lib weighs them with sum_i R_ij,
      which is the same where the importances of each factor add up to 1, as those of trees do.
    - informativeness, on points held out: the share of correct answers (nothing is taken off for chance), or R² of
      a continuous factor, at least 0. The score is the mean over factors. The paper gives an error instead.

    The models, with trees' importances or absolute weights (a mean over classes) as R:

    - "random_forest": 50 trees that see all codes at every split and keep 5 points a leaf. A split that sees only
      some codes has to use codes that do not matter, and a leaf of 1 point fits noise; both blur R.
    - "gradient_boosting": scikit-learn's defaults, as in disentanglement_lib (10,000 points to train and 5,000 to
      test); several times slower with many classes, for much the same R.
    - "lasso": a linear model with an L1 penalty (alpha 0.01), for classes a logistic regression with one (C = 1).
      Where it can predict little it keeps a few weights by chance: D and C are high while informativeness is low.

    The paper has lasso and random forests, with penalty and depth chosen on validation data.

    An entropy of a single outcome is 0: with one code completeness is 1, with one factor disentanglement is 1, if
    there is any importance. Without any, as with constant codes, they are 0.

    Args:
        codes: `[n, d]`, scaled to variance 1 before a model sees them.
        factors: Name -> class indices `[n]`; real values are allowed for those in `continuous`.
        continuous: Names of factors that are numbers, not classes. The paper: all; disentanglement_lib: none.
        regressor: One of the three below, or any scikit-learn estimator with `feature_importances_` or `coef_`, a
            classifier for classes or a regressor for continuous factors; it is cloned for each factor.
        test_share: Share of the points held out, drawn at random, the same for all factors.
        seed: Seed of that draw and of the trees.

    Raises:
        ValueError: as `sap`, and if an estimator is of the wrong kind or names no importances.
    """
    codes, factors, varying = _checked(codes, factors, continuous)
    if not hasattr(regressor, "fit"):
        _chosen("regressor", regressor, REGRESSORS)
    train, test = _split(len(codes), test_share, seed)
    standard = StandardScaler().fit(codes[train]).transform(codes)
    matrix = np.zeros((codes.shape[1], len(factors)))
    informative = np.full(len(factors), np.nan)
    for j in np.flatnonzero(varying):
        name, factor = list(factors.items())[j]
        _two_values(name, factor[train], len(codes))
        if name in continuous:
            factor = (factor - factor[train].mean()) / factor[train].std()
        model = _model(regressor, name in continuous, seed).fit(standard[train], factor[train])
        matrix[:, j] = _importance(model)
        score = r2_score if name in continuous else accuracy_score
        informative[j] = max(0.0, score(factor[test], model.predict(standard[test])))
    matrix[constant(codes)] = 0
    by_code = _concentration(matrix[:, varying].T)
    by_factor = np.where(varying, _concentration(matrix), np.nan)
    total = matrix.sum()
    return DciScore(
        disentanglement=float(matrix.sum(axis=1) @ by_code / total) if total > 0 else 0.0,
        completeness=float(by_factor[varying].mean()),
        informativeness=float(informative[varying].mean()),
        matrix=matrix,
        by_code=by_code,
        completeness_by_factor=_named(factors, by_factor),
        informativeness_by_factor=_named(factors, informative),
    )


def _checked(
    codes: np.ndarray, factors: Mapping[str, np.ndarray], continuous: Collection[str] = ()
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Codes with constant ones set to exactly 0, factors as arrays, and which factors vary, `[factors]`."""
    codes = checked_codes("codes", codes)
    # Rounding noise in a dead code would be binned and scaled up like any other.
    codes = np.where(constant(codes), 0.0, codes)
    if isinstance(continuous, str) or not set(continuous) <= set(factors):
        raise ValueError(f"continuous holds names out of {list(factors)}; got {continuous!r}.")
    factors = {name: np.asarray(factor) for name, factor in factors.items()}
    for name, factor in factors.items():
        if factor.shape != (len(codes),):
            raise ValueError(f"factors[{name!r}] has shape {factor.shape}; expected ({len(codes)},), as codes.")
        if name in continuous:
            if not (np.issubdtype(factor.dtype, np.number) and np.isfinite(factor).all()):
                raise ValueError(f"factors[{name!r}] holds finite numbers; got {factor.dtype} with others.")
        elif not (np.issubdtype(factor.dtype, np.integer) or factor.dtype == bool):
            raise ValueError(f"factors[{name!r}] holds class indices, integers; got {factor.dtype}.")
    varying = np.array([np.ptp(factor.astype("float64")) > 0 for factor in factors.values()], bool)
    if not varying.any():
        raise ValueError(f"factors holds no factor that varies; got {list(factors)}.")
    return codes, factors, varying


def _chosen(argument: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{argument} is one of {', '.join(map(repr, choices))}; got {value!r}.")


def _split(n: int, test_share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on and to test on."""
    if not 0 < test_share < 1:
        raise ValueError(f"test_share is between 0 and 1; got {test_share!r}.")
    tested = round(n * test_share)
    if min(tested, n - tested) < 2:
        raise ValueError(
            f"codes holds {n} points: fewer than 2 to train on or to test on (test_share {test_share})."
        )
    order = np.random.default_rng(seed).permutation(n)
    return order[tested:], order[:tested]


def _two_values(name: str, factor: np.ndarray, n: int) -> None:
    """Refuse a factor that does not vary where models are trained."""
    if np.ptp(factor) == 0:
        raise ValueError(
            f"factors[{name!r}] has one value in the {len(factor)} of {n} points to train on; 2 are needed."
        )


def _binned(code: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """Index of the bin of each point."""
    if binning == "width":
        return np.digitize(code, np.linspace(code.min(), code.max(), bins + 1)[1:-1])
    ordered = np.sort(code)
    # Equal values share the middle of their ranks, so they stay together, and sign makes no difference.
    middle = (np.searchsorted(ordered, code) + np.searchsorted(ordered, code, side="right")) / 2
    return np.floor(middle * bins / len(code)).astype(int)


def _gap_score(matrix: np.ndarray, scale: np.ndarray, factors: Mapping[str, np.ndarray]) -> GapScore:
    """Best entry of each column less the second best, over `scale`, where NaN leaves a factor out."""
    ranked = np.sort(matrix, axis=0)[::-1]
    second = ranked[1] if len(ranked) > 1 else 0.0
    gaps = (ranked[0] - second) / scale
    return GapScore(float(np.nanmean(gaps)), _named(factors, gaps), matrix)


def _named(factors: Mapping[str, np.ndarray], values: np.ndarray) -> dict[str, float]:
    return dict(zip(factors, values.tolist(), strict=True))


def _balanced_accuracy(
    classifier: str, code: np.ndarray, factor: np.ndarray, train: np.ndarray, test: np.ndarray
) -> float:
    """Share of correct answers on the test points from one code `[n, 1]`, as a mean over the classes there."""
    models = {
        "thresholds": DecisionTreeClassifier(
            max_leaf_nodes=len(np.unique(factor)), class_weight="balanced", random_state=0
        ),
        "svm": LinearSVC(C=0.01, class_weight="balanced", random_state=0),
        "logistic": LogisticRegression(C=100.0, class_weight="balanced", max_iter=1000),
    }
    found = models[classifier].fit(code[train], factor[train]).predict(code[test])
    return float(recall_score(factor[test], found, labels=np.unique(factor[test]), average="macro"))


def _model(regressor: Any, continuous: bool, seed: int) -> Any:
    """A new estimator, a regressor for a continuous factor and a classifier for classes."""
    if regressor == "random_forest":
        kind = RandomForestRegressor if continuous else RandomForestClassifier
        return kind(n_estimators=50, max_features=None, min_samples_leaf=5, random_state=seed)
    if regressor == "gradient_boosting":
        return (GradientBoostingRegressor if continuous else GradientBoostingClassifier)(random_state=seed)
    if regressor == "lasso":
        if continuous:
            return Lasso(alpha=0.01)
        return LogisticRegression(l1_ratio=1.0, solver="saga", C=1.0, max_iter=2000, tol=1e-3, random_state=seed)
    if is_classifier(regressor) == continuous:
        expected = "a regressor for continuous factors" if continuous else "a classifier for factors of classes"
        raise ValueError(f"regressor is {expected}; got {regressor!r}.")
    return clone(regressor)


def _importance(model: Any) -> np.ndarray:
    """Importance of each code in a fitted model, not negative, `[d]`."""
    if hasattr(model, "feature_importances_"):
        return np.abs(model.feature_importances_)
    if not hasattr(model, "coef_"):
        raise ValueError(f"regressor has feature_importances_ or coef_ once fitted; got {model!r}.")
    return np.abs(np.atleast_2d(model.coef_)).mean(axis=0)


def _concentration(importance: np.ndarray) -> np.ndarray:
    """1 - entropy of each column over its rows, in base number of rows; 0 for a column of zeros: `[columns]`."""
    rows = len(importance)
    total = importance.sum(axis=0)
    shares = importance / np.where(total > 0, total, 1)
    spread = entropy(shares + (total == 0) / rows, base=rows) if rows > 1 else np.zeros_like(total)
    return np.where(total > 0, np.clip(1 - spread, 0, 1), 0.0)
