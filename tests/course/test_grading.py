"""Grading: every student gets the mark that their code deserves, whatever their notebook does."""

import io
import subprocess
import sys

import nbformat
import psutil
import pytest

from hvae_keras.course.build import build
from hvae_keras.course.grading import grade
from hvae_keras.course.judge import judge
from hvae_keras.course.settings import Settings
from hvae_keras.course.submission import find_notebooks
from hvae_keras.course.worker import Started

RIGHT = {"double": "def double(x):\n    return 2 * x", "total": "def total(x):\n    return x.sum()"}


def notebook(*sources: str, lesson: str | None = "01_tiny") -> str:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    metadata = {"hvae": {"lesson": lesson}} if lesson else {}
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata))


def statuses(tiny, *sources: str, limit: float = 20.0) -> list[str]:
    path = tiny / "student.ipynb"
    path.write_text(notebook(*sources))
    return [verdict.status for verdict in grade(path, tiny, settings=Settings(seconds=limit)).verdicts]


def test_the_solutions_score_full_and_the_stubs_nothing(tiny):
    build(tiny, "01_tiny")
    solved = grade(tiny / "solutions/01_tiny.ipynb", tiny)
    assert (solved.points, solved.of, solved.problem) == (5, 5, "")
    stubs = grade(tiny / "lessons/01_tiny.ipynb", tiny)
    assert (stubs.points, stubs.of) == (0, 5)
    assert [verdict.status for verdict in stubs.verdicts] == ["not attempted", "not attempted"]


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        ("def total(x):\n    return x.su(", "error"),
        ("def total(x):\n    return x.nothing", "error"),
        ("def total(x):\n    import os\n    os._exit(0)", "error"),
        ("import sys\nsys.exit()\ndef total(x):\n    sys.exit()", "error"),
        ("def total(x):\n    while True: pass", "timed out"),
        ("def total(x):\n    import time\n    time.sleep(60)", "timed out"),
        ("def total(x):\n    return x.mean()", "wrong"),
        ("def total(x):\n    raise NotImplementedError()", "not attempted"),
        ("def sum_up(x):\n    return x.sum()", "missing"),
        ("def total():\n    return 7", "error"),
        ("class Same:\n    def __eq__(self, other): return True\ndef total(x):\n    return Same()", "wrong"),
        ("def total(x):\n    return total(x)", "error"),
        ("def total(x):\n    print('x' * 10**7)\n    return x.mean()", "wrong"),
        ("def total(x):\n    import os\n    os.write(3, b'junk' * 99)\n    os.write(4, b'junk' * 99)", "error"),
        ("def total(x):\n    return float('nan')", "wrong"),
        ("def total(x):\n    return 'seven'", "wrong"),
    ],
)
def test_one_exercise_gone_wrong_costs_the_other_nothing(tiny, bad, status):
    assert statuses(tiny, bad, RIGHT["double"], limit=3.0) == ["passed", status]


def test_children_left_behind_are_ended_too():
    """Where the sandbox cannot refuse them, the whole group is killed."""
    parent = "import os\nchild = os.fork()\nif child: print(child, flush=True)\nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, start_new_session=True)
    child = psutil.Process(int(process.stdout.readline()))
    process.stdin = io.BytesIO()
    try:
        Started(process).end()
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    finally:
        if child.is_running():
            child.kill()


def test_defined_twice_is_graded_on_the_last_and_reported(tiny):
    path = tiny / "student.ipynb"
    path.write_text(notebook("def double(x):\n    return x", RIGHT["double"], RIGHT["total"]))
    verdict = grade(path, tiny).verdicts[0]
    assert verdict.passed
    assert verdict.notes == ("defined 2 times (cells 1 and 2): the last one counts",)
    assert "the last one counts" in str(verdict)


def test_the_likely_cause_reaches_the_instructor(tiny):
    path = tiny / "student.ipynb"
    path.write_text(notebook("import numpy as np\ndef double(x):\n    return x * x", RIGHT["total"]))
    check = grade(path, tiny).verdicts[0].checks[0]
    assert (check.misconception, check.cause) == ("square", "You squared it.")


def test_a_fault_of_the_graders_costs_one_exercise_and_says_whose_it_is(tiny, monkeypatch):
    def faulty(exercise, *rest):
        if exercise.id == "1.1":
            raise RuntimeError("oh")
        return judge(exercise, *rest)

    monkeypatch.setattr("hvae_keras.course.grading.judge", faulty)
    path = tiny / "student.ipynb"
    path.write_text(notebook(*RIGHT.values()))
    first, second = grade(path, tiny).verdicts
    assert (first.status, second.status) == ("error", "passed")
    assert "not the student's fault" in str(first)


def test_no_room_on_the_disk_is_not_the_students_fault(tiny):
    def no_room(folder, memory_bytes, modules):
        raise OSError(28, "No space left on device")

    path = tiny / "student.ipynb"
    path.write_text(notebook(*RIGHT.values()))
    report = grade(path, tiny, start=no_room)
    assert report.grader_failed
    assert [verdict.status for verdict in report.verdicts] == ["error", "error"]
    assert "not the student's fault" in str(report.verdicts[0])
    assert not grade(path, tiny).grader_failed


def test_a_process_that_does_not_start_is_not_the_students_fault(tiny):
    def stillborn(folder, memory_bytes, modules):
        command = [sys.executable, "-c", "raise SystemExit"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return Started(subprocess.Popen(command, start_new_session=True, **pipes))

    path = tiny / "student.ipynb"
    path.write_text(notebook(*RIGHT.values()))
    assert grade(path, tiny, start=stillborn).grader_failed


@pytest.mark.parametrize("content", ["", "not json", "{}"])
def test_a_file_that_is_no_notebook_has_every_exercise_missing(tiny, content):
    path = tiny / "01_student.ipynb"
    path.write_text(content)
    report = grade(path, tiny)
    assert report.problem.startswith("not a notebook")
    assert [verdict.status for verdict in report.verdicts] == ["missing", "missing"]
    assert report.of == 5


def test_a_notebook_that_names_no_lesson(tiny):
    path = tiny / "homework.ipynb"
    path.write_text(notebook(*RIGHT.values(), lesson=None))
    assert "name it with --lesson" in grade(path, tiny).problem
    assert grade(path, tiny, lesson="1").points == 5


def test_a_folder_is_searched_without_checkpoints(tiny):
    for name in ("a/x.ipynb", "b.ipynb", ".ipynb_checkpoints/c.ipynb"):
        (tiny / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tiny / "in" / name).write_text("{}")
    assert [path.name for path in find_notebooks(tiny / "in")] == ["x.ipynb", "b.ipynb"]
    with pytest.raises(FileNotFoundError, match="holds no notebooks"):
        find_notebooks(tiny / "lessons")


@pytest.mark.parametrize(("body", "passed", "failed"), [("2 * x", 3, 0), ("x", 1, 2)])
def test_pytest_gives_the_same_verdict_on_a_submission(tiny, body, passed, failed):
    path = tiny / "student.ipynb"
    path.write_text(notebook(f"def double(x):\n    return {body}", RIGHT["total"]))
    command = [sys.executable, "-m", "pytest", "-p", "hvae_keras.course.pytest_plugin", "-p", "no:cacheprovider"]
    run = subprocess.run([*command, "-q", "--submission", path, "tests"], capture_output=True, text=True)
    assert f"{passed} passed" in run.stdout
    assert (f"{failed} failed" in run.stdout) == bool(failed)
    if failed:
        assert "Likely cause: It came back as it was." in run.stdout
        assert "Traceback" not in run.stdout


def test_pytest_without_a_submission_grades_the_solutions(tiny):
    command = [sys.executable, "-m", "pytest", "-p", "hvae_keras.course.pytest_plugin", "-p", "no:cacheprovider"]
    run = subprocess.run([*command, "-q", "tests"], capture_output=True, text=True)
    assert "3 passed" in run.stdout
