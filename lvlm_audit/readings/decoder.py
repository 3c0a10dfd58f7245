"""The paper's comparison of LVLM and LLM: the model with its images against the decoder inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from lvlm_audit.document import DecoderComparison, SideDifference, rounded
from lvlm_audit.readings.answers import interval_of, layer_summaries, stage_reading
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.recordings.text_answers import TEXT_ANSWERS
from lvlm_audit.settings.reading import DivergenceName
from lvlm_audit.stages import (
    INCONCLUSIVE,
    RISE_AND_PLATEAU,
    THREE_STAGES,
    Stages,
    find_stages,
)
from lvlm_audit.statistics import MIN_IMAGES, bootstrap_difference, median_over_images
from lvlm_audit.traces.trace import Trace

CONFIDENCE = 0.95
CURVES = (
    "nucleus mass",
    "JSD between neighbouring states",
    "paper index between neighbouring states",
)
"""Layer curves that are shown side by side."""

ASKED = (
    "The language model inside this model was asked the same prompts, in the same chat template, without any "
    "image: same weights, same lens, greedy decoding. It is not a separate language model, and "
    "not the one from before it was trained on images. Equal prompts get equal answers, so each distinct "
    "prompt counts once and is the unit of its statistics."
)
CLAIM = "The paper reports that a language model alone shows no clear stages."

_CLEAR = frozenset({RISE_AND_PLATEAU, THREE_STAGES})
_Statistic = Literal["median", "mean"]
_Tokens = npt.NDArray[np.float64]


def compare_decoder(
    evidence: Evidence, stages: Stages, *, divergence: DivergenceName = "jsd", seed: int = 0
) -> DecoderComparison:
    """Compare the answers with the text answers.

    Args:
        evidence: with text answers, one for each distinct prompt.
        stages: of the answers.
        divergence: what the distribution level reads, on both sides.
        seed: of the resampling.
    """
    answers = evidence.of(TEXT_ANSWERS)
    tokens = int(sum(t.eligible.sum() for t in answers))
    if not tokens:
        words = f"{CLAIM} Nothing can be said here: without images no answer has an eligible token."
        return DecoderComparison(ASKED, words, len(answers), 0, None, [], [])
    alone = find_stages(answers, divergence_name=divergence, seed=seed)
    curves = layer_summaries(Evidence.of_items(evidence.lens, {ANSWERS.name: answers}))
    return DecoderComparison(
        asked=ASKED,
        words=f"{CLAIM} {_verdict(stages, alone, len(answers))}",
        prompts=len(answers),
        tokens=tokens,
        stages=stage_reading(alone, divergence=divergence),
        layers=[curve for curve in curves if curve.name in CURVES],
        differences=_differences(evidence.traces, stages, answers, alone, seed),
    )


def _verdict(seen: Stages, alone: Stages, prompts: int) -> str:
    patterns = f"with images: {seen.pattern}; without: {alone.pattern}"
    if INCONCLUSIVE in (seen.pattern, alone.pattern):
        few = f": {prompts} distinct prompts are too few" if prompts < MIN_IMAGES else ""
        return f"Whether that is so here is inconclusive{few} ({patterns})."
    if alone.pattern in _CLEAR:
        return f"That is not seen here ({patterns})."
    if seen.pattern in _CLEAR:
        return f"That is seen here ({patterns})."
    return f"Neither shows clear stages here ({patterns}), so nothing is said for the claim or against it."


def _differences(
    traces: Sequence[Trace], seen: Stages, answers: Sequence[Trace], alone: Stages, seed: int
) -> list[SideDifference]:
    one, two = _units(traces), _units(answers)
    depth = (0.0, float(seen.blocks))
    rows: list[tuple[str, str, _Statistic, tuple[float, float], _Tokens, _Tokens]] = []
    for name, field in (
        ("onset", "onset"),
        ("critical (probability)", "critical"),
        ("settle", "settle"),
        ("critical (distribution)", "collapse"),
    ):
        values = getattr(seen.per_token, field), getattr(alone.per_token, field)
        rows.append((name, "states", "median", depth, *values))
    for name, part in (
        ("late mutation", np.s_[:, :-1]),
        ("change at the last transition", np.s_[:, -1:]),
    ):
        first, second = (
            np.asarray(s.per_token.mutated[part].any(axis=1), dtype=np.float64)
            for s in (seen, alone)
        )
        rows.append((name, "share of tokens", "mean", (0.0, 1.0), first, second))
    return [
        _difference(name, unit, how, support, _per_unit(a, one, how), _per_unit(b, two, how), seed)
        for name, unit, how, support, a, b in rows
    ]


def _difference(
    name: str,
    unit: str,
    statistic: _Statistic,
    support: tuple[float, float],
    one: _Tokens,
    two: _Tokens,
    seed: int,
) -> SideDifference:
    reduce = np.median if statistic == "median" else np.mean
    a, b = (float(reduce(sample)) if sample.size else None for sample in (one, two))
    if a is None or b is None:
        return SideDifference(name, unit, rounded(a), rounded(b), None, None)
    spread = bootstrap_difference(
        one, two, statistic=statistic, support=support, confidence=CONFIDENCE, seed=seed
    )
    return SideDifference(name, unit, rounded(a), rounded(b), rounded(a - b), interval_of(spread))


def _units(traces: Sequence[Trace]) -> npt.NDArray[np.str_]:
    """The unit of each token that `find_stages` read, in its order."""
    return np.concatenate([np.repeat(t.asked.cluster, t.eligible.sum()) for t in traces])


def _per_unit(values: _Tokens, of: npt.NDArray[np.str_], statistic: _Statistic) -> _Tokens:
    if statistic == "median":
        return median_over_images(values, of)[1]
    _, index = np.unique(of, return_inverse=True)
    return np.asarray(np.bincount(index, weights=values) / np.bincount(index))
