"""Interventions on decoding: a name, where it comes from, and what it does while a model answers.

Every intervention is held against the same base, plain greedy decoding, so it is greedy itself: the
greatest of its scores is emitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lvlm_audit.interventions.skipping import skipped
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.readout import Readout
from lvlm_audit.traces.generation import Rescore


class Intervention(Protocol):
    """One way to answer otherwise."""

    @property
    def name(self) -> str:
        """As documents and reports call it; unique in a run."""

    @property
    def description(self) -> str:
        """What it does, in a sentence."""

    @property
    def source(self) -> str:
        """Where it is defined."""

    @property
    def blocks(self) -> tuple[int, ...]:
        """Blocks that it skips, 0-based; none where decoding alone is changed."""

    def applied(self, model: HookedModel) -> AbstractContextManager[Rescore | None]:
        """While entered, the model is intervened on; yields what `generation.generate` scores tokens by.

        None leaves that to the model. Leaves no hook behind.
        """


@dataclass(frozen=True, slots=True)
class SkipBlocks:
    """Answers with some decoder blocks skipped (`interventions.skipping`).

    Attributes:
        blocks: 0-based indices; none at all changes nothing.
        name: of the set, e.g. "skip.2".
    """

    blocks: tuple[int, ...]
    name: str = "skip"

    @property
    def description(self) -> str:
        """The blocks."""
        if not self.blocks:
            return "no block is skipped"
        return f"blocks {', '.join(map(str, self.blocks))} pass the residual stream through"

    @property
    def source(self) -> str:
        """The paper whose causal test this is."""
        return "Wang et al. 2025, arXiv 2504.02862"

    @contextmanager
    def applied(self, model: HookedModel) -> Iterator[None]:
        """See `Intervention.applied`.

        Raises:
            UsageError: blocks that cannot be skipped (`interventions.sets`).
        """
        with skipped(model, self.blocks):
            yield None


def rescoring(
    model: HookedModel, states: Sequence[int], score: Callable[[Tensor, Tensor], Tensor]
) -> Rescore | None:
    """What `generation.generate` takes for a decoding that reads earlier states too.

    Args:
        model: opened.
        states: C states that are read; none at all leaves scoring to the model.
        score: from the model's own logits [B, V] and those of the states [B, C, V] to scores [B, V].
    """
    if not states:
        return None
    readout = Readout(model.anatomy)

    def rescore(seen: Tensor, logits: Tensor) -> Tensor:
        return score(logits, premature_logits(readout, seen, states).to(logits.device))

    return rescore


@torch.inference_mode()
def premature_logits(readout: Readout, states: Tensor, which: Sequence[int]) -> Tensor:
    """Logits of some states, as if the model stopped there: normed, soft-capped, barred as its own are.

    The published codes differ: DeCo's norms states, DoLa's applies the head to them as they are. Here all
    are normed, as every lens of ours is by default.

    Args:
        readout: of the model.
        states: [B, S, d].
        which: C state indices, L not among them.

    Returns:
        Float32 [B, C, V], where the head lies.
    """
    rows = states[:, list(which)]
    logits = readout.logits(readout.normed(rows).flatten(0, 1))
    return logits.reshape(*rows.shape[:2], -1)
