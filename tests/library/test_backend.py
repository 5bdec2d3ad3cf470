"""What an import costs a reader: nothing on stderr; and who may import what."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hvae_keras
from hvae_keras import backend

MODULES = sorted(Path(hvae_keras.__file__).parent.rglob("*.py"))


def imported(path):
    """Top-level names of the packages a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


def test_importing_the_models_writes_nothing():
    code = "import hvae_keras.models, hvae_keras.metrics, hvae_keras.callbacks"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_what_a_failing_import_writes_is_shown(capfd):
    with pytest.raises(ImportError, match="no such thing"), backend.quiet_import():
        os.write(2, b"why it failed\n")
        raise ImportError("no such thing")
    assert capfd.readouterr().err == "why it failed\n"


def test_what_a_working_import_writes_is_not_shown_and_what_follows_is(capfd):
    with backend.quiet_import():
        os.write(2, b"chatter\n")
    os.write(2, b"an error\n")
    assert capfd.readouterr().err == "an error\n"


def test_no_module_imports_keras_2():
    assert [path.name for path in MODULES if "tf_keras" in imported(path)] == []


def test_distributions_alone_imports_tensorflow_probability():
    assert [path.name for path in MODULES if "tensorflow_probability" in imported(path)] == ["distributions.py"]
