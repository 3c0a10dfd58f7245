"""Geometry of one token's probability over the states, beside that of its strongest rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import StageReading, TokenReading
from lvlm_audit.report.drawing.axes import Scale, Tick, index_ticks, value_ticks
from lvlm_audit.report.drawing.paths import line, points
from lvlm_audit.report.drawing.token_chart import end_of, shades, spread, token_label

_RIVALS = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate's curve. The said token is the first; rivals are dashed, each in its own way."""

    label: str
    key: str
    path: str
    label_y: float
    end_y: float


@dataclass(frozen=True, slots=True)
class CandidateChart:
    """Curves of one place in an answer, on axes that every such chart shares."""

    width: float
    height: float
    x: Scale
    y: Scale
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    shades: list[tuple[str, float, float]]
    candidates: list[Candidate]
    critical: tuple[float, float] | None
    """Where the said token was made, on its curve."""
    flips: list[tuple[float, float]]
    """Late changes of its leader."""
    turned: float | None
    """The state from which it leads to the end."""
    last: int


def candidate_chart(
    read: TokenReading, stages: StageReading, turned: int | None = None
) -> CandidateChart | None:
    """Geometry of a token and of up to three rivals; None where no curve of it was kept.

    Args:
        read: the token.
        stages: of the model, drawn behind the curves.
        turned: the state from which the token leads to the end, if it did not always.
    """
    if not read.probability:
        return None
    curves: list[tuple[str, Sequence[float]]] = [(read.text, read.probability)]
    for rival in read.rivals[:_RIVALS]:
        curve = rival.get("probability")
        if isinstance(curve, list) and curve:
            curves.append((str(rival.get("text", "")), curve))
    width, height, gutter = 470.0, 200.0, 122.0
    last = max(1, *(len(curve) - 1 for _, curve in curves))
    x, y = Scale(0, last, 40, width - gutter), Scale(0, 1, height - 36, 14)
    ends = [end_of(curve, y) for _, curve in curves]
    places = spread(ends, 13, y.end, y.start)
    critical = points([read.critical], read.probability, x, y)
    return CandidateChart(
        width=width,
        height=height,
        x=x,
        y=y,
        x_ticks=index_ticks(last, x),
        y_ticks=value_ticks(y, "probability", 5),
        shades=shades(stages, x, last),
        candidates=[
            Candidate(token_label(text, 14), f"c{k}", line(curve, x, y), places[k], ends[k])
            for k, (text, curve) in enumerate(curves)
        ],
        critical=critical[0] if critical else None,
        flips=points(read.mutations, read.probability, x, y),
        turned=None if turned is None or not 0 <= turned <= last else x(turned),
        last=last,
    )
