"""Rules: one reading for all of a book, books that grow, and the books of the data sets."""

import subprocess
import sys

import numpy as np
import pytest

from hvae_keras.data import Rule, RuleBook, faces, landscapes, load, melodies, rules
from hvae_keras.data.landscape_rules import rules_kept


def book(calls=None):
    """Rules of numbers `[n]`: what is read is their digits, the ones first."""

    def read(x):
        if calls is not None:
            calls.append(len(x))
        return np.stack([x % 10, x // 10], axis=1)

    return RuleBook(
        read,
        {
            "even": Rule(1, lambda digits: digits[:, 0] % 2 == 0, "The number is even."),
            "few": Rule(2, lambda digits: digits[:, 1] < 5, "The number is below fifty."),
            "no ten": Rule(1, lambda digits: digits[:, 0] > 0, "The number is no multiple of ten."),
        },
    )


def real(name, n):
    """n examples of a data set, drawn anew, and their factors."""
    rng = np.random.RandomState(0)
    if name == "melodies":
        return melodies.sample(n, rng)
    if name == "landscapes":
        factors = landscapes.sample(n, rng)
        return landscapes.draw(factors, rng), factors
    factors = faces.sample(n, (0, 1, 2, 3), rng)
    return faces.draw(factors), factors


X = np.array([10, 22, 37, 58, 64, 70])


def test_every_rule_is_asked_of_one_reading():
    calls = []
    kept = book(calls).kept(X)
    assert calls == [6] and list(kept) == ["even", "few", "no ten"]
    assert kept["even"].tolist() == [True, True, False, True, True, True]
    assert kept["few"].tolist() == [True, True, True, False, False, False]
    assert kept["no ten"].tolist() == [False, True, True, True, True, False]


def test_a_level_is_kept_where_all_its_rules_are():
    by_level = book().kept_by_level(X)
    assert list(by_level) == [2, 1]  # the top first
    assert by_level[1].tolist() == [False, True, False, True, True, False]
    assert by_level[2].tolist() == [True, True, True, False, False, False]


def test_a_book_grows_and_the_old_one_stays():
    old = book()
    small = Rule(3, lambda digits: digits.sum(axis=1) < 5, "The sum of the digits is below five.")
    other = Rule(1, lambda digits: digits[:, 0] == 2, "The last digit is 2.")
    new = old | {"small": small, "even": other}
    assert list(new) == ["even", "few", "no ten", "small"] and len(old) == 3
    assert new["small"] is small and new["even"] is other and new["few"] is old["few"]
    assert new.kept(X)["small"].tolist() == [True, True, False, False, False, False]
    assert new.kept(X)["even"].tolist() == [False, True, False, False, False, False]
    assert list(new.kept_by_level(X)) == [3, 2, 1]


def test_a_book_shows_its_rules():
    assert repr(book()).splitlines() == [
        "level 1  even    The number is even.",
        "level 2  few     The number is below fifty.",
        "level 1  no ten  The number is no multiple of ten.",
    ]


@pytest.mark.parametrize(
    ("holds", "got"),
    [
        (lambda digits: digits[:, 0], r"int64 \(6,\)"),
        (lambda digits: digits > 3, r"bool \(6, 2\)"),
        (lambda digits: True, r"bool \(\)"),
    ],
)
def test_a_rule_that_returns_anything_else_is_named(holds, got):
    bad = book() | {"mine": Rule(1, holds, "Whatever.")}
    for ask in (bad.kept, bad.kept_by_level):
        with pytest.raises(ValueError, match=rf"rule 'mine' returned {got}, expected bool \(6,\)"):
            ask(X)


@pytest.mark.parametrize("name", ["mnist", "hats"])
def test_data_without_rules_is_refused(name):
    with pytest.raises(
        ValueError, match=f"'{name}' has no rules; data sets that have: faces, landscapes, melodies"
    ):
        rules(name)


@pytest.mark.parametrize("name", ["faces", "landscapes", "melodies"])
def test_books_of_data_sets(name):
    """Both levels have rules, each a sentence; real data keeps all, one by one as well as together."""
    ours = rules(name)
    assert {rule.level for rule in ours.values()} == {1, 2}
    assert all(rule.sentence[0].isupper() and rule.sentence.endswith(".") for rule in ours.values())
    assert len({rule.sentence for rule in ours.values()}) == len(ours)
    x, _ = real(name, 10)
    both = np.concatenate([x[:, ::-1], x])  # upside down, or from the end
    together = ours.kept(both)
    assert all(kept[10:].all() for kept in together.values())
    assert not np.any(np.all(list(together.values()), axis=0)[:10])
    for i in range(20):
        alone = ours.kept(both[i : i + 1])
        assert {rule: kept[i] for rule, kept in together.items()} == {
            rule: kept[0] for rule, kept in alone.items()
        }


def test_rules_have_the_levels_of_the_factors():
    for name in ("faces", "melodies"):
        assert {rule.level for rule in rules(name).values()} == set(load(name).levels.values())


def test_rules_of_ones_own_beside_those_of_a_data_set():
    """Each reading keeps what was read: the pictures, or the tokens."""
    x, factors = real("faces", 50)
    light = rules("faces") | {"light skin": Rule(2, lambda read: read.skin > 0.6, "The skin is light.")}
    assert np.array_equal(light.kept(x)["light skin"], factors["skin"] >= 2)
    assert np.array_equal(light.kept_by_level(x)[2], factors["skin"] >= 2)

    for name, rule, expected in (
        ("faces", lambda read: read.x.mean(axis=(1, 2)) < 0.3, lambda x: x.mean(axis=(1, 2, 3)) < 0.3),
        ("landscapes", lambda read: read.x.mean(axis=(1, 2, 3)) < 0.35, lambda x: x.mean(axis=(1, 2, 3)) < 0.35),
        ("melodies", lambda read: (read.x != 1).all(axis=1), lambda x: ~(x == 1).any(axis=1)),
    ):
        x, _ = real(name, 40)
        mine = (rules(name) | {"mine": Rule(1, rule, "My own.")}).kept(x)["mine"]
        assert np.array_equal(mine, expected(x)) and mine.any() and not mine.all()


def test_landscapes_have_one_book():
    x = real("landscapes", 10)[0][:, ::-1]
    kept, same = rules("landscapes").kept(x), rules_kept(x)
    assert list(kept) == list(same) and all(np.array_equal(kept[name], same[name]) for name in kept)


@pytest.mark.parametrize(("name", "shape"), [("faces", (2, 32, 32, 1)), ("landscapes", (2, 32, 32, 3))])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pictures_with_what_is_no_number_are_refused(name, shape, value):
    x = np.full(shape, 0.5)
    x[1, 3, 4, 0] = value
    with pytest.raises(ValueError, match="x has 1 values that are NaN or infinite, expected none"):
        rules(name).kept(x)


@pytest.mark.parametrize(("name", "shape"), [("faces", (0, 32, 32, 1)), ("landscapes", (0, 32, 32, 3))])
def test_no_pictures_keep_no_rules(name, shape):
    assert all(kept.shape == (0,) for kept in rules(name).kept(np.zeros(shape)).values())


def test_pictures_need_numpy_only_and_tunes_import_what_they_need():
    """In a process of its own: `melodies` needs `hvae_keras.metrics`, which needs `hvae_keras.data`."""
    code = (
        "import sys; from hvae_keras.data import rules; rules('faces'); rules('landscapes'); "
        "assert not {'tensorflow', 'keras', 'scipy', 'sklearn'} & set(sys.modules); print(len(rules('melodies')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "5", done.stderr
