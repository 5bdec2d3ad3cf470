"""Keras callbacks: a short report of training, schedules, and the stop at a loss that is not finite."""

import math
import numbers
import time
from collections.abc import Sequence

from hvae_keras.backend import keras, ops
from hvae_keras.schedules import Schedule


class Progress(keras.callbacks.Callback):
    """Print about `lines` lines in a training run: epoch, every logged term, seconds since the start.

    Use it with `fit(..., verbose=0)`. The first and the last epoch are always printed, also when
    training stops early.

    Args:
        lines: How many lines to aim at, at least 1.
    """

    def __init__(self, lines: int = 10):
        super().__init__()
        if lines < 1:
            raise ValueError(f"lines is how many lines to print, at least 1; got {lines!r}.")
        self.lines = lines

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Start the clock."""
        self._start = time.perf_counter()
        self._waiting = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Print this epoch if it is one of those to print."""
        epochs = self.params["epochs"]
        width = len(str(epochs))
        names = self.model.metrics_names
        names = [name for name in (*names, *(f"val_{name}" for name in names)) if name in logs]
        terms = "  ".join(f"{name} {logs[name]:.4g}" for name in names)
        line = f"epoch {epoch + 1:{width}d}/{epochs}  {terms}  {time.perf_counter() - self._start:.0f} s"
        every = max(1, -(-epochs // self.lines))
        due = epoch == 0 or (epoch + 1) % every == 0
        self._waiting = None if due else line
        if due:
            print(line, flush=True)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Print the last epoch if it was not."""
        if self._waiting:
            print(self._waiting, flush=True)


class FirstNonFinite(keras.metrics.Metric):
    """For each term, the step at which it first was NaN or infinite; 0 while it never was.

    It lives in the compiled step and costs a few operations there: nothing has to be read back at
    every step to know, later, where trouble began.

    Args:
        terms: Names of the terms, in the order `update_state` takes them.
    """

    def __init__(self, terms: Sequence[str]):
        super().__init__(name="first_non_finite", dtype="float32")
        self.terms = tuple(terms)
        # Floats, because TensorFlow keeps int32 variables on the host, out of reach of XLA on a GPU.
        self.step = self.add_variable((), "zeros", aggregation="only_first_replica", name="step")
        self.first = self.add_variable((len(self.terms),), "zeros", aggregation="only_first_replica", name="first")

    def update_state(self, values: Sequence) -> None:
        """Take this step's terms, tensors of any shape, in the order of `terms`."""
        finite = ops.stack([ops.all(ops.isfinite(ops.cast(value, "float32"))) for value in values])
        self.step.assign_add(1.0)
        fresh = ops.logical_and(ops.logical_not(finite), ops.equal(self.first, 0.0))
        self.first.assign(ops.where(fresh, self.step.value, self.first.value))

    def result(self) -> object:
        """For each term, the step at which it first was not finite, or 0: `[terms]`."""
        return ops.convert_to_tensor(self.first)

    def report(self) -> tuple[int, list[str]] | None:
        """The first bad step and the terms that were not finite in it; None if all were."""
        first = ops.convert_to_numpy(self.first)
        if not first.any():
            return None
        step = first[first > 0].min()
        return int(step), [name for name, at in zip(self.terms, first, strict=True) if at == step]


class StopOnNonFinite(keras.callbacks.Callback):
    """Stop with FloatingPointError at a NaN or infinite term, and name term, step and epoch.

    The models add it to `fit` and `evaluate` themselves. The first bad step is recorded inside the
    compiled step (`FirstNonFinite`); this callback reads the record every `every` steps and before it
    is reset, so a GPU is not made to wait at every step.

    Args:
        record: The metric the model updates.
        every: Steps between two looks.
    """

    def __init__(self, record: FirstNonFinite, every: int = 50):
        super().__init__()
        self.record, self.every = record, every
        self._epoch = None

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Remember the epoch, for the message."""
        self._epoch = epoch + 1

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Look now and then."""
        if batch and batch % self.every == 0:
            self._look(f"Training stopped in epoch {self._epoch}")

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Look before validation resets the record."""
        if self._epoch is not None:
            self._look(f"Training stopped in epoch {self._epoch}")

    def on_test_end(self, logs: dict | None = None) -> None:
        """Look after evaluation or validation."""
        after = "" if self._epoch is None else f" after epoch {self._epoch}"
        self._look(f"{'Validation' if after else 'Evaluation'} stopped{after}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at an epoch without validation."""
        self._look(f"Training stopped in epoch {self._epoch}")

    def _look(self, where: str) -> None:
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        found = self.record.report()
        if found is None:
            return
        step, terms = found
        raise FloatingPointError(f"{where}, at step {step}: {_explain(terms, self.record.terms)}")


def _explain(bad: list[str], terms: Sequence[str]) -> str:
    """What is known of the cause, from which of the terms were not finite first."""
    if "x" in bad:
        return "the data x held NaN or infinite values."
    culprits = [name for name in bad if name != "loss"] or ["loss"]
    message = f"{', '.join(culprits)} became NaN or infinite."
    if len(culprits) == len(terms) - 2 > 1:
        message += " All terms at once: the weights were not finite any more. Try a lower learning rate."
    return message


class StopOnCollapse(keras.callbacks.Callback):
    """Stop with RuntimeError when a generator repeats itself, or a player's loss grows without bounds.

    Adversarial models add it to `fit` themselves, and look at the end of every epoch. Pass one with other limits
    to change them.

    Args:
        least: `diversity`, the distance between generated examples as a share of that between real ones, below
            which a generator repeats itself; 0 lets everything pass.
        patience: Epochs in a row before it is believed: every generator begins with examples that are all alike.
        largest_loss: Absolute value of a player's loss in an epoch at which training has diverged.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(self, least: float = 0.05, patience: int = 5, largest_loss: float = 1e4):
        super().__init__()
        limits = {"least": (least, 0), "patience": (patience, 1), "largest_loss": (largest_loss, 1)}
        for name, (value, low) in limits.items():
            if value < low:
                raise ValueError(f"{name} is at least {low}; got {value!r}.")
        self.least, self.patience, self.largest_loss = least, patience, largest_loss

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Nothing seen so far."""
        self._alike: dict[str, int] = {}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at every level."""
        for name, value in (logs or {}).items():
            term, _, level = name.rpartition("_") if name[-1].isdigit() else (name, "", "")
            where = f"Training stopped after epoch {epoch + 1}: {f'level {level}' if level else 'the model'}"
            if term in ("discriminator_loss", "generator_loss") and abs(value) > self.largest_loss:
                raise RuntimeError(
                    f"{where} has diverged, its {term.replace('_', ' ')} is {value:.3g}. "
                    "Try lower learning rates, spectral normalisation or r1."
                )
            if term == "diversity":
                self._alike[name] = self._alike.get(name, 0) + 1 if value < self.least else 0
                if self._alike[name] >= self.patience:
                    raise RuntimeError(
                        f"{where} has collapsed, the generator repeats itself. For {self.patience} epochs its "
                        f"examples were {value:.2g} of the distance apart that real ones are. "
                        "Try a lower learning rate for the generator, r1, spectral normalisation or another loss."
                    )


class LevelSchedule(keras.callbacks.Callback):
    """Set a weight `[L]` of the model at the start of every epoch, without a new trace of its step.

    The values applied stand in the epoch's logs, under the name of the weight (with `_1` to `_L` if there
    are several levels), so a history holds them. Other callbacks that read them come after this one.

    Base of `BetaSchedule` and `CapacitySchedule`, which say what is set.

    Args:
        schedule: `schedule(epoch, level) -> float`, epoch from 0, level from 1; see `hvae_keras.schedules`.

    Raises:
        ValueError: if `schedule` is not a function; in `fit`, if the model has no such weight, or if the
            schedule gives something else than a finite number of at least 0.
    """

    name = ""

    def __init__(self, schedule: Schedule):
        super().__init__()
        if not callable(schedule):
            raise ValueError(f"schedule is a function of epoch and level; got {schedule!r}.")
        self.schedule, self._applied = schedule, {}

    def weight(self) -> keras.Variable:
        """The weight `[L]` to set."""
        raise NotImplementedError

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set the value of every level."""
        weight = self.weight()
        levels = range(1, weight.shape[0] + 1)
        values = [self._value(epoch, level) for level in levels]
        weight.assign(values)
        names = [f"{self.name}_{level}" for level in levels] if len(values) > 1 else [self.name]
        self._applied = dict(zip(names, values, strict=True))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Put the values in the logs."""
        if logs is not None:
            logs.update(self._applied)

    def _value(self, epoch: int, level: int) -> float:
        value = self.schedule(epoch, level)
        if not (isinstance(value, numbers.Real) and math.isfinite(value) and value >= 0):
            raise ValueError(
                f"schedule(epoch={epoch}, level={level}) gives {self.name}, a finite number of at least 0; "
                f"got {value!r}."
            )
        return float(value)


class BetaSchedule(LevelSchedule):
    """Set the weight of every level's KL: `model.beta`, for a warm-up or any other schedule.

    Arguments, logs and errors as in `LevelSchedule`.
    """

    name = "beta"

    def weight(self) -> keras.Variable:
        """`model.beta`."""
        beta = getattr(self.model, "beta", None)
        if not isinstance(beta, keras.Variable):
            raise ValueError(f"BetaSchedule sets model.beta; {self.model.name} has no such weight.")
        return beta


class CapacitySchedule(LevelSchedule):
    """Set the target of every level's KL: `model.penalty.capacity`, in nats (Burgess et al. 2018).

    Arguments, logs and errors as in `LevelSchedule`.
    """

    name = "capacity"

    def weight(self) -> keras.Variable:
        """`model.penalty.capacity`."""
        penalty = getattr(self.model, "penalty", None)
        if getattr(penalty, "capacity", None) is None:
            raise ValueError(
                "CapacitySchedule sets the capacity of a penalty: make the model with "
                f"penalty=hvae_keras.layers.Capacity(); the penalty of {self.model.name} is {penalty!r}."
            )
        return penalty.capacity


class SamplingSchedule(LevelSchedule):
    """Set the share of its inputs that a sequence model draws itself: `model.sampling_rate`, 0 to 1.

    Scheduled sampling (Bengio et al. 2015): 0 is teacher forcing. A sequence model counts as one level.
    Arguments, logs and errors as in `LevelSchedule`; a share above 1 is an error, too.
    """

    name = "sampling_rate"

    def weight(self) -> keras.Variable:
        """`model.sampling_rate`."""
        rate = getattr(self.model, "sampling_rate", None)
        if not isinstance(rate, keras.Variable):
            raise ValueError(f"SamplingSchedule sets model.sampling_rate; {self.model.name} has no such weight.")
        return rate

    def _value(self, epoch: int, level: int) -> float:
        value = super()._value(epoch, level)
        if value > 1:
            raise ValueError(f"schedule(epoch={epoch}, level={level}) gives a share, 0 to 1; got {value!r}.")
        return value
