"""The files of this folder that are filled in before they are handed over."""

from importlib.resources import files as resources


def filled(name: str, **values: str) -> str:
    """A template's text with its `[[ values ]]` put in. All that it asks for must be given."""
    from jinja2 import Environment, StrictUndefined

    # Workflows and shell scripts have their own uses for curly braces.
    environment = Environment(
        variable_start_string="[[", variable_end_string="]]", undefined=StrictUndefined, keep_trailing_newline=True
    )
    text = (resources("hvae_keras.course.packages") / name).read_text(encoding="utf-8")
    return environment.from_string(text).render(**values)
