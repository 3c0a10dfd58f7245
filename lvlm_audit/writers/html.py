"""HTML: one self-contained page."""

from __future__ import annotations

from typing import Any

from lvlm_audit.document import Audit, PruningPlan
from lvlm_audit.writers.writer import TextWriter


class HtmlWriter(TextWriter):
    """The report of an audit, or the page of a pruning plan."""

    name = "html"
    kinds = (Audit, PruningPlan)
    doing = "drawing"

    def text(self, document: Any) -> str:
        """As `report.html.render`."""
        # Not before a page is drawn: whoever lists formats needs no template engine.
        from lvlm_audit.report.html import render

        return render(document)


HTML = HtmlWriter()
