"""A report: its sections, the page that shows them, and the JSON beside it."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from hvae_keras.files import written_whole
from hvae_keras.report.blocks import Content, plain
from hvae_keras.report.subject import ReportError

MADE, LEFT_OUT, FAILED = "made", "left out", "failed"


@dataclass(frozen=True)
class Section:
    """One section: its texts, and what was found or why nothing was.

    status: "made", "left out" (it does not apply) or "failed" (it does, and something went wrong).
    reason: why it is left out or failed; "" if it is made.
    """

    key: str
    title: str
    question: str
    limits: str
    status: str
    reason: str
    content: Content


@dataclass(frozen=True)
class Report:
    """Everything that was found about a model on some data."""

    title: str
    source: str
    sections: tuple[Section, ...]

    @property
    def failed(self) -> list[Section]:
        """The sections in which something went wrong."""
        return [section for section in self.sections if section.status == FAILED]

    def as_dict(self) -> dict[str, Any]:
        """What the JSON holds: for each section its status, and the reason or the values.

        A number that is not there is None, and `nulls` of the section says why: place -> reason.
        """
        sections = {}
        for section in self.sections:
            values, nulls = plain(section.content.values)
            told = {"status": section.status} | ({"reason": section.reason} if section.reason else {})
            sections[section.key] = told | ({"values": values} if section.status == MADE else {})
            if nulls:
                sections[section.key]["nulls"] = nulls
        return {"title": self.title, "source": self.source, "sections": sections}

    def json(self) -> str:
        """The JSON, strict: no NaN and no infinity in it."""
        return json.dumps(self.as_dict(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    def html(self) -> str:
        """The page: one file, which needs no other, no network and no script."""
        template = files("hvae_keras.report").joinpath("template.html").read_text(encoding="utf-8")
        environment = jinja2.Environment(
            autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )
        return (
            environment.from_string(template).render(
                report=self,
                shown=[section for section in self.sections if section.status != LEFT_OUT],
                absent=[section for section in self.sections if section.status == LEFT_OUT],
            )
            + "\n"
        )

    def write(self, path: str | Path) -> tuple[Path, Path]:
        """Write the page to `path` and the JSON beside it, both whole or neither; return both paths.

        ReportError if the path does not end in .html, or a file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".html":
            raise ReportError(f"the page is a file NAME.html; got {path.name}.")
        page, values, beside = self.html(), self.json(), path.with_suffix(".json")
        try:
            with written_whole(path) as first, written_whole(beside) as second:
                first.write_text(page, encoding="utf-8")
                second.write_text(values, encoding="utf-8")
        except OSError as error:
            raise ReportError(f"{path} cannot be written ({error.strerror or error}).") from error
        return path, beside
