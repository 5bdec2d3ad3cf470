"""`hvae doctor`: does this installation work, and how fast is each device?"""

import importlib.metadata
import platform
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hvae_keras.course.places import NoSuchLesson, course_root, lessons

PACKAGES = ("hvae-keras", "tensorflow", "keras", "tensorflow-probability", "numpy", "scikit-learn", "jupyterlab")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: a line to show, and whether all is well with it."""

    fine: bool
    text: str


def examine() -> Iterator[Finding]:
    """Look at Python, packages, the course, the notebook kernel and the devices, cheapest first."""
    version = sys.version_info[:2]
    wanted = "" if (3, 11) <= version <= (3, 13) else "; the course needs 3.11 to 3.13"
    yield Finding(not wanted, f"Python {platform.python_version()} on {platform.system()}{wanted}")
    yield from _packages()
    yield _course()
    yield _kernel()
    yield _sandbox()
    yield from _devices()


def _packages() -> Iterator[Finding]:
    pins = _pins()
    for name in PACKAGES:
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            optional = name == "jupyterlab"
            yield Finding(optional, f"{name} is not installed" + (" (pip install 'hvae-keras[lab]')" * optional))
            continue
        pinned = pins.get(name, installed)
        note = "" if pinned == installed else f"; the course was tested with {pinned}"
        yield Finding(True, f"{name} {installed}{note}")


def _sandbox() -> Finding:
    """What `hvae grade` can keep a student's function from, on this system. Less than all is no fault of it."""
    from hvae_keras.course.sandbox import PARTS
    from hvae_keras.course.submission import Submission
    from hvae_keras.course.worker import Worker

    with Worker(Submission(Path(), None, [])) as worker:
        worker.start()
        missing = [text for part, text in PARTS.items() if part not in worker.confined]
    if missing:
        return Finding(True, f"hvae grade: not enforced on this system: {'; '.join(missing)}")
    return Finding(True, "hvae grade: a student's function is kept from files, network, processes and memory")


def _pins() -> dict[str, str]:
    try:
        text = (course_root() / "constraints.txt").read_text(encoding="utf-8")
    except (NoSuchLesson, OSError):
        return {}
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def _course() -> Finding:
    try:
        return Finding(True, f"the course: {len(lessons(course_root()))} lessons")
    except NoSuchLesson as error:
        return Finding(False, str(error))


def _kernel() -> Finding:
    """Whether notebooks will run with this Python and not with another one that has the same kernel name."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding(False, "notebook kernel: none; pip install ipykernel")
    same = Path(program).name == program or Path(program).absolute() == Path(sys.executable).absolute()
    if same:
        return Finding(True, "notebook kernel: python3, this Python")
    return Finding(False, f"notebook kernel: python3 is another Python ({program}); use this one's Jupyter")


def _devices() -> Iterator[Finding]:
    start = time.monotonic()
    from hvae_keras.backend import BACKEND, keras

    yield Finding(True, f"Keras on {BACKEND}, imported in {time.monotonic() - start:.1f} s")
    for device in keras.distribution.list_devices("cpu") + keras.distribution.list_devices("gpu"):
        with keras.device(device):
            yield Finding(True, f"{device}: {_training_speed()}")


def _training_speed(steps: int = 300, batch: int = 100) -> str:
    """Start-up and images per second of a small VAE on random images."""
    import numpy as np

    from hvae_keras.backend import keras
    from hvae_keras.layers import mlp_decoder, mlp_encoder
    from hvae_keras.models import VAE

    x = np.random.default_rng(0).integers(0, 2, (steps * batch, 28, 28, 1)).astype("float32")
    vae = VAE(mlp_encoder((28, 28, 1), (200,), 40), mlp_decoder(20, (200,), (28, 28, 1)))
    vae.compile(keras.optimizers.Adam())
    start = time.monotonic()
    vae.fit(x[:batch], batch_size=batch, verbose=0)
    first = time.monotonic()
    vae.fit(x, batch_size=batch, verbose=0)
    rate = len(x) / (time.monotonic() - first)
    return f"a small VAE starts in {first - start:.1f} s and trains at {rate:,.0f} images/s"
