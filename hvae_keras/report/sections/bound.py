"""How probable real examples are to the model."""

import numpy as np

from hvae_keras import metrics
from hvae_keras.backend import ops
from hvae_keras.data import melodies
from hvae_keras.models import Autoencoder, SequenceModel
from hvae_keras.report.blocks import Content, LeftOutError, Mean, mean, with_error
from hvae_keras.report.subject import Subject

TITLE = "How probable real examples are"
QUESTION = (
    "How large is log p(x) of examples that the model never saw, in nats? Higher is better, and only models "
    "of the same data, with pixels made in the same way, can be compared."
)
LIMITS = (
    "The ELBO and the importance-weighted bound lie below log p(x), by an amount that nobody knows; a better "
    "bound may come from a better posterior and not from a better model. And a model can give real examples "
    "a high probability and still draw poor ones."
)
EXAMPLES, BATCH = 200, 50
SAMPLES = {"pictures": 50, "tunes": 10, "sequences": 10}  # draws of z, by what they cost


def make(subject: Subject) -> Content:
    """The ELBO and the importance-weighted bound, or the exact log-likelihood of a model of sequences."""
    content = Content()
    if isinstance(subject.model, SequenceModel):
        found = _exact(content, subject)
    elif subject.adversarial:
        raise LeftOutError("No likelihood: an adversarial model draws examples and gives them no probability.")
    elif isinstance(subject.model, Autoencoder):
        raise LeftOutError("No likelihood: an autoencoder is no distribution of x.")
    else:
        found = _bounds(content, subject)
    if subject.data.name == "melodies":
        truth = mean(melodies.log_prob(subject.test.x))
        found["the process that made the tunes, test"] = content.values["log_prob_of_the_process"] = truth
        content.say("No model can do better, on average over many tunes, than the process that made them.")
    rows = [[name, f"{estimate.n:,}", with_error(estimate)] for name, estimate in found.items()]
    header = ["", "examples", "nats per example"]
    steps = _steps(subject.test.x)
    if steps is not None:
        header.append("−log p per step, nats")
        content.values["steps_per_example"] = steps
        for row, estimate in zip(rows, found.values(), strict=True):
            row.append(with_error(Mean(-estimate.mean / steps, estimate.standard_error / steps, estimate.n)))
    content.tabulate("Means, ± half the 95 % interval over examples.", header, rows)
    return content


def _bounds(content: Content, subject: Subject) -> dict[str, Mean]:
    """Name for readers -> mean bound."""
    n, samples, model = min(subject.n, EXAMPLES), SAMPLES[subject.what], subject.model
    arguments = {"samples": samples, "chunk": samples, "batch_size": BATCH, "seed": subject.seed}
    subject.step(f"bounds from {samples} draws for each of {n} examples")
    x, trained = subject.test.x[:n], subject.data.train.x[:n]
    # The same draws, so that the tighter bound is never below the other by chance.
    found = {
        "elbo": mean(metrics.elbo(model, x, **arguments)),
        "importance_weighted_bound": mean(metrics.importance_weighted_bound(model, x, **arguments)),
        "elbo_train": mean(metrics.elbo(model, trained, **arguments)),
    }
    content.values |= {"arguments": arguments, **found}
    content.say(
        f"The importance-weighted bound takes {samples} draws of z for each x, and is nearer to log p(x) than "
        "the ELBO. If the ELBO of training examples is far above that of test examples, the model has "
        "learned its training data by heart in part."
    )
    names = ("ELBO, test", f"importance-weighted bound, k = {samples}, test", "ELBO, train")
    return dict(zip(names, found.values(), strict=True))


def _exact(content: Content, subject: Subject) -> dict[str, Mean]:
    """Name for readers -> mean log-likelihood."""
    model = subject.model
    found = {
        "log_prob": mean(_log_prob(model, subject.test.x)),
        "log_prob_train": mean(_log_prob(model, subject.data.train.x[: subject.n])),
    }
    content.values |= {"nats_per_step": metrics.nats_per_step(model, subject.test.x), **found}
    content.say("This is exact: the model gives every step its probability, given the steps before it.")
    return dict(zip(("log p(x), test", "log p(x), train"), found.values(), strict=True))


def _log_prob(model: SequenceModel, x: np.ndarray) -> np.ndarray:
    parts = [model.log_prob(ops.convert_to_tensor(x[at : at + 64])) for at in range(0, len(x), 64)]
    return np.concatenate([ops.convert_to_numpy(part) for part in parts])


def _steps(x: np.ndarray) -> float | None:
    """Steps of a sequence without padding, on average; None for pictures."""
    if x.ndim == 4:
        return None
    there = x >= 0 if x.ndim == 2 else x[..., 0] >= 0
    return float(there.sum(axis=1).mean())
