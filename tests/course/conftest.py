"""A whole course of one small lesson, made in a temporary folder, for the tests of the course tools."""

import textwrap
from pathlib import Path

import pytest

CHECKS = """
import numpy as np
from hvae_keras.course import Exercise, assert_close

double = Exercise("1.1", "double", stars=1, points=2, minutes=5, hints=("Twice.", "2 x", "One line."))


@double.check(points=1)
def test_doubles_numbers(double):
    assert_close(double([1.0, -3.0]), [2.0, -6.0])


@double.check(points=1)
def test_doubles_whatever_comes(double, rng):
    x = rng.normal(size=(5, 4)).astype(np.float32)
    assert_close(double(x), x + x)


@double.misconception("You squared it.")
def square(x):
    return np.square(x)


@double.misconception("It came back as it was.")
def unchanged(x):
    return np.asarray(x)


@double.misconception("You halved it.")
def half(x):
    return np.asarray(x) / 2


total = Exercise("1.2", "total", stars=3, points=3, minutes=10, hints=("Add.", "sum x", "np.sum"))


@total.check(points=3)
def test_adds_up(total):
    assert_close(total([1.0, 2.0, 4.0]), 7.0)


@total.misconception("That is the mean.")
def mean(x):
    return np.mean(x)


@total.misconception("That is the largest.")
def largest(x):
    return np.max(x)


@total.misconception("That is how many there are.")
def count(x):
    return np.size(x)
"""

SOURCE = '''
# ---
# jupyter:
#   hvae:
#     title: Tiny
#     minutes: 20
# ---

# %% [markdown]
# # Tiny
# {exercise summary}

# %%
# %matplotlib inline
import numpy as np

from hvae_keras.course import check, hint, reveal

FACTOR = 2.0

# %% [markdown]
# ### Exercise 1.1 · Double

# %% exercise="1.1"
def double(x):
    """Twice x. Shape: any."""
    ### BEGIN SOLUTION
    return FACTOR * np.asarray(x)
    ### END SOLUTION

# %% check="1.1"
check("1.1", double)

# %% exercise="1.2"
def total(x):
    """The sum of x."""
    ### BEGIN SOLUTION
    return np.sum(x)
    ### END SOLUTION

# %% check="1.2"
check("1.2", total)
'''


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a course with one lesson, which is the current folder during the test."""
    for folder in ("lessons", "solutions", "tests/lessons"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tests/lessons/test_01_tiny.py").write_text(textwrap.dedent(CHECKS))
    (tmp_path / "solutions/01_tiny.py").write_text(textwrap.dedent(SOURCE).lstrip())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HVAE_PROGRESS", raising=False)
    return tmp_path
