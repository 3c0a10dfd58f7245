"""Redecoded: labelled questions answered again under other decodings, beside skip sets, which are effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lvlm_audit.hallucination.labelled import labelled
from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import Kind, when
from lvlm_audit.traces.redecoded import Redecoded

if TYPE_CHECKING:
    from lvlm_audit.interventions.decoding import Intervention


def decodings() -> Sequence[Intervention]:
    """What labelled questions are answered again under."""
    from lvlm_audit.interventions.deco import DeCo
    from lvlm_audit.interventions.dola import DoLa

    return (DoLa("low"), DoLa("high"), DeCo())


def make(job: Job) -> Sequence[Redecoded]:
    """The labelled questions answered again, once under each decoding."""
    from lvlm_audit.interventions.redecoding import iter_redecoded

    chosen = [probe for probe in job.shown.probes if labelled(probe)]

    def under(intervention: Intervention) -> Sequence[Redecoded]:
        def decoded(missing: list[int]) -> Iterator[Redecoded]:
            return iter_redecoded(
                job.model,
                [chosen[i] for i in missing],
                intervention,
                max_new_tokens=job.settings.max_new_tokens,
                batch_size=job.settings.batch_size,
                on_progress=job.progress(f"answering again ({intervention.name})"),
            )

        conditions = [[intervention.name, intervention.description]] * len(chosen)
        return job.parts.completed(chosen, decoded, conditions=conditions)

    return [one for intervention in decodings() for one in under(intervention)]


REDECODED = Kind(
    name="redecoded",
    item=Redecoded,
    make=make,
    after=("answers",),
    wanted=lambda asked: when(asked.redecode),
    absent="no labelled probe was answered again",
)
