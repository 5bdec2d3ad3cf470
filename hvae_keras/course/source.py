"""A lesson's one source, `solutions/NN_slug.py`, and what is made of its exercise cells.

A source is a jupytext py:percent script. Its exercise cells carry `exercise="2.1"`, its check cells
`check="2.1"`; the markers around a solution, the stub and the metadata are nbgrader's, so that an
instructor who uses nbgrader can take the notebooks as they are.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

import nbformat
from nbformat import NotebookNode

from hvae_keras.course.exercises import Exercise

STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN SOLUTION[^\n]*\n(?P<body>.*?)^[ \t]*### END SOLUTION[^\n]*$",
    re.DOTALL | re.MULTILINE,
)
HEADING = re.compile(r"^(### Exercise (\d+\.\d+) · [^\n★]+?)\s*$", re.MULTILINE)
SUMMARY = "{exercise summary}"


class SourceError(ValueError):
    """A lesson's source breaks a rule of the course; the message names the cell."""


def solution_notebook_of(text: str, slug: str, exercises: Sequence[Exercise]) -> NotebookNode:
    """The unexecuted notebook with the answers, made from a source's text.

    Raises SourceError where cells and exercises do not match.
    """
    import jupytext

    parsed = jupytext.reads(text, fmt="py:percent")
    about = dict(parsed.metadata.get("hvae", {}))
    known = {exercise.id: exercise for exercise in exercises}
    notebook = nbformat.v4.new_notebook()
    notebook.nbformat_minor = 5
    for number, cell in enumerate(parsed.cells, 1):
        notebook.cells.append(_cell(cell, number, known))
    _require_each_once(notebook, known)
    stubs = {
        exercise.id: {
            "name": exercise.name,
            "points": exercise.points,
            "minutes": exercise.minutes,
            "stub": stub_of(_exercise_cell(notebook, exercise.id).source),
        }
        for exercise in exercises
    }
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "hvae": {"lesson": slug, **about, "exercises": stubs},
        }
    )
    return notebook


def student_notebook_of(solution: NotebookNode) -> NotebookNode:
    """The notebook that students get: stubs for solutions, no outputs.

    Check cells carry the tag `raises-exception`, so that "Run All" goes on past an exercise not yet done.
    """
    notebook = nbformat.from_dict(json.loads(json.dumps(solution)))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if "exercise" in cell.metadata:
            cell.source = stub_of(cell.source)
        if "check" in cell.metadata:
            cell.metadata["tags"] = ["raises-exception"]
    return notebook


def stub_of(source: str) -> str:
    """An exercise cell with the part between the markers replaced by a stub that raises when called."""
    return SOLUTION.sub(lambda match: indent(STUB, match["indent"]), source)


def solution_of(text: str, exercise_id: str) -> str:
    """The solution of one exercise in a source's text, without its markers."""
    import jupytext

    cell = _exercise_cell(jupytext.reads(text, fmt="py:percent"), exercise_id)
    return re.sub(r"^[ \t]*### (BEGIN|END) SOLUTION[^\n]*\n?", "", cell.source, flags=re.MULTILINE)


def fingerprint(notebook: NotebookNode, code_only: bool = False) -> str:
    """A hash of the cells' sources and metadata, not of outputs; of the code cells' sources with `code_only`."""
    cells = [
        cell.source if code_only else [cell.cell_type, cell.source, cell.metadata]
        for cell in notebook.cells
        if cell.cell_type == "code" or not code_only
    ]
    return hashlib.sha256(json.dumps(cells, sort_keys=True).encode()).hexdigest()[:16]


def take_outputs(notebook: NotebookNode, executed: NotebookNode) -> None:
    """Give a notebook the outputs of another one with the same code."""
    ours, theirs = ([cell for cell in nb.cells if cell.cell_type == "code"] for nb in (notebook, executed))
    for cell, done in zip(ours, theirs, strict=True):
        cell.outputs, cell.execution_count = done.outputs, done.execution_count


def text_of(notebook: NotebookNode) -> str:
    """A notebook as the text of its file; the same notebook always gives the same bytes."""
    nbformat.validate(notebook)
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook file."""
    return nbformat.read(path, as_version=4)


def _cell(cell: NotebookNode, number: int, known: dict[str, Exercise]) -> NotebookNode:
    metadata = {key: value for key, value in cell.metadata.items() if key != "lines_to_next_cell"}
    exercise_id = metadata.get("exercise") or metadata.get("check")
    if cell.cell_type == "markdown":
        made = nbformat.v4.new_markdown_cell(_with_figures(cell.source, known))
    else:
        made = nbformat.v4.new_code_cell(cell.source)
    made["id"] = f"cell-{number:03d}"
    if exercise_id is not None:
        if exercise_id not in known:
            raise SourceError(f"cell {number} is for exercise {exercise_id}, which has no checks")
        solution = "exercise" in metadata
        if solution and not SOLUTION.search(cell.source):
            raise SourceError(f"cell {number}, exercise {exercise_id}: no ### BEGIN SOLUTION … ### END SOLUTION")
        made["id"] = f"{'exercise' if solution else 'check'}-{exercise_id.replace('.', '-')}"
        metadata["nbgrader"] = _nbgrader(made["id"], solution, known[exercise_id].points)
    made.metadata = nbformat.from_dict(metadata)
    return made


def _nbgrader(grade_id: str, solution: bool, points: float) -> dict:
    """nbgrader's metadata, schema 3: a cell to be solved, or a cell that is graded by running it."""
    common = {"grade_id": grade_id, "locked": not solution, "schema_version": 3, "task": False}
    if solution:
        return common | {"grade": False, "solution": True}
    return common | {"grade": True, "solution": False, "points": points}


def _with_figures(markdown: str, known: dict[str, Exercise]) -> str:
    """Difficulty, minutes and points in headings and in the summary, from the exercises' own numbers."""

    def heading(match: re.Match) -> str:
        exercise = known.get(match[2])
        if exercise is None:
            raise SourceError(f"a heading announces exercise {match[2]}, which has no checks")
        stars = "★" * exercise.stars + "☆" * (3 - exercise.stars)
        points = f"{exercise.points:g} point{'' if exercise.points == 1 else 's'}"
        return f"{match[1]}  {stars} · {exercise.minutes} minutes · {points}"

    minutes, points = (sum(getattr(e, name) for e in known.values()) for name in ("minutes", "points"))
    summary = f"{len(known)} exercises (about {minutes} minutes), {points:g} points"
    return HEADING.sub(heading, markdown).replace(SUMMARY, summary)


def _exercise_cell(notebook: NotebookNode, exercise_id: str) -> NotebookNode:
    return next(cell for cell in notebook.cells if cell.metadata.get("exercise") == exercise_id)


def _require_each_once(notebook: NotebookNode, known: dict[str, Exercise]) -> None:
    for kind in ("exercise", "check"):
        ids = [cell.metadata[kind] for cell in notebook.cells if kind in cell.metadata]
        for exercise_id in known:
            if ids.count(exercise_id) != 1:
                raise SourceError(f"exercise {exercise_id} has {ids.count(exercise_id)} {kind} cells, not one")
