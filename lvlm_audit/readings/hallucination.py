"""From labelled answers to the document's reading of hallucinated words and of the signals that find them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.document import (
    HallucinationReading,
    Interval,
    KindScore,
    LabelledToken,
    Leader,
    SignalScore,
    rounded,
)
from lvlm_audit.hallucination.labels import HALLUCINATED, LabelledWord, label_answers
from lvlm_audit.hallucination.scoring import (
    LabelledTokens,
    Scored,
    score_combination,
    score_signals,
)
from lvlm_audit.hallucination.separation import CONFIDENCE, Separation
from lvlm_audit.hallucination.signals import BASELINE, Signal, TokenEvidence, signals
from lvlm_audit.readings.answers import listed, rounded_interval, text_of
from lvlm_audit.recordings.answer_pairs import NO_IMAGE_PAIRS
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.recordings.image_words import IMAGE_WORDS
from lvlm_audit.recordings.text_answers import TEXT_ANSWERS
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.statistics import cluster_mean
from lvlm_audit.traces.trace import Trace

COMBINATION = "combination"

_EXACT = 9
"""Significant digits of a score: at four, scores near 1 would tie, and their ranking be another."""


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One labelled token that counts."""

    trace: Trace
    position: int
    word: LabelledWord
    values: npt.NDArray[np.float64]


def hallucination_reading(evidence: Evidence, *, seed: int = 0) -> HallucinationReading | None:
    """Labelled tokens and how well every signal tells the hallucinated ones; None without a label.

    Tokens that count are first pieces of labelled words, and eligible as for every finding.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
        SignalError: a signal failed, or gave something else than a number a token.
    """
    labels = label_answers(evidence.traces, evidence.of(TEXT_ANSWERS))
    if not any(label.words for label in labels):
        return None
    known = signals()
    found = [
        (trace, position, word)
        for trace, label in zip(evidence.traces, labels, strict=True)
        for position, word in _first_pieces(label.words)
    ]
    values = {id(t): v for t, v in zip(evidence.traces, _values(evidence, known), strict=True)}
    rows = [
        _Row(trace, position, word, values[id(trace)][position])
        for trace, position, word in found
        if trace.eligible[position]
    ]
    tokens = labelled_tokens(known, rows)
    measured = [_measured(signal, tokens, evidence) for signal in known]
    scored = score_signals(tokens, seed=seed)
    together = score_combination(tokens, [not reason for reason in measured], seed=seed)
    read = [
        _signal_score(s.name, s.statement, s.source, one, reason)
        for s, one, reason in zip(known, scored, measured, strict=True)
    ]
    combination = None
    if together is not None:
        combination = _signal_score(
            COMBINATION,
            "All measured signals together, by logistic regression on other images' tokens.",
            "scikit-learn: standardised inputs, L2, GroupKFold by image",
            together[1],
            "",
        )
    return HallucinationReading(
        scheme="; ".join(dict.fromkeys(label.scheme for label in labels if label.words)),
        words=_words(tokens, read),
        images=len(np.unique(tokens.images)),
        labelled=len(tokens.truth),
        hallucinated=int(tokens.truth.sum()),
        base_rate=rounded(float(tokens.truth.mean())) if rows else None,
        base_rate_interval=_base_rate(tokens, seed) if rows else None,
        prior_driven=None if tokens.prior_driven is None else int(tokens.prior_driven.sum()),
        not_eligible=len(found) - len(rows),
        baseline=BASELINE.name,
        signals=read,
        combination=combination,
        tokens=[
            _token(row, known, None if together is None else float(together[0][i]))
            for i, row in enumerate(rows)
        ],
    )


def _first_pieces(words: Sequence[LabelledWord]) -> Iterator[tuple[int, LabelledWord]]:
    """The token that each word begins with; of words that share it, a hallucinated one."""
    first: dict[int, LabelledWord] = {}
    for word in words:
        known = first.get(word.tokens.start)
        if known is None or word.truth > known.truth:
            first[word.tokens.start] = word
    yield from sorted(first.items())


def _values(evidence: Evidence, known: Sequence[Signal]) -> list[npt.NDArray[np.float64]]:
    """Per answer [T, K]. Labels stay on this side: a signal gets a `TokenEvidence`."""
    without = {pair.asked.id: pair for pair in evidence.of(NO_IMAGE_PAIRS)}
    words = {one.asked.id: one for one in evidence.of(IMAGE_WORDS)}
    made = []
    for trace in evidence.traces:
        name = trace.asked.id
        seen = TokenEvidence.of(trace, without.get(name), words.get(name))
        made.append(np.stack([signal.scores(seen) for signal in known], axis=1))
    return made


def labelled_tokens(known: Sequence[Signal], rows: Sequence[_Row]) -> LabelledTokens:
    """The rows as arrays."""
    wrong = np.array([row.word.truth == HALLUCINATED for row in rows], dtype=bool)
    prior = [row.word.prior_driven for row in rows]
    told = all(p is not None for p, bad in zip(prior, wrong, strict=True) if bad)
    return LabelledTokens(
        signals=tuple(known),
        matrix=np.array([row.values for row in rows]).reshape(len(rows), len(known)),
        truth=wrong,
        prior_driven=np.array([bool(p) for p in prior]) & wrong if told and wrong.any() else None,
        images=np.array([row.trace.asked.cluster for row in rows], dtype=np.str_),
    )


def _measured(signal: Signal, tokens: LabelledTokens, evidence: Evidence) -> str:
    """Why a signal was not measured; empty where it was."""
    if not np.isnan(tokens.column(signal.name)).all():
        return ""
    if signal.needs == "image pair":
        reason = (
            evidence.named(NO_IMAGE_PAIRS.name).reason or "no answer was replayed without an image"
        )
    elif signal.needs == "image words":
        reason = evidence.named(IMAGE_WORDS.name).reason or (
            "the images' own words are recorded where a check reads labels (check_hallucination.py)"
        )
    else:
        reason = "it is not defined on any labelled token"
    return f"Not measured: {reason.rstrip('.')}."


def _signal_score(
    name: str, statement: str, source: str, scored: Scored, reason: str
) -> SignalScore:
    one, suspected, over = scored.all, scored.suspected, scored.over_baseline
    left_out = (
        f"{scored.undefined} labelled tokens have no value."
        if scored.undefined and not reason
        else ""
    )
    undecided = f"{one.undecided[:1].upper()}{one.undecided[1:]}." if one.undecided else ""
    kind = _kind(one)
    return SignalScore(
        name=name,
        statement=statement,
        source=source,
        auroc=kind.auroc,
        auroc_interval=kind.auroc_interval,
        average_precision=kind.average_precision,
        ap_interval=kind.ap_interval,
        n_hallucinated=kind.n_hallucinated,
        n_correct=kind.n_correct,
        n_images=kind.n_images,
        rate_on_correct=None if suspected is None else rounded(suspected.on_correct),
        rate_on_hallucinated=None if suspected is None else rounded(suspected.on_hallucinated),
        threshold=None if suspected is None else rounded(suspected.threshold),
        own_threshold=suspected is not None and suspected.own,
        over_baseline=None if over is None else rounded(over.value),
        over_baseline_interval=None if over is None else rounded_interval(over.spread),
        prior_driven=None if scored.prior_driven is None else _kind(scored.prior_driven),
        misread=None if scored.misread is None else _kind(scored.misread),
        note=reason or " ".join(filter(None, (undecided, left_out))),
    )


def _kind(one: Separation) -> KindScore:
    known = one.auroc is not None
    return KindScore(
        auroc=rounded(one.auroc),
        auroc_interval=rounded_interval(one.auroc_spread) if known else None,
        average_precision=rounded(one.average_precision),
        ap_interval=rounded_interval(one.precision_spread) if known else None,
        n_hallucinated=one.hallucinated,
        n_correct=one.correct,
        n_images=one.images,
        note=one.undecided,
    )


def _base_rate(tokens: LabelledTokens, seed: int) -> Interval:
    _, index = np.unique(tokens.images, return_inverse=True)
    rate = cluster_mean(
        np.bincount(index, tokens.truth).astype(np.float64),
        np.bincount(index).astype(np.float64),
        support=(0, 1),
        seed=seed,
        is_share=True,
    )
    return rounded_interval(rate.spread(CONFIDENCE))


def _words(tokens: LabelledTokens, read: Sequence[SignalScore]) -> str:
    bad, total = int(tokens.truth.sum()), len(tokens.truth)
    said = [
        f"{bad} of {total} labelled tokens are hallucinated. Signals are held against that base rate; "
        f"intervals are of each signal by itself, not corrected for their number."
    ]
    if tokens.prior_driven is None and bad:
        said.append(
            "Errors that the answer without the image shares are not told apart: ask without images too "
            f"({spelled('compare_llm')})."
        )
    decided = [
        one for one in read if one.auroc is not None and not one.note.startswith("Inconclusive")
    ]
    if not decided:
        return " ".join([*said, "Too few tokens of a kind to say how good any signal is."])
    better = [one.name for one in decided if _low(one.over_baseline_interval) > 0]
    said.append(
        f"Better than the baseline, the improbability of the emitted token: {', '.join(better) or 'none'}."
    )
    chance = [one.name for one in decided if _low(one.auroc_interval) <= 0.5]
    if chance:
        said.append(f"Not shown to be better than chance: {', '.join(chance)}.")
    return " ".join(said)


def _low(interval: Interval | None) -> float:
    return -1.0 if interval is None else interval.low


def _token(row: _Row, known: Sequence[Signal], suspicion: float | None) -> LabelledToken:
    trace, t = row.trace, row.position
    state = _turned(trace, t)
    wrong = row.word.truth == HALLUCINATED
    return LabelledToken(
        probe=trace.asked.id,
        token=trace.token_texts[t],
        position=t,
        truth="hallucinated" if wrong else "correct",
        expected=row.word.expected,
        prior_driven=row.word.prior_driven if wrong else None,
        signals={
            signal.name: rounded(float(value), _EXACT)
            for signal, value in zip(known, row.values, strict=True)
        },
        suspicion=rounded(suspicion, _EXACT),
        state=state,
        before=None if state is None else text_of(trace, int(trace.leader[t, state - 1])),
        after=None if state is None else text_of(trace, int(trace.leader[t, state])),
        leaders=_leaders(trace, t) if wrong else None,
    )


def _leaders(trace: Trace, t: int) -> list[Leader]:
    """Every other token that led at some state; of a wrong word none may be hidden, the right one least."""
    ids, curves = trace.candidate_ids[t], trace.candidate_probability[t]
    order = np.argsort(-curves.max(axis=1), kind="stable")
    others = [k for k in order if ids[k] >= 0 and ids[k] != trace.token_ids[t]]
    return [Leader(text_of(trace, int(ids[k])), listed(curves[k])) for k in others]


def _turned(trace: Trace, t: int) -> int | None:
    """From which state on the emitted token leads to the end."""
    others = np.flatnonzero(trace.leader[t] != trace.token_ids[t])
    if others.size == 0 or others[-1] == trace.blocks:
        return None
    return int(others[-1]) + 1
