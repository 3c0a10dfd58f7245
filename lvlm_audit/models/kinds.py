"""Kinds: which blocks of a decoder are made of other parts than the rest, in the names of their classes.

State-space or linear attention beside attention, cross-attention to an image, experts beside a plain
feed-forward: a state means the same in each (what has been added to the stream so far), but what a block
can have added differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import nn

_RANGES = 6


def kinds_of(blocks: Sequence[nn.Module]) -> str | None:
    """None if all are alike; else, say, "blocks 0, 2 hold MambaMixer; blocks 1, 3 hold Attention"."""
    classes = [{type(part).__name__ for part in block.modules()} for block in blocks]
    common = set.intersection(*classes)
    own = [tuple(dict.fromkeys(_outermost(block, common))) for block in blocks]
    kinds = list(dict.fromkeys(own))
    if len(kinds) < 2:
        return None
    return "; ".join(
        f"{_numbered([i for i, each in enumerate(own) if each == kind])} {' and '.join(kind)}"
        for kind in kinds
        if kind
    )


def _outermost(module: nn.Module, common: set[str]) -> Iterator[str]:
    """Classes of parts that not all blocks have, and not of what lies inside such parts."""
    for part in module.children():
        name = type(part).__name__
        if name in common:
            yield from _outermost(part, common)
        else:
            yield name


def _numbered(numbers: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for i in numbers:
        if ranges and i == ranges[-1][1] + 1:
            ranges[-1][1] = i
        else:
            ranges.append([i, i])
    named = [str(a) if a == b else f"{a}-{b}" for a, b in ranges]
    shown = ", ".join(named[:_RANGES]) + (", ..." if len(named) > _RANGES else "")
    return (
        f"block {shown} holds" if len(ranges) == 1 and "-" not in shown else f"blocks {shown} hold"
    )
