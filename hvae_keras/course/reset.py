"""`hvae reset`: one stub back, or a whole lesson, with the student's work kept aside."""

import time
from pathlib import Path

from nbformat import NotebookNode

from hvae_keras.course.places import NoSuchLesson, student_notebook, write_whole
from hvae_keras.course.source import read_notebook, text_of
from hvae_keras.course.statements import parse_cell


def reset(root: Path, slug: str, exercise_id: str) -> Path:
    """Put the stub of one exercise back into the student's notebook; returns the copy made before.

    The stub comes from the notebook's own metadata, so it is there without network, git or solutions.
    Raises NoSuchLesson, naming the exercises there are.
    """
    path = student_notebook(root, slug)
    if not path.is_file():
        raise NoSuchLesson(f"there is no notebook lessons/{path.name}")
    notebook = read_notebook(path)
    stubs = notebook.metadata.get("hvae", {}).get("exercises", {})
    if exercise_id not in stubs:
        raise NoSuchLesson(f"lesson {slug} has no exercise {exercise_id!r}; it has {', '.join(sorted(stubs))}")
    kept = keep_copy(root, path)
    put_stub_back(notebook, exercise_id, stubs[exercise_id]["name"], stubs[exercise_id]["stub"])
    write_whole(path, text_of(notebook))
    return kept


def put_stub_back(notebook: NotebookNode, exercise_id: str, name: str, stub: str) -> None:
    """Make the exercise's cell its stub again; a deleted cell is put back before its check."""
    import nbformat

    marked = [cell for cell in notebook.cells if cell.metadata.get("exercise") == exercise_id]
    defining = [cell for cell in notebook.cells if cell.cell_type == "code" and _defines(cell.source, name)]
    if marked or defining:
        cell = (marked or defining)[0]
        cell.source, cell.outputs, cell.execution_count = stub, [], None
        extra = {id(other) for other in defining if other is not cell}
        notebook.cells = [other for other in notebook.cells if id(other) not in extra]
        return
    checks = [i for i, cell in enumerate(notebook.cells) if cell.metadata.get("check") == exercise_id]
    made = nbformat.v4.new_code_cell(stub, metadata={"exercise": exercise_id})
    made["id"] = f"exercise-{exercise_id.replace('.', '-')}"
    notebook.cells.insert(checks[0] if checks else len(notebook.cells), made)


def keep_copy(root: Path, path: Path) -> Path:
    """Copy a notebook aside before it is changed; the copies stay in `.hvae/kept`."""
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    copy = root / ".hvae" / "kept" / f"{path.stem}_{stamp}.ipynb"
    number = 1
    while copy.exists():
        number += 1
        copy = copy.with_name(f"{path.stem}_{stamp}_{number}.ipynb")
    write_whole(copy, path.read_text(encoding="utf-8"))
    return copy


def _defines(source: str, name: str) -> bool:
    cell = parse_cell(0, source)
    return any(getattr(node, "name", None) == name for node in cell.statements)
