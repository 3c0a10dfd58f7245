"""From evidence to the audit document: observe, judge, locate stages, write down."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from lvlm_audit.document import Audit, Finding, Severity, Subject, Verdict
from lvlm_audit.errors import CheckError
from lvlm_audit.notes import Note, distinct
from lvlm_audit.probes.probe import Probe
from lvlm_audit.readings.answers import layer_summaries, probe_readings, stage_reading
from lvlm_audit.readings.classes import compare_classes
from lvlm_audit.readings.corrections import corrections_of
from lvlm_audit.readings.decoder import compare_decoder
from lvlm_audit.readings.effects import skip_reading
from lvlm_audit.readings.geometry import feature_reading
from lvlm_audit.readings.grounding import grounding_reading
from lvlm_audit.readings.hallucination import hallucination_reading
from lvlm_audit.readings.last_transition import last_transition
from lvlm_audit.readings.uses import uses
from lvlm_audit.recordings.common_step import COMMON_STEP
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.recordings.features import FEATURES
from lvlm_audit.recordings.redecoded import REDECODED
from lvlm_audit.recordings.text_answers import TEXT_ANSWERS
from lvlm_audit.settings.reading import DivergenceName, LensName
from lvlm_audit.spec.judge import judge, observe
from lvlm_audit.spec.suite import Suite
from lvlm_audit.stages import find_stages


def findings(
    suite: Suite, evidence: Mapping[LensName, Evidence], lens: LensName, *, seed: int = 0
) -> list[Finding]:
    """Findings of the whole declared family.

    Raises:
        CheckError: the suite has no check.
    """
    if not suite.checks:
        raise CheckError(f"suite {suite.name!r} has no check: nothing can be audited.")
    observations = [observe(c, evidence[c.lens or lens], seed=seed) for c in suite.checks]
    return judge(observations, family=len(suite.checks))


def decides(finding: Finding) -> bool:
    """Whether a finding by itself fails the run."""
    if finding.severity is not Severity.ERROR:
        return False
    if finding.verdict is Verdict.INCONCLUSIVE:
        return not finding.declared.get("allow_inconclusive", False)
    return finding.verdict is Verdict.FAIL


def conclude(
    found: Sequence[Finding],
    evidence: Evidence,
    *,
    subject: Subject,
    others: Sequence[Evidence] = (),
    probes: Sequence[Probe] = (),
    provenance: Mapping[str, Any] | None = None,
    notes: Iterable[Note] = (),
    seed: int = 0,
) -> Audit:
    """The audit document of some findings and the evidence behind them.

    Args:
        found: the findings that count (all of the family, or those selected).
        evidence: through the run's lens.
        subject: whom was asked, and which divergence is read between neighbouring states.
        others: what was recorded through other lenses; only the last transition is read off it.
        probes: as asked, for their pictures; may be empty.
        provenance: how it was made.
        notes: what of the input was left out.
        seed: of the resampling.

    Raises:
        TraceError: no eligible token in any answer, or no paper_index where it is to be read.
        ProbeError: labels that cannot be read; names the probe.
        SignalError: a third party's signal failed.
    """
    divergence = cast(DivergenceName, subject.divergence)
    stages = find_stages(
        evidence.traces,
        features=evidence.of(FEATURES) or None,
        common_step=evidence.of(COMMON_STEP),
        divergence_name=divergence,
        seed=seed,
    )
    terminal = [last_transition(one) for one in (evidence, *others)]
    verdict, headline = _verdict(found)
    if subject.control:
        headline = f"Control run ({subject.control}): {headline}"
    return Audit(
        verdict=verdict,
        headline=headline,
        subject=subject,
        findings=list(found),
        stages=stage_reading(
            stages, divergence=divergence, terminal=[t for t in terminal if t is not None]
        ),
        layers=layer_summaries(evidence),
        probes=probe_readings(evidence, probes, critical=stages.critical_layer),
        uses=uses(evidence, stages),
        classes=compare_classes(evidence.traces, seed=seed),
        features=feature_reading(evidence, seed=seed),
        provenance={
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "platform": platform.system(),
            "seed": seed,
            **(provenance or {}),
        },
        grounding=grounding_reading(evidence, seed=seed),
        decoder=(
            compare_decoder(evidence, stages, divergence=divergence, seed=seed)
            if evidence.of(TEXT_ANSWERS)
            else None
        ),
        skips=skip_reading(evidence, seed=seed),
        # Labels are about the probes' own images; a control shows others.
        hallucination=(None if subject.control else hallucination_reading(evidence, seed=seed)),
        corrections=corrections_of(evidence, seed=seed) if evidence.of(REDECODED) else None,
        notes=list(distinct(notes)),
    )


def _verdict(found: Sequence[Finding]) -> tuple[Verdict, str]:
    errors = [f for f in found if f.severity is Severity.ERROR]
    # A gate must not turn green without having judged: warnings alone decide nothing.
    if all(f.verdict is Verdict.NOT_APPLICABLE for f in errors or found):
        kind = "deciding check" if errors else "check"
        return Verdict.FAIL, f"Nothing could be judged: no {kind} is applicable to these answers."
    against = [f for f in errors if decides(f)]
    warned = [f for f in found if f.severity is Severity.WARN and f.verdict is Verdict.FAIL]
    open_ = [f for f in found if f.verdict is Verdict.INCONCLUSIVE]
    if against:
        names = ", ".join(f"{f.check} ({f.stage}, {f.verdict})" for f in against)
        return (
            Verdict.FAIL,
            f"{len(against)} of {len(errors)} deciding checks did not pass: {names}.",
        )
    notes = []
    # A check that could not run is no pass: the headline names it beside those that passed.
    if unable := [f.check for f in errors if f.verdict is Verdict.NOT_APPLICABLE]:
        notes.append(f"{len(unable)} not applicable: " + ", ".join(unable))
    if warned:
        notes.append(f"{len(warned)} warned: " + ", ".join(f.check for f in warned))
    if open_:
        notes.append(f"{len(open_)} stayed undecided: " + ", ".join(f.check for f in open_))
    passed = sum(f.verdict is Verdict.PASS for f in errors)
    text = f"{passed} of {len(errors)} deciding checks passed, none failed"
    return Verdict.PASS, text + ("; " + "; ".join(notes) if notes else "") + "."


def selected(found: Sequence[Finding], names: Collection[str]) -> list[Finding]:
    """The findings of some checks, in the family's order and with the family's verdicts."""
    return [f for f in found if f.check in names]
