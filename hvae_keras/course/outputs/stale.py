"""Pages of students who are no longer in the class: left where they are, they would be taken for current ones."""

import shutil
from collections.abc import Iterable
from pathlib import Path

FILES = frozenset({"grade.json", "feedback.html", "results.json"})


def remove_stale(students: Path, written: Iterable[Path]) -> None:
    """Remove the folders in `students` that are not among the `written` ones and hold only a student's files.

    A folder with anything else in it, an instructor's notes say, is left alone, and so is a link. Raises OSError.
    """
    written = list(written)
    names = {folder.name for folder in written}
    for folder in sorted(students.iterdir()) if students.is_dir() else ():
        if folder.name in names or folder.is_symlink() or not folder.is_dir():
            continue
        # Where case does not tell names apart, a folder may have kept an older spelling.
        if any(folder.samefile(other) for other in written):
            continue
        held = list(folder.iterdir())
        if held and all(item.name in FILES and item.is_file() for item in held):
            shutil.rmtree(folder)
