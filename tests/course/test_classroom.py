"""A class graded: nobody twice, nobody lost, and the same marks however it went."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from zoo import code, notebook

from hvae_keras.course.arrivals import Arrival, Student, collect
from hvae_keras.course.classroom import grade_class
from hvae_keras.course.pool import GraderFailed, Pool
from hvae_keras.course.settings import Late, Settings

DOUBLE = "def double(x):\n    return 2 * x"
TOTAL = "def total(x):\n    return x.sum()"
HVAE = [sys.executable, "-c", "from hvae_keras.cli import main; main()"]
DUE = datetime(2026, 10, 1, 12, tzinfo=UTC)


@pytest.fixture
def hand_in(tiny):
    """From a student's name and cells to an arrival."""

    def make(name: str, *cells: str, file: str = "01_tiny.ipynb", **about) -> Arrival:
        path = tiny / "in" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(notebook(*map(code, cells), metadata={"hvae": {"lesson": "01_tiny"}}))
        return Arrival(Student(name), f"{name}/{file}", path, **about)

    return make


@pytest.fixture
def grade(tiny):
    """Grade arrivals into one folder of the course."""

    def run(*arrivals: Arrival, settings: Settings | None = None, **more):
        return grade_class(arrivals, tiny / "grades", tiny, settings or Settings(), jobs=2, **more)

    return run


def mark_of(classroom, name: str):
    return next(one for one in classroom.students if one.student.key == name).marks[0]


def test_a_second_grading_grades_only_what_is_new(hand_in, grade):
    first = grade(hand_in("ada", DOUBLE), hand_in("bob", DOUBLE, TOTAL))
    assert (first.known, first.graded) == (0, 2)
    second = grade(hand_in("ada", "# done", DOUBLE, TOTAL), hand_in("bob", DOUBLE, TOTAL))
    assert (second.known, second.graded) == (1, 1)
    assert [one.points for one in first.students] == [2, 5]
    assert [one.points for one in second.students] == [5, 5]
    assert [mark_of(second, name).tries for name in ("ada", "bob")] == [2, 1]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "tests/lessons/test_01_tiny.py").open("a").write("\n"),
        lambda root: [record.write_text("{") for record in (root / "grades/ledger").glob("*.json")],
    ],
    ids=["other checks", "a damaged ledger"],
)
def test_what_is_no_longer_true_is_graded_again(hand_in, grade, tiny, change):
    grade(hand_in("ada", DOUBLE, TOTAL))
    change(tiny)
    again = grade(hand_in("ada", DOUBLE, TOTAL))
    assert (again.graded, again.students[0].points) == (1, 5)


def test_the_seed_changes_what_the_checks_draw_and_is_part_of_what_is_known(hand_in, grade):
    # Right for the numbers drawn under seed 0 and for no others.
    peek = "def double(x):\n    return 2 * x if x.ndim < 2 or abs(x[0, 0] - FIRST) < 1e-6 else x"
    show = "def double(x):\n    raise ValueError(repr(float(x[0, 0])) if x.ndim == 2 else '')"
    told = mark_of(grade(hand_in("spy", show, TOTAL)), "spy").report.verdicts[0].checks[1].lines[0]
    arrival = hand_in("ada", f"FIRST = {told.removeprefix('ValueError: ')}", peek, TOTAL)
    assert mark_of(grade(arrival), "ada").points == 5
    assert mark_of(grade(arrival, settings=Settings(seed=1)), "ada").points == 4


def test_whoever_is_on_the_roster_and_handed_in_nothing_has_everything_missing(hand_in, grade):
    roster = [Student("ada", "Ada L."), Student("zoe", "Zoe Z.")]
    classroom = grade(hand_in("ada", DOUBLE, TOTAL), roster=roster)
    found = [(one.student.name, one.points, one.of) for one in classroom.students]
    assert found == [
        ("Ada L.", 5, 5),
        ("Zoe Z.", 0, 5),
    ]
    assert [verdict.status for verdict in mark_of(classroom, "zoe").report.verdicts] == ["missing", "missing"]


def test_of_two_hand_ins_the_last_counts_unless_it_is_no_notebook(hand_in, grade, tiny):
    early = hand_in("ada", DOUBLE, TOTAL, file="a.ipynb", submitted=DUE)
    late = hand_in("ada", DOUBLE, file="b.ipynb", submitted=DUE + timedelta(days=1))
    mark = mark_of(grade(early, late), "ada")
    assert (mark.file, mark.points) == ("ada/b.ipynb", 2)
    assert "handed in 2 times" in mark.notes[0]
    late.path.write_text("broken")
    assert mark_of(grade(early, late), "ada").points == 5


def test_lateness_takes_its_share_and_an_extension_gives_it_back(hand_in, grade):
    late = Late(due=DUE, penalty=0.1, most=0.25, extensions={"eve": DUE + timedelta(days=9)})
    classroom = grade(
        *(hand_in(name, DOUBLE, TOTAL, submitted=DUE + wait) for name, wait in (
            ("in_time", timedelta(0)), ("ada", timedelta(seconds=1)), ("bob", timedelta(days=1, hours=1)),
            ("cyd", timedelta(days=30)), ("eve", timedelta(days=3)),
        )),
        hand_in("moodle", DOUBLE, TOTAL, late=True),
        settings=Settings(late=late),
    )  # fmt: skip
    assert {one.student.key: round(one.points, 6) for one in classroom.students} == {
        "in_time": 5,
        "ada": 4.5,
        "bob": 4,
        "cyd": 3.75,
        "eve": 5,
        "moodle": 4.5,
    }


def test_points_and_exercises_left_out(hand_in, grade):
    settings = Settings(points={"1.1": 10}, leave_out=frozenset({"1.2"}))
    mark = mark_of(grade(hand_in("ada", DOUBLE), settings=settings), "ada")
    assert (mark.points, mark.of) == (10, 10)
    assert [check.points for check in mark.report.verdicts[0].checks] == [5, 5]


def test_the_same_file_from_two_is_told_but_not_the_same_stub(hand_in, grade):
    stub = "def double(x):\n    raise NotImplementedError()"
    classroom = grade(
        *(hand_in(name, DOUBLE, TOTAL) for name in ("ada", "bob")),
        *(hand_in(name, stub) for name in ("cyd", "dan")),
        hand_in("eve", DOUBLE, TOTAL, "# my own"),
    )
    assert {one.student.key: one.marks[0].same_as for one in classroom.students} == {
        "ada": ("bob",),
        "bob": ("ada",),
        "cyd": (),
        "dan": (),
        "eve": (),
    }


def test_what_arrived_without_a_notebook_is_in_the_marks(grade, tiny, hand_in):
    pdf = Arrival(Student("ada"), "ada/essay.pdf", tiny / "essay.pdf", problem="handed in essay.pdf, no notebook")
    mark = mark_of(grade(pdf, lesson="01_tiny"), "ada")
    assert (mark.points, mark.of, mark.report.problem) == (0, 5, "handed in essay.pdf, no notebook")


def test_what_names_no_lesson_is_of_the_only_one_there_is(hand_in, grade, tiny):
    pdf = Arrival(Student("bob"), "bob/essay.pdf", tiny / "essay.pdf", problem="handed in essay.pdf, no notebook")
    classroom = grade(hand_in("ada", DOUBLE, TOTAL), pdf)
    assert [(len(one.marks), one.points, one.of) for one in classroom.students] == [(1, 5, 5), (1, 0, 5)]


def test_the_instructor_is_told_what_may_not_be_as_meant(hand_in, grade, tiny):
    (tiny / "tests/lessons/test_02_other.py").write_text((tiny / "tests/lessons/test_01_tiny.py").read_text())
    classroom = grade(
        hand_in("ada", DOUBLE),
        hand_in("stranger", DOUBLE, TOTAL),
        lesson="02_other",
        roster=[Student("ada"), Student("bob")],
        settings=Settings(late=Late(due=DUE, extensions={"adda": DUE})),
    )
    assert classroom.remarks == (
        "Not on the roster, and marked all the same: stranger.",
        "Of 01_tiny, but graded as 02_other: ada, stranger.",
        "Of 2 of 2 files it is not known when they came: they are not counted as late.",
        "late.extensions: no student 'adda'; did you mean ada?",
    )
    assert grade(hand_in("ada", DOUBLE), lesson="01_tiny").remarks == ()


def test_of_very_many_files_of_one_student_only_the_last_are_graded(hand_in, grade):
    many = [
        hand_in("ada", f"# {n}", DOUBLE, file=f"{n:02d}.ipynb", submitted=DUE + timedelta(n)) for n in range(50)
    ]
    classroom = grade(*many, hand_in("bob", DOUBLE, TOTAL))
    assert classroom.graded == 41
    assert mark_of(classroom, "ada").file == "ada/49.ipynb"
    assert "handed in 50 files, of which the last 40 are graded" in mark_of(classroom, "ada").notes


def test_a_judge_that_dies_is_replaced_and_the_student_loses_nothing(hand_in, tiny):
    from hvae_keras.course.judging import Task

    slow = "import time\ndef total(x):\n    time.sleep(0.5)\n    return x.sum()"
    tasks = [Task(hand_in(name, DOUBLE, slow).path, tiny, None, Settings()) for name in ("ada", "bob", "cyd")]
    killed = []

    def judged(task, verdict):
        if not killed:  # the first verdict is in, the second is being made
            killed.append(judge_processes()[0])
            os.kill(killed[0], signal.SIGKILL)

    with Pool(tiny, 1) as pool:
        reports = dict(pool.grade(tasks, judged))
    assert [reports[index].points for index in range(3)] == [5, 5, 5]
    assert killed


def judge_processes() -> list[int]:
    """The children of our nursery that have the grader's folder as theirs: workers have one of their own."""
    nursery = next(
        child for child in psutil.Process().children() if "hvae_keras.course.nursery" in child.cmdline()
    )
    return [child.pid for child in nursery.children() if child.cwd() == nursery.cwd()]


def test_a_judge_that_always_dies_is_the_graders_fault_and_is_not_remembered(hand_in, grade, tiny):
    """Checks that end the process stand for whatever else may end a judge."""
    (tiny / "tests/lessons/test_01_tiny.py").write_text("import os\nos._exit(1)\n")
    with pytest.raises(GraderFailed, match="hvae doctor"):
        grade(hand_in("ada", DOUBLE))
    assert not list((tiny / "grades").rglob("*.json"))


def class_of_fifty(folder) -> None:
    random.seed(3)
    bodies = ["2 * x", "x", "x * x", "x / 0", "x.nothing", "[1]"]
    for number in range(50):
        cells = [f"# {number}", f"def double(x):\n    return {random.choice(bodies)}", TOTAL]
        data = notebook(*map(code, cells), metadata={"hvae": {"lesson": "01_tiny"}})
        (folder / f"student{number:02d}.ipynb").write_bytes(data)


def test_killed_at_ten_random_moments_the_marks_are_those_of_an_undisturbed_run(tiny):
    (tiny / "in").mkdir()
    class_of_fifty(tiny / "in")
    command = [*HVAE, "grade", "in", "--jobs", "2", "--out"]
    began = time.monotonic()
    subprocess.run([*command, "whole"], check=True, capture_output=True)
    took = time.monotonic() - began
    moments = random.Random(7)
    for _ in range(10):
        run = subprocess.Popen([*command, "disturbed"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0, took))
        family = psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
        run.kill()
        run.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive, "a grader that is killed must leave nothing running"
    subprocess.run([*command, "disturbed"], check=True, capture_output=True)
    for name in ("grades.csv", "gradebook_canvas.csv", "gradebook_moodle.csv"):
        assert (tiny / "disturbed" / name).read_text() == (tiny / "whole" / name).read_text()
    assert len((tiny / "whole/grades.csv").read_text().splitlines()) == 51


def test_one_job_or_three_come_to_the_same(tiny):
    (tiny / "in").mkdir()
    class_of_fifty(tiny / "in")
    arrivals = collect(tiny / "in", tiny / "x")[:12]
    marks = [
        [
            [(verdict.status, verdict.points) for verdict in one.marks[0].report.verdicts]
            for one in grade_class(arrivals, tiny / f"out{jobs}", tiny, Settings(), jobs=jobs).students
        ]
        for jobs in (1, 3)
    ]
    assert marks[0] == marks[1]
