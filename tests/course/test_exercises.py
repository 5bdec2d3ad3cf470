"""Every exercise of every lesson: right answers pass, wrong ones are refused by name, stubs score nothing."""

import ast
import functools

import pytest

from hvae_keras.course.answering import run_slice
from hvae_keras.course.build import unexecuted
from hvae_keras.course.exercises import Exercise, exercises_in, load_checks
from hvae_keras.course.judge import judge
from hvae_keras.course.places import checks_file, course_root, lessons, source_file
from hvae_keras.course.session import Session
from hvae_keras.course.source import solution_of, student_notebook_of
from hvae_keras.course.statements import parse_cell
from hvae_keras.course.submission import Submission, read_submission

ROOT = course_root()
SEEDS = range(20)

# Made from its source, a lesson's notebook takes longer than the tests of it, which only read.
notebook_of = functools.cache(unexecuted)


def every_exercise() -> list:
    return [
        pytest.param(slug, exercise, id=exercise.id)
        for slug in lessons(ROOT)
        for exercise in exercises_in(load_checks(checks_file(ROOT, slug)))
    ]


def every_misconception() -> list:
    return [
        pytest.param(param.values[1], wrong, id=f"{param.id}-{wrong.name}")
        for param in every_exercise()
        for wrong in param.values[1].misconceptions
    ]


def session_with(exercise: Exercise, submission: Submission) -> Session:
    return Session({exercise.name: run_slice(exercise.name, submission.slice(exercise.name))})


@pytest.mark.parametrize(("slug", "exercise"), every_exercise())
def test_the_right_answer_passes_under_every_seed(slug, exercise):
    session = session_with(exercise, read_submission(source_file(ROOT, slug)))
    for seed in SEEDS:
        verdict = judge(exercise, session, seed)
        assert verdict.passed, f"seed {seed}: {verdict}"
        assert verdict.points == exercise.points


@pytest.mark.parametrize(("exercise", "wrong"), every_misconception())
def test_a_misconception_is_refused_under_every_seed_by_its_own_sentence(exercise, wrong):
    for seed in SEEDS:
        verdict = judge(exercise, Session({exercise.name: wrong.function}), seed)
        assert verdict.status == "wrong", f"seed {seed}: {verdict}"
        failed = next(check for check in verdict.checks if check.status != "passed")
        assert failed.cause == wrong.sentence, f"seed {seed}: {verdict}"


@pytest.mark.parametrize("value", [None, "todo", 0.0, object(), ()], ids=["None", "todo", "0.0", "object", "()"])
@pytest.mark.parametrize(("slug", "exercise"), every_exercise())
def test_whatever_comes_back_there_is_a_verdict(slug, exercise, value):
    verdict = judge(exercise, Session({exercise.name: lambda *args, **kwargs: value}))
    assert verdict.status == "wrong"
    assert len(str(verdict).splitlines()) <= 15


@pytest.mark.parametrize(("slug", "exercise"), every_exercise())
def test_the_stub_scores_nothing(slug, exercise):
    cells = student_notebook_of(notebook_of(ROOT, slug)).cells
    stubs = Submission(
        source_file(ROOT, slug),
        slug,
        [parse_cell(i, cell.source) for i, cell in enumerate(cells) if cell.cell_type == "code"],
    )
    verdict = judge(exercise, session_with(exercise, stubs))
    assert (verdict.status, verdict.points) == ("not attempted", 0)


@pytest.mark.parametrize(("slug", "exercise"), every_exercise())
def test_an_exercise_is_well_formed(slug, exercise):
    assert len(exercise.misconceptions) >= 3
    assert len(exercise.checks) >= 2
    assert sum(check.points for check in exercise.checks) == exercise.points
    assert exercise.id.split(".")[0] == str(int(slug[:2]))
    assert 5 <= exercise.minutes <= 15
    for sentence in [wrong.sentence for wrong in exercise.misconceptions] + list(exercise.hints):
        assert sentence[-1] in ".?!…)", sentence
    assert len({wrong.sentence for wrong in exercise.misconceptions}) == len(exercise.misconceptions)


@pytest.mark.parametrize(("slug", "exercise"), every_exercise())
def test_the_last_hint_does_not_spell_out_the_solution(slug, exercise):
    solution = solution_of(source_file(ROOT, slug).read_text(encoding="utf-8"), exercise.id)
    body = ast.parse(solution).body[0].body[1:]
    for line in {part.strip() for node in body for part in ast.unparse(node).splitlines()}:
        if len(line) > 15:
            assert not any(line.replace(" ", "") in hint.replace(" ", "") for hint in exercise.hints)


@pytest.mark.parametrize(("slug", "exercise"), every_exercise())
def test_an_answer_needs_nothing_but_imports_and_definitions(slug, exercise):
    submission = read_submission(source_file(ROOT, slug))
    for number, source, positions in submission.slice(exercise.name):
        for position in positions:
            node = parse_cell(number, source).statements[position]
            assert isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)), ast.unparse(node)


@pytest.mark.parametrize("slug", lessons(ROOT))
def test_a_lesson_never_depends_on_the_readers_answers(slug):
    exercises = exercises_in(load_checks(checks_file(ROOT, slug)))
    names = {exercise.name for exercise in exercises}
    for number, cell in enumerate(notebook_of(ROOT, slug).cells, 1):
        if cell.cell_type == "code" and "check" not in cell.metadata and "exercise" not in cell.metadata:
            one = Submission(source_file(ROOT, slug), slug, [parse_cell(number, cell.source)])
            for statement in one.statements:
                used = names & (statement.now | statement.later | statement.binds)
                assert not used, f"cell {number} uses or rebinds {used}"
