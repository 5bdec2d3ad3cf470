"""The known factors of a data set, in the order and with the figure that several sections use."""

from collections.abc import Mapping, Sequence

import numpy as np

from hvae_keras import plots
from hvae_keras.report.blocks import Content


def by_level(names: Sequence[str], levels: Mapping[str, int]) -> dict[int | None, list[str]]:
    """The names by their level in the data, the top first; all under None where they have no levels."""
    if not set(names) <= set(levels):
        return {None: list(names)}
    found = sorted({levels[name] for name in names}, reverse=True)
    return {level: [name for name in names if levels[name] == level] for level in found}


def draw_table(
    content: Content,
    values: np.ndarray,
    rows: Sequence[str],
    names: Sequence[str],
    levels: Mapping[str, int],
    caption: str,
    unit: str,
) -> None:
    """Add a figure of `[rows, factors]` for the factors of each level of the data."""
    for level, some in by_level(names, levels).items():
        columns = [list(names).index(name) for name in some]
        labels = [name.replace(" ", "\n").replace("_", "\n") for name in some]
        of_level = "" if level is None else f"Factors of level {level} of the data. "
        content.draw(plots.information_by_level, values[:, columns], rows, labels, of_level + caption, unit=unit)
