"""What gradings have found, one file a submission, so that nothing is graded twice and nothing is lost.

A record is named by a fingerprint of everything that decides about it: the notebook and its name, the checks, the
library and the instructor's settings. A record that cannot be read is as good as none.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from hvae_keras.course.grading import Report
from hvae_keras.course.judging import Task
from hvae_keras.course.places import checks_file, lessons, write_whole


class Ledger:
    """The records in a folder, of gradings with the checks of the course at `root`."""

    def __init__(self, folder: Path, root: Path):
        self.folder = folder
        package = Path(__file__).resolve().parents[1]
        sources = [*sorted(package.rglob("*.py")), *(checks_file(root, slug) for slug in lessons(root))]
        self._course = _digest(path.read_bytes() for path in sources)

    def key(self, task: Task) -> str:
        """The name of a task's record."""
        settings = task.settings
        rules = [settings.seed, settings.seconds, settings.memory, sorted(settings.leave_out)]
        rules += [sorted(settings.points.items()), task.lesson, task.problem, task.status]
        content = digest_of(task.path).encode()
        return _digest([self._course.encode(), json.dumps(rules).encode(), os.fsencode(task.path.name), content])

    def read(self, key: str) -> Report | None:
        """What was found before; None where nothing was."""
        try:
            return Report.from_dict(json.loads(self._file(key).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, key: str, report: Report) -> None:
        """Keep what was found."""
        write_whole(self._file(key), json.dumps(report.as_dict()))

    def tries(self, student: str, lesson: str, digest: str) -> int:
        """How many different files the student has handed in for the lesson, now that this one is among them."""
        file = self.folder / "tries" / f"{_digest([os.fsencode(student), lesson.encode()])}.json"
        try:
            seen = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            seen = []
        if digest not in seen:
            seen.append(digest)
            write_whole(file, json.dumps(seen))
        return len(seen)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def digest_of(path: Path) -> str:
    """A fingerprint of a file's content, read piece by piece; empty where there is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()[:32]
