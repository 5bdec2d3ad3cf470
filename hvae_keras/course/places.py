"""Where the course lies on disk, and which file belongs to which lesson."""

import os
import re
from pathlib import Path

from hvae_keras.files import written_whole


class NoSuchLesson(LookupError):
    """The lesson, exercise or course folder asked for does not exist; the message says what does."""

    def __str__(self) -> str:
        return str(self.args[0])


def course_root() -> Path:
    """The folder that holds `lessons/` and `tests/lessons/`: around the current one, or around the package.

    `HVAE_COURSE` names another. Raises NoSuchLesson where there is none.
    """
    named = os.environ.get("HVAE_COURSE")
    here = Path.cwd()
    candidates = [Path(named)] if named else [here, *here.parents, Path(__file__).resolve().parents[2]]
    for folder in candidates:
        if (folder / "lessons").is_dir() and (folder / "tests" / "lessons").is_dir():
            return folder
    if named:
        raise NoSuchLesson(f"HVAE_COURSE is {named}, which holds no course (no lessons/ and tests/lessons/ in it)")
    raise NoSuchLesson("no course here: run this inside the course's folder, or set HVAE_COURSE to it")


def lessons(root: Path) -> list[str]:
    """The slugs of all lessons that have checks, such as `02_vae`, in order."""
    files = (root / "tests" / "lessons").glob("test_[0-9][0-9]_*.py")
    return sorted(path.stem.removeprefix("test_") for path in files)


def find_lesson(root: Path, key: str) -> str:
    """The slug of the lesson meant by `2`, `02`, `02_vae` or an exercise id such as `2.3`."""
    known = lessons(root)
    if key in known:
        return key
    number = re.fullmatch(r"0*(\d{1,4})(\.\d{1,4})?", key)
    slugs = [slug for slug in known if number and int(slug[:2]) == int(number[1])]
    if not slugs:
        raise NoSuchLesson(f"there is no lesson {key!r}; there are: {', '.join(known) or 'none'}")
    return slugs[0]


def exercise_order(exercise_id: str) -> list[int]:
    """Sorting key of exercise ids: `2.10` comes after `2.9`."""
    return [int(part) for part in exercise_id.split(".")]


def checks_file(root: Path, slug: str) -> Path:
    """The pytest file with a lesson's checks."""
    return root / "tests" / "lessons" / f"test_{slug}.py"


def source_file(root: Path, slug: str) -> Path:
    """The one source of a lesson. A student's bundle does not have it."""
    return root / "solutions" / f"{slug}.py"


def student_notebook(root: Path, slug: str) -> Path:
    """The notebook that students work in."""
    return root / "lessons" / f"{slug}.ipynb"


def solution_notebook(root: Path, slug: str) -> Path:
    """The executed notebook with the answers."""
    return root / "solutions" / f"{slug}.ipynb"


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that nobody ever reads half of it."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
