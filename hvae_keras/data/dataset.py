"""What `load` returns: a data set in three splits, with its factors of variation."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np


class DataError(RuntimeError):
    """A data set could not be read. The message is one line that says what to do."""


@dataclass(frozen=True, eq=False)
class Split:
    """Examples and, for each example, the class index of every known factor.

    x: images, float32 `[n, height, width, channels]` in [0, 1]; or sequences, `[n, steps, ...]`: int32
    tokens (see `hvae_keras.music`) or float32 zeros and ones, -1 where a sequence has no step.
    factors: name -> int64 `[n]`, indices 0..k-1 into `Dataset.factor_values[name]`.
    sketch: what the upper levels alone look like, `[n, ...]`, for the data sets that have it (`landscapes`).
    """

    x: np.ndarray
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)
    sketch: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Refuse factors, and a sketch, whose length is not the number of examples."""
        for name, index in self.factors.items():
            if np.shape(index) != (len(self.x),):
                raise ValueError(f"factors[{name!r}] has shape {np.shape(index)}, expected ({len(self.x)},)")
        if self.sketch is not None and len(self.sketch) != len(self.x):
            raise ValueError(f"sketch has {len(self.sketch)} examples, expected {len(self.x)}, as x has")

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.x)

    def __repr__(self) -> str:
        """Say how many examples of which shape, and the factors that are known."""
        sketch = "" if self.sketch is None else f", sketch {self.sketch.dtype} {self.sketch.shape}"
        return f"Split(x {self.x.dtype} {self.x.shape}{sketch}, factors: {', '.join(self.factors) or 'none'})"

    def where(self, keep: np.ndarray) -> "Split":
        """Return the examples that a boolean mask `[n]` or indices select, with their factors and sketches."""
        sketch = None if self.sketch is None else self.sketch[keep]
        return Split(self.x[keep], {name: index[keep] for name, index in self.factors.items()}, sketch)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set split once into train, validation and test, the same on every machine.

    factor_values: name -> `[k]`, the value behind each class index, so that
    `factor_values["x"][train.factors["x"]]` gives positions in pixels.

    levels: name -> level of a factor in the process that made the data, 1 nearest the data; empty where the
    factors form no hierarchy.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    factor_values: Mapping[str, np.ndarray] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse levels for other factors than those that are there."""
        if self.levels and set(self.levels) != set(self.factor_values):
            raise ValueError(
                f"levels is given for {sorted(self.levels)}, expected one for each of {sorted(self.factor_values)}"
            )

    def __repr__(self) -> str:
        """Show name, splits and factors, one a line."""
        lines = [f"Dataset {self.name!r}"]
        lines += [f"  {part:<11}x {getattr(self, part).x.shape}" for part in ("train", "validation", "test")]
        width = max([10, *map(len, self.factor_values)]) + 1
        for factor, values in self.factor_values.items():
            shown = [str(value) for value in values]
            if len(shown) > 4:
                shown = [*shown[:2], "...", shown[-1]]
            level = f"level {self.levels[factor]}, " if self.levels else ""
            lines.append(f"  {factor:<{width}}{level}{len(values)} values: {', '.join(shown)}")
        return "\n".join(lines)

    def binarized(self, seed: int = 0) -> "Dataset":
        """Return a copy whose pixels were drawn once from Bernoulli(grey level).

        The draw is fixed by `seed`: "static" binarization, after Salakhutdinov and Murray (2008), On the
        quantitative analysis of deep belief networks. Pixels are 0.0 or 1.0, float32; factors are kept.

        Raises ValueError for data that has no grey levels: tokens, and anything with padding.
        """
        for x in (self.train.x, self.validation.x, self.test.x):
            if not (np.issubdtype(x.dtype, np.floating) and x.min() >= 0 and x.max() <= 1):
                raise ValueError(
                    f"binarized draws pixels from grey levels, floats between 0 and 1; the x of {self.name!r} is "
                    f"{x.dtype} from {x.min():g} to {x.max():g}."
                )
        # RandomState, not default_rng: NumPy promises that its stream never changes.
        rng = np.random.RandomState(seed)

        def draw(split: Split) -> Split:
            return replace(split, x=(rng.random_sample(split.x.shape) < split.x).astype("float32"))

        # Keyword arguments are evaluated in order, so one seed gives one draw for all three splits.
        return replace(self, train=draw(self.train), validation=draw(self.validation), test=draw(self.test))
