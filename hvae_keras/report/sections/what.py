"""What was measured on what."""

import importlib.metadata
import math

from hvae_keras.backend import BACKEND, ops
from hvae_keras.models import MultiLevelGAN
from hvae_keras.report.blocks import Content, number
from hvae_keras.report.subject import PIXELS, Subject

TITLE = "What this is about"
QUESTION = (
    "Which model was measured, on which data, and with what? Two reports can be compared if these lines agree."
)
LIMITS = (
    "Everything here is about this one trained model. Another training run of the same model, from another "
    "seed, gives other numbers: intervals on this page say how much a number depends on the examples that "
    "were looked at, and nothing of that."
)
PACKAGES = ("hvae-keras", "keras", BACKEND, "tensorflow-probability", "numpy", "scikit-learn")


def make(subject: Subject) -> Content:
    """Model, levels, data, sizes, seed, versions."""
    content, model, data = Content(), subject.model, subject.data
    shapes = [tuple(shape) for shape in getattr(model, "latent_shapes", ())]
    # Networks that an adversarial model keeps for averages are copies.
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    sizes = {part: len(getattr(data, part)) for part in ("train", "validation", "test")}
    shape = data.test.x.shape[1:]
    rows = [
        ["model", type(model).__name__],
        ["trained parameters", f"{parameters:,}"],
        ["levels of latent variables", f"{len(shapes)}" if shapes else "none"],
        *[[f"numbers in z{i}", _shape(shape)] for i, shape in enumerate(shapes, 1)],
        *[[name, value] for name, value in _parts(subject).items()],
        ["data set", data.name],
        ["an example", f"{' × '.join(map(str, shape))}, {data.test.x.dtype}"],
        ["examples in train, validation, test", ", ".join(f"{size:,}" for size in sizes.values())],
        ["looked at: of test, of validation, drawn from the model", f"at most {subject.n:,} of each"],
        ["seed of all draws", str(subject.seed)],
        ["versions", ", ".join(f"{name} {version}" for name, version in _versions().items())],
    ]
    content.tabulate("Model, data and settings.", ["", ""], rows)
    if subject.holds_pictures:
        content.say(PIXELS[subject.pixels])
    if subject.pixels != "grey":
        others = " or ".join(way for way in PIXELS if way != subject.pixels)
        content.warn(
            "The file does not say how the pixels were made that the model was trained on. If it was in another "
            f"way, the numbers below are unfair to it: say so with --pixels {others}."
        )
    content.values |= {
        "model": type(model).__name__,
        "parameters": parameters,
        "levels": len(shapes),
        "latent_shapes": shapes,
        "parts": _parts(subject),
        "data": data.name,
        "shape": shape,
        "sizes": sizes,
        "n": subject.n,
        "seed": subject.seed,
        "pixels": subject.pixels,
        "versions": _versions(),
    }
    return content


def _parts(subject: Subject) -> dict[str, str]:
    """Choices that decide what the numbers mean."""
    model, parts = subject.model, {}
    if hasattr(model, "inference"):
        parts["inference"] = type(model.inference).__name__
    if hasattr(model, "likelihood"):
        scale = getattr(model.likelihood, "scale", None)
        told = "" if scale is None else f", standard deviation {number(float(ops.convert_to_numpy(scale)))}"
        parts["likelihood"] = type(model.likelihood).__name__ + told
    if subject.variational:
        beta = ops.convert_to_numpy(model.beta).tolist()
        parts["beta at the end of training"] = ", ".join(map(number, beta))
        parts["penalty in place of the KL"] = "none" if model.penalty is None else type(model.penalty).__name__
    if isinstance(model, MultiLevelGAN):
        parts["levels, from the picture up"] = ", ".join(type(pair).__name__ for pair in model.pairs)
    return parts


def _shape(shape: tuple[int, ...]) -> str:
    total = f"{math.prod(shape):,}"
    return total if len(shape) == 1 else f"{total} ({' × '.join(map(str, shape))})"


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PACKAGES}
