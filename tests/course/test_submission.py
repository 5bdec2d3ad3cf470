"""What is cut out of a notebook for an exercise: all that it needs, and nothing that it does not."""

from pathlib import Path

import nbformat
import pytest

from hvae_keras.course.answering import run_slice
from hvae_keras.course.failures import Missing, StudentError
from hvae_keras.course.statements import parse_cell
from hvae_keras.course.submission import Submission, Unreadable, read_submission


def submission(*sources: str) -> Submission:
    return Submission(Path("x.ipynb"), None, [parse_cell(i, source) for i, source in enumerate(sources, 1)])


def run(name: str, *sources: str) -> object:
    return run_slice(name, submission(*sources).slice(name))


def test_imports_helpers_and_constants_come_along():
    f = run(
        "f", "import math\nSCALE = 2", "def g(x):\n    return SCALE * math.sqrt(x)", "def f(x):\n    return g(x)"
    )
    assert f(9.0) == 6.0


def test_other_cells_are_not_run():
    f = run(
        "f", "raise SystemExit", "data = open('/nowhere')\nx = undefined", "def f(x):\n    y = x + 1\n    return y"
    )
    assert f(1) == 2


def test_a_local_variable_does_not_pull_in_a_global_of_the_same_name():
    cells = submission("model = 1 / 0", "def f(x):\n    model = x\n    return [x for x in [model]]").slice("f")
    assert [number for number, _, _ in cells] == [2]


def test_the_last_definition_wins_for_functions_and_what_they_use():
    f = run("f", "K = 1", "def f():\n    return K", "def f():\n    return K * 10", "K = 5")
    assert f() == 50


def test_a_value_built_from_itself_gets_its_history():
    assert run("f", "N = 1\nN += 1\nN = N * 10", "def f():\n    return N")() == 20


def test_defaults_decorators_and_bases_are_needed_too():
    source = "from functools import lru_cache\nD = 4\nclass B:\n    v = 1"
    assert run("f", source, "@lru_cache\ndef f(x=D):\n    return x")() == 4
    assert run("C", source, "class C(B):\n    pass")().v == 1


def test_functions_that_call_each_other_end():
    f = run("f", "def f(n):\n    return n and g(n - 1)", "def g(n):\n    return n and f(n - 1)")
    assert f(3) == 0


def test_star_imports_count():
    assert run("f", "from math import *", "def f(x):\n    return sqrt(x)")(4.0) == 2.0


def test_magics_are_understood():
    assert run("f", "%matplotlib inline\n!ls\nimport math", "def f():\n    return math.pi")() > 3


def test_a_name_bound_by_something_else_is_no_definition():
    with pytest.raises(Missing):
        submission("f = 3", "g = lambda: 1").slice("f")


def test_a_syntax_error_costs_only_its_own_cell():
    cells = submission("def f(x):\n    return (x", "def g(x):\n    return x")
    assert cells.slice("g")
    with pytest.raises(StudentError) as caught:
        cells.slice("f")
    assert "cell 1 is not valid Python" in str(caught.value)
    assert "line 2: return (x" in str(caught.value)


def test_duplicates_are_counted():
    assert submission("def f(): 1", "x = 1", "def f(): 2").definitions("f") == [1, 3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"print('hello')", "it is not JSON"),
        (b"\xff\xfe\x00", "it is not text"),
        (b"[1, 2]", "not a notebook"),
        (b'{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "not a notebook"),
        (b"[" * 100_000, "not a notebook"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_line(tmp_path, content, reason):
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=reason) as caught:
        read_submission(path)
    assert len(str(caught.value).splitlines()) == 1


def test_old_notebooks_are_read(tmp_path):
    old = nbformat.v3.new_notebook(
        worksheets=[nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell("def f(): return 1")])]
    )
    path = tmp_path / "x.ipynb"
    path.write_text(nbformat.v3.writes_json(old))
    assert read_submission(path).definitions("f") == [1]
