"""`hvae package`: what a grading platform needs to grade one lesson by itself."""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hvae_keras.course.bundle import (
    STUDENTS_SETTINGS,
    CannotPack,
    chosen_settings,
    course_files,
    settings_text,
    write_zip,
)
from hvae_keras.course.packages.templates import filled

# Gradescope knows the due dates, extensions included; the students' names stay with the instructor.
GRADESCOPE_SETTINGS = {"grading": None, "points": None, "late": ("penalty", "most")}


def write_gradescope(root: Path, lesson: str, out: Path, settings_file: Path | None = None) -> list[str]:
    """Write the zip that Gradescope takes as an autograder for a lesson (its slug); returns the names in it.

    `settings_file` stands in for the course's own `course.toml`. Raises CannotPack.
    """
    files = {f"course/{name}": content for name, content in course_files(root, lesson).items()}
    settings = settings_text(chosen_settings(root, GRADESCOPE_SETTINGS, lesson, settings_file))
    if settings:
        files["course/course.toml"] = settings.encode()
    scripts = {name: _script(name, lesson) for name in ("setup.sh", "run_autograder")}
    write_zip(out, files | scripts, executable=scripts)
    return sorted(files | scripts)


def write_github(root: Path, lesson: str, out: Path, settings_file: Path | None = None) -> list[str]:
    """Write the folder of a template repository: one lesson (its slug), and the workflow that grades every push.

    `settings_file` stands in for the course's own `course.toml`. Returns the names in the folder.
    Raises CannotPack; FileExistsError where `out` is there and not an empty folder.
    """
    files = course_files(root, lesson)
    settings = settings_text(chosen_settings(root, STUDENTS_SETTINGS, lesson, settings_file))
    if settings:
        files["course.toml"] = settings.encode()
    files[".github/workflows/classroom.yml"] = _script("classroom.yml", lesson)
    title = json.loads(files[f"lessons/{lesson}.ipynb"])["metadata"]["hvae"].get("title", lesson)
    files["README.md"] = filled("repository.md", lesson=lesson, title=title).encode()
    _write_folder(out, files)
    return sorted(files)


def _script(name: str, lesson: str) -> bytes:
    """A script or workflow with the lesson's name in it."""
    if not re.fullmatch(r"\w+", lesson, re.ASCII):
        raise CannotPack(
            f"lesson {lesson!r}: a name with other signs than letters, digits and _ is not safe in scripts"
        )
    return filled(name, lesson=lesson).encode()


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files, whole or not at all."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there already: name a new folder, or an empty one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as place:
        whole = Path(place) / folder.name
        for name, content in files.items():
            path = whole / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if folder.exists():
            folder.rmdir()
        os.replace(whole, folder)
