"""Labels of answers: the words that each kind of label finds, laid on the tokens that say them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lvlm_audit.hallucination.labels.labelled import (
    HALLUCINATED,
    UNLABELLED,
    LabelledWord,
    TokenLabels,
)
from lvlm_audit.hallucination.labels.registry import label_text
from lvlm_audit.hallucination.places import Answer, places
from lvlm_audit.probes.labels import Truth, read_truth


def label_answers(
    traces: Sequence[Answer], text_answers: Sequence[Answer] = ()
) -> list[TokenLabels]:
    """The labels of answers' tokens.

    What a probe's labels hold decides what is labelled (`probes.labels`):

    - **yes/no** (`expected`): the word that decided, by the data set's rule. Where nothing decided (POPE
      counts such an answer as yes) no token is labelled: the answer is right or wrong as a whole
      (`answer_label`), and no token of it said so.
    - **words** (`grounded`, `hallucinated`): every one that is said.
    - **another expected word**: where it is said. Where it is not, the word that stands in its place if
      the answer has the reference's wording up to there, or is a single word; else none.
    - **spans of the reference**: these words, if the reference was said, word for word.
    - **a drawn scene's words**: the i-th word of a role that is said against the i-th true one.
      Objects and colours without a counterpart are hallucinated; other roles' words are not labelled.

    Where labels would meet on one token, it is hallucinated. Special tokens are never labelled.

    Args:
        traces: answers to the probes with their images.
        text_answers: answers to the same prompts without an image, any number of them; the first of a
            prompt counts.

    Returns:
        One for each trace, in order. Without labels everything is unlabelled.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    blind: dict[str, str] = {}
    for trace in text_answers:
        blind.setdefault(trace.asked.prompt, places(trace).text)
    return [_labelled(trace, blind.get(trace.asked.prompt)) for trace in traces]


def truth_of(trace: Answer) -> Truth:
    """What the trace's probe says about the truth.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    asked = trace.asked
    return read_truth(asked.labels, f"probe {asked.id!r}", asked.reference)


def _labelled(trace: Answer, blind: str | None) -> TokenLabels:
    said = places(trace)
    scheme, found = label_text(truth_of(trace), said.text, trace.asked.reference)
    truth = np.full(trace.tokens, UNLABELLED, dtype=np.int8)
    prior = np.zeros(trace.tokens, dtype=bool)
    words = []
    for word in sorted(found, key=lambda w: (w.start, w.end)):
        tokens = said.tokens(word.start, word.end)
        labelled = np.zeros(trace.tokens, dtype=bool)
        labelled[tokens] = ~said.special[tokens]
        if not labelled.any():
            continue
        again = None
        if word.truth == HALLUCINATED and blind is not None:
            again = word.said_again(blind)
            prior |= labelled & again
        truth[labelled] = np.maximum(truth[labelled], word.truth)
        words.append(
            LabelledWord(
                text=said.text[word.start : word.end],
                tokens=tokens,
                truth=word.truth,
                expected=word.expected,
                prior_driven=again,
                slot=word.slot,
                meaning=word.meaning,
            )
        )
    return TokenLabels(
        probe=trace.asked.id,
        cluster=trace.asked.cluster,
        truth=truth,
        prior_driven=None if blind is None else prior,
        scheme=scheme,
        words=tuple(words),
    )
