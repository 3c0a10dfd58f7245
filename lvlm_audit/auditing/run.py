"""A whole audit: from a suite and settings, or from traces that exist already, to the document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from lvlm_audit.auditing.conclude import conclude, findings, selected
from lvlm_audit.auditing.gather import gather
from lvlm_audit.auditing.plan import plan, with_paper_index
from lvlm_audit.auditing.subject import (
    NOTHING_GIVEN,
    Given,
    choose_probes,
    open_subject,
    probe_source,
    without_eyes,
)
from lvlm_audit.comparing import Decision, compare, completed, decide
from lvlm_audit.comparing.held import Held
from lvlm_audit.document import (
    AskedProbe,
    Audit,
    Comparison,
    Expectation,
    Finding,
    GateReading,
    Rounding,
    Subject,
)
from lvlm_audit.document.audit import Answered
from lvlm_audit.errors import CannotJudge, ProbeError, TraceError
from lvlm_audit.hallucination.labelled import labelled
from lvlm_audit.interventions.named import Skip
from lvlm_audit.notes import Note, distinct
from lvlm_audit.probes.controlled import EXPECTATIONS
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.readings.asked import asked_probes
from lvlm_audit.readings.rounding import rounding_reading
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.common_step import COMMON_STEP
from lvlm_audit.recordings.evidence import Evidence, Recorded
from lvlm_audit.recordings.feature_maps import FEATURE_MAPS, feature_maps
from lvlm_audit.recordings.features import FEATURES
from lvlm_audit.recordings.registry import KINDS
from lvlm_audit.settings.audit import Settings
from lvlm_audit.settings.gate import Gate
from lvlm_audit.settings.reading import DivergenceName, Mode, ScalingName, mode_name
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.spec.check import Check
from lvlm_audit.spec.suite import Suite
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.trace import Trace

NO_GATE = Gate()


def demo_note() -> str:
    """What has to be known of an audit of the demo model."""
    return (
        "The demo model was audited: a small LLaVA around SmolLM2-135M-Instruct (dequantised 4-bit) that "
        f"knows drawn scenes only. Name your own model with {spelled('model')}."
    )


BLIND_NOTE = (
    "This checkpoint is a language model without image input: it could not be asked otherwise. "
)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A judged family of checks, with the evidence behind it; a document can be made of any part.

    Attributes:
        findings: of all declared checks.
        evidence: through the run's lens.
        subject: whom was asked.
        others: what was recorded through other lenses.
        probes: as asked.
        provenance: how it was made.
        notes: what of the input was left out, or used otherwise.
        fed: what the model is fed beside the probes, by value.
        seed: of the resampling.
        gate: what fails.
        held: what it is held against; None: nothing.
        compared: with the baseline, and with its anchor where there is one.
    """

    findings: Sequence[Finding]
    evidence: Evidence
    subject: Subject
    others: Sequence[Evidence] = ()
    probes: Sequence[Probe] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    fed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    gate: Gate = NO_GATE
    held: Held | None = None
    compared: Sequence[Comparison] = ()

    @property
    def asked(self) -> Sequence[AskedProbe]:
        """Every probe in short."""
        return asked_probes(self.evidence)

    @property
    def rounding(self) -> Rounding | None:
        """How far rounding alone moves the last margin."""
        return rounding_reading(self.evidence)

    def finding(self, name: str) -> Finding:
        """What one check found."""
        return next(f for f in self.findings if f.check == name)

    def against(self, held: Held) -> Judged:
        """The same, held against an earlier audit and its anchor.

        Raises:
            CannotJudge: the audits cannot be compared.
        """
        compared = [compare(self, held.baseline, seed=self.seed)]
        if held.anchor is not None:
            anchor = compare(self, held.anchor, seed=self.seed)
            compared.append(dataclasses.replace(anchor, anchor=True))
        judged = dataclasses.replace(self, held=held, compared=compared)
        if impossible := judged.decision().impossible:
            raise CannotJudge(impossible)
        return judged

    def decision(
        self,
        only: Collection[str] | None = None,
        expected: Mapping[str, tuple[Expectation, str]] = MappingProxyType({}),
    ) -> Decision:
        """What is red, and what is undecided; arguments as of `document`."""
        names = self._names(only)
        return decide(
            selected(self.findings, names, expected),
            self.compared,
            self.gate,
            left_out=[f for f in self.findings if f.check not in names],
        )

    def _names(self, only: Collection[str] | None) -> Collection[str]:
        return [f.check for f in self.findings] if only is None else only

    def document(
        self,
        only: Collection[str] | None = None,
        expected: Mapping[str, tuple[Expectation, str]] = MappingProxyType({}),
    ) -> Audit:
        """The audit document.

        Args:
            only: names of the checks that count; verdicts are the family's all the same.
            expected: of checks that were expected to fail, what became of it, and why it was expected.

        Raises:
            TraceError: no eligible token in any answer.
        """
        decision = self.decision(only, expected)
        names = self._names(only)
        audit = conclude(
            selected(self.findings, names, expected),
            self.evidence,
            subject=self.subject,
            others=self.others,
            probes=self.probes,
            provenance=self.provenance,
            notes=self.notes,
            fed=self.fed,
            seed=self.seed,
            decision=decision,
        )
        audit = dataclasses.replace(
            audit,
            gate=GateReading(
                fail_on=self.gate.failing,
                inconclusive=self.gate.undecided,
                red=decision.red,
                undecided=decision.undecided,
                left_out=decision.left_out,
            ),
        )
        return audit if self.held is None else self._compared(audit, self.held)

    def _compared(self, audit: Audit, held: Held) -> Audit:
        documents = [held.baseline, *([] if held.anchor is None else [held.anchor])]
        whole = [
            completed(one, audit, document, seed=self.seed)
            for one, document in zip(self.compared, documents, strict=True)
        ]
        return dataclasses.replace(
            audit, comparison=whole[0], anchor=whole[1] if len(whole) > 1 else None
        )


def audit_model(
    suite: Suite,
    settings: Settings,
    *,
    given: Given = NOTHING_GIVEN,
    gate: Gate = NO_GATE,
    held: Held | None = None,
    foretold: Callable[[Sequence[Check], Sequence[Probe]], Sequence[Note]] = lambda *_: (),
    on_progress: OnProgress | None = None,
) -> Judged:
    """Audit a model: find it, record what the suite needs (or reuse it), and judge.

    Args:
        suite: the declared family of checks.
        settings: model, probes and how to record.
        given: a model or probes that are in memory already.
        gate: what fails.
        held: what the model is held against.
        foretold: what these checks can decide with these probes; called before anything is recorded.
        on_progress: called while recording.

    Raises:
        CannotJudge: these probes, or these two audits, can decide nothing.
        LvlmAuditError: whatever stands in the way; the message says what to do.
    """
    checkpoint, is_demo = open_subject(settings, given)
    blind = without_eyes(settings, checkpoint)
    if blind:
        settings = dataclasses.replace(settings, control="text-only")
    probes = choose_probes(settings, is_demo, given)
    told = foretold(suite.checks, probes)
    for note in told:
        Step(on_progress, note.text)
    if settings.redecode and not any(map(labelled, probes)):
        raise ProbeError(
            f"{spelled('redecode')} compares labelled words, but no probe's 'labels' say what is true. Give "
            "probes an 'expected' answer, or lists of 'grounded' and 'hallucinated' words."
        )
    needs = plan(
        suite.checks,
        settings.lens,
        compare_llm=settings.compare_llm,
        labelled=settings.control is None and any(map(labelled, probes)),
        redecode=settings.redecode,
    )
    needs = with_paper_index(needs, suite.checks, settings.mode)
    gathered = gather(settings, needs, checkpoint, probes, keep=given.keep, on_progress=on_progress)
    baseline = None if held is None else held.baseline
    read = {
        lens: dataclasses.replace(one, baseline=baseline) for lens, one in gathered.evidence.items()
    }
    evidence = read[settings.lens]
    subject = Subject(
        model=settings.model or "demo",
        is_demo=is_demo,
        resolved=gathered.resolved,
        lens=settings.lens,
        divergence=settings.divergence,
        scaling=settings.scaling,
        mode=mode_name(settings.mode),
        note=" ".join(filter(None, (demo_note() if is_demo else "", given_note(evidence.traces)))),
        answers=_answers(evidence.traces),
        control=settings.control or "",
        control_note=(BLIND_NOTE if blind else "")
        + (EXPECTATIONS[settings.control] if settings.control else ""),
        **gathered.subject,
    )
    judged = Judged(
        findings=findings(suite, read, settings.lens, seed=settings.seed),
        evidence=evidence,
        subject=subject,
        others=[e for lens, e in read.items() if lens != settings.lens],
        probes=gathered.probes,
        provenance={
            "suite": suite.name,
            "family": sum(check.bounded for check in suite.checks),
            "probe_source": probe_source(settings, given),
            "probe_count": len(gathered.probes),
            **gathered.provenance,
        },
        notes=distinct((*told, *gathered.notes)),
        seed=settings.seed,
        gate=gate,
        fed=gathered.fed,
    )
    return judged if held is None else judged.against(held)


def given_note(traces: Sequence[Trace]) -> str:
    """What has to be known when answers were given, not generated; else nothing."""
    given = [t for t in traces if t.given]
    if not given:
        return ""
    chosen = sum(int((t.rank[:, -1] == 0).sum()) for t in given)
    tokens = sum(t.tokens for t in given)
    which = "The" if len(given) == len(traces) else f"{len(given)} of {len(traces)}"
    return (
        f'{which} answers were given and replayed, not generated by the model: read "emitted" as "given". '
        f"A given token need not lead at the last state ({chosen} of {tokens} do: the model's own greedy "
        f"choice after the same text), so no rise is certain, and a token that never forms is one that "
        f"the model would not have said."
    )


def _answers(traces: Sequence[Trace]) -> Answered:
    return "given" if any(t.given for t in traces) else "generated"


def run(
    suite: Suite,
    traces: Sequence[Trace],
    *,
    recorded: Mapping[str, Sequence[Any]] | None = None,
    effects: Mapping[Skip, Recorded[EffectTrace]] | None = None,
    baseline: Audit | None = None,
    model: str = "traces",
    divergence: DivergenceName = "jsd",
    scaling: ScalingName = "none",
    seed: int = 0,
) -> Audit:
    """Audit traces that exist already; no model and no torch are needed.

    Args:
        suite: the declared family of checks.
        traces: recorded answers, all through one lens.
        recorded: what else was recorded, by kind: "answer pairs" (without them image checks are not
            applicable), "reference pairs", "no-image pairs", "features" and "common step" (without them the
            feature level is not measured), "text answers", "image words", "redecoded".
        effects: of the skip sets that checks declare.
        baseline: an earlier audit, for the checks that are held against one.
        model: what the document calls the model.
        divergence: what is read and shown between neighbouring states.
        scaling: how the report's heat maps are scaled.
        seed: of the resampling.

    Raises:
        TraceError: no trace, traces of several lenses or depths, a check that reads another lens, no
            eligible token, or no paper_index where it is to be read.

    Example:
        >>> result = lvlm_audit.run(lvlm_audit.suite("default"), traces)
        >>> result.stages.critical_layer
        6
    """
    lenses = {t.lens for t in traces}
    depths = {t.blocks for t in traces}
    if len(lenses) != 1 or len(depths) != 1:
        raise TraceError(
            f"an audit needs traces of one model read through one lens; these have lenses "
            f"{sorted(lenses)} and {sorted(depths)} blocks."
        )
    (lens,), (blocks,) = lenses, depths
    missing = [c.name for c in suite.checks if (c.lens or lens) != lens]
    if missing:
        raise TraceError(
            f"checks {', '.join(missing)} read another lens than {lens!r}; record traces through it."
        )
    items = {ANSWERS.name: traces, **(recorded or {})}
    if unknown := [name for name in items if name not in KINDS]:
        raise TraceError(
            f"{unknown[0]!r} is not a kind of recording: choose of {', '.join(KINDS)}."
        )
    if FEATURE_MAPS.name not in items:
        items[FEATURE_MAPS.name] = feature_maps(
            items.get(FEATURES.name, ()), items.get(COMMON_STEP.name, ())
        )
    evidence = Evidence.of_items(lens, items, effects=effects, baseline=baseline)
    subject = Subject(
        model=model,
        is_demo=False,
        resolved=model,
        architecture="unknown (given as traces)",
        blocks=blocks,
        width=0,
        vocabulary=0,
        dtype="unknown",
        device="unknown",
        lens=lens,
        divergence=divergence,
        scaling=scaling,
        mode=mode_name(Mode(lens, divergence, scaling)),
        anatomy={},
        note=given_note(traces),
        answers=_answers(traces),
    )
    found = findings(suite, {lens: evidence}, lens, seed=seed)
    judged = Judged(found, evidence, subject, seed=seed)
    return (judged if baseline is None else judged.against(Held(baseline=baseline))).document()
