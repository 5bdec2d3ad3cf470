"""`hvae bundle`: the zip that students get. What it holds is also what the packages for graders are made of.

Nothing of `solutions/` is in it, and of an instructor's settings only what matters to a student.
"""

import json
import os
import subprocess
import tomllib
import zipfile
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path, PurePosixPath

from hvae_keras.course.packages.readme import students_readme
from hvae_keras.course.places import lessons, student_notebook
from hvae_keras.course.settings import SettingsError, read_settings
from hvae_keras.files import written_whole

TOP = ("README.md", "LICENSE", "Makefile", "pyproject.toml", "constraints.txt", "environment.yml", "conftest.py")
COURSE = ("lessons", "tests/lessons", "datasets")
LIBRARY = ("hvae_keras", *TOP, ".gitignore")
# What a course that is no git checkout may have lying about in these folders.
STRAY = ("__pycache__", "grades", "build", "dist")
STUDENTS_SETTINGS = {"grading": ("leave_out",), "points": None, "reveal": None}


class CannotPack(ValueError):
    """The course is not in a state to be handed out; the message says in one line why."""


def write_bundle(root: Path, out: Path, settings_file: Path | None = None) -> list[str]:
    """Write the students' zip; returns the names in it. The same course gives the same bytes.

    All lies in one folder, `hvae_course`. `settings_file` stands in for the course's own `course.toml`.
    Raises CannotPack.
    """
    files = course_files(root)
    settings = settings_text(chosen_settings(root, STUDENTS_SETTINGS, settings_file=settings_file))
    if settings:
        files["course.toml"] = settings.encode()
    if "README.md" in files:
        readme = files["README.md"].decode().replace("\r\n", "\n")
        files["README.md"] = students_readme(readme, files, lessons(root)[0]).encode()
    packed = {f"hvae_course/{name}": content for name, content in files.items()}
    write_zip(out, packed)
    return sorted(packed)


def course_files(root: Path, lesson: str | None = None) -> dict[str, bytes]:
    """The files that students may see, by their names in the course; with `lesson`, a slug, those of one lesson.

    Where git knows the folder, these are files that git tracks. The library comes from `root`, or where `root`
    holds lessons alone, from the checkout it is running from. Raises CannotPack.
    """
    library = _library_root(root)
    found = {name: library / name for name in _names(library, LIBRARY)}
    found |= {name: root / name for name in _names(root, COURSE)}
    found = {name: path for name, path in found.items() if _belongs(name, lesson)}
    files = {}
    for name, path in sorted(found.items()):
        if path.is_symlink():
            raise CannotPack(f"{name} is a link; a copy of the course may hold files only")
        if not path.is_file():
            raise CannotPack(f"{name} is tracked by git and is not there: put it back, or remove it from git")
        files[name] = path.read_bytes()
    slugs = [lesson] if lesson else lessons(root)
    if not slugs:
        raise CannotPack("there are no lessons: no test_NN_NAME.py in tests/lessons")
    for slug in slugs:
        _require_as_built(student_notebook(root, slug).relative_to(root).as_posix(), files)
    return files


def chosen_settings(
    root: Path,
    chosen: Mapping[str, Collection[str] | None],
    lesson: str | None = None,
    settings_file: Path | None = None,
) -> dict[str, dict]:
    """The tables of the settings that `chosen` names, with all their keys or those it lists.

    The settings are those in `settings_file`; without it in the course's `course.toml`, which may be missing.
    With `lesson`, a slug, other lessons' exercises are left out. Raises CannotPack for a file with mistakes in it.
    """
    path = settings_file or root / "course.toml"
    if settings_file is None and not path.is_file():
        return {}
    try:
        read_settings(path, root)
    except (SettingsError, OSError) as error:
        raise CannotPack(str(error)) from None
    tables = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    if lesson is not None:
        number = f"{int(lesson[:2])}."
        points = tables.get("points", {})
        tables["points"] = {exercise: points[exercise] for exercise in points if exercise.startswith(number)}
        left_out = tables.get("grading", {}).get("leave_out", [])
        left_out[:] = [exercise for exercise in left_out if exercise.startswith(number)]
    kept = {
        name: {key: value for key, value in tables.get(name, {}).items() if keys is None or key in keys}
        for name, keys in chosen.items()
    }
    return {name: table for name, table in kept.items() if table}


def settings_text(tables: Mapping[str, Mapping]) -> str:
    """Tables of numbers, words, dates and lists of words as TOML."""
    parts = []
    for name, table in tables.items():
        parts += [f"[{name}]", *(f"{json.dumps(key)} = {_toml(value)}" for key, value in table.items()), ""]
    return "\n".join(parts)


def write_zip(path: Path, files: Mapping[str, bytes], executable: Collection[str] = ()) -> None:
    """Write a zip, whole or not at all. Its bytes depend on names and contents only, not on dates or order."""
    with written_whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, on every system, or the permissions are not read
            entry.external_attr = (0o100755 if name in executable else 0o100644) << 16
            archive.writestr(entry, files[name])


def _library_root(root: Path) -> Path:
    """The folder that holds `hvae_keras/` and `pyproject.toml`."""
    for folder in (root, Path(__file__).resolve().parents[2]):
        if (folder / "hvae_keras").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    raise CannotPack("the library was installed without its checkout: run this inside the course's folder")


def _names(folder: Path, tops: Collection[str]) -> Iterator[str]:
    """The files below a folder's `tops`: those that git tracks, or where it is no checkout, those not stray."""
    if (folder / ".git").exists():
        yield from _tracked(folder, tops)
        return
    for top in tops:
        if (folder / top).is_file():
            yield top
        for place, folders, names in os.walk(folder / top):
            folders[:] = [name for name in folders if not _stray(name)]
            yield from ((Path(place) / name).relative_to(folder).as_posix() for name in names if not _stray(name))


def _tracked(folder: Path, tops: Collection[str]) -> list[str]:
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--", *tops], cwd=folder, capture_output=True, check=True
        ).stdout
    except FileNotFoundError:
        raise CannotPack("git is not installed, and only it knows which files belong to the course") from None
    except subprocess.CalledProcessError as error:
        raise CannotPack(f"git ls-files failed: {error.stderr.decode(errors='replace').strip()}") from None
    return [name for name in listing.decode().split("\0") if name]


def _stray(name: str) -> bool:
    return name in STRAY or name.endswith((".pyc", ".egg-info")) or (name.startswith(".") and name != ".gitignore")


def _belongs(name: str, lesson: str | None) -> bool:
    """Whether a file is part of the course, or of one lesson of it."""
    path = PurePosixPath(name)
    if path.parts[0] == "lessons":
        # Pictures, and weights with the script that made them, begin with their lesson's number.
        stem = path.stem.removeprefix("train_")
        return lesson is None or stem.startswith(lesson[:2] if len(path.parts) > 2 else lesson)
    if path.match("tests/lessons/test_*.py"):
        return lesson is None or path.stem == f"test_{lesson}"
    return True


def _require_as_built(name: str, files: Mapping[str, bytes]) -> None:
    """Refuse a lesson in which somebody has worked: their answers would be handed out."""
    if name not in files:
        raise CannotPack(f"{name} is missing, or git does not track it: `hvae build` makes it")
    try:
        notebook = json.loads(files[name])
        stubs = {key: item["stub"] for key, item in notebook["metadata"]["hvae"]["exercises"].items()}
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        found = {cell["metadata"]["exercise"]: cell for cell in cells if "exercise" in cell["metadata"]}
        answered = [key for key, stub in stubs.items() if "".join(found[key]["source"]) != stub]
        ran = sum(bool(cell["outputs"]) for cell in cells)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CannotPack(f"{name} is not as `hvae build` made it") from None
    if answered or ran:
        what = f"exercise {answered[0]} is not a stub" if answered else f"{ran} cells have outputs"
        raise CannotPack(f"{name} has been worked in ({what}): `hvae build` makes it anew")


def _toml(value: object) -> str:
    if isinstance(value, date):  # a datetime too
        return value.isoformat()
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False)
    raise CannotPack(f"the settings hold {value!r}, where a number, a word, a date or a list is expected")
