"""Reference pairs: each reference answer replayed under its own and another probe's image."""

from __future__ import annotations

from collections.abc import Sequence

from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import Kind
from lvlm_audit.recordings.replays import replayed_pairs
from lvlm_audit.traces.trace import PairedTrace


def make(job: Job) -> Sequence[PairedTrace]:
    """Of the probes that have a reference answer and a second image."""
    chosen = [
        (probe, probe.answer, other)
        for probe, other in zip(job.shown.probes, job.shown.others, strict=True)
        if probe.answer and probe.images and other
    ]
    return replayed_pairs(job, chosen, "reference", {})


REFERENCE_PAIRS = Kind(
    name="reference pairs",
    item=PairedTrace,
    make=make,
    absent="no probe has a reference answer and a second image to compare with",
)
