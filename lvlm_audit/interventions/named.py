"""The paper's three skip sets by name, from a model's nodes, and their numbering. No torch.

docs/method.md#states-and-transitions: state m mutates at transition m - 1, which belongs to block m - 1. With
critical layer c and first mutation m, the stabilization stage is `layers[c : m - 1]`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from lvlm_audit.errors import CheckError

Name = Literal["skip.1", "skip.2", "skip.3"]
NAMES: tuple[Name, ...] = get_args(Name)
At = Literal["nodes", "paper"]

PAPER_DEPTH = 32
PAPER_CRITICAL = 20
PAPER_MUTATION = range(26, 32)
"""LLaVA-1.5-7B: critical about 18-20, mutation 26-31 of 32 (docs/method.md#skipping-blocks), state 32 apart."""
PAPER_LAST = 5
"""skip.3 ends before the last 5 of 32 blocks."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """A model's nodes.

    Attributes:
        blocks: L.
        critical: state at which the rapid evolution ends; None where there is no such pattern.
        mutations: states at which the model mutates, the terminal one not counted.
    """

    blocks: int
    critical: int | None
    mutations: tuple[int, ...] = ()


def paper_nodes(blocks: int) -> Nodes:
    """Where the paper has LLaVA-1.5-7B's nodes, as shares of a model's depth."""

    def scaled(state: int) -> int:
        return int(state * blocks / PAPER_DEPTH + 0.5)

    states = {scaled(m) for m in PAPER_MUTATION}
    return Nodes(blocks, scaled(PAPER_CRITICAL), tuple(sorted(s for s in states if s < blocks)))


@dataclass(frozen=True, slots=True)
class Skip:
    """A skip set as a check declares it; the planner records its effect.

    Attributes:
        which: "skip.1" (the stabilization blocks), "skip.2" (the mutation blocks), "skip.3" (from the
            critical layer to the last blocks), or block indices.
        at: of a named set: "nodes" that were located on the other half of the images, or the "paper"'s
            share of the depth, which exists for every model.

    Raises:
        CheckError: no such name, or no index.

    Example:
        >>> lvlm_audit.Skip("skip.1").label
        'skip.1'
        >>> lvlm_audit.Skip((3, 4)).label
        'blocks 3, 4'
    """

    which: Name | tuple[int, ...]
    at: At = "nodes"

    def __post_init__(self) -> None:
        named = isinstance(self.which, str)
        if named and self.which not in NAMES:
            raise CheckError(
                f"there is no skip set {self.which!r}. Use {', '.join(NAMES)}, or block indices (3, 4)."
            )
        if self.at not in get_args(At):
            raise CheckError(f"a skip set is at {' or '.join(get_args(At))}, not at {self.at!r}.")
        if not named and (
            not isinstance(self.which, tuple)
            or not self.which
            or not all(type(i) is int for i in self.which)
        ):
            raise CheckError(
                f"a skip set is a name or a tuple of block indices, not {self.which!r}."
            )

    @property
    def label(self) -> str:
        """As reports and documents call it."""
        if isinstance(self.which, str):
            return self.which if self.at == "nodes" else f"{self.which} at the paper's depth"
        return f"blocks {', '.join(map(str, self.which))}"


class NoSet(Exception):
    """A named set that these nodes do not give; the text says why."""


def blocks_of(skip: Skip, nodes: Nodes) -> tuple[int, ...]:
    """The blocks of a skip set in a model with these nodes.

    skip.1 is the stabilization stage, up to the last block but one where nothing mutates; skip.2 are the
    blocks of the mutated transitions; skip.3 runs from the critical layer to before the last 5 of 32
    blocks, as a share of the depth.

    Raises:
        NoSet: the nodes do not give such a set.
    """
    if not isinstance(skip.which, str):
        return skip.which
    depth = nodes.blocks
    if skip.at == "paper":
        nodes = paper_nodes(depth)
    if skip.which == "skip.2":
        return _some((m - 1 for m in nodes.mutations), "no state mutates")
    if nodes.critical is None:
        raise NoSet("no critical layer was located")
    if skip.which == "skip.1":
        end = min(nodes.mutations) - 1 if nodes.mutations else depth - 1
        return _some(
            range(nodes.critical, end), "no block lies between critical layer and mutation"
        )
    last = max(1, int(PAPER_LAST * depth / PAPER_DEPTH + 0.5))
    return _some(
        range(nodes.critical, depth - last),
        f"no block lies between critical layer and the last {last}",
    )


def _some(blocks: Iterable[int], otherwise: str) -> tuple[int, ...]:
    found = tuple(blocks)
    if not found:
        raise NoSet(otherwise)
    return found
