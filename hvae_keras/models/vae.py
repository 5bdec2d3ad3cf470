"""The variational autoencoder (Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014)."""

from collections.abc import Sequence

from hvae_keras import distributions
from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Seed, Tensor
from hvae_keras.layers import Bernoulli, Likelihood, Penalty
from hvae_keras.models.base import build_pair, serialized
from hvae_keras.models.inference import Level
from hvae_keras.models.variational import Draw, VariationalModel


@keras.saving.register_keras_serializable(package="hvae_keras")
class VAE(VariationalModel):
    """p(z) = N(0, I), p(x|z) from the decoder, q(z|x) a diagonal normal from the encoder.

    Args:
        encoder: Keras model from x `[batch, *shape]` to the posterior's mean and log-variance side by side,
            `[batch, 2 * latent]`.
        decoder: Keras model from z `[batch, latent]` to the parameters of p(x|z), in the shape of x: logits
            for `Bernoulli`, the mean for `Normal`.
        likelihood: Layer that turns them into p(x|z).
        beta: Weight of the KL in the loss.
        penalty: What beta weighs in place of the KL, such as `layers.Capacity()`.

    Raises:
        ValueError: if encoder, decoder and data do not fit together.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        likelihood: Likelihood | None = None,
        beta: float | Sequence[float] = 1.0,
        penalty: Penalty | None = None,
        **kwargs,
    ):
        super().__init__(Bernoulli() if likelihood is None else likelihood, 1, beta, penalty, **kwargs)
        self.encoder, self.decoder = encoder, decoder
        if encoder.built:
            self.build(encoder.input_shape)

    def build(self, input_shape: tuple) -> None:
        """Make the variables for x of shape `[None, *shape]`."""
        self.latent = build_pair(self, input_shape, codes=2)
        self.likelihood.build((None, *self.data_shape))
        self.latent_shapes = [(self.latent,)]

    @property
    def prior(self) -> distributions.Distribution:
        """p(z) = N(0, I), event shape `[latent]`."""
        return distributions.standard_normal((self.latent,))

    def encode(self, x: Tensor, training: bool = False) -> Tensor:
        """Mean and log-variance of q(z|x) side by side: `[batch, 2 * latent]`."""
        return self.encoder(ops.cast(x, "float32"), training=training)

    def explain(
        self,
        encoded: Tensor,
        seed: Seed,
        temperature: float = 1.0,
        training: bool = False,
        latents: dict[int, Tensor] | None = None,
    ) -> tuple[list[Level], Tensor]:
        """One `Level`: p(z), q(z|x), a draw z `[batch, latent]` and KL(q‖p); and the decoder's output for z."""
        posterior = distributions.diagonal_normal(encoded)
        z = (latents or {}).get(1)
        if z is None:
            z = distributions.cooled_sample(posterior, seed, temperature)
        level = Level(self.prior, posterior, z, distributions.kl_units(posterior, self.prior))
        return [level], self.decoder(z, training=training)

    def ancestral(
        self, n: int, latents: dict[int, Tensor] | None = None, temperature: float = 1.0, seed: Seed | None = None
    ) -> tuple[list[Draw], Tensor]:
        """z as given, or from N(0, temperature² I), and the decoder's output for it."""
        z = self._held(n, latents).get(1)
        if z is None:
            seed = self.seed_generator if seed is None else seed
            z = distributions.cooled_sample(self.prior, seed, temperature, (n,))
        return [Draw(self.prior, z)], self.decoder(z)

    def get_config(self) -> dict:
        """Arguments that make the model again."""
        parts = serialized(encoder=self.encoder, decoder=self.decoder, likelihood=self.likelihood)
        return {**super().get_config(), **parts}
