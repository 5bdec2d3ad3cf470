"""What a student has done so far: one small JSON file an exercise, in `.hvae/progress`.

One file each, because two notebooks may be open at once. `HVAE_PROGRESS` names another folder.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hvae_keras.course.judge import Verdict
from hvae_keras.course.places import write_whole


@dataclass(frozen=True)
class Progress:
    """The record of one exercise: latest status, best points, tries, hints taken, whether ever passed."""

    status: str = "not attempted"
    points: float = 0.0
    tries: int = 0
    hints: int = 0
    passed: bool = False

    def after(self, verdict: Verdict) -> "Progress":
        """The record after one more verdict. An untouched stub is not a try."""
        if verdict.status == "not attempted":
            return self
        return replace(
            self,
            status="passed" if self.passed or verdict.passed else verdict.status,
            points=max(self.points, verdict.points),
            tries=self.tries + 1,
            passed=self.passed or verdict.passed,
        )


def progress_folder(root: Path) -> Path:
    """Where the records of this course lie."""
    return Path(os.environ.get("HVAE_PROGRESS") or root / ".hvae" / "progress")


def load_progress(root: Path, exercise: str) -> Progress:
    """The record of an exercise; a blank one where there is none that can be read."""
    try:
        data = json.loads((progress_folder(root) / f"{exercise}.json").read_text(encoding="utf-8"))
        return Progress(**data)
    except (OSError, ValueError, TypeError):
        return Progress()


def save_progress(root: Path, exercise: str, record: Progress) -> None:
    """Keep the record of an exercise."""
    write_whole(progress_folder(root) / f"{exercise}.json", json.dumps(asdict(record)))
