"""The student's end: a process that confines itself, then runs a student's functions and answers the grader.

It holds the functions, and nothing that decides about marks. Run as
`python -m hvae_keras.course.answering FOLDER MEMORY MODULES...` it answers on its standard input and output;
a nursery forks it instead.
"""

import __future__

import ast
import importlib
import linecache
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from hvae_keras.course.failures import StudentFailure
from hvae_keras.course.sandbox import confine
from hvae_keras.course.session import Session, failure_of
from hvae_keras.course.statements import parse_cell
from hvae_keras.course.values import decode, encode
from hvae_keras.course.wire import read_message, write_message


def answer(requests: BinaryIO, answers: BinaryIO, folder: str, memory_bytes: int) -> None:
    """Confine this process to `folder` and `memory_bytes` more memory, then serve requests until they end.

    The first message says which parts of the confinement are in force.
    """
    os.chdir(folder)
    os.environ.update(TMPDIR=folder, HOME=folder, PWD=folder)
    tempfile.tempdir = None
    session = Session({})
    write_message(answers, {"value": confine(folder, memory_bytes)})
    while (request := read_message(requests)) is not None:
        try:
            write_message(answers, {"value": encode(_serve(session, request))})
        except StudentFailure as failure:
            write_message(answers, {"failure": type(failure).__name__, "fields": vars(failure)})


def silence() -> None:
    """Standard input, output and errors lead nowhere: what the student prints must not become an answer."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def run_slice(name: str, cells: Sequence[tuple[int, str, Sequence[int]]]) -> object:
    """Execute the chosen statements of the chosen cells in an empty module, and return what `name` became.

    `cells` is what Submission.slice gives. Raises a StudentFailure where a statement does.
    """
    # As in a notebook, where code may ask for its name, and shows things that here nobody looks at.
    namespace: dict[str, object] = {"__name__": "__main__", "display": lambda *shown, **options: None}
    parsed = [(number, source, parse_cell(number, source).statements, taken) for number, source, taken in cells]
    chosen = [(number, source, [all_of[index] for index in taken]) for number, source, all_of, taken in parsed]
    future = _future_flags(statement for *_, statements in chosen for statement in statements)
    for number, source, statements in chosen:
        file = f"cell {number}"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        try:
            tree = ast.Module(statements, type_ignores=[])
            exec(compile(tree, file, "exec", flags=future, dont_inherit=True), namespace)
        except BaseException as error:
            raise failure_of(error) from None
    return namespace[name]


def _future_flags(statements: Iterable[ast.stmt]) -> int:
    """What `from __future__ import` asks of the compiler: in a notebook it holds for all cells below."""
    flags = 0
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for item in statement.names:
                flags |= getattr(__future__, item.name).compiler_flag
    return flags


def _serve(session: Session, request: dict) -> object:
    if "load" in request:
        session.add(request["load"], run_slice(request["load"], request["cells"]))
        return None
    if "get" in request:
        return session.get(request["get"])
    if "gradient" in request:
        return session.gradient(request["gradient"], decode(request["args"]), request["wrt"])
    return session.call(request["call"], decode(request["args"]), decode(request["kwargs"]))


def main() -> None:
    """A worker of its own, started as a program."""
    folder, memory_bytes, *modules = sys.argv[1:]
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silence()
    for name in modules:
        importlib.import_module(name)
    answer(requests, answers, folder, int(memory_bytes))


if __name__ == "__main__":
    main()
