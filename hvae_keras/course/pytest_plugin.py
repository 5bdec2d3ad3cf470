"""pytest runs the checks: on the solutions, or with `--submission` on a student's notebooks.

A check takes the function under test by name; this plugin provides it, from a process of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hvae_keras.course.grading import find_submissions, lesson_of, notes_on
from hvae_keras.course.judge import CheckResult, Verdict, run_check
from hvae_keras.course.places import NoSuchLesson, course_root, find_lesson, source_file
from hvae_keras.course.submission import Unreadable, read_submission
from hvae_keras.course.worker import Worker

WORKERS = pytest.StashKey[dict[Path, Worker]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --submission and --check-seed."""
    group = parser.getgroup("hvae")
    group.addoption("--submission", metavar="FILE_OR_FOLDER", help="grade these notebooks instead of solutions/")
    group.addoption("--check-seed", type=int, default=0, help="seed of the checks' random inputs (default 0)")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for one worker a submission."""
    config.stash[WORKERS] = {}


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the workers."""
    for worker in config.stash.get(WORKERS, {}).values():
        worker.stop()


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
        worker = _worker(pyfuncitem.config, path)
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
        return [source_file(root, slug)]
    return [path for path in find_submissions(Path(named)) if _answers(path, root, slug)]


def _answers(path: Path, root: Path, slug: str) -> bool:
    try:
        return lesson_of(read_submission(path), root) == slug
    except NoSuchLesson:
        return False
    except Unreadable:
        return path.stem.startswith(slug[:2])


def _worker(config: pytest.Config, path: Path) -> Worker:
    workers = config.stash[WORKERS]
    if path not in workers:
        workers[path] = Worker(read_submission(path))
    return workers[path]


def _verdict(exercise: str, name: str, result: CheckResult, notes: tuple[str, ...]) -> Verdict:
    return Verdict(exercise, name, result.status, 0.0, result.of, 0.0, (result,), notes)
