"""The variational autoencoder (Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014)."""

from collections.abc import Sequence

from hvae_keras import distributions
from hvae_keras.backend import keras, ops
from hvae_keras.distributions import Tensor
from hvae_keras.layers import Bernoulli, Likelihood
from hvae_keras.models.base import build_pair, serialized
from hvae_keras.models.variational import Level, VariationalModel


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

    Raises:
        ValueError: if encoder, decoder and data do not fit together.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        likelihood: Likelihood | None = None,
        beta: float | Sequence[float] = 1.0,
        **kwargs,
    ):
        super().__init__(Bernoulli() if likelihood is None else likelihood, levels=1, beta=beta, **kwargs)
        self.encoder, self.decoder = encoder, decoder
        if encoder.built:
            self.build(encoder.input_shape)

    def build(self, input_shape: tuple) -> None:
        """Make the variables for x of shape `[None, *shape]`."""
        self.latent = build_pair(self, input_shape, codes=2)
        self.likelihood.build((None, *self.data_shape))

    @property
    def prior(self) -> distributions.Distribution:
        """p(z) = N(0, I), event shape `[latent]`."""
        return distributions.standard_normal((self.latent,))

    def infer(self, x: Tensor, temperature: float = 1.0, training: bool = False) -> list[Level]:
        """One `Level`: p(z), q(z|x), a draw z `[batch, latent]` and KL(q‖p) `[batch]`."""
        posterior = distributions.diagonal_normal(self.encoder(ops.cast(x, "float32"), training=training))
        z = _cooled(posterior, distributions.sample(posterior, self.seed_generator), temperature)
        return [Level(self.prior, posterior, z, distributions.kl(posterior, self.prior))]

    def decode_levels(self, latents: list[Tensor], training: bool = False) -> Tensor:
        """The decoder's output for z_1."""
        return self.decoder(latents[0], training=training)

    def draw(self, latents: dict[int, Tensor], n: int, temperature: float) -> list[Tensor]:
        """z_1 as given, or from N(0, temperature² I)."""
        if 1 in latents:
            return [latents[1]]
        return [_cooled(self.prior, distributions.sample(self.prior, self.seed_generator, (n,)), temperature)]

    def encode(self, x: Tensor) -> Tensor:
        """Mean and log-variance of q(z|x) side by side: `[batch, 2 * latent]`."""
        return self.encoder(ops.cast(x, "float32"))

    def log_weights(self, x: Tensor, encoded: Tensor, samples: int, seed: distributions.Seed) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x) in nats: `[samples, batch]`."""
        posterior = distributions.diagonal_normal(encoded)
        z = distributions.sample(posterior, seed, (samples,))
        parameters = self.decoder(ops.reshape(z, (-1, self.latent)))
        parameters = ops.reshape(parameters, (samples, -1, *self.data_shape))
        log_likelihood = self.likelihood.log_prob(parameters, x)
        return log_likelihood + self.prior.log_prob(z) - posterior.log_prob(z)

    def get_config(self) -> dict:
        """Arguments that make the model again."""
        parts = serialized(encoder=self.encoder, decoder=self.decoder, likelihood=self.likelihood)
        return {**super().get_config(), **parts, "beta": self.initial_beta}


def _cooled(distribution: distributions.Distribution, z: Tensor, temperature: float) -> Tensor:
    """The draw z moved towards the mean, as if the scale had been multiplied by `temperature`."""
    if temperature == 1.0:
        return z
    return distribution.mean() + temperature * (z - distribution.mean())
