"""Schedules: functions `schedule(epoch, level) -> float`, for beta or for a capacity in nats.

`epoch` counts from 0 and `level` from 1, nearest the data, to L. Any such function will do; these are the
usual ones. `callbacks.BetaSchedule` and `callbacks.CapacitySchedule` ask them at the start of every epoch.
"""

from collections.abc import Callable, Sequence

Schedule = Callable[[int, int], float]


def constant(value: float) -> Schedule:
    """The same value at every epoch and level."""
    return lambda epoch, level: value


def linear(epochs: float, start: float = 0.0, end: float = 1.0) -> Schedule:
    """Warm-up: from `start` at epoch 0 in a straight line to `end` at epoch `epochs`, and `end` from then on.

    From 0 to 1 it is the warm-up of Bowman et al. (2016) and Sønderby et al. (2016). From 0 to a number of
    nats it is the growing capacity of Burgess et al. (2018).

    Args:
        epochs: Length of the line; 0 for `end` at once.
        start: Value at epoch 0.
        end: Value at the end.

    Raises:
        ValueError: if `epochs` is negative.
    """
    _at_least(0, epochs=epochs)
    return lambda epoch, level: _line(epoch, epochs, start, end)


def staggered(
    epochs: float,
    delay: float,
    start: float = 0.0,
    end: float = 1.0,
    first: str = "bottom",
    levels: int | None = None,
) -> Schedule:
    """A linear warm-up that starts `delay` epochs later with every level.

    Args:
        epochs: Length of the line of one level.
        delay: Epochs between the start of one level and the next.
        start: Value of a level until its line begins.
        end: Value at the end of it.
        first: "bottom" starts with level 1, "top" with level L.
        levels: L; needed when the top goes first.

    Raises:
        ValueError: if `epochs` or `delay` is negative, `first` is neither, or `levels` is missing; from the
            schedule, if the model has a level above `levels`.
    """
    _at_least(0, epochs=epochs, delay=delay)
    if first not in ("bottom", "top"):
        raise ValueError(f"first is 'bottom' or 'top'; got {first!r}.")
    if first == "top" and levels is None:
        raise ValueError("levels, how many there are, is needed when the top level goes first; got None.")

    def schedule(epoch: int, level: int) -> float:
        if levels is not None and level > levels:
            raise ValueError(f"the schedule was made for {levels} levels; it was asked for level {level}.")
        before = level - 1 if first == "bottom" else levels - level
        return _line(epoch - delay * before, epochs, start, end)

    return schedule


def cyclical(period: float, ratio: float = 0.5, start: float = 0.0, end: float = 1.0) -> Schedule:
    """Again and again from `start` to `end` (Fu et al. 2019, "Cyclical annealing schedule").

    Args:
        period: Epochs of one cycle.
        ratio: Part of a cycle in which the value rises; in the rest it is `end`. 0 to 1.
        start: Value at the beginning of a cycle.
        end: Value at its end.

    Raises:
        ValueError: if `period` is less than 1 or `ratio` is not between 0 and 1.
    """
    _at_least(1, period=period)
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio is a part of a cycle, 0 to 1; got {ratio!r}.")
    return lambda epoch, level: _line(epoch % period, ratio * period, start, end)


def per_level(values: Sequence[float | Schedule]) -> Schedule:
    """A number or a schedule for each level, from level 1 to L: `per_level((linear(10), 0.5))`.

    Raises:
        ValueError: from the schedule, if the model has another level than those.
    """
    values = tuple(values)

    def schedule(epoch: int, level: int) -> float:
        if level > len(values):
            raise ValueError(f"the schedule has {len(values)} levels; it was asked for level {level}.")
        value = values[level - 1]
        return value(epoch, level) if callable(value) else value

    return schedule


def _line(epoch: float, epochs: float, start: float, end: float) -> float:
    """The line from `start` at 0 to `end` at `epochs`, level before and after."""
    if epoch >= epochs:
        return end
    return start + (end - start) * max(0.0, epoch / epochs)


def _at_least(low: float, **numbers: float) -> None:
    for name, value in numbers.items():
        if not value >= low:
            raise ValueError(f"{name} is a number of epochs, at least {low}; got {value!r}.")
