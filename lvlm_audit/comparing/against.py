"""What changed between two audits, paired by image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lvlm_audit.document import Audit, Comparison, Difference, Finding, Interval
from lvlm_audit.errors import UsageError
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.statistics import cluster_mean

_CONFIDENCE = 0.95


def compare(audit: Audit, baseline: Audit, *, seed: int = 0) -> Comparison:
    """Paired differences of the findings' observed values, this audit minus the baseline.

    Only images that both audits asked are paired; the interval is a cluster bootstrap over them and
    is not adjusted for the number of findings. The full gate comes later: a difference here changes
    no verdict.
    """
    before = {f.check: f for f in baseline.findings}
    note = "Differences are shown, not judged: they change no verdict."
    if audit.subject.lens != baseline.subject.lens:
        note += (
            f" The lenses differ ({audit.subject.lens} here, {baseline.subject.lens} there): the "
            f"numbers are not comparable."
        )
    if audit.subject.answers != baseline.subject.answers:
        note += (
            f" The answers were {audit.subject.answers} here and {baseline.subject.answers} there: the "
            f"numbers are of different texts."
        )
    for what, here, there in _conditions(audit, baseline):
        if here != there:
            note += f" {what}: {here} here, {there} there."
    return Comparison(
        baseline_model=baseline.subject.model,
        baseline_created=str(baseline.provenance.get("created", "unknown")),
        differences=[
            _difference(f, before.get(f.check), bool(_images(audit) & _images(baseline)), seed)
            for f in audit.findings
        ],
        note=note,
    )


def with_comparison(audit: Audit, baseline: Audit, *, seed: int = 0) -> Audit:
    """The same audit, with its comparison in the document."""
    return dataclasses.replace(audit, comparison=compare(audit, baseline, seed=seed))


def earlier(path: Path) -> Audit:
    """The audit that a file holds, as a baseline.

    Raises:
        UsageError: there is no such file.
        DocumentError: it holds no audit.
    """
    if not path.is_file():
        raise UsageError(
            f"{spelled('baseline')} {str(path)!r} is not a file. Write one with {spelled('json')} first."
        )
    return Audit.load(path)


def _conditions(audit: Audit, baseline: Audit) -> Iterator[tuple[str, str, str]]:
    """What the numbers hang on besides the model; a document that does not say it is not held to it."""
    one, other = audit.subject, baseline.subject
    yield "Control", one.control or "none", other.control or "none"
    yield "Divergence", one.divergence, other.divergence
    for what, key in (("Longest answer", "max_new_tokens"), ("Weights read as", "dtype")):
        if key in audit.provenance and key in baseline.provenance:
            yield what, str(audit.provenance[key]), str(baseline.provenance[key])
    if one.lens == other.lens:
        contents = [str(_lenses(a).get(one.lens, "no content")) for a in (audit, baseline)]
        yield f"Content of the {one.lens} lens", contents[0][:16], contents[1][:16]


def _lenses(audit: Audit) -> Mapping[str, Any]:
    """Fingerprints of lenses that are more than a name."""
    found = audit.provenance.get("lenses")
    return found if isinstance(found, dict) else {}


def _images(audit: Audit) -> set[str]:
    return {probe.cluster for probe in audit.probes}


def _unpaired(now: Finding, then: Finding, common: bool) -> str:
    """Why no image of a finding can be paired, although both audits hold it."""
    nothing = [
        where
        for where, one in (("in this audit", now), ("in the baseline", then))
        if one.observed is None
    ]
    if nothing:
        return f"not applicable {' and '.join(nothing)}"
    if common:
        return "no image counts in both audits, though both were asked about the same ones"
    return "no image in common"


def _difference(now: Finding, then: Finding | None, common: bool, seed: int) -> Difference:
    if then is None:
        return Difference(now.check, now.observed, None, None, None, 0, "not in the baseline")
    declared_alike = now.declared == then.declared
    shared = sorted(set(now.per_image) & set(then.per_image))
    if not shared:
        note = _unpaired(now, then, common)
        return Difference(now.check, now.observed, then.observed, None, None, 0, note)
    values = [now.per_image[i] - then.per_image[i] for i in shared]
    estimate = cluster_mean(values, support=(-float("inf"), float("inf")), seed=seed)
    spread = estimate.spread(_CONFIDENCE)
    interval = (
        None
        if spread.method == "full range"
        else Interval(spread.low, spread.high, spread.confidence, spread.method)
    )
    notes = []
    if not declared_alike:
        notes.append("declared differently in the baseline")
    if interval is None:
        notes.append("too few images in common for an interval")
    return Difference(
        check=now.check,
        observed=now.observed,
        baseline=then.observed,
        difference=estimate.value,
        interval=interval,
        n=len(shared),
        note="; ".join(notes),
    )
