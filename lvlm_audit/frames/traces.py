"""Traces as a tidy frame: every curve that was recorded, also of what no document holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lvlm_audit.frames.tidy import Rows
from lvlm_audit.traces.verbs import UNITS, curve

if TYPE_CHECKING:
    from lvlm_audit.traces.trace import Trace


def traces_frame(traces: Iterable[Trace]) -> Any:
    """Every curve of every token, with the columns of `audit.tokens_frame()` and the `lens`.

    Raises:
        UsageError: pandas is not installed.
    """
    rows = Rows(("text", "kind", "eligible", "image", "lens"))
    for trace in traces:
        names = [name for name in UNITS if getattr(trace, name) is not None]
        curves = {name: curve(trace, name) for name in names}
        eligible = trace.eligible.tolist()
        for t in range(trace.tokens):
            more = (
                trace.token_texts[t],
                str(trace.token_classes[t]),
                eligible[t],
                trace.asked.cluster,
                trace.lens,
            )
            for name, values in curves.items():
                first = 1 if values.shape[1] == trace.blocks else 0
                rows.add(
                    trace.asked.id, t, name, UNITS[name], values[t].tolist(), first=first, more=more
                )
    return rows.frame("traces_frame()")
