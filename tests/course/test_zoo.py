"""A class of hostile submissions, graded as a class is: every mark as deserved, none lost, nobody held up."""

import textwrap
from pathlib import Path

import pytest
from zoo import BREAKS_OUT, POINTS, RED, ZOO, Animal

from hvae_keras.course.arrivals import Arrival, Student
from hvae_keras.course.classroom import grade_class
from hvae_keras.course.marks import Mark
from hvae_keras.course.sandbox import PARTS
from hvae_keras.course.settings import Settings
from hvae_keras.course.submission import Submission
from hvae_keras.course.worker import Worker

CHECKS = """
import numpy as np
from hvae_keras.backend import ops  # so that TensorFlow is there, as in most lessons
from hvae_keras.course import Exercise, assert_close

double = Exercise("9.1", "double", stars=1, points=2, minutes=5, hints=("Twice.", "2 x", "One line."))
total = Exercise("9.2", "total", stars=1, points=3, minutes=5, hints=("Add.", "sum x", "np.sum"))
shift = Exercise("9.3", "shift", stars=1, points=2, minutes=5, hints=("Move.", "x + c", "A lambda."))


@double.check(points=1)
def test_doubles_numbers(double):
    assert_close(double([1.0, -3.0]), [2.0, -6.0])


@double.check(points=1)
def test_doubles_whatever_comes(double, rng):
    x = rng.normal(size=(5, 4)).astype(np.float32)
    assert_close(double(x), x + x)


@total.check(points=3)
def test_adds_up(total):
    assert_close(total([1.0, 2.0, 4.0]), 7.0)


@shift.check(points=2)
def test_shifts(shift):
    assert_close(shift(2.0)([1.0, 2.0]), [3.0, 4.0])
"""
SECONDS = 6.0


@pytest.fixture(scope="module")
def monkeypatch():
    """Pytest's own lives for one test only."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def cages() -> bool:
    """Whether this system offers the whole sandbox: without it, some animals would really break out."""
    with Worker(Submission(Path(), None, [])) as worker:
        worker.start()
        return set(worker.confined) == set(PARTS)


@pytest.fixture(scope="module")
def graded(tmp_path_factory, monkeypatch, cages) -> dict[str, Mark]:
    """The mark of every animal, by its name."""
    root = tmp_path_factory.mktemp("course")
    for folder in ("lessons", "solutions", "tests/lessons", "submissions", "grades"):
        (root / folder).mkdir(parents=True)
    (root / "tests/lessons/test_09_zoo.py").write_text(textwrap.dedent(CHECKS))
    (root / "solutions/09_zoo.py").write_text("def total(x):\n    return x.sum()\n")
    (root / "grades/grades.csv").write_text("real")
    arrivals = []
    for animal in ZOO if cages else [tame for tame in ZOO if tame not in BREAKS_OUT + RED]:
        path = root / "submissions" / f"{animal.name}.ipynb"
        path.write_bytes(animal.content(root))
        arrivals.append(Arrival(Student(animal.name), path.name, path))
    monkeypatch.setenv("ZOO_TOKEN", "secret")
    settings = Settings(seconds=SECONDS, memory=0.5)
    classroom = grade_class(arrivals, root / "grades", root, settings, lesson="09_zoo", jobs=2)
    assert (root / "grades/grades.csv").read_text() == "real"
    assert (root / "tests/lessons/test_09_zoo.py").exists()
    return {marks.student.key: marks.marks[0] for marks in classroom.students}


@pytest.mark.parametrize("animal", ZOO, ids=[animal.name for animal in ZOO])
def test_every_animal_has_the_mark_it_deserves(graded, animal: Animal):
    if animal.name not in graded:
        pytest.skip("this system does not offer the whole sandbox, which this one needs")
    report = graded[animal.name].report
    found = {verdict.exercise: (verdict.status, verdict.points) for verdict in report.verdicts}
    assert found == animal.expected(), "\n".join(map(str, report.verdicts))
    assert (report.points, report.of) == (sum(points for _, points in found.values()), sum(POINTS.values()))
    assert animal.says in "\n".join(map(str, report.verdicts))


def test_nobody_is_lost_and_there_are_enough_to_be_afraid_of(graded, cages):
    assert set(graded) == {animal.name for animal in ZOO if cages or animal not in BREAKS_OUT + RED}
    assert len(ZOO) >= 60


def test_nobody_holds_the_class_up_beyond_the_limit(graded):
    for name, mark in graded.items():
        for verdict in mark.report.verdicts:
            # The limit, and what it takes to start a process on a busy machine; never a second limit.
            assert verdict.seconds < 2 * SECONDS, name


def test_no_verdict_is_long(graded):
    for mark in graded.values():
        for verdict in mark.report.verdicts:
            assert len(str(verdict).splitlines()) <= 15
            assert all(len(line) <= 300 for line in str(verdict).splitlines())


def test_what_is_outside_is_untouched(graded):
    for trace in ("hvae-zoo-was-here", "hvae-zoo-shell"):
        assert not Path("/tmp", trace).exists()
