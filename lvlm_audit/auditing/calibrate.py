"""Calibration: the same weights, other probes. What differs between such audits is noise.

Drawn scenes cost nothing, so the demo model is asked a fresh set each round. Any other probe set is
recorded once, and random disjoint halves of its images stand for two audits.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from lvlm_audit.auditing.gather import Gathered, gather
from lvlm_audit.auditing.plan import plan, with_paper_index
from lvlm_audit.auditing.subject import (
    NOTHING_GIVEN,
    Given,
    choose_probes,
    open_subject,
    probe_source,
    without_eyes,
)
from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.document import Bound, Calibration, Floor, rounded
from lvlm_audit.errors import CheckError, UsageError
from lvlm_audit.notes import distinct
from lvlm_audit.probes.controlled import BY_PROMPT, under_control
from lvlm_audit.progress import OnProgress, renamed
from lvlm_audit.recordings.evidence import Evidence, Recorded
from lvlm_audit.settings.audit import Settings
from lvlm_audit.settings.reading import LensName
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.spec.check import Check
from lvlm_audit.spec.judge import observe
from lvlm_audit.spec.suite import Suite
from lvlm_audit.statistics import MIN_IMAGES

FRESH_ROUNDS, HALVES_ROUNDS = 4, 100
"""Unless told: a fresh round records a whole probe set, a pair of halves records nothing."""

_CONFIDENCE = 0.95
_ByLens = Mapping[LensName, Evidence]


@dataclass(frozen=True, slots=True)
class Noise:
    """How far a check's value moves between audits of the same size.

    Attributes:
        observed: the value itself.
        deviation: standard deviation between audits; None where it cannot be told.
        freedom: degrees of freedom that `deviation` rests on.
        rounds: rounds with a value.
        images: images that count in one audit.
    """

    observed: float | None
    deviation: float | None
    freedom: int
    rounds: int
    images: float


def calibrate(
    suite: Suite,
    settings: Settings,
    *,
    rounds: int | None = None,
    given: Given = NOTHING_GIVEN,
    on_progress: OnProgress | None = None,
) -> Calibration:
    """Measure the noise floor of every check of a suite on one model.

    Args:
        suite: the declared checks.
        settings: model, probes and how to record.
        rounds: sets of fresh probes, or pairs of halves; None: the default of the method.
        given: a model or probes that are in memory already.
        on_progress: called while recording.

    Raises:
        CheckError: the suite has no check.
        UsageError: too few rounds, or too few images to halve.
        LvlmAuditError: the model cannot be opened, read or recorded.
    """
    if not suite.checks:
        raise CheckError(
            f"suite {suite.name!r} has no check: there is no noise floor to measure. Name a folder of "
            f"check_*.py files."
        )
    checkpoint, is_demo = open_subject(settings, given)
    if without_eyes(settings, checkpoint):
        settings = dataclasses.replace(settings, control="text-only")
    method: Literal["fresh probes", "halves of one probe set"] = (
        "fresh probes"
        if is_demo and probe_source(settings, given) == "bundled"
        else "halves of one probe set"
    )
    usual = FRESH_ROUNDS if method == "fresh probes" else HALVES_ROUNDS
    count = usual if rounds is None else rounds
    if count < 2:
        raise UsageError(f"{spelled('rounds')} {count} shows no difference; give at least 2.")
    # Only checks are measured: no report is made that would show the states.
    needs = plan(suite.checks, settings.lens, states=False)
    needs = with_paper_index(needs, suite.checks, settings.mode)
    if method == "fresh probes":
        gathered = []
        for k in range(count):
            told = _in_round(on_progress, k, count)
            gathered.append(
                gather(
                    settings,
                    needs,
                    checkpoint,
                    demo_probes(seed=k),
                    keep=given.keep,
                    on_progress=told,
                )
            )
        sets = [g.evidence for g in gathered]
        noise = {c.name: between(c, [_through(s, c, settings) for s in sets]) for c in suite.checks}
        note = (
            f"{count} audits of the same weights, each on fresh drawn scenes. The standard deviation is "
            f"the one between them."
        )
    else:
        probes = choose_probes(settings, is_demo, given)
        # As they are asked: without their images, equal prompts are one and the same.
        images = len({p.cluster for p in under_control(probes, settings.control).probes})
        unit = "distinct prompts" if settings.control in BY_PROMPT else "images"
        if images < 2 * MIN_IMAGES:
            raise UsageError(
                f"{images} {unit} cannot be halved: a half needs at least {MIN_IMAGES}. Give at "
                f"least {2 * MIN_IMAGES}."
            )
        gathered = [
            gather(settings, needs, checkpoint, probes, keep=given.keep, on_progress=on_progress)
        ]
        evidence = gathered[0].evidence
        noise = {
            c.name: within(c, _through(evidence, c, settings), count, seed=settings.seed)
            for c in suite.checks
        }
        note = (
            f"One recording of {images} {unit}, split {count} times into two random halves that share "
            f"none. Halves of m of n {unit} differ with a variance of 2 s^2 / m, audits of all n have "
            f"one of s^2 / n each: the halves' root mean square difference is scaled by sqrt(m / 2n)."
        )
    return Calibration(
        model=settings.model or "demo",
        lens=settings.lens,
        probes=probe_source(settings, given),
        method=method,
        rounds=count,
        floors=[floor(c, noise[c.name]) for c in suite.checks if c.bounded],
        note=note,
        provenance=_provenance(suite, settings, gathered),
        notes=list(distinct(note for one in gathered for note in one.notes)),
    )


def between(check: Check, sets: Sequence[Evidence]) -> Noise:
    """Noise between audits of independent probe sets of the same size."""
    seen = [observe(check, evidence) for evidence in sets]
    values = [o.estimate.value for o in seen if o.estimate is not None]
    images = [o.eligible.images for o in seen if o.estimate is not None]
    return Noise(
        observed=float(np.mean(values)) if values else None,
        deviation=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        freedom=len(values) - 1,
        rounds=len(values),
        images=float(np.mean(images)) if images else 0.0,
    )


def within(check: Check, evidence: Evidence, rounds: int, *, seed: int) -> Noise:
    """Noise of an audit of all images, from differences between random halves of them.

    For a mean over images, a difference of disjoint halves of m of n images has the variance
    2 s^2 / m in the long run of splits (sampling without replacement; Cochran 1977, sec. 2.6), s^2 being
    the images' sample variance. An audit of n fresh images has s^2 / n. Shares of tokens follow in
    the first order. However often the images are split, there are n of them: n - 1 degrees of freedom.
    """
    whole = observe(check, evidence)
    if whole.estimate is None:
        return Noise(None, None, 0, 0, 0.0)
    # Only images that count: else halves would be of unequal size by chance.
    images = sorted(whole.per_image)
    half, rng = len(images) // 2, np.random.default_rng(seed)
    differences = []
    for _ in range(rounds if half else 0):
        order = [images[i] for i in rng.permutation(len(images))]
        parts = [
            observe(check, _only(evidence, set(names))).estimate
            for names in (order[:half], order[half : 2 * half])
        ]
        if parts[0] is not None and parts[1] is not None:
            differences.append(parts[0].value - parts[1].value)
    deviation = None
    if len(differences) > 1:
        # The two halves are exchangeable, so the differences are around zero by construction.
        size = math.sqrt(float(np.mean(np.square(differences))))
        deviation = size * math.sqrt(half / (2 * len(images)))
    return Noise(
        whole.estimate.value, deviation, len(images) - 1, len(differences), float(len(images))
    )


def floor(check: Check, noise: Noise) -> Floor:
    """What the noise says about the check's bound.

    The floor is t * sqrt(2) * deviation: the 95 % range of a difference between two audits, each of
    which has that deviation.
    """
    bound = Bound(check.holds_for.side, check.holds_for.value, check.unit)
    size = margin = None
    if noise.deviation is not None and noise.freedom > 0:
        t = float(stdtrit(noise.freedom, 0.5 + _CONFIDENCE / 2))
        size = t * math.sqrt(2) * noise.deviation
    if noise.observed is not None and bound.value is not None:
        margin = (noise.observed - bound.value) * (1 if bound.op == ">=" else -1)
    return Floor(
        check=check.name,
        severity=check.severity,
        observed=rounded(noise.observed),
        deviation=rounded(noise.deviation),
        floor=rounded(size),
        bound=bound,
        margin=rounded(margin),
        inside=size is not None and margin is not None and abs(margin) <= size,
        rounds=noise.rounds,
        images=noise.images,
    )


def _only(evidence: Evidence, images: set[str]) -> Evidence:
    recorded = {
        key: Recorded([i for i in one.items if i.asked.cluster in images], one.reason)
        for key, one in evidence.recorded.items()
    }
    return dataclasses.replace(evidence, recorded=recorded)


def _through(evidence: _ByLens, check: Check, settings: Settings) -> Evidence:
    return evidence[check.lens or settings.lens]


def _in_round(on_progress: OnProgress | None, k: int, count: int) -> OnProgress | None:
    return renamed(on_progress, lambda what: f"round {k + 1} of {count}: {what}")


def _provenance(
    suite: Suite, settings: Settings, gathered: Sequence[Gathered]
) -> dict[str, object]:
    first = dict(gathered[0].provenance)
    first["probes"] = [g.provenance["probes"] for g in gathered]
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "suite": suite.name,
        "seed": settings.seed,
        "resolved": gathered[0].resolved,
        **first,
    }
