"""One comparison in one sentence: what is fed otherwise, which answers changed, and what was lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lvlm_audit.document import Change, Comparison, Outcome, Severity

_MOST_NAMED = 3


def verdict_sentence(comparison: Comparison) -> str:
    """What an engineer reads first: differences of what is fed before any number, without a full stop.

    Example: "processor image_mean differs; 13 of 24 answers changed; right answers fell from 20 to 9".
    """
    return "; ".join(_parts(comparison)) or "nothing was compared"


def _parts(comparison: Comparison) -> Iterator[str]:
    if comparison.fed:
        names = list(dict.fromkeys(one.what.replace(": ", " ") for one in comparison.fed))
        yield f"{_named(names)} {'differs' if len(names) == 1 else 'differ'}"
    answers = comparison.answers
    if answers is not None:
        some = answers.changed or "none"
        ties = f" ({answers.ties} more by rounding alone)" if answers.ties else ""
        if not answers.changed and answers.ties:
            ties = f" ({answers.ties} differ by rounding alone)"
        yield f"{some} of {answers.compared} answers changed{ties}"
    deciding = [c for c in comparison.changes if c.severity is Severity.ERROR]
    shown = _of(deciding, Outcome.SHOWN)
    # What is red is said in numbers; of what is not, the numbers of losses that stayed open.
    yield from (change.short for change in shown)
    yield from (f"{c.short} (undecided)" for c in _of(deciding, Outcome.UNDECIDED))
    excluded = _of(deciding, Outcome.EXCLUDED)
    if excluded:
        yield f"no loss beyond the tolerance in {', '.join(change.check for change in excluded)}"


def _of(changes: Sequence[Change], outcome: Outcome) -> list[Change]:
    return [change for change in changes if change.outcome is outcome]


def _named(names: Sequence[str]) -> str:
    named = list(names[:_MOST_NAMED])
    if len(names) > _MOST_NAMED:
        named.append(f"{len(names) - _MOST_NAMED} more settings")
    if len(named) == 1:
        return named[0]
    return f"{', '.join(named[:-1])} and {named[-1]}"
