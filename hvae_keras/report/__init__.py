"""A report card: what a trained model can do on a data set, on one page that needs no other file.

    report(model, load("faces")).write("faces.html")

On the command line: `hvae report MODEL --data NAME`.
"""

from collections.abc import Callable

from threadpoolctl import threadpool_limits

from hvae_keras.data import Dataset
from hvae_keras.models.base import BaseModel
from hvae_keras.report.blocks import Content, LeftOutError
from hvae_keras.report.loading import read_model
from hvae_keras.report.page import FAILED, LEFT_OUT, MADE, Report, Section
from hvae_keras.report.sections import SECTIONS
from hvae_keras.report.subject import ReportError, Subject, subject

__all__ = ["Report", "ReportError", "Section", "read_model", "report"]

Progress = Callable[[int, int, str], None]


def report(
    model: BaseModel,
    data: Dataset,
    examples: int = 1000,
    seed: int = 0,
    pixels: str | None = None,
    source: str = "",
    progress: Progress | None = None,
) -> Report:
    """Measure a trained model on data that it was not trained on.

    Every section is made by itself: one that does not apply says why it is left out, one that fails says why it
    failed, and the others are made all the same. The same arguments give the same report, to the byte, and the
    model draws afterwards as if nothing had been. The first report on pictures with known factors trains
    classifiers of these factors, which are kept in the user's cache.

    Args:
        model: Any trained model of `hvae_keras.models`.
        data: Data of the shape it takes.
        examples: How many test examples, validation examples and draws to look at, at most; sections with costly
            estimates take fewer, and say so.
        seed: Seed of all draws.
        pixels: How grey pixels are given to the model: "grey", as they are; "rounded" to 0 or 1; "drawn", 0 or 1
            with the grey level as probability. By default "rounded" if the likelihood is `Bernoulli`, else "grey".
        source: Where the model comes from, for the page.
        progress: Is called with sections done, sections in all, and what is being done.

    Raises:
        ReportError: if the data do not fit the model, or an argument is out of range.
    """
    steps = _Steps(progress)
    measured = subject(model, data, examples, seed, pixels, steps)
    sections = []
    for key, module in SECTIONS.items():
        steps.begin(module.TITLE)
        sections.append(_section(key, measured))
    return Report(f"{type(model).__name__} on {data.name}", source, tuple(sections))


class _Steps:
    """Tells `progress` how many sections are done, and what is being done in the next one."""

    def __init__(self, progress: Progress | None):
        self.progress, self.title, self.done = progress, "", -1

    def begin(self, title: str) -> None:
        self.title, self.done = title, self.done + 1
        self("")

    def __call__(self, what: str) -> None:
        if self.progress is not None:
            self.progress(self.done, len(SECTIONS), f"{self.title}: {what}" if what else self.title)


def _section(key: str, measured: Subject) -> Section:
    """One section, whatever happens in it."""
    module = SECTIONS[key]
    texts = key, module.TITLE, module.QUESTION, module.LIMITS
    try:
        # One thread for products of small matrices: several wait for one another, which takes many times as long
        # where the machine is busy, and round in another order.
        with threadpool_limits(1, user_api="blas"):
            return Section(*texts, MADE, "", module.make(measured))
    except LeftOutError as error:
        return Section(*texts, LEFT_OUT, str(error), Content())
    except Exception as error:  # whatever it is, the other sections are worth having
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Section(*texts, FAILED, reason[:500], Content())
