"""The grader's end of the line to a process that holds a student's functions.

Time and memory are kept from here, from outside: past either limit the process and its whole group are killed.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import psutil

from hvae_keras.course import failures
from hvae_keras.course.exercises import slow_imports
from hvae_keras.course.failures import GraderFault, OutOfMemory, StudentError, StudentFailure, TimedOut
from hvae_keras.course.sandbox import environment
from hvae_keras.course.submission import Submission
from hvae_keras.course.values import decode, encode
from hvae_keras.course.wire import read_message, write_message

START_SECONDS = 120.0
WATCH_SECONDS = 0.05
MEMORY_BYTES = 2 * 2**30
LONGEST_TEXT = 200  # of what a student's error says
MOST_THREADS, MOST_FILES, MOST_BYTES = 512, 2000, 2**30
WIRE_FAILURES = ("NotAttempted", "Missing", "OutOfMemory", "StudentError")


class Running(Protocol):
    """A student's process: where to write requests, where to read answers, and its end."""

    pid: int
    requests: BinaryIO
    answers: BinaryIO

    def end(self) -> int:
        """Kill it with all its group; the signal that it had died of before, 0 if none."""


# From a folder to work in, bytes of memory and modules to import, to a process that answers.
Start = Callable[[str, int, list[str]], Running]


@dataclass
class Started:
    """A worker that was started as a program of its own; see Running."""

    process: subprocess.Popen

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def requests(self) -> BinaryIO:
        """Where it reads."""
        return self.process.stdin

    @property
    def answers(self) -> BinaryIO:
        """Where it writes."""
        return self.process.stdout

    def end(self) -> int:
        """Kill it with all its group; the signal that it had died of before, 0 if none."""
        code = self.process.poll()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            self.requests.close()
        return -code if code is not None and code < 0 else 0


def start_program(folder: str, memory_bytes: int, modules: list[str]) -> Started:
    """Start a worker as a program, which imports `modules` first. Works on every system, and takes seconds."""
    command = [sys.executable, "-m", "hvae_keras.course.answering", folder, str(memory_bytes), *modules]
    return Started(
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
            # One thread of NumPy's would be there before the process is confined, and stay outside.
            env={**environment(), "OPENBLAS_NUM_THREADS": "1"},
        )
    )


class Worker:
    """A session whose functions, from `submission`, run in another process.

    The process is started when it is first needed and again after it died. It may take `memory_bytes` more than
    it had when it was ready. `confined` names the parts of the sandbox in force, once it has started; `crashed`
    says whether it ever died of a signal that the grader had not sent.
    """

    def __init__(
        self, submission: Submission, start: Start = start_program, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self.submission = submission
        self.confined: tuple[str, ...] = ()
        self.crashed = False
        self._start, self._memory_bytes = start, memory_bytes
        self._running: Running | None = None
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
            try:
                self.confined = tuple(self._receive()["value"])
            except StudentFailure as failure:  # nothing of the student's has been run yet
                raise GraderFault(f"the process for the student's functions did not start: {failure}") from None
            self._most_bytes = self._resident_bytes() + self._memory_bytes
            self._ready = True

    def launch(self) -> None:
        """Start the process unless it runs, without waiting for it."""
        if self._running is not None:
            return
        try:
            self._launch()
        except OSError as error:
            raise GraderFault(f"no process for the student's functions: {error}") from error

    def _launch(self) -> None:
        self._loaded, self._ready, self._most_bytes = set(), False, float("inf")
        self._answers = queue.Queue()
        self._folder = tempfile.TemporaryDirectory(prefix="hvae-worker-", ignore_cleanup_errors=True)
        modules = slow_imports(cell.source for cell in self.submission.cells)
        self._running = self._start(self._folder.name, self._memory_bytes, modules)
        _thread(_read_all, self._running.answers, self._answers)

    def stop(self) -> int:
        """Kill the process, and whatever it started; the signal that it had died of before, 0 if none."""
        if self._running is None:
            return 0
        running, self._running = self._running, None
        died_of = running.end()
        with contextlib.suppress(Exception):  # what a student left there may be hard to remove
            self._folder.cleanup()
        return died_of

    def _load(self, target: str) -> None:
        name = target.split(".")[0]
        if name.startswith("#") or name in self._loaded:
            return
        self._ask({"load": name, "cells": self.submission.slice(name)})
        self._loaded.add(name)

    def _ask(self, request: dict) -> object:
        if self._running is None:
            raise StudentError("the process that held this object has ended")
        # From a thread, so that a worker that no longer reads cannot hold up the clock.
        _thread(_write_quietly, self._running.requests, request)
        answer = self._receive()
        try:
            match answer:
                case {"value": value}:
                    return decode(value)
                case {"failure": str(kind), "fields": dict(fields)} if kind in WIRE_FAILURES:
                    raise getattr(failures, kind)(
                        **{name: str(text)[:LONGEST_TEXT] for name, text in fields.items()}
                    )
        except (TypeError, ValueError, AttributeError):
            pass
        self.stop()
        raise StudentError("the process gave an answer that cannot be read")

    def _receive(self) -> object:
        """The next answer, unless time, memory or the process comes to its end first."""
        while True:
            left = self._deadline - time.monotonic()
            try:
                answer = self._answers.get(timeout=min(max(left, 0.001), WATCH_SECONDS))
                break
            except queue.Empty:
                self._watch(left)
        if answer is None:
            died_of = self.stop()
            self.crashed |= died_of != 0
            name = f"a crash: {signal.Signals(died_of).name}" if died_of else "os._exit, or a crash"
            raise StudentError(f"the function ended its own process ({name})")
        return answer

    def _watch(self, left: float) -> None:
        """Kill the process if its time is up or its memory full."""
        if left <= 0:
            self.stop()
            raise TimedOut(round(self._limit, 1))
        if self._resident_bytes() > self._most_bytes:
            self.stop()
            raise OutOfMemory(f"it took more than {self._memory_bytes / 2**30:g} GiB of memory")
        if self._thread_count() > MOST_THREADS:
            self.stop()
            raise StudentError(f"it started more than {MOST_THREADS} threads")
        if _is_full(Path(self._folder.name)):
            self.stop()
            raise StudentError(f"it wrote more than {MOST_FILES} files or {MOST_BYTES / 2**30:g} GiB")

    def _resident_bytes(self) -> int:
        try:
            return psutil.Process(self._running.pid).memory_info().rss
        except psutil.Error:  # it has just ended
            return 0

    def _thread_count(self) -> int:
        try:
            return psutil.Process(self._running.pid).num_threads()
        except psutil.Error:
            return 0


def _is_full(folder: Path) -> bool:
    """Whether a worker's folder holds more than it may. One that is hard to read is full."""
    files = bytes_used = 0
    waiting = [folder]
    try:
        while waiting:
            for item in os.scandir(waiting.pop()):
                files += 1
                if item.is_dir(follow_symlinks=False):
                    waiting.append(item.path)
                else:
                    bytes_used += item.stat(follow_symlinks=False).st_size
                if files > MOST_FILES or bytes_used > MOST_BYTES:
                    return True
    except FileNotFoundError:  # it is at work there
        return False
    except OSError:
        return True
    return False


def _thread(target: Callable, *args: object) -> None:
    try:
        threading.Thread(target=target, args=args, daemon=True).start()
    except RuntimeError as error:
        raise GraderFault(f"no thread for the student's process: {error}") from error


def _write_quietly(stream: BinaryIO, message: object) -> None:
    with contextlib.suppress(OSError, ValueError):  # a dead worker is noticed when it does not answer
        write_message(stream, message)


def _read_all(stream: BinaryIO, answers: queue.Queue) -> None:
    with contextlib.suppress(OSError, ValueError), stream:
        while (message := read_message(stream)) is not None:
            if not answers.empty():
                break  # nobody asked for this one: a flood must not fill the grader's memory
            answers.put(message)
    answers.put(None)
