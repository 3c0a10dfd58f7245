"""A whole audit: from a suite and settings, or from traces that exist already, to the document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lvlm_audit.auditing.conclude import findings
from lvlm_audit.auditing.gather import Gathered, gather
from lvlm_audit.auditing.judged import NO_GATE, Judged
from lvlm_audit.auditing.plan import plan, with_paper_index
from lvlm_audit.auditing.subject import (
    NOTHING_GIVEN,
    Given,
    choose_probes,
    open_subject,
    probe_source,
    without_eyes,
)
from lvlm_audit.comparing.held import Held
from lvlm_audit.document import Audit, Subject
from lvlm_audit.engine.protocol import Engine
from lvlm_audit.errors import ProbeError, TraceError
from lvlm_audit.hallucination.labelled import labelled
from lvlm_audit.interventions.named import Skip
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.in_memory import InMemory
from lvlm_audit.notes import Note
from lvlm_audit.probes.controlled import EXPECTATIONS
from lvlm_audit.probes.probe import Probe, Probes
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.readings.given import answered, given_note
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.common_step import COMMON_STEP
from lvlm_audit.recordings.evidence import Evidence, Recorded
from lvlm_audit.recordings.feature_maps import FEATURE_MAPS, feature_maps
from lvlm_audit.recordings.features import FEATURES
from lvlm_audit.recordings.need import Need
from lvlm_audit.recordings.registry import KINDS
from lvlm_audit.settings.audit import Settings
from lvlm_audit.settings.gate import Gate
from lvlm_audit.settings.reading import DivergenceName, Mode, ScalingName, mode_name
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.spec.check import Check
from lvlm_audit.spec.judge import ALPHA
from lvlm_audit.spec.suite import Suite
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.trace import Trace


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
class Asking:
    """A suite that is to be put to a model: everything is found and planned, and nothing recorded."""

    suite: Suite
    settings: Settings
    given: Given
    checkpoint: Checkpoint | InMemory
    is_demo: bool
    blind: bool
    probes: Probes
    needs: Sequence[Need]
    told: Sequence[Note] = ()

    def gather(
        self,
        part: Sequence[Probe] | None = None,
        *,
        engine: Engine | None = None,
        on_progress: OnProgress | None = None,
    ) -> Gathered:
        """Record or reuse what the suite needs; of a part, held against the other images of the whole set."""
        return gather(
            self.settings,
            self.needs,
            self.checkpoint,
            self.probes if part is None else Probes(part, self.probes.notes),
            among=None if part is None else self.probes,
            keep=self.given.keep,
            engine=engine,
            on_progress=on_progress,
        )

    def judge(
        self,
        gathered: Gathered,
        *,
        gate: Gate = NO_GATE,
        held: Held | None = None,
        alpha: float = ALPHA,
    ) -> Judged:
        """Judge what was gathered; it is not compared yet with what it is held against."""
        settings = self.settings
        baseline = None if held is None else held.baseline
        read = {
            lens: dataclasses.replace(one, baseline=baseline)
            for lens, one in gathered.evidence.items()
        }
        evidence = read[settings.lens]
        notes = (demo_note() if self.is_demo else "", given_note(evidence.traces))
        subject = Subject(
            model=settings.model or "demo",
            is_demo=self.is_demo,
            resolved=gathered.resolved,
            lens=settings.lens,
            divergence=settings.divergence,
            scaling=settings.scaling,
            mode=mode_name(settings.mode),
            note=" ".join(filter(None, notes)),
            answers=answered(evidence.traces),
            control=settings.control or "",
            control_note=(BLIND_NOTE if self.blind else "")
            + (EXPECTATIONS[settings.control] if settings.control else ""),
            **gathered.subject,
        )
        return Judged(
            findings=findings(self.suite, read, settings.lens, seed=settings.seed, alpha=alpha),
            evidence=evidence,
            subject=subject,
            others=[e for lens, e in read.items() if lens != settings.lens],
            probes=gathered.probes,
            provenance={
                "suite": self.suite.name,
                "family": sum(check.bounded for check in self.suite.checks),
                "probe_source": probe_source(settings, self.given),
                "probe_count": len(gathered.probes),
                **gathered.provenance,
            },
            notes=gathered.notes,
            seed=settings.seed,
            gate=gate,
            fed=gathered.fed,
            alpha=alpha,
        )


def asking(
    suite: Suite,
    settings: Settings,
    *,
    given: Given = NOTHING_GIVEN,
    foretold: Callable[[Sequence[Check], Sequence[Probe]], Sequence[Note]] = lambda *_: (),
    lean: bool = False,
    on_progress: OnProgress | None = None,
) -> Asking:
    """Find model and probes, and plan what is recorded; `foretold` says what these probes can decide.

    Raises:
        LvlmAuditError: whatever stands in the way, these probes included; the message says what to do.
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
        states=not lean,
        compared=True,
        compare_llm=settings.compare_llm,
        labelled=settings.control is None and any(map(labelled, probes)),
        redecode=settings.redecode,
    )
    needs = with_paper_index(needs, suite.checks, settings.mode)
    return Asking(suite, settings, given, checkpoint, is_demo, blind, probes, needs, told)


def audit_model(
    suite: Suite,
    settings: Settings,
    *,
    given: Given = NOTHING_GIVEN,
    lean: bool = False,
    on_progress: OnProgress | None = None,
) -> Judged:
    """Audit a model, held against nothing: find it, record what the suite needs (or reuse it), and judge.

    Args:
        suite: the declared family of checks.
        settings: model, probes and how to record.
        given: a model or probes that are in memory already.
        lean: only what the checks and a comparison need is recorded: no hidden states, nothing for stages
            or report.
        on_progress: called while recording.

    Raises:
        LvlmAuditError: whatever stands in the way; the message says what to do.
    """
    asked = asking(suite, settings, given=given, lean=lean, on_progress=on_progress)
    return asked.judge(asked.gather(on_progress=on_progress))


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
        answers=answered(traces),
    )
    found = findings(suite, {lens: evidence}, lens, seed=seed)
    judged = Judged(found, evidence, subject, seed=seed)
    return (judged if baseline is None else judged.against(Held(baseline=baseline))).document()
