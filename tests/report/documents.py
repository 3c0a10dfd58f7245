"""Synthetic audit documents for the renderers' tests: plausible curves, no model and no torch."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

from lvlm_audit.document import (
    Audit,
    BlockSet,
    Bound,
    ClassComparison,
    ClassMeasure,
    ClassValue,
    CommonStep,
    Comparison,
    CorrectionsReading,
    DecoderComparison,
    Difference,
    Eligibility,
    FeatureReading,
    Finding,
    GroundingReading,
    HallucinationReading,
    Interval,
    InterventionReading,
    KindScore,
    LabelledToken,
    LayerSummary,
    Level,
    Node,
    Nomination,
    Plane,
    ProbeReading,
    Quantity,
    RedecodedAnswer,
    Reversal,
    Severity,
    SideBySide,
    SideDifference,
    SignalScore,
    SkipEffect,
    SkipReading,
    Stage,
    StageReading,
    StateMap,
    Subject,
    TokenReading,
    Uses,
    Verdict,
    WordFate,
    WordShare,
)
from lvlm_audit.report.drawing import raster

SENTENCES = (
    ("A blue banana lies next to a red heart.", "What is in the image?"),
    ("There are two green tomatoes and a sun.", "Describe the picture."),
    ("The colour of the leaf is purple.", "What is the color of the leaf?"),
    ("Yes, there is a snowman.", "Is there a snowman in the image?"),
)
FUNCTION = {"A", "a", "to", "next", "There", "are", "and", "The", "of", "the", "is", "Yes", "there"}


def picture(seed: int, size: int = 48) -> str:
    """A small PNG as a thumbnail."""
    draw = random.Random(seed)
    cells = [[(x * draw.randint(1, 3) + y) % 255 for x in range(size)] for y in range(size)]
    return raster.data_uri(raster.png(cells))


def token(
    text: str, kind: str, blocks: int, seed: int, *, flip: bool = False, grounding: bool = True
) -> TokenReading:
    """One token whose probability rises late, and flips in the last quarter if asked."""
    draw = random.Random(seed)
    states = blocks + 1
    turn = blocks * (0.72 + 0.12 * draw.random())
    peak = 0.55 + 0.44 * draw.random()
    sharp = 6.0 / max(2.0, blocks * 0.2)
    curve = [peak / (1 + math.exp(-sharp * (j - turn))) for j in range(states)]
    late = max(1, blocks - 2)
    if flip:
        curve = [v if j >= late else 0.35 * v for j, v in enumerate(curve)]
    rival = [
        max(0.0, 0.6 * v * (1 - (j >= late))) if flip else 0.12 * v for j, v in enumerate(curve)
    ]
    shallow = blocks * 0.35
    jsd = [
        min(1.0, 0.55 * math.exp(-i / max(1, shallow)) * (0.7 + 0.6 * draw.random()) + 0.012)
        for i in range(blocks)
    ]
    jsd[-1] = min(1.0, 0.18 + 0.3 * draw.random())
    if flip:
        jsd[late - 1] = 0.62
    critical = next((j for j, v in enumerate(curve) if v > 0.5 * peak), None)
    words = ("the", "ing", "\n", " a", "fruit", " yellow", " apple")
    leaders = [words[draw.randrange(7)] if v < 0.3 else text for v in curve]
    eligible = kind not in {"special", "continuation"}
    return TokenReading(
        text=text,
        id=draw.randrange(49152),
        kind=kind,
        eligible=eligible,
        probability=[round(v, 4) for v in curve],
        nucleus=[round(min(1.0, 1.05 * v), 4) for v in curve],
        divergence=[round(v, 4) for v in jsd],
        leaders=leaders,
        leader_probability=[round(max(v, 0.08 + 0.2 * draw.random()), 4) for v in curve],
        grounding=[round(0.4 * v, 4) for v in curve] if grounding else None,
        onset=None if critical is None else max(0, critical - 2),
        critical=critical,
        settle=None if critical is None else min(blocks, critical + 2),
        saturation=critical,
        mutations=[late] if flip else [],
        terminal_change=False,
        without_image=[round(0.7 * v, 4) for v in curve] if grounding else None,
        rivals=[{"text": " yellow", "probability": [round(v, 4) for v in rival]}],
    )


def probe(
    number: int, blocks: int = 30, *, tokens: int | None = None, image: bool = True
) -> ProbeReading:
    """One probe with an answer of words."""
    answer, prompt = SENTENCES[number % len(SENTENCES)]
    pieces = answer.replace(".", " .").replace(",", " ,").split(" ")
    if tokens is not None:
        pieces = [pieces[i % len(pieces)] for i in range(tokens)]
    readings = []
    for place, piece in enumerate(pieces):
        kind = "punctuation" if piece in ".," else "function" if piece in FUNCTION else "content"
        flip = kind == "content" and (number + place) % 4 == 0
        text = piece if place == 0 or piece in ".," else " " + piece
        readings.append(token(text, kind, blocks, 100 * number + place, flip=flip))
    if tokens is None:
        readings.append(token("<|im_end|>", "special", blocks, 7, grounding=False))
    return ProbeReading(
        id=f"scene-{number:04d}",
        cluster=f"scene-{number // 2:04d}",
        prompt=prompt,
        image=picture(number) if image else None,
        reference=answer if number % 3 else None,
        answer=answer,
        labels={"objects": ["banana", "heart"], "kind": "open"} if number % 2 else {},
        tokens=readings,
    )


def finding(
    check: str,
    stage: Stage,
    verdict: Verdict,
    observed: float | None,
    bound: Bound,
    severity: Severity = Severity.WARN,
    **changes: Any,
) -> Finding:
    """One finding with plausible company."""
    interval = None
    if observed is not None:
        half = (
            0.12 if bound.unit.startswith("share") or bound.unit == "probability" else observed / 3
        )
        interval = Interval(
            max(0.0, observed - half), min(observed + half, 1.0), 0.95, "cluster bootstrap", True
        )
    draw = random.Random(check)
    values: dict[str, Any] = {
        "check": check,
        "statement": f"what {check.replace('_', ' ')} asks for holds in the model's answers",
        "stage": stage,
        "severity": severity,
        "verdict": verdict,
        "observed": observed,
        "interval": interval,
        "bound": bound,
        "n": 0 if observed is None else 16,
        "eligible": Eligibility(16, 148, 18, 203, {"end of sequence": 18, "continuation": 37}),
        "message": "Observed on 16 images; the whole interval lies on one side of the bound."
        if verdict in {Verdict.PASS, Verdict.FAIL}
        else "The interval straddles the bound: more probes would decide.",
        "rationale": "Chosen before the audit: half of the images could miss it by wording alone.",
        "declared": {
            "metric": "token_probability",
            "property": {"name": "Rise", "until": "settle", "max_downward": 0.25},
            "holds_for": {"at_least": 0.7, "of": "images"},
        },
        "source": "check_rapid_evolution.py",
        "per_image": {
            f"scene-{i:04d}": (observed or 0) * draw.uniform(0.6, 1.2) for i in range(16)
        },
        "counterexamples": ["scene-0003", "scene-0001"],
    }
    values.update(changes)
    return Finding(**values)


def node(state: float | None, width: float = 1.5) -> Node:
    """A located node."""
    if state is None:
        return Node(None, None, None, 1.0)
    interval = Interval(state - width, state + width, 0.95, "cluster bootstrap")
    return Node(state, interval, 2.0, 0.08)


def stages(blocks: int = 30) -> StageReading:
    """Three levels: three stages, rise and plateau, not measured."""
    critical = round(0.77 * blocks)
    late = sorted({max(critical + 1, blocks - 2), blocks - 1})
    return StageReading(
        blocks=blocks,
        pattern="three stages",
        evidence=f"The emitted token rises up to state {critical}, holds, and changes again late.",
        critical_layer=critical,
        mutation_layers=late,
        mutation_share=[0.0] * (blocks - 2) + [0.14, 0.11, 0.0],
        terminal_share=0.06,
        levels=[
            Level(
                "probability",
                True,
                "three stages",
                "rise tested on the other half of the images",
                node(critical),
                node(critical - 3, 1.0),
                node(min(blocks, critical + 2), 1.0),
                late,
            ),
            Level(
                "distribution",
                True,
                "rise and plateau",
                "neighbour JSD collapses once, in one step",
                node(critical - 4.5),
            ),
            Level("feature", False, "not measured", "features were not kept in this run"),
        ],
        levels_agree=True,
        note="The lens reads what each state would say if the model stopped there. It is a reading, "
        "not knowledge itself.",
    )


def layers(blocks: int = 30) -> list[LayerSummary]:
    """Three curves, one with a gap."""
    rise = [1 / (1 + math.exp(-0.8 * (j - 0.77 * blocks))) for j in range(blocks + 1)]
    fall = [0.5 * math.exp(-i / max(1, 0.3 * blocks)) + 0.01 for i in range(blocks)]
    gap: list[float | None] = [None, *[12.0 - 11 * v for v in rise[1:]]]
    return [
        _summary("probability", "probability", "state", list(rise)),
        _summary("divergence", "bits", "transition", list(fall)),
        _summary("entropy", "bits", "state", gap),
    ]


def _summary(name: str, unit: str, axis: str, median: list[float | None]) -> LayerSummary:
    return LayerSummary(
        name,
        unit,
        axis,
        median,
        [None if v is None else 0.8 * v for v in median],
        [
            None if v is None else min(1.15 * v, 1.0 if unit == "probability" else 99)
            for v in median
        ],
    )


def subject(blocks: int = 30, *, demo: bool = True) -> Subject:
    """The demo model, or another."""
    return Subject(
        model="demo" if demo else "llava-1.5-7b",
        is_demo=demo,
        resolved="lvlm-audit-demo" if demo else "llava-hf/llava-1.5-7b-hf",
        architecture="LlavaForConditionalGeneration",
        blocks=blocks,
        width=576,
        vocabulary=49152,
        dtype="bfloat16",
        device="cpu",
        lens="normed",
        anatomy={"blocks": f"model.language_model.layers ({blocks})", "norm": "model.norm"},
        note="SmolLM2-135M-Instruct, dequantised 4-bit, behind a small vision tower."
        if demo
        else "",
    )


IMAGES = Bound(">=", 0.70, "share of images")
BITS = Bound(">=", 0.02, "bits")


def findings() -> list[Finding]:
    """All verdicts, both severities, all stages, several units."""
    error = Severity.ERROR
    return [
        finding("answer_forms", Stage.RAPID_EVOLUTION, Verdict.PASS, 0.875, IMAGES, error),
        finding(
            "beats_distractor",
            Stage.RAPID_EVOLUTION,
            Verdict.FAIL,
            0.31,
            Bound(">=", 0.5, "probability"),
            error,
        ),
        finding("image_matters", Stage.WHOLE_ANSWER, Verdict.PASS, 0.0712, BITS, error),
        finding(
            "image_kept",
            Stage.WHOLE_ANSWER,
            Verdict.INCONCLUSIVE,
            0.52,
            Bound(">=", 0.5, "share of images"),
            images_to_decide=74,
        ),
        finding("settles_early", Stage.STABILIZATION, Verdict.PASS, 0.93, IMAGES),
        finding("plateau_holds", Stage.STABILIZATION, Verdict.NOT_APPLICABLE, None, IMAGES),
        finding(
            "late_switch_bounded",
            Stage.MUTATION,
            Verdict.FAIL,
            0.41,
            Bound("<=", 0.2, "share of tokens"),
        ),
        finding(
            "levels_agree",
            Stage.WHOLE_ANSWER,
            Verdict.PASS,
            0.05,
            Bound("<=", 0.15, "share of depth"),
        ),
    ]


def grounding(blocks: int = 30) -> GroundingReading:
    """An image that enters in the middle and is kept."""
    curve = [0.9 * j / blocks for j in range(blocks + 1)]
    share = Quantity(0.93, Interval(0.85, 1.0, 0.95, "cluster bootstrap"))
    return GroundingReading(
        measured=True,
        words="The image enters at state 14 (10 % of the peak). Late layers do not give the image up.",
        images=16,
        tokens=61,
        ungrounded=3,
        minimum=0.05,
        enters=node(14.0),
        half=node(22.0),
        peak=Quantity(0.84, Interval(0.7, 0.9, 0.95, "cluster bootstrap")),
        left_before_last=share,
        left_at_last=share,
        curves=[
            _summary("own image against no image", "bits", "state", curve),
            _summary(
                "own image against another probe's image", "bits", "state", [v / 2 for v in curve]
            ),
        ],
    )


def decoder(blocks: int = 30) -> DecoderComparison:
    """The decoder alone: a rise without a plateau, three states earlier."""
    interval = Interval(-4.0, -2.0, 0.95, "cluster bootstrap")
    everything = Interval(-1.0, 1.0, 0.95, "full range")
    return DecoderComparison(
        asked="The language model inside this model was asked the same prompts without any image.",
        words="The paper reports that a language model alone shows no clear stages. That is seen here.",
        prompts=12,
        tokens=96,
        stages=stages(blocks),
        layers=layers(blocks)[:2],
        differences=[
            SideDifference("critical (probability)", "states", 21.0, 24.0, -3.0, interval),
            SideDifference("late mutation", "share of tokens", 0.25, 0.5, -0.25, everything),
            SideDifference("settle", "states", 26.0, None, None, None),
        ],
    )


def uses(probes: int = 4) -> Uses:
    """A few nominations and reversals."""
    return Uses(
        removable=[Nomination(12, 0.0041, 0.97), Nomination(14, 0.0053, 0.95)],
        removable_note="Nominated by the plateau, uncertified: skip the block and measure the output.",
        reversals=[
            Reversal(f"scene-{i:04d}", " blue", 1, 28, " yellow", " blue", 0.31)
            for i in range(min(probes, 3))
        ],
        reversals_note="Uncertified: no base rate yet.",
    )


def classes() -> ClassComparison:
    """Two measures: punctuation settles earlier, and no class mutates more than another."""
    method = "cluster bootstrap and t"
    state = [
        ClassValue("content", 61, 16, 23.5, Interval(22.1, 24.9, 0.95, method)),
        ClassValue(
            "punctuation",
            22,
            14,
            19.0,
            Interval(17.5, 20.5, 0.95, method),
            4.25,
            Interval(2.1, 6.4, 0.99, method, True),
            14,
            True,
        ),
        ClassValue("copied", 0, 0, None, None),
    ]
    share = [
        ClassValue("content", 61, 16, 0.18, Interval(0.07, 0.39, 0.95, method)),
        ClassValue(
            "function",
            48,
            16,
            0.0,
            Interval(0.0, 0.22, 0.95, method),
            0.18,
            Interval(-0.02, 0.38, 0.99, method, True),
            16,
        ),
    ]
    return ClassComparison(
        tokens={"content": 61, "function": 48, "copied": 0, "punctuation": 22},
        measures=[
            ClassMeasure("settle state", "state", "First state that stays.", state),
            ClassMeasure("late mutation", "share of tokens", "A leader is replaced.", share),
        ],
        differences=["settle state: content words are higher than punctuation by 4.25 states."],
        summary="Classes differ in settle state (content against punctuation).",
        note="Told apart by an English list of stop words.",
        excluded={"continuation": 37},
    )


def state_map(of: str, rows: int, blocks: int) -> StateMap:
    """A fan of paths."""
    x = [[round(1000 * j / max(1, blocks)) for j in range(blocks + 1)] for _ in range(rows)]
    y = [
        [
            500 + round((t - rows / 2) * 40 * max(0.0, j / max(1, blocks) - 0.6))
            for j in range(blocks + 1)
        ]
        for t in range(rows)
    ]
    planes = [Plane("PCA", "48% of the variance", x, y), Plane("t-SNE", "perplexity 35", y, x)]
    return StateMap(of, "scene-0000", [f" word{t}" for t in range(rows)], planes)


def features(blocks: int = 30) -> FeatureReading:
    """Curves, a guitar and two maps; one curve falls below zero."""
    body = round(0.8 * blocks)
    fan = [0.03 if j < body else 0.2 for j in range(blocks + 1)]
    cka = [-0.2 + 1.2 * j / max(1, blocks) for j in range(blocks + 1)]
    curves = [
        _summary("spread of an answer's tokens", "half turns", "state", list(fan)),
        _summary("debiased CKA to the final state", "CKA", "state", list(cka)),
    ]
    return FeatureReading(
        images=12,
        tokens=96,
        curves=curves,
        continuity=0.92,
        continuity_interval=Interval(0.9, 0.94, 0.95, "cluster bootstrap"),
        continuity_chance=0.0085,
        common_step=CommonStep(
            prompt="Describe the picture.",
            prefix="A",
            images=24,
            pattern="fan-out",
            evidence="A guitar.",
            words={" yellow": 20, " pink": 4},
            curves=[_summary("spread of the images", "half turns", "state", list(fan))],
            neck=0.03,
            neck_interval=Interval(0.02, 0.04, 0.95, "cluster bootstrap"),
            body=0.2,
            body_interval=Interval(0.19, 0.21, 0.95, "cluster bootstrap"),
            fan_out=body,
            fan_out_interval=Interval(body, body, 0.95, "cluster bootstrap"),
            support=0.994,
        ),
        maps=[state_map("tokens", 12, blocks), state_map("images", 19, blocks)],
        note="Read off the states themselves.",
    )


def hallucination(probes: int = 4) -> HallucinationReading:
    """Two signals, one that was not measured, a combination, and a few labelled words."""
    wide = Interval(0.38, 0.61, 0.95, "cluster bootstrap")
    narrow = Interval(0.58, 0.83, 0.95, "cluster bootstrap")

    def score(
        name: str, auroc: float | None, interval: Interval | None, **more: Any
    ) -> SignalScore:
        values: dict[str, Any] = {
            "name": name,
            "statement": f"what makes a word suspicious by {name}",
            "source": "Somebody 2024, arXiv 2400.00000",
            "auroc": auroc,
            "auroc_interval": interval,
            "average_precision": None if auroc is None else 0.44,
            "ap_interval": None if auroc is None else Interval(0.3, 0.6, 0.95, "cluster bootstrap"),
            "n_hallucinated": 8,
            "n_correct": 24,
            "n_images": 12,
            "rate_on_correct": 0.21,
            "rate_on_hallucinated": 0.5,
            "threshold": 0.1,
            "own_threshold": True,
            "over_baseline": None if auroc is None else 0.08,
            "over_baseline_interval": None
            if auroc is None
            else Interval(-0.1, 0.2, 0.95, "cluster bootstrap"),
            "prior_driven": KindScore(0.6, wide, 0.3, wide, 3, 24, 9),
            "misread": KindScore(None, None, None, None, 0, 24, 9, "no such word"),
            **more,
        }
        return SignalScore(**values)

    return HallucinationReading(
        scheme="POPE: everything else counts as yes",
        words="8 of 32 labelled words are hallucinated; lead loss finds them best.",
        images=12,
        labelled=32,
        hallucinated=8,
        base_rate=0.25,
        base_rate_interval=Interval(0.12, 0.4, 0.95, "cluster bootstrap and t"),
        prior_driven=3,
        not_eligible=2,
        baseline="final_probability",
        signals=[
            score("lead_loss", 0.71, narrow),
            score("churn", 0.5, wide),
            score(
                "image_confidence",
                None,
                None,
                note="Not measured: the image holds no positions.",
            ),
        ],
        combination=score("combination", 0.74, narrow),
        tokens=[
            LabelledToken(
                probe=f"scene-{i:04d}",
                token=" blue" if i % 4 == 0 else " green",
                position=1,
                truth="hallucinated" if i % 2 == 0 else "correct",
                expected="yellow" if i % 4 == 0 else None,
                prior_driven=True if i % 4 == 0 else None,
                signals={"lead_loss": 0.2, "churn": 3.0, "image_confidence": None},
                suspicion=0.9 - i / 100,
                state=24 if i % 4 == 0 else None,
                before=" red" if i % 4 == 0 else None,
                after=" blue" if i % 4 == 0 else None,
            )
            for i in range(probes)
        ],
    )


def corrections() -> CorrectionsReading:
    """One decoding that was measured, one skip set that could not be formed."""
    interval = Interval(0.05, 0.6, 0.95, "cluster bootstrap and t")
    return CorrectionsReading(
        scheme="POPE: everything else counts as yes",
        words="DoLa corrects 3 of 8 hallucinated words and breaks 2 of 24 correct ones.",
        images=12,
        labelled=32,
        hallucinated=8,
        interventions=[
            InterventionReading(
                intervention="DoLa (low)",
                description="contrasts the last state with an early one",
                source="Chuang et al. 2023, arXiv 2309.03883",
                blocks=[],
                verdict="harms",
                words="It corrects 3 of 8 and breaks 2 of 24.",
                answers=12,
                changed_answers=5,
                kept=4,
                changed=1,
                correct_gone=7,
                hallucinated_gone=0,
                added=6,
                labelled_after=29,
                hallucinated_after=13,
                corrected=WordShare(3, 8, 6, 0.375, interval),
                broken=WordShare(2, 24, 11, 0.083, interval),
                net=-0.03,
                net_interval=Interval(-0.1, 0.05, 0.95, "cluster bootstrap and t"),
                prior_driven=WordShare(1, 3, 3, 0.333, interval),
                misread=WordShare(0, 0, 0, None, None),
                fates=[
                    WordFate(
                        "scene-0000", "color 1", "blue", "yellow", "yellow", True, True, "corrected"
                    ),
                    WordFate("scene-0002", "color 1", "green", None, None, True, None, "gone"),
                ],
                differing=[
                    RedecodedAnswer(
                        "scene-0000", SENTENCES[0][0], SENTENCES[0][0].replace("blue", "yellow")
                    )
                ],
            ),
            InterventionReading(
                intervention="skip.2",
                description="these blocks pass the residual stream through",
                source="Wang et al. 2025",
                blocks=[[23, 24, 25, 26, 27, 28]],
                verdict="not measured",
                words="Not measured: no set could be formed, as no state mutates.",
            ),
        ],
    )


def skips() -> SkipReading:
    """One set that was measured on two halves, one by the paper's depth, one that could not be formed."""
    interval = Interval(0.31, 0.52, 0.95, "cluster bootstrap and t")
    measured = {
        "images": 18,
        "tokens": 148,
        "kl": Quantity(0.212, Interval(0.1, 0.4, 0.95, "cluster bootstrap and t")),
        "divergence": Quantity(0.11, interval),
        "leader_kept": Quantity(0.421, interval),
        "answers_kept": Quantity(0.4, interval),
        "accuracy_whole": 0.75,
        "accuracy_skipped": 0.5,
        "accuracy_change": Quantity(-0.25, Interval(-0.4, -0.1, 0.95, "cluster bootstrap and t")),
        "referenced": 18,
        "changed": [
            SideBySide("scene-0000", "The banana is blue.", "The banana is yellow."),
            SideBySide("elsewhere", "Yes", ""),
        ],
        "changed_count": 9,
    }
    return SkipReading(
        "A skipped block passes the residual stream through unchanged.",
        [
            SkipEffect(
                "skip.1", "the stabilization blocks",
                [BlockSet([19, 20, 21], 9), BlockSet([18, 19], 9)], "", **measured,
            ),
            SkipEffect(
                "skip.2 at the paper's depth", "the mutation blocks", [BlockSet([24, 25, 28], 18)], "",
                images=3, tokens=20, kl=Quantity(1.5, None),
            ),
            SkipEffect("skip.3", "from the critical layer on", [], "no critical layer was located"),
        ],
    )  # fmt: skip


def audit(probes: int = 4, blocks: int = 30, **changes: Any) -> Audit:
    """A failing audit of the demo model with every part filled in."""
    values: dict[str, Any] = {
        "verdict": Verdict.FAIL,
        "headline": "1 of 3 error-severity checks failed: beats_distractor.",
        "subject": subject(blocks),
        "findings": findings(),
        "stages": stages(blocks),
        "layers": layers(blocks),
        "probes": [probe(i, blocks) for i in range(probes)],
        "uses": uses(probes),
        "classes": classes(),
        "features": features(blocks),
        "provenance": {
            "created": "2026-11-22T20:05:11+00:00",
            "versions": {"lvlm_audit": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
            "fingerprints": {"model": "9c31f0aa27", "probes": "51bb0e9d10"},
            "settings": {"seed": 0, "max_new_tokens": 24, "lens": "normed"},
            "seconds": 41.238,
            "reused": False,
        },
        "grounding": grounding(blocks),
        "decoder": decoder(blocks),
        "skips": skips(),
        "hallucination": hallucination(probes),
        "corrections": corrections(),
    }
    values.update(changes)
    return Audit(**values)


def passing() -> Audit:
    """An audit of somebody's model in which every check passes."""
    kept = [f for f in findings() if f.verdict is Verdict.PASS]
    return audit(
        verdict=Verdict.PASS,
        headline="All checks passed.",
        findings=kept,
        subject=subject(demo=False),
    )


def compared(probes: int = 4) -> Audit:
    """An audit with a baseline."""
    interval = Interval(-0.11, 0.02, 0.95, "cluster bootstrap", True)
    return audit(
        probes,
        comparison=Comparison(
            baseline_model="base-model",
            baseline_created="2026-11-20T10:00:00+00:00",
            differences=[
                Difference("answer_forms", 0.875, 0.92, -0.045, interval, 16, "paired by image"),
                Difference("image_matters", 0.0712, 0.065, 0.0062, None, 3, "fewer than 5 images"),
                Difference(
                    "plateau_holds", None, None, None, None, 0, "not applicable on both sides"
                ),
            ],
            note="Paired by image; the same probes were asked.",
        ),
    )


def nothing_applies() -> Audit:
    """Every check not applicable: never green."""
    bare = [
        finding(f.check, f.stage, Verdict.NOT_APPLICABLE, None, f.bound, f.severity, per_image={})
        for f in findings()
    ]
    reading = StageReading(
        blocks=4,
        pattern="no such pattern",
        evidence="Below 9 blocks: too shallow to divide.",
        critical_layer=None,
        mutation_layers=[],
        mutation_share=[],
        terminal_share=None,
        levels=[
            Level("probability", True, "no such pattern", "too shallow", node(None)),
            Level("distribution", True, "inconclusive", "3 images are too few"),
            Level("feature", False, "not measured", ""),
        ],
        levels_agree=None,
        note="",
    )
    return audit(
        blocks=4,
        verdict=Verdict.FAIL,
        headline="No check was applicable.",
        findings=bare,
        stages=reading,
        layers=[],
    )


def empty() -> Audit:
    """A document with as little in it as the type allows."""
    return dataclasses.replace(
        nothing_applies(),
        findings=[],
        probes=[],
        provenance={},
        uses=Uses([], "", [], ""),
        classes=None,
        stages=dataclasses.replace(nothing_applies().stages, levels=[], blocks=0),
        grounding=GroundingReading(False, "Not measured: nothing was asked."),
        decoder=None,
    )


def shallow() -> Audit:
    """Two blocks, one probe, one token."""
    return dataclasses.replace(audit(probes=0, blocks=2), probes=[probe(0, 2, tokens=1)])


def paper_mode(probes: int = 2, *, scaling: str = "paper") -> Audit:
    """An audit read as the paper's code does: its divergence beside the JSD, some of it very small."""
    made = audit(probes)
    read = [
        dataclasses.replace(
            probe,
            tokens=[
                dataclasses.replace(t, paper_index=[4e-5 * v**2 for v in t.divergence])
                for t in probe.tokens
            ],
        )
        for probe in made.probes
    ]
    return dataclasses.replace(
        made,
        subject=dataclasses.replace(
            made.subject,
            lens="raw",
            divergence="paper_index",
            scaling=scaling,
            mode="paper" if scaling == "paper" else "",
        ),
        stages=dataclasses.replace(
            made.stages, terminal_note="Through the raw lens the last transition has 0.7 bits."
        ),
        probes=read,
    )
