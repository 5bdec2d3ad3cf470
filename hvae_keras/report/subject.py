"""What a report looks at: a model and a data set that fit each other, and what every section needs of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hvae_keras.backend import ops
from hvae_keras.data import Dataset, Split
from hvae_keras.layers import Bernoulli
from hvae_keras.models import (
    Autoencoder,
    ConditionalGAN,
    MultiLevelGAN,
    SequenceModel,
    TranslationGAN,
)
from hvae_keras.models.adversarial import AdversarialGame
from hvae_keras.models.base import BaseModel
from hvae_keras.models.variational import VariationalModel
from hvae_keras.report.blocks import LeftOutError
from hvae_keras.report.classifiers import Classifier, classifiers

AT_ONCE = 256  # pictures that a model is asked for at a time
PIXELS = {
    "grey": "Pixels are as they come with the data.",
    "rounded": (
        "Every pixel was made black or white: white where its grey level is at least a half, as in the lessons. "
        "What the model makes is rounded in the same way before it is compared."
    ),
    "drawn": (
        "Every pixel was made black or white by one draw with the grey level as the probability of white "
        "(`Dataset.binarized`, seed 0). Pixels are drawn in the same way from what the model makes before it is "
        "compared."
    ),
}


class ReportError(ValueError):
    """A report cannot be made of this; the message is one line that says what to do."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, the data it is measured on, and how.

    data: as the model is given it (see `pixels`). examples: how many of each set are looked at, at most.
    step: is told what is being done, for whoever waits.
    """

    model: BaseModel
    data: Dataset
    pixels: str
    examples: int
    seed: int
    step: Callable[[str], None]

    # The data

    @cached_property
    def n(self) -> int:
        """Examples looked at: as many of the test data, of the validation data and of what the model makes."""
        return min(self.examples, len(self.data.test), len(self.data.validation))

    @cached_property
    def test(self) -> Split:
        """The first n examples of the test data."""
        return self.data.test.where(np.arange(self.n))

    @cached_property
    def other(self) -> Split:
        """The first n examples of the validation data: other real ones, which the model was not trained on."""
        return self.data.validation.where(np.arange(self.n))

    @property
    def holds_pictures(self) -> bool:
        """Whether an example is a picture."""
        x = self.data.test.x
        return x.ndim == 4 and x.shape[-1] in (1, 3) and np.issubdtype(x.dtype, np.floating)

    @property
    def holds_tunes(self) -> bool:
        """Whether an example is a row of tokens."""
        x = self.data.test.x
        return x.ndim == 2 and np.issubdtype(x.dtype, np.integer)

    @property
    def what(self) -> str:
        """What an example is called, in the plural."""
        return "pictures" if self.holds_pictures else "tunes" if self.holds_tunes else "sequences"

    # The model

    @property
    def levels(self) -> int:
        """How many levels of latent variables there are; 0 without any."""
        return len(getattr(self.model, "latent_shapes", ()))

    @property
    def variational(self) -> bool:
        """Whether there is a posterior and a bound."""
        return isinstance(self.model, VariationalModel)

    @property
    def adversarial(self) -> bool:
        """Whether it was trained by a game."""
        return isinstance(self.model, AdversarialGame)

    def need_posterior(self) -> VariationalModel:
        """The model, if it has a posterior; LeftOutError if not, with the reason."""
        if self.variational:
            return self.model
        if isinstance(self.model, SequenceModel):
            raise LeftOutError("This model of sequences has no latent variables.")
        if self.adversarial:
            raise LeftOutError("An adversarial model has no encoder and no posterior.")
        raise LeftOutError("The codes of an autoencoder have no distribution.")

    @cached_property
    def classifiers(self) -> list[Classifier]:
        """Classifiers of the factors of the pictures; LeftOutError if there cannot be any, with the reason."""
        if not self.holds_pictures:
            raise LeftOutError("Classifiers read pictures, and these are none.")
        if not self.data.factor_values:
            raise LeftOutError(f"{self.data.name} has no known factors, which a classifier could learn to read.")
        return classifiers(self.data, self.step)

    # What it makes

    @cached_property
    def samples(self) -> np.ndarray:
        """n examples that the model makes, as the data are: `[n, *shape]`."""
        self.step(f"drawing {self.n} {self.what}")
        with seeded(self.model, self.seed):
            return self.as_data(self.generate(self.n))

    def generate(self, n: int, latents: dict[int, np.ndarray] | None = None) -> np.ndarray:
        """n examples as the model gives them; LeftOutError if it cannot make any, with the reason."""
        model = self.model
        if isinstance(model, Autoencoder):
            raise LeftOutError("An autoencoder has no distribution of codes to draw from.")
        if isinstance(model, SequenceModel):
            return model.generate(n)
        if not self.holds_pictures:  # each call of a model of sequences traces it anew
            return model.generate(n, latents)
        made = []
        for at in range(0, n, AT_ONCE):
            part = slice(at, min(at + AT_ONCE, n))
            held = None if latents is None else {level: z[part] for level, z in latents.items()}
            made.append(self._some(part, held))
        return np.concatenate(made)

    def _some(self, part: slice, latents: dict[int, np.ndarray] | None) -> np.ndarray:
        """The examples `part`, with what a conditional model is told: labels or sketches of the test data."""
        model, n = self.model, part.stop - part.start
        if isinstance(model, TranslationGAN):
            return model.translate(np.resize(self.sketches, (part.stop, *self.sketches.shape[1:]))[part], latents)
        if self.told is None:
            return model.generate(n, latents)
        return model.generate(n, labels=np.resize(self.labels, part.stop)[part], latents=latents)

    @cached_property
    def told(self) -> ConditionalGAN | None:
        """The part of the model that is told a label."""
        top = self.model.top if isinstance(self.model, MultiLevelGAN) else self.model
        return top if isinstance(top, ConditionalGAN) else None

    @cached_property
    def label(self) -> str:
        """The factor that has as many values as the model has labels."""
        fitting = [name for name, values in self.data.factor_values.items() if len(values) == self.told.classes]
        if len(fitting) != 1:
            raise LeftOutError(
                f"The model is told one of {self.told.classes} labels, and {len(fitting)} factors of "
                f"{self.data.name} have as many values; there has to be one, to draw labels from."
            )
        return fitting[0]

    @property
    def labels(self) -> np.ndarray:
        """The labels of the test data, so that both sets hold the same."""
        return self.test.factors[self.label]

    @property
    def sketches(self) -> np.ndarray:
        """The sketches of the test data."""
        takes = tuple(self.model.generator.inputs[1].shape[1:])
        sketch = self.test.sketch
        if sketch is None or sketch.shape[1:] != takes:
            there = "none" if sketch is None else f"sketches of shape {sketch.shape[1:]}"
            raise LeftOutError(
                f"The model makes pictures of sketches of shape {takes}; {self.data.name} has {there}."
            )
        return sketch

    def as_data(self, x: np.ndarray) -> np.ndarray:
        """What the model made, with its pixels as those of the data are."""
        if not self.holds_pictures:
            return x
        x = np.clip(x, 0.0, 1.0)
        if self.pixels == "rounded":
            return (x >= 0.5).astype("float32")
        if self.pixels == "drawn":
            return (np.random.default_rng(self.seed).random(x.shape) < x).astype("float32")
        return x


def subject(
    model: BaseModel, data: Dataset, examples: int, seed: int, pixels: str | None, step: Callable[[str], None]
) -> Subject:
    """The two put together; ReportError if they do not fit, or an argument is out of range."""
    if not isinstance(model, BaseModel):
        raise ReportError(f"model is one of hvae_keras.models; got {type(model).__name__}.")
    if examples < 2:
        raise ReportError(f"examples is at least 2; got {examples}.")
    if min(len(data.test), len(data.validation)) < 2:
        raise ReportError(f"the test and the validation data of {data.name} hold at least 2 examples each.")
    if not model.built:
        raise ReportError("the model has no weights yet: fit it first.")
    shape, takes = data.test.x.shape[1:], tuple(model.data_shape)
    if shape != takes:
        raise ReportError(f"the model takes examples of shape {takes}; those of {data.name} have {shape}.")
    pixels = _pixels(model, data, pixels)
    if pixels == "rounded":
        data = rounded(data)
    elif pixels == "drawn":
        data = data.binarized()
    for part in (data.train, data.validation, data.test):
        try:
            model.check_range(float(part.x.min()), float(part.x.max()))
        except ValueError as error:
            raise ReportError(f"{data.name} does not fit the model: {error}") from error
    return Subject(model, data, pixels, examples, seed, step)


def _pixels(model: BaseModel, data: Dataset, pixels: str | None) -> str:
    """One of PIXELS: as asked for, or black and white where a likelihood of black and white meets grey."""
    if pixels is not None and pixels not in PIXELS:
        raise ReportError(f"pixels is one of {', '.join(PIXELS)}; got {pixels!r}.")
    x = data.test.x
    grey = np.issubdtype(x.dtype, np.floating) and x.min() >= 0 and x.max() <= 1 and not np.isin(x, (0, 1)).all()
    if pixels in ("rounded", "drawn") and not grey:
        raise ReportError(
            f"pixels={pixels!r} is for grey levels between 0 and 1, which {data.name} does not hold."
        )
    of_black_and_white = isinstance(getattr(model, "likelihood", None), Bernoulli)
    return pixels or ("rounded" if grey and of_black_and_white else "grey")


def rounded(data: Dataset) -> Dataset:
    """A copy with every pixel 0.0 or 1.0: 1 where it is at least a half."""
    splits = {}
    for name in ("train", "validation", "test"):
        split = getattr(data, name)
        splits[name] = replace(split, x=(split.x >= 0.5).astype("float32"))
    return replace(data, **splits)


@contextmanager
def seeded(model: BaseModel, seed: int) -> Iterator[None]:
    """Let the model draw as from this seed; afterwards its generators are as they were."""
    generators = [model.seed_generator, *(pair.seed_generator for pair in getattr(model, "pairs", ()))]
    before = [ops.convert_to_numpy(generator.state) for generator in generators]
    for stream, generator in enumerate(generators):
        generator.state.assign(np.array([seed % 2**31, stream * 2**24], before[0].dtype))
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.state.assign(state)
