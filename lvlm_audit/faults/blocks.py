"""Decoder blocks in each other's place, and blocks that are gone."""

from __future__ import annotations

from lvlm_audit.compression.removal import removed
from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.faults.change import Change


def swapped(change: Change, seed: int) -> None:
    """The weights of two blocks, a third and two thirds up or the nearest that are alike, are exchanged."""
    del seed
    blocks = change.hooked.anatomy.blocks
    shapes = [tuple((n, t.shape) for n, t in block.state_dict().items()) for block in blocks]
    low, high = len(blocks) // 3, 2 * len(blocks) // 3
    pairs = [
        (i, j)
        for i in range(len(blocks))
        for j in range(i + 1, len(blocks))
        if shapes[i] == shapes[j]
    ]
    if not pairs:
        raise UnsupportedModel(
            f"no two of the {len(blocks)} decoder blocks of {change.hooked.name} are alike, so none can stand "
            f"in another's place."
        )
    i, j = min(pairs, key=lambda pair: abs(pair[0] - low) + abs(pair[1] - high))
    mine = {name: tensor.clone() for name, tensor in blocks[i].state_dict().items()}
    for name, tensor in blocks[j].state_dict().items():
        change.numbers(blocks[i].state_dict()[name], tensor)
    for name, tensor in mine.items():
        change.numbers(blocks[j].state_dict()[name], tensor)


def gone(change: Change, seed: int, *, count: int) -> None:
    """Neighbouring blocks from the middle on are removed, the rest numbered anew."""
    del seed
    blocks = change.hooked.blocks
    if blocks <= count:
        raise UnsupportedModel(
            f"{change.hooked.name} has {blocks} decoder blocks, of which {count} cannot be removed."
        )
    first = min(blocks // 2, blocks - count)
    change.enter(removed(change.hooked, range(first, first + count)))
