"""Sets of blocks that may be skipped: what a valid one is. No torch."""

from __future__ import annotations

import operator
from collections.abc import Iterable

from lvlm_audit.errors import UsageError


def checked_blocks(blocks: Iterable[int], depth: int) -> tuple[int, ...]:
    """A skip set in ascending order; it may be empty, which skips nothing.

    Args:
        blocks: 0-based indices of decoder blocks.
        depth: L, how many the model has.

    Raises:
        UsageError: an index that is no whole number, out of range or named twice, or all blocks at once.
    """
    found: list[int] = []
    for block in blocks:
        try:
            index = operator.index(block)
        except TypeError as error:
            raise UsageError(
                f"block {block!r} is no whole number. Name blocks by index, 0 to {depth - 1}."
            ) from error
        if isinstance(block, bool) or not 0 <= index < depth:
            raise UsageError(
                f"there is no block {block!r}: this model has {depth}, 0 to {depth - 1}."
            )
        if index in found:
            raise UsageError(f"block {index} is named twice. A block can be skipped once.")
        found.append(index)
    if depth and len(found) == depth:
        raise UsageError(
            f"all {depth} blocks would be skipped, which leaves no model. Keep at least one."
        )
    return tuple(sorted(found))
