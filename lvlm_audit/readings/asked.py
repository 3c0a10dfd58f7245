"""Every probe in short, for the document: what a later audit is compared with."""

from __future__ import annotations

import numpy as np

from lvlm_audit.document import AskedProbe, rounded
from lvlm_audit.hallucination.labels import HALLUCINATED, label_answers
from lvlm_audit.hallucination.places import places
from lvlm_audit.hallucination.right import reference_words, right
from lvlm_audit.metrics.curves import reference_surprisal
from lvlm_audit.metrics.tokens import last_margin
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.probes.probe import Probe
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.recordings.reference_pairs import REFERENCE_PAIRS
from lvlm_audit.traces.trace import Asked, PairedTrace, Trace


def asked_probes(evidence: Evidence) -> list[AskedProbe]:
    """One for each probe, in the order in which they were asked.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    pairs = {pair.asked.id: pair for pair in evidence.of(REFERENCE_PAIRS)}
    return [_asked(trace, pairs.get(trace.asked.id)) for trace in evidence.traces]


def _asked(trace: Trace, pair: PairedTrace | None) -> AskedProbe:
    words = label_answers([trace])[0].words
    asked, found = reference_words(trace)
    kind = trace.asked.labels.get("kind")
    return AskedProbe(
        id=trace.asked.id,
        cluster=trace.asked.cluster,
        kind=kind if isinstance(kind, str) else "",
        content=_content(trace.asked),
        answer=places(trace).text,
        tokens=[int(token) for token in trace.token_ids],
        margins=_margins(trace),
        right=right(trace),
        words_asked=asked,
        words_found=found,
        labelled=len(words),
        wrong=sum(word.truth == HALLUCINATED for word in words),
        reference_bits=None if pair is None else _bits(pair),
    )


def _content(asked: Asked) -> str:
    probe = Probe(asked.id, asked.prompt, None, asked.cluster, asked.reference, asked.labels)
    return fingerprint([probe])[:32]


def _margins(trace: Trace) -> list[float]:
    """Empty where a capture kept no runner-up: half of them would be taken for all."""
    margins = [rounded(float(m)) for m in last_margin(trace)]
    return [] if None in margins else [m for m in margins if m is not None]


def _bits(pair: PairedTrace) -> float | None:
    surprisal = np.asarray(reference_surprisal.curve(pair))[:, -1][pair.content]
    return rounded(float(surprisal.mean())) if surprisal.size else None
