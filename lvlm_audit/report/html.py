"""HTML out of a document: one self-contained page, complete without JavaScript, safe for hostile text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lvlm_audit.document import Audit, PruningPlan
from lvlm_audit.report import notebook as notebook_view
from lvlm_audit.report import verdicts, words
from lvlm_audit.report.drawing import heat_map, spark
from lvlm_audit.report.pages import audit as audit_page
from lvlm_audit.report.pages import pruning as pruning_page
from lvlm_audit.report.select import MAX_LISTED
from lvlm_audit.report.spoken import spoken

_TEMPLATES = "templates"

_NOTEBOOK_STYLE = """
max-width: 860px; padding: 1rem 1.2rem; border: 1px solid var(--rule); border-radius: 6px;
.title { font-size: 1.25rem; display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: center; }
.worst { font-weight: 650; margin-top: .8rem; }
.worst-probe { display: grid; grid-template-columns: 76px minmax(0, 1fr); gap: .8rem; margin-top: .5rem; }
img { max-width: 72px; display: block; }
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of document becomes a page.

    Attributes:
        template: in `templates/pages/`; it extends `layout.html`.
        view: arranges a document; what it gives is the template's `page`.
    """

    template: str
    view: Callable[[Any], object]


KINDS: dict[type, Kind] = {
    Audit: Kind("audit.html", audit_page.page),
    PruningPlan: Kind("pruning.html", pruning_page.page),
}
"""Every kind of document that has a page."""


def render(document: Audit | PruningPlan) -> str:
    """A document as one HTML page.

    The page refers to nothing outside itself, and its content security policy allows exactly the
    one style sheet and the one script that it carries, by hash. The same document gives the same
    page.
    """
    kind = KINDS[type(document)]
    style, script = _source("style.css"), _source("script.js")
    policy = (
        "default-src 'none'; img-src data:; "
        f"style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(f"pages/{kind.template}")
        # Markup: these two are the package's own files, and escaping would change what was hashed.
        .render(page=kind.view(document), policy=policy, style=Markup(style), script=Markup(script))
    )


def notebook(audit: Audit) -> str:
    """An audit as a part of somebody else's page: without script, links and ids."""
    return (
        _environment()
        .get_template("notebook.html")
        .render(page=notebook_view.notebook(audit), style=Markup(_scoped(_source("style.css"))))
    )


def _scoped(style: str) -> str:
    """The page's style sheet for one element and what is in it."""
    inside = style.replace(":root {", "& {").replace("\nbody {", "\n& {")
    return f".lvlm-audit {{ {_NOTEBOOK_STYLE}\n{inside}\n}}"


def _source(name: str) -> str:
    folder = resources.files("lvlm_audit.report") / _TEMPLATES
    return (folder / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _shown(value: Any) -> Any:
    """Applied to everything a template prints: no text reaches the page with invisible characters.

    Line feeds stay: they are harmless in HTML, and running text needs them.
    """
    if isinstance(value, str) and not isinstance(value, Markup):
        return words.visible(str(value), keep_newlines=True)
    return value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lvlm_audit.report", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        amount=words.amount,
        change=words.change,
        changes=words.changes,
        number=words.number,
        share=words.share,
        prose=words.prose,
        spoken=spoken,
        token=words.token,
        apart=words.tokens_apart,
        clip=words.clip,
        ranges=words.ranges,
        node=words.node_words,
        interval=words.interval_words,
        counted=words.counted,
        evidence=words.evidence_words,
    )
    environment.globals.update(
        marks=verdicts.VERDICT_MARKS,
        legend_image=heat_map.LEGEND,
        spark_width=spark.SPARK_WIDTH,
        spark_height=spark.SPARK_HEIGHT,
        max_listed=MAX_LISTED,
    )
    return environment
