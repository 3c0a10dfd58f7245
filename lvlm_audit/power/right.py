"""Whether a whole answer is right: the reference's words, or its yes or no."""

from __future__ import annotations

import re
import string

from lvlm_audit.hallucination.verdicts import rule_of
from lvlm_audit.probes.labels import read_truth
from lvlm_audit.probes.probe import Probe

_ARTICLES = frozenset({"a", "an", "the"})
_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")


def is_right(probe: Probe, answer: str) -> bool | None:
    """None: the probe does not say what is right.

    A question with a known yes or no is judged by its data set's rule; any other answer by its words, case,
    punctuation and articles aside.
    """
    truth = read_truth(probe.labels, f"probe {probe.id!r}", probe.answer)
    if truth.verdict is not None:
        said = rule_of(truth.dataset).read(answer).verdict
        return said == truth.verdict or (said is None and truth.undecided_is_right)
    if probe.answer is None:
        return None
    return bare(answer) == bare(probe.answer)


def bare(text: str) -> list[str]:
    """The words of a text without case, punctuation and articles (as SQuAD compares answers)."""
    words = _PUNCTUATION.sub(" ", text.casefold()).split()
    return [word for word in words if word not in _ARTICLES]
