"""Whether an answer to a yes/no question is right as a whole, by the data set's own rule."""

from __future__ import annotations

from dataclasses import dataclass

from lvlm_audit.hallucination.labels import CORRECT, HALLUCINATED, UNLABELLED, truth_of
from lvlm_audit.hallucination.places import places
from lvlm_audit.hallucination.verdicts import rule_of
from lvlm_audit.probes.labels import YesNo
from lvlm_audit.traces.trace import Trace


@dataclass(frozen=True, slots=True)
class AnswerLabel:
    """What is known of the truth of an answer.

    Attributes:
        probe: id.
        cluster: the unit that statistics resample: normally the image.
        truth: `CORRECT`, `HALLUCINATED` (wrong), or `UNLABELLED`: no yes or no is expected.
        said: the answer's yes or no; None: neither, which is wrong unless the data set takes it as right.
        expected: the true yes or no; None: unlabelled.
        positive: the class of which precision, recall and F1 are.
        scheme: the rule, as a report prints it.
    """

    probe: str
    cluster: str
    truth: int
    said: YesNo | None
    expected: YesNo | None
    positive: YesNo
    scheme: str


def answer_label(trace: Trace) -> AnswerLabel:
    """The verdict on one answer.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    truth = truth_of(trace)
    rule = rule_of(truth.dataset)
    expected, said = truth.verdict, rule.read(places(trace).text).verdict
    if expected is None:
        judged = UNLABELLED
    elif said == expected or (said is None and truth.undecided_is_right):
        judged = CORRECT
    else:
        judged = HALLUCINATED
    return AnswerLabel(
        probe=trace.asked.id,
        cluster=trace.asked.cluster,
        truth=judged,
        said=said,
        expected=expected,
        positive=rule.positive,
        scheme=rule.text,
    )
