"""Keras, imported without the lines TensorFlow writes to stderr, and what differs between its backends.

TensorFlow logs a few lines from C++ before any setting can silence them. In a notebook they are red
text under the first cell, so file descriptor 2 points at a file while Keras is first imported. If the
import fails, what was held back is written after all. Our modules take `keras` and `ops` from here.
"""

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Hold back what is written to file descriptor 2; let it through only if an exception leaves."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
        stderr = os.dup(2)
    except OSError:  # No stderr to keep clean, as under pythonw.
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(stderr, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


if "keras" in sys.modules:
    import keras
else:
    with quiet_import():
        import keras

ops = keras.ops
BACKEND = keras.backend.backend()
if BACKEND not in ("tensorflow", "jax"):
    raise ImportError(f"hvae_keras runs on Keras with TensorFlow or JAX; KERAS_BACKEND is {BACKEND!r}.")


def has_gpu() -> bool:
    """Whether the backend sees an accelerator."""
    if BACKEND == "jax":
        import jax

        return jax.default_backend() != "cpu"
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def replicas() -> int:
    """Copies of the model that train at once under the active `tf.distribute` strategy; 1 without one."""
    if BACKEND == "jax":
        return 1  # JAX shards one program over its devices, so a mean is already the mean over all.
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def compiled(function: Callable, xla: bool) -> Callable:
    """`function` of tensors, traced once for each shape and run as one graph (under XLA if `xla`).

    On JAX the weights the function reads are fixed when it is traced: make it anew after training.
    """
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    # A partial has no code object, by which TensorFlow would count the traces of all models together and
    # warn of too many.
    return tf.function(functools.partial(function), jit_compile=xla, autograph=False)


def gradient(function: Callable, at: object) -> object:
    """Gradient of a scalar function of one tensor, at that tensor; it can be differentiated again."""
    if BACKEND == "jax":
        import jax

        return jax.grad(function)(ops.convert_to_tensor(at))
    import tensorflow as tf

    at = tf.convert_to_tensor(at)
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = function(at)
    return tape.gradient(value, at)
