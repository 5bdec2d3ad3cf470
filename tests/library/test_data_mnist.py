"""MNIST: real files where there are some, small made ones always; damaged files are refused."""

import gzip
import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hvae_keras.data import DataError, load
from hvae_keras.data.mnist import IDX_MD5, from_folder, read_npz

SHARED = Path(__file__).resolve().parents[3] / "shared" / "datasets"


def real_folders():
    """Folders on this machine that hold the real files."""
    named = os.environ.get("HVAE_DATA")
    folders = [Path(named).expanduser()] if named else []
    return [folder for folder in (*folders, SHARED) if (folder / "mnist" / "train-images-idx3-ubyte.gz").is_file()]


def idx(array):
    """The idx format written out independently of the reader: magic, lengths, bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def made(tmp_path):
    """Four small idx files in tmp_path/mnist: the folder, their md5, and the arrays that were written."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (30, 5, 4), dtype="uint8"),
        rng.integers(0, 10, 30, dtype="uint8"),
        rng.integers(0, 256, (12, 5, 4), dtype="uint8"),
        rng.integers(0, 10, 12, dtype="uint8"),
    ]
    (tmp_path / "mnist").mkdir()
    for name, array in zip(IDX_MD5, arrays, strict=True):
        (tmp_path / "mnist" / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    md5 = {name: hashlib.md5(idx(array)).hexdigest() for name, array in zip(IDX_MD5, arrays, strict=True)}
    return tmp_path, md5, arrays


def one_line(caught):
    message = str(caught.value)
    assert "\n" not in message and message.endswith("."), message
    return message


def test_reads_back_what_was_written(made):
    folder, md5, arrays = made
    for read, written in zip(from_folder(folder, md5), arrays, strict=True):
        assert read.dtype == np.uint8 and np.array_equal(read, written)


@pytest.mark.parametrize("source", ["made", *real_folders()], ids=str)
def test_load_splits_scales_and_labels(source, made, monkeypatch):
    """Counts from the field's split; pixels and labels against an independent reading of the same files."""
    if source == "made":
        folder, _, arrays = made
        monkeypatch.setattr("hvae_keras.data.mnist.from_folder", lambda data: enlarged(arrays))
        x_train, y_train, x_test, y_test = enlarged(arrays)
    else:
        folder = source
        raw = [gzip.decompress((folder / "mnist" / f"{name}.gz").read_bytes()) for name in IDX_MD5]
        x_train, x_test = (np.frombuffer(raw[i][16:], "uint8").reshape(-1, 28, 28) for i in (0, 2))
        y_train, y_test = (np.frombuffer(raw[i][8:], "uint8") for i in (1, 3))
    monkeypatch.setenv("HVAE_DATA", str(folder))
    mnist = load("mnist")
    size = len(x_train) - 10_000
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (size, 10_000, len(x_test))
    for split, x, y in (
        (mnist.train, x_train[:size], y_train[:size]),
        (mnist.validation, x_train[size:], y_train[size:]),
        (mnist.test, x_test, y_test),
    ):
        assert split.x.dtype == np.float32 and split.x.shape == (*x.shape, 1)
        assert np.array_equal(np.rint(split.x[..., 0] * 255), x) and split.x.max() <= 1
        assert np.array_equal(split.factors["digit"], y) and split.factors["digit"].dtype == np.int64


def enlarged(arrays):
    """Repeat the small training set until it can give 10,000 validation images."""
    x_train, y_train, x_test, y_test = arrays
    return np.tile(x_train, (500, 1, 1)), np.tile(y_train, 500), x_test, y_test


@pytest.mark.skipif(
    not real_folders(), reason="the real MNIST files are neither in HVAE_DATA nor beside the checkout"
)
@pytest.mark.parametrize("folder", real_folders(), ids=str)
def test_real_files_have_the_published_statistics(folder, monkeypatch):
    """Mean and deviation of the 60,000 training images, and test label counts, as published for MNIST."""
    monkeypatch.setenv("HVAE_DATA", str(folder))
    mnist = load("mnist")
    assert [len(mnist.train), len(mnist.validation), len(mnist.test)] == [50_000, 10_000, 10_000]
    x = np.concatenate([mnist.train.x, mnist.validation.x]).astype("float64")
    np.testing.assert_allclose([x.mean(), x.std()], [0.13066, 0.308108], atol=5e-6)
    count = np.bincount(mnist.test.factors["digit"]).tolist()
    assert count == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def damage_cut(raw):
    return raw[: len(raw) // 2]


def damage_bit(raw):
    return raw[:-20] + bytes([raw[-20] ^ 1]) + raw[-19:]


def damage_not_gzip(raw):
    return b"<html>not found</html>"


def damage_magic(raw):
    return gzip.compress(b"\x00\x00\x09" + gzip.decompress(raw)[3:])


def damage_length(raw):
    return gzip.compress(gzip.decompress(raw)[:-7])


def damage_pixel(raw):
    content = bytearray(gzip.decompress(raw))
    content[-1] ^= 1
    return gzip.compress(bytes(content))


@pytest.mark.parametrize(
    "damage, says",
    [
        (damage_cut, "damaged or cut short"),
        (damage_bit, "damaged or cut short"),
        (damage_not_gzip, "damaged or cut short"),
        (lambda raw: b"", "not an idx file"),
        (damage_magic, "not an idx file"),
        (damage_length, "should hold"),
        (damage_pixel, "is not the MNIST file"),
    ],
    ids=["cut", "bit", "not-gzip", "empty", "magic", "length", "pixel"],
)
def test_a_damaged_file_is_named_and_never_read(made, damage, says):
    folder, md5, _ = made
    path = folder / "mnist" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=says) as caught:
        from_folder(folder, md5)
    assert str(path) in one_line(caught) and "download it again" in str(caught.value)


def test_a_missing_file_is_named(made):
    folder, md5, _ = made
    (folder / "mnist" / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="lacks train-labels-idx1-ubyte.gz: add") as caught:
        from_folder(folder, md5)
    one_line(caught)


def test_a_folder_without_mnist_says_which_files_are_wanted(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="there is no MNIST in") as caught:
        load("mnist")
    assert all(f"{name}.gz" in one_line(caught) for name in IDX_MD5)


def test_hvae_data_pointing_nowhere_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="nowhere, which is not a folder: unset it, or put") as caught:
        load("mnist")
    one_line(caught)


def npz(path, **arrays):
    rng = np.random.default_rng(1)
    content = {
        "x_train": rng.integers(0, 256, (20, 5, 4), dtype="uint8"),
        "y_train": np.tile(np.arange(10, dtype="uint8"), 2),
        "x_test": rng.integers(0, 256, (10, 5, 4), dtype="uint8"),
        "y_test": np.arange(10, dtype="uint8"),
    }
    shapes = {name: array.shape for name, array in content.items()}
    np.savez(path, **{**content, **arrays})
    return shapes, content


def test_npz_reads_back_what_was_written(tmp_path):
    shapes, content = npz(tmp_path / "mnist.npz")
    for read, written in zip(read_npz(tmp_path / "mnist.npz", shapes), content.values(), strict=True):
        assert np.array_equal(read, written)


def test_a_cut_npz_is_never_read(tmp_path):
    path = tmp_path / "mnist.npz"
    shapes, _ = npz(path)
    whole = path.read_bytes()
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="damaged or cut short") as caught:
            read_npz(path, shapes)
        one_line(caught)


@pytest.mark.parametrize(
    "wrong, says",
    [
        (
            {"x_test": np.zeros((9, 5, 4), "uint8")},
            r"x_test is uint8 \(9, 5, 4\), expected uint8 \(10, 5, 4\)",
        ),
        ({"x_test": np.zeros((10, 5, 4))}, "x_test is float64"),
        ({"y_test": np.zeros(10, "uint8")}, "y_test should hold the labels 0 to 9"),
        ({"y_test": np.array([None] * 10)}, "damaged or cut short"),
    ],
    ids=["shape", "dtype", "labels", "pickle"],
)
def test_an_npz_of_something_else_is_refused(tmp_path, wrong, says):
    path = tmp_path / "mnist.npz"
    shapes, _ = npz(path, **wrong)
    with pytest.raises(DataError, match=says) as caught:
        read_npz(path, shapes)
    one_line(caught)


def test_without_network_or_with_a_half_written_cache_one_line_says_what_to_do(tmp_path):
    """A Keras cache that is empty, then one that holds half a file; every proxy leads to a closed port."""
    code = """
import sys
from hvae_keras.data import DataError, load
for half in (False, True):
    if half:
        import pathlib
        cache = pathlib.Path(sys.argv[1], "datasets")
        cache.mkdir(exist_ok=True)
        (cache / "mnist.npz").write_bytes(b"PK half of a file")
    try:
        print("READ", load("mnist"))
    except DataError as error:
        print("ERROR", error)
"""
    nowhere = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https")}
    nowhere |= {name.upper(): value for name, value in nowhere.items()}
    without = ("HVAE_DATA", "NO_PROXY", "no_proxy")
    environment = {name: value for name, value in os.environ.items() if name not in without}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**environment, **nowhere, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    verdicts = [line for line in done.stdout.splitlines() if line.startswith(("READ", "ERROR"))]
    assert len(verdicts) == 2, done.stdout
    for verdict in verdicts:
        assert verdict.startswith("ERROR MNIST is not in the Keras cache and cannot be downloaded")
        assert verdict.endswith("a folder named mnist and set HVAE_DATA to the folder that holds it.")
