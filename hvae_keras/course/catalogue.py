"""What the lessons are, read from the student notebooks' own metadata: cheap, and true without sources."""

import json
from dataclasses import dataclass
from pathlib import Path

from hvae_keras.course.places import exercise_order, lessons, student_notebook


@dataclass(frozen=True)
class ExerciseEntry:
    """An exercise as the catalogue knows it."""

    id: str
    name: str
    minutes: int
    points: float


@dataclass(frozen=True)
class LessonEntry:
    """A lesson as the catalogue knows it; `minutes` is its time in class."""

    slug: str
    title: str
    minutes: int
    exercises: tuple[ExerciseEntry, ...]

    @property
    def points(self) -> float:
        """All points that the lesson gives."""
        return sum(exercise.points for exercise in self.exercises)


def read_catalogue(root: Path) -> list[LessonEntry]:
    """Every lesson of the course, in order."""
    return [entry_of(root, slug) for slug in lessons(root)]


def entry_of(root: Path, slug: str) -> LessonEntry:
    """One lesson. A notebook that is missing or damaged still has its line, and the title says so."""
    try:
        about = json.loads(student_notebook(root, slug).read_text(encoding="utf-8"))["metadata"]["hvae"]
        exercises = tuple(
            ExerciseEntry(key, item["name"], item["minutes"], item["points"])
            for key, item in sorted(about["exercises"].items(), key=lambda pair: exercise_order(pair[0]))
        )
        return LessonEntry(slug, about["title"], about["minutes"], exercises)
    except (OSError, ValueError, KeyError, TypeError):
        return LessonEntry(slug, "(missing or damaged)", 0, ())
