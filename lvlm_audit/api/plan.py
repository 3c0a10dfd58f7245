"""`lvlm_audit.plan`: which decoder blocks can be removed, as the command finds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from lvlm_audit.api.given import understood
from lvlm_audit.api.progress import watched
from lvlm_audit.document import PruningPlan
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress
from lvlm_audit.pruning.planning import plan_pruning
from lvlm_audit.settings.audit import Chosen
from lvlm_audit.settings.pruning import Measure, Wanted

if TYPE_CHECKING:
    from torch.nn import Module

    from lvlm_audit.models.hooked import HookedModel


def plan(
    model: str | Path | HookedModel | Module = "demo",
    probes: str | Path | Sequence[Probe] | None = None,
    *,
    budget: float,
    measure: Measure = "kl",
    max_blocks: int | None = None,
    export: str | Path | None = None,
    processor: Any = None,
    cache: bool = True,
    on_progress: OnProgress | None = None,
    **settings: Unpack[Chosen],
) -> PruningPlan:
    """Plans a pruning: nominates blocks on half of the images, and certifies sets of them on the other half.

    Args:
        model: as in `audit`.
        probes: as in `audit`.
        budget: largest loss allowed, in the measure's unit.
        measure: "kl" (bits a token), "disagreement" (share of tokens) or "accuracy" (share of right answers).
        max_blocks: largest set; None: a quarter of the depth.
        export: folder that the pruned checkpoint is written to.
        processor: as in `audit`.
        cache: as in `audit`.
        on_progress: as in `audit`.
        **settings: as in `audit`.

    Raises:
        UsageError: a value that cannot be used, or fewer than two images.
        LvlmAuditError: as `audit`.

    Example:
        >>> found = lvlm_audit.plan(checkpoint, probes, budget=1e-6, max_blocks=1, max_new_tokens=2)
        >>> found.certified
        []
        >>> found.unit
        'bits a token'
    """
    wanted = Wanted(
        budget=budget,
        measure=measure,
        max_blocks=max_blocks,
        export=None if export is None else Path(export),
    )
    with (
        watched(on_progress) as listener,
        understood(model, probes, settings, processor=processor, cache=cache) as (chosen, given),
    ):
        return plan_pruning(chosen, wanted, given=given, on_progress=listener)
