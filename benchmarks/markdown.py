"""Pages of Markdown from templates beside the code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def rendered(template: Path, filters: dict[str, Callable[..., Any]], **values: Any) -> str:
    """The template's page. Nothing is escaped, for it is no HTML: hostile text has filters of its own."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    return environment.get_template(template.name).render(**values)
