"""Data sets: `load(name)` gives NumPy arrays with their factors, split the same on every machine.

`digits`, `sprites`, `faces`, `landscapes` and `melodies` are always there, offline. `mnist` is fetched once
through `keras.datasets`, or read from the folder that the environment variable HVAE_DATA names; `jsb_chorales` is
read from that folder only. `chorales` comes with music21, an extra (`[music]`). A card for each is in `datasets/`.
`rules(name)` gives what every example of `faces`, `landscapes` or `melodies` obeys, to be asked of generated ones.
"""

from hvae_keras.data.chorales import load_chorales
from hvae_keras.data.dataset import DataError, Dataset, Split
from hvae_keras.data.digits import load_digits
from hvae_keras.data.faces import load_faces
from hvae_keras.data.jsb_chorales import load_jsb_chorales
from hvae_keras.data.landscapes import load_landscapes
from hvae_keras.data.melodies import load_melodies
from hvae_keras.data.mnist import load_mnist
from hvae_keras.data.rules import Rule, RuleBook, rules
from hvae_keras.data.sprites import load_sprites

__all__ = ["DataError", "Dataset", "Rule", "RuleBook", "Split", "load", "names", "rules"]

_LOADERS = {
    "chorales": load_chorales,
    "digits": load_digits,
    "faces": load_faces,
    "jsb_chorales": load_jsb_chorales,
    "landscapes": load_landscapes,
    "melodies": load_melodies,
    "mnist": load_mnist,
    "sprites": load_sprites,
}


def names() -> list[str]:
    """Return the names that `load` knows, sorted."""
    return sorted(_LOADERS)


def load(name: str) -> Dataset:
    """Load a data set by name: one of `names()`.

    Raises ValueError for an unknown name, DataError when the files cannot be had or are damaged.
    """
    if name not in _LOADERS:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(names())}")
    return _LOADERS[name]()
