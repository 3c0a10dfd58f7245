"""The premature states that DoLa and DeCo read, as signals and as decodings, in a model of any depth.

Both papers name layers of LLaMA's 32; their code indexes transformers' hidden states with them, so that
layer j is state j, and state L, which is the output itself, is never among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from lvlm_audit.errors import UsageError

Bucket = Literal["low", "high"]
BUCKETS: tuple[Bucket, ...] = get_args(Bucket)

DOLA_SHALLOW = 40
"""Blocks up to which DoLa's buckets are the halves; beyond it they are the outer 20 states."""

DECO_FIRST, DECO_LAST = 20 / 32, 28 / 32


def dola_states(bucket: Bucket | Sequence[int], blocks: int, *, tied: bool) -> tuple[int, ...]:
    """DoLa's candidate states: every second one of a bucket, as transformers has them (`dola_layers`).

    Args:
        bucket: "low" or "high", or states.
        blocks: L.
        tied: the head is the input embeddings, so that state 0 says nothing but the input token: the
            low bucket starts at state 2.

    Returns:
        Ascending; empty where the bucket of a very shallow model holds none.

    Raises:
        UsageError: no such bucket, or a state that is none, named twice or the last.
    """
    if not isinstance(bucket, str):
        return chosen_states(bucket, blocks)
    if bucket not in BUCKETS:
        raise UsageError(f"DoLa has no bucket {bucket!r}. Use {' or '.join(BUCKETS)}, or states.")
    if bucket == "high":
        start = blocks // 2 if blocks <= DOLA_SHALLOW else blocks - 20
        return tuple(range(start, blocks, 2))
    start = 0
    if tied:
        start = 2 if blocks > 2 else blocks // 2
    end = blocks // 2 if blocks <= DOLA_SHALLOW else 20
    return (start,) if start == end else tuple(range(start, end, 2))


def deco_states(blocks: int) -> tuple[int, ...]:
    """DeCo's states, 20 to 28 of 32, as shares of a model's depth; at least one of a model with blocks."""
    first, last = (min(round(share * blocks), blocks - 1) for share in (DECO_FIRST, DECO_LAST))
    return tuple(range(first, last + 1))


def chosen_states(states: Sequence[int], blocks: int) -> tuple[int, ...]:
    """States that were named, checked.

    Raises:
        UsageError: one that is no whole number, that the model does not have, named twice, or state L.
    """
    for state in states:
        if type(state) is not int or not 0 <= state < blocks:
            raise UsageError(
                f"a premature state is one of 0 to {blocks - 1} in this model, not {state!r}."
            )
    if len(set(states)) != len(states):
        raise UsageError(f"a premature state is named twice in {list(states)}.")
    return tuple(sorted(states))
