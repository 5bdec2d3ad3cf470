"""Grade the submission of a Gradescope container: `python -m hvae_keras.course.packages.gradescope ROOT LESSON`.

`run_autograder` has written a result before that says that the grader failed. It stays unless this ends well.
What is printed is shown to the instructor only.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from datetime import datetime
from pathlib import Path

from hvae_keras.course.bundle import settings_text
from hvae_keras.course.places import write_whole


class NothingToGrade(ValueError):
    """The submission holds no notebook or several; the message is for the student."""


def main(root: Path, lesson: str) -> None:
    """Grade what lies in `root/submission` and write `root/results/results.json`, in Gradescope's format.

    Raises RuntimeError where the grader failed; the result that was there then stays.
    """
    try:
        notebook = find_notebook(root / "submission")
        results = graded(notebook, lesson, read_metadata(root), root / "source" / "course")
    except NothingToGrade as problem:
        results = {"score": 0, "output": str(problem), "visibility": "visible", "stdout_visibility": "hidden"}
    write_whole(root / "results" / "results.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def find_notebook(folder: Path) -> Path:
    """The one notebook that was handed in. Raises NothingToGrade."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    names = {path: path.relative_to(folder) for path in files}
    # Copies that Jupyter and macOS make are not the student's doing.
    kept = [path for path in files if not any(part.startswith((".", "__MACOSX")) for part in names[path].parts)]
    notebooks = [path for path in kept if path.suffix.lower() == ".ipynb"]
    if len(notebooks) == 1:
        return notebooks[0]
    if notebooks:
        listed = ", ".join(str(names[path]) for path in notebooks[:5])
        raise NothingToGrade(
            f"There are {len(notebooks)} notebooks: {listed}. Hand in one only, the one to be graded."
        )
    listed = ", ".join(str(names[path]) for path in kept[:5]) or "nothing"
    raise NothingToGrade(f"There is no notebook (a file NAME.ipynb) in what you handed in: {listed}.")


def read_metadata(root: Path) -> dict:
    """What Gradescope says about the submission; nothing, where it says nothing."""
    try:
        metadata = json.loads((root / "submission_metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def graded(notebook: Path, lesson: str, metadata: dict, course: Path) -> dict:
    """Gradescope's results for a notebook, by `hvae grade`. Raises RuntimeError where it leaves none."""
    with tempfile.TemporaryDirectory() as place:
        # A name of our own: the student's may be anything.
        copy, out, settings = (Path(place) / name for name in (f"{lesson}.ipynb", "grades", "settings.toml"))
        shutil.copyfile(notebook, copy)
        submitted = moment(metadata.get("created_at"))
        if submitted is not None:
            os.utime(copy, (submitted.timestamp(),) * 2)  # from which the grader knows whether it is late
        settings.write_text(settings_text(settings_of(course, metadata)), encoding="utf-8")
        command = [sys.executable, "-P", "-c", "from hvae_keras.cli import main; main()", "grade", str(copy)]
        command += ["--lesson", lesson, "--out", str(out), "--settings", str(settings)]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL)
        found = list(out.glob("students/*/results.json"))
        if ended.returncode or len(found) != 1:
            raise RuntimeError(f"hvae grade ended with status {ended.returncode} and left {len(found)} results")
        return json.loads(found[0].read_text(encoding="utf-8"))


def settings_of(course: Path, metadata: dict) -> dict[str, dict]:
    """The course's settings, and where they tell what lateness costs, when the submission was due.

    Gradescope knows that, extensions included; of a group's dates the latest counts.
    """
    path = course / "course.toml"
    tables = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    users = [user.get("assignment") or {} for user in metadata.get("users") or []]
    dates = [due for user in users if (due := moment(user.get("due_date")))]
    due = max(dates) if dates else moment((metadata.get("assignment") or {}).get("due_date"))
    if "late" in tables and due is not None:
        tables["late"]["due"] = due
    return tables


def moment(text: object) -> datetime | None:
    """A date as Gradescope writes it, with its time zone; None where it is not one."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
