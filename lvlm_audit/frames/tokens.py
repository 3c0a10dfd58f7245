"""The tokens of an audit's document as a tidy frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lvlm_audit.frames.tidy import Rows

if TYPE_CHECKING:
    from lvlm_audit.document import Audit

_AT_STATES = {
    "probability": "probability",
    "nucleus": "probability",
    "leader_probability": "probability",
    "grounding": "bits",
    "without_image": "bits",
}
"""Curves of [S] values -> unit; names are those of the document."""

_AT_TRANSITIONS = {"divergence": "bits", "paper_index": "nats per vocabulary entry"}
"""Curves of [L] values: the first leads from state 0 to state 1, and stands at state 1."""

_NODES = ("onset", "critical", "settle", "saturation")

MORE = ("text", "kind", "eligible", "image")


def tokens_frame(audit: Audit) -> Any:
    """Every number that the document holds of every token.

    Columns: `probe`, `token` (its place in the answer, from 0), `state`, `metric`, `value`, `unit`; and of
    the token its `text`, `kind`, whether it is `eligible`, and its probe's `image` (cluster). What lies
    between two states stands at the later one. Nodes (`onset`, `critical`, `settle`, `saturation`,
    `mutation`) are values of unit "state" and have no state. What was not recorded has no row.

    Raises:
        UsageError: pandas is not installed.
    """
    rows = Rows(MORE)
    for probe in audit.probes:
        for place, token in enumerate(probe.tokens):
            more = (token.text, str(token.kind), token.eligible, probe.cluster)

            def add(
                metric: str,
                unit: str,
                values: Iterable[float | None] | None,
                first: int | None,
                *,
                at: tuple[str, int] = (probe.id, place),
                more: tuple[Any, ...] = more,
            ) -> None:
                if values is not None:
                    rows.add(*at, metric, unit, values, first=first, more=more)

            for metric, unit in _AT_STATES.items():
                add(metric, unit, getattr(token, metric), 0)
            for metric, unit in _AT_TRANSITIONS.items():
                add(metric, unit, getattr(token, metric), 1)
            for node in _NODES:
                add(node, "state", [getattr(token, node)], None)
            add("mutation", "state", token.mutations, None)
    return rows.frame("audit.tokens_frame()")
