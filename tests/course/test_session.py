"""A check cannot tell whether the function lives in this process or in another."""

from pathlib import Path

import numpy as np
import pytest

from hvae_keras.course.answering import run_slice
from hvae_keras.course.exercises import Exercise
from hvae_keras.course.failures import Missing, NotAttempted, StudentError, TimedOut
from hvae_keras.course.judge import judge
from hvae_keras.course.session import Proxy, Session
from hvae_keras.course.statements import parse_cell
from hvae_keras.course.submission import Submission
from hvae_keras.course.worker import Worker

SOURCE = """
import random
import numpy as np

class Affine:
    def __init__(self, slope):
        self.slope, self.output_shape = slope, (None, 2)
    def __call__(self, x):
        return self.slope * x
    def count_params(self, each=1):
        return each

def make(slope):
    return Affine(slope), {"twice": Affine(2 * slope)}

def apply(model, x):
    return model(x)

def draw(n):
    return [random.random() for _ in range(n)]

def stub(x):
    raise NotImplementedError()

def nested_stub(x):
    return np.array([stub(x)])

def broken(x):
    y = x + 1
    return y.nothing

def cube(x, scale):
    return scale * x**3

def detached(x, scale):
    return np.asarray(scale) * np.asarray(x)

def slow(x):
    while True:
        pass

def describe(x, k, name, flag=None):
    return x.dtype.name, x.shape, type(k).__name__, name, flag
"""


@pytest.fixture(params=["here", "elsewhere"])
def proxy(request):
    """From a name to a proxy of the function of that name, in this process or in a worker."""
    submission = Submission(Path("x.ipynb"), None, [parse_cell(1, SOURCE)])
    names = [s.cell.statements[s.index].name for s in submission.statements if s.defines]
    if request.param == "here":
        session = Session({name: run_slice(name, submission.slice(name)) for name in names})
        yield lambda name: Proxy(name, session, [])
        return
    with Worker(submission) as worker:
        worker.start()
        with worker.limited(20):
            yield lambda name: Proxy(name, worker, [])


def test_objects_are_called_and_asked_where_they_live(proxy):
    first, others = proxy("make")(3.0)
    x = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(first(x), 3 * x)
    np.testing.assert_array_equal(others["twice"](x), 6 * x)
    assert first.count_params(each=5) == 5
    assert first.output_shape == (None, 2)
    assert not hasattr(first, "_private")
    assert not hasattr(first, "nothing_of_the_kind")


def test_an_object_can_be_handed_back(proxy):
    first, _ = proxy("make")(3.0)
    np.testing.assert_array_equal(first([1.0]), [3.0])


def test_what_is_drawn_is_the_same_everywhere_and_each_time(proxy):
    here = Session({"draw": run_slice("draw", [(1, SOURCE, [0, 5])])})
    first = proxy("draw")(3)
    assert len(set(first)) == 3
    assert first == proxy("draw")(3) == here.call("draw", (3,), {})


def test_arguments_arrive_with_their_kinds(proxy):
    shown = proxy("describe")([[1, 2.5]], 3, "a", flag=True)
    assert shown == ("float32", (1, 2), "int", "a", True)


def test_a_stub_is_not_attempted_also_when_called_by_another(proxy):
    for name in ("stub", "nested_stub"):
        with pytest.raises(NotAttempted):
            proxy(name)(1)


def test_errors_show_the_students_line(proxy):
    with pytest.raises(StudentError) as caught:
        proxy("broken")([1.0])
    assert caught.value.message == "AttributeError: 'numpy.ndarray' object has no attribute 'nothing'"
    assert caught.value.place == "cell 1, line 30: return y.nothing"


def test_gradients_are_taken_where_the_function_lives(proxy):
    x, scale = [1.0, -2.0], [3.0, 0.5]
    np.testing.assert_allclose(proxy("cube").gradient_in(0, x, scale), [9.0, 6.0], rtol=1e-6)
    np.testing.assert_allclose(proxy("cube").gradient_in(1, x, scale), [1.0, -8.0], rtol=1e-6)
    assert proxy("detached").gradient_in(1, x, scale) is None
    with pytest.raises(NotAttempted):
        proxy("stub").gradient_in(0, x)


def test_a_missing_function_says_so(proxy):
    with pytest.raises(Missing):
        proxy("nowhere")(1)


def test_time_is_up_in_either_place():
    submission = Submission(Path("x.ipynb"), None, [parse_cell(1, SOURCE)])
    here = Session({"slow": run_slice("slow", submission.slice("slow"))})
    with Worker(submission) as elsewhere:
        for session in (here, elsewhere):
            with pytest.raises(TimedOut), session.limited(0.5):
                session.call("slow", (1,), {})


def test_the_cause_is_found_in_every_check_though_objects_are_numbered_on():
    def make(slope):
        return run_slice("make", [(1, SOURCE, [1, 2, 3])])(slope)[0]

    build = Exercise("9.1", "build", stars=1, points=2, minutes=5, hints=("a", "b", "c"))

    @build.check(points=1)
    def test_first(build):
        assert build(1.0)([1.0])[0] == 1.0

    @build.check(points=1)
    def test_second(build):
        assert build(2.0)([1.0])[0] == 4.0, "expected 4"

    build.misconception("You forgot the square.")(make)
    verdict = judge(build, Session({"build": make}))
    assert [check.status for check in verdict.checks] == ["passed", "wrong"]
    assert verdict.checks[1].cause == "You forgot the square."
