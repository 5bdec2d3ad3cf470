"""What every example of a data set obeys, asked of any example without its factors: a real or a generated one.

A book of rules reads the examples once, and every rule looks at what was read. `rules(name)` is the book of a data
set; rules of your own go beside its own:

    book = rules("faces") | {"light skin": Rule(2, lambda faces: faces.skin > 0.6, "The skin is light.")}
    book.kept(x)["light skin"]
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

# Each module has its book as RULES. Imported when asked for: that of `melodies` needs `hvae_keras.metrics`, which
# needs this package.
BOOKS = {"faces": "face_rules", "landscapes": "landscape_rules", "melodies": "melody_rules"}


@dataclass(frozen=True)
class Rule:
    """Something that every real example obeys.

    level: the level of the hierarchy that it tells of, 1 nearest the data.
    holds: takes what `RuleBook.read` returns for n examples, returns which of them keep the rule, bool `[n]`.
    sentence: the rule in words.
    """

    level: int
    holds: Callable[[Any], np.ndarray]
    sentence: str


class RuleBook(Mapping[str, Rule]):
    """The rules of one kind of data, by name, over one function that reads it.

    `book | {name: rule}` is a new book with these rules too, or in place of those of the same name.

    Args:
        read: Takes examples `[n, ...]` and returns what the rules look at; ValueError for what is no such data.
        rules: Name -> Rule.
    """

    def __init__(self, read: Callable[[np.ndarray], Any], rules: Mapping[str, Rule]) -> None:
        self.read = read
        self._rules = dict(rules)

    def __getitem__(self, name: str) -> Rule:
        return self._rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def __or__(self, more: Mapping[str, Rule]) -> "RuleBook":
        return RuleBook(self.read, self._rules | dict(more))

    def __repr__(self) -> str:
        """Show every rule in words, one a line."""
        width = max(map(len, self), default=0)
        return "\n".join(f"level {rule.level}  {name:{width}}  {rule.sentence}" for name, rule in self.items())

    def kept(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return, for each rule, which of the examples `[n, ...]` keep it: name -> bool `[n]`.

        Raises ValueError for examples that `read` refuses, and for a rule that returns anything but bool `[n]`.
        """
        read = self.read(x)
        kept = {name: np.asarray(rule.holds(read)) for name, rule in self.items()}
        for name, holds in kept.items():
            if holds.dtype != bool or holds.shape != (len(x),):
                raise ValueError(f"rule {name!r} returned {holds.dtype} {holds.shape}, expected bool ({len(x)},)")
        return kept

    def kept_by_level(self, x: np.ndarray) -> dict[int, np.ndarray]:
        """Return, for each level, which of the examples keep all its rules: level -> bool `[n]`, the top first."""
        kept = self.kept(x)
        levels = sorted({rule.level for rule in self.values()}, reverse=True)
        return {i: np.all([kept[name] for name in self if self[name].level == i], axis=0) for i in levels}


def rules(name: str) -> RuleBook:
    """Return the rules of a data set by its name; ValueError for one that has none."""
    if name not in BOOKS:
        raise ValueError(f"{name!r} has no rules; data sets that have: {', '.join(BOOKS)}")
    return import_module(f"hvae_keras.data.{BOOKS[name]}").RULES


def checked_pictures(x: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return pictures `[n, *shape]` in float32; ValueError for another shape, and for NaN and infinity."""
    x = np.asarray(x, "float32")
    if x.shape[1:] != shape or x.ndim != 4:
        raise ValueError(f"x has shape {x.shape}, expected (n, {', '.join(map(str, shape))})")
    if not np.isfinite(x).all():
        raise ValueError(f"x has {np.sum(~np.isfinite(x))} values that are NaN or infinite, expected none")
    return x
