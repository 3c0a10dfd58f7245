"""Geometry of one token's probability over the states, beside that of its strongest rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import StageReading, TokenReading
from lvlm_audit.report.drawing.axes import Scale, Tick, index_ticks, value_ticks
from lvlm_audit.report.drawing.paths import line, points
from lvlm_audit.report.drawing.token_chart import HUES, end_of, labels_apart, shades, spread
from lvlm_audit.report.words import tokens_apart

_RIVALS = 3
"""Of a token whose leaders were not kept."""
MAX_CURVES = 48
"""A token has at most as many leaders as states; a deeper model's weakest are left to the document."""
DASHES = ("6 3", "2 3", "9 3 2 3", "12 4", "1 2")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate's curve. The said token is the first; rivals are dashed, each in its own way."""

    label: str
    key: str
    path: str
    label_y: float | None
    """None: it is told by its title alone."""
    end_y: float
    dash: str
    """Empty for the said token."""
    title: str


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
    read: TokenReading,
    stages: StageReading,
    turned: int | None = None,
    others: Sequence[tuple[str, Sequence[float]]] | None = None,
) -> CandidateChart | None:
    """Geometry of a token and of its rivals; None where no curve of it was kept.

    Args:
        read: the token.
        stages: of the model, drawn behind the curves.
        turned: the state from which the token leads to the end, if it did not always.
        others: text and curve of what it is held against, the most telling first; all are drawn, and as
            many are named as there is room for. None: the token's rivals.
    """
    if not read.probability:
        return None
    curves: list[tuple[str, Sequence[float]]] = [(read.text, read.probability)]
    if others is None:
        for rival in read.rivals[:_RIVALS]:
            curve = rival.get("probability")
            if isinstance(curve, list) and curve:
                curves.append((str(rival.get("text", "")), curve))
    else:
        curves.extend(others[: MAX_CURVES - 1])
    width, height, gutter = 470.0, 200.0, 122.0
    last = max(1, *(len(curve) - 1 for _, curve in curves))
    x, y = Scale(0, last, 40, width - gutter), Scale(0, 1, height - 36, 14)
    ends = [end_of(curve, y) for _, curve in curves]
    named = min(len(curves), HUES)
    places: list[float | None] = [*spread(ends[:named], 13, y.end, y.start)]
    places += [None] * (len(curves) - named)
    names = labels_apart((text for text, _ in curves), 14)
    titles = tokens_apart(text for text, _ in curves)
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
            Candidate(
                label=names[text],
                key=f"c{k}" if k < HUES else "cx",
                path=line(curve, x, y),
                label_y=places[k],
                end_y=ends[k],
                dash=DASHES[(k - 1) % len(DASHES)] if k else "",
                title=titles[text],
            )
            for k, (text, curve) in enumerate(curves)
        ],
        critical=critical[0] if critical else None,
        flips=points(read.mutations, read.probability, x, y),
        turned=None if turned is None or not 0 <= turned <= last else x(turned),
        last=last,
    )
