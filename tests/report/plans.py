"""A pruning plan for renderers, with every kind of content."""

from __future__ import annotations

from lvlm_audit.document import (
    AnswerPair,
    CandidateSet,
    Export,
    Loss,
    Method,
    NominatedSet,
    PruningPlan,
    Savings,
)


def plan(text: str = "", *, certified: bool = True, images: int = 12) -> PruningPlan:
    """Three sizes, the third beyond the budget; `text` stands wherever others' text can stand."""
    bounds = [(0.02, 0.01, 0.04), (0.05, 0.03, 0.09), (0.3, 0.2, 0.52)]
    sets = [[4], [4, 5], [4, 5, 7]]
    candidates = [
        CandidateSet(
            blocks,
            ["SLEB", text or "Block Influence"],
            Loss(value * 0.8, low * 0.8, high * 0.8, images, "cluster bootstrap and t"),
            Loss(value, low, high, images, "cluster bootstrap and t"),
            certified and size < 2,
        )
        for size, (blocks, (value, low, high)) in enumerate(zip(sets, bounds, strict=True))
    ]
    methods = [
        Method(
            "Block Influence", "ShortGPT, arXiv 2403.03853", "1 - cosine", "1 - cosine",
            [0.9, 0.3, 0.2, 0.1, 0.05, 0.06, 0.2, 0.15, 0.4, 0.7],
            [NominatedSet(blocks, 0.02 * len(blocks)) for blocks in sets], "",
        ),
        Method(text or "JSD plateau", text or "ours", text or "median JSD", "bits",
               [None] * 10, [], text or "the answers show no stabilization stage"),
    ]  # fmt: skip
    answers = [
        AnswerPair("p1", text or "What colour is it?", text or "Blue.", "It is a blue banana.",
                   text or "It is a yellow banana.", False),
        AnswerPair("p2", "How many?", None, "Two.", "Two.", True),
    ]  # fmt: skip
    return PruningPlan(
        model=text or "demo", probes=text or "bundled", measure="kl", definition="mean forward KL",
        unit="bits a token", budget=0.1, confidence=0.95, depth=10, nomination_images=12,
        nomination_probes=24, certification_images=images, certification_probes=24, methods=methods,
        candidates=candidates, certified=[4, 5] if certified else [],
        verdict=text or "2 of 10 blocks can be removed (blocks 4, 5).", shown=[4, 5] if certified else [4],
        agreement=Loss(0.5, 0.2, 0.8, images, "cluster bootstrap and t"), answers=answers,
        savings=Savings(1000, 200, 2000, 400, 0.81, 0.79, text or "Medians of 7 pairs.") if certified else None,
        export=Export(text or "out/pruned", 1600, 1e-6, 12.5, 12) if certified else None,
        note=text or "The images are split at random.", provenance={"created": text or "2026", "seed": 0},
    )  # fmt: skip
