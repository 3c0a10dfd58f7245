"""Whether a whole answer is right, for labels: the reference's words, or its yes or no."""

from __future__ import annotations

from lvlm_audit.hallucination.verdicts import rule_of
from lvlm_audit.metrics.answers import correct
from lvlm_audit.probes.labels import read_truth
from lvlm_audit.probes.probe import Probe


def is_right(probe: Probe, answer: str) -> bool | None:
    """None: the probe does not say what is right.

    A question with a known yes or no is judged by its data set's rule; any other answer by its words, case,
    punctuation and articles aside. Stricter than the gate's `hallucination.right`, which takes a drawn scene's
    words for the answer: labels must not lean on what they are to test.
    """
    truth = read_truth(probe.labels, f"probe {probe.id!r}", probe.answer)
    if truth.verdict is not None:
        said = rule_of(truth.dataset).read(answer).verdict
        return said == truth.verdict or (said is None and truth.undecided_is_right)
    return None if probe.answer is None else correct(answer, probe.answer)
