"""Which answers are others than before, and which of them only rounding may have changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from lvlm_audit.comparing.sides import Pair, Seen
from lvlm_audit.document import ChangedAnswer, ChangedAnswers, FedDifference

_MOST_EXAMPLES = 50


def with_ties(
    pairs: Sequence[Pair], now: Seen, before: Seen, fed: Sequence[FedDifference]
) -> list[Pair]:
    """The same pairs, those marked whose answers differ first where both margins lie within rounding."""
    floor = floor_of(now, before)
    if floor is None or not _one_tokenizer(now, before, fed):
        return list(pairs)
    return [dataclasses.replace(pair, tie=_is_tie(pair, floor)) for pair in pairs]


def floor_of(now: Seen, before: Seen) -> float | None:
    """The smaller of the floors that were measured, bits: a damaged model's own noise excuses nothing."""
    floors = [side.rounding.floor for side in (now, before) if side.rounding is not None]
    return min(floors, default=None)


def changed_answers(pairs: Sequence[Pair], now: Seen, before: Seen) -> ChangedAnswers | None:
    """How many answers are others; None where no probe is in both, or the answers were given."""
    if not pairs or "given" in (now.subject.answers, before.subject.answers):
        return None
    found = [_changed(pair) for pair in pairs if _differs(pair)]
    found.sort(key=_rank)
    ties = sum(one.tie for one in found)
    return ChangedAnswers(
        compared=len(pairs),
        changed=len(found) - ties,
        ties=ties,
        floor=floor_of(now, before),
        examples=found[:_MOST_EXAMPLES],
    )


def _differs(pair: Pair) -> bool:
    return pair.now.answer != pair.before.answer


def _is_tie(pair: Pair, floor: float) -> bool:
    if not _differs(pair):
        return False
    at = _first(pair)
    margins = [probe.margins[at : at + 1] for probe in (pair.now, pair.before)]
    return all(margin and margin[0] <= floor for margin in margins)


def _first(pair: Pair) -> int:
    one, other = pair.now.tokens, pair.before.tokens
    short = min(len(one), len(other))
    return next((i for i in range(short) if one[i] != other[i]), short)


def _one_tokenizer(now: Seen, before: Seen, fed: Sequence[FedDifference]) -> bool:
    """Whether ids of tokens mean the same in both."""
    return now.subject.vocabulary == before.subject.vocabulary and not any(
        difference.what.split(":")[0] == "tokenizer" for difference in fed
    )


def _changed(pair: Pair) -> ChangedAnswer:
    return ChangedAnswer(
        id=pair.now.id,
        cluster=pair.now.cluster,
        before=pair.before.answer,
        now=pair.now.answer,
        token=_first(pair),
        tie=pair.tie,
        right_before=pair.before.right,
        right_now=pair.now.right,
    )


def _rank(one: ChangedAnswer) -> tuple[bool, int]:
    """Lost answers first, gained ones after those that were and are neither; ties last."""
    return one.tie, int(one.right_now is True) - int(one.right_before is True)
