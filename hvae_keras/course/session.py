"""Where the student's functions live, and the view of them that a check gets.

A `Session` runs functions in this process (in a notebook); `worker.Worker` has the same three methods and
runs them in another (in the grader). A check sees a `Proxy` of either and cannot tell which.
"""

import contextlib
import linecache
import os
import random
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hvae_keras.course.failures import (
    Missing,
    NotAttempted,
    OutOfMemory,
    StudentError,
    StudentFailure,
    TimedOut,
)
from hvae_keras.course.values import Reference, as_argument, as_result, same


class Session:
    """Functions under test in this process, and the objects they returned that are not plain values."""

    def __init__(self, functions: Mapping[str, Callable]):
        self._objects: dict[str, object] = dict(functions)

    def add(self, name: str, function: Callable) -> None:
        """Put one more function under test."""
        self._objects[name] = function

    def call(self, target: str, args: tuple, kwargs: dict) -> object:
        """The plain result of calling `target`, a function's name, `#3`, or `#3.method`.

        Raises a StudentFailure where the call does not return. The global seeds are set before each call:
        what a function draws is then the same in every process.
        """
        function = self._find(target)
        _seed_everything()
        args = [self._resolve(value) for value in args]
        kwargs = {name: self._resolve(value) for name, value in kwargs.items()}
        try:
            return as_result(function(*args, **kwargs), self._keep)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise failure_of(error) from None

    def gradient(self, target: str, args: tuple, wrt: int) -> object:
        """The gradient of the sum of what `target` returns, in its argument number `wrt`, by TensorFlow.

        None where no gradient reaches that argument. Raises a StudentFailure where the call does not return.
        """
        import tensorflow as tf

        function = self._find(target)
        _seed_everything()
        tensors = [tf.convert_to_tensor(value) for value in args]
        try:
            with tf.GradientTape() as tape:
                tape.watch(tensors[wrt])
                total = tf.reduce_sum(tf.convert_to_tensor(function(*tensors)))
            return as_result(tape.gradient(total, tensors[wrt]), self._keep)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise failure_of(error) from None

    def get(self, target: str) -> object:
        """The plain value of an attribute such as `#3.output_shape`; a Reference where it is a method.

        Raises Missing where there is no such attribute, another StudentFailure where it cannot be had.
        """
        try:
            value = as_result(self._find(target), lambda found: Reference(target))
        except AttributeError as error:
            raise Missing(str(error)) from None
        except BaseException as error:
            raise failure_of(error) from None
        return value

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Interrupt the block after `seconds`. A single long TensorFlow operation is only stopped at its end."""
        expired = threading.Event()
        timer = threading.Timer(seconds, _interrupt_main_thread, (expired,))
        timer.daemon = True
        timer.start()
        try:
            yield
        except KeyboardInterrupt:
            if expired.is_set():
                raise TimedOut(round(seconds, 1)) from None
            raise
        finally:
            timer.cancel()

    def _find(self, target: str) -> object:
        key, *attributes = target.split(".")
        if key not in self._objects:
            raise Missing(f"there is no {key}")
        value = self._objects[key]
        for name in attributes:
            value = getattr(value, name)
        return value

    def _keep(self, value: object) -> Reference:
        key = f"#{len(self._objects)}"
        self._objects[key] = value
        return Reference(key)

    def _resolve(self, value: object) -> object:
        return self._find(value.key) if isinstance(value, Reference) else value


def _seed_everything() -> None:
    random.seed(1)
    np.random.seed(1)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(1)


def _interrupt_main_thread(expired: threading.Event) -> None:
    expired.set()
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)


def failure_of(error: BaseException) -> StudentFailure:
    """What an exception inside a student's function means, with the student's own last line."""
    if isinstance(error, StudentFailure):
        return error
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_cell(frame.filename)]
    innermost = traceback.extract_tb(error.__traceback__)[-1:]
    if isinstance(error, NotImplementedError) and (not frames or frames[-1] == innermost[0]):
        return NotAttempted()
    text = str(error).strip().splitlines()
    message = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's own
        return OutOfMemory(message)
    if not frames:
        return StudentError(message)
    frame = frames[-1]
    cell = frame.filename if frame.filename.startswith("cell ") else "your cell"
    line = (frame.line or linecache.getline(frame.filename, frame.lineno)).strip()
    return StudentError(message, f"{cell}, line {frame.lineno}: {line}")


def _is_cell(filename: str) -> bool:
    """Code typed into a notebook has a file name that is no file."""
    return not filename.startswith("<frozen") and not os.path.exists(filename)


@dataclass(frozen=True)
class Call:
    """One call that a check made: what went in, and what came out or went wrong."""

    target: str
    args: tuple
    kwargs: dict
    result: object = None
    failure: str = ""

    def agrees(self, other: "Call") -> bool:
        """Whether two calls had the same outcome. Which number an object was given does not matter."""
        same_target = re.sub(r"#\d+", "#", self.target) == re.sub(r"#\d+", "#", other.target)
        return same_target and self.failure == other.failure and same(self.result, other.result)


class Proxy:
    """A student's function, or an object it returned, as a check sees it; every call is recorded in `calls`."""

    def __init__(self, target: str, session: Session, calls: list[Call]):
        self._target, self._session, self._calls = target, session, calls

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call it on arrays; arrays, numbers and proxies of further objects come back."""
        # The function gets copies: what it writes into its inputs must not change what we report.
        copies = tuple(_outgoing(value) for value in args), {key: _outgoing(kwargs[key]) for key in kwargs}
        return self._recorded(lambda: self._session.call(self._target, *copies), args, kwargs)

    def gradient_in(self, wrt: int, *args: object) -> np.ndarray | None:
        """The gradient of the sum of its outputs in argument number `wrt`; None where none reaches it."""
        copies = tuple(_outgoing(value) for value in args)
        return self._recorded(lambda: self._session.gradient(self._target, copies, wrt), args, {})

    def _recorded(self, call: Callable[[], object], args: tuple, kwargs: dict) -> object:
        """The outcome of a call, wrapped; it is recorded whether it returns or not."""
        args = tuple(_outgoing(value) for value in args)
        kwargs = {key: _outgoing(kwargs[key]) for key in kwargs}
        try:
            result = call()
        except StudentFailure as failure:
            self._calls.append(Call(self._target, args, kwargs, failure=str(failure).splitlines()[0]))
            raise
        self._calls.append(Call(self._target, args, kwargs, result=result))
        return self._wrap(result)

    def __getattr__(self, name: str) -> object:
        """A method (as a proxy) or a plain attribute of the object."""
        if name.startswith("_"):
            raise AttributeError(name)
        target = f"{self._target}.{name}"
        try:
            value = self._session.get(target)
        except Missing as missing:
            raise AttributeError(str(missing)) from None  # as Python has it, so that hasattr and NumPy work
        self._calls.append(Call(target, (), {}, result=value))
        return self._wrap(value)

    def _wrap(self, value: object) -> object:
        if isinstance(value, Reference):
            return Proxy(value.key, self._session, self._calls)
        if isinstance(value, (list, tuple)):
            return type(value)(self._wrap(item) for item in value)
        if isinstance(value, dict):
            return {key: self._wrap(item) for key, item in value.items()}
        return value


def _outgoing(value: object) -> object:
    return Reference(value._target) if isinstance(value, Proxy) else as_argument(value)
