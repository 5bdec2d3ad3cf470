"""The linear-Gaussian chain: the hierarchy whose every quantity is known in closed form."""

from collections.abc import Callable, Sequence

import numpy as np

from hvae_keras.layers import DenseNetworks, Normal
from hvae_keras.models.hierarchical import HierarchicalVAE
from hvae_keras.models.inference import BottomUp, Inference, Ladder


class LinearGaussianChain:
    """z_L ~ N(0, I), z_i | z_{i+1} ~ N(W z_{i+1} + b, scale² I) down to x | z_1: a chain of normals.

    x counts as level 0 and z_1 to z_L as levels 1 to L, so every question has one form: a conditional, an
    information or a draw names levels. Everything but `as_hierarchical_vae` is computed in float64 with
    NumPy from the joint normal of all levels, so that it can judge the diagnostics of trained models.

    Args:
        weights: One W a step, from x upwards: `[data, d_1]`, `[d_1, d_2]`, ..., `[d_{L-1}, d_L]`.
        biases: One b a step, likewise: `[data]`, `[d_1]`, ..., `[d_{L-1}]`.
        scales: Standard deviation of the noise of each step: of x, z_1, ..., z_{L-1}; positive.

    Attributes:
        levels: L.
        units: Dimensions of each level, x first: `(data, d_1, ..., d_L)`.

    Raises:
        ValueError: if the steps do not fit together or a scale is not positive.
    """

    def __init__(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray], scales: Sequence[float]):
        self.weights = [np.asarray(weight, "float64") for weight in weights]
        self.biases = [np.asarray(bias, "float64") for bias in biases]
        self.scales = [float(scale) for scale in scales]
        self.levels = len(self.weights)
        _check_steps(self.weights, self.biases, self.scales)
        self.units = (*(len(weight) for weight in self.weights), self.weights[-1].shape[1])
        self._mean, self._covariance = self._joint()

    @classmethod
    def tree(
        cls, data: int, units: Sequence[int], scales: Sequence[float], seed: int = 0
    ) -> "LinearGaussianChain":
        """A chain in which every unit hangs on one unit of the level above, and W of x has orthogonal columns.

        Every p(z_i | z_{i+1}, x) then has a diagonal covariance, so a top-down posterior of independent
        units is exact. The bottom-up conditionals p(z_1 | x) and p(z_{i+1} | z_i) are diagonal only where no
        two units share a parent, that is where all levels have as many units: siblings are correlated.

        Args:
            data: Dimensions of x, at least `units[0]`.
            units: Dimensions of z_1, ..., z_L; each divides the one before it.
            scales: As above.
            seed: Seed of the weights and biases.

        Raises:
            ValueError: if the units do not make a tree.
        """
        units = tuple(units)
        divides = all(above and below % above == 0 for below, above in zip(units, units[1:], strict=False))
        if not units or not divides or data < units[0]:
            raise ValueError(
                "units of a tree divide one another from z_1 upwards, and data is at least units[0]; "
                f"got data={data}, units={units}."
            )
        rng = np.random.default_rng(seed)
        weights = [np.linalg.qr(rng.normal(size=(data, units[0])))[0] * rng.uniform(0.8, 1.6, units[0])]
        for below, above in zip(units, units[1:], strict=False):
            parent_of = np.repeat(np.eye(above), below // above, axis=0)
            weights.append(parent_of * rng.uniform(0.6, 1.4, (below, 1)))
        return cls(weights, [rng.normal(size=len(weight)) for weight in weights], scales)

    def sample(self, n: int, seed: int) -> list[np.ndarray]:
        """Draws of every level, x first: `[n, data]`, `[n, d_1]`, ..., `[n, d_L]`.

        Args:
            n: How many.
            seed: The same seed gives the same draws.
        """
        rng = np.random.default_rng(seed)
        draws = [rng.standard_normal((n, self.units[-1]))]
        for weight, bias, scale in zip(self.weights[::-1], self.biases[::-1], self.scales[::-1], strict=True):
            draws.append(draws[-1] @ weight.T + bias + scale * rng.standard_normal((n, len(weight))))
        return draws[::-1]

    def joint(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean `[sum(units)]` and covariance of (x, z_1, ..., z_L) side by side."""
        return self._mean.copy(), self._covariance.copy()

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """log p(x) in nats: `[n]`.

        Args:
            x: `[n, data]`.
        """
        return self._expected_log_prob(0, (), self._checked(x, 0))

    def conditional(self, level: int, given: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """p(z_level | the levels given), a normal.

        `conditional(i, {i + 1: z, 0: x})` is the top-down posterior, `conditional(i, {i - 1: z})` the
        bottom-up one, `conditional(i, {0: x})` is p(z_i|x) and `conditional(i, {})` the marginal.

        Args:
            level: 0 for x, 1 to L for z.
            given: `{level: values [n, units]}`, of other levels.

        Returns:
            The means, `[n, units]` (n = 1 if nothing is given), and the covariance, the same for all.

        Raises:
            ValueError: if there is no such level, or the values have another shape than it.
        """
        values = [self._checked(value, at) for at, value in given.items()]
        gain, offset, covariance = self._affine((level,), tuple(given))
        known = np.concatenate(values, axis=1) if values else np.zeros((1, 0))
        return known @ gain.T + offset, covariance

    def kl_by_level(self, x: np.ndarray) -> np.ndarray:
        """Mean over p(z_{>i}|x) of KL(p(z_i | z_{i+1}, x) ‖ p(z_i | z_{i+1})) in nats: `[n, L]`.

        These are the terms of the ELBO of a top-down posterior that is exact; they sum to KL(p(z|x) ‖ p(z)).

        Args:
            x: `[n, data]`.
        """
        return self._terms(self._checked(x, 0), lambda i: (0, *self._above(i)))

    def bottom_up_terms(self, x: np.ndarray) -> np.ndarray:
        """Mean over p(z|x) of log p(z_i | z_{i-1}) - log p(z_i | z_{i+1}) in nats: `[n, L]`.

        These are the terms of the ELBO of a bottom-up posterior that is exact. They have the sum of
        `kl_by_level`. Only that of the top is a mean divergence: the others compare two conditionals
        of z_i that are given different levels, and may be negative.

        Args:
            x: `[n, data]`.
        """
        return self._terms(self._checked(x, 0), lambda i: (i - 1,))

    def mean_kl_by_level(self) -> np.ndarray:
        """Mean over p(x) of `kl_by_level`, `[L]`: I(x; z_i | z_{i+1}) = I(x; z_i) - I(x; z_{i+1})."""
        return self._terms(None, lambda i: (0, *self._above(i)))

    def mean_bottom_up_terms(self) -> np.ndarray:
        """Mean over p(x) of `bottom_up_terms`, `[L]`: I(z_i; z_{i-1}) - I(z_i; z_{i+1}), where z_0 is x."""
        return self._terms(None, lambda i: (i - 1,))

    def mutual_information(self, first: int, second: int) -> float:
        """I between two levels in nats, 0 for x: half the log-ratio of the joint normal's determinants."""
        _, _, marginal = self._affine((first,), ())
        _, _, conditional = self._affine((first,), (second,))
        return float(0.5 * (np.linalg.slogdet(marginal)[1] - np.linalg.slogdet(conditional)[1]))

    def as_hierarchical_vae(
        self, inference: Inference | None = None, shift: float = 0.0, stretch: float = 1.0
    ) -> HierarchicalVAE:
        """This chain as a `HierarchicalVAE` with linear networks: the generator exact, the posterior near.

        `TopDown` and `BottomUp` get the true conditional means, and in place of the true covariance the
        variances 1 / (its inverse)_jj, the nearest in KL(q ‖ p) of a diagonal normal. `Ladder` gets at the top
        the same, and below it the diagonal of the precision of p(x|z_i) as a function of z_i, with the mean
        that keeps each unit's product of mean and precision. All are exact where the true covariances are
        diagonal, as they are top-down in a `tree`. Elsewhere the ELBO falls short of log p(x).

        Args:
            inference: `BottomUp()`, `TopDown()` or `Ladder()`, which is the default.
            shift: Added to every mean that the inference's networks give, to make it wrong on purpose.
            stretch: Factor on every scale that they give, likewise.
        """
        model = HierarchicalVAE(
            self.units[1:], DenseNetworks(((),) * self.levels), inference, Normal(scale=self.scales[0])
        )
        model.build((None, self.units[0]))
        model.output_layer.set_weights([self.weights[0].T, self.biases[0]])
        for i in range(1, self.levels):
            log_var = np.full(self.units[i], 2 * np.log(self.scales[i]))
            model.heads[i - 1].set_weights(_head(self.weights[i], self.biases[i], log_var))
        for i in range(1, self.levels + 1):
            gain, offset, log_var = self._posterior(i, model.inference)
            model.inference.heads[i - 1].set_weights(_head(gain, offset + shift, log_var + 2 * np.log(stretch)))
        return model

    def _posterior(self, level: int, inference: Inference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gain and offset of the mean that a head of `inference` gives, and its log-variances."""
        if isinstance(inference, Ladder) and level < self.levels:
            gain, offset, covariance = self._affine((0,), (level,))
            weighted = np.linalg.solve(covariance, gain).T
            # A unit that x says nothing of has the precision 0: so small that the merge keeps the prior.
            precision = np.maximum(np.diag(weighted @ gain), 1e-12)
            gain = weighted / precision[:, None]
            return gain, -gain @ offset, -np.log(precision)
        given = (0, *self._above(level))
        if isinstance(inference, BottomUp):
            given = tuple(range(level - 1, -1, -1)) if inference.skip else (level - 1,)
        gain, offset, covariance = self._affine((level,), given)
        return gain, offset, -np.log(np.diag(np.linalg.inv(covariance)))

    def _above(self, level: int) -> tuple[int, ...]:
        return (level + 1,) if level < self.levels else ()

    def _joint(self) -> tuple[np.ndarray, np.ndarray]:
        """Moments of all levels, by way of the map from independent noise of each level to all of them."""
        identity, rows = np.eye(sum(self.units)), self._rows
        root, mean = np.zeros_like(identity), np.zeros(len(identity))
        root[rows(self.levels)] = identity[rows(self.levels)]
        for i in range(self.levels - 1, -1, -1):
            root[rows(i)] = self.weights[i] @ root[rows(i + 1)] + self.scales[i] * identity[rows(i)]
            mean[rows(i)] = self.weights[i] @ mean[rows(i + 1)] + self.biases[i]
        return mean, root @ root.T

    def _rows(self, *levels: int) -> np.ndarray:
        """Where the joint vector holds these levels."""
        for level in levels:
            if level not in range(self.levels + 1):
                raise ValueError(f"levels are 0 (x) to {self.levels}; got {level!r}.")
        edges = np.cumsum((0, *self.units))
        return np.concatenate([np.arange(0), *(np.arange(edges[i], edges[i + 1]) for i in levels)])

    def _affine(self, levels: tuple, given: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gain, offset and covariance of p(levels | given) = N(gain · given + offset, covariance)."""
        a, b = self._rows(*levels), self._rows(*given)
        cross = self._covariance[np.ix_(b, a)]
        gain = np.linalg.solve(self._covariance[np.ix_(b, b)], cross).T
        return gain, self._mean[a] - gain @ self._mean[b], self._covariance[np.ix_(a, a)] - gain @ cross

    def _expected_log_prob(self, level: int, given: tuple, x: np.ndarray | None) -> np.ndarray:
        """Mean of log p(level | given) over p(z|x) for each x, `[n]`, or over the whole joint if x is None."""
        every = tuple(range(self.levels + 1))
        gain, offset, spread = self._affine(every, () if x is None else (0,))
        means = offset[None] if x is None else x @ gain.T + offset
        gain, offset, covariance = self._affine((level,), given)
        # What is left of the level when its conditional mean is taken away is a linear map of the joint.
        left = np.eye(len(spread))[self._rows(level)]
        left[:, self._rows(*given)] -= gain
        difference, precision = means @ left.T - offset, np.linalg.inv(covariance)
        squares = np.einsum("ni,ij,nj->n", difference, precision, difference)
        trace = np.trace(precision @ left @ spread @ left.T)
        return -0.5 * (squares + trace + np.linalg.slogdet(2 * np.pi * covariance)[1])

    def _terms(self, x: np.ndarray | None, known: Callable[[int], tuple]) -> np.ndarray:
        """Mean of log p(z_i | known(i)) - log p(z_i | z_{i+1}), `[n, L]`, or `[L]` if x is None."""
        mean, levels = self._expected_log_prob, range(1, self.levels + 1)
        terms = [mean(i, known(i), x) - mean(i, self._above(i), x) for i in levels]
        return np.concatenate(terms) if x is None else np.stack(terms, axis=-1)

    def _checked(self, values: np.ndarray, level: int) -> np.ndarray:
        values, dimensions = np.asarray(values, "float64"), len(self._rows(level))
        if values.ndim != 2 or values.shape[1] != dimensions:
            name = f"z_{level}" if level else "x"
            raise ValueError(f"{name} is [n, {dimensions}]; got shape {values.shape}.")
        return values


def _check_steps(weights: list[np.ndarray], biases: list[np.ndarray], scales: list[float]) -> None:
    """Raise ValueError if the steps do not make a chain."""
    if not weights or not len(weights) == len(biases) == len(scales):
        raise ValueError(
            "weights, biases and scales hold one entry a step, and there is at least one; "
            f"got {len(weights)}, {len(biases)} and {len(scales)}."
        )
    below = None
    for i, (weight, bias, scale) in enumerate(zip(weights, biases, scales, strict=True)):
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or below not in (None, len(weight)):
            expected = "[data, d_1]" if below is None else f"[{below}, d_{i + 1}]"
            raise ValueError(
                f"weights[{i}] is {expected} and biases[{i}] as long as its rows; "
                f"got shapes {weight.shape} and {bias.shape}."
            )
        if not scale > 0:
            raise ValueError(f"scales[{i}] is a standard deviation: a number above 0 is expected, got {scale!r}.")
        below = weight.shape[1]


def _head(gain: np.ndarray, offset: np.ndarray, log_var: np.ndarray) -> list[np.ndarray]:
    """Weights of a dense layer that gives the mean gain · input + offset, and this log-variance beside it."""
    return [np.concatenate([gain.T, np.zeros_like(gain.T)], axis=1), np.concatenate([offset, log_var])]
