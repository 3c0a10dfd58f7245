"""Replays of one text under a probe's own and other images, which two kinds of recording are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from lvlm_audit.probes.others import Images
from lvlm_audit.probes.probe import Probe
from lvlm_audit.recordings.job import Job
from lvlm_audit.traces.trace import OTHER_IMAGE, PairedTrace


def replayed_pairs(
    job: Job,
    chosen: Sequence[tuple[Probe, str | list[int], Images]],
    text: Literal["answer", "reference"],
    read_along: Mapping[str, PairedTrace],
) -> Sequence[PairedTrace]:
    """Each text under its own and other images; those that were read already are taken as they are."""

    from lvlm_audit.traces.paired import iter_pairs

    def make(missing: list[int]) -> Iterator[PairedTrace]:
        asked = [chosen[i] for i in missing]
        yield from (read_along[probe.id] for probe, _, _ in asked if probe.id in read_along)
        rest = [one for one in asked if one[0].id not in read_along]
        if not rest:
            return
        probes, said, images = zip(*rest, strict=True)
        yield from iter_pairs(
            job.model,
            probes,
            said,
            images,
            condition=OTHER_IMAGE,
            text=text,
            lens=job.need.lens,
            # A likelihood is read at the last state alone; the answer's grounding curve needs them all.
            last_state_only=text == "reference",
            batch_size=job.settings.batch_size,
            on_progress=job.progress(f"replaying {text}s with other images"),
        )

    return job.parts.completed(
        [probe for probe, _, _ in chosen],
        make,
        conditions=[[said, [i.digest() for i in images]] for _, said, images in chosen],
    )
