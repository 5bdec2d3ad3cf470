"""What a lesson calls: `check`, `hint` and `reveal`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from hvae_keras.course.exercises import Exercise, exercises_in, load_checks
from hvae_keras.course.judge import Verdict, judge
from hvae_keras.course.places import NoSuchLesson, checks_file, course_root, find_lesson, source_file
from hvae_keras.course.progress import Progress, load_progress, save_progress
from hvae_keras.course.session import Session
from hvae_keras.course.settings import SettingsError, course_settings


class NotPassed(Exception):
    """An exercise that is not passed yet. A notebook shows the verdict in place of a traceback."""

    def __init__(self, verdict: Verdict):
        super().__init__(str(verdict))

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def check(exercise_id: str, function: Callable) -> None:
    """Run the checks of an exercise on your function and show the verdict.

    Raises NotPassed, which the notebook shows without a traceback, unless every check is passed.
    """
    root = course_root()
    exercise = find_exercise(root, exercise_id)
    verdict = judge(exercise, Session({exercise.name: function}))
    save_progress(root, exercise.id, load_progress(root, exercise.id).after(verdict))
    if not verdict.passed:
        raise NotPassed(verdict) from None
    print(verdict)


def hint(exercise_id: str) -> None:
    """Show the next hint of an exercise, below the ones already taken: the concept, the formula, the code."""
    root = course_root()
    exercise = find_exercise(root, exercise_id)
    record = load_progress(root, exercise.id)
    taken = min(record.hints + 1, len(exercise.hints))
    save_progress(root, exercise.id, replace(record, hints=taken))
    for step, text in enumerate(exercise.hints[:taken], 1):
        print(f"Hint {step} of {len(exercise.hints)}: {text}")
    if taken < len(exercise.hints):
        print(f'hint("{exercise.id}") again for the next one.')
    elif source_file(root, find_lesson(root, exercise.id)).is_file():
        shown = _not_shown_because(root, record) or f'reveal("{exercise.id}") shows a solution.'
        print(f"That was the last hint. {shown}")
    else:
        print("That was the last hint.")


def reveal(exercise_id: str) -> None:
    """Show a solution: once the exercise is passed or has been tried three times, unless `course.toml` differs."""
    root = course_root()
    exercise = find_exercise(root, exercise_id)
    refusal = _not_shown_because(root, load_progress(root, exercise.id))
    if refusal:
        print(refusal)
        return
    slug = find_lesson(root, exercise.id)
    source = source_file(root, slug)
    if not source.is_file():
        print(f"This copy of the course comes without solutions: ask your instructor for {slug}.")
        return
    from hvae_keras.course.source import solution_of

    print(solution_of(source.read_text(encoding="utf-8"), exercise.id))


def find_exercise(root: Path, exercise_id: str) -> Exercise:
    """The exercise with this id. Raises NoSuchLesson, naming those there are."""
    exercise_id = str(exercise_id)  # check(2.1, ...) means check("2.1", ...)
    slug = find_lesson(root, exercise_id)
    exercises = exercises_in(load_checks(checks_file(root, slug)))
    for exercise in exercises:
        if exercise.id == exercise_id:
            return exercise
    ids = ", ".join(exercise.id for exercise in exercises)
    raise NoSuchLesson(f"lesson {slug} has no exercise {exercise_id!r}; it has {ids}")


def _not_shown_because(root: Path, record: Progress) -> str:
    """Why a solution is not shown yet, in a sentence; empty where it is shown."""
    try:
        policy = course_settings(root).reveal
    except SettingsError as error:
        return f"Solutions are not shown: tell your instructor that {error}."
    return policy.condition(record.passed, record.tries, datetime.now().astimezone())
