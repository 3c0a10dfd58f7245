"""Effects: the answers replayed and given again with blocks skipped, against one run of the whole model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lvlm_audit.interventions.named import Skip
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import NEVER, Kind
from lvlm_audit.traces.effects import EffectTrace

if TYPE_CHECKING:
    from lvlm_audit.interventions.effects import Reference

MUTATION: Sequence[Skip] = (Skip("skip.2"), Skip("skip.2", "paper"))


def make(job: Job) -> Sequence[EffectTrace]:
    """The answers under a skip set, replayed and asked anew, against one run of the whole model."""
    from lvlm_audit.interventions.effects import iter_effects

    skip, skipped = job.need.skip, job.skipped
    assert skip is not None
    assert skipped is not None
    job.reasons[EFFECTS.name] = skipped.reason
    chosen = [probe for probe in job.shown.probes if probe.cluster in skipped.blocks]

    def measured(missing: list[int]) -> Iterator[EffectTrace]:
        whole = _whole(job)
        by_set: dict[tuple[int, ...], list[str]] = {}
        for i in missing:
            by_set.setdefault(skipped.blocks[chosen[i].cluster], []).append(chosen[i].id)
        for blocks, ids in by_set.items():
            yield from iter_effects(
                job.model,
                whole.of(ids),
                blocks,
                name=skip.label,
                max_new_tokens=job.settings.max_new_tokens,
                batch_size=job.settings.batch_size,
                on_progress=job.progress(f"skipping blocks ({skip.label})"),
            )

    return job.parts.completed(
        chosen, measured, conditions=[list(skipped.blocks[probe.cluster]) for probe in chosen]
    )


def _whole(job: Job) -> Reference:
    """What the whole model says; every skip set of a run is held against it."""
    from lvlm_audit.interventions.effects import Reference, reference

    if "whole" not in job.shared:
        job.shared["whole"] = reference(
            job.model,
            job.shown.probes,
            [[int(i) for i in trace.token_ids] for trace in job.recorded(ANSWERS)],
            batch_size=job.settings.batch_size,
            on_progress=job.progress("replaying the whole model's answers"),
        )
    found = job.shared["whole"]
    assert isinstance(found, Reference)
    return found


EFFECTS = Kind(
    name="effects",
    item=EffectTrace,
    make=make,
    after=("answers",),
    wanted=lambda asked: MUTATION if asked.redecode else NEVER,
    absent="no effect was recorded",
)
