"""The linear-Gaussian model: the latent-variable model whose every quantity is known in closed form."""

import numpy as np

from hvae_keras.backend import keras
from hvae_keras.layers import Normal
from hvae_keras.models.vae import VAE


class LinearGaussian:
    """z ~ N(0, I), x|z ~ N(W z + b, scale² I): probabilistic PCA (Tipping & Bishop 1999).

    Everything but `as_vae` is computed in float64 with NumPy, so that it can judge the bounds of trained
    models. M = I + WᵀW / scale² is the precision of the posterior (the paper's M divided by scale²).

    Args:
        weights: W, `[data, latent]`.
        bias: b, `[data]`.
        scale: Standard deviation of the noise, positive.

    Raises:
        ValueError: if the shapes do not fit together or the scale is not positive.
    """

    def __init__(self, weights: np.ndarray, bias: np.ndarray, scale: float):
        self.weights, self.bias = np.asarray(weights, "float64"), np.asarray(bias, "float64")
        if self.weights.ndim != 2 or self.bias.shape != self.weights.shape[:1]:
            raise ValueError(
                "weights is [data, latent] and bias [data]; "
                f"got shapes {self.weights.shape} and {self.bias.shape}."
            )
        if not scale > 0:
            raise ValueError(f"scale is a standard deviation: a number above 0 is expected, got {scale!r}.")
        self.scale = float(scale)
        self.data, self.latent = self.weights.shape

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Draws of x: `[n, data]`.

        Args:
            n: How many.
            seed: The same seed gives the same draws.
        """
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((n, self.latent))
        noise = rng.standard_normal((n, self.data))
        return z @ self.weights.T + self.bias + self.scale * noise

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """log p(x) of x ~ N(b, W Wᵀ + scale² I), the marginal, in nats: `[n]` (section 3.1 of the paper).

        Args:
            x: `[n, data]`.
        """
        covariance = self.weights @ self.weights.T + self.scale**2 * np.eye(self.data)
        return _normal_log_prob(self._checked(x) - self.bias, covariance)

    def posterior(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p(z|x) = N(M⁻¹ Wᵀ (x - b) / scale², M⁻¹) (section 3.1 of the paper).

        Args:
            x: `[n, data]`.

        Returns:
            The means, `[n, latent]`, and the covariance M⁻¹, `[latent, latent]`, the same for every x.
        """
        covariance = np.linalg.inv(self._precision())
        mean = (self._checked(x) - self.bias) @ self.weights @ covariance / self.scale**2
        return mean, covariance

    def kl_to_posterior(self, x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """KL(q(z|x) ‖ p(z|x)) for a diagonal normal q, in nats: what its ELBO lacks of log p(x), `[n]`.

        Args:
            x: `[n, data]`.
            mean: Means of q, `[n, latent]`, or one mean for all.
            variance: Variances of q, `[n, latent]`, or one for all.
        """
        posterior_mean, _ = self.posterior(x)
        precision = self._precision()
        difference = np.asarray(mean, "float64") - posterior_mean
        variance = np.broadcast_to(np.asarray(variance, "float64"), difference.shape)
        squares = np.einsum("ni,ij,nj->n", difference, precision, difference)
        trace = variance @ np.diag(precision)
        log_determinants = np.log(variance).sum(-1) + np.linalg.slogdet(precision)[1]
        return 0.5 * (trace + squares - self.latent - log_determinants)

    def as_vae(self, shift: float = 0.0, stretch: float = 1.0) -> VAE:
        """This model as a `VAE`, with the diagonal posterior nearest to the true one in KL(q ‖ p(z|x)).

        That one has the true means and the variances 1 / M_ii. It is the true posterior where the columns
        of W are orthogonal; elsewhere the ELBO falls short of log p(x) by `kl_to_posterior`.

        Args:
            shift: Added to every mean of the posterior, to make it wrong on purpose.
            stretch: Factor on every scale of the posterior, likewise.
        """
        to_mean = np.linalg.solve(self._precision(), self.weights.T).T / self.scale**2
        kernel = np.concatenate([to_mean, np.zeros_like(to_mean)], axis=1)
        log_var = 2 * np.log(stretch) - np.log(np.diag(self._precision()))
        bias = np.concatenate([shift - self.bias @ to_mean, log_var])
        encoder = _affine(kernel, bias, name="encoder")
        decoder = _affine(self.weights.T, self.bias, name="decoder")
        return VAE(encoder, decoder, likelihood=Normal(scale=self.scale))

    def _precision(self) -> np.ndarray:
        return np.eye(self.latent) + self.weights.T @ self.weights / self.scale**2

    def _checked(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, "float64")
        if x.ndim != 2 or x.shape[1] != self.data:
            raise ValueError(f"x is [n, {self.data}]; got shape {x.shape}.")
        return x


def _normal_log_prob(difference: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Log-density of N(0, covariance) at each row of `difference`."""
    root = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(root, difference.T)
    log_determinant = 2 * np.log(np.diag(root)).sum()
    return -0.5 * ((whitened**2).sum(0) + log_determinant + len(root) * np.log(2 * np.pi))


def _affine(kernel: np.ndarray, bias: np.ndarray, name: str) -> keras.Model:
    """One dense layer with these weights."""
    model = keras.Sequential([keras.Input((kernel.shape[0],)), keras.layers.Dense(kernel.shape[1])], name=name)
    model.set_weights([kernel, bias])
    return model
