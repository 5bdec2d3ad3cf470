"""What models of sequences share: log p(x) = Σ_t log p(x_t | x_{<t}), and drawing one step after another."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hvae_keras import distributions
from hvae_keras.backend import compiled, keras, ops
from hvae_keras.distributions import Seed, Tensor
from hvae_keras.layers import SequenceLikelihood
from hvae_keras.models.base import BaseModel


class SequenceModel(BaseModel):
    """A model of sequences without latent variables, trained on -log p(x) in nats per sequence.

    While it trains, step t is predicted from the true steps before it (teacher forcing; Williams & Zipser 1989).
    With `sampling_rate` above 0 a share of these inputs is replaced by the model's own draws (scheduled sampling;
    Bengio et al. 2015), made in parallel in a first pass over the true steps (Duckworth et al. 2019).

    A subclass writes `parameters`, `start` and `advance`.

    Args:
        likelihood: A layer such as `layers.Categorical(34)`, which says what a step is.

    Raises:
        ValueError: if the likelihood is of another kind.
    """

    def __init__(self, likelihood: SequenceLikelihood, **kwargs):
        super().__init__(**kwargs)
        self.likelihood = checked_likelihood(likelihood)
        self.sampling_rate = self.add_weight(
            shape=(1,), initializer="zeros", trainable=False, dtype="float32", autocast=False, name="sampling_rate"
        )
        self._track(logged=("nats_per_step",), watched=("log_likelihood",))

    # What a subclass writes

    def parameters(self, heard: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        """Parameters of p(x_t | x_{<t}) for every step at once: `[batch, steps, size]`.

        Args:
            heard: The steps as `likelihood.as_input` gives them, `[batch, steps, size]`. Step t of the result
                must not depend on steps t and later.
            mask: `likelihood.mask(x)`, `[batch, steps]`.
            training: Passed to the networks.
        """
        raise NotImplementedError

    def start(self, n: int) -> Any:
        """What the model knows of n sequences before their first step: tensors `[n, ...]`, nested as it likes."""
        raise NotImplementedError

    def advance(self, state: Any, previous: Tensor, step: Tensor) -> tuple[Tensor, Any]:
        """Parameters of one step, and the state after it.

        Args:
            state: From `start`, or from the step before.
            previous: The step before as `likelihood.as_input` gives it, `[n, size]`; zeros at the start.
            step: Number of the step, from 0, a scalar.
        """
        raise NotImplementedError

    # What every subclass shares

    def call(self, x: Tensor, training: bool = False) -> dict[str, Tensor]:
        """`parameters` of every step given those before it, and `step_log_prob` in nats, `[batch, steps]`."""
        heard, mask = self.likelihood.as_input(x), self.likelihood.mask(x)
        if training:
            heard = self._partly_own(heard, mask)
        parameters = self.parameters(heard, mask, training)
        return {"parameters": parameters, "step_log_prob": self.likelihood.step_log_prob(parameters, x)}

    def _partly_own(self, heard: Tensor, mask: Tensor) -> Tensor:
        """The steps, a share of them replaced by what the model would have drawn in their place."""
        # Seeds come from outside of the branch: on JAX a branch must not change a variable.
        draw_seed, own_seed = distributions.split_seed(distributions.stateless_seed(self.seed_generator), 2)

        def mixed() -> Tensor:
            drawn = self.likelihood.draw(self.parameters(heard, mask), draw_seed)
            coin = distributions.tfd.Bernoulli(probs=self.sampling_rate[0] * mask[..., None])
            own = distributions.draw_discrete(coin, own_seed) > 0
            return ops.stop_gradient(ops.where(own, self.likelihood.as_input(drawn), heard))

        return ops.cond(self.sampling_rate[0] > 0, mixed, lambda: heard)

    def objective(self, x: Tensor, outputs: dict[str, Tensor]) -> tuple[Tensor, dict, dict]:
        """-log p(x) of each sequence in nats; logged as the mean over all steps that are not padding, too."""
        log_likelihood = ops.sum(outputs["step_log_prob"], axis=-1)
        per_step = (-outputs["step_log_prob"], self.likelihood.mask(x))
        return -log_likelihood, {"nats_per_step": per_step}, {"log_likelihood": log_likelihood}

    def step_log_prob(self, x: Tensor) -> Tensor:
        """log p(x_t | x_{<t}) in nats, 0 at padding: `[batch, steps]`."""
        return self(x)["step_log_prob"]

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats: `[batch]`."""
        return ops.sum(self.step_log_prob(x), axis=-1)

    def generate(
        self,
        n: int,
        steps: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        prompt: np.ndarray | None = None,
        seed: Seed | None = None,
    ) -> np.ndarray:
        """Draw sequences, each step given those drawn before it: `[n, steps, ...]`, like x.

        Args:
            n: How many.
            steps: How long; as long as the data the model was built for by default.
            temperature: What the logits are divided by, above 0.
            top_k: Draw among the k most probable tokens only; 1 always takes the most probable one.
            prompt: The first steps, given instead of drawn: `[k, ...]` for all sequences or `[n, k, ...]`.
            seed: As `distributions.sample` takes it; the model's own generator by default.

        Raises:
            ValueError: if a number is out of its range, or the prompt is no beginning of such a sequence.
        """
        steps = self.data_shape[0] if steps is None else steps
        check_drawing(n, steps, temperature, top_k)
        given = self._prompt(prompt, n, steps)
        seed = self.seed_generator if seed is None else seed

        def run(seed: Tensor, given: Tensor) -> Tensor:
            return write(self.advance, self.start(n), self.likelihood, steps, seed, temperature, top_k, given)[0]

        drawn = compiled(run, xla=False)(distributions.stateless_seed(seed), given)
        return ops.convert_to_numpy(drawn)

    def _prompt(self, prompt: np.ndarray | None, n: int, steps: int) -> Tensor:
        """The steps given, -1 where there is none: `[n, steps, ...]`."""
        shape = (n, steps, *self.data_shape[1:])
        given = np.full(shape, -1, "int32" if len(shape) == 2 else "float32")
        if prompt is not None:
            prompt = np.asarray(prompt)
            prompt = prompt[None] if prompt.ndim == len(shape) - 1 else prompt
            if prompt.ndim != len(shape) or prompt.shape[1] > steps or prompt.shape[0] not in (1, n):
                raise ValueError(
                    f"prompt holds the first steps of sequences of shape {shape}, for each of them or for all; "
                    f"got shape {prompt.shape}."
                )
            if prompt.size and (prompt.min() < 0 or prompt.shape[2:] != shape[2:]):
                raise ValueError(
                    f"prompt holds steps and no padding, each of shape {shape[2:]}; got {prompt.shape}."
                )
            if prompt.size:
                self.likelihood.check(float(prompt.min()), float(prompt.max()))
            given[:, : prompt.shape[1]] = prompt
        return ops.convert_to_tensor(given)

    def check_range(self, low: float, high: float) -> None:
        """Ask the likelihood whether it can explain such data."""
        self.likelihood.check(low, high)

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "sampling_rate": self.sampling_rate}


Advance = Callable[[Any, Tensor, Tensor], tuple[Tensor, Any]]


def write(
    advance: Advance,
    state: Any,
    likelihood: SequenceLikelihood,
    steps: int,
    seed: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    given: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw step after step, each drawn step being the next one's input.

    Args:
        advance: `advance(state, previous, step)` gives the parameters of a step and the state after it; see
            `SequenceModel`.
        state: The state before the first step, tensors `[n, ...]`.
        likelihood: What a step is, and how one is drawn.
        steps: How many.
        seed: A seed tensor.
        temperature, top_k: As `SequenceLikelihood.draw` takes them.
        given: Steps that are not drawn, -1 where one is drawn: `[n, steps, ...]`.

    Returns:
        The steps `[n, steps, ...]` and the parameters each was drawn from, `[n, steps, size]`.
    """
    n = keras.tree.flatten(state)[0].shape[0]
    seeds = ops.stack(distributions.split_seed(seed, steps))

    def one(step: Tensor, carry: tuple) -> tuple:
        state, previous, sequence, along = carry
        parameters, state = advance(state, previous, step)
        parameters = ops.cast(parameters, "float32")
        drawn = likelihood.draw(parameters, ops.take(seeds, step, axis=0), temperature, top_k)
        if given is not None:
            told = ops.take(given, step, axis=1)
            drawn = ops.where(told >= 0, ops.cast(told, drawn.dtype), drawn)
        return state, likelihood.as_input(drawn), _put(sequence, step, drawn), _put(along, step, parameters)

    nothing = likelihood.draw(ops.zeros((n, steps, likelihood.size)), seed)
    first = (state, ops.zeros((n, likelihood.size)), nothing, ops.zeros((n, steps, likelihood.size)))
    return ops.fori_loop(0, steps, one, first)[2:]


def _put(sequence: Tensor, step: Tensor, value: Tensor) -> Tensor:
    """The sequence `[n, steps, ...]` with another value `[n, ...]` at one step."""
    return ops.slice_update(sequence, (0, step, *(0 for _ in sequence.shape[2:])), value[:, None])


def before(steps: Tensor) -> Tensor:
    """Each step's predecessor, zeros before the first: `[batch, steps, size]`."""
    return ops.pad(steps[:, :-1], ((0, 0), (1, 0), (0, 0)))


def places(batch: int, steps: int, meter: int) -> Tensor:
    """The place of every step in a bar of `meter` steps, one-hot: `[batch, steps, meter]`."""
    one_hot = ops.one_hot(ops.arange(steps) % meter, meter)
    return ops.broadcast_to(one_hot[None], (batch, steps, meter))


def checked_likelihood(likelihood: SequenceLikelihood) -> SequenceLikelihood:
    """The likelihood, if it is one of sequences."""
    if not isinstance(likelihood, SequenceLikelihood):
        raise ValueError(
            "likelihood is one of sequences, such as hvae_keras.layers.Categorical(34) or BernoulliFrames(88); "
            f"got {likelihood!r}."
        )
    return likelihood


def check_drawing(n: int, steps: int, temperature: float, top_k: int | None) -> None:
    """Raise ValueError if sequences cannot be drawn so."""
    for name, value in {"n": n, "steps": steps, "top_k": 1 if top_k is None else top_k}.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} is a whole number of at least 1; got {value!r}.")
    if not temperature > 0:
        raise ValueError(
            f"temperature is above 0; got {temperature!r}. For the most probable step every time, use top_k=1."
        )
