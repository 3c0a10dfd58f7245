"""Hallucinated words: what finds them, what corrects them, and each of them from close by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import (
    Audit,
    CorrectionsReading,
    HallucinationReading,
    Interval,
    InterventionReading,
    LabelledToken,
    SignalScore,
)
from lvlm_audit.report.drawing.axes import nice_top
from lvlm_audit.report.drawing.whisker import SmallWhisker, small_scale, small_whisker
from lvlm_audit.report.sections.hallucinated_word import Card, cards
from lvlm_audit.report.words import finite

MAX_CARDS = 24
"""Hallucinated tokens that are shown from close by, the most suspicious first."""
MAX_CONTROLS = 4
"""Correct tokens beside them: the most suspicious ones, which a signal would get wrong."""
CHANCE = 0.5

OPEN_CARDS = 8
"""Of them stand open; the others are folded."""

_WRONG, _RIGHT = "hallucinated", "correct"


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal with its drawing."""

    score: SignalScore
    whisker: SmallWhisker | None
    against_chance: str
    """In words; empty where it is better, or where nothing was measured."""


@dataclass(frozen=True, slots=True)
class InterventionRow:
    """One intervention with the drawing of its net."""

    reading: InterventionReading
    net: SmallWhisker | None


@dataclass(frozen=True, slots=True)
class Hallucination:
    """What the template reads."""

    name: ClassVar[str] = "hallucination"

    reading: HallucinationReading | None
    corrections: CorrectionsReading | None
    signals: list[SignalRow]
    interventions: list[InterventionRow]
    net_scale: float
    """The nets' drawings reach from minus this to plus this."""
    cards: list[Card]
    folded: list[Card]
    """More of them, which the page shows on demand."""
    left_out: int
    """Hallucinated tokens that have no card."""
    controls: list[Card]
    ranked: bool
    """Whether tokens have a rank of suspicion; without, they come in the order of the answers."""


def section(audit: Audit) -> Hallucination | None:
    """None where no word of the answers is labelled."""
    reading, corrections = audit.hallucination, audit.corrections
    if reading is None and corrections is None:
        return None
    scores = [] if reading is None else list(reading.signals)
    if reading is not None and reading.combination is not None:
        scores.append(reading.combination)
    tokens = [] if reading is None else reading.tokens
    wrong, right = _ranked(tokens, _WRONG), _ranked(tokens, _RIGHT)
    tried = [] if corrections is None else corrections.interventions
    top = _net_scale(tried)
    chosen = [*wrong[:MAX_CARDS], *right[:MAX_CONTROLS]]
    made = cards(audit, chosen)
    shown = [card for card in made if card.token.truth == _WRONG]
    return Hallucination(
        reading=reading,
        corrections=corrections,
        signals=[_signal(score) for score in scores],
        interventions=[
            InterventionRow(
                one, small_whisker(one.net, one.net_interval, small_scale(-top, top), 0.0)
            )
            for one in tried
        ],
        net_scale=top,
        cards=shown[:OPEN_CARDS],
        folded=shown[OPEN_CARDS:],
        left_out=len(wrong) - len(shown),
        controls=[card for card in made if card.token.truth == _RIGHT],
        ranked=any(token.suspicion is not None for token in tokens),
    )


def _net_scale(tried: Sequence[InterventionReading]) -> float:
    ends = [end for one in tried if (i := one.net_interval) for end in (i.low, i.high)]
    known = [abs(v) for v in map(finite, [*ends, *(one.net for one in tried)]) if v is not None]
    return min(1.0, nice_top(max(known, default=1.0)))


def _ranked(tokens: Sequence[LabelledToken], truth: str) -> list[LabelledToken]:
    found = [token for token in tokens if token.truth == truth]
    return sorted(found, key=lambda t: -1.0 if t.suspicion is None else -1.0 - t.suspicion)


def _signal(score: SignalScore) -> SignalRow:
    return SignalRow(
        score,
        small_whisker(score.auroc, score.auroc_interval, small_scale(0.0, 1.0), CHANCE),
        _against_chance(score.auroc_interval),
    )


def _against_chance(interval: Interval | None) -> str:
    if interval is None or interval.low > CHANCE:
        return ""
    return "worse than chance" if interval.high < CHANCE else "not shown to beat chance"
