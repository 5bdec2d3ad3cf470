"""pytest runs the checks: on the solutions, or with `--submission` on a student's notebooks.

A check takes the function under test by name; this plugin provides it, from a process of its own.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hvae_keras.course.grading import lesson_of, notes_on
from hvae_keras.course.judge import CheckResult, Verdict, run_check
from hvae_keras.course.places import NoSuchLesson, course_root, find_lesson, source_file, student_notebook
from hvae_keras.course.submission import Unreadable, find_notebooks, read_submission
from hvae_keras.course.worker import Start, Worker, start_program

WORKERS = pytest.StashKey[dict[tuple[Path, str], Worker]]()
NURSERY = pytest.StashKey[object]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --submission and --check-seed."""
    group = parser.getgroup("hvae")
    group.addoption("--submission", metavar="FILE_OR_FOLDER", help="grade these notebooks instead of solutions/")
    group.addoption("--check-seed", type=int, default=0, help="seed of the checks' random inputs (default 0)")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the workers."""
    config.stash[WORKERS] = {}


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the workers."""
    for worker in config.stash.get(WORKERS, {}).values():
        worker.stop()
    if NURSERY in config.stash:
        config.stash[NURSERY].close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a submission for each check; the function's name is the argument that stands for it."""
    exercise = getattr(metafunc.function, "exercise", None)
    if exercise is not None:
        root = course_root()
        slug = find_lesson(root, exercise.id)
        paths = _submissions(metafunc.config, root, slug)
        metafunc.parametrize(exercise.name, paths, ids=[path.stem for path in paths])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --submission, only checks are run."""
    if config.getoption("submission"):
        keep = [item for item in items if hasattr(getattr(item, "function", None), "exercise")]
        dropped = [item for item in items if item not in keep]
        config.hook.pytest_deselected(items=dropped)
        items[:] = keep


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a check as the notebook and the grader run it, and fail with the verdict that they would show."""
    exercise = getattr(pyfuncitem.function, "exercise", None)
    if exercise is None:
        return None
    path = pyfuncitem.callspec.params[exercise.name]
    check = next(check for check in exercise.checks if check.function.__name__ == pyfuncitem.originalname)
    seed = pyfuncitem.config.getoption("check_seed")
    try:
        worker = _worker(pyfuncitem.config, path, exercise.id)
    except Unreadable as problem:
        pytest.fail(f"{path.name}: {problem}", pytrace=False)
    result = run_check(exercise, check, worker, seed)
    if result.status != "passed":
        notes = tuple(notes_on(worker.submission, exercise))
        pytest.fail(str(_verdict(exercise.id, exercise.name, result, notes)), pytrace=False)
    return True


@pytest.fixture
def rng() -> Iterator[None]:
    """Named by checks with random inputs; the generator itself is made where the check is run."""
    return


def _submissions(config: pytest.Config, root: Path, slug: str) -> list[Path]:
    named = config.getoption("submission")
    if not named:
        source = source_file(root, slug)
        # A student's copy has no solutions: there, pytest grades the student's own lessons.
        return [source if source.is_file() else student_notebook(root, slug)]
    return [path for path in find_notebooks(Path(named)) if _answers(path, root, slug)]


def _answers(path: Path, root: Path, slug: str) -> bool:
    try:
        return lesson_of(read_submission(path), root) == slug
    except NoSuchLesson:
        return False
    except Unreadable:
        return path.stem.startswith(slug[:2])


def _worker(config: pytest.Config, path: Path, exercise: str) -> Worker:
    """One worker a submission and exercise, so that no exercise can change another's fate."""
    workers = config.stash[WORKERS]
    if (path, exercise) not in workers:
        workers[path, exercise] = Worker(read_submission(path), _start(config))
    return workers[path, exercise]


def _start(config: pytest.Config) -> Start:
    if sys.platform != "linux":
        return start_program
    if NURSERY not in config.stash:
        from hvae_keras.course.nursery import Nursery
        from hvae_keras.course.pool import imports_of

        config.stash[NURSERY] = Nursery.start(imports_of(course_root()))
    return config.stash[NURSERY].worker


def _verdict(exercise: str, name: str, result: CheckResult, notes: tuple[str, ...]) -> Verdict:
    return Verdict(exercise, name, result.status, 0.0, result.of, 0.0, (result,), notes)
