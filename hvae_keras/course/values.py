"""Values that may cross from a check to a student's function and back.

Arrays, numbers, text and containers of them travel; anything else (a model, a layer, a function) stays
where it was made and a `Reference` travels in its place. The wire format is JSON, never pickle: reading a
hostile answer can produce a wrong value and nothing worse.
"""

import base64
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

NUMERIC_KINDS = "biuf"
MOST_ITEMS = 100_000
MOST_SHOWN = 12


@dataclass(frozen=True)
class Reference:
    """Stands for an object that stays in the student's process."""

    key: str


def as_argument(value: object) -> object:
    """What a check passes, made plain: floating arrays and lists of numbers become float32 arrays.

    Integers stay integers and Python scalars stay scalars, so that `k=5` or `beta=2.0` arrive as written.
    """
    if value is None or isinstance(value, (bool, int, float, str, Reference)):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_argument(item) for key, item in value.items()}
    array = np.array(value)  # always a copy: a function that writes into its input changes nothing of ours
    if array.dtype.kind not in NUMERIC_KINDS:
        raise TypeError(f"a check can pass numbers, arrays, text and mappings of them, not {value!r}")
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def as_result(value: object, keep: Callable[[object], Reference]) -> object:
    """What a student's function returned, made plain; `keep` is asked for a reference to everything else."""
    if value is None:
        return None
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, (list, tuple)):
        items = [as_result(item, keep) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {str(key): as_result(item, keep) for key, item in value.items()}
    if hasattr(value, "__array__") and not callable(value):
        array = np.array(value, subok=False)
        if array.dtype.kind not in NUMERIC_KINDS:
            raise TypeError(f"the function returned an array of {array.dtype}, not of numbers")
        return array
    return keep(value)


def encode(value: object) -> object:
    """A plain value as JSON data."""
    if isinstance(value, Reference):
        return {"reference": value.key}
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value)
        return {
            "array": base64.b64encode(data.tobytes()).decode("ascii"),
            "dtype": data.dtype.str,
            "shape": value.shape,
        }
    if isinstance(value, tuple):
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {"mapping": {key: encode(item) for key, item in value.items()}}
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": repr(value)}
    return value


def decode(data: object) -> object:
    """The plain value in JSON data; a ValueError for what `encode` does not write, and for too much."""
    return _decode(data, itertools.count())


def _decode(data: object, items: Iterator[int]) -> object:
    if next(items) > MOST_ITEMS:
        raise ValueError(f"more than {MOST_ITEMS:,} values outside arrays")
    if isinstance(data, list):
        return [_decode(item, items) for item in data]
    if not isinstance(data, dict):
        return data
    match data:
        case {"reference": str(key)}:
            return Reference(key)
        case {"array": str(text), "dtype": str(dtype), "shape": list(shape)}:
            kind = np.dtype(dtype)
            if kind.kind not in NUMERIC_KINDS:
                raise ValueError(f"an array of {dtype} is not accepted")
            return np.frombuffer(base64.b64decode(text), kind).reshape(shape).copy()
        case {"tuple": list(parts)}:
            return tuple(_decode(item, items) for item in parts)
        case {"mapping": dict(parts)}:
            return {key: _decode(item, items) for key, item in parts.items()}
        case {"float": str(text)}:
            return float(text)
    raise ValueError("not a value written by encode")


def same(a: object, b: object, rtol: float = 1e-3, atol: float = 1e-6) -> bool:
    """Whether two plain values agree: same structure, numbers within tolerance, NaN equal to NaN.

    Objects that stayed behind agree with each other; what calling them gives is compared where they are called.
    """
    if isinstance(a, Reference) and isinstance(b, Reference):
        return True
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same(x, y, rtol, atol) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], rtol, atol) for key in a)
    numbers = (int, float, np.ndarray)
    if isinstance(a, numbers) and isinstance(b, numbers):
        a, b = np.asarray(a), np.asarray(b)
        return a.shape == b.shape and bool(np.allclose(a, b, rtol, atol, equal_nan=True))
    return type(a) is type(b) and a == b


def show(value: object, precision: int = 4) -> str:
    """A value in one short line: small arrays in full, large ones by shape and range."""
    if isinstance(value, Reference):
        return "an object"
    if isinstance(value, str) and len(value) > 80:
        return repr(value[:80]) + " …"
    if isinstance(value, (bool, int, str)) or value is None:
        return repr(value)
    if isinstance(value, float):
        return f"{value:.{precision}g}"
    if isinstance(value, dict):
        return "{" + _listed(f"{key}: {show(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple) and any(not isinstance(item, (int, float)) for item in value):
        return "(" + _listed(show(item) for item in value) + ")"
    try:
        array = np.asarray(value)
    except ValueError:
        return "[" + _listed(show(item) for item in value) + "]"
    if array.size <= MOST_SHOWN and array.dtype.kind in NUMERIC_KINDS:
        text = np.array2string(
            array, precision=precision, separator=", ", suppress_small=True, max_line_width=10_000
        )
        return " ".join(text.split()).replace("[ ", "[")
    if array.dtype.kind not in NUMERIC_KINDS:
        return f"{type(value).__name__}"
    finite = array[np.isfinite(array)]
    span = f"values {finite.min():.4g} to {finite.max():.4g}" if finite.size else "no finite value"
    holes = "" if finite.size == array.size else f", {array.size - finite.size} not finite"
    return f"array of shape {array.shape}, {span}{holes}"


def _listed(items: Iterable[str]) -> str:
    """The first few, with commas, and a sign that there are more."""
    first = list(itertools.islice(items, MOST_SHOWN + 1))
    return ", ".join([*first[:MOST_SHOWN], *(["…"] if len(first) > MOST_SHOWN else [])])
