"""Generative adversarial networks: one pair of players, free or told what to make."""

from typing import Any

import numpy as np

from hvae_keras.adversarial import checked_loss, discriminator_loss, generator_loss, r1_penalty
from hvae_keras.backend import BACKEND, keras, ops, replicas
from hvae_keras.callbacks import StopOnCollapse
from hvae_keras.distributions import Seed, Tensor, sample, standard_normal
from hvae_keras.layers.averaged import AveragedNetwork
from hvae_keras.models.base import BaseModel, held_latents, serialized

LOGGED = ("discriminator_loss", "generator_loss", "accuracy", "diversity")


class AdversarialGame(BaseModel):
    """What every game of generators and discriminators shares: a step of moves in place of one loss.

    A subclass writes `moves` and `judged`.

    In the logs, for each pair of players: `discriminator_loss` and `generator_loss`; `accuracy`, the probability
    that a real example of the batch has a higher score than a generated one (1 where the discriminator has won,
    1/2 where it guesses); `diversity`, the mean distance of a generated example to its nearest neighbour in the
    batch, as a share of the same for real ones: near 0 where the generator repeats itself.
    """

    def moves(self, real: Any, given: Any) -> dict[str, Tensor]:
        """A move of every player on one batch, and the terms of the logs.

        Args:
            real: What comes as x of `fit`.
            given: What comes as y, or None.
        """
        raise NotImplementedError

    def judged(self, real: Any, given: Any) -> dict[str, Tensor]:
        """The terms of the logs on one batch, without a move."""
        raise NotImplementedError

    def train_step(self, data: Any) -> dict:
        """One step of training; Keras calls it."""
        return self._logged(self.moves, data)

    def test_step(self, data: Any) -> dict:
        """One step of evaluation; Keras calls it."""
        return self._logged(self.judged, data)

    def _logged(self, step: Any, data: Any) -> dict:
        real, given, _ = keras.utils.unpack_x_y_sample_weight(data)
        terms = step(real, given)
        for name, tracker in self.trackers.items():
            tracker.update_state(terms[name])
        losses = [ops.mean(terms[name]) for name in terms if "loss" in name]
        self.first_non_finite.update_state([*keras.tree.flatten(real)[:1], *losses, sum(losses)])
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict:
        """The logged terms; there is no loss that all players share."""
        result = super().get_metrics_result()
        result.pop("loss", None)
        return result

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Train the players on x; y is what x was made from, where the model is told that.

        Other arguments, errors and messages as in `BaseModel.fit`, with `validation_data=(x, y)` if there is a y.

        Raises:
            RuntimeError: on another backend than TensorFlow; if a player's loss grows without bounds, or a
                generator repeats itself (`callbacks.StopOnCollapse`, which can be passed with other limits).
        """
        _need_tensorflow()
        return super().fit(x, y, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """The terms of the logs on x; arguments and errors as `fit`."""
        _need_tensorflow()
        return super().evaluate(x, y, **kwargs)

    def _guarded(self, callbacks: Any) -> list:
        guarded = super()._guarded(callbacks)
        own = any(isinstance(callback, StopOnCollapse) for callback in guarded)
        return guarded if own else [guarded[0], StopOnCollapse(), *guarded[1:]]


class AdversarialModel(AdversarialGame):
    """A generator and a discriminator that train each other (Goodfellow et al. 2014).

    A step is one move of each: the discriminator's on real and generated examples, then the generator's against
    the discriminator as it is now. A move trains its own network only. What `generate` returns is made with
    a running mean of the generator's weights. Training needs TensorFlow; a trained model generates on JAX, too.

    Args:
        generator: Keras model from z `[batch, latent]`, or `[z, condition]`, to examples.
        discriminator: Keras model from examples, or `[examples, condition]`, to scores `[batch, ...]`.
        loss: One of `hvae_keras.adversarial.LOSSES`.
        r1: Weight of the discriminator's gradient penalty, `adversarial.r1_penalty`; 0 for none.
        averaging: Decay of the running mean of the generator's weights, from 0 (none) to below 1.

    Raises:
        ValueError: if the networks do not fit together, or an argument is out of range.
    """

    conditional = False
    levels = 1

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        loss: str = "non-saturating",
        r1: float = 0.0,
        averaging: float = 0.99,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if r1 < 0:
            raise ValueError(f"r1 is the weight of a penalty, at least 0; got {r1!r}.")
        self.latent, self._data_shape = _checked_pair(generator, discriminator, self.conditional)
        self.latent_shapes = [(self.latent,)]
        self.generator, self.discriminator = generator, discriminator
        self.loss_name, self.r1, self.averaging = checked_loss(loss), float(r1), averaging
        self.average = AveragedNetwork(generator, averaging, name="average")
        self._track(logged=LOGGED, watched=LOGGED[:2])
        self.built = True

    def compile(
        self,
        generator_optimizer: str | keras.optimizers.Optimizer | None = None,
        discriminator_optimizer: str | keras.optimizers.Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """Choose an optimizer for each player.

        Args:
            generator_optimizer: By default Adam with a rate of 2e-4, without momentum.
            discriminator_optimizer: By default Adam with twice that rate: two time scales (Heusel et al. 2017).
            **kwargs: As in `BaseModel.compile`.

        Raises:
            ValueError: if one optimizer is given for both: each keeps moments of its own player.
        """
        first, second = _optimizer(generator_optimizer, 2e-4), _optimizer(discriminator_optimizer, 4e-4)
        if first is second:
            raise ValueError("generator_optimizer and discriminator_optimizer are one object; make one for each.")
        self.discriminator_optimizer = second
        super().compile(first, **kwargs)

    def optimized(self) -> list[tuple[keras.optimizers.Optimizer, list[keras.Variable]]]:
        """The optimizer of each player, with its variables."""
        return [
            (self.optimizer, self.generator.trainable_variables),
            (self.discriminator_optimizer, self.discriminator.trainable_variables),
        ]

    def get_compile_config(self) -> dict:
        """What `compile` was given."""
        if not self.compiled:
            return {}
        players = {"generator_optimizer": self.optimizer, "discriminator_optimizer": self.discriminator_optimizer}
        return {**{k: keras.optimizers.serialize(v) for k, v in players.items()}, **self._asked}

    def compile_from_config(self, config: dict) -> None:
        """Compile as a saved model was."""
        players = [k for k in config if k.endswith("_optimizer")]
        self.compile(**{**config, **{k: keras.optimizers.deserialize(config[k]) for k in players}})
        self._build_optimizers()

    # The game

    def moves(self, real: Tensor, given: Any) -> dict[str, Tensor]:
        """A move of the discriminator, and one of the generator."""
        condition = self.condition(given)
        return self.play(real, condition, condition)

    def play(
        self, real: Tensor, real_condition: Tensor | None, fake_condition: Tensor | None
    ) -> dict[str, Tensor]:
        """One move of each player, on the real pair and on examples generated from `fake_condition`.

        Args:
            real: `[batch, *shape]`.
            real_condition, fake_condition: What the networks see beside an example, as `condition` gives it.

        Returns:
            The terms of the logs.
        """
        import tensorflow as tf

        real = ops.cast(real, "float32")
        batch = ops.shape(real)[0]
        fake = self.generator(_inputs(self.draw(batch), fake_condition), training=True)
        with tf.GradientTape() as tape:
            real_score = self.score(real, real_condition, training=True)
            fake_score = self.score(ops.stop_gradient(fake), fake_condition, training=True)
            loss = ops.mean(discriminator_loss(self.loss_name, real_score, fake_score))
            if self.r1:
                loss = loss + self.r1 * ops.mean(r1_penalty(lambda x: self.score(x, real_condition), real))
        _move(tape, loss, self.discriminator, self.discriminator_optimizer)
        with tf.GradientTape() as tape:
            fake = self.generator(_inputs(self.draw(batch), fake_condition), training=True)
            loss = ops.mean(generator_loss(self.loss_name, self.score(fake, fake_condition, training=True)))
        _move(tape, loss, self.generator, self.optimizer)
        self.average.update(self.generator)
        return self._terms(real, fake, real_score, fake_score)

    def judged(self, real: Tensor, given: Any) -> dict[str, Tensor]:
        """The terms for this batch and as many examples from the averaged generator."""
        condition = self.condition(given)
        return self.judge(real, condition, condition)

    def judge(
        self, real: Tensor, real_condition: Tensor | None, fake_condition: Tensor | None
    ) -> dict[str, Tensor]:
        """As `play`, without a move, and with the averaged generator."""
        real = ops.cast(real, "float32")
        fake = self.drawn(self.draw(ops.shape(real)[0]), fake_condition)
        return self._terms(real, fake, self.score(real, real_condition), self.score(fake, fake_condition))

    def draw(self, n: int, temperature: float = 1.0, seed: Seed | None = None) -> Tensor:
        """z from N(0, temperature² I): `[n, latent]`."""
        seed = self.seed_generator if seed is None else seed
        return temperature * sample(standard_normal((self.latent,)), seed, (n,))

    def drawn(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """What the averaged generator makes of z and a condition: `[n, *shape]`."""
        return self.average(_inputs(z, condition))

    def score(self, x: Tensor, condition: Tensor | None = None, training: bool = False) -> Tensor:
        """D(x), or D(x, condition): `[batch, ...]`."""
        return self.discriminator(_inputs(x, condition), training=training)

    def _terms(self, real: Tensor, fake: Tensor, real_score: Tensor, fake_score: Tensor) -> dict[str, Tensor]:
        return {
            "discriminator_loss": discriminator_loss(self.loss_name, real_score, fake_score),
            "generator_loss": generator_loss(self.loss_name, fake_score),
            "accuracy": ranked_rightly(real_score, fake_score),
            "diversity": nearest_distance(fake) / ops.maximum(nearest_distance(real), 1e-12),
        }

    @property
    def draws_with(self) -> list[keras.layers.Layer]:
        """The layers that `generate` uses."""
        return [self.average]

    @property
    def trained(self) -> bool:
        """Whether there was a training step."""
        return self.average.updated

    # What a model is told

    def condition(self, given: Any) -> Tensor | None:
        """What the networks see of what x was made from; None for a model that is not told anything."""
        return None

    def check_condition(self, given: Any, n: int, name: str) -> None:
        """Raise ValueError if something came that a model without a condition has no use for."""
        if given is not None:
            raise ValueError(f"{name} was given, but this model is not told anything: pass x alone.")

    def _accept(self, x: Any, y: Any = None, name: str = "x") -> None:
        if hasattr(x, "element_spec"):  # tf.data.Dataset of pairs
            spec = x.element_spec
            if isinstance(spec, tuple) != self.conditional:
                raise ValueError(f"{name} is a dataset that yields {'(x, y)' if self.conditional else 'x alone'}.")
            self._build_optimizers()
            return
        if not hasattr(x, "__len__"):
            raise ValueError(f"{name} is an array or a tf.data.Dataset; got {type(x).__name__}.")
        if y is None and self.conditional:
            raise ValueError(f"{name} came alone, but this model is told what to make: pass y, too.")
        self.check_condition(y, len(x), "y" if name == "x" else f"{name}[1]")
        self._prepare(x, name)

    # What a trained model is asked

    def make(self, n: int, latents: dict[int, Tensor] | None, temperature: float, condition: Any) -> np.ndarray:
        """Examples from z as given in `latents`, or drawn: `[n, *shape]`, a few hundred at a time."""
        z = held_latents(n, latents, self.latent_shapes).get(1)
        z = self.draw(n, temperature) if z is None else z
        made = [np.zeros((0, *self.data_shape), "float32")]
        for at in range(0, n, 256):
            part = None if condition is None else condition[at : at + 256]
            made.append(ops.convert_to_numpy(self.drawn(z[at : at + 256], part)))
        return np.concatenate(made)

    def get_config(self) -> dict:
        """Arguments that make the model again."""
        settings = {"loss": self.loss_name, "r1": self.r1, "averaging": self.averaging}
        networks = serialized(generator=self.generator, discriminator=self.discriminator)
        return {**super().get_config(), **networks, **settings}


@keras.saving.register_keras_serializable(package="hvae_keras")
class GAN(AdversarialModel):
    """p(x) as what a generator makes of noise z ~ N(0, I). Arguments, logs and errors as in `AdversarialModel`."""

    def generate(self, n: int, latents: dict[int, Tensor] | None = None, temperature: float = 1.0) -> np.ndarray:
        """Examples `[n, *shape]`.

        Args:
            n: How many.
            latents: `{1: z}`, z of shape `[n, latent]`, to be used instead of a draw.
            temperature: Factor on z; below 1 the examples come from the middle of the noise.

        Raises:
            ValueError: if `latents` names another level, or holds z of another number or shape.
        """
        return self.make(n, latents, temperature, None)


@keras.saving.register_keras_serializable(package="hvae_keras")
class ConditionalGAN(AdversarialModel):
    """p(x|label): both players see the label (Mirza & Osindero 2014). `fit(x, labels)`, int `[n]`, from 0.

    The second input of both networks is the label as a vector of zeros and a one, `[batch, classes]`.
    Arguments, logs and errors as in `AdversarialModel`.
    """

    conditional = True

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return self.generator.inputs[1].shape[-1]

    def generate(
        self, n: int, labels: Any, latents: dict[int, Tensor] | None = None, temperature: float = 1.0
    ) -> np.ndarray:
        """Examples `[n, *shape]` of the given labels.

        Args:
            n: How many.
            labels: One label, or n of them.
            latents, temperature: As in `GAN.generate`.

        Raises:
            ValueError: as `GAN.generate`, and if there are more or fewer labels than n, or one is out of range.
        """
        labels = np.broadcast_to(labels, (n,)) if np.ndim(labels) == 0 else np.asarray(labels)
        self.check_condition(labels, n, "labels")
        return self.make(n, latents, temperature, self.condition(labels))

    def condition(self, given: Any) -> Tensor:
        """One-hot vectors of the labels."""
        return ops.one_hot(ops.cast(given, "int32"), self.classes)

    def check_condition(self, given: Any, n: int, name: str) -> None:
        """Raise ValueError unless there are n labels, integers in range."""
        shape, dtype = np.shape(given), np.asarray(given).dtype
        if shape != (n,) or not np.issubdtype(dtype, np.integer):
            raise ValueError(f"{name} holds {n} labels, integers of shape ({n},); got {dtype} of shape {shape}.")
        out = (np.asarray(given) < 0) | (np.asarray(given) >= self.classes)
        if out.any():
            at = int(out.argmax())
            raise ValueError(f"{name}[{at}] is {given[at]}; the labels are 0 to {self.classes - 1}.")


@keras.saving.register_keras_serializable(package="hvae_keras")
class TranslationGAN(AdversarialModel):
    """p(picture|sketch): the discriminator sees the pair (Isola et al. 2017). `fit(pictures, sketches)`.

    The second input of both networks is the sketch. Arguments, logs and errors as in `AdversarialModel`.
    """

    conditional = True

    def translate(
        self, sketches: Any, latents: dict[int, Tensor] | None = None, temperature: float = 1.0
    ) -> np.ndarray:
        """A picture of each sketch: `[n, *shape]`.

        Args:
            sketches: `[n, *sketch_shape]`.
            latents, temperature: As in `GAN.generate`; other z give other pictures of the same sketch.

        Raises:
            ValueError: as `GAN.generate`, and if a sketch has another size than the model's.
        """
        self.check_condition(sketches, len(sketches), "sketches")
        return self.make(len(sketches), latents, temperature, self.condition(sketches))

    def condition(self, given: Any) -> Tensor:
        """The sketches."""
        return ops.cast(given, "float32")

    def check_condition(self, given: Any, n: int, name: str) -> None:
        """Raise ValueError unless there are n finite sketches of the right size."""
        expected, shape = tuple(self.generator.inputs[1].shape[1:]), np.shape(given)
        if shape != (n, *expected):
            raise ValueError(f"{name} holds {n} sketches of shape {expected}; got shape {shape}.")
        if not np.isfinite(given).all():
            raise ValueError(f"{name} holds NaN or infinite values.")


def ranked_rightly(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """Share of the pairs of a real and a generated example in which the real one has the higher score."""
    real, fake = ops.reshape(real_score, (-1, 1)), ops.reshape(fake_score, (1, -1))
    return ops.mean(ops.cast(real > fake, "float32") + 0.5 * ops.cast(ops.equal(real, fake), "float32"))


def nearest_distance(x: Tensor) -> Tensor:
    """Mean Euclidean distance of an example to the nearest other one in the batch `[batch, ...]`, 2 or more."""
    x = ops.reshape(ops.cast(x, "float32"), (ops.shape(x)[0], -1))
    x = x - ops.mean(x, axis=0)  # less to cancel in the difference of squares
    squares = ops.sum(ops.square(x), axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * ops.matmul(x, ops.transpose(x))
    # More than any squared distance, and unlike infinity it survives a batch of one.
    itself = ops.eye(ops.shape(x)[0]) * (4 * ops.max(squares) + 1)
    return ops.mean(ops.sqrt(ops.maximum(ops.min(distances + itself, axis=1), 0.0)))


def _need_tensorflow() -> None:
    if BACKEND != "tensorflow":
        raise RuntimeError(f"adversarial models train on TensorFlow; KERAS_BACKEND is {BACKEND!r}.")


def _checked_pair(generator: keras.Model, discriminator: keras.Model, conditional: bool) -> tuple[int, tuple]:
    """Size of z and shape of an example, if the networks fit together; ValueError if not."""
    takes = 2 if conditional else 1
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        if not isinstance(network, keras.Model) or not getattr(network, "inputs", None):
            raise ValueError(f"{name} is a keras.Model that knows its input shape; got {network!r}.")
        if len(network.inputs) != takes:
            expected = "two inputs, the second one what x is made from" if conditional else "one input"
            raise ValueError(f"{name} takes {expected}; it has {len(network.inputs)}.")
    z, x = tuple(generator.inputs[0].shape), tuple(generator.outputs[0].shape)
    if len(z) != 2:
        raise ValueError(f"the generator takes z of shape [batch, latent]; its first input is {z}.")
    if x[1:] != tuple(discriminator.inputs[0].shape[1:]):
        raise ValueError(
            f"the generator makes examples of shape {x[1:]}, the discriminator takes "
            f"{tuple(discriminator.inputs[0].shape[1:])}."
        )
    if conditional and generator.inputs[1].shape != discriminator.inputs[1].shape:
        raise ValueError(
            f"the second inputs differ: {tuple(generator.inputs[1].shape)} of the generator and "
            f"{tuple(discriminator.inputs[1].shape)} of the discriminator."
        )
    return z[-1], x[1:]


def _inputs(first: Tensor, condition: Tensor | None) -> Tensor | list:
    return first if condition is None else [first, condition]


def _optimizer(given: Any, rate: float) -> keras.optimizers.Optimizer:
    """As given, or Adam without momentum, which would carry a player past where the other one was."""
    return keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99) if given is None else keras.optimizers.get(given)


def _move(tape: Any, loss: Tensor, player: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Change one player's weights, and nobody else's."""
    variables = player.trainable_variables
    gradients = tape.gradient(loss, variables)
    # tf.distribute sums the replicas' gradients.
    optimizer.apply([gradient / replicas() for gradient in gradients], variables)
