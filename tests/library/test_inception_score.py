"""The Inception Score, against information that is known."""

import numpy as np
import pytest

from hvae_keras.metrics import inception_score


def test_a_sure_classifier_gives_the_number_of_classes_it_finds():
    for classes in (2, 10):
        assert inception_score(np.eye(classes)) == pytest.approx(classes, rel=1e-12)
        assert inception_score(np.eye(classes, classes + 3)) == pytest.approx(classes, rel=1e-12)
    assert inception_score(np.eye(5)[[0, 0, 0, 3]]) == pytest.approx(4 / 3**0.75, rel=1e-12)  # shares 3/4 and 1/4


def test_two_unsure_answers_by_hand():
    """p(y) = (1/2, 1/2), and each KL is 3/4 log 3/2 + 1/4 log 1/2."""
    p = np.array([[0.75, 0.25], [0.25, 0.75]])
    assert inception_score(p) == pytest.approx(1.5**0.75 * 0.5**0.25, rel=1e-12)


def test_the_same_answer_everywhere_gives_1(rng):
    p = rng.dirichlet(np.ones(6))
    assert inception_score(np.tile(p, (50, 1))) == pytest.approx(1, abs=1e-12)
    assert inception_score(p[None]) == pytest.approx(1, abs=1e-12), "one sample"
    assert inception_score(np.ones((7, 1))) == 1, "one class"


def test_the_order_of_the_examples_does_not_matter(rng):
    """Parts of a set sorted by class hold one class each, and would be 1."""
    p = np.eye(10).repeat(100, axis=0)
    assert inception_score(p) == pytest.approx(10, rel=1e-12)
    p = rng.dirichlet(np.full(4, 0.3), size=200)
    assert inception_score(p[np.argsort(p.argmax(axis=1))]) == pytest.approx(inception_score(p), rel=1e-12)


def test_its_logarithm_is_a_difference_of_entropies(rng):
    p = rng.dirichlet(np.full(7, 0.4), size=90)
    mean = p.mean(axis=0)
    entropy = -(mean * np.log(mean)).sum()
    conditional = -np.mean([sum(a * np.log(a) for a in row if a > 0) for row in p])
    assert np.log(inception_score(p)) == pytest.approx(entropy - conditional, rel=1e-10)
    assert 1 <= inception_score(p) <= 7


def test_few_examples_err_low_by_what_the_docstring_says(rng):
    n, classes = 60, 10
    found = [np.log(inception_score(np.eye(classes)[rng.integers(classes, size=n)])) for _ in range(2000)]
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(np.log(classes) - (classes - 1) / (2 * n), abs=4 * error + 0.002)


def test_rows_are_divided_by_their_sums():
    """As float32 leaves them."""
    p = np.array([[0.75, 0.25], [0.25, 0.75]])
    assert inception_score(p * [[1 + 5e-5], [1 - 5e-5]]) == pytest.approx(inception_score(p), rel=1e-12)
    assert inception_score(p.astype("float32")) == pytest.approx(inception_score(p), rel=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones(3) / 3, r"has shape \(3,\), expected \[n, classes\]"),
        (np.zeros((0, 3)), r"has shape \(0, 3\), expected \[n, classes\] with n at least 1"),
        (np.zeros((3, 0)), r"has shape \(3, 0\)"),
        (
            np.array([[0.5, 0.5], [0.5, 0.6]]),
            r"is not a distribution in row 1: its smallest is 0.5, their sum 1.1",
        ),
        (np.array([[1.5, -0.5]]), "is not a distribution in row 0: its smallest is -0.5, their sum 1"),
        (np.array([[1, 0], [1, 0], [np.nan, 1]]), "is not a distribution in row 2: its smallest is nan"),
        (np.array([[np.inf, 0]]), "is not a distribution in row 0"),
        (np.full((2, 2), "a"), "has dtype <U1, expected real numbers"),
    ],
)
def test_what_is_no_distribution_is_refused(wrong, message):
    with pytest.raises(ValueError, match=f"^probabilities {message}"):
        inception_score(wrong)
