"""From evidence to the audit document: observe, judge, locate stages, write down."""

from __future__ import annotations

import dataclasses
import datetime
import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from lvlm_audit.comparing.decision import Decision, decide
from lvlm_audit.document import Audit, Expectation, Finding, Subject
from lvlm_audit.errors import CheckError
from lvlm_audit.notes import Note, distinct
from lvlm_audit.probes.probe import Probe
from lvlm_audit.readings.answers import layer_summaries, probe_readings, stage_reading
from lvlm_audit.readings.asked import asked_probes
from lvlm_audit.readings.classes import compare_classes
from lvlm_audit.readings.corrections import corrections_of
from lvlm_audit.readings.decoder import compare_decoder
from lvlm_audit.readings.effects import skip_reading
from lvlm_audit.readings.geometry import feature_reading
from lvlm_audit.readings.grounding import grounding_reading
from lvlm_audit.readings.hallucination import hallucination_reading
from lvlm_audit.readings.last_transition import last_transition
from lvlm_audit.readings.rounding import rounding_reading
from lvlm_audit.readings.scores import score_readings
from lvlm_audit.readings.uses import uses
from lvlm_audit.recordings.common_step import COMMON_STEP
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.recordings.features import FEATURES
from lvlm_audit.recordings.redecoded import REDECODED
from lvlm_audit.recordings.text_answers import TEXT_ANSWERS
from lvlm_audit.settings.reading import LensName
from lvlm_audit.spec.judge import ALPHA, judge, observe
from lvlm_audit.spec.suite import Suite
from lvlm_audit.stages import find_stages


def findings(
    suite: Suite,
    evidence: Mapping[LensName, Evidence],
    lens: LensName,
    *,
    seed: int = 0,
    alpha: float = ALPHA,
) -> list[Finding]:
    """Findings of the whole declared family.

    Raises:
        CheckError: the suite has no check.
    """
    if not suite.checks:
        raise CheckError(f"suite {suite.name!r} has no check: nothing can be audited.")
    observations = [observe(c, evidence[c.lens or lens], seed=seed) for c in suite.checks]
    return judge(observations, family=sum(c.bounded for c in suite.checks), alpha=alpha)


def conclude(
    found: Sequence[Finding],
    evidence: Evidence,
    *,
    subject: Subject,
    others: Sequence[Evidence] = (),
    probes: Sequence[Probe] = (),
    provenance: Mapping[str, Any] | None = None,
    notes: Iterable[Note] = (),
    fed: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    seed: int = 0,
    decision: Decision | None = None,
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
        fed: what the model is fed beside the probes, by value.
        seed: of the resampling.
        decision: what the findings mean for the run; None: they are held against no baseline.

    Raises:
        TraceError: no eligible token in any answer, or no paper_index where it is to be read.
        ProbeError: labels that cannot be read; names the probe.
        SignalError: a third party's signal failed.
    """
    divergence = subject.divergence
    stages = find_stages(
        evidence.traces,
        features=evidence.of(FEATURES) or None,
        common_step=evidence.of(COMMON_STEP),
        divergence_name=divergence,
        seed=seed,
    )
    terminal = [last_transition(one) for one in (evidence, *others)]
    decision = decision or decide(found)
    headline = decision.headline
    if subject.control:
        headline = f"Control run ({subject.control}): {headline}"
    return Audit(
        verdict=decision.verdict,
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
        asked=asked_probes(evidence),
        rounding=rounding_reading(evidence),
        fed={name: dict(section) for name, section in fed.items()},
        scores=[] if subject.control else score_readings(evidence, seed=seed),
        notes=list(distinct(notes)),
    )


def selected(
    found: Sequence[Finding],
    names: Collection[str],
    expected: Mapping[str, tuple[Expectation, str]] = MappingProxyType({}),
) -> list[Finding]:
    """The findings of some checks, in the family's order and with the family's verdicts.

    Args:
        found: of the family.
        names: of the checks that count.
        expected: of those that were expected to fail, what became of it, and why it was expected.
    """
    return [
        dataclasses.replace(
            f, expectation=expected[f.check][0], expected_because=expected[f.check][1]
        )
        if f.check in expected
        else f
        for f in found
        if f.check in names
    ]
