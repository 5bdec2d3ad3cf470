"""`hvae build`: from a lesson's source to the student notebook and the executed solution notebook."""

import base64
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from hvae_keras.course.exercises import exercises_in, load_checks
from hvae_keras.course.places import (
    checks_file,
    solution_notebook,
    source_file,
    student_notebook,
    write_whole,
)
from hvae_keras.course.source import (
    SourceError,
    fingerprint,
    read_notebook,
    solution_notebook_of,
    student_notebook_of,
    take_outputs,
    text_of,
)

CELL_SECONDS = 300


@dataclass(frozen=True)
class Built:
    """What a build did for one lesson. `seconds` is the time of the run from top to bottom, None if not run."""

    slug: str
    student_changed: bool
    seconds: float | None


def unexecuted(root: Path, slug: str) -> NotebookNode:
    """A lesson's notebook with answers, straight from its source, not run."""
    exercises = exercises_in(load_checks(checks_file(root, slug)))
    return solution_notebook_of(source_file(root, slug).read_text(encoding="utf-8"), slug, exercises)


def reuse_outputs(root: Path, slug: str, fresh: NotebookNode) -> bool:
    """Give `fresh` the outputs of the last run, if that ran the same code; whether it did."""
    path = solution_notebook(root, slug)
    if not path.is_file():
        return False
    last = read_notebook(path)
    if fingerprint(last, code_only=True) != fingerprint(fresh, code_only=True):
        return False
    take_outputs(fresh, last)
    return True


def build(
    root: Path,
    slug: str,
    execute: bool = True,
    force: bool = False,
    on_cell: Callable[[int, int], None] = lambda done, total: None,
) -> Built:
    """Write a lesson's notebooks; the solution is run if its code changed since the last run, or with `force`.

    Raises SourceError for a source that breaks a rule, nbclient's CellExecutionError for a cell that fails;
    what was there before then stays as it was.
    """
    fresh = unexecuted(root, slug)
    student_text = text_of(student_notebook_of(fresh))
    path = student_notebook(root, slug)
    changed = not path.is_file() or path.read_text(encoding="utf-8") != student_text
    seconds = None
    if execute:
        if force or not reuse_outputs(root, slug, fresh):
            start = time.monotonic()
            run(fresh, cwd=root / "solutions", on_cell=on_cell)
            seconds = time.monotonic() - start
            fresh.metadata["language_info"] = {"name": "python"}  # not the patch version of this machine's Python
            _refuse_paths(fresh, slug)
            save_picture(root, slug, fresh)
        write_whole(solution_notebook(root, slug), text_of(fresh))
    if changed:
        write_whole(path, student_text)
    return Built(slug, changed, seconds)


def run(notebook: NotebookNode, cwd: Path, on_cell: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Run a notebook from top to bottom in a fresh kernel; outputs are written into it.

    The progress that its check cells record goes to a temporary folder, not to the reader's own.
    """
    from nbclient import NotebookClient

    total = len(notebook.cells)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(cwd)}},
        on_cell_complete=lambda cell, cell_index: on_cell(cell_index + 1, total),
    )
    with _progress_elsewhere():
        client.execute()


def save_picture(root: Path, slug: str, notebook: NotebookNode) -> None:
    """Keep the image made by the cell tagged `picture`: it is the one at the top of the lesson."""
    for cell in notebook.cells:
        if "picture" in cell.metadata.get("tags", []):
            for output in cell.outputs:
                image = output.get("data", {}).get("image/png")
                if image:
                    folder = root / "lessons" / "pictures"
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / f"{slug}.png").write_bytes(base64.b64decode(image))
                    return


def _refuse_paths(notebook: NotebookNode, slug: str) -> None:
    """A warning that names a file of this machine must not be published."""
    for number, cell in enumerate(notebook.cells, 1):
        text = str(cell.get("outputs", ""))
        if any(word in text for word in (str(Path.home()) + os.sep, "site-packages")):
            raise SourceError(f"{slug}: the output of cell {number} shows a path of this machine")


@contextlib.contextmanager
def _progress_elsewhere() -> Iterator[None]:
    before = os.environ.get("HVAE_PROGRESS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HVAE_PROGRESS"] = folder
        try:
            yield
        finally:
            os.environ.pop("HVAE_PROGRESS")
            if before is not None:
                os.environ["HVAE_PROGRESS"] = before
