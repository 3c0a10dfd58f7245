"""`lvlm-audit plan`: nominate blocks on one half of the images, certify on the other, say what it saves."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from lvlm_audit.auditing.gather import Gathered, gather
from lvlm_audit.auditing.subject import (
    NOTHING_GIVEN,
    Given,
    choose_probes,
    open_subject,
    probe_source,
    without_eyes,
)
from lvlm_audit.compression.certification import (
    CONFIDENCE,
    candidates,
    certified,
)
from lvlm_audit.compression.influence import block_influence
from lvlm_audit.compression.losses import DEFINITIONS, agreement, loss
from lvlm_audit.compression.nomination import Blocks, Nomination
from lvlm_audit.compression.plateau import plateau
from lvlm_audit.compression.sleb import sleb
from lvlm_audit.compression.split import Split, halves
from lvlm_audit.compression.windows import angular_distance, streamline
from lvlm_audit.document import (
    Export,
    PruningPlan,
    Savings,
    rounded,
)
from lvlm_audit.engine.local import opened
from lvlm_audit.errors import LvlmAuditError, UnsupportedModel, UsageError
from lvlm_audit.metrics.answers import correct
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.probes.controlled import under_control
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress, Step, renamed
from lvlm_audit.pruning.rows import (
    candidate_row,
    loss_row,
    method_row,
    note,
    side_by_side,
    verdict,
)
from lvlm_audit.recordings.need import Need
from lvlm_audit.settings.audit import Settings
from lvlm_audit.settings.pruning import UNITS, Measure, Wanted
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.stages import find_stages
from lvlm_audit.statistics import MIN_IMAGES, ClusterMean
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.trace import Trace
from lvlm_audit.writing import check_new_folder

if TYPE_CHECKING:
    from lvlm_audit.interventions.effects import Reference
    from lvlm_audit.models.hooked import HookedModel

_TIMED = 4
"""Prompts in a batch that is timed."""


def plan_pruning(
    settings: Settings,
    wanted: Wanted,
    *,
    given: Given = NOTHING_GIVEN,
    on_progress: OnProgress | None = None,
) -> PruningPlan:
    """Answers come from the store where they were recorded before; everything else is measured.

    Raises:
        UsageError: an option that cannot be used, or fewer than two images.
        ProbeError: `accuracy` is to be measured, and a probe has no answer.
        LvlmAuditError: the model cannot be opened, read, recorded or exported.
    """
    if wanted.export is not None:
        check_new_folder(wanted.export)
    told = on_progress or (lambda _: None)
    checkpoint, is_demo = open_subject(settings, given)
    if (
        wanted.export is not None
        and isinstance(checkpoint, Checkpoint)
        and checkpoint.adapter is not None
    ):
        raise UsageError(
            f"{spelled('export')} writes a whole checkpoint, and {checkpoint.described()!r} is an adapter over "
            f"one. Merge them first (peft: merge_and_unload(), then save_pretrained()), or leave "
            f"out {spelled('export')}."
        )
    if without_eyes(settings, checkpoint):
        settings = dataclasses.replace(settings, control="text-only")
    asked = choose_probes(settings, is_demo, given)
    probes = under_control(asked, settings.control).probes
    split = halves(probes, settings.seed)
    if min(split.images) < 1:
        raise UsageError(
            "one image cannot be split into a half that nominates and one that certifies. Give at least "
            f"{2 * MIN_IMAGES} images."
        )
    Step(told, "opening the model")
    with opened(settings, checkpoint) as hooked:
        answers = Need(settings.lens, "answers")
        gathered = gather(
            settings,
            [answers],
            checkpoint,
            asked,
            keep=given.keep,
            model=hooked,
            on_progress=told,
        )
        traces = gathered.evidence[settings.lens].traces
        planner = _Planner(hooked, probes, traces, split, settings, wanted, told)
        return planner.document(gathered, probe_source(settings, given))


@dataclass(slots=True, eq=False)
class _Planner:
    hooked: HookedModel
    probes: Sequence[Probe]
    traces: Sequence[Trace]
    split: Split
    settings: Settings
    wanted: Wanted
    told: OnProgress
    _whole: Reference | None = field(default=None)
    _searched: dict[Blocks, ClusterMean] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """Largest set that is looked for."""
        asked = self.wanted.max_blocks or max(1, self.hooked.blocks // 4)
        return min(asked, self.hooked.blocks - 1)

    @property
    def search(self) -> Measure:
        """Sets are compared by a loss of replayed answers: answering anew costs many times as much."""
        return "kl" if self.wanted.measure == "accuracy" else self.wanted.measure

    def document(self, gathered: Gathered, source: str) -> PruningPlan:
        """Everything, in order; the certification half is looked at when its candidates are fixed."""
        if self.wanted.measure == "accuracy":
            self._require_answers()
            self._require_right_answers()
        nominations = self._nominations()
        named = dict.fromkeys(blocks for n in nominations for blocks in n.sets)
        fixed = candidates(nominations, {blocks: self._nomination_loss(blocks) for blocks in named})
        first = [self._measured(c.blocks, "nomination") for c in fixed]
        second = [self._measured(c.blocks, "certification") for c in fixed]
        passed = certified(second, self.wanted.budget)
        removable = list(fixed[passed - 1].blocks) if passed else []
        shown = removable or list(fixed[0].blocks)
        effects = self._asked_anew(tuple(shown))
        export, refused = self._export(removable) if removable else (None, "")
        return PruningPlan(
            model=self.settings.model or "demo",
            probes=source,
            measure=self.wanted.measure,
            definition=DEFINITIONS[self.wanted.measure],
            unit=UNITS[self.wanted.measure],
            budget=self.wanted.budget,
            confidence=CONFIDENCE,
            depth=self.hooked.blocks,
            nomination_images=self.split.images[0],
            nomination_probes=len(self.split.nomination),
            certification_images=self.split.images[1],
            certification_probes=len(self.split.certification),
            methods=[method_row(n, self.search, self._nomination_loss) for n in nominations],
            candidates=[
                candidate_row(c, one, two, number < passed)
                for number, (c, one, two) in enumerate(zip(fixed, first, second, strict=True))
            ],
            certified=removable,
            verdict=verdict(
                fixed,
                second,
                passed,
                (self.wanted.budget, self.wanted.measure),
                min(self.split.images[1], second[0].n),
                self.hooked.blocks,
            ),
            shown=shown,
            agreement=loss_row(agreement(effects, seed=self.settings.seed)),
            answers=[side_by_side(e) for e in effects],
            savings=self._savings(removable) if removable else None,
            export=export,
            export_refused=refused,
            note=note(self.settings.seed, self.search, self.wanted.measure),
            notes=list(gathered.notes),
            provenance={
                "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "seed": self.settings.seed,
                "resolved": gathered.resolved,
                "subject": dict(gathered.subject),
                **gathered.provenance,
            },
        )

    def _require_answers(self) -> None:
        from lvlm_audit.errors import ProbeError

        mute = [repr(p.id) for p in self.probes if not (p.answer or "").strip()]
        if mute:
            raise ProbeError(
                f"--measure accuracy needs an answer for every probe, and {len(mute)} of {len(self.probes)} "
                f"have none: {', '.join(mute[:8])}. Give them an 'answer', or measure kl or disagreement."
            )

    def _require_right_answers(self) -> None:
        """Accuracy can only be lost where there is some, on both halves; found out before hours are spent."""
        from lvlm_audit.errors import ProbeError
        from lvlm_audit.interventions.effects import spoken
        from lvlm_audit.traces.texts import Texts

        words = Texts(self.hooked)
        for name in ("nomination", "certification"):
            _, traces = self._of(getattr(self.split, name))
            said = [(spoken(words, t.token_ids.tolist(), self.hooked), t.asked) for t in traces]
            if not any(correct(answer, str(asked.reference)) for answer, asked in said):
                raise ProbeError(
                    f"--measure accuracy: the whole model answers none of the {len(said)} questions of the "
                    f"{name} half right, so that nothing could be lost. Ask what it can answer, or measure kl "
                    f"or disagreement."
                )

    def _of(self, ids: Sequence[str]) -> tuple[list[Probe], list[Trace]]:
        wanted = set(ids)
        return (
            [p for p in self.probes if p.id in wanted],
            [t for t in self.traces if t.asked.id in wanted],
        )

    def _reference(self) -> Reference:
        from lvlm_audit.interventions.effects import reference

        if self._whole is None:
            self._whole = reference(
                self.hooked,
                list(self.probes),
                [t.token_ids.tolist() for t in self.traces],
                batch_size=self.settings.batch_size,
                on_progress=self._step("reading the whole model's answers"),
            )
        return self._whole

    def _nominations(self) -> list[Nomination]:
        from lvlm_audit.compression.contribution import layer_contribution
        from lvlm_audit.compression.states import similarity

        probes, traces = self._of(self.split.nomination)
        whole = self._reference().of(self.split.nomination)
        alike = similarity(self.hooked, probes, self.most, self._step("states of the prompts"))
        pieces = layer_contribution(
            self.hooked,
            whole,
            self.most,
            batch_size=self.settings.batch_size,
            on_progress=self._step("layer contribution"),
        )
        influence = partial(block_influence, most=self.most, reason=alike.no_visual)
        return [
            block_influence(alike.cosine[0], self.most),
            influence(alike.visual, where="visual"),
            influence(alike.text, where="text"),
            angular_distance(alike.angle),
            streamline(alike.cosine),
            self._plateau(traces),
            sleb(
                self._nomination_loss,
                self.hooked.blocks,
                self.most,
                # Another loss is certified than the one that is searched by: no early end.
                enough=self.wanted.budget if self.search == self.wanted.measure else math.inf,
                of=DEFINITIONS[self.search],
            ),
            *pieces,
        ]

    def _plateau(self, traces: Sequence[Trace]) -> Nomination:
        eligible = any(trace.eligible.any() for trace in traces)
        stages = find_stages(traces, seed=self.settings.seed) if eligible else None
        return plateau(traces, stages, self.most)

    def _nomination_loss(self, blocks: Blocks) -> float:
        """By which sets are compared; each is measured once."""
        if blocks not in self._searched:
            Step(self.told, f"sets of {len(blocks)} on the nomination half")
            effects = self._effects(blocks, self.split.nomination)
            self._searched[blocks] = loss(effects, self.search, seed=self.settings.seed)
        return self._searched[blocks].value

    def _measured(
        self, blocks: Blocks, half: Literal["nomination", "certification"]
    ) -> ClusterMean:
        """By what is asked for."""
        if half == "nomination" and self.search == self.wanted.measure:
            return self._searched[blocks]
        Step(self.told, f"the candidate of {len(blocks)} on the {half} half")
        ids = self.split.nomination if half == "nomination" else self.split.certification
        effects = self._effects(blocks, ids, anew=self.wanted.measure == "accuracy")
        return loss(effects, self.wanted.measure, seed=self.settings.seed)

    def _asked_anew(self, blocks: Blocks) -> list[EffectTrace]:
        Step(self.told, "asking anew")
        return self._effects(blocks, self.split.certification, anew=True)

    def _effects(
        self, blocks: Blocks, ids: Sequence[str], *, anew: bool = False
    ) -> list[EffectTrace]:
        from lvlm_audit.interventions.effects import iter_effects
        from lvlm_audit.traces.batching import whole

        return whole(
            iter_effects(
                self.hooked,
                self._reference().of(ids),
                blocks,
                name="plan",
                max_new_tokens=self.settings.max_new_tokens if anew else None,
                batch_size=self.settings.batch_size,
            )
        )

    def _savings(self, blocks: Sequence[int]) -> Savings:
        from lvlm_audit.compression.removal import removed
        from lvlm_audit.compression.saving import size, speed

        whole = size(self.hooked.model)
        note, times = "", None
        try:
            with removed(self.hooked, blocks):
                left = size(self.hooked.model)
            Step(self.told, "timing")
            times = speed(self.hooked, blocks, self._timed_probes())
            note = (
                f"Medians of {times.repeats} pairs of runs in turns, {times.rows} prompts in a batch, on "
                f"{self.hooked.device} with blocks really removed. The whole model takes "
                f"{times.prefill_seconds:.3g} s to the first token and {times.decode_seconds:.3g} s for each "
                f"further one."
            )
        except UnsupportedModel as error:
            inside = [p for i in blocks for p in self.hooked.anatomy.blocks[i].parameters()]
            left = type(whole)(
                whole.parameters - sum(p.numel() for p in inside),
                whole.bytes - sum(p.numel() * p.element_size() for p in inside),
            )
            note = f"Speed was not measured: {error}"
        return Savings(
            parameters=whole.parameters,
            parameters_saved=whole.parameters - left.parameters,
            bytes=whole.bytes,
            bytes_saved=whole.bytes - left.bytes,
            prefill=None if times is None else rounded(times.prefill),
            decode=None if times is None else rounded(times.decode),
            note=note,
        )

    def _timed_probes(self) -> list[Probe]:
        """One batch that a processor takes: prepared probes go alone, and numbers of images do not mix."""
        from lvlm_audit.traces.batching import batches

        probes, _ = self._of(self.split.certification)
        return next(batches(probes, _TIMED))

    def _export(self, blocks: Sequence[int]) -> tuple[Export | None, str]:
        """What was written, or why nothing was: a refusal must not cost the plan."""
        if self.wanted.export is None:
            return None, ""
        from lvlm_audit.compression.exporting import export

        Step(self.told, "exporting")
        try:
            made = export(self.hooked, blocks, self.wanted.export)
        except LvlmAuditError as error:
            return None, str(error)
        return (
            Export(
                folder=str(self.wanted.export),
                bytes=made.bytes,
                difference=rounded(made.difference) or 0.0,
                largest_logit=rounded(made.largest_logit) or 0.0,
                steps=made.steps,
            ),
            "",
        )

    def _step(self, what: str) -> OnProgress | None:
        return renamed(self.told, lambda _: what)
