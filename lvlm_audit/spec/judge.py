"""Observing first, judging after: from recordings to findings.

A check observes by itself; it is judged within the declared family (Holm), so that choosing some
checks with `-k` changes no verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.document import Bound, Eligibility, Finding, Interval, Verdict
from lvlm_audit.document.plain import MAX_NUMBER
from lvlm_audit.metrics.nodes import SETTLE, sustained_from
from lvlm_audit.properties import Context
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.spec.check import RATES, Check
from lvlm_audit.spec.groups import OUTSIDE, groups_of
from lvlm_audit.statistics import (
    MIN_IMAGES,
    Estimate,
    RateDifference,
    ShareOfImages,
    Side,
    cluster_mean,
    fold_of,
    holm_levels,
    images_to_decide,
    median_over_images,
)
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.trace import PairedTrace, Trace

ALPHA = 0.025
"""One-sided error rate of a family: a single check would be judged by its 95 % interval."""

Item = Trace | PairedTrace | EffectTrace

_MAX_COUNTEREXAMPLES = 5
_OPPOSITE: dict[Side, Side] = {">=": "<=", "<=": ">="}


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What a check saw, before any judgement.

    Attributes:
        check: whose it is.
        estimate: the observed value with its resampling; None when not applicable.
        reason: why it is not applicable; empty otherwise.
        eligible: how much evidence counts.
        per_image: image -> its value.
        counterexamples: probe ids, worst first.
    """

    check: Check
    estimate: Estimate | None
    reason: str
    eligible: Eligibility
    per_image: dict[str, float]
    counterexamples: tuple[str, ...]


def observe(check: Check, evidence: Evidence, *, seed: int = 0) -> Observation:
    """Let one check look at the evidence.

    Args:
        check: the declaration.
        evidence: recordings through the check's lens.
        seed: of the resampling.
    """
    items: Sequence[Item] = evidence.named(check.metric.needs, check.under).items
    contexts = _contexts(evidence)
    groups = None if check.against is None else groups_of(check, evidence)
    values: dict[str, list[float]] = {}
    by_probe: dict[str, float] = {}
    excluded: dict[str, int] = {}
    recorded = counted = 0
    for item in items:
        observed = check.property.observe(
            item, check.metric.curve(item), contexts.get(item.asked.cluster, Context(None))
        )
        counts = _counted(check, item)
        recorded += 1 if check.metric.whole else len(counts)
        for reason, number in _exclusions(check, item).items():
            excluded[reason] = excluded.get(reason, 0) + number
        applicable = counts & ~np.isnan(observed)
        if inapplicable := int((counts & np.isnan(observed)).sum()):
            reason = "the property does not apply"
            excluded[reason] = excluded.get(reason, 0) + inapplicable
        if groups is not None and isinstance(item, Trace):
            first, second = groups.members(item)
            if outside := int((applicable & ~first & ~second).sum()):
                excluded[OUTSIDE] = excluded.get(OUTSIDE, 0) + outside
            for group, members in enumerate((first, second)):
                groups.add(item.asked.cluster, group, observed[applicable & members])
            counted += int((applicable & second).sum())
            applicable &= first
        seen = observed[applicable]
        counted += len(seen)
        if len(seen):
            values.setdefault(item.asked.cluster, []).extend(float(v) for v in seen)
            by_probe[item.asked.id] = (
                float(np.median(seen)) if check.holds_for.of == "mean" else float(seen.mean())
            )
    grouped = None if groups is None else groups.estimate(seed)
    images = set(values) if groups is None else {i for i, c in groups.counted.items() if c.any()}
    eligible = Eligibility(
        images=len(images),
        tokens=counted,
        images_recorded=len({t.asked.cluster for t in evidence.traces}),
        tokens_recorded=recorded,
        excluded=dict(sorted(excluded.items())),
    )
    if groups is not None and grouped is None:
        return Observation(check, None, groups.reason, eligible, {}, ())
    if not values and grouped is None:
        why = _why_nothing(check, evidence, items, recorded)
        return Observation(check, None, why, eligible, {}, ())
    estimate, per_image = grouped or _estimate(check, values, seed)
    worst = sorted(by_probe.items(), key=lambda kv: kv[1], reverse=check.holds_for.side == "<=")
    against = tuple(name for name, value in worst if _speaks_against(check, value))
    return Observation(check, estimate, "", eligible, per_image, against[:_MAX_COUNTEREXAMPLES])


def judge(
    observations: Sequence[Observation], *, family: int | None = None, alpha: float = ALPHA
) -> list[Finding]:
    """Judge a family of observations together.

    Pass only if the whole interval clears the bound, fail only if it lies beyond, otherwise
    inconclusive. Intervals are widened for the family by Holm's step-down.

    Args:
        observations: of all declared checks.
        family: number of declared checks with a bound; at least those of the observations, which is the
            default. Descriptions belong to no family.
        alpha: one-sided error rate of the family.
    """
    size = family if family is not None else sum(o.check.bounded for o in observations)
    tested, evidence = [], []
    for o in observations:
        side, bound = o.check.holds_for.side, o.check.holds_for.value
        if o.estimate is None or bound is None:
            continue
        tested.append(o)
        evidence.append(
            (o.estimate.p_value(side, bound), o.estimate.p_value(_OPPOSITE[side], bound))
        )
    levels = holm_levels([min(pair) for pair in evidence], alpha, max(size, 1))
    decided = {
        id(o): (passes, fails, level)
        for o, (passes, fails), level in zip(tested, evidence, levels, strict=True)
    }
    return [_finding(o, decided.get(id(o)), size) for o in observations]


def _contexts(evidence: Evidence) -> dict[str, Context]:
    """Settle state for each image, located on the images of the other half."""
    clusters, settle = [], []
    for trace in evidence.traces:
        use = trace.eligible
        clusters.extend([trace.asked.cluster] * int(use.sum()))
        settle.append(sustained_from(trace.nucleus_mass, SETTLE)[use])
    if not clusters:
        return {}
    images, states = np.asarray(clusters), np.concatenate(settle)
    fold = fold_of(images)
    node: list[float | None] = []
    for half in (0, 1):
        _, medians = median_over_images(states[fold == half], images[fold == half])
        node.append(float(np.median(medians)) if medians.size else None)
    return {
        str(image): Context(node[1 - int(half)])
        for image, half in dict(zip(images, fold, strict=True)).items()
    }


def _counted(check: Check, item: Item) -> npt.NDArray[np.bool_]:
    if check.metric.whole:
        # One value an answer: its first token stands for it.
        return np.asarray(np.arange(len(item.token_classes)) == 0)
    if isinstance(item, PairedTrace) or check.tokens == "content":
        return item.content
    return item.eligible


def _exclusions(check: Check, item: Item) -> dict[str, int]:
    if check.metric.whole:
        return {}
    rest = ~_counted(check, item)
    reasons: dict[str, int] = {}
    if isinstance(item, Trace):
        reasons = item.exclusions()
        rest &= item.eligible
    for cls, out in zip(item.token_classes, rest, strict=True):
        if out:
            reasons[str(cls)] = reasons.get(str(cls), 0) + 1
    return reasons


def _estimate(
    check: Check, values: dict[str, list[float]], seed: int
) -> tuple[Estimate, dict[str, float]]:
    images = sorted(values)
    if check.holds_for.of == "images":
        per_image = {i: float(np.mean(values[i]) >= 0.5) for i in images}
        return ShareOfImages(int(sum(per_image.values())), len(images)), per_image
    if check.holds_for.of in ("tokens", "answers"):
        sums = [float(np.sum(values[i])) for i in images]
        weights = [float(len(values[i])) for i in images]
        shares = {i: s / w for i, s, w in zip(images, sums, weights, strict=True)}
        return cluster_mean(sums, weights, support=(0.0, 1.0), seed=seed, is_share=True), shares
    of_image = np.mean if check.holds_for.of == "average" else np.median
    per_image = {i: float(of_image(values[i])) for i in images}
    means = [per_image[i] for i in images]
    return cluster_mean(means, support=check.support, seed=seed), per_image


def _speaks_against(check: Check, value: float) -> bool:
    quorum = check.holds_for
    if quorum.value is None:
        return False
    if quorum.of == "images":
        # As `_estimate` has it: half of an image's tokens make the image hold.
        return (value >= 0.5) == (quorum.side == "<=")
    return value < quorum.value if quorum.side == ">=" else value > quorum.value


def _why_nothing(check: Check, evidence: Evidence, items: Sequence[Item], recorded: int) -> str:
    if not items:
        return evidence.why_none(check.metric.needs, check.under)
    if recorded and check.metric.nothing:
        return check.metric.nothing
    if recorded and check.holds_for.of != "mean" and type(check.property).__name__ == "Plateau":
        return (
            "after the settle state too few transitions are left for a plateau "
            "(max(2, 0.1 L) are needed)"
        )
    return f"none of the {recorded} tokens is one that this check counts"


def _finding(
    observation: Observation, decided: tuple[float, float, float] | None, family: int
) -> Finding:
    check, estimate = observation.check, observation.estimate
    bound = Bound(check.holds_for.side, check.holds_for.value, check.unit)
    interval = needed = None
    if estimate is None:
        verdict = Verdict.NOT_APPLICABLE
        message = f"Not applicable: {observation.reason}."
    elif decided is None or bound.value is None:
        verdict = Verdict.DESCRIBED
        interval = _interval(estimate, 1 - 2 * ALPHA, adjusted=False)
        message = f"{_seen(check, estimate)}. No bound is declared: it is described."
    else:
        passes, fails, level = decided
        confidence = 1 - 2 * level
        interval = _interval(estimate, confidence, adjusted=family > 1)
        if passes <= level:
            verdict = Verdict.PASS
        elif fails <= level:
            verdict = Verdict.FAIL
        else:
            verdict = Verdict.INCONCLUSIVE
            if interval.method != "full range" or estimate.n < MIN_IMAGES:
                needed = images_to_decide(estimate, bound.value, confidence)
        message = _message(check, estimate, verdict, needed)
    return Finding(
        check=check.name,
        statement=check.statement,
        stage=check.stage,
        severity=check.severity,
        verdict=verdict,
        observed=None if estimate is None else estimate.value,
        interval=interval,
        bound=bound,
        n=observation.eligible.images,
        eligible=observation.eligible,
        message=message,
        rationale=check.rationale,
        declared=check.declared(),
        source=check.source,
        images_to_decide=needed,
        per_image=observation.per_image,
        counterexamples=list(observation.counterexamples),
    )


def _interval(estimate: Estimate, confidence: float, *, adjusted: bool) -> Interval:
    spread = estimate.spread(confidence)
    # Fewer than five images give the whole support, which may have no end; a document has one.
    low, high = max(spread.low, -MAX_NUMBER), min(spread.high, MAX_NUMBER)
    return Interval(low, high, confidence, spread.method, adjusted=adjusted)


def _seen(check: Check, estimate: Estimate) -> str:
    if isinstance(estimate, ShareOfImages):
        return f"It holds for {estimate.held} of {estimate.n} images ({estimate.value:.0%})"
    if isinstance(estimate, RateDifference):
        one, other = estimate.rates
        names = {
            "correct": ("hallucinated words", "correct ones"),
            "baseline": ("tokens", "the baseline's"),
        }
        first, second = names[str(check.against)]
        return (
            f"It holds for {one:.0%} of the {first} and {other:.0%} of {second}, a difference of "
            f"{100 * estimate.value:+.0f} points"
        )
    if check.holds_for.of in RATES:
        what = "answers" if check.metric.whole else "counted tokens"
        return f"{estimate.value:.0%} of the {what} of {estimate.n} images"
    return f"{estimate.value:.3g} {check.unit}, mean over {estimate.n} images"


def _message(check: Check, estimate: Estimate, verdict: Verdict, needed: int | None) -> str:
    seen = _seen(check, estimate)
    word = "at least" if check.holds_for.side == ">=" else "at most"
    wanted = f"{word} {check.holds_for.value:g} ({check.unit}) is required"
    tail = {
        Verdict.PASS: "the whole interval clears the bound",
        Verdict.FAIL: "the whole interval lies beyond the bound",
    }.get(verdict)
    if tail is None:
        tail = "the interval straddles the bound"
        if isinstance(estimate, RateDifference) and estimate.smaller < MIN_IMAGES:
            tail = f"fewer than {MIN_IMAGES} images of one kind decide nothing"
        elif estimate.n < MIN_IMAGES:
            tail = f"fewer than {MIN_IMAGES} images decide nothing"
        elif needed is not None:
            tail += f"; about {needed} images would decide it if the value stays"
    return f"{seen}; {wanted}: {tail}."
