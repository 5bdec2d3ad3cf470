"""The game of two players: the losses of generator and discriminator, and the penalty on the discriminator.

A discriminator gives a score D(x), a real number without bounds: high for what it takes to be real. In the first
two losses it is the log-odds log p(real|x) / p(generated|x), and the loss is in nats.
"""

from collections.abc import Callable

from hvae_keras.backend import gradient, ops
from hvae_keras.distributions import Tensor


def _log_odds(real: Tensor, fake: Tensor) -> Tensor:
    """-log p(real|x) for real x, and -log p(generated|x) for generated x."""
    return ops.softplus(-real) + ops.softplus(fake)


# name -> (loss of the discriminator, loss of the generator)
LOSSES: dict[str, tuple[Callable, Callable]] = {
    "minimax": (_log_odds, lambda fake: -ops.softplus(fake)),
    "non-saturating": (_log_odds, lambda fake: ops.softplus(-fake)),
    "hinge": (lambda real, fake: ops.relu(1 - real) + ops.relu(1 + fake), lambda fake: -fake),
    "wasserstein": (lambda real, fake: fake - real, lambda fake: -fake),
}


def discriminator_loss(loss: str, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises, elementwise; a step takes its mean.

    Args:
        loss: "minimax" and "non-saturating" are the cross-entropy (Goodfellow et al. 2014, equation 1, turned
            round), "hinge" is that of Lim & Ye (2017), "wasserstein" the difference of the scores (Arjovsky,
            Chintala & Bottou 2017), whose discriminator has to be smooth: use spectral normalisation or R1.
        real: Scores of real examples, any shape.
        fake: Scores of generated ones, the same shape.

    Raises:
        ValueError: if there is no such loss.
    """
    return LOSSES[checked_loss(loss)][0](real, fake)


def generator_loss(loss: str, fake: Tensor) -> Tensor:
    """What the generator minimises, elementwise, from the scores of generated examples; a step takes its mean.

    "minimax" is the game's own log(1 - p(real|x)), whose gradient vanishes where the discriminator is sure;
    "non-saturating" is -log p(real|x) (Goodfellow et al. 2014, section 3); the other two raise the score.

    Raises:
        ValueError: if there is no such loss.
    """
    return LOSSES[checked_loss(loss)][1](fake)


def checked_loss(loss: str) -> str:
    """The name of a loss, or ValueError."""
    if loss not in LOSSES:
        raise ValueError(f"loss is one of {', '.join(LOSSES)}; got {loss!r}.")
    return loss


def r1_penalty(discriminator: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Half the squared gradient of the score at each real example: ½ ‖∇D(x)‖², `[batch]`.

    Added to the discriminator's loss with a weight γ, it lets the game come to rest where the generator is right
    (Mescheder, Geiger & Nowozin 2018, equation 9).

    Args:
        discriminator: From x to scores `[batch, ...]`, each of its own example only.
        x: `[batch, *shape]`.
    """
    slope = gradient(lambda at: ops.sum(discriminator(at)), x)
    return 0.5 * ops.sum(ops.square(slope), axis=tuple(range(1, len(x.shape))))
