"""A confined process can do what an answer needs, and nothing that reaches beyond its own folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hvae_keras.course import sandbox

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux offers these")

TRIALS = {
    "reads_a_library": (True, "import json.tool"),
    "reads_random_bytes": (True, "open('/dev/urandom', 'rb').read(4)"),
    "starts_a_thread": (True, "import threading; threading.Thread(target=int).start()"),
    "writes_at_home": (True, "open('own', 'w').write('x'); os.remove('own')"),
    "makes_a_folder_at_home": (True, "os.makedirs('a/b'); os.rename('a/b', 'c')"),
    "reads_its_limits": (True, "import resource; resource.getrlimit(resource.RLIMIT_AS)"),
    "signals_itself": (True, "import signal; signal.signal(10, lambda *a: None); os.kill(os.getpid(), 10)"),
    "takes_some_memory": (True, "bytearray(2**28)"),
    "takes_more_than_it_may": (False, "bytearray(2**35)"),
    "writes_beside_it": (False, "open('../beside', 'w')"),
    "reads_beside_it": (False, "open('../secret').read()"),
    "links_to_what_is_beside_it": (False, "os.symlink('../secret', 's'); open('s').read()"),
    "moves_what_is_beside_it": (False, "os.rename('../secret', 'mine')"),
    "hard_links_it": (False, "os.link('../secret', 'mine')"),
    "changes_its_times": (False, "os.utime('../secret')"),
    "changes_its_mode": (False, "os.chmod('../secret', 0o777)"),
    "opens_a_socket": (False, "import socket; socket.socket()"),
    "forks": (False, "os.fork() or os._exit(0)"),
    "runs_a_program": (False, "import subprocess; subprocess.run(['true'])"),
    "signals_its_parent": (False, "os.kill(os.getppid(), 0)"),
    "signals_everybody": (False, "os.kill(-1, 0)"),
    "looks_at_its_parent": (False, "open(f'/proc/{os.getppid()}/environ').read()"),
    "hides_memory_in_a_file": (False, "os.memfd_create('x')"),
    "unshares": (False, "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000): raise OSError"),
    "raises_its_limits": (False, "import resource; resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))"),
    "lifts_the_confinement": (
        False,
        "from hvae_keras.course.sandbox import confine\nconfine('..', 0)\nopen('../secret')",
    ),
}  # fmt: skip
PROGRAM = """
import json, os, sys
from hvae_keras.course.sandbox import confine
parts = confine(os.getcwd(), 2**30)
outcomes = {}
for name, (_, code) in json.loads(sys.argv[1]).items():
    try:
        exec(code, {"os": os})
        outcomes[name] = True
    except (OSError, ValueError, MemoryError):
        outcomes[name] = False
print(json.dumps([parts, outcomes]))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, bool]:
    """What became of each trial in one confined process."""
    folder = tmp_path_factory.mktemp("around") / "home"
    folder.mkdir()
    (folder.parent / "secret").write_text("secret")
    command = [sys.executable, "-c", PROGRAM, json.dumps(TRIALS)]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    parts, found = json.loads(run.stdout)
    if set(parts) != set(sandbox.PARTS):
        pytest.skip(f"this system offers only {', '.join(parts) or 'nothing'} of the sandbox")
    assert (folder.parent / "secret").read_text() == "secret"
    return found


@linux
@pytest.mark.parametrize("trial", TRIALS)
def test_a_confined_process_does_only_what_it_may(outcomes, trial):
    assert outcomes[trial] == TRIALS[trial][0]


@linux
@pytest.mark.parametrize(
    ("column", "header"),
    [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
)
def test_the_numbers_of_the_calls_are_the_kernels(column, header):
    if not os.path.exists(header):
        pytest.skip("the kernel's headers are not installed")
    text = Path(header).read_text()
    numbers = {m[1]: int(m[2]) for m in re.finditer(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    calls = {**sandbox.REFUSED, **sandbox.ONLY_OWN}
    calls |= {"clone": sandbox.CLONE, "clone3": sandbox.CLONE3, "prlimit64": sandbox.PRLIMIT}
    for name, call in calls.items():
        assert call[column] == numbers.get(name, call[column]), name
        if call[column] is None:
            assert name not in numbers


def test_the_environment_keeps_what_is_needed_and_no_secrets(monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("HVAE_DATA", "there")
    kept = sandbox.environment()
    assert "GITHUB_TOKEN" not in kept
    assert (kept["HVAE_DATA"], kept["PATH"]) == ("there", os.environ["PATH"])
