"""Weights that the course ships, for models that train longer than a lesson may: `lessons/weights/NAME.npz`.

Stored as float16, which keeps about three digits and halves the file. Two models that load one file are the same
model to the last bit, because every float16 number is a float32 number.
"""

import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hvae_keras.course.places import course_root
from hvae_keras.files import written_whole

# What reading a damaged archive raises, by zipfile, zlib and NumPy.
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, KeyError, ValueError, RuntimeError)


def save_weights(model: Any, path: str | Path) -> Path:
    """Write what a model has learned to one compressed npz as float16; the file is written whole or not at all.

    That is every trainable weight, and what layers keep beside them in floating point (moving means of batch
    normalisation). The state of a run is left out: seeds, beta and other settings of the model itself, metrics,
    the optimizer. Of an adversarial model, the averaged generators are written and the players are not.

    Args:
        model: A Keras model that is built.
        path: Where to; ends in `.npz`. Its folder is made.

    Returns:
        The path.

    Raises:
        ValueError: if the path has another ending, the model is not built, or a weight is not finite in float16
            (|w| at most 65504).
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"path ends in .npz, because load_weights looks for that; got {path.name}")
    arrays = {}
    for name, variable in learned(model).items():
        exact = np.asarray(variable)
        with np.errstate(over="ignore"):  # told below
            arrays[name] = exact.astype("float16")
        if not np.isfinite(arrays[name]).all():
            worst = exact.flat[np.argmax(~np.isfinite(arrays[name]))]
            raise ValueError(f"weight {name} holds {worst:g}; float16 holds finite numbers up to 65504")
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def load_weights(model: Any, name: str) -> None:
    """Set a model's weights from `lessons/weights/NAME.npz` of the course; all of them or, on an error, none.

    Args:
        model: A Keras model of the architecture that was saved, built.
        name: Such as `06_flat_0`.

    Raises:
        FileNotFoundError: if there is no such file; the message names those that there are.
        ValueError: if the model is not built, its weights have other names or shapes than the file's, or the
            file is damaged.
        NoSuchLesson: if this is not inside a course.
    """
    variables = learned(model)
    arrays = _read(_find(name))
    _check_fit(variables, arrays, name)
    for variable, array in zip(variables.values(), arrays.values(), strict=True):
        variable.assign(array.astype("float32"))


def learned(model: Any) -> dict[str, Any]:
    """The variables of a built model that are saved, by a name that does not change from process to process.

    A name is the place in Keras' order, the layer and the weight: `003 lstm_cell/recurrent_kernel`. Keras' own
    names count the layers made so far (`lstm_cell_7`); such endings are cut off. Frozen weights keep their place.
    """
    if not getattr(model, "built", False):
        raise ValueError("the model has no weights yet: call build((None, *shape)) or fit first")
    # A game is saved without its players: what it draws with is all that a reader needs, and a fifth of the size.
    draws_with = getattr(model, "draws_with", None)
    of_layers = {id(weight) for layer in draws_with or model.layers for weight in layer.weights}
    saved = [
        weight
        for weight in model.weights  # which holds no seeds and no metrics
        # What the model itself holds and does not train is a setting, such as beta.
        if (id(weight) in of_layers or (weight.trainable and not draws_with)) and "float" in str(weight.dtype)
    ]
    if not saved:
        raise ValueError("the model has no weights to save or load")
    return {f"{i:03d} {_short(weight.path, model.name)}": weight for i, weight in enumerate(saved)}


def _short(path: str, model: str) -> str:
    """Layer and weight from a Keras path; the part before depends on where a layer was built."""
    owner, _, weight = path.rpartition("/")
    owner = owner.rpartition("/")[2]
    return weight if owner in ("", model) else f"{re.sub(r'_[0-9]+$', '', owner)}/{weight}"


def _find(name: str) -> Path:
    folder = course_root() / "lessons" / "weights"
    known = {path.stem: path for path in sorted(folder.glob("*.npz"))}
    if name not in known:
        there = ", ".join(known) or "none"
        raise FileNotFoundError(f"there are no weights {name!r} in lessons/weights; there are: {there}")
    return known[name]


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile("a checksum is wrong")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        for name, array in arrays.items():
            if array.dtype != np.float16 or not np.isfinite(array).all():
                raise ValueError(f"{name} is not made of finite float16 numbers")
    except DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"lessons/weights/{path.name} is damaged ({reason}): copy it again from where the course came from"
        ) from error
    return arrays


def _check_fit(variables: dict[str, Any], arrays: dict[str, np.ndarray], name: str) -> None:
    """Raise ValueError at the first weight whose place, name or shape is not the file's."""
    start = f"the weights {name!r} are of another architecture: the model"
    expected = [(key, tuple(variable.shape)) for key, variable in variables.items()]
    found = [(key, array.shape) for key, array in arrays.items()]
    for mine, stored in zip(expected, found, strict=False):
        if mine != stored:
            raise ValueError(
                f"{start}'s weight {mine[0]} has shape {mine[1]}, the file holds {stored[0]} of shape {stored[1]}"
            )
    if len(expected) != len(found):
        raise ValueError(f"{start} has {len(expected)} weights, the file holds {len(found)}")
