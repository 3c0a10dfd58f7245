"""`lvlm_audit.audit`: all that the pytest command does, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from lvlm_audit.api.given import understood
from lvlm_audit.api.progress import watched
from lvlm_audit.comparing.held import Held
from lvlm_audit.document import Audit
from lvlm_audit.gating.gated import audit_gated
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress
from lvlm_audit.settings.audit import Chosen
from lvlm_audit.settings.gate import FailOn, Gate, Inconclusive
from lvlm_audit.spec.suite import Suite, chosen_suite

if TYPE_CHECKING:
    from torch.nn import Module

    from lvlm_audit.models.hooked import HookedModel


def audit(
    model: str | Path | HookedModel | Module = "demo",
    probes: str | Path | Sequence[Probe] | None = None,
    *,
    processor: Any = None,
    suite: str | Path | Suite = "default",
    baseline: str | Path | Audit | None = None,
    fail_on: FailOn | None = None,
    inconclusive: Inconclusive | None = None,
    baseline_allow_mismatch: bool = False,
    cache: bool = True,
    on_progress: OnProgress | None = None,
    **settings: Unpack[Chosen],
) -> Audit:
    """Audits a model: records what the suite needs, judges it, and gives the document.

    What was recorded before is taken out of the store, and what was interrupted is continued. A model in
    memory is known by its content (`lvlm_audit.models.content`): the same model is recorded once, and
    where its content cannot be compared, nothing of it is kept.

    Args:
        model: an alias, hub id or folder ("demo": the demo model); a transformers model; or what `load` and
            `hook` give, which stays open.
        probes: a folder, a file, or a list of `Probe`; None: a bundled set.
        processor: of a transformers model.
        suite: a shipped suite by name, a folder or file of checks, or a `Suite`.
        baseline: what the model is held against: an earlier audit, its file, or the name of a model, which is
            asked the same.
        fail_on: what fails: "regression" (where there is a baseline), "absolute" (where there is none),
            "both", or "not-excluded".
        inconclusive: what becomes of undecided checks: "warn", "fail" or "more".
        baseline_allow_mismatch: compare although the two were not asked the same.
        cache: False: nothing is taken out of the store or kept in it.
        on_progress: called with each `Progress`; None: shown on a terminal and in a notebook.
        **settings: as pytest's options, without `--lvlm-` (docs/settings.md): `max_new_tokens=48`.

    Raises:
        LvlmAuditError: whatever stands in the way; the message says what to do.

    Example:
        >>> result = lvlm_audit.audit(checkpoint, probes, max_new_tokens=4)
        >>> [finding.check for finding in result.findings][:2]
        ['image_matters', 'image_informs']
        >>> len(result.probes) == len(probes)
        True
    """
    family, names = chosen_suite(suite)
    held = Held(baseline=baseline) if isinstance(baseline, Audit) else None
    gate = Gate(
        baseline="a document in memory" if held else None if baseline is None else str(baseline),
        fail_on=fail_on,
        inconclusive=inconclusive,
        baseline_allow_mismatch=baseline_allow_mismatch,
    )
    with (
        watched(on_progress) as listener,
        understood(model, probes, settings, processor=processor, cache=cache) as (chosen, given),
    ):
        judged = audit_gated(family, chosen, gate, given=given, held=held, on_progress=listener)
    return judged.document(names)
