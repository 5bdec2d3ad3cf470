"""A student's functions in a process of their own, and the grader's end of the line to it.

The grader writes requests and reads answers as JSON, each behind its length in four bytes; the worker holds
the functions, and nothing that decides about marks. Run as `python -m hvae_keras.course.worker` it is the
worker. Time limits are kept by the grader, from outside: past them the worker's whole process group is killed.
"""

import contextlib
import importlib
import json
import os
import queue
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

from hvae_keras.course import failures
from hvae_keras.course.exercises import slow_imports
from hvae_keras.course.failures import StudentError, TimedOut
from hvae_keras.course.session import Session, failure_of
from hvae_keras.course.submission import Submission, parse_cell
from hvae_keras.course.values import decode, encode

START_SECONDS = 120.0
LARGEST_ANSWER = 64 * 2**20
LENGTH = struct.Struct(">I")


class Worker:
    """The grader's end: a session whose functions, from `submission`, run in another process.

    The process is started when it is first needed and again after it died, so that one exercise that kills it
    costs the others nothing.
    """

    def __init__(self, submission: Submission):
        self.submission = submission
        self._process: subprocess.Popen | None = None
        self._answers: queue.Queue = queue.Queue()
        self._loaded: set[str] = set()
        self._ready = False
        self._limit = START_SECONDS
        self._deadline = 0.0

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def call(self, target: str, args: tuple, kwargs: dict) -> object:
        """See Session.call."""
        self._load(target)
        return self._ask({"call": target, "args": encode(args), "kwargs": encode(kwargs)})

    def gradient(self, target: str, args: tuple, wrt: int) -> object:
        """See Session.gradient."""
        self._load(target)
        return self._ask({"gradient": target, "args": encode(args), "wrt": wrt})

    def get(self, target: str) -> object:
        """See Session.get."""
        self._load(target)
        return self._ask({"get": target})

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Within this block an answer that takes longer than the `seconds` left kills the worker."""
        self.start()
        self._limit, self._deadline = seconds, time.monotonic() + seconds
        yield

    def start(self) -> None:
        """Start the process unless it runs, and wait until it has imported what the functions will need."""
        self.launch()
        if not self._ready:
            self._limit, self._deadline = START_SECONDS, time.monotonic() + START_SECONDS
            self._receive()
            self._ready = True

    def launch(self) -> None:
        """Start the process unless it runs, without waiting for it."""
        if self._process is not None:
            return
        self._loaded, self._ready, self._answers = set(), False, queue.Queue()
        self._folder = tempfile.TemporaryDirectory(prefix="hvae-worker-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "hvae_keras.course.worker",
                *slow_imports(cell.source for cell in self.submission.cells),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            start_new_session=True,
        )
        threading.Thread(target=_read_all, args=(self._process.stdout, self._answers), daemon=True).start()

    def stop(self) -> None:
        """Kill the process, and whatever it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._folder.cleanup()
        self._process = None

    def _load(self, target: str) -> None:
        name = target.split(".")[0]
        if name.startswith("#") or name in self._loaded:
            return
        self._ask({"load": name, "cells": self.submission.slice(name)})
        self._loaded.add(name)

    def _ask(self, request: dict) -> object:
        if self._process is None:
            raise StudentError("the process that held this object has ended")
        # From a thread, so that a worker that no longer reads cannot hold up the clock.
        threading.Thread(target=_write_quietly, args=(self._process.stdin, request), daemon=True).start()
        answer = self._receive()
        try:
            match answer:
                case {"value": value}:
                    return decode(value)
                case {"failure": str(kind), "fields": dict(fields)} if kind in WIRE_FAILURES:
                    raise getattr(failures, kind)(**{name: str(text) for name, text in fields.items()})
        except (TypeError, ValueError, AttributeError):
            pass
        self.stop()
        raise StudentError("the process gave an answer that cannot be read")

    def _receive(self) -> object:
        try:
            answer = self._answers.get(timeout=max(self._deadline - time.monotonic(), 0.001))
        except queue.Empty:
            self.stop()
            raise TimedOut(round(self._limit, 1)) from None
        if answer is None:
            self.stop()
            raise StudentError("the function ended its own process (os._exit, or a crash)")
        return answer


WIRE_FAILURES = ("NotAttempted", "Missing", "StudentError")


def write_message(stream: BinaryIO, message: object) -> None:
    """Write one message: its length, then its JSON."""
    data = json.dumps(message).encode("utf-8")
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def read_message(stream: BinaryIO) -> object:
    """Read one message, or None at the end of the stream or where what comes is no message."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size or LENGTH.unpack(header)[0] > LARGEST_ANSWER:
        return None
    data = stream.read(LENGTH.unpack(header)[0])
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _write_quietly(stream: BinaryIO, message: object) -> None:
    with contextlib.suppress(OSError, ValueError):  # a dead worker is noticed when it does not answer
        write_message(stream, message)


def _read_all(stream: BinaryIO, answers: queue.Queue) -> None:
    with contextlib.suppress(OSError, ValueError), stream:
        while (message := read_message(stream)) is not None:
            answers.put(message)
    answers.put(None)


def main() -> None:
    """The worker's loop: load definitions, call functions, answer."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)  # what the student prints must not become an answer
    for name in sys.argv[1:]:
        importlib.import_module(name)
    session = Session({})
    write_message(answers, {"value": "ready"})
    while (request := read_message(requests)) is not None:
        try:
            write_message(answers, {"value": encode(_serve(session, request))})
        except failures.StudentFailure as failure:
            write_message(answers, {"failure": type(failure).__name__, "fields": vars(failure)})


def _serve(session: Session, request: dict) -> object:
    if "load" in request:
        session.add(request["load"], run_slice(request["load"], request["cells"]))
        return None
    if "get" in request:
        return session.get(request["get"])
    if "gradient" in request:
        return session.gradient(request["gradient"], decode(request["args"]), request["wrt"])
    return session.call(request["call"], decode(request["args"]), decode(request["kwargs"]))


def run_slice(name: str, cells: list) -> object:
    """Execute the chosen statements of the chosen cells in an empty module, and return what `name` became."""
    import ast
    import linecache

    namespace: dict[str, object] = {"__name__": "submission"}
    for number, source, positions in cells:
        file = f"cell {number}"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        statements = parse_cell(number, source).statements
        module = ast.Module([statements[position] for position in positions], type_ignores=[])
        try:
            exec(compile(module, file, "exec"), namespace)
        except BaseException as error:
            raise failure_of(error) from None
    return namespace[name]


if __name__ == "__main__":
    main()
