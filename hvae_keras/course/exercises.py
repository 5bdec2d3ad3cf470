"""An exercise: what is asked, the checks that grade it, and the wrong answers they must refuse.

`tests/lessons/test_NN_slug.py` makes one `Exercise` each and hangs the checks and misconceptions on it:

    reparameterise = Exercise("2.1", "reparameterise", stars=1, points=2, minutes=5, hints=(...))

    @reparameterise.check(points=1)
    def test_stretches_and_moves_the_noise(reparameterise): ...

    @reparameterise.misconception("You stretched the noise by the variance.")
    def variance_for_scale(mean, log_var, noise): ...

A check is a plain pytest function. Its first argument is the function under test; it may also ask for
`rng`, a seeded `numpy.random.Generator`.
"""

import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from hvae_keras.course.places import exercise_order
from hvae_keras.course.values import NUMERIC_KINDS, show


@dataclass(frozen=True)
class Check:
    """One check: a function of the student's function, worth `points`."""

    function: Callable
    points: float

    @property
    def title(self) -> str:
        """The name of the test as a sentence: `test_has_the_right_shape` is `has the right shape`."""
        return self.function.__name__.removeprefix("test_").replace("_", " ")

    @property
    def wants_rng(self) -> bool:
        """Whether the check draws random inputs."""
        return "rng" in inspect.signature(self.function).parameters


@dataclass(frozen=True)
class Misconception:
    """A wrong answer worth foreseeing, with the sentence a teacher would say on seeing it."""

    function: Callable
    sentence: str

    @property
    def name(self) -> str:
        """The identifier under which a class's mistakes are counted."""
        return self.function.__name__


@dataclass
class Exercise:
    """What is asked of a student, and how the answer is judged.

    `id` is `lesson.number`, `name` the function or class to write, `stars` the difficulty (1 to 3), `minutes`
    the time a student needs, `hints` three sentences: the concept, the formula, the shape of the code.
    """

    id: str
    name: str
    stars: int
    points: float
    minutes: int
    hints: tuple[str, str, str]
    checks: list[Check] = field(default_factory=list)
    misconceptions: list[Misconception] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.hints) != 3:
            raise ValueError(f"exercise {self.id}: hints must be three sentences, got {len(self.hints)}")
        if self.stars not in (1, 2, 3):
            raise ValueError(f"exercise {self.id}: stars must be 1, 2 or 3, got {self.stars}")

    def check(self, points: float) -> Callable[[Callable], Callable]:
        """Decorator: this pytest function is a check of the exercise, worth `points`."""

        def register(function: Callable) -> Callable:
            if self.name not in inspect.signature(function).parameters:
                raise TypeError(f"check {function.__name__} of exercise {self.id} needs an argument `{self.name}`")
            self.checks.append(Check(function, points))
            function.exercise = self
            return function

        return register

    def misconception(self, sentence: str) -> Callable[[Callable], Callable]:
        """Decorator: this function is a wrong answer; `sentence` says what is wrong with it."""

        def register(function: Callable) -> Callable:
            self.misconceptions.append(Misconception(function, sentence))
            return function

        return register

    def argument_names(self, count: int) -> list[str]:
        """Names for `count` positional arguments, read off a misconception's signature."""
        names = list(inspect.signature(self.misconceptions[0].function).parameters) if self.misconceptions else []
        return names[:count] + [f"argument {index + 1}" for index in range(len(names), count)]


class Mismatch(AssertionError):
    """A check's comparison that failed, with both sides kept for the verdict."""

    def __init__(self, lines: list[str]):
        super().__init__("\n".join(lines))
        self.lines = lines


def assert_close(got: object, expected: object, rtol: float = 1e-4, atol: float = 1e-5, what: str = "") -> None:
    """Refuse `got` unless it is an array of the shape and, within tolerance, the values of `expected`.

    `what` names the quantity in the verdict when it is not the function's return value itself.
    """
    target = np.asarray(expected, dtype=np.float64)
    got_label = f"got       {what + ' ' if what else ''}"
    lines = [f"expected  {what + ' ' if what else ''}{show(target)}"]
    if got is None:
        raise Mismatch([*lines, got_label + "None: is there a `return`?"])
    try:
        value = np.asarray(got)
        if value.dtype.kind not in NUMERIC_KINDS:  # "7.0" is no number, though NumPy would read it as one
            raise TypeError
        value = value.astype(np.float64)
    except (TypeError, ValueError):
        raise Mismatch([*lines, got_label + f"{show(got)}, which is not an array of numbers"]) from None
    if value.shape != target.shape:
        lines[0] += f" of shape {target.shape}" if target.size <= 12 else ""
        shape = f" of shape {value.shape}" if value.size <= 12 else ""
        raise Mismatch([*lines, got_label + show(value) + shape])
    wrong = ~np.isclose(value, target, rtol, atol)
    if not wrong.any():
        return
    lines.append(got_label + show(value))
    if value.size > 12:
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        lines.append(
            f"where     {int(wrong.sum())} of {value.size} values differ; first at {list(where)}: "
            f"expected {target[where]:.4g}, got {value[where]:.4g}"
        )
    raise Mismatch(lines)


def slow_imports(sources: Iterable[str]) -> list[str]:
    """What to import before code with these sources is timed or seeded: Keras, if any of them uses it.

    Importing TensorFlow takes seconds and draws from Python's random numbers. A function that did so in the
    middle of a call would be slow once, and draw other numbers the first time than the second.
    """
    uses_keras = re.compile(r"^\s*(import|from)\s+(keras|tensorflow|hvae_keras(?!\.course))", re.MULTILINE)
    return ["hvae_keras.backend"] if any(uses_keras.search(source) for source in sources) else []


def load_checks(path: Path) -> ModuleType:
    """Import a lesson's checks from their file."""
    for name in slow_imports([path.read_text(encoding="utf-8")]):
        importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"hvae_checks_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exercises_in(module: ModuleType) -> list[Exercise]:
    """The exercises of a module of checks, in order of their ids."""
    found = {value.id: value for value in vars(module).values() if isinstance(value, Exercise)}
    return sorted(found.values(), key=lambda exercise: exercise_order(exercise.id))
