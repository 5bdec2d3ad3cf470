"""A process that imports what answers and checks need once, and forks a ready process whenever one is asked for.

Importing TensorFlow takes seconds; forking a process that has done so takes milliseconds. The nursery runs
nothing itself: TensorFlow starts its threads in the children, at their first operation, and a process without
them can be forked safely. Its children are judges, which load the checks and decide about marks, and the
judges' workers, which hold students' functions. A worker is forked from the nursery and not from its judge, so
that nothing of the checks is in its memory. Linux only; elsewhere each worker is started as a program.

Requests and answers are JSON, one a packet, on a socket for each who may ask; the nursery ends what it started
for someone when their end of the socket is closed, which is also what happens when they are killed.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import BinaryIO

from hvae_keras.course.answering import answer, silence
from hvae_keras.course.failures import GraderFault
from hvae_keras.course.sandbox import environment

PACKET = 2**16
GOODBYE_SECONDS = 5.0


@dataclass
class Forked:
    """A worker that a nursery forked; see worker.Running."""

    pid: int
    requests: BinaryIO
    answers: BinaryIO
    nursery: "Nursery"

    def end(self) -> int:
        """Kill it and all of its group; the signal that it had died of before, 0 if none."""
        died_of = self.nursery.end(self.pid)
        with contextlib.suppress(OSError):
            self.requests.close()  # whoever reads the answers closes them at their end
        return died_of


class Nursery:
    """Someone's line to the nursery: what they ask it to fork, they also ask it to end."""

    def __init__(self, line: socket.socket, process: subprocess.Popen | None = None):
        self._line, self._process = line, process

    @classmethod
    def start(cls, modules: list[str]) -> "Nursery":
        """A new nursery, which imports `modules` at once; asking it for something waits for that."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "hvae_keras.course.nursery", str(theirs.fileno()), *modules]
        with theirs:
            process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=environment(),
            )
        return cls(ours, process)

    def worker(self, folder: str, memory_bytes: int, modules: list[str]) -> Forked:
        """A worker in `folder`; the `modules` it needs are those of the nursery. See worker.Start."""
        (requests, to_worker), (from_worker, answers) = os.pipe(), os.pipe()
        pid = self._ask({"worker": folder, "memory": memory_bytes}, [requests, answers])["pid"]
        return Forked(pid, os.fdopen(to_worker, "wb"), os.fdopen(from_worker, "rb"), self)

    def judge(self, connection: Connection) -> int:
        """A judge that takes its tasks from `connection`; its process id."""
        return self._ask({"judge": True}, [connection.fileno()], close=False)["pid"]

    def end(self, pid: int) -> int:
        """Kill a process it forked, with its whole group; the signal it had died of before, 0 if none."""
        return self._ask({"end": pid}, [])["signal"]

    def close(self) -> None:
        """End all that was forked for us, and with whoever started the nursery the nursery itself."""
        self._line.close()
        if self._process is not None:
            try:
                self._process.wait(timeout=GOODBYE_SECONDS)
            except subprocess.TimeoutExpired:  # it is still importing
                self._process.kill()
                self._process.wait()

    def _ask(self, request: dict, descriptors: list[int], close: bool = True) -> dict:
        try:
            socket.send_fds(self._line, [json.dumps(request).encode()], descriptors)
        finally:
            for descriptor in descriptors if close else ():
                os.close(descriptor)
        reply = json.loads(self._line.recv(PACKET) or "null")
        if reply is None:
            raise ConnectionError("the nursery has ended")
        if "error" in reply:
            raise GraderFault(reply["error"])
        return reply


def serve(line: socket.socket) -> None:
    """The nursery's loop: fork what is asked for, end what is no longer wanted."""
    children: dict[socket.socket, set[int]] = {line: set()}
    while line in children:
        for asking in select.select(list(children), [], [])[0]:
            data, descriptors, *_ = socket.recv_fds(asking, PACKET, 2)
            if not data:
                for pid in children.pop(asking):
                    _end(pid)
                asking.close()
            elif "end" in (request := json.loads(data)):
                children[asking].discard(request["end"])
                _reply(asking, {"signal": _end(request["end"])})
            else:
                try:
                    pid, theirs = _fork(request, descriptors, list(children))
                except OSError as error:  # no more processes, say; those who are there go on
                    _reply(asking, {"error": f"no process could be forked: {error}"})
                else:
                    children[asking].add(pid)
                    if theirs is not None:
                        children[theirs] = set()
                    _reply(asking, {"pid": pid})
                for descriptor in descriptors:
                    os.close(descriptor)
    for pids in children.values():
        for pid in pids:
            _end(pid)


def _reply(asking: socket.socket, reply: dict) -> None:
    with contextlib.suppress(OSError):  # they died while they waited; their line will say so
        asking.send(json.dumps(reply).encode())


def _fork(request: dict, descriptors: list[int], lines: list[socket.socket]) -> tuple[int, socket.socket | None]:
    """Fork a worker or a judge; a judge gets a line of its own, whose other end comes back."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) if "judge" in request else (None, None)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setsid()
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: should the nursery die, so do they
            for line in (*lines, *filter(None, [ours])):
                line.close()
            _live(request, descriptors, theirs)
            status = 0
        finally:
            os._exit(status)
    if theirs is not None:
        theirs.close()
    return pid, ours


def _live(request: dict, descriptors: list[int], line: socket.socket | None) -> None:
    """What a child does with its life."""
    if line is not None:
        from hvae_keras.course.judging import judge_submissions

        judge_submissions(Connection(descriptors[0]), Nursery(line).worker)
        return
    silence()
    requests, answers = os.fdopen(descriptors[0], "rb"), os.fdopen(descriptors[1], "wb")
    answer(requests, answers, request["worker"], request["memory"])


def _end(pid: int) -> int:
    """Kill a child and its group, and see it off; the signal that it had died of by itself, 0 if none."""
    with contextlib.suppress(ChildProcessError):
        ended, status = os.waitpid(pid, os.WNOHANG)
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if not ended or kill is os.killpg:
                    kill(pid, signal.SIGKILL)
        if not ended:
            os.waitpid(pid, 0)
        elif os.WIFSIGNALED(status):
            return os.WTERMSIG(status)
    return 0


def main() -> None:
    """Import, then serve."""
    line = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        with contextlib.suppress(ImportError):  # an answer that needs it will say so itself
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else a child's first collection would write to, and so copy, all of the memory it shares
    serve(line)


if __name__ == "__main__":
    main()
