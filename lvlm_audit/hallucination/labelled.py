"""Whether a probe is labelled: whether its labels say what is true of its image."""

from __future__ import annotations

from lvlm_audit.probes.labels import read_truth
from lvlm_audit.probes.probe import Probe


def labelled(probe: Probe) -> bool:
    """Whether a probe's labels say what is true of its image.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    truth = read_truth(probe.labels, f"probe {probe.id!r}", probe.answer)
    return any((truth.expected, truth.grounded, truth.hallucinated, truth.spans, truth.words))
