"""`lvlm_audit.calibrate`: the noise floor of every check, as the command gives it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from lvlm_audit.api.given import understood
from lvlm_audit.api.progress import watched
from lvlm_audit.auditing import calibrate as measuring
from lvlm_audit.document import Calibration
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress
from lvlm_audit.settings.audit import Chosen
from lvlm_audit.spec.suite import Suite, chosen_suite

if TYPE_CHECKING:
    from torch.nn import Module

    from lvlm_audit.models.hooked import HookedModel


def calibrate(
    model: str | Path | HookedModel | Module = "demo",
    probes: str | Path | Sequence[Probe] | None = None,
    *,
    processor: Any = None,
    suite: str | Path | Suite = "default",
    rounds: int | None = None,
    cache: bool = True,
    on_progress: OnProgress | None = None,
    **settings: Unpack[Chosen],
) -> Calibration:
    """Measures how far two audits of the same weights differ, check by check.

    Args:
        model: as in `audit`.
        probes: as in `audit`; with None the demo model is asked fresh scenes in each round.
        processor: as in `audit`.
        suite: as in `audit`.
        rounds: sets of fresh probes, or pairs of halves; None: the default of the method.
        cache: as in `audit`.
        on_progress: as in `audit`.
        **settings: as in `audit`.

    Raises:
        UsageError: too few rounds, or too few images to halve.
        LvlmAuditError: as `audit`.

    Example:
        >>> noise = lvlm_audit.calibrate(checkpoint, probes, rounds=3, max_new_tokens=4)
        >>> noise.method
        'halves of one probe set'
        >>> bounded = [check for check in lvlm_audit.suite("default").checks if check.bounded]
        >>> len(noise.floors) == len(bounded)
        True
    """
    family, _ = chosen_suite(suite)
    with (
        watched(on_progress) as listener,
        understood(model, probes, settings, processor=processor, cache=cache) as (chosen, given),
    ):
        return measuring.calibrate(family, chosen, rounds=rounds, given=given, on_progress=listener)
