"""The merge of the Ladder VAE: two normal estimates of one variable become one."""

from hvae_keras.backend import ops
from hvae_keras.distributions import Tensor


def precision_weighted_merge(
    mean: Tensor, log_var: Tensor, prior_mean: Tensor, prior_log_var: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of the normal proportional to N(mean, e^log_var) N(prior_mean, e^prior_log_var).

    The precisions add, and the mean is the average weighted by them (Sønderby et al. 2016, section 2.2). In
    log space: log τ_q = logaddexp(-log_var, -prior_log_var), and the weight of `mean` is a sigmoid of
    the difference of the log-variances, so no precision is ever computed and none can overflow. The merged
    variance is never above that of either.

    Args:
        mean: Estimate from the data, any shape.
        log_var: Its log-variance, same shape.
        prior_mean: Mean of the prior, same shape.
        prior_log_var: Its log-variance, same shape.

    Returns:
        Mean and log-variance, same shape.
    """
    weight = ops.sigmoid(prior_log_var - log_var)
    return prior_mean + weight * (mean - prior_mean), -ops.logaddexp(-log_var, -prior_log_var)
