"""A hierarchical VAE of sequences: one latent variable for the whole, one for each phrase."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hvae_keras import distributions
from hvae_keras.backend import compiled, keras, ops
from hvae_keras.distributions import Seed, Tensor, diagonal_normal
from hvae_keras.layers import Penalty, SequenceLikelihood
from hvae_keras.models.base import build_once, serialized
from hvae_keras.models.hierarchical_recurrent import PhraseWriter, begun, check_phrases, checked_length, summarise
from hvae_keras.models.inference import Level
from hvae_keras.models.recurrent import checked_cell
from hvae_keras.models.sequence import before, check_drawing, checked_likelihood, write
from hvae_keras.models.variational import Draw, VariationalModel


@keras.saving.register_keras_serializable(package="hvae_keras")
class HierarchicalRecurrentVAE(VariationalModel):
    """p(z_2) ∏_p p(z_{1,p} | z_2, z_{1,<p}) ∏_t p(x_{p,t} | x_{p,<t}, last step before p, z_2, z_{1,≤p}).

    z_2 belongs to the whole sequence, and z_1 holds one variable for each phrase. A conductor, started by z_2,
    moves once a phrase: it reads z_2 and z_1 of the phrase before, no steps, and gives the prior of the next.
    Encoder and writer are those of `HierarchicalRecurrentModel`. MusicVAE (Roberts et al. 2018) has a variable for
    the whole and none for the phrases; VHRED (Serban et al. 2017) has one for each phrase and none for the whole.

    The posterior goes down like the generator: q(z_2|x) ∏_p q(z_{1,p} | z_2, z_{1,<p}, x).

    Args:
        latents: Units of z_{1,p} and of z_2.
        encoder: Keras cell that reads a phrase; its summary is what inference knows of it.
        reader: Keras cell that reads the summaries, for q(z_2|x).
        conductor: Keras cell that makes one move a phrase.
        writer: Keras cell that writes the steps of a phrase.
        likelihood: What a step is: `layers.Categorical(tokens)` or `layers.BernoulliFrames(keys)`.
        phrase_length: Steps in a phrase. The steps of x are a multiple of it.
        beta: Weight of the KL in the loss, one number or one a level.
        penalty: What beta weighs in place of the KL, such as `layers.FreeBits(...)`.

    Raises:
        ValueError: if an argument is none of these, or x cannot be cut into phrases.
    """

    sequential_levels = (1,)

    def __init__(
        self,
        latents: Sequence[int],
        encoder: keras.layers.Layer,
        reader: keras.layers.Layer,
        conductor: keras.layers.Layer,
        writer: keras.layers.Layer,
        likelihood: SequenceLikelihood,
        phrase_length: int,
        beta: float | Sequence[float] = 1.0,
        penalty: Penalty | None = None,
        **kwargs,
    ):
        latents = tuple(latents)
        if len(latents) != 2 or not all(isinstance(units, int) and units > 0 for units in latents):
            raise ValueError(f"latents holds the units of z_1 and z_2, two positive integers; got {latents}.")
        super().__init__(checked_likelihood(likelihood), 2, beta, penalty, **kwargs)
        self.latents, self.phrase_length = latents, checked_length(phrase_length)
        self.encoder, self.reader = checked_cell(encoder, "encoder"), checked_cell(reader, "reader")
        self.conductor = checked_cell(conductor, "conductor")
        dense = keras.layers.Dense
        self.listen, self.read = keras.layers.RNN(encoder), keras.layers.RNN(reader)
        self.tune_posterior = dense(2 * latents[1])
        self.beginnings = [dense(n, activation="tanh") for n in keras.tree.flatten(conductor.state_size)]
        self.phrase_prior = dense(2 * latents[0])
        self.phrase_features = dense(encoder.output_size, activation="tanh")
        self.phrase_posterior = dense(2 * latents[0])
        self.writer = PhraseWriter(writer, likelihood.size, phrase_length)

    def build(self, input_shape: tuple) -> None:
        """Make the variables for x of shape `[None, steps, ...]`."""
        self._data_shape = tuple(input_shape[1:])
        check_phrases(self._data_shape[0], self.phrase_length)
        self.phrases = self._data_shape[0] // self.phrase_length
        phrase, tune = self.latents
        self.latent_shapes = [(self.phrases, phrase), (tune,)]
        summary, plan = self.encoder.output_size, self.conductor.output_size
        self.likelihood.build(input_shape)
        build_once(self.listen, (None, self.phrase_length, self.likelihood.size + self.phrase_length))
        build_once(self.read, (None, self.phrases, summary))
        build_once(self.tune_posterior, (None, self.reader.output_size))
        for beginning in self.beginnings:
            build_once(beginning, (None, tune))
        build_once(self.conductor, (None, phrase + tune))
        build_once(self.phrase_prior, (None, plan))
        build_once(self.phrase_features, (None, summary + plan))
        build_once(self.phrase_posterior, (None, summary))
        build_once(self.writer, (None, self.phrases, phrase + plan))

    def _conduct(self, z_2: Tensor, choose: Callable[[int, Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        """Walk over the phrases: training, sampling and holding levels all come this way.

        Args:
            z_2: `[batch, units]`.
            choose: `choose(p, prior_parameters, plan)` gives z_{1,p}, `[batch, units]`.

        Returns:
            z_1 `[batch, phrases, units]`, the parameters of its prior, and what the writer is told of each phrase.
        """
        state = begun(self.conductor, self.beginnings, z_2)
        z, found = ops.zeros((ops.shape(z_2)[0], self.latents[0])), []
        for p in range(self.phrases):
            plan, state = self.conductor(ops.concatenate([z, z_2], axis=-1), state)
            prior_parameters = self.phrase_prior(plan)
            z = choose(p, prior_parameters, plan)
            found.append((z, prior_parameters, ops.concatenate([z, plan], axis=-1)))
        return tuple(ops.stack(parts, axis=1) for parts in zip(*found, strict=True))

    def encode(self, x: Tensor, training: bool = False) -> list[Tensor]:
        """Summaries of the phrases, parameters of q(z_2|x), and the steps that the writer is given."""
        heard, mask = self.likelihood.as_input(x), self.likelihood.mask(x)
        summaries = summarise(self.listen, heard, mask, self.phrase_length, training)
        return [summaries, self.tune_posterior(self.read(summaries, training=training)), heard]

    def explain(
        self,
        encoded: list[Tensor],
        seed: Seed,
        temperature: float = 1.0,
        training: bool = False,
        latents: dict[int, Tensor] | None = None,
    ) -> tuple[list[Level], Tensor]:
        """Both levels of the posterior, and the parameters of every step given the steps before it."""
        summaries, tune_parameters, heard = encoded
        seeds, held = distributions.split_seed(seed, self.phrases + 1), latents or {}
        q_2, posteriors = diagonal_normal(tune_parameters), []
        p_2 = distributions.standard_normal((self.latents[1],))
        z_2 = held[2] if 2 in held else distributions.cooled_sample(q_2, seeds[-1], temperature)

        def choose(p: int, prior_parameters: Tensor, plan: Tensor) -> Tensor:
            features = self.phrase_features(ops.concatenate([summaries[:, p], plan], axis=-1))
            posteriors.append(self.phrase_posterior(features))
            if 1 in held:
                return held[1][:, p]
            return distributions.cooled_sample(diagonal_normal(posteriors[-1]), seeds[p], temperature)

        z_1, prior_parameters, told = self._conduct(z_2, choose)
        p_1, q_1 = (diagonal_normal(each, 2) for each in (prior_parameters, ops.stack(posteriors, axis=1)))
        levels = [
            Level(p_1, q_1, z_1, distributions.kl_units(q_1, p_1)),
            Level(p_2, q_2, z_2, distributions.kl_units(q_2, p_2)),
        ]
        return levels, self.writer(before(heard), told, training=training)

    def _latents(
        self, n: int, latents: dict[int, Tensor] | None, temperature: float, seed: Seed
    ) -> tuple[list[Draw], Tensor]:
        """Draw what is not held, and what the writer is told: `[n, phrases, ...]`."""
        seeds, held = distributions.split_seed(seed, self.phrases + 1), self._held(n, latents)
        prior = distributions.standard_normal((self.latents[1],))
        z_2 = held[2] if 2 in held else distributions.cooled_sample(prior, seeds[-1], temperature, (n,))

        def choose(p: int, prior_parameters: Tensor, plan: Tensor) -> Tensor:
            if 1 in held:
                return held[1][:, p]
            return distributions.cooled_sample(diagonal_normal(prior_parameters), seeds[p], temperature)

        z_1, prior_parameters, told = self._conduct(z_2, choose)
        return [Draw(diagonal_normal(prior_parameters, 2), z_1), Draw(prior, z_2)], told

    def ancestral(
        self, n: int, latents: dict[int, Tensor] | None = None, temperature: float = 1.0, seed: Seed | None = None
    ) -> tuple[list[Draw], Tensor]:
        """Both levels drawn from their priors, and the parameters of every step along one x drawn from them."""
        latent_seed, step_seed = self._two_seeds(seed)
        draws, told = self._latents(n, latents, temperature, latent_seed)
        return draws, self._write(told, step_seed)[1]

    def log_likelihood(self, x: Tensor, latents: dict[int, Tensor], seed: Seed) -> Tensor:
        """log p(x|z) in nats, `[batch]`, each step given the true steps before it. Arguments as in the base."""
        told = self._latents(x.shape[0], latents, 1.0, seed)[1]
        parameters = self.writer(before(self.likelihood.as_input(x)), told)
        return self.likelihood.log_prob(parameters, x)

    def _two_seeds(self, seed: Seed | None) -> list[Seed]:
        seed = self.seed_generator if seed is None else seed
        return distributions.split_seed(distributions.stateless_seed(seed), 2)

    def _write(
        self, told: Tensor, seed: Tensor, temperature: float = 1.0, top_k: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Steps drawn one after another, and their parameters; `told` is `[n, phrases, ...]`."""

        def advance(state: Any, previous: Tensor, step: Tensor) -> tuple[Tensor, Any]:
            at, plan = step % self.phrase_length, ops.take(told, step // self.phrase_length, axis=1)
            state = ops.cond(at == 0, lambda: self.writer.start(plan), lambda: state)
            return self.writer.advance(state, previous, at, plan)

        state = self.writer.start(told[:, 0])
        return write(advance, state, self.likelihood, self.data_shape[0], seed, temperature, top_k)

    def generate(
        self,
        n: int,
        latents: dict[int, Tensor] | None = None,
        temperature: float = 1.0,
        step_temperature: float = 1.0,
        top_k: int | None = None,
    ) -> np.ndarray:
        """Sequences drawn from z of the prior, each step given those drawn before it: `[n, steps, ...]`, like x.

        Args:
            n: How many.
            latents: `{level: z}`, z of shape `[n, *event]`: these levels are held, the others drawn.
            temperature: Factor on the scale of every prior drawn from.
            step_temperature: What the logits of every step are divided by, above 0.
            top_k: Draw among the k most probable tokens only; 1 always takes the most probable one.

        Raises:
            ValueError: if `latents` names a level that is not there or holds z of another shape, or a number is
                out of its range.
        """
        check_drawing(n, self.data_shape[0], step_temperature, top_k)
        latent_seed, step_seed = self._two_seeds(None)
        told = self._latents(n, latents, temperature, latent_seed)[1]

        def run(told: Tensor, seed: Tensor) -> Tensor:
            return self._write(told, seed, step_temperature, top_k)[0]

        return ops.convert_to_numpy(compiled(run, xla=False)(told, step_seed))

    def reconstruct(
        self,
        x: Tensor,
        from_level: int = 1,
        temperature: float = 1.0,
        step_temperature: float = 1.0,
        top_k: int | None = None,
    ) -> np.ndarray:
        """Sequences drawn from z, levels `from_level` to 2 inferred from x and those below from their priors.

        Arguments as in `generate`. No step of x is given: what returns came through z.
        """
        held = self._inferred(x, from_level, temperature)
        return self.generate(len(x), held, temperature, step_temperature, top_k)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the model again."""
        cells = {"encoder": self.encoder, "reader": self.reader, "conductor": self.conductor}
        parts = serialized(**cells, writer=self.writer.cell, likelihood=self.likelihood)
        return {
            **super().get_config(),
            "latents": list(self.latents),
            **parts,
            "phrase_length": self.phrase_length,
        }
