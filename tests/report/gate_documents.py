"""Synthetic audits that are held against a baseline: unchanged, worse, undecided, fed otherwise, updated."""

from __future__ import annotations

import dataclasses
from typing import Any

from lvlm_audit.document import (
    AskedProbe,
    Audit,
    Bound,
    Change,
    ChangedAnswer,
    ChangedAnswers,
    Comparison,
    Difference,
    FedDifference,
    Finding,
    GateReading,
    Interval,
    MovedCurve,
    Named,
    Outcome,
    Rounding,
    Severity,
    Stage,
    Verdict,
)
from tests.report import documents

RIGHT, INFORMS, WRONG, BITS = "right_answers", "image_informs", "wrong_words", "reference_bits"
KINDS = ("naming", "colour", "count", "yes/no")


def description(check: str, stage: Stage, observed: float | None, unit: str) -> Finding:
    """A finding without bound."""
    return documents.finding(
        check,
        stage,
        Verdict.DESCRIBED if observed is not None else Verdict.NOT_APPLICABLE,
        observed,
        Bound(">=", None, unit),
        interval=None
        if observed is None
        else Interval(0.8 * observed, 1.2 * observed, 0.95, "cluster bootstrap and t"),
        message="It is observed. No bound is declared: it is described.",
    )


def change(check: str, outcome: Outcome, **values: Any) -> Change:
    """A change in bits that excludes a loss, unless it is told otherwise."""
    given: dict[str, Any] = {
        "check": check,
        "statement": f"what {check} asks for is kept",
        "severity": Severity.ERROR,
        "outcome": outcome,
        "unit": "bits",
        "now": 4.9,
        "before": 5.0,
        "change": -0.1,
        "interval": Interval(-0.42, 0.21, 0.9875, "cluster bootstrap and t", True),
        "limit": -1.0,
        "n": 24,
        "sentence": f"{check} fell by 0.1 [-0.21, 0.42] bits; a fall of more than 1.0 bits is excluded",
        "short": f"{check} fell by 0.1 bits",
        **values,
    }
    return Change(**given)


def family(outcome: Outcome = Outcome.EXCLUDED) -> list[Change]:
    """Four deciding checks, all of one outcome."""
    rate = Interval(-0.04, 0.04, 0.9875, "score", True)
    none = {"now": 0.83, "before": 0.83, "change": 0.0, "interval": rate, "limit": -0.1}
    return [
        change(
            RIGHT, outcome, unit="share of answers", lost=1, gained=1, **none,
            sentence="right answers stayed at 20 of 24 (1 lost, 1 gained)",
            short="right answers stayed at 20 of 24",
        ),
        change(
            WRONG, outcome, unit="share of labelled words",
            **{**none, "now": 0.06, "before": 0.05, "change": 0.01, "limit": 0.1},
            sentence="wrong words rose from 2 of 40 to 3 of 40", short="wrong words rose from 2 to 3",
        ),
        change(BITS, outcome),
        change(INFORMS, outcome),
    ]  # fmt: skip


def worse() -> list[Change]:
    """Two losses that are shown, one undecided, one that could not be compared."""
    _, wrong, bits, informs = family()
    return [
        change(
            RIGHT, Outcome.SHOWN, unit="share of answers", now=0.375, before=20 / 24, change=-11 / 24,
            interval=Interval(-0.67, -0.21, 0.9875, "score", True), limit=-0.1, lost=11, gained=0,
            sentence="right answers fell from 20 to 9 of 24 (11 lost, none gained), a change of -46 points "
            "[-67, -21]; a fall of up to 10 points is tolerated",
            short="right answers fell from 20 to 9", worst=["scene-0001", "elsewhere"],
        ),
        dataclasses.replace(
            wrong, outcome=Outcome.UNDECIDED, now=0.12, change=0.07, images_to_exclude=72,
            interval=Interval(-0.02, 0.21, 0.9875, "score", True),
            sentence="wrong words rose by 7 points [-2, 21]; whether it is a rise of more than the tolerated "
            "10 points is undecided; about 72 images would exclude it, if the values stay",
            short="wrong words rose by 7 points",
        ),
        dataclasses.replace(
            bits, outcome=Outcome.NOT_COMPARED, now=None, before=None, change=None, interval=None,
            limit=None, n=0, sentence=f"{BITS} is not compared: no image in common",
            short=f"{BITS} is not compared",
        ),
        dataclasses.replace(
            informs, outcome=Outcome.SHOWN, now=2.1, change=-2.9, worst=["scene-0003"],
            interval=Interval(-4.8, -1.04, 0.9875, "cluster bootstrap and t", True),
            sentence="the image's advantage fell by 2.9 [1.0, 4.8] bits (from 5.0 bits); a fall of up to 1.0 "
            "bits is tolerated",
            short="the image's advantage fell by 2.9 [1.0, 4.8] bits",
        ),
    ]  # fmt: skip


def changed(count: int = 13, ties: int = 2) -> ChangedAnswers:
    """Answers that changed, the lost ones first, ties last."""
    pairs = (
        ("Two green tomatoes and a sun.", "Two green tomatoes and a blue leaf."),
        ("The leaf is purple.", "The leaf is red."),
        ("Yes, there is a snowman.", "No, I do not see a snowman."),
    )
    tie = ("Yes, I see a leaf.", "No, I do not see a leaf.")
    return ChangedAnswers(
        compared=24,
        changed=count,
        ties=ties,
        floor=0.0123,
        examples=[
            ChangedAnswer(
                id=f"scene-{i:04d}",
                cluster=f"scene-{i // 2:04d}",
                before=(tie if i >= count else pairs[i % 3])[0],
                now=(tie if i >= count else pairs[i % 3])[1],
                token=2,
                tie=i >= count,
                right_before=True if i < 11 else None,
                right_now=False if i < 11 else None,
            )
            for i in range(count + ties)
        ],
    )


def curve(name: str, unit: str, axis: str, states: int = 31, *, moves: bool = True) -> MovedCurve:
    """A difference that is clear of 0 late, with a gap at the first state."""
    middle = [-0.3 * max(0.0, (i - 18) / states) if moves else 0.001 for i in range(states)]
    relative = axis == "share of depth"
    at = [i / (states - 1) if relative else float(i) for i in range(states)]
    return MovedCurve(
        name=name,
        unit=unit,
        axis=axis,
        at=at,
        difference=[None, *middle[1:]],
        low=[None, *[v - 0.03 for v in middle[1:]]],
        high=[None, *[v + 0.03 for v in middle[1:]]],
        starts=at[22] if moves else None,
        n=24,
    )


def comparison(**values: Any) -> Comparison:
    """With a parent, nothing lost."""
    moved = Interval(-0.11, 0.02, 0.95, "simultaneous bootstrap", True)
    clear = Interval(0.4, 1.3, 0.95, "simultaneous bootstrap", True)
    given: dict[str, Any] = {
        "baseline_model": "parent",
        "baseline_created": "2026-11-20T10:00:00+00:00",
        "changes": family(),
        "conditions": [
            Named(what="dtype", here="int8", there="bfloat16"),
            Named(what="threads", here="2", there="1"),
        ],
        "answers": changed(0, 0),
        "differences": [
            Difference("image_matters", 0.0712, 0.065, -0.045, moved, 24, ""),
            Difference("settle state", 24.1, 23.2, 0.85, clear, 24, "", "states"),
            Difference("late reversals", 0.2, 0.21, -0.01, None, 3, "too few images", "share"),
        ],
        "curves": [
            curve("probability of the emitted token", "probability", "state"),
            curve("JSD between neighbouring states", "bits", "transition", 30, moves=False),
            curve("JSD between own image and no image", "bits", "share of depth"),
        ],
        "note": "The audits were made under other conditions (threads).",
        **values,
    }
    return Comparison(**given)


def asked(count: int = 24) -> list[AskedProbe]:
    """Two questions about each picture; of one kind only a few, of one nobody knows what is right."""
    kinds = [KINDS[i % 3] if i < count - 3 else KINDS[3] for i in range(count)]
    return [
        AskedProbe(
            id=f"scene-{i:04d}",
            cluster=f"scene-{i // 2:04d}",
            kind=kind,
            answer="a leaf",
            tokens=[1, 2, 3],
            right=None if kind == "naming" else i % 4 != 0,
            words_asked=2,
            words_found=1 + i % 2,
        )
        for i, kind in enumerate(kinds)
    ]


def _held(verdict: Verdict, headline: str, against: Comparison, **values: Any) -> Audit:
    """An audit that is judged by its losses, with checks, descriptions and a measured floor."""
    gate: GateReading = values.pop("gate", GateReading(fail_on="regression", inconclusive="warn"))
    probes: int = values.pop("probes", 4)
    found = [
        *documents.findings()[:5],
        documents.findings()[5],
        description(RIGHT, Stage.WHOLE_ANSWER, 0.375, "share of answers"),
        description(INFORMS, Stage.WHOLE_ANSWER, 2.1, "bits"),
        description(WRONG, Stage.WHOLE_ANSWER, 0.12, "share of labelled words"),
        description(BITS, Stage.WHOLE_ANSWER, 2.9, "bits"),
        description("late_switches", Stage.MUTATION, 0.41, "share of tokens"),
        description("level_gap", Stage.WHOLE_ANSWER, 0.05, "share of depth"),
        description("not_seen", Stage.WHOLE_ANSWER, None, "bits"),
    ]
    deciding = {RIGHT, WRONG, BITS, INFORMS}
    return documents.audit(
        probes,
        verdict=verdict,
        headline=headline,
        findings=[
            dataclasses.replace(f, severity=Severity.ERROR) if f.check in deciding else f
            for f in found
        ],
        subject=documents.subject(demo=False),
        comparison=against,
        gate=gate,
        asked=asked(),
        rounding=Rounding(
            floor=0.0123, probes=4, tokens=61, runs=["batch of 1, 1 thread", "batch of 8, 2 threads"]
        ),
        **values,
    )  # fmt: skip


def unchanged() -> Audit:
    """The same weights with other threads: one answer hangs on rounding."""
    return _held(
        Verdict.PASS,
        "No loss beyond what is tolerated is shown: 0 of 24 answers changed.",
        comparison(answers=changed(0, 1)),
    )


FED = [
    FedDifference(
        what="processor: image_mean", here="[0.5, 0.5, 0.5]", there="[0.48, 0.457, 0.408]"
    ),
    FedDifference(what="chat template", here="USER: {q}", there="<user>{q}</user>"),
]


def red(**values: Any) -> Audit:
    """Worse in two of four checks, and fed otherwise."""
    return _held(
        Verdict.FAIL,
        "2 of 4 deciding checks failed (right_answers, image_informs): processor image_mean and chat template "
        "differ; 13 of 24 answers changed; right answers fell from 20 to 9.",
        comparison(
            changes=worse(),
            fed=FED,
            answers=changed(),
            gone=["levels_agree"],
            new=["late_switches"],
        ),
        gate=GateReading(
            fail_on="regression",
            inconclusive="warn",
            red=[RIGHT, INFORMS],
            undecided=[WRONG],
            left_out=["image_kept_late"],
        ),
        **values,
    )


def undecided(inconclusive: str = "fail") -> Audit:
    """Nothing is shown, and two checks stayed open: red or not, as the run asks for it."""
    right, _, _, informs = family(Outcome.UNDECIDED)
    _, wrong, bits, _ = family()
    right, informs = (dataclasses.replace(one, images_to_exclude=48) for one in (right, informs))
    return _held(
        Verdict.FAIL if inconclusive == "fail" else Verdict.PASS,
        "No loss is shown, but 2 of 4 deciding checks stayed undecided: right_answers, image_informs.",
        comparison(changes=[right, wrong, bits, informs], answers=changed(3, 0)),
        gate=GateReading(
            fail_on="regression", inconclusive=inconclusive, undecided=[RIGHT, INFORMS]
        ),
    )


def fed_differently() -> Audit:
    """Many settings differ, and nothing is lost."""
    many = [
        FedDifference(what=f"generation: setting_{i}", here=str(i), there="not set")
        for i in range(30)
    ]
    return _held(
        Verdict.PASS, "No loss beyond what is tolerated is shown.", comparison(fed=[*FED, *many])
    )


def mismatched() -> Audit:
    """Other probes were asked: nothing is held against anything."""
    return _held(
        Verdict.FAIL,
        "Nothing could be judged: this audit cannot be compared with the baseline 'parent'.",
        Comparison(
            baseline_model="parent",
            baseline_created="2026-11-20T10:00:00+00:00",
            changes=[
                change(name, Outcome.NOT_COMPARED, now=None, before=None, change=None, interval=None,
                       limit=None, n=0, sentence=f"{name} is not compared: no image in common", short="")
                for name in (RIGHT, INFORMS)
            ],
            mismatch=["lens: normed here, raw in the baseline", "shared images: none, and 6 are needed"],
        ),
    )  # fmt: skip


def anchored(**values: Any) -> Audit:
    """Worse than its anchor as well as its baseline: everything that a comparison can hold, twice."""
    first = comparison(
        changes=worse(), fed=FED, answers=changed(), mismatch=["seed of the draw: 0 here, 1 there"],
        gone=["levels_agree"], new=["late_switches"], anchor=True, baseline_model="first",
    )  # fmt: skip
    return red(anchor=first, **values)
