"""From one source to two notebooks, with nbgrader as the second implementation of its own conventions."""

import json
from pathlib import Path

import nbformat
import pytest
from nbgrader.nbgraderformat.v3 import MetadataValidatorV3
from nbgrader.preprocessors import ClearSolutions
from nbgrader.utils import determine_grade

from hvae_keras.course.build import build, run, unexecuted
from hvae_keras.course.notebook import find_exercise
from hvae_keras.course.places import course_root, lessons, solution_notebook, student_notebook
from hvae_keras.course.reset import reset
from hvae_keras.course.source import (
    SourceError,
    fingerprint,
    read_notebook,
    solution_notebook_of,
    student_notebook_of,
    text_of,
)

ROOT = course_root()
SLUGS = lessons(ROOT)


def outputs_of(path: Path, kind: str) -> list:
    return [
        output
        for cell in read_notebook(path).cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == kind
    ]


def test_building_twice_gives_the_same_bytes(tiny):
    build(tiny, "01_tiny", execute=False)
    first = student_notebook(tiny, "01_tiny").read_bytes()
    student_notebook(tiny, "01_tiny").unlink()
    assert build(tiny, "01_tiny", execute=False).student_changed
    assert student_notebook(tiny, "01_tiny").read_bytes() == first


def test_the_solution_notebook_is_run_once_for_a_source(tiny):
    assert build(tiny, "01_tiny").seconds is not None
    assert build(tiny, "01_tiny").seconds is None
    source = tiny / "solutions/01_tiny.py"
    source.write_text(source.read_text().replace("# # Tiny", "# # Tiny and mended"))
    outputs = outputs_of(solution_notebook(tiny, "01_tiny"), "stream")
    assert build(tiny, "01_tiny").seconds is None
    assert read_notebook(solution_notebook(tiny, "01_tiny")).cells[0].source.startswith("# Tiny and mended")
    assert outputs_of(solution_notebook(tiny, "01_tiny"), "stream") == outputs != []
    source.write_text(source.read_text().replace("FACTOR = 2.0", "FACTOR = 4 / 2"))
    assert build(tiny, "01_tiny").seconds is not None


def test_building_leaves_the_readers_progress_alone(tiny):
    build(tiny, "01_tiny")
    assert not (tiny / ".hvae").exists()


def test_a_cell_that_fails_stops_the_build_and_keeps_what_was_there(tiny):
    from nbclient.exceptions import CellExecutionError

    build(tiny, "01_tiny")
    before = {path: path.read_bytes() for path in tiny.rglob("*.ipynb")}
    source = tiny / "solutions/01_tiny.py"
    source.write_text(source.read_text().replace("return np.sum(x)", "return np.mean(x)"))
    with pytest.raises(CellExecutionError, match="That is the mean"):
        build(tiny, "01_tiny")
    assert {path: path.read_bytes() for path in tiny.rglob("*.ipynb")} == before


def test_the_student_notebook_runs_from_top_to_bottom_with_its_stubs(tiny):
    build(tiny, "01_tiny", execute=False)
    notebook = read_notebook(student_notebook(tiny, "01_tiny"))
    run(notebook, cwd=tiny / "lessons")
    errors = [output for cell in notebook.cells for output in cell.get("outputs", []) if "ename" in output]
    assert [error.ename for error in errors] == ["NotPassed", "NotPassed"]
    assert [error.traceback for error in errors] == [
        ['○ 1.1 double   not attempted            hint("1.1") for a first hint'],
        ['○ 1.2 total   not attempted            hint("1.2") for a first hint'],
    ]


def test_headings_and_summary_carry_the_exercises_numbers(tiny):
    text = student_notebook_of(unexecuted(tiny, "01_tiny")).cells
    assert text[0].source.endswith("2 exercises (about 15 minutes), 5 points")
    assert "### Exercise 1.1 · Double  ★☆☆ · 5 minutes · 2 points" in [cell.source for cell in text]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('check="1.1"', 'check="1.7"', "exercise 1.7, which has no checks"),
        ('# %% check="1.2"\ncheck("1.2", total)', "", "1.2 has 0 check cells"),
        ("### BEGIN SOLUTION", "# begin", "no ### BEGIN SOLUTION"),
        ("Exercise 1.1 ·", "Exercise 1.8 ·", "announces exercise 1.8"),
    ],
)
def test_a_source_that_breaks_a_rule_is_refused(tiny, old, new, message):
    text = (tiny / "solutions/01_tiny.py").read_text().replace(old, new)
    exercises = [find_exercise(tiny, "1.1"), find_exercise(tiny, "1.2")]
    with pytest.raises(SourceError, match=message):
        solution_notebook_of(text, "01_tiny", exercises)


def test_reset_puts_one_stub_back_and_keeps_the_work(tiny):
    build(tiny, "01_tiny", execute=False)
    path = student_notebook(tiny, "01_tiny")
    fresh = path.read_text()
    notebook = read_notebook(path)
    for cell in notebook.cells:
        cell.source = cell.source.replace("raise NotImplementedError()", "return 1")
    work = text_of(notebook)
    path.write_text(work)
    kept = reset(tiny, "01_tiny", "1.1")
    assert kept.read_text() == work
    cells = {cell.id: cell.source for cell in read_notebook(path).cells}
    assert "raise NotImplementedError()" in cells["exercise-1-1"]
    assert "return 1" in cells["exercise-1-2"]
    assert reset(tiny, "01_tiny", "1.2") != kept
    assert path.read_text() == fresh


def test_reset_brings_back_a_deleted_stub_and_removes_copies(tiny):
    build(tiny, "01_tiny", execute=False)
    path = student_notebook(tiny, "01_tiny")
    notebook = read_notebook(path)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "exercise-1-1"]
    extra = nbformat.v4.new_code_cell("def total(x):\n    return 0")
    notebook.cells.append(extra)
    path.write_text(text_of(notebook))
    reset(tiny, "01_tiny", "1.1")
    reset(tiny, "01_tiny", "1.2")
    ids = [cell.id for cell in read_notebook(path).cells]
    assert ids.index("exercise-1-1") == ids.index("check-1-1") - 1
    assert extra.id not in ids


def test_nbgrader_makes_the_same_stubs(tiny):
    ours = student_notebook_of(unexecuted(tiny, "01_tiny"))
    theirs, _ = ClearSolutions().preprocess(unexecuted(tiny, "01_tiny"), {})
    assert [cell.source for cell in ours.cells] == [cell.source for cell in theirs.cells]


def test_nbgrader_gives_the_same_marks(tiny):
    build(tiny, "01_tiny")
    solved = read_notebook(solution_notebook(tiny, "01_tiny"))
    stubs = student_notebook_of(solved)
    run(stubs, cwd=tiny / "lessons")
    for notebook, expected in ((solved, [(2, 2), (3, 3)]), (stubs, [(0, 2), (0, 3)])):
        graded = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
        assert [determine_grade(cell) for cell in graded] == expected


@pytest.mark.parametrize("slug", SLUGS)
def test_committed_notebooks_are_what_the_source_gives(slug):
    fresh = unexecuted(ROOT, slug)
    assert student_notebook(ROOT, slug).read_text(encoding="utf-8") == text_of(student_notebook_of(fresh))
    assert fingerprint(read_notebook(solution_notebook(ROOT, slug))) == fingerprint(fresh)


@pytest.mark.parametrize("slug", SLUGS)
def test_nbgrader_accepts_the_notebooks(slug):
    fresh = unexecuted(ROOT, slug)
    for notebook in (fresh, student_notebook_of(fresh)):
        MetadataValidatorV3().validate_nb(notebook)  # raises for metadata that is not of its schema
    cleared, _ = ClearSolutions().preprocess(unexecuted(ROOT, slug), {})
    assert [c.source for c in cleared.cells] == [c.source for c in student_notebook_of(fresh).cells]


@pytest.mark.parametrize("slug", SLUGS)
def test_solution_notebooks_were_run_without_errors_and_are_small(slug):
    path = solution_notebook(ROOT, slug)
    assert path.stat().st_size < 2 * 2**20
    assert not outputs_of(path, "error")
    assert not [output for output in outputs_of(path, "stream") if output.name == "stderr"]
    code = [cell for cell in read_notebook(path).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)


@pytest.mark.parametrize("slug", SLUGS)
def test_every_image_has_alternative_text(slug):
    images = [
        output
        for output in outputs_of(solution_notebook(ROOT, slug), "display_data")
        if "image/png" in output.data
    ]
    assert images
    for output in images:
        assert len(output.metadata.get("image/png", output.metadata).get("alt", "")) > 20


@pytest.mark.parametrize("slug", SLUGS)
def test_cells_are_short_and_magics_few(slug):
    for cell in unexecuted(ROOT, slug).cells:
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            assert len(lines) <= 30, cell.source
            assert all(line == "%matplotlib inline" for line in lines if line.startswith(("%", "!")))


@pytest.mark.parametrize("slug", SLUGS)
def test_what_reset_needs_is_in_the_notebook(slug):
    metadata = json.loads(student_notebook(ROOT, slug).read_text(encoding="utf-8"))["metadata"]["hvae"]
    assert metadata["title"]
    assert 75 <= metadata["minutes"] <= 90
    for item in metadata["exercises"].values():
        assert "raise NotImplementedError()" in item["stub"]
