"""How fast a class is graded: `hvae grade`, nbgrader and otter-grader on the same submissions of lesson 02.

    python benchmarks/grading_speed.py --students 30 --otter /tmp/otter/bin/otter
    python benchmarks/grading_speed.py --class-size 200

Submissions are made from the student's notebook: right answers, planted misconceptions, functions that raise, and
stubs left as they are, drawn with `--seed`; no two files are equal. nbgrader runs the check cells of the notebook,
otter-grader test files that call the same checks. Both get notebooks with nothing but the imports, the exercises
and the checks; `--whole` of the submissions are also given to nbgrader as they were handed in, with models trained
between the exercises. hvae gets them all as they were handed in. Without Docker otter-grader takes one notebook a
command, so that its time is the sum of these. An endless loop is measured alone. Every mark is compared with what
the submission was made to deserve.

otter-grader is left out unless `--otter` names its program, in an environment that has this library too:

    python -m venv /tmp/otter
    /tmp/otter/bin/pip install -c constraints.txt -e . 'otter-grader==7.*'

Run it on an idle machine; Linux only.
"""

import argparse
import ast
import contextlib
import copy
import ctypes
import importlib.metadata
import inspect
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType

import numpy as np
import psutil

from hvae_keras.course.exercises import Exercise, exercises_in, load_checks
from hvae_keras.course.places import checks_file, course_root, solution_notebook, student_notebook

SLUG = "02_vae"
SHARES = {"right": 0.6, "misconception": 0.25, "stub": 0.1, "raises": 0.05}
ENDLESS = "2.3"
CORES = os.cpu_count()
PROGRAMS = Path(sys.executable).parent
Marks = dict[tuple[str, str], bool]  # (student, exercise) -> passed
OTTER_TEST = """from otter.test_files import test_case

OK_FORMAT = False
name = "{id}"
points = {points}


@test_case()
def test_answer({name}):
    from hvae_keras.course import check

    check("{id}", {name})
"""


def misconception_source(exercise: Exercise, wrong: FunctionType) -> str:
    """A planted wrong answer as a student would write it, with the helpers that it calls."""
    definition = ast.parse(inspect.getsource(wrong)).body[0]
    definition.name, definition.decorator_list = exercise.name, []
    found = [wrong.__globals__.get(name) for name in wrong.__code__.co_names]
    helpers = [
        inspect.getsource(helper) for helper in found if getattr(helper, "__module__", "") == wrong.__module__
    ]
    return "\n\n".join([*helpers, ast.unparse(definition)])


@dataclass(frozen=True)
class Submission:
    """A notebook that was handed in, and for each exercise whether its answer deserves to pass."""

    notebook: dict
    deserved: dict[str, bool]


class Course:
    """The lesson's notebooks and exercises, and the submissions made of them."""

    def __init__(self, root: Path):
        self.root = root
        self.exercises = exercises_in(load_checks(checks_file(root, SLUG)))
        self.solution = json.loads(solution_notebook(root, SLUG).read_text(encoding="utf-8"))
        self._student = json.loads(student_notebook(root, SLUG).read_text(encoding="utf-8"))
        cells = {cell["metadata"].get("exercise"): "".join(cell["source"]) for cell in self.solution["cells"]}
        self._right = {exercise.id: cells[exercise.id] for exercise in self.exercises}

    def submissions(self, students: int, seed: int) -> dict[str, Submission]:
        """What the students of a class handed in, by their names."""
        rng = np.random.default_rng(seed)
        found = {}
        for name in (f"student_{number:03d}" for number in range(1, students + 1)):
            kinds = {exercise.id: rng.choice(list(SHARES), p=list(SHARES.values())) for exercise in self.exercises}
            answers = {exercise.id: self._answer(exercise, kinds[exercise.id], rng) for exercise in self.exercises}
            found[name] = self._handed_in(name, answers)
        return found

    def endless(self) -> dict[str, Submission]:
        """One submission with a loop that never ends among right answers."""
        name = next(exercise.name for exercise in self.exercises if exercise.id == ENDLESS)
        loop = {ENDLESS: f"def {name}(*_):\n    while True:\n        pass"}
        return {"endless": self._handed_in("endless", self._right | loop)}

    def _answer(self, exercise: Exercise, kind: str, rng: np.random.Generator) -> str | None:
        """The source of an answer; None for the stub."""
        wrong = exercise.misconceptions[rng.integers(len(exercise.misconceptions))].function
        return {
            "right": self._right[exercise.id],
            "misconception": misconception_source(exercise, wrong),
            "raises": f"def {exercise.name}(*_):\n    raise ValueError('shapes do not match')",
            "stub": None,
        }[kind]

    def _handed_in(self, name: str, answers: dict[str, str | None]) -> Submission:
        notebook = copy.deepcopy(self._student)
        for cell in notebook["cells"]:
            if exercise := cell["metadata"].get("exercise"):
                source = answers[exercise] or "".join(cell["source"])
                cell["source"] = f"# {name}\n{source}"  # so that no two files are equal
        return Submission(notebook, {one: source == self._right[one] for one, source in answers.items()})


def reduced(notebook: dict, checks: bool = True) -> dict:
    """The notebook with nothing but its imports, exercises and, if wanted, checks."""
    keys = {"exercise", "check"} if checks else {"exercise"}
    first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cells = [cell for cell in notebook["cells"] if cell is first or keys & set(cell["metadata"])]
    return {**notebook, "cells": cells}


@dataclass(frozen=True)
class Cost:
    """Seconds on the wall and of all processes, and how often TensorFlow was imported."""

    seconds: float
    processor: float
    imports: int


def cost_of(commands: Iterable[Sequence[str]], folder: Path, root: Path) -> Cost:
    """Run commands one after another and see what they and all of their processes took.

    TensorFlow's library lies at an address that is random in a process that imports it and the same in one that
    was forked later; so the different addresses are the imports. An import takes seconds, and we look each second.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    environment |= {"HVAE_COURSE": str(root), "HVAE_PROGRESS": str(folder / "progress")}
    seconds, addresses, before = 0.0, set(), resource.getrusage(resource.RUSAGE_CHILDREN)
    log = folder / "log.txt"
    for command in commands:
        with log.open("w") as lines:
            start = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=lines, stderr=lines)
            while process.poll() is None:
                addresses |= library_addresses(process.pid)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1.0)
            seconds += time.perf_counter() - start
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-3000:]}")
    see_off_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, processor, len(addresses))


def library_addresses(pid: int) -> set[str]:
    """Where TensorFlow's library lies in the processes under this one."""
    found = set()
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return found
    for one in below:
        try:
            maps = Path(f"/proc/{one.pid}/maps").read_text()
        except OSError:
            continue
        if match := re.search(r"^(\w+)-.*libtensorflow_framework", maps, re.MULTILINE):
            found.add(match[1])
    return found


def see_off_orphans() -> None:
    """Wait for the processes that a command left behind, so that their time is counted."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.05)
        except ChildProcessError:
            return
    raise SystemExit("a command left a process behind that does not end")


def write(notebook: dict, path: Path) -> None:
    """Write a notebook, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def hvae(submissions: dict[str, Submission], course: Course, jobs: int) -> tuple[Cost, Marks]:
    """`hvae grade` with all that it writes."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, submission in submissions.items():
            write(submission.notebook, folder / "submissions" / name / f"{SLUG}.ipynb")
        command = [str(PROGRAMS / "hvae"), "grade", "submissions", "--out", "grades", "--lesson", "02"]
        cost = cost_of([[*command, "--jobs", str(jobs)]], folder, course.root)
        marks = {}
        for name in submissions:
            grade = json.loads((folder / "grades" / "students" / name / "grade.json").read_text(encoding="utf-8"))
            for verdict in grade["lessons"][0]["report"]["exercises"]:
                marks[name, verdict["exercise"]] = verdict["status"] == "passed"
        return cost, marks


def nbgrader(submissions: dict[str, Submission], course: Course, whole: bool = False) -> tuple[Cost, Marks]:
    """`nbgrader autograde`, after `nbgrader generate_assignment`, which is not timed."""
    from nbgrader.api import Gradebook

    shape = copy.deepcopy if whole else reduced
    # Cells that train take longer than the 30 seconds that nbgrader allows by default.
    config = 'c = get_config()\nc.CourseDirectory.course_id = "speed"\n' + "c.Execute.timeout = 600\n" * whole
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "nbgrader_config.py").write_text(config)
        write(shape(course.solution), folder / "source" / SLUG / f"{SLUG}.ipynb")
        for name, submission in submissions.items():
            write(shape(submission.notebook), folder / "submitted" / name / SLUG / f"{SLUG}.ipynb")
        program = str(PROGRAMS / "nbgrader")
        cost_of([[program, "generate_assignment", SLUG]], folder, course.root)
        cost = cost_of([[program, "autograde", SLUG]], folder, course.root)
        marks = {}
        with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
            for name in submissions:
                for grade in gradebook.find_submission_notebook(SLUG, SLUG, name).grades:
                    exercise = grade.name.removeprefix("check-").replace("-", ".")
                    marks[name, exercise] = grade.auto_score == grade.max_score
        return cost, marks


def otter(submissions: dict[str, Submission], course: Course, program: Path) -> tuple[Cost, Marks]:
    """`otter run` on one notebook after the other, after `otter generate`, which is not timed."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "tests").mkdir()
        for one in course.exercises:
            test = OTTER_TEST.format(id=one.id, points=one.points, name=one.name)
            (folder / "tests" / f"q{one.id.replace('.', '_')}.py").write_text(test)
        cost_of([[str(program), "generate", "-t", "tests", "-o", "autograder.zip"]], folder, course.root)
        commands = []
        for name, submission in submissions.items():
            file, out = f"submitted/{name}/{SLUG}.ipynb", folder / "graded" / name
            write(reduced(submission.notebook, checks=False), folder / file)
            out.mkdir(parents=True)
            commands.append([str(program), "run", "-a", "autograder.zip", "-o", str(out), file])
        cost = cost_of(commands, folder, course.root)
        marks = {}
        for name in submissions:
            tests = json.loads((folder / "graded" / name / "results.json").read_text(encoding="utf-8"))["tests"]
            points = {test["name"].split(" ")[0]: test.get("score", 0) for test in tests}
            marks |= {(name, one.id): points[one.id] == one.points for one in course.exercises}
        return cost, marks


def side_by_side(course: Course, settings: argparse.Namespace) -> None:
    """All graders in turn, their table, and the marks that nobody deserved."""
    submissions = course.submissions(settings.students, settings.seed)
    some = dict(list(submissions.items())[: settings.whole])
    sides = {
        f"hvae, {CORES} jobs": lambda: hvae(submissions, course, CORES),
        "hvae, 1 job": lambda: hvae(submissions, course, 1),
        "nbgrader, exercises only": lambda: nbgrader(submissions, course),
        "nbgrader, as handed in": lambda: nbgrader(some, course, whole=True),
    }
    if settings.otter:
        sides["otter-grader, exercises only"] = lambda: otter(submissions, course, settings.otter.absolute())
    else:
        print("otter-grader is left out: --otter does not name its program")
    found = {}
    for name, grade in sides.items():
        found[name] = grade()
        print(f"{name}: {found[name][0]}", flush=True)
    print_table(found, len(course.exercises))
    for name, (_, marks) in found.items():
        print_marks(name, marks, submissions)
    loop = course.endless()
    for name, (cost, marks) in {"hvae": hvae(loop, course, 1), "nbgrader": nbgrader(loop, course)}.items():
        print(f"\none submission with an endless loop, {name}: {cost.seconds:.1f} s")
        print_marks(name, marks, loop)


def print_table(found: dict[str, tuple[Cost, Marks]], exercises: int) -> None:
    """Throughput, and how many times that of each is ours, with all cores and with one job."""
    speeds = {name: len(marks) / exercises / cost.seconds * 60 for name, (cost, marks) in found.items()}
    many, one, *_ = speeds.values()
    print(f"\n| | submissions | seconds | a minute | hvae, {CORES} jobs | hvae, 1 job | CPU s each | imports |")
    print("|---" * 8 + "|")
    for name, (cost, marks) in found.items():
        students, speed = len(marks) // exercises, speeds[name]
        print(
            f"| {name} | {students} | {cost.seconds:.1f} | {speed:.1f} | {many / speed:.1f} times "
            f"| {one / speed:.1f} times | {cost.processor / students:.1f} | {cost.imports} |"
        )
    print()


def print_marks(name: str, marks: Marks, submissions: dict[str, Submission]) -> None:
    """How many marks are as deserved, and which are not."""
    wrong = [(who, which) for who, which in marks if marks[who, which] != submissions[who].deserved[which]]
    shown = [f"{who} {which} {'passed' if marks[who, which] else 'refused'}" for who, which in wrong]
    print(f"{name}: {len(marks) - len(wrong)} of {len(marks)} marks as deserved", *shown, sep="; ")


def whole_class(course: Course, settings: argparse.Namespace) -> None:
    """One class, graded on all cores."""
    submissions = course.submissions(settings.class_size, settings.seed)
    cost, marks = hvae(submissions, course, CORES)
    print(
        f"{len(submissions)} submissions in {cost.seconds:.1f} s with {CORES} jobs: "
        f"{len(submissions) / cost.seconds * 60:.1f} a minute, {cost.processor:.1f} s of the processors, "
        f"TensorFlow imported {cost.imports} time{'' if cost.imports == 1 else 's'}"
    )
    print_marks("hvae", marks, submissions)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--students", type=int, default=30, help="submissions that all graders get")
    parser.add_argument("--whole", type=int, default=3, help="of these, how many nbgrader also gets as handed in")
    parser.add_argument("--otter", type=Path, help="program of otter-grader")
    parser.add_argument("--class-size", type=int, help="instead: only hvae, on a class of this size")
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    os.environ["PATH"] = (
        f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"  # nbgrader looks there for a program of its own
    )
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what a command leaves behind becomes ours
    print(f"nbgrader {importlib.metadata.version('nbgrader')}, load before {os.getloadavg()[0]:.2f}", flush=True)
    course = Course(course_root())
    (whole_class if settings.class_size else side_by_side)(course, settings)


if __name__ == "__main__":
    main()
