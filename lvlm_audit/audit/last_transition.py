"""What the lens does to the last transition: measured, and said in words.

The raw lens applies the head to states 0..L-1 as they are, while state L has passed the final norm. So the
last transition is measured between two instruments (docs/method.md#the-raw-lens).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lvlm_audit.document import TerminalTransition, rounded
from lvlm_audit.spec.evidence import Evidence

JUMP = 2.0
"""The last transition jumps where its median is at least this many times that of the ones before."""


def last_transition(evidence: Evidence) -> TerminalTransition | None:
    """The last transition's median JSD against the ones before; None without an eligible token."""
    jsd = np.concatenate([t.divergence[t.eligible] for t in evidence.traces])
    if not len(jsd) or jsd.shape[1] < 2:
        return None
    typical = np.median(jsd, axis=0)
    return TerminalTransition(
        lens=evidence.lens,
        terminal=_bits(typical[-1]),
        before=_bits(np.median(typical[:-1])),
        largest_before=_bits(typical[:-1].max()),
        tokens=len(jsd),
    )


def in_words(seen: Sequence[TerminalTransition]) -> str:
    """What the raw lens does to the last transition; empty where it was not recorded.

    Args:
        seen: one reading a lens.
    """
    by_lens = {one.lens: one for one in seen}
    raw, normed = by_lens.get("raw"), by_lens.get("normed")
    if raw is None:
        return ""
    text = (
        f"Through the raw lens the last transition has a median JSD of {_words(raw.terminal)}; the ones before "
        f"it have {_words(raw.before)} in the median and {raw.largest_before:g} at most "
        f"({raw.tokens} eligible tokens). "
    )
    if raw.terminal >= JUMP * raw.before:
        text += (
            "This lens reads states 0 to L-1 before the final norm and state L after it: the norm makes a "
            "jump there, whatever the last block does."
        )
    else:
        text += (
            "This lens reads states 0 to L-1 before the final norm and state L after it; in this model "
            "that makes no jump."
        )
    if normed is None:
        return (
            f"{text} How much the last block changes, only the normed lens could tell; this run did not "
            f"record it."
        )
    return (
        f"{text} Through the normed lens, which norms every state, the same transition has "
        f"{_words(normed.terminal)}, and the ones before it {normed.before:g} in the median: read so, this is "
        f"what the last block changes."
    )


def _words(bits: float) -> str:
    return f"{bits:g} {'bit' if bits == 1 else 'bits'}"


def _bits(value: float) -> float:
    return rounded(float(value), 3) or 0.0
