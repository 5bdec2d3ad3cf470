"""Data sets: `load(name)` gives NumPy arrays with their factors, split the same on every machine.

`digits`, `sprites` and `faces` are always there, offline. `mnist` is fetched once through `keras.datasets`,
or read from the folder that the environment variable HVAE_DATA names. A card for each stands in `datasets/`.
"""

from hvae_keras.data.dataset import DataError, Dataset, Split
from hvae_keras.data.digits import load_digits
from hvae_keras.data.faces import load_faces
from hvae_keras.data.mnist import load_mnist
from hvae_keras.data.sprites import load_sprites

__all__ = ["DataError", "Dataset", "Split", "load", "names"]

_LOADERS = {"digits": load_digits, "faces": load_faces, "mnist": load_mnist, "sprites": load_sprites}


def names() -> list[str]:
    """Return the names that `load` knows, sorted."""
    return sorted(_LOADERS)


def load(name: str) -> Dataset:
    """Load a data set by name: `digits`, `faces`, `mnist` or `sprites`.

    Raises ValueError for an unknown name, DataError when the files cannot be had or are damaged.
    """
    if name not in _LOADERS:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(names())}")
    return _LOADERS[name]()
