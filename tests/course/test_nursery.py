"""Processes forked from one that has imported everything: ready at once, alone, and gone with whoever asked."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hvae_keras.course.failures import StudentError
from hvae_keras.course.statements import parse_cell
from hvae_keras.course.submission import Submission
from hvae_keras.course.worker import Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no nursery on other systems")

SOURCE = """
import os, sys

def loaded(name):
    return name in sys.modules

def state():
    return os.getpid(), os.getcwd(), sorted(os.listdir("/proc/self/fd"))

def crash(x):
    os.abort()

def forever():
    while True: pass
"""
SUBMISSION = Submission(Path("x.ipynb"), None, [parse_cell(1, SOURCE)])


@pytest.fixture(scope="module")
def nursery():
    from hvae_keras.course.nursery import Nursery

    nursery = Nursery.start(["colorsys", "no_such_module"])
    yield nursery
    nursery.close()


def test_a_worker_is_born_with_what_the_nursery_imported(nursery):
    with Worker(SUBMISSION, nursery.worker) as worker, worker.limited(20):
        assert worker.call("loaded", ("colorsys",), {})
        assert not worker.call("loaded", ("imaplib",), {})


def test_each_worker_is_a_process_with_a_folder_of_its_own_and_no_lines_but_its_two(nursery):
    states = []
    for _ in range(2):
        with Worker(SUBMISSION, nursery.worker) as worker, worker.limited(20):
            states.append(worker.call("state", (), {}))
    (one, here, files), (other, there, _) = states
    assert one != other
    assert here != there
    assert not Path(here).exists()
    assert len(files) == 6  # the standard three, two to the grader, and the one that lists them


def test_a_crash_is_told_apart_and_the_next_call_has_a_new_process(nursery):
    with Worker(SUBMISSION, nursery.worker) as worker:
        with worker.limited(20), pytest.raises(StudentError, match="SIGABRT"):
            worker.call("crash", (1,), {})
        assert worker.crashed
        with worker.limited(20):
            assert worker.call("loaded", ("colorsys",), {})


def test_whoever_starts_a_nursery_takes_it_and_all_its_children_along():
    program = f"""
import sys
from pathlib import Path
from hvae_keras.course.nursery import Nursery
from hvae_keras.course.statements import parse_cell
from hvae_keras.course.submission import Submission
from hvae_keras.course.worker import Worker
worker = Worker(Submission(Path("x"), None, [parse_cell(1, {SOURCE!r})]), Nursery.start([]).worker)
worker.start()
print("ready", flush=True)
with worker.limited(1000):
    worker.call("forever", (), {{}})
"""
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "ready\n"
    time.sleep(0.3)
    family = psutil.Process(owner.pid).children(recursive=True)
    assert len(family) == 2
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_tensorflow_is_forked_before_it_starts_its_threads():
    """After its threads have started, a fork of it would hang; the import alone must not start them."""
    program = (
        "from hvae_keras.course.pool import imports_of\nfrom hvae_keras.course.places import course_root\n"
        "import contextlib, importlib\n"
        "for name in imports_of(course_root()):\n"
        "    with contextlib.suppress(ImportError): importlib.import_module(name)\n"
        "from tensorflow.python.eager import context\nprint(context.context()._context_handle)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout == "None\n"
