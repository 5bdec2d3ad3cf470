"""The pages: templates in this folder, one look, nothing loaded from elsewhere and no scripts."""

from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from hvae_keras.course.judge import SYMBOLS
from hvae_keras.course.outputs.text import in_points, number, plural


def page(template: str, /, **values: Any) -> str:
    """The page that the template file makes of the values. Every value is escaped."""
    return _environment().get_template(template).render(**values) + "\n"


@cache
def _environment() -> jinja2.Environment:
    """The templates, compiled once however many pages are made."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: files(__package__).joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
    )
    environment.filters |= {"number": number, "plural": plural, "points": in_points}
    environment.globals |= {"symbols": SYMBOLS}
    return environment
