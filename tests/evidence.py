"""Evidence made by hand: items by the name of their kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lvlm_audit.auditing.run import run
from lvlm_audit.document import Audit
from lvlm_audit.interventions.named import Skip
from lvlm_audit.recordings.evidence import Evidence, Recorded
from lvlm_audit.recordings.registry import KINDS
from lvlm_audit.settings.reading import LensName
from lvlm_audit.spec.suite import Suite
from lvlm_audit.traces.trace import Trace


def evidence_of(
    lens: LensName,
    traces: Iterable[Trace],
    answer_pairs: Iterable[Any] = (),
    reference_pairs: Iterable[Any] = (),
    *,
    reasons: Mapping[str, str] | None = None,
    effects: Mapping[Skip, Recorded[Any]] | None = None,
    baseline: Audit | None = None,
    **more: Iterable[Any],
) -> Evidence:
    """Evidence of some items; `more` has kinds by name, with underscores for spaces."""
    # Replays without an image are recorded within the answers' pairs, which are split by condition.
    pairs = [*answer_pairs, *more.pop("no_image_pairs", ())]
    items = {"answers": traces, "answer pairs": pairs, "reference pairs": reference_pairs}
    items |= {name.replace("_", " "): one for name, one in more.items()}
    made = Evidence.of_items(lens, items, effects=effects, baseline=baseline)
    said = {
        (kind, None): Recorded(made.named(kind).items, reason)
        for kind, reason in (reasons or {}).items()
    }
    return Evidence(lens, {**made.recorded, **said}, baseline)


def run_on(suite: Suite, traces: Sequence[Trace], **given: Any) -> Audit:
    """`lvlm_audit.run`, with kinds of recordings by name, underscores for spaces."""
    kinds = {
        name.replace("_", " "): given.pop(name)
        for name in list(given)
        if name.replace("_", " ") in KINDS
    }
    if "no_image_pairs" in given:
        kinds["answer pairs"] = [*kinds.get("answer pairs", ()), *given.pop("no_image_pairs")]
    return run(suite, traces, recorded=kinds, **given)
