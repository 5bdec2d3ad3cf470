"""Wrong answers made by rule, and the audit of the checks with them."""

import re
import tomllib
from types import SimpleNamespace

import pytest

from hvae_keras.course import audit as auditing
from hvae_keras.course.audit import AuditError, audit, mutants, reasons_of, rows, write_tables
from hvae_keras.course.mutants import mutants_of
from hvae_keras.course.places import course_root, lessons

ROOT = course_root()
TABLE = ROOT / "benchmarks" / "mutation_audit.md"
EQUIVALENT = ROOT / "tests" / "course" / "equivalent_mutants.toml"


def made_from(body: str, arguments: str = "x") -> list:
    exercise = SimpleNamespace(id="9.1", name="f")
    return mutants_of(exercise, f"def f({arguments}):\n    " + body.replace("\n", "\n    "))


def results(expression: str, arguments: str = "x") -> list[str]:
    return sorted(mutant.after.removeprefix("return ") for mutant in made_from(f"return {expression}", arguments))


# What the rules make of an expression in x, all of it, written out by hand.
BY_HAND = {
    "x + 1": ["x - 1", "x", "1", "x + 2", "x + 0", "x + -1"],
    "x - 2.5": ["x + 2.5", "x", "-2.5", "2.5 - x", "x - 1.0", "x - 0.0", "x - -2.5", "x - 5.0"],
    "x * x": ["x / x", "x + x", "x"],
    "x / x": ["x * x", "x", "1 / x"],
    "x @ x": ["x * x", "x"],
    "x ** 2": ["x * 2", "x", "x ** 3", "x ** 1", "x ** 0", "x ** (-2)"],
    "-x": ["x"],
    "not x": ["x"],
    "~x": ["x"],
    "x and x": ["x or x", "x"],
    "x < 0": ["x <= 0", "x >= 0", "x > 0", "x < 1", "x < -1"],
    "x == 0": ["x != 0", "x <= 0", "x >= 0", "x == 1", "x == -1"],
    "x is None": ["x is not None"],
    "x == 'a' or x == 'b'": [
        "x == 'a' and x == 'b'",
        "x == 'a'",
        "x == 'b'",
        "x != 'a' or x == 'b'",
        "x == 'a' or x != 'b'",
        "x == 'b' or x == 'b'",
        "x == 'a' or x == 'a'",
    ],
    "np.sum(x, axis=(1, 2))": [
        "np.sum(x)",
        "np.sum(x, axis=(2,))",
        "np.sum(x, axis=(1,))",
        "np.sum(x, axis=(0, 1, 2))",
        "np.mean(x, axis=(1, 2))",
        "x",
        "np.sum(x, axis=(2, 1))",
        "np.sum(x, axis=(2, 2))",
        "np.sum(x, axis=(0, 2))",
        "np.sum(x, axis=(-1, 2))",
        "np.sum(x, axis=(1, 3))",
        "np.sum(x, axis=(1, 1))",
        "np.sum(x, axis=(1, 0))",
        "np.sum(x, axis=(1, -2))",
    ],
    "x.max(axis=-1, keepdims=True)": [
        "x.max(keepdims=True)",
        "x.max(axis=0, keepdims=True)",
        "x.max(axis=1, keepdims=True)",
        "x.max(axis=-2, keepdims=True)",
        "x.max(axis=-1)",
        "x.max(axis=-1, keepdims=False)",
        "x.min(axis=-1, keepdims=True)",
    ],
    "np.exp(x)": ["x"],
    "np.log(x)": ["np.log1p(x)", "x"],
    "ops.softplus(x)": ["ops.exp(x)", "ops.relu(x)", "x"],
    "np.tanh(x)": ["0.5 * (1 + np.tanh(0.5 * x))", "x"],
    "x.std()": ["x.var()", "x"],
    "g(x, 1)": ["g(1, x)", "g(x, 2)", "g(x, 0)", "g(x, -1)"],
    "np.maximum(x, 0)": ["np.minimum(x, 0)", "x", "0", "np.maximum(x, 1)", "np.maximum(x, -1)"],
    "np.where(x, 1, x)": [
        "np.where(1, x, x)",
        "np.where(x, x, 1)",
        "1",
        "x",
        "np.where(x, 2, x)",
        "np.where(x, 0, x)",
        "np.where(x, -1, x)",
    ],
    "x if x else 1": ["x", "1", "x if x else 2", "x if x else 0", "x if x else -1"],
    "x[1:]": ["x[:]", "x[1 + 1:]", "x[2:]", "x[0:]", "x[-1:]"],
    "x[:-1]": ["x[:]", "x[:-1 + 1]", "x[:-1 - 1]", "x[:0]", "x[:-2]", "x[:1]"],
    "x[::-1]": ["x[:]", "x[::0]", "x[::-2]", "x[::1]"],
    "x[:, None]": ["x[:,]", "x[None, :]"],
    "x.T": ["x"],
    "range(x)": ["range(x + 1)", "range(x - 1)"],
    "Dense(x, activation='relu')": [f"Dense(x, activation='{name}')" for name in ("sigmoid", "tanh", "linear")],
}


@pytest.mark.parametrize("expression", BY_HAND)
def test_the_rules_make_what_is_expected_by_hand_and_no_more(expression):
    assert results(expression) == sorted(BY_HAND[expression])


def test_another_argument_of_the_same_function():
    assert results("abs(a)", "a, b") == ["a", "abs(b)"]
    inner = made_from("def g(u, v):\n    return -u\nreturn g(a, 1)", "a")
    assert [mutant.after for mutant in inner if "to" in mutant.change and mutant.line == 3] == ["return -v"]


def test_another_local_variable_is_returned():
    made = {mutant.after for mutant in made_from("y = g(x)\nz = g(y)\nreturn (x, z)")}
    assert made == {f"return ({items})" for items in ("y, z", "z, z", "x, y", "z, x")}
    assert "return y" in {mutant.after for mutant in made_from("y = g(x)\nreturn y.T")}


def test_a_statement_is_left_out_only_where_its_names_have_values():
    made = made_from("y = g(x)\ny = g(y)\nfor i in x:\n    y.append(i)\nif x:\n    return y\nreturn x")
    dropped = [mutant for mutant in made if mutant.change.startswith("statement dropped")]
    assert [(mutant.line, mutant.before) for mutant in dropped] == [
        (3, "y = g(y)"),
        (5, "y.append(i)"),
        (6, "if x:; return y"),
        (7, "return y"),
    ]


def test_signature_and_docstring_stay():
    made = made_from('"""Twice x, 1 for 0."""\nreturn x * n', "x, n=2")
    assert {mutant.source.splitlines()[0] for mutant in made} == {"def f(x, n=2):"}
    assert {mutant.source.splitlines()[1] for mutant in made} == {'    """Twice x, 1 for 0."""'}


def test_ids_name_line_and_change_and_number_those_that_are_alike():
    made = made_from("y = x + x + x\nreturn y")
    assert [mutant.id for mutant in made if "+ to -" in mutant.id] == [
        "9.1 line 2: + to -",
        "9.1 line 2: + to - (2)",
    ]
    assert made[0].difference == "y = x + x + x  →  y = x + x - x"


def test_a_long_line_is_shown_around_its_change():
    long = "+".join(["a"] * 60)
    shown = next(m.difference for m in made_from(f"return {long} + 7 + {long}", "a") if "7 to 8" in m.change)
    assert "7 + a" in shown and "8 + a" in shown
    assert len(shown) < 150


def test_a_solution_without_the_function_is_an_error():
    with pytest.raises(ValueError, match="9.1 does not define f"):
        mutants_of(SimpleNamespace(id="9.1", name="f"), "def g(x):\n    return x")


# The audit of the small course


def weaken(tiny):
    """Checks that cannot tell twice from a square or a sum: 2 alone is asked for."""
    path = tiny / "tests/lessons/test_01_tiny.py"
    text = path.read_text()
    text = text.replace("double([1.0, -3.0]), [2.0, -6.0]", "double([2.0]), [4.0]")
    path.write_text(text.replace("x = rng.normal(size=(5, 4)).astype(np.float32)", "x = np.full((5, 4), 2.0)"))


def list_equivalent(tiny, mutant: str, change: str):
    path = tiny / "tests/course/equivalent_mutants.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'[["1.1"]]\nmutant = "{mutant}"\nchange = "{change}"\nreason = "2 + 2 is 2 · 2."\n')


def test_good_checks_refuse_every_mutant(tiny):
    findings = audit(tiny, "01_tiny")
    assert rows(findings) == [("1.1", 4, 0, 4, 1.0), ("1.2", 2, 0, 2, 1.0), ("all", 6, 0, 6, 1.0)]
    assert {finding.refused_by for finding in findings} == {"doubles numbers", "adds up"}


def test_a_weak_check_is_found_out(tiny):
    weaken(tiny)
    told = []
    findings = audit(tiny, "01_tiny", moved=lambda done, total: told.append((done, total)))
    assert [finding.mutant.id for finding in findings if finding.survived] == ["1.1 line 3: * to +"]
    assert rows(findings)[0] == ("1.1", 4, 0, 3, 0.75)
    assert told == [(done, 6) for done in range(1, 7)]


def test_a_mutant_listed_as_equivalent_does_not_count(tiny):
    weaken(tiny)
    list_equivalent(tiny, "line 3: * to +", "return FACTOR * np.asarray(x)  →  return FACTOR + np.asarray(x)")
    assert rows(audit(tiny, "01_tiny"))[0] == ("1.1", 4, 1, 3, 1.0)


@pytest.mark.parametrize(
    ("mutant", "change", "problem"),
    [
        ("line 9: * to +", "a  →  b", "got no such mutant"),
        ("line 3: * to +", "a  →  b", "should be a  →  b, got return FACTOR"),
        (
            "line 3: * to +",
            "return FACTOR * np.asarray(x)  →  return FACTOR + np.asarray(x)",
            "listed as equivalent, and refused: doubles numbers",
        ),
    ],
)
def test_a_list_that_does_not_fit_is_an_error(tiny, mutant, change, problem):
    list_equivalent(tiny, mutant, change)
    with pytest.raises(AuditError, match=re.escape(problem)):
        audit(tiny, "01_tiny")


def test_a_mutant_that_does_not_end_is_stopped(tiny, monkeypatch):
    path = tiny / "solutions/01_tiny.py"
    loop = "n = 0\n    while n < 1:\n        n = n + 1\n    return n * np.sum(x)"
    path.write_text(path.read_text().replace("return np.sum(x)", loop))
    monkeypatch.setattr(auditing, "LIMIT_SECONDS", 0.3)
    findings = {finding.mutant.id: finding for finding in audit(tiny, "01_tiny")}
    assert findings["1.2 line 5: + to -"].status == "timed out"


def test_the_tables_are_put_in_their_place(tiny):
    weaken(tiny)
    path = tiny / "audit.md"
    path.write_text(f"# Before\n\n{auditing.BEGIN}\nold\n{auditing.END}\n\nAfter.\n")
    write_tables(path, audit(tiny, "01_tiny"))
    text = path.read_text()
    assert text.startswith("# Before\n") and text.endswith("\nAfter.\n") and "old" not in text
    assert "| 1.1 | 4 | 0 | 3 | 75.0% |\n" in text
    assert "- 1.1 line 3: * to +: `return FACTOR * np.asarray(x)  →  return FACTOR + np.asarray(x)`\n" in text


# The audit of the course


def committed() -> dict[str, tuple[int, int, int]]:
    """Mutants, equivalent and refused ones of each exercise, as the committed table has them."""
    found = re.findall(r"^\| (\d+\.\d+|all) \| (\d+) \| (\d+) \| (\d+) \|", TABLE.read_text(), re.MULTILINE)
    return {key: tuple(map(int, numbers)) for key, *numbers in found}


@pytest.fixture(scope="module")
def made() -> list:
    return [mutant for slug in lessons(ROOT) for mutant in mutants(ROOT, slug)]


def test_the_table_counts_the_mutants_that_the_rules_make_now(made):
    counts = {key: numbers[0] for key, numbers in committed().items()}
    ids = [mutant.exercise for mutant in made]
    assert counts == {key: ids.count(key) for key in dict.fromkeys(ids)} | {"all": len(ids)}


def test_every_entry_of_the_list_names_a_mutant(made):
    entries = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))
    names = [f"{exercise} {entry['mutant']}" for exercise in entries for entry in entries[exercise]]
    assert sorted(reasons_of(ROOT, made)) == sorted(names)
    assert all(entry["reason"].endswith(".") for exercise in entries for entry in entries[exercise])
    counts = {key: numbers[1] for key, numbers in committed().items() if numbers[1] and key != "all"}
    assert counts == {exercise: len(entries[exercise]) for exercise in entries}


def test_mutants_have_names_of_their_own(made):
    assert len({mutant.id for mutant in made}) == len({(m.exercise, m.source) for m in made}) == len(made)


def test_at_least_95_in_100_are_refused_and_85_in_every_exercise():
    for key, (count, equivalent, refused) in committed().items():
        assert refused / (count - equivalent) >= (0.95 if key == "all" else 0.85), key


def test_the_table_holds_for_a_lesson_audited_now():
    found = {key: numbers for key, *numbers, _ in rows(audit(ROOT, "03_beta_vae")) if key != "all"}
    assert found == {key: list(numbers) for key, numbers in committed().items() if key.startswith("3.")}
