"""Submissions as they should not be, by accident or on purpose, each with the fate that it deserves.

The course of the zoo has three exercises: `double` (2 points), `total` (3 points) and `shift` (2 points, which
returns a function). An animal says what becomes of each; of what it does not say, the answer is right.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

DOUBLE = "import numpy as np\ndef double(x):\n    return 2 * np.asarray(x)"
TOTAL = "import numpy as np\ndef total(x):\n    return np.sum(x)"
SHIFT = "def shift(c):\n    return lambda x: x + c"
RIGHT = (DOUBLE, TOTAL, SHIFT)
STUB = "def total(x):\n    raise NotImplementedError()"
POINTS = {"9.1": 2, "9.2": 3, "9.3": 2}


@dataclass(frozen=True)
class Animal:
    """A submission by its name, its cells (or its whole file), and what is expected of it.

    `fates` maps an exercise to its status, or to its status and points where a part of it was right.
    """

    name: str
    cells: tuple[object, ...] = RIGHT
    fates: dict[str, object] = field(default_factory=dict)
    file: bytes | Callable[[], bytes] | None = None
    says: str = ""

    def content(self, root: Path) -> bytes:
        """The bytes of the file that is handed in, by someone who knows where the grader's course lies."""
        if self.file is not None:
            return self.file if isinstance(self.file, bytes) else self.file()
        return notebook(*self.cells).replace(b"ROOT", str(root).encode())

    def expected(self) -> dict[str, tuple[str, float]]:
        """The status and points of each exercise."""
        fates = {}
        for exercise, points in POINTS.items():
            fate = self.fates.get(exercise, "passed")
            fates[exercise] = fate if isinstance(fate, tuple) else (fate, points if fate == "passed" else 0)
        return fates


def code(source: object, **more: object) -> dict:
    """A code cell."""
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None, **more}


def notebook(*cells: object, **top: object) -> bytes:
    """The file of a notebook; cells given as text are code."""
    made = [cell if isinstance(cell, dict) else code(cell) for cell in cells]
    about = {"cells": made, "metadata": {"hvae": {"lesson": "09_zoo"}}, "nbformat": 4, "nbformat_minor": 4}
    return json.dumps({**about, **top}).encode()


def wrong_total(body: str, before: str = "") -> tuple[str, str, str]:
    """Right answers but for `total`, whose body is given."""
    lines = "\n".join("    " + line for line in body.splitlines())
    return DOUBLE, f"import numpy as np\n{before}\ndef total(x):\n{lines}", SHIFT


def animal(name: str, status: str, body: str, before: str = "", says: str = "") -> Animal:
    """One whose `total` misbehaves while it runs."""
    fates = {} if status == "passed" else {"9.2": status}
    return Animal(name, wrong_total(body, before), fates, says=says)


LOST = dict.fromkeys(POINTS, "missing")

FILES = (
    Animal("honest"),
    Animal("zero_bytes", fates=LOST, file=b""),
    Animal("only_spaces", fates=LOST, file=b" \n\n"),
    Animal("not_json", fates=LOST, file=b"def total(x): return sum(x)"),
    Animal("json_but_a_list", fates=LOST, file=b"[1, 2, 3]"),
    Animal("json_but_null", fates=LOST, file=b"null"),
    Animal("json_without_cells", fates=LOST, file=b'{"nbformat": 4, "nbformat_minor": 4, "metadata": {}'),
    Animal("a_picture", fates=LOST, file=b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40),
    Animal("only_nul_bytes", fates=LOST, file=bytes(10_000)),
    Animal("cut_in_half", fates=LOST, file=lambda: notebook(*RIGHT)[:300]),
    Animal("utf_16", fates=LOST, file=lambda: notebook(*RIGHT).decode().encode("utf-16")),
    Animal("byte_order_mark", file=lambda: b"\xef\xbb\xbf" + notebook(*RIGHT)),
    Animal("nested_too_deep", fates=LOST, file=b"[" * 200_000 + b"]" * 200_000),
    Animal(
        "an_old_notebook",
        file=lambda: json.dumps(
            {
                "metadata": {"name": "old"},
                "nbformat": 3,
                "nbformat_minor": 0,
                "worksheets": [
                    {
                        "cells": [
                            {"cell_type": "code", "input": text, "language": "python", "outputs": []}
                            for text in RIGHT
                        ]
                    }
                ],
            }
        ).encode(),
    ),
    Animal("lines_as_a_list", tuple(code(source.splitlines(keepends=True)) for source in RIGHT)),
    Animal("a_cell_whose_source_is_a_number", (code(7), code(None), code({"a": 1}), *RIGHT)),
    Animal("a_cell_that_is_no_cell", (*RIGHT, {"cell_type": "code"}, {"nothing": 1})),
    Animal("another_lesson_in_its_metadata", file=lambda: notebook(*RIGHT, metadata={"hvae": {"lesson": "77_x"}})),
    Animal("a_list_for_metadata", file=lambda: notebook(*RIGHT, metadata={"hvae": [1]})),
    Animal(
        "fifty_megabytes_of_output",
        (
            code(DOUBLE, outputs=[{"output_type": "stream", "name": "stdout", "text": "x" * 50_000_000}]),
            TOTAL,
            SHIFT,
        ),
    ),
    Animal("ten_thousand_cells", (*("1 + 1",) * 10_000, *RIGHT)),
    Animal("windows_line_ends", tuple(source.replace("\n", "\r\n") for source in RIGHT)),
)

CELLS = (
    Animal("a_syntax_error_elsewhere", ("def hurray(:", *RIGHT)),
    Animal("a_syntax_error", (DOUBLE, "def total(x):\n    return np.sum(x", SHIFT), {"9.2": "error"}),
    Animal("nul_bytes_in_a_cell", (DOUBLE, TOTAL + "\0\0", SHIFT), {"9.2": "error"}),
    Animal("an_expression_too_long_to_parse", ("y = " + "+".join("1" * 100_000), *RIGHT)),
    Animal("brackets_too_deep_to_parse", ("y = " + "(" * 5_000 + ")" * 5_000, *RIGHT)),
    Animal("surrogates_in_a_string", (*RIGHT, "a = '\\ud800'", "b = '\ud800'")),
    Animal("a_deleted_cell", (DOUBLE, SHIFT), {"9.2": "missing"}),
    Animal("all_cells_deleted", (), LOST),
    Animal("the_stub_copied_below", (*RIGHT, STUB), {"9.2": "not attempted"}, says="the last one counts"),
    Animal("the_stub_left_above", (STUB, *RIGHT), says="the last one counts"),
    Animal("cells_in_another_order", (SHIFT, TOTAL, DOUBLE)),
    Animal("a_helper_below", ("def total(x):\n    return add_up(x)", DOUBLE, SHIFT, "add_up = sum")),
    Animal("a_renamed_function", (DOUBLE, TOTAL.replace("total", "my_total"), SHIFT), {"9.2": "missing"}),
    Animal("a_cyrillic_letter_in_its_name", (DOUBLE, TOTAL.replace("total", "tоtal"), SHIFT), {"9.2": "missing"}),
    Animal(
        "an_answer_in_a_text_cell",
        (DOUBLE, {"cell_type": "markdown", "source": TOTAL, "metadata": {}}, SHIFT),
        {"9.2": "missing"},
    ),
    Animal("a_lambda", (STUB, DOUBLE, SHIFT, "import numpy as np\ntotal = lambda x: np.sum(x)")),
    Animal(
        "defined_under_if", (DOUBLE, SHIFT, "import numpy as np\nif True:\n    def total(x): return np.sum(x)")
    ),
    Animal(
        "defined_under_try",
        (DOUBLE, SHIFT, "try:\n    from numpy import sum as add\nexcept ImportError: pass", TOTAL),
    ),
    Animal("its_name_used_again_for_a_number", (*RIGHT, "total = total([1, 2])")),
    Animal("its_name_used_again_in_a_loop", (*RIGHT, "for total in range(3): pass")),
    Animal("its_name_deleted", (*RIGHT, "del total")),
    Animal("made_by_exec", (DOUBLE, 'exec("def total(x): return sum(x)")', SHIFT), {"9.2": "missing"}),
    Animal(
        "a_class_of_that_name", (DOUBLE, "class total:\n    def __init__(self, x): pass", SHIFT), {"9.2": "wrong"}
    ),
    Animal("async", (DOUBLE, "async def total(x):\n    return x.sum()", SHIFT), {"9.2": "wrong"}),
    Animal("a_generator", (DOUBLE, "def total(x):\n    yield x.sum()", SHIFT), {"9.2": "wrong"}),
    Animal(
        "compiled_by_tensorflow",
        (DOUBLE, "import tensorflow as tf\n@tf.function\ndef total(x):\n    return tf.reduce_sum(x)", SHIFT),
    ),
    Animal("magics_and_shell", ("%matplotlib inline", "!touch /tmp/hvae-zoo-shell", "%%bash\nrm -rf ~", *RIGHT)),
    Animal("sys_exit_in_another_cell", ("import sys\nsys.exit(0)", *RIGHT)),
    Animal("a_loop_in_another_cell", ("while True: pass", *RIGHT)),
    Animal("star_imports", ("from numpy import *", DOUBLE, "def total(x):\n    return sum(x)", SHIFT)),
    Animal(
        "a_module_that_is_not_there",
        (DOUBLE, "import nowhere_to_be_found\ndef total(x):\n    return nowhere_to_be_found.sum(x)", SHIFT),
        {"9.2": "error"},
        says="nowhere_to_be_found",
    ),
    Animal(
        "a_default_that_exits",
        (DOUBLE, "import sys\ndef total(x, y=sys.exit()):\n    return x.sum()", SHIFT),
        {"9.2": "error"},
    ),
    Animal(
        "a_chain_of_two_thousand_helpers",
        (
            DOUBLE,
            "def h0(x):\n    return x.sum()\n"
            + "\n".join(f"def h{i}(x):\n    return h{i - 1}(x)" for i in range(1, 2000)),
            "def total(x):\n    return h1999(x)",
            SHIFT,
        ),
        {"9.2": "error"},
    ),
)

RUNS_AWAY = (
    animal("an_endless_loop", "timed out", "while True:\n    pass"),
    animal(
        "an_endless_tensorflow_loop",
        "timed out",
        "import tensorflow as tf\nreturn tf.while_loop(lambda i: True, lambda i: [i + 1], [tf.constant(0)])",
    ),
    animal(
        "an_endless_compiled_loop",
        "timed out",
        "return f(tf.constant(0))",
        "import tensorflow as tf\n@tf.function\ndef f(i):\n    while i >= 0:\n        i = (i + 1) % 7\n    return i",
    ),
    animal("asleep", "timed out", "import time\ntime.sleep(10**6)"),
    animal(
        "deaf_to_signals",
        "timed out",
        "import signal\nfor s in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):\n    signal.signal(s, signal.SIG_IGN)\nwhile True:\n    pass",
    ),
    animal(
        "a_slow_conversion",
        "timed out",
        "class Slow:\n    def __array__(self, *a, **k):\n        while True: pass\nreturn Slow()",
    ),
    animal("a_huge_power", "timed out", "return 7 ** (7 ** 12)"),
    animal("a_slow_pattern", "timed out", "import re\nre.match('(a+)+$', 'a' * 40 + 'b')\nreturn np.sum(x)"),
    animal("waits_for_input", "error", "return float(input())"),
    animal("os_exit", "error", "import os\nos._exit(0)"),
    animal("sys_exit", "error", "import sys\nsys.exit(0)"),
    animal("abort", "error", "import os\nos.abort()"),
    animal("a_null_pointer", "error", "import ctypes\nctypes.string_at(0)"),
    animal("interrupts_itself", "error", "raise KeyboardInterrupt"),
    animal("recursion", "error", "return total(x)", says="RecursionError"),
    animal(
        "recursion_without_a_limit",
        "error",
        "import sys\nsys.setrecursionlimit(10**9)\nreturn list(map(total, [x]))",
    ),
    animal(
        "an_error_that_cannot_be_told",
        "error",
        "class E(Exception):\n    def __str__(self): raise ValueError('no')\nraise E()",
    ),
    animal("an_error_of_a_hundred_megabytes", "error", "raise ValueError('x' * 10**8)"),
    animal("an_error_of_ten_thousand_lines", "error", "raise ValueError('<script>alert(1)</script>\\n' * 10**4)"),
    animal("sixteen_gigabytes", "out of memory", "return np.ones(2**31).sum()"),
    animal(
        "sixteen_gigabytes_of_tensorflow",
        "out of memory",
        "import tensorflow as tf\nreturn tf.reduce_sum(tf.ones([2**32]))",
    ),
    animal("a_list_that_grows", "out of memory", "a = []\nwhile True:\n    a.append(bytes(10**6))"),
    animal(
        "three_gigabytes_touched",
        "out of memory",
        "a = np.ones(3 * 2**27)\nimport time\ntime.sleep(10)\nreturn x.sum()",
    ),
    animal("an_answer_of_a_hundred_megabytes", "error", "return np.zeros(10**8 // 4, 'float32')"),
    animal("an_answer_nested_too_deep", "error", "a = []\nfor _ in range(10**5):\n    a = [a]\nreturn a"),
    animal("an_answer_that_holds_itself", "error", "a = []\na.append(a)\nreturn a"),
    animal(
        "fifty_megabytes_printed",
        "passed",
        "print('x' * 50_000_000)\nimport sys\nsys.stderr.write('y' * 10**6)\nreturn np.sum(x)",
    ),
    animal(
        "a_thread_left_behind",
        "passed",
        "import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin, daemon=True).start()\nreturn np.sum(x)",
    ),
    animal(
        "a_slow_goodbye", "passed", "import atexit, time\natexit.register(time.sleep, 10**6)\nreturn np.sum(x)"
    ),
)

BREAKS_OUT = (
    animal("fork", "error", "import os\nos.fork()\nreturn x.sum()"),
    animal("a_fork_bomb", "error", "import os\nwhile True:\n    os.fork()"),
    animal("a_program", "error", "import subprocess\nsubprocess.run(['true'], check=True)\nreturn x.sum()"),
    animal("becomes_another_program", "error", "import os\nos.execv('/bin/sleep', ['sleep', '1000'])"),
    animal(
        "multiprocessing",
        "error",
        "import multiprocessing\nmultiprocessing.Process(target=print).start()\nreturn x.sum()",
    ),
    animal("kills_its_parent", "error", "import os\nos.kill(os.getppid(), 9)\nreturn x.sum()"),
    animal("kills_everyone", "error", "import os\nos.kill(-1, 9)\nreturn x.sum()"),
    animal("leaves_its_group", "error", "import os\nos.setpgid(0, 0)\nos.setsid()\nreturn x.sum()"),
    animal("a_socket", "error", "import socket\nsocket.create_connection(('127.0.0.1', 9), 1)"),
    animal(
        "a_datagram",
        "error",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    ),
    animal("a_download", "error", "import urllib.request\nurllib.request.urlopen('http://example.org')"),
    animal("writes_in_tmp", "error", "open('/tmp/hvae-zoo-was-here', 'w').write('x')\nreturn x.sum()"),
    animal(
        "writes_in_its_own_folder",
        "passed",
        "import tempfile\nwith tempfile.NamedTemporaryFile() as f:\n    f.write(b'x')\nopen('mine', 'w').write('x')\nreturn x.sum()",
    ),
    animal(
        "a_file_of_ten_gigabytes",
        "error",
        "f = open('big', 'wb')\nfor _ in range(10_000):\n    f.write(bytes(2**20))\nreturn x.sum()",
    ),
    animal(
        "reads_the_solutions", "error", "exec(open('ROOT/solutions/09_zoo.py').read(), globals())\nreturn total(x)"
    ),
    animal("reads_the_checks", "error", "open('ROOT/tests/lessons/test_09_zoo.py').read()\nreturn x.sum()"),
    animal("lists_the_class", "error", "import os\nos.listdir('ROOT/submissions')\nreturn x.sum()"),
    animal("forges_the_grades", "error", "open('ROOT/grades/grades.csv', 'w').write('forged')\nreturn x.sum()"),
    animal("deletes_the_grades", "error", "import shutil\nshutil.rmtree('ROOT/grades')\nreturn x.sum()"),
    animal("locks_the_grades", "error", "import os\nos.chmod('ROOT/submissions', 0)\nreturn x.sum()"),
    animal(
        "reads_its_parents_memory",
        "error",
        "import os\nopen(f'/proc/{os.getppid()}/mem', 'rb').read(1)\nreturn x.sum()",
    ),
    animal(
        "traces_its_parent",
        "error",
        "import ctypes, os\nif ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0):\n    raise OSError('no')\nreturn x.sum()",
    ),
    animal(
        "reads_the_graders_secrets",
        "error",
        "import os\nassert 'ZOO_TOKEN' in os.environ or b'ZOO_TOKEN' in open('/proc/self/environ', 'rb').read()\nreturn x.sum()",
    ),
    animal(
        "raises_its_own_limits",
        "error",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nreturn x.sum()",
    ),
)

CHEATS = (
    animal(
        "equal_to_everything", "wrong", "return Same()", "class Same:\n    def __eq__(self, other): return True"
    ),
    animal(
        "a_float_that_lies",
        "wrong",
        "return Liar(0)",
        "class Liar(float):\n    def __eq__(self, other): return True\n    def __sub__(self, other): return 0.0\n    __hash__ = None",
    ),
    animal(
        "a_text_that_lies",
        "wrong",
        "return Liar('x')",
        "class Liar(str):\n    def __eq__(self, other): return True\n    __hash__ = None",
    ),
    animal(
        "an_array_that_lies",
        "wrong",
        "return np.zeros(()).view(Liar)",
        "class Liar(np.ndarray):\n    def __eq__(self, other): return True\n    def __array_ufunc__(self, *a, **k): return np.True_",
    ),
    animal(
        "an_array_that_changes_its_mind",
        "wrong",
        "return Mind()",
        "class Mind:\n    n = 0\n    def __array__(self, *a, **k):\n        Mind.n += 1\n        return np.array(Mind.n, 'float32')",
    ),
    animal("no_return", "wrong", "np.sum(x)", says="is there a `return`?"),
    animal("not_a_number", "wrong", "return np.full(np.shape(np.sum(x)), np.nan)"),
    animal("infinite", "wrong", "return np.inf"),
    animal("the_right_number_as_text", "wrong", "return str(np.sum(x))"),
    animal("the_right_number_in_a_list", "wrong", "return [np.sum(x)]"),
    animal("double_precision", "passed", "return np.sum(x, dtype='float64')"),
    animal("half_precision_of_a_small_number", "passed", "return np.sum(x).astype('float16')"),
    animal("cut_to_an_integer", "wrong", "return int(np.sum(x) + 0.5) - 1"),
    animal("an_array_of_objects", "error", "return np.array([np.sum(x)], dtype=object)[0:1].reshape(())"),
    animal("a_complex_number", "error", "return np.array(np.sum(x) + 1j)"),
    animal(
        "patches_numpy",
        "wrong",
        "np.isclose = np.allclose = lambda *a, **k: np.True_\nnp.asarray = lambda *a, **k: np.float64(7)\nreturn 1.0",
    ),
    animal("patches_numpy_testing", "wrong", "np.testing.assert_allclose = lambda *a, **k: None\nreturn 1.0"),
    animal(
        "patches_builtins",
        "wrong",
        "import builtins\nbuiltins.all = builtins.any = lambda *a: True\nbuiltins.AssertionError = Warning\nreturn 1.0",
    ),
    animal("patches_pytest", "wrong", "import pytest\npytest.fail = lambda *a, **k: None\nreturn 1.0"),
    animal(
        "patches_the_judge",
        "wrong",
        "import hvae_keras.course.judge as j, hvae_keras.course.exercises as e\ne.assert_close = j.judge = j.run_check = lambda *a, **k: None\nreturn 1.0",
    ),
    animal(
        "patches_the_wire",
        "error",
        "import hvae_keras.course.answering as w\nw.write_message = lambda *a, **k: None\nimport os\nos._exit(0)",
    ),
    animal(
        "writes_on_every_line",
        "wrong",
        "import os, json\nm = json.dumps({'value': 1.0}).encode()\nfor d in range(3, 64):\n    try: os.write(d, len(m).to_bytes(4, 'big') + m)\n    except OSError: pass\nimport time\ntime.sleep(0.5)\nraise ValueError('forged before')",
    ),
    animal(
        "floods_every_line",
        "error",
        "import os\nwhile True:\n    for d in range(3, 64):\n        try: os.write(d, bytes([0, 0, 0, 2]) + b'{}')\n        except OSError: pass",
    ),
    animal(
        "says_that_it_was_not_attempted",
        "not attempted",
        "from hvae_keras.course.failures import NotAttempted\nraise NotAttempted()",
    ),
    animal(
        "says_that_it_timed_out", "error", "from hvae_keras.course.failures import TimedOut\nraise TimedOut(1.0)"
    ),
    animal(
        "looks_up_the_stack",
        "wrong",
        "import sys\nframe = sys._getframe()\nwhile frame:\n    for name in ('expected', 'target', 'check', 'exercise'):\n        if name in frame.f_locals: return frame.f_locals[name]\n    frame = frame.f_back\nreturn 0.0",
    ),
    animal(
        "looks_through_memory",
        "wrong",
        "import gc\nfor thing in gc.get_objects():\n    if type(thing).__name__ in ('Check', 'Exercise', 'Misconception', 'Task', 'Settings'): return 7.0\nreturn 0.0",
    ),
    animal(
        "runs_the_checks_itself",
        "error",
        "from hvae_keras.course.exercises import load_checks\nfrom pathlib import Path\nload_checks(Path('ROOT') / 'tests/lessons/test_09_zoo.py')\nreturn 7.0",
    ),
    Animal(
        "right_only_once",
        (
            "import numpy as np\ncalls = []\ndef double(x):\n    calls.append(1)\n    return 2 * np.asarray(x) if len(calls) == 1 else x",
            TOTAL,
            SHIFT,
        ),
        {"9.1": ("wrong", 1)},
    ),
    Animal(
        "breaks_numpy_for_the_next",
        ("import numpy as np\ndef double(x):\n    np.sum = np.asarray = None\n    return x * 2", TOTAL, SHIFT),
    ),
    Animal(
        "leaves_files_for_the_next",
        (
            "def double(x):\n    open('numpy.py', 'w').write('raise SystemExit')\n    return x * 2",
            "def total(x):\n    import numpy as np\n    return np.sum(x)",
            SHIFT,
        ),
    ),
    Animal("writes_into_its_input", ("def double(x):\n    x *= 2\n    return x", TOTAL, SHIFT)),
    Animal(
        "a_function_that_lies",
        (
            DOUBLE,
            TOTAL,
            "class Liar:\n    def __call__(self, x): return self\n    def __eq__(self, other): return True\ndef shift(c):\n    return Liar()",
        ),
        {"9.3": "wrong"},
    ),
    Animal(
        "a_function_that_ends_it_all",
        (DOUBLE, TOTAL, "import os\ndef shift(c):\n    return lambda x: os._exit(0)"),
        {"9.3": "error"},
    ),
    Animal(
        "an_object_that_has_every_attribute",
        (
            DOUBLE,
            TOTAL,
            "class All:\n    def __getattr__(self, name): return lambda *a, **k: 3.0\ndef shift(c):\n    return All()",
        ),
        {"9.3": ("error", 0)},
    ),
)


def honest(name: str, *cells: str) -> Animal:
    """One whose `total` is written in another way than most, and as right."""
    return Animal(name, (DOUBLE, SHIFT, *cells))


# What a notebook understands, the grader understands.
HONEST = (
    honest("alias", "from numpy import sum as total"),
    honest(
        "stub_then_alias",
        "import numpy as np\ndef total(x):\n    raise NotImplementedError()",
        "import numpy as np\ntotal = np.sum",
    ),
    honest("partial", "from functools import partial\nimport numpy as np\ntotal = partial(np.sum, axis=None)"),
    honest(
        "tf_function_of_def",
        "import tensorflow as tf\ndef _t(x):\n    return tf.reduce_sum(x)\ntotal = tf.function(_t)",
    ),
    honest(
        "tf_function_rebind",
        "import tensorflow as tf\ndef total(x):\n    return tf.reduce_sum(x)\ntotal = tf.function(total)",
    ),
    honest(
        "annotated_lambda",
        "import numpy as np\nfrom typing import Callable\ntotal: Callable = lambda x: np.sum(x)",
    ),
    honest("wrapped_lambda", "import numpy as np\ntotal = np.vectorize(lambda x: np.sum(x), signature='(n)->()')"),
    honest("method_as_function", "class A:\n    def f(self, x): return x.sum()\ntotal = A().f"),
    honest("for_def", "import numpy as np\nfor _ in range(1):\n    def total(x): return np.sum(x)"),
    honest(
        "except_def",
        "try:\n    import torch_not_here\n    total = torch_not_here.sum\nexcept ImportError:\n    import numpy as np\n    def total(x): return np.sum(x)",
    ),
    honest("match_def", "import numpy as np\nmatch 1:\n    case _:\n        def total(x): return np.sum(x)"),
    honest(
        "main_guard",
        "import numpy as np\nif __name__ == '__main__':\n    ONE = 1\ndef total(x):\n    return ONE * np.sum(x)",
    ),
    honest("cell_time", "%%time\nimport numpy as np\ndef total(x):\n    return np.sum(x)"),
    honest("cell_capture", "%%capture\nimport numpy as np\ndef total(x):\n    return np.sum(x)"),
    honest(
        "load_ext", "%load_ext autoreload\n%autoreload 2\nimport numpy as np\ndef total(x):\n    return np.sum(x)"
    ),
    honest("help_mark", "import numpy as np\nnp.sum?\ndef total(x):\n    return np.sum(x)"),
    honest(
        "class_again",
        "class Net:\n    k = 1.0",
        "class Net(Net):\n    def f(self, x): return self.k * x.sum()",
        "def total(x):\n    return Net().f(x)",
    ),
    honest(
        "wrap_old",
        "import numpy as np\ndef total(x):\n    return np.sum(x)",
        "_old = total",
        "def total(x):\n    return _old(x)",
    ),
    honest(
        "loop_const",
        "import numpy as np\nk = 0\nfor i in range(2):\n    k += i\ndef total(x):\n    return k * np.sum(x)",
    ),
    honest(
        "append_const", "import numpy as np\nW = []\nW.append(1.0)\ndef total(x):\n    return W[0] * np.sum(x)"
    ),
    honest(
        "subscript_const", "import numpy as np\nP = {}\nP['k'] = 1.0\ndef total(x):\n    return P['k'] * np.sum(x)"
    ),
    honest(
        "array_filled", "import numpy as np\nW = np.zeros(1)\nW[:] = 1\ndef total(x):\n    return W[0] * np.sum(x)"
    ),
    honest("attr_set", "import numpy as np\nclass C: pass\nC.k = 1.0\ndef total(x):\n    return C.k * np.sum(x)"),
    honest(
        "global_stmt",
        "import numpy as np\ncalls = 0\ndef total(x):\n    global calls\n    calls += 1\n    return np.sum(x)",
    ),
    honest(
        "two_imports_of_package",
        "import sklearn.metrics\nimport sklearn.manifold\ndef total(x):\n    sklearn.metrics.mean_squared_error\n    return x.sum()",
    ),
    honest(
        "import_then_plain",
        "import xml.dom.minidom\nimport xml\ndef total(x):\n    xml.dom.minidom\n    return x.sum()",
    ),
    honest(
        "reused_n",
        "import numpy as np\nn = 1.0\ndef g(x): return x * n\nC = g(1.0)\nn = 10",
        "def total(x):\n    return C * np.sum(x)",
    ),
    honest(
        "reused_n2", "import numpy as np\nn = 1.0\nC = 1.0 * n\nn = 10\ndef total(x):\n    return C * np.sum(x)"
    ),
    honest(
        "dataclass_future",
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport numpy as np\n@dataclass\nclass Config:\n    k: float = 1.0\n    other: Config | None = None\ndef total(x: np.ndarray, c: Config = Config()) -> Undefined:\n    return c.k * np.sum(x)",
    ),
    honest(
        "dataclass_str",
        "from dataclasses import dataclass\nimport numpy as np\n@dataclass\nclass Config:\n    k: 'float' = 1.0\nc = Config()\ndef total(x):\n    return c.k * np.sum(x)",
    ),
    honest(
        "forward_hint_future",
        "from __future__ import annotations\nimport numpy as np\ndef total(x: Later) -> Later:\n    return np.sum(x)",
        "class Later: pass",
    ),
    honest("hint_strings", "import numpy as np\ndef total(x: 'Nowhere') -> 'Nowhere':\n    return np.sum(x)"),
    honest(
        "fstring",
        "import numpy as np\nd = {'a': 1}\ndef total(x):\n    print(f\"\"\"a 'b' \"c\" {d['a']!r:>{10}}\n {'x'}\"\"\")\n    return np.sum(x)",
    ),
    honest(
        "fstring_newline",
        "import numpy as np\nd = {'a': 1}\ndef total(x):\n    print(f'{\", \".join(str(i) for i in x)}\\n\\t{d[\"a\"]}')\n    return np.sum(x)",
    ),
    honest(
        "fstring_nested",
        'import numpy as np\ndef total(x):\n    print(f"""{f"{x}" + \'"\' + "\'"} \\n \\\' {x!r}""")\n    return np.sum(x)',
    ),
    honest(
        "class_default",
        "import numpy as np\nk = 1.0\nclass C:\n    k = k\ndef total(x):\n    return C.k * np.sum(x)",
    ),
    honest("display_inside", "import numpy as np\ndef total(x):\n    display(x)\n    return np.sum(x)"),
    honest(
        "recursive_then_reused",
        "def total(x):\n    x = list(x)\n    return x[0] + total(x[1:]) if x else 0.0",
        "total = total([1, 2])",
    ),
    honest("walrus", "import numpy as np\n(k := 1.0)\ndef total(x):\n    return k * (s := np.sum(x))"),
    honest(
        "tuple_unpack",
        "import numpy as np\na, (b, *c) = 1.0, (1.0, 2, 3)\ndef total(x):\n    return a * b * np.sum(x)",
    ),
    honest(
        "loop_variable", "import numpy as np\nfor k in range(2): pass\ndef total(x):\n    return k * np.sum(x)"
    ),
    honest(
        "floatx",
        "import keras\nkeras.config.set_floatx('float64')\nimport numpy as np\ndef total(x):\n    return np.sum(x)",
    ),
    honest("private_helper", "import numpy as np\ndef __h(x): return np.sum(x)\ndef total(x):\n    return __h(x)"),
    honest(
        "nonascii",
        "import numpy as np\nσ = 1.0\ndef größe(x): return σ * np.sum(x)\ndef total(x):\n    return größe(x)",
    ),
    honest("prompt", ">>> import numpy as np\n>>> def total(x):\n...     return np.sum(x)\n"),
    honest("indented", "    import numpy as np\n    def total(x):\n        return np.sum(x)\n"),
    honest(
        "await_top",
        "import numpy as np\nimport asyncio\nawait asyncio.sleep(0)\ndef total(x):\n    return np.sum(x)",
    ),
    honest(
        "asyncio_inside",
        "import numpy as np\nimport asyncio\nasync def f(x): return np.sum([y async for y in g(x)])\nasync def g(x):\n    for y in x: yield y\ndef total(x):\n    return asyncio.new_event_loop().run_until_complete(f(x))",
    ),
    honest(
        "with_def",
        "import numpy as np\nimport contextlib\nwith contextlib.nullcontext():\n    def total(x): return np.sum(x)",
    ),
    honest("del_helper", "import numpy as np\ndef h(x): return np.sum(x)\ndef total(x, h=h): return h(x)\ndel h"),
    honest(
        "lru",
        "import functools, numpy as np\n@functools.lru_cache\ndef k(): return 1.0\ndef total(x): return k() * np.sum(x)",
    ),
    honest("swap", "import numpy as np\na = 0.0\nb = 1.0\na, b = b, a\ndef total(x): return a * np.sum(x)"),
    honest("empty_result_helper", "import numpy as np\ndef total(x): return np.sum(x) + np.zeros((0,3)).sum()"),
    honest(
        "a_forest_with_two_jobs",
        "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier\ndef total(x):\n    RandomForestClassifier(3, n_jobs=2).fit(np.eye(4), [0, 1, 0, 1])\n    return np.sum(x)",
    ),
    honest(
        "compiled_by_xla",
        "import tensorflow as tf\n@tf.function(jit_compile=True)\ndef total(x):\n    return tf.reduce_sum(x)",
    ),
)

RED = (
    animal("a_surrogate_in_an_error", "error", "raise ValueError('\\ud800')"),
    animal("codes_for_the_terminal", "error", "raise ValueError('\\x1b[2J\\x07')"),
    animal(
        "threads_without_end",
        "error",
        "import threading, time\nthreading.stack_size(2**15)\nwhile True:\n    threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
    ),
    animal("files_without_end", "error", "i = 0\nwhile True:\n    i += 1\n    open(str(i), 'w').close()"),
    animal(
        "a_folder_too_deep_to_remove",
        "passed",
        "import os\nfor _ in range(1900):\n    os.mkdir('d')\n    os.chdir('d')\nreturn np.sum(x)",
    ),
    animal("memory_in_a_nameless_file", "error", "import os\nd = os.memfd_create('x')\nreturn np.sum(x)"),
    animal(
        "memory_that_outlives_it",
        "error",
        "import ctypes\nif ctypes.CDLL(None).shmget(7, 2**20, 0o1777) < 0:\n    raise OSError\nreturn np.sum(x)",
    ),
    animal("slows_its_parent", "error", "import os\nos.sched_setaffinity(os.getppid(), {0})\nreturn np.sum(x)"),
    animal("ragged_lists_without_end", "error", "return [[1], [1, 2]] * 200_000"),
    animal("a_text_of_twenty_megabytes", "wrong", "return 'x' * (20 * 2**20)"),
    animal("a_number_too_big_for_a_float", "wrong", "return 10**400"),
    animal("two_hundred_thousand_nothings", "error", "return [[]] * 200_000"),
    animal("crashes_late", "error", "import os, time\ntime.sleep(4)\nos.abort()"),
    animal(
        "needs_ten_thousand_names",
        "passed",
        "return np.sum(x) + sum([" + ", ".join(f"n{i}" for i in range(10_000)) + "])",
        "\n".join(f"n{i} = 0" for i in range(10_000)),
    ),
    Animal("five_hundred_shell_lines", ("!ls\n" * 501, *RIGHT)),
    Animal("magics_in_a_long_cell", ("%a\n" * 400 + "x = 1\n" * 30_000, *RIGHT)),
    Animal("two_megabytes_of_code", (*RIGHT, "x = [1, 2, 3]\n" * 150_000)),
    Animal(
        "a_lesson_of_five_thousand_digits",
        file=lambda: notebook(*RIGHT, metadata={"hvae": {"lesson": "9" * 5000}}),
    ),
)

ZOO = FILES + CELLS + RUNS_AWAY + BREAKS_OUT + CHEATS + HONEST + RED
