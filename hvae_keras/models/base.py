"""What every model shares around training: one traced step, a choice of compiler, clear refusals."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from hvae_keras.backend import BACKEND, has_gpu, keras, ops, replicas
from hvae_keras.callbacks import FirstNonFinite, StopOnNonFinite
from hvae_keras.distributions import Tensor


class BaseModel(keras.Model):
    """A Keras model with an objective of its own: `compile(optimizer)`, then `fit(x)`.

    A subclass writes `call` and `objective`, and sets its terms with `_track` once it knows them.

    Attributes:
        compilation: Which compiler was chosen, and why; printed by `fit` unless `verbose=0`.
        seed_generator: The source of every draw of the model, saved with its weights.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()
        self.compilation = "not compiled"

    def objective(self, x: Tensor, outputs: Any) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """The loss of each example and what to report, from what `call(x)` returned.

        Returns:
            The loss `[batch]`; the terms to log by name, each `[batch]`, or values and their weights; the terms
            to watch for NaN.
        """
        raise NotImplementedError

    def _track(self, logged: Sequence[str], watched: Sequence[str]) -> None:
        """Make the metrics for the terms that `objective` returns."""
        self.trackers = {name: keras.metrics.Mean(name=name) for name in logged}
        self.first_non_finite = FirstNonFinite(["x", *watched, "loss"])

    # The objective, on any backend

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Any = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Mean of the loss over the batch, in nats per example; Keras calls it in every step."""
        _refuse(y=y, sample_weight=sample_weight)
        loss, logged, watched = self.objective(x, y_pred)
        for name, tracker in self.trackers.items():
            values = logged[name] if isinstance(logged[name], tuple) else (logged[name],)
            tracker.update_state(*values)
        total = ops.mean(loss)
        if self.losses:  # Penalties that layers added, such as weight decay in an encoder.
            total = total + ops.sum(ops.stack([ops.sum(penalty) for penalty in self.losses]))
        self.first_non_finite.update_state([x, *watched.values(), total])
        # tf.distribute sums the replicas' gradients.
        return total / replicas()

    def get_metrics_result(self) -> dict:
        """The logged terms, without the record of what was not finite."""
        result = super().get_metrics_result()
        result.pop(self.first_non_finite.name, None)
        return result

    # Keras's manners, with what Keras cannot know of these models

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        jit_compile: bool | str = "auto",
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
    ) -> None:
        """Choose the optimizer; the objective is the model's own.

        Args:
            optimizer: As in Keras.
            jit_compile: Whether TensorFlow compiles the step with XLA. "auto" chooses what was measured
                to be faster: XLA on a GPU, no XLA on a CPU. JAX always compiles.
            run_eagerly: As in Keras, for debugging.
            steps_per_execution: As in Keras.
        """
        chosen, self.compilation = _choose_compiler(jit_compile, run_eagerly)
        super().compile(
            optimizer=optimizer,
            jit_compile=chosen,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
        )
        # As asked for, so that a saved model chooses again on the machine that loads it.
        self._asked = {
            "jit_compile": jit_compile,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
        }
        self._remember_optimizers()

    def optimized(self) -> list[tuple[keras.optimizers.Optimizer, list[keras.Variable]]]:
        """Every optimizer, with the variables it moves."""
        return [(self.optimizer, self.trainable_variables)]

    def _remember_optimizers(self) -> None:
        """Keep their settings as they are before training, for `reinitialise`."""
        self._fresh_optimizers = [keras.optimizers.serialize(optimizer) for optimizer, _ in self.optimized()]

    def _build_optimizers(self) -> None:
        """Make their variables, if they are not made."""
        scope = self.distribute_strategy.scope() if BACKEND == "tensorflow" else contextlib.nullcontext()
        with scope:
            for optimizer, variables in self.optimized():
                if not optimizer.built:
                    optimizer.build(variables)

    def get_compile_config(self) -> dict:
        """What `compile` was given."""
        if not self.compiled:
            return {}
        return {"optimizer": keras.optimizers.serialize(self.optimizer), **self._asked}

    def compile_from_config(self, config: dict) -> None:
        """Compile as a saved model was."""
        self.compile(**{**config, "optimizer": keras.optimizers.deserialize(config["optimizer"])})
        if self.built:
            self._build_optimizers()

    def fit(
        self,
        x: Any = None,
        y: None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train on `x`; arguments as in Keras, without targets or weights.

        Args:
            x: NumPy array `[n, *shape]`, or a `tf.data.Dataset` of batches.
            y: Not taken: these models learn x itself.
            batch_size: Examples in a step (default 32).
            epochs: Passes over x.
            verbose: As in Keras; with 0, `callbacks.Progress` prints a short report.
            callbacks: As in Keras.
            validation_data: Data like `x`, evaluated after each epoch.
            **kwargs: Other arguments of Keras's `fit`.

        Raises:
            ValueError: if targets or weights come, data of another shape or range than the model's, or an
                array with NaN in it.
            FloatingPointError: if a term of the objective becomes NaN or infinite.
        """
        _refuse(sample_weight=kwargs.get("sample_weight"), class_weight=kwargs.get("class_weight"))
        self._assert_compile_called("fit")
        self._accept(x, y)
        if validation_data is not None:
            pair = validation_data if isinstance(validation_data, tuple) else (validation_data,)
            _refuse(**{f"validation_data[{i}]": part for i, part in enumerate(pair) if i > 1})
            self._accept(*pair[:2], name="validation_data")
            # A list alone would be taken for x and y.
            validation_data = (pair[0], pair[1] if len(pair) > 1 else None)
        # A dataset comes in an order of its own, and Keras warns if it was also asked to shuffle.
        kwargs.setdefault("shuffle", not hasattr(x, "element_spec"))
        if verbose != 0:
            print(f"{self.name}: {self.compilation}")
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=self._guarded(callbacks),
            validation_data=validation_data,
            **kwargs,
        )

    def evaluate(self, x: Any = None, y: None = None, **kwargs: Any) -> Any:
        """The terms of the objective on `x`; arguments as in Keras, without targets or weights.

        Raises:
            ValueError, FloatingPointError: as `fit`.
        """
        _refuse(sample_weight=kwargs.get("sample_weight"))
        if "_use_cached_eval_dataset" not in kwargs:  # Otherwise `fit` calls, with its own callbacks.
            self._accept(x, y)
            kwargs["callbacks"] = self._guarded(kwargs.get("callbacks"))
        return super().evaluate(x, y, **kwargs)

    def _accept(self, x: Any, y: Any = None, name: str = "x") -> None:
        """Check what is to be learned, and what comes beside it: for most models nothing."""
        _refuse(**{"y" if name == "x" else f"{name}[1]": y})
        self._prepare(x, name)

    def _guarded(self, callbacks: Any) -> list:
        """The callbacks with the guard against NaN in front, so that it speaks before they do."""
        callbacks = [] if callbacks is None else callbacks
        callbacks = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        return [StopOnNonFinite(self.first_non_finite), *callbacks]

    def _prepare(self, x: Any, name: str = "x") -> None:
        """Check the data; make every variable, so that the first step is traced once and not twice."""
        shape = _batch_shape(x, name)
        if not self.built:
            if shape is None:
                raise ValueError(f"{name} does not show its shape: call build((None, *shape)) before fit.")
            self.build((None, *shape[1:]))
        if shape is not None and None not in shape[1:] and shape[1:] != self.data_shape:
            raise ValueError(f"{name} has examples of shape {shape[1:]}; the model takes {self.data_shape}.")
        if isinstance(x, np.ndarray) and x.size:
            low, high = float(x.min()), float(x.max())
            if not np.isfinite([low, high]).all():
                bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
                raise ValueError(f"{name} holds NaN or infinite values, first in example {bad.argmax()}.")
            self.check_range(low, high)
        if self.compiled:
            self._build_optimizers()

    def check_range(self, low: float, high: float) -> None:
        """Raise ValueError if the model cannot explain data between `low` and `high`."""

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self._data_shape

    def reinitialise(self, seed: int) -> None:
        """New weights from the same initialisers and a fresh optimizer; the traced step stays.

        A sweep over seeds calls this between runs instead of making (and tracing) a new model.
        As `keras.utils.set_random_seed(seed)`, which it calls, it also seeds everything drawn later.

        Args:
            seed: Seed of the weights, of the model's draws and of the order of the data.

        Raises:
            ValueError: if the model has no weights yet.
        """
        if not self.built:
            raise ValueError("the model has no weights yet: call build((None, *shape)) or fit first.")
        keras.utils.set_random_seed(seed)
        fresh = type(self).from_config(self.get_config())
        if not fresh.built:
            fresh.build((None, *self.data_shape))
        for variable, new in zip(self.variables, fresh.variables, strict=True):
            variable.assign(new.value)
        if self.compiled:
            for (optimizer, variables), settings in zip(self.optimized(), self._fresh_optimizers, strict=True):
                if optimizer.built:
                    new = keras.optimizers.deserialize(settings)
                    new.build(variables)
                    for variable, value in zip(optimizer.variables, new.variables, strict=True):
                        variable.assign(value.value)

    # Saving: the parts, and the weights of the model itself beside those of its layers

    @classmethod
    def from_config(cls, config: dict) -> "BaseModel":
        """The model that `get_config` described, with new weights."""
        load = keras.saving.deserialize_keras_object
        is_part = {k: isinstance(v, dict) and "class_name" in v for k, v in config.items()}
        return cls(**{k: load(v) if is_part[k] else v for k, v in config.items()})

    def _state(self) -> dict[str, Any]:
        """Variables of the model's own, by name."""
        return {"seed_generator": self.seed_generator.state}

    def save_own_variables(self, store: dict) -> None:
        """Write the model's own variables into a `.keras` file."""
        for name, variable in self._state().items():
            store[name] = variable

    def load_own_variables(self, store: dict) -> None:
        """Read them back."""
        for name, variable in self._state().items():
            variable.assign(store[name])


def held_latents(n: int, latents: dict[int, Tensor] | None, shapes: Sequence[tuple]) -> dict[int, Tensor]:
    """The z to hold, checked against the shapes of z of the levels from 1 to L.

    Raises:
        ValueError: if `latents` names a level that is not there, or holds z of another number or shape.
    """
    held = {level: ops.cast(z, "float32") for level, z in (latents or {}).items()}
    for level, z in held.items():
        if level not in range(1, len(shapes) + 1):
            raise ValueError(f"latents holds level {level!r}; the levels are 1 to {len(shapes)}.")
        if z.shape[0] != n:
            raise ValueError(f"latents[{level}] holds {z.shape[0]} draws; n is {n}.")
        shape, expected = tuple(z.shape[1:]), tuple(shapes[level - 1])
        if shape != expected:
            raise ValueError(f"latents[{level}] holds z of shape {shape}; the level has {expected}.")
    return held


def serialized(**parts: Any) -> dict[str, dict]:
    """Configurations of layers, as `from_config` reads them."""
    return {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}


def build_pair(model: BaseModel, input_shape: tuple, codes: int) -> int:
    """Build `model.encoder` and `model.decoder` for x of shape `[None, *shape]`; return the latent dimension.

    Args:
        model: The model that owns them.
        input_shape: `(None, *shape)`.
        codes: Numbers the encoder gives for each latent dimension: 1 for a code, 2 for a normal.

    Raises:
        ValueError: if the encoder's output, the decoder's input and the data do not fit together.
    """
    input_shape = (None, *input_shape[1:])
    model._data_shape = tuple(input_shape[1:])
    output = tuple(build_once(model.encoder, input_shape).compute_output_shape(input_shape))
    if len(output) != 2 or output[-1] % codes:
        kind = "one number a latent dimension" if codes == 1 else "mean and log-variance side by side"
        raise ValueError(f"the encoder gives [batch, {codes} * latent], {kind}; its output is {output}.")
    latent = output[-1] // codes
    takes = model.decoder.input_shape[1:] if model.decoder.built else (latent,)
    if takes != (latent,):
        raise ValueError(f"the encoder gives {latent} latent dimensions, the decoder takes {takes}.")
    x_shape = tuple(build_once(model.decoder, (None, latent)).compute_output_shape((None, latent)))
    if x_shape[1:] != input_shape[1:]:
        raise ValueError(f"the decoder gives examples of shape {x_shape[1:]}; x has {input_shape[1:]}.")
    return latent


def build_once(part: keras.layers.Layer, input_shape: tuple) -> keras.layers.Layer:
    """The layer, with its variables made if they were not: a loaded part comes with them."""
    if not part.built:
        part.build(input_shape)
    return part


def _refuse(**arguments: Any) -> None:
    """Raise ValueError if an argument came that these models have no use for."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"{name} was given, but these models learn the data x itself: "
                "pass x alone, and datasets that yield x, not (x, y)."
            )


def _batch_shape(x: Any, name: str) -> tuple | None:
    """Shape of a batch, with None where it is not known; None if `x` does not say."""
    if isinstance(x, keras.utils.PyDataset):
        x = x[0]
    elif hasattr(x, "element_spec"):  # tf.data.Dataset
        x = x.element_spec
    if isinstance(x, (tuple, list)):
        _refuse(**{f"element {i} of {name}": part for i, part in enumerate(x) if i})
        x = x[0]
    return None if getattr(x, "shape", None) is None else tuple(x.shape)


def _choose_compiler(asked: bool | str, run_eagerly: bool) -> tuple[bool, str]:
    """Whether to use XLA, and the sentence that says so."""
    if run_eagerly:
        return False, "runs eagerly"
    if asked != "auto":
        return asked, f"{'XLA' if asked else 'no XLA'}, as asked"
    if BACKEND == "jax":
        return True, "XLA, as always on JAX"
    if replicas() > 1:
        return False, "no XLA under tf.distribute"
    if has_gpu():
        return True, "XLA, faster on a GPU"
    # On 2 cores a step of a dense VAE is no faster under XLA, one of convolutions is slower, and the first
    # step waits seconds for the compiler (benchmarks/README.md).
    return False, "no XLA, which starts later and runs no faster on a CPU"
