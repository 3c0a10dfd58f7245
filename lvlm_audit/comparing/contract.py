"""What two audits must have in common to be compared, and what may differ but is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lvlm_audit.comparing.declared import has_tolerance, measures, size_of
from lvlm_audit.comparing.sides import Seen, images, paired, shared_images
from lvlm_audit.document import Finding, Named, Severity, Verdict

_NOT_CONDITIONS = frozenset(
    {
        "created",
        "seconds",
        "recording_seconds",
        "traces_reused",
        "reused",
        "model",
        "probes",
        "probes_whole",
        "suite",
        "family",
        "probe_source",
        "probe_count",
        "control",
        "answers",
        "max_new_tokens",
        "seed",
        "lenses",
    }
)
"""Of the provenance: what tells one run from another, or is bound by the contract."""
_MOST_NAMED = 5
_SUBJECT = ("architecture", "blocks", "width", "vocabulary", "dtype", "device")


def mismatch(now: Seen, before: Seen, needed: int) -> list[str]:
    """What was asked otherwise, in words with both values; empty where the audits may be compared.

    Args:
        now: this audit.
        before: the baseline.
        needed: images that must be shared.
    """
    return [
        *_probes(now, before, needed),
        *(
            f"{what}: {here} here, {there} in the baseline"
            for what, here, there in _asked(now, before)
            if here != there
        ),
        *_redeclared(now, before),
    ]


def _probes(now: Seen, before: Seen, needed: int) -> Iterator[str]:
    here, there = images(now), images(before)
    shared = len(shared_images(now, before))
    keys = [side.provenance.get("probes") for side in (now, before)]
    known = all(isinstance(key, str) for key in keys)
    asked = [[(p.id, p.cluster) for p in side.asked] for side in (now, before)]
    if not (known and keys[0] == keys[1]):
        one, other = (set(of_side) for of_side in asked)
        if any(map(_is_partial, (now, before))):
            yield from _drawn(now, before)
        elif here != there:
            yield (
                f"probes: {_count(shared, 'image')} in both, {len(here - there)} here alone and "
                f"{len(there - here)} in the baseline alone"
            )
        elif one and other and one != other:
            yield (
                f"probes: the same {_count(shared, 'image')}, but {_count(len(one - other), 'probe')} here "
                f"alone and {len(other - one)} in the baseline alone"
            )
        elif one and other and asked[0] != asked[1]:
            yield "probes: the same ones, in another order, so that other images are shown in exchange"
        elif otherwise := _otherwise(now, before):
            yield otherwise
        elif known:
            yield (
                f"probes: the same ids and images, but other prompts, reference answers or labels "
                f"(content {str(keys[0])[:12]} here, {str(keys[1])[:12]} in the baseline)"
            )
    # A first look may be too small to show anything; it is not the last.
    if shared < needed and not (_is_partial(now) and shared == len(here)):
        yield (
            f"shared images: {shared}, and {needed} are needed to show even a loss of everything"
            if shared
            else f"shared images: none, and {needed} are needed"
        )


def _drawn(now: Seen, before: Seen) -> Iterator[str]:
    """What is asked otherwise where not all of a set was asked: what was not asked yet is nothing else."""
    one, other = (_whole(side) for side in (now, before))
    if one == other:
        return
    alone = {(p.id, p.cluster) for p in now.asked} - {(p.id, p.cluster) for p in before.asked}
    if otherwise := _otherwise(now, before):
        yield otherwise
    elif alone:
        yield f"probes: {_count(len(alone), 'probe')} here that the baseline does not have"
    elif isinstance(one, str) and isinstance(other, str):
        yield (
            f"probes: the sets that they are drawn from differ (content {one[:12]} here, {other[:12]} in the "
            f"baseline)"
        )


def _whole(side: Seen) -> Any:
    """Content key of the set that an audit's probes are of."""
    return side.provenance.get("probes_whole", side.provenance.get("probes"))


def _is_partial(side: Seen) -> bool:
    """Whether only some probes of a set were asked: the looks stopped early, or go on."""
    return bool(_whole(side) != side.provenance.get("probes"))


def _otherwise(now: Seen, before: Seen) -> str:
    """Which probes about the same image ask something else, as far as both documents say; empty: none."""
    found = [
        pair.now.id
        for pair in paired(now.asked, before.asked)
        if pair.now.content and pair.before.content and pair.now.content != pair.before.content
    ]
    if not found:
        return ""
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return (
        f"probes: {len(found)} of the same id and image, but with another prompt, reference answer or labels: "
        f"{', '.join(map(repr, found[:_MOST_NAMED]))}{more}"
    )


def _asked(now: Seen, before: Seen) -> Iterator[tuple[str, str, str]]:
    """How both were asked; what a document does not say, it is not held to."""
    one, other = now.subject, before.subject
    yield "lens", one.lens, other.lens
    if one.lens == other.lens:
        yield f"content of the {one.lens} lens", _lens(now, one.lens), _lens(before, one.lens)
    yield "divergence", one.divergence, other.divergence
    yield "control", one.control or "none", other.control or "none"
    yield "answers", one.answers, other.answers
    for what, key in (("longest answer (tokens)", "max_new_tokens"), ("seed of the draw", "seed")):
        values = [side.provenance.get(key) for side in (now, before)]
        if None not in values:
            yield what, str(values[0]), str(values[1])


def _lens(side: Seen, name: str) -> str:
    found = side.provenance.get("lenses")
    return str(found.get(name, "none"))[:16] if isinstance(found, Mapping) else "none"


def _redeclared(now: Seen, before: Seen) -> Iterator[str]:
    """Deciding checks of one name that measure two things."""
    then = {finding.check: finding for finding in before.findings}
    for finding in now.findings:
        old = then.get(finding.check)
        if old is None or not (decides(finding) and has_tolerance(finding)):
            continue
        here, there = measures(finding), measures(old)
        for what in here:
            if here[what] != there[what]:
                yield f"{what} of {finding.check}: {here[what]} here, {there[what]} in the baseline"


def decides(finding: Finding) -> bool:
    """Whether a check can turn a run red: by a bound, or by a loss against a baseline."""
    return finding.severity is Severity.ERROR and (
        finding.bound.value is not None or has_tolerance(finding)
    )


def gone(now: Sequence[Finding], before: Sequence[Finding]) -> list[str]:
    """Deciding checks that were applicable in the baseline, and are no more."""
    applicable = {f.check for f in now if f.verdict is not Verdict.NOT_APPLICABLE}
    return [
        f.check
        for f in before
        if decides(f) and f.verdict is not Verdict.NOT_APPLICABLE and f.check not in applicable
    ]


def new(now: Sequence[Finding], before: Sequence[Finding]) -> list[str]:
    """Checks that the baseline does not have."""
    known = {finding.check for finding in before}
    return [finding.check for finding in now if finding.check not in known]


def conditions(now: Seen, before: Seen) -> list[Named]:
    """What differs besides and is the candidate's to choose: depth, dtype, machine, versions ..."""
    found = [
        Named(what="depth (blocks)" if name == "blocks" else name, here=here, there=there)
        for name in _SUBJECT
        if (here := str(getattr(now.subject, name)))
        != (there := str(getattr(before.subject, name)))
    ]
    # A key that is written otherwise in both is said once.
    said = {named.what for named in found}
    one, other = (dict(_flat(side.provenance)) for side in (now, before))
    for what in one:
        if what in other and one[what] != other[what] and what not in said:
            found.append(Named(what=what, here=one[what], there=other[what]))
    then = {finding.check: finding for finding in before.findings}
    for finding in now.findings:
        old = then.get(finding.check)
        if old is not None and has_tolerance(finding) and has_tolerance(old):
            here, there = size_of(finding), size_of(old)
            if here != there:
                what = f"tolerated change of {finding.check}"
                found.append(Named(what=what, here=here, there=there))
    return found


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if not path and key in _NOT_CONDITIONS:
            continue
        name = f"{path}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}: ")
        else:
            yield name, str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
