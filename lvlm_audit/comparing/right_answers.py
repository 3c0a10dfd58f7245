"""Right answers, and where the baseline has too few of them the reference's words that answers have."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lvlm_audit.comparing.declared import metric_of, of, tolerance_of
from lvlm_audit.comparing.loss import Counts, Loss
from lvlm_audit.comparing.sides import Pair, part
from lvlm_audit.document import Finding
from lvlm_audit.statistics import counts_change, net_change

METRIC = "the whole answer is right"
FEWEST_RIGHT = 10
"""Right whole answers of the baseline below which words are counted."""
_MOST_NAMED = 5


def is_of_right_answers(finding: Finding) -> bool:
    """Whether a check asks how many whole answers are right."""
    return of(finding) == "answers" and metric_of(finding) == METRIC


def right_answers(
    finding: Finding, pairs: Sequence[Pair], level: float, *, seed: int
) -> Loss | str:
    """The net change of right answers; a text that says why there is none.

    Args:
        finding: the check, as it is declared now.
        pairs: probes that both audits asked.
        level: one-sided, at which a loss of everything must be shown.
        seed: of the resampling.
    """
    known = [pair for pair in pairs if pair.before.right is not None]
    had = sum(bool(pair.before.right) for pair in known)
    if had >= FEWEST_RIGHT:
        whole = _whole(finding, known)
        if whole.can_be_shown(level):
            return dataclasses.replace(whole, finer=_finer(finding, pairs, had, level, seed))
    asked = [pair for pair in pairs if pair.before.words_asked > 0]
    if not known and not asked:
        return "neither a reference answer nor labels say which answers are right"
    if asked and any(pair.before.words_found > 0 for pair in asked):
        words = _words(finding, asked, had, seed)
        if words.can_be_shown(level):
            return words
    found = sum(pair.before.words_found for pair in asked)
    return (
        f"the baseline has {had} right answers of {len(known)} and {found} of the references' "
        f"{sum(pair.before.words_asked for pair in asked)} content words: with these images not even the loss "
        f"of all of them could be shown"
    )


def _finer(
    finding: Finding, pairs: Sequence[Pair], had: int, level: float, seed: int
) -> Loss | None:
    """The references' words that the answers have, which tell of a loss before whole answers do."""
    asked = [pair for pair in pairs if pair.before.words_asked > 0]
    if not any(pair.before.words_found for pair in asked):
        return None
    words = _words(finding, asked, had, seed)
    return words if words.can_be_shown(level) else None


def _whole(finding: Finding, known: Sequence[Pair]) -> Loss:
    now = [bool(pair.counted.right) for pair in known]
    before = [bool(pair.before.right) for pair in known]
    change = net_change(now, before, [pair.before.cluster for pair in known])
    untold = sum(pair.now.right is None for pair in known)
    return Loss(
        noun="right answers",
        change=change,
        tolerance=tolerance_of(finding),
        rises=False,
        rate=True,
        unit="share of answers",
        counts=Counts(sum(now), len(known), sum(before), len(known)),
        lost=change.lost,
        gained=change.gained,
        worst=_named(p for p, n, b in zip(known, now, before, strict=True) if b and not n),
        notes=(
            *_ties(known),
            *([f"{untold} that cannot be judged any more count as wrong"] if untold else []),
        ),
    )


def _words(finding: Finding, asked: Sequence[Pair], had: int, seed: int) -> Loss:
    clusters, index = np.unique([pair.before.cluster for pair in asked], return_inverse=True)

    def by_image(counts: Sequence[int]) -> npt.NDArray[np.float64]:
        return np.bincount(index, counts, minlength=len(clusters)).astype(np.float64)

    totals = [pair.before.words_asked for pair in asked]
    before = [part(pair.before.words_found, pair.before.words_asked) for pair in asked]
    now = [part(pair.counted.words_found, pair.before.words_asked) for pair in asked]
    change = counts_change(by_image(now), by_image(before), by_image(totals), seed=seed)
    lost = sorted(zip(asked, now, before, strict=True), key=lambda each: each[1] - each[2])
    return Loss(
        noun="the references' content words in the answers",
        change=change,
        tolerance=tolerance_of(finding),
        rises=False,
        rate=True,
        unit="share of the references' content words",
        counts=Counts(sum(now), sum(totals), sum(before), sum(totals)),
        lost=sum(max(0, b - n) for n, b in zip(now, before, strict=True)),
        gained=sum(max(0, n - b) for n, b in zip(now, before, strict=True)),
        worst=_named(pair for pair, n, b in lost if n < b),
        notes=(
            (
                f"words are counted, as the baseline has only {had} whole right answers"
                if had < FEWEST_RIGHT
                else f"words are counted, as with these images not even the loss of all {had} right "
                "answers could be shown"
            ),
            *_ties(asked),
        ),
    )


def _named(pairs: Iterable[Pair]) -> tuple[str, ...]:
    return tuple(pair.now.id for pair in pairs)[:_MOST_NAMED]


def _ties(pairs: Sequence[Pair]) -> list[str]:
    ties = sum(pair.tie for pair in pairs)
    return [f"{ties} that only rounding changed count as before"] if ties else []
