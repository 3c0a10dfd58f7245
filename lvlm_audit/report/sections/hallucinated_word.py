"""One labelled word from close by: where it stands, what it was held against, what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.document import (
    Audit,
    InterventionReading,
    LabelledToken,
    ProbeReading,
    TokenReading,
    WordFate,
)
from lvlm_audit.report.differences import Run, side_by_side
from lvlm_audit.report.drawing.candidate_chart import CandidateChart, candidate_chart
from lvlm_audit.report.spoken import spoken
from lvlm_audit.report.thumbnails import thumbnails
from lvlm_audit.report.words import clip, finite, tokens_apart

MAX_AROUND = 240
"""Characters of an answer on either side of the word."""
LISTED = 5
"""Candidates that are listed at once; the others are folded."""
MAX_ANSWER = 200
"""Characters of an answer under an intervention."""


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One candidate of the word's place, in numbers."""

    text: str
    expected: bool
    """It is what the label would have (or its first piece)."""
    most: float
    """Its greatest probability."""
    at: int
    """The state of that."""
    final: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one intervention did to the word."""

    intervention: str
    fate: WordFate
    answer: list[Run] | None
    """Words that the base answer lacks are marked; None: the answer is the same."""


@dataclass(frozen=True, slots=True)
class Card:
    """One labelled word from close by."""

    token: LabelledToken
    probe: ProbeReading
    image: str | None
    word: str
    """The token and the pieces that continue it."""
    before: str
    """The answer up to the word."""
    after: str
    turned: str
    """In words, where the token never turned."""
    names: dict[str, str]
    """Labels of all tokens that the card names."""
    candidates: list[CandidateRow]
    """The said word, what would have been right, and the strongest others."""
    more: list[CandidateRow]
    """Other tokens that led at some state."""
    unseen: bool
    """What would have been right never led, so that no curve of it was kept."""
    chart: CandidateChart | None
    signals: list[tuple[str, float]]
    outcomes: list[Outcome]
    unreported: list[str]
    """Measured interventions that say nothing of this word."""


def cards(audit: Audit, tokens: Sequence[LabelledToken]) -> list[Card]:
    """A card for each token whose answer the document holds."""
    probes: dict[str, ProbeReading] = {}
    for probe in audit.probes:
        probes.setdefault(probe.id, probe)
    known = [
        (token, probes[token.probe])
        for token in tokens
        if token.probe in probes and 0 <= token.position < len(probes[token.probe].tokens)
    ]
    distinct = list({probe.id: probe for _, probe in known}.values())
    images = {
        probe.id: next(iter(shown), None)
        for probe, shown in zip(distinct, thumbnails(distinct), strict=True)
    }
    return [_card(audit, token, probe, images[probe.id]) for token, probe in known]


def _card(audit: Audit, token: LabelledToken, probe: ProbeReading, image: str | None) -> Card:
    read = probe.tokens[token.position]
    end = token.position + 1
    while end < len(probe.tokens) and probe.tokens[end].kind == "continuation":
        end += 1
    curves = _curves(read, token)
    candidates = _candidates(curves, token.expected)
    said = _text(probe.tokens[token.position : end])
    word = said.lstrip(" ") or said
    before = _text(probe.tokens[: token.position]) + said[: len(said) - len(word)]
    after = _text(probe.tokens[end:])
    tried = [] if audit.corrections is None else audit.corrections.interventions
    measured = [one for one in tried if one.answers]
    outcomes = [
        Outcome(one.intervention, fate, _answer(one, probe))
        for one in measured
        if (fate := fate_of(one, token, _alike(audit, token))) is not None
    ]
    told = {outcome.intervention for outcome in outcomes}
    return Card(
        token=token,
        probe=probe,
        image=image,
        word=word,
        before=before if len(before) <= MAX_AROUND else "…" + before[1 - MAX_AROUND :],
        after=clip(after, MAX_AROUND),
        turned=_turned(read),
        names=tokens_apart(
            [token.token, token.before or "", token.after or "", *(text for text, _ in curves)]
        ),
        candidates=candidates[:LISTED],
        more=candidates[LISTED:],
        unseen=token.expected is not None and not any(one.expected for one in candidates),
        chart=candidate_chart(read, audit.stages, token.state, curves[1:]),
        signals=[
            (name, v) for name, raw in token.signals.items() if (v := finite(raw)) is not None
        ],
        outcomes=outcomes,
        unreported=[one.intervention for one in measured if one.intervention not in told],
    )


def _text(tokens: Sequence[TokenReading]) -> str:
    return "".join(one.text for one in tokens if one.kind != "special")


def _turned(read: TokenReading) -> str:
    """Of a token without a state from which it leads: it never led at the end, or led throughout."""
    own = finite(read.probability[-1]) if read.probability else None
    best = finite(read.leader_probability[-1]) if read.leader_probability else None
    if own is None or best is None:
        return "not known"
    return (
        "never: it leads from the start" if own >= best else "never: another token leads at the end"
    )


def _curves(read: TokenReading, token: LabelledToken) -> list[tuple[str, list[float]]]:
    """The said token, then what the label would have, then the others, the strongest first."""
    others = [(one.text, one.probability) for one in token.leaders or ()]
    known = {text for text, _ in others}
    for rival in read.rivals:
        text, curve = str(rival.get("text", "")), rival.get("probability")
        if isinstance(curve, list) and curve and text not in known:
            others.append((text, curve))
    others.sort(key=lambda one: not _begins(one[0], token.expected))
    return [(read.text, read.probability), *others]


def _candidates(
    curves: Sequence[tuple[str, list[float]]], expected: str | None
) -> list[CandidateRow]:
    found = []
    for place, (text, curve) in enumerate(curves):
        known = [
            (value, state) for state, raw in enumerate(curve) if (value := finite(raw)) is not None
        ]
        if known:
            most, at = max(known, key=lambda one: (one[0], -one[1]))
            found.append(
                CandidateRow(
                    text, bool(place) and _begins(text, expected), most, at, finite(curve[-1])
                )
            )
    return found


def _begins(piece: str, word: str | None) -> bool:
    bare = piece.strip().casefold()
    return bool(bare) and word is not None and word.strip().casefold().startswith(bare)


def _alike(audit: Audit, token: LabelledToken) -> tuple[int, int]:
    """Which of an answer's tokens of the same text, truth and expectation this is, and of how many."""
    assert audit.hallucination is not None
    alike = sorted(
        one.position
        for one in audit.hallucination.tokens
        if (one.probe, one.token, one.truth, one.expected)
        == (token.probe, token.token, token.truth, token.expected)
    )
    return alike.index(token.position), len(alike)


def fate_of(
    one: InterventionReading, token: LabelledToken, alike: tuple[int, int] = (0, 1)
) -> WordFate | None:
    """The fate of a token's word; None where the intervention's reading does not tell it for certain.

    Fates name a word by its text and not by its place, so of words that look the same the i-th token is
    taken to be the i-th fate, if there are as many of them; a single fate speaks for all of its words.
    """
    fates = [
        fate
        for fate in one.fates
        if fate.probe == token.probe
        and fate.hallucinated == (token.truth == "hallucinated")
        and fate.expected == token.expected
        and _begins(token.token, fate.said)
    ]
    if len({(fate.outcome, fate.now) for fate in fates}) == 1:
        return fates[0] if token.truth == "hallucinated" or len(fates) == alike[1] else None
    return fates[alike[0]] if len(fates) == alike[1] else None


def _answer(one: InterventionReading, probe: ProbeReading) -> list[Run] | None:
    now = next((d.answer for d in one.differing if d.probe == probe.id), None)
    if now is None:
        return None
    return side_by_side(spoken(probe), now.strip(), MAX_ANSWER)[1]
