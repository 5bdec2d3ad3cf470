"""What a student sees under a stub: verdicts, hints, solutions."""

import numpy as np
import pytest

from hvae_keras.course.notebook import NotPassed, check, find_exercise, hint, reveal
from hvae_keras.course.places import NoSuchLesson
from hvae_keras.course.progress import load_progress, progress_folder


def verdict_of(exercise: str, function) -> str:
    with pytest.raises(NotPassed) as caught:
        check(exercise, function)
    assert "\n".join(caught.value._render_traceback_()) == str(caught.value)
    return str(caught.value)


def stub(x):
    raise NotImplementedError()


def test_passed(tiny, capsys):
    check("1.1", lambda x: 2 * x)
    assert capsys.readouterr().out == "✓ 1.1 double   2 of 2 points\n"


def test_an_id_may_be_typed_as_a_number(tiny, capsys):
    check(1.1, lambda x: 2 * x)
    assert capsys.readouterr().out.startswith("✓ 1.1 double")


def test_not_attempted(tiny):
    assert verdict_of("1.1", stub) == ('○ 1.1 double   not attempted            hint("1.1") for a first hint')


def test_wrong_with_its_likely_cause(tiny):
    assert verdict_of("1.1", lambda x: x**2).splitlines() == [
        "✗ 1.1 double   0 of 2 checks, 0 of 2 points",
        "  doubles numbers",
        "    inputs    x [1., -3.]",
        "    expected  [2., -6.]",
        "    got       [1., 9.]",
        "  Likely cause: You squared it.",
        "  Also failed: doubles whatever comes",
    ]


def test_points_for_the_checks_passed(tiny):
    text = verdict_of("1.1", lambda x: np.where(np.ndim(x) == 1, 2 * x, 3 * x))
    assert "1 of 2 checks, 1 of 2 points" in text
    assert "Likely cause" not in text
    assert "20 of 20 values differ; first at [0, 0]: expected" in text


def test_nothing_returned(tiny):
    assert "got       None: is there a `return`?" in verdict_of("1.2", lambda x: None)


def test_wrong_shape(tiny):
    text = verdict_of("1.2", lambda x: np.array([7.0]))
    assert "expected  7. of shape ()" in text
    assert "got       [7.] of shape (1,)" in text


def test_an_error_shows_the_students_line_and_nothing_of_ours(tiny):
    namespace = {}
    source = "def total(x):\n    y = x\n    return y + undefined\n"
    exec(compile(source, "<cell>", "exec"), namespace)
    text = verdict_of("1.2", namespace["total"])
    assert "error" in text
    assert "NameError: name 'undefined' is not defined" in text
    assert "line 3" in text
    assert "hvae_keras" not in text
    assert len(text.splitlines()) < 15


def test_an_object_is_no_array(tiny):
    assert "which is not an array of numbers" in verdict_of("1.2", lambda x: object)


def test_a_function_that_writes_into_its_input_changes_nothing(tiny):
    def careless(x):
        x *= 2
        return x

    check("1.1", careless)


def test_a_loop_without_end_is_stopped(tiny, monkeypatch):
    from hvae_keras.course.judge import judge
    from hvae_keras.course.session import Session

    def forever(x):
        while True:
            pass

    verdict = judge(find_exercise(tiny, "1.1"), Session({"double": forever}), limit=0.3)
    assert verdict.status == "timed out"
    assert "no answer within 0.3 seconds" in str(verdict)
    assert 0.2 < verdict.seconds < 5


def test_the_students_interrupt_is_not_a_verdict(tiny):
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("1.1", interrupted)
    assert load_progress(tiny, "1.1").tries == 0


def test_hints_come_one_at_a_time(tiny, capsys):
    hint("1.1")
    assert capsys.readouterr().out == 'Hint 1 of 3: Twice.\nhint("1.1") again for the next one.\n'
    hint("1.1")
    hint("1.1")
    hint("1.1")
    last = capsys.readouterr().out
    assert last.count("Hint 3 of 3: One line.") == 2
    assert last.endswith("after a pass, or after 3 more tries.\n")


def test_the_solution_is_shown_after_three_tries_and_a_stub_is_no_try(tiny, capsys):
    for _ in range(3):
        verdict_of("1.1", stub)
    reveal("1.1")
    assert capsys.readouterr().out == "The solution is shown after a pass, or after 3 more tries.\n"
    for _ in range(3):
        verdict_of("1.1", lambda x: x)
    reveal("1.1")
    shown = capsys.readouterr().out
    assert "return FACTOR * np.asarray(x)" in shown
    assert "SOLUTION" not in shown


def test_the_solution_is_shown_after_a_pass(tiny, capsys):
    check("1.1", lambda x: 2 * x)
    reveal("1.1")
    assert "return FACTOR" in capsys.readouterr().out


def test_the_instructor_decides_when_a_solution_is_shown(tiny, capsys):
    settings = tiny / "course.toml"
    check("1.1", lambda x: 2 * x)
    capsys.readouterr()
    for text, shown in [
        ('when = "never"', "Solutions are not shown.\n"),
        ('when = "date"\ndate = 2999-01-01T00:00:00', "The solution is shown from 2999-01-01 00:00 "),
        ('when = "perhaps"', "Solutions are not shown: tell your instructor that course.toml: reveal.when must"),
    ]:
        settings.write_text(f"[reveal]\n{text}\n")
        reveal("1.1")
        told = capsys.readouterr().out
        assert told.startswith(shown)
        for _ in range(3):
            hint("1.1")
        assert capsys.readouterr().out.endswith(f"That was the last hint. {told}")
    for text in ('when = "passed"', 'when = "date"\ndate = 2020-01-01T00:00:00', 'when = "tries"\ntries = 9'):
        settings.write_text(f"[reveal]\n{text}\n")
        reveal("1.1")
        assert "return FACTOR" in capsys.readouterr().out
        hint("1.1")
        assert capsys.readouterr().out.endswith('That was the last hint. reveal("1.1") shows a solution.\n')


def test_the_instructor_decides_how_many_tries(tiny, capsys):
    (tiny / "course.toml").write_text('[reveal]\nwhen = "tries"\ntries = 1\n')
    reveal("1.1")
    assert capsys.readouterr().out == "The solution is shown after a pass, or after 1 more try.\n"
    verdict_of("1.1", lambda x: x)
    reveal("1.1")
    assert "return FACTOR" in capsys.readouterr().out


def test_a_bundle_without_solutions_says_so(tiny, capsys):
    (tiny / "solutions/01_tiny.py").unlink()
    check("1.1", lambda x: 2 * x)
    reveal("1.1")
    assert "comes without solutions" in capsys.readouterr().out
    for _ in range(3):
        hint("1.1")
    assert capsys.readouterr().out.endswith("That was the last hint.\n")


def test_a_pass_is_not_lost_by_a_later_mistake(tiny):
    check("1.1", lambda x: 2 * x)
    verdict_of("1.1", lambda x: x)
    record = load_progress(tiny, "1.1")
    assert record.passed
    assert record.points == 2
    assert record.tries == 2


def test_a_damaged_record_is_a_blank_one(tiny):
    check("1.1", lambda x: 2 * x)
    (progress_folder(tiny) / "1.1.json").write_text('{"status": "pas')
    assert not load_progress(tiny, "1.1").passed
    check("1.1", lambda x: 2 * x)
    assert load_progress(tiny, "1.1").passed


def test_unknown_exercises_are_named(tiny):
    with pytest.raises(NoSuchLesson, match="it has 1.1, 1.2"):
        check("1.9", len)
    with pytest.raises(NoSuchLesson, match="there are: 01_tiny"):
        check("7.1", len)
