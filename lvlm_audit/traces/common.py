"""The common step: one prompt and the words that most answers to it begin with. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lvlm_audit.traces.features import FeatureTrace
from lvlm_audit.traces.trace import TokenClass, Trace


def common_step(traces: Sequence[Trace | FeatureTrace]) -> tuple[str, list[int]]:
    """The probe set's most frequent prompt, and the prefix after which its answers part.

    The prefix grows token by token along the answers' majority while more than half of all answers agree;
    of two answers that differ neither is common. It ends before a majority's last word, so that there is
    always a token to predict.

    Args:
        traces: recorded answers, at least one.

    Returns:
        The prompt, and the token ids that the model is made to say before the common step; none where the
        answers differ from their first token on.

    Example:
        >>> prompt, prefix = lvlm_audit.traces.common_step(traces)
        >>> len(prefix)
        3
    """
    counts = Counter(trace.asked.prompt for trace in traces)
    # Of equally frequent prompts the first in the order of the probes.
    prompt = max(counts, key=lambda name: counts[name])
    answers = [_words(trace) for trace in traces if trace.asked.prompt == prompt]
    prefix: list[int] = []
    while True:
        at = len(prefix)
        longer = Counter(a[at] for a in answers if len(a) > at + 1 and a[:at] == prefix)
        if not longer:
            return prompt, prefix
        token, agree = longer.most_common(1)[0]
        if 2 * agree <= len(answers):
            return prompt, prefix
        prefix.append(token)


def _words(trace: Trace | FeatureTrace) -> list[int]:
    """An answer's ids up to its first special token."""
    ids = [int(i) for i in trace.token_ids]
    end = next((k for k, c in enumerate(trace.token_classes) if c is TokenClass.SPECIAL), len(ids))
    return ids[:end]
