"""Auditing a model against what it is held against: the parent first, then the candidate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lvlm_audit.auditing.judged import Judged
from lvlm_audit.auditing.run import asking, audit_model
from lvlm_audit.auditing.subject import NOTHING_GIVEN, Given
from lvlm_audit.comparing.held import Held, stored
from lvlm_audit.gating.foretold import foretell
from lvlm_audit.gating.looks import LOOKS, judged_in_looks
from lvlm_audit.progress import OnProgress, renamed
from lvlm_audit.settings.audit import Settings
from lvlm_audit.settings.gate import Gate
from lvlm_audit.spec.judge import ALPHA
from lvlm_audit.spec.suite import Suite


def audit_gated(
    suite: Suite,
    settings: Settings,
    gate: Gate,
    *,
    given: Given = NOTHING_GIVEN,
    held: Held | None = None,
    here: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Judged:
    """Audit a model, and hold it against what the gate names.

    A parent that is a model is opened, recorded and closed before the candidate is opened.

    Args:
        suite: the declared family of checks.
        settings: model, probes and how to record.
        gate: what the model is held against, and what fails.
        given: a model or probes that are in memory already.
        held: documents that are in memory already; None: what the gate names.
        here: what the gate's relative paths are relative to.
        on_progress: called while recording.

    Raises:
        CannotJudge: these probes, or these two audits, can decide nothing.
        LvlmAuditError: whatever stands in the way; the message says what to do.
    """
    held = held or stored(gate, here or Path())
    looks = LOOKS if gate.undecided == "more" else 1
    asked = asking(
        suite,
        settings,
        given=given,
        foretold=lambda checks, probes: foretell(checks, probes, gate, alpha=ALPHA / looks),
        on_progress=on_progress,
    )
    if held is None and gate.baseline is not None:
        parent = audit_model(
            suite,
            _parent(settings, gate),
            given=Given(probes=asked.probes, keep=given.keep),
            on_progress=renamed(on_progress, lambda what: f"baseline: {what}"),
        )
        held = Held(baseline=parent.document())
    if gate.undecided == "more":
        return judged_in_looks(asked, gate, held, on_progress=on_progress)
    judged = asked.judge(asked.gather(on_progress=on_progress), gate=gate, held=held)
    return judged if held is None else judged.against(held)


def _parent(settings: Settings, gate: Gate) -> Settings:
    """How a parent that is a model is asked: as the candidate is, but for whose weights they are."""
    return dataclasses.replace(
        settings,
        model=gate.baseline,
        adapter=None,
        revision=None,
        compare_llm=False,
        redecode=False,
    )
