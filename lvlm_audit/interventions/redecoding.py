"""Asking anew under an intervention: greedy answers to the same probes, decoded otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lvlm_audit.errors import LvlmAuditError, ProbesFailed
from lvlm_audit.interventions.decoding import Intervention
from lvlm_audit.interventions.effects import answers, spoken
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.traces.assembly import remembered
from lvlm_audit.traces.batching import Failures, at_least_one, each_batch
from lvlm_audit.traces.recorder import DEFAULT_BATCH_SIZE
from lvlm_audit.traces.redecoded import Redecoded
from lvlm_audit.traces.texts import Texts


def iter_redecoded(
    model: HookedModel,
    probes: Sequence[Probe],
    intervention: Intervention,
    *,
    max_new_tokens: int,
    batch_size: int = DEFAULT_BATCH_SIZE,
    on_progress: OnProgress | None = None,
) -> Iterator[Redecoded]:
    """Answers to probes under an intervention.

    Args:
        model: an opened model, no intervention under way.
        probes: what to ask.
        intervention: what is done to the model or its decoding meanwhile.
        max_new_tokens: an answer's length at most; as many as the base answers had.
        batch_size: probes answered together, as the base answers were.
        on_progress: called after each batch.

    Yields:
        One per probe, in order.

    Raises:
        ProbesFailed: at the end, if some probes failed.
        UsageError: an intervention that this model does not allow, or a count below 1.
    """
    at_least_one("max_new_tokens", max_new_tokens)
    words = Texts(model)
    failures: Failures = []
    step = Step(on_progress, f"answering again ({intervention.name})", len(probes))

    def make(here: slice) -> list[Redecoded | LvlmAuditError]:
        with intervention.applied(model) as rescore:
            said = answers(model, probes[here], max_new_tokens, rescore)
        step.reached(here.stop)
        return [
            Redecoded(
                asked=remembered(probe),
                intervention=intervention.name,
                description=intervention.description,
                source=intervention.source,
                blocks=intervention.blocks,
                token_ids=np.array(ids, np.int64),
                answer=spoken(words, ids, model),
            )
            for probe, ids in zip(probes[here], said, strict=True)
        ]

    yield from each_batch(probes, batch_size, make, failures)
    if failures:
        raise ProbesFailed(failures, len(probes))
