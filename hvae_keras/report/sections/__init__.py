"""The sections of a report, in their order: key -> a module with TITLE, QUESTION, LIMITS and `make(subject)`."""

from hvae_keras.report.sections import (
    bound,
    changes,
    disentanglement,
    fidelity,
    information,
    reconstructions,
    rules,
    samples,
    surface,
    usage,
    what,
)

SECTIONS = {
    "what": what,
    "samples": samples,
    "fidelity": fidelity,
    "rules": rules,
    "tunes": surface,
    "bound": bound,
    "reconstructions": reconstructions,
    "levels": usage,
    "information": information,
    "disentanglement": disentanglement,
    "changes": changes,
}
