"""Hallucinated words: what finds them, what corrects them, and each of them from close by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from lvlm_audit.document import (
    Audit,
    CorrectionsReading,
    HallucinationReading,
    InterventionReading,
    LabelledToken,
    ProbeReading,
    SignalScore,
    TokenReading,
    WordFate,
)
from lvlm_audit.report.differences import Run, side_by_side
from lvlm_audit.report.drawing.token_chart import TokenChart, candidate_chart
from lvlm_audit.report.drawing.whisker import SmallWhisker, small_scale, small_whisker
from lvlm_audit.report.thumbnails import thumbnails

MAX_CARDS = 24
"""Hallucinated tokens that are shown from close by, the most suspicious first."""
CHANCE = 0.5


@dataclass(frozen=True, slots=True)
class SignalRow:
    """One signal with its drawing."""

    score: SignalScore
    whisker: SmallWhisker | None
    chance: bool | None
    """Whether its interval holds the AUROC of chance; None where it has none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one intervention did to a word."""

    intervention: str
    fate: WordFate
    base: list[Run]
    answer: list[Run]


@dataclass(frozen=True, slots=True)
class Card:
    """One hallucinated token from close by."""

    token: LabelledToken
    probe: ProbeReading
    image: str | None
    before: str
    """The answer up to the token, and after it."""
    after: str
    chart: TokenChart | None
    signals: list[tuple[str, float]]
    outcomes: list[Outcome]


@dataclass(frozen=True, slots=True)
class Hallucination:
    """What the template reads."""

    name: ClassVar[str] = "hallucination"

    reading: HallucinationReading | None
    corrections: CorrectionsReading | None
    signals: list[SignalRow]
    cards: list[Card]
    left_out: int
    """Hallucinated tokens that have no card."""


def section(audit: Audit) -> Hallucination | None:
    """None where no word of the answers is labelled."""
    reading, corrections = audit.hallucination, audit.corrections
    if reading is None and corrections is None:
        return None
    scores = [] if reading is None else list(reading.signals)
    if reading is not None and reading.combination is not None:
        scores.append(reading.combination)
    wrong = [] if reading is None else [t for t in reading.tokens if t.truth == "hallucinated"]
    # Without a combination the order is that of the answers.
    wrong.sort(key=lambda t: -(t.suspicion if t.suspicion is not None else 0.0))
    cards = _cards(audit, wrong[:MAX_CARDS], corrections)
    return Hallucination(
        reading, corrections, [_row(score) for score in scores], cards, len(wrong) - len(cards)
    )


def _row(score: SignalScore) -> SignalRow:
    interval = score.auroc_interval
    return SignalRow(
        score,
        small_whisker(score.auroc, interval, small_scale(0.0, 1.0)),
        None if interval is None else interval.low <= CHANCE <= interval.high,
    )


def _cards(
    audit: Audit, tokens: Sequence[LabelledToken], corrections: CorrectionsReading | None
) -> list[Card]:
    probes: dict[str, ProbeReading] = {}
    for probe in audit.probes:
        probes.setdefault(probe.id, probe)
    known = [
        (token, probes[token.probe])
        for token in tokens
        if token.probe in probes and token.position < len(probes[token.probe].tokens)
    ]
    shown: dict[str, str | None] = {}
    distinct = list({probe.id: probe for _, probe in known}.values())
    for probe, images in zip(distinct, thumbnails(distinct), strict=True):
        shown[probe.id] = next(iter(images), None)
    return [_card(audit, token, probe, shown[probe.id], corrections) for token, probe in known]


def _card(
    audit: Audit,
    token: LabelledToken,
    probe: ProbeReading,
    image: str | None,
    corrections: CorrectionsReading | None,
) -> Card:
    read: TokenReading = probe.tokens[token.position]
    pieces = [one.text for one in probe.tokens]
    tried = [] if corrections is None else corrections.interventions
    return Card(
        token=token,
        probe=probe,
        image=image,
        before="".join(pieces[: token.position]),
        after="".join(pieces[token.position + 1 :]),
        chart=candidate_chart(read, audit.stages),
        signals=[(name, value) for name, value in token.signals.items() if value is not None],
        outcomes=[
            outcome for one in tried if (outcome := _outcome(one, token, probe.answer)) is not None
        ],
    )


def _outcome(one: InterventionReading, token: LabelledToken, answer: str) -> Outcome | None:
    """The fate of this token's word: matched by what was said, which a document holds of both."""
    said = token.token.strip().casefold()
    fates = [f for f in one.fates if f.probe == token.probe and f.hallucinated]
    matching = [f for f in fates if said and f.said.strip().casefold().startswith(said)] or fates[
        :1
    ]
    if not matching:
        return None
    now = next((d.answer for d in one.differing if d.probe == token.probe), answer)
    return Outcome(one.intervention, matching[0], *side_by_side(answer.strip(), now.strip()))
