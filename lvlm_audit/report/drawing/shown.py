"""What the heat maps show between neighbouring states: which divergence, in which unit, on which scale."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import Audit, ProbeReading, TokenReading
from lvlm_audit.report.words import finite, number

Row = Sequence[float | None]

_ROOT = "colour follows its square root, so that small changes stay visible"


@dataclass(frozen=True, slots=True)
class Shown:
    """One quantity of tokens by transitions, the same for all heat maps of a page.

    Attributes:
        quantity: "jsd", or "paper_index".
        scaled: each transition by its own largest value over the tokens of its answer.
        top: value at the dark end of the ramp.
    """

    quantity: str = "jsd"
    scaled: bool = False
    top: float = 1.0

    @property
    def title(self) -> str:
        """Heading of a heat map."""
        name = {"jsd": "Divergence", "paper_index": "Paper index"}[self.quantity]
        return f"{name} between neighbouring states" + (", scaled by transition" * self.scaled)

    @property
    def unit(self) -> str:
        """Unit of the values, as it stands beside the legend."""
        if self.scaled:
            return "of the transition's largest"
        return {"jsd": "bits", "paper_index": "nats per vocabulary entry"}[self.quantity]

    @property
    def ticks(self) -> tuple[float, ...]:
        """Values that the legend names."""
        if self.quantity == "jsd" or self.scaled:
            return (0, 0.05, 0.2, 0.5, 1)
        return (0, self.top / 4, self.top)

    @property
    def caption(self) -> str:
        """How to read it."""
        if self.scaled:
            return (
                f"The paper's view: each transition is divided by its own largest value over the tokens of "
                f"this answer. Every column reaches 1, however quiet it is, so columns cannot be compared "
                f"with one another. The JSON document holds the unscaled values; {_ROOT}."
            )
        if self.quantity == "paper_index":
            return (
                f"What the paper's code computes, in a unit of its own: no upper bound, not comparable with "
                f"bits or between vocabularies. The same scale from 0 to {number(self.top)} in every probe; "
                f"{_ROOT}."
            )
        return f"Jensen-Shannon divergence, the same scale from 0 to 1 bit in every probe; {_ROOT}."

    def rows(self, probe: ProbeReading) -> list[Row]:
        """One row for each token of an answer; empty where a token has no values."""
        rows = [self.of(token) for token in probe.tokens]
        if not self.scaled or not any(rows):
            return rows
        # The only view that needs arithmetic, and NumPy with it.
        from lvlm_audit.metrics.scaling import scaled_by_transition

        nan = float("nan")
        columns = itertools.zip_longest(
            *([_or(v, nan) for v in row] for row in rows), fillvalue=nan
        )
        table = scaled_by_transition(list(zip(*columns, strict=True)))
        return [
            [finite(float(v)) for v in scaled[: len(row)]]
            for scaled, row in zip(table, rows, strict=True)
        ]

    def of(self, token: TokenReading) -> Row:
        """The unscaled values of one token."""
        return token.divergence if self.quantity == "jsd" else token.paper_index or []


JSD = Shown()


def shown(audit: Audit) -> Shown:
    """What the document says its heat maps show."""
    subject = audit.subject
    known = Shown(
        "paper_index" if subject.divergence == "paper_index" else "jsd", subject.scaling == "paper"
    )
    if known.quantity == "jsd" or known.scaled:
        return known
    values = (finite(v) for p in audit.probes for t in p.tokens for v in known.of(t))
    return Shown(known.quantity, False, max((v for v in values if v is not None), default=0) or 1.0)


def _or(value: float | None, missing: float) -> float:
    known = finite(value)
    return missing if known is None else known
