"""`mnist`: 70,000 scanned 28×28 digits, from the Keras cache or from the folder that HVAE_DATA names."""

import gzip
import hashlib
import os
import socket
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from hvae_keras.data.dataset import DataError, Dataset, Split

# md5 of the uncompressed idx files: the gzip headers differ between copies, the content does not.
IDX_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
NPZ_SHAPES = {
    "x_train": (60_000, 28, 28),
    "y_train": (60_000,),
    "x_test": (10_000, 28, 28),
    "y_test": (10_000,),
}
ADVICE = (
    "put the four MNIST files " + ", ".join(f"{name}.gz" for name in IDX_MD5) + " (or Keras' mnist.npz) "
    "into a folder named mnist and set HVAE_DATA to the folder that holds it"
)


def load_mnist() -> Dataset:
    """Return MNIST, grey levels 0..255 divided by 255: 50,000 / 10,000 / 10,000.

    Validation is the last 10,000 of the 60,000 training images, the split that published results use. Source:
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition.
    """
    folder = os.environ.get("HVAE_DATA")
    x_train, y_train, x_test, y_test = from_folder(Path(folder).expanduser()) if folder else from_keras()

    def split(x: np.ndarray, digit: np.ndarray) -> Split:
        return Split(x[..., None].astype("float32") / 255, {"digit": digit.astype("int64")})

    return Dataset(
        "mnist",
        train=split(x_train[:-10_000], y_train[:-10_000]),
        validation=split(x_train[-10_000:], y_train[-10_000:]),
        test=split(x_test, y_test),
        factor_values={"digit": np.arange(10)},
    )


def from_folder(data: Path, md5: Mapping[str, str] = IDX_MD5) -> tuple[np.ndarray, ...]:
    """Return x_train, y_train, x_test, y_test (uint8) from `data/mnist`: the idx files, or else mnist.npz."""
    if not data.is_dir():
        raise DataError(f"HVAE_DATA is {data}, which is not a folder: unset it, or {ADVICE}.")
    folder = data / "mnist"
    missing = [name for name in md5 if not (folder / f"{name}.gz").is_file()]
    if not missing:
        return tuple(read_idx(folder / f"{name}.gz", digest) for name, digest in md5.items())
    if (folder / "mnist.npz").is_file():
        return read_npz(folder / "mnist.npz")
    if len(missing) < len(md5):
        raise DataError(f"{folder} lacks {', '.join(f'{name}.gz' for name in missing)}: add what is missing.")
    raise DataError(f"HVAE_DATA is {data}, but there is no MNIST in {folder}: unset it, or {ADVICE}.")


def read_idx(path: Path, md5: str) -> np.ndarray:
    """Return the uint8 array of a gzipped idx file; gzip's CRC, header, length and md5 are checked."""
    again = "download it again, or copy it from a machine where it works"
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged or cut short ({error}): {again}.") from error
    # Header, big-endian: two zero bytes, 8 for unsigned bytes, the number of axes, then their lengths.
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08" or len(raw) < 4 + 4 * raw[3]:
        raise DataError(
            f"{path} is not an idx file of bytes (it starts with {raw[:4].hex() or 'nothing'}): {again}."
        )
    start = 4 + 4 * raw[3]
    shape = tuple(np.frombuffer(raw[4:start], ">i4").tolist())
    if len(raw) - start != np.prod(shape, dtype=np.int64):
        raise DataError(f"{path} should hold {shape} bytes but has {len(raw) - start}: {again}.")
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path} is not the MNIST file (md5 of its content {found}, expected {md5}): {again}.")
    return np.frombuffer(raw, "uint8", offset=start).reshape(shape)


def read_npz(path: Path, shapes: Mapping[str, tuple[int, ...]] = NPZ_SHAPES) -> tuple[np.ndarray, ...]:
    """Return the four uint8 arrays of Keras' mnist.npz; the zip's CRC, shapes, types, labels are checked."""
    again = "delete it and download it again, or copy it from a machine where it works"
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in shapes}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged or cut short ({' '.join(str(error).split())}): {again}.") from error
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype != "uint8":
            got = f"{arrays[name].dtype} {arrays[name].shape}"
            raise DataError(f"{path}: {name} is {got}, expected uint8 {shape}: {again}.")
        if name.startswith("y") and not np.array_equal(np.unique(arrays[name]), np.arange(10)):
            raise DataError(f"{path}: {name} should hold the labels 0 to 9: {again}.")
    return tuple(arrays[name] for name in shapes)


def from_keras() -> tuple[np.ndarray, ...]:
    """Return the four arrays through `keras.datasets`, which downloads once and always checks the hash."""
    from hvae_keras.backend import keras  # here, because it imports TensorFlow

    try:
        with socket_timeout(seconds=20):
            (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception when there is no network
        reason = " ".join(str(error).split())
        raise DataError(
            f"MNIST is not in the Keras cache and cannot be downloaded ({reason}): connect once, or {ADVICE}."
        ) from error
    return x_train, y_train, x_test, y_test


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    """Make a network that swallows packets fail instead of hanging the notebook for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
