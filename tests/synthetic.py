"""Traces made by hand, with known behaviour, for tests that need no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lvlm_audit.settings.reading import LensName
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.trace import Asked, PairedTrace, TokenClass, Trace

EMITTED, EARLY, OTHER, INPUT = 10, 20, 30, 40
VOCABULARY = {EMITTED: " blue", EARLY: " noise", OTHER: " red", INPUT: " is"}


def trace(
    curve: Sequence[float],
    *,
    name: str = "p0",
    cluster: str | None = None,
    tokens: int = 4,
    divergence: Sequence[float] | None = None,
    leader: Sequence[int] | None = None,
    distractor: float = 0.01,
    classes: Sequence[TokenClass] | None = None,
    reference: str | None = None,
    labels: Mapping[str, Any] | None = None,
    nucleus: Sequence[float] | None = None,
    candidates: Mapping[int, Sequence[float]] | None = None,
    inputs: Sequence[int] | None = None,
    lens: LensName = "normed",
    paper_index: Sequence[float] | None = None,
) -> Trace:
    """A trace whose tokens all follow one curve of the emitted token's probability.

    Without `leader`, the emitted token leads wherever its probability is above 0.5, and a token of
    noise before. Without `divergence`, neighbours differ exactly where the curve moves. Without
    `nucleus`, its mass is the emitted token's. `candidates` gives curves of single candidates.
    """
    p = np.asarray(curve, dtype=np.float32)
    states = len(p)
    lead = np.asarray(
        [EMITTED if v > 0.5 else EARLY for v in p] if leader is None else leader, dtype=np.int64
    )
    jsd = np.abs(np.diff(p)) if divergence is None else np.asarray(divergence)
    ids = np.array([EMITTED, EARLY, OTHER], dtype=np.int64)
    of = np.zeros((3, states), dtype=np.float32)
    of[0] = p
    of[1] = np.where(lead == EARLY, 1 - p, 0.0)
    of[2] = np.where(lead == OTHER, 1 - p, 0.0)
    for token, values in (candidates or {}).items():
        of[list(ids).index(token)] = values
    top = np.stack([lead, np.where(lead == EMITTED, EARLY, EMITTED)], axis=1)
    probs = np.stack([np.maximum(p, 1 - p), np.minimum(p, 1 - p)], axis=1).astype(np.float32)

    def per_token(values: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        return np.ascontiguousarray(
            np.broadcast_to(values, (tokens, *np.shape(values))), dtype=dtype
        )

    return Trace(
        asked=Asked(name, "What color is it?", cluster or name, reference, labels or {}),
        lens=lens,
        answer="".join([VOCABULARY[EMITTED]] * tokens),
        token_ids=np.full(tokens, EMITTED, dtype=np.int64),
        token_texts=(VOCABULARY[EMITTED],) * tokens,
        token_classes=tuple(classes or [TokenClass.CONTENT] * tokens),
        input_ids=np.asarray([INPUT] * tokens if inputs is None else inputs, dtype=np.int64),
        probability=per_token(p),
        rank=per_token(lead != EMITTED, np.int32),
        divergence=per_token(jsd),
        entropy=per_token(1 - p),
        kl_to_final=per_token(1 - p),
        jsd_to_final=per_token(np.abs(p - p[-1])),
        nucleus_mass=per_token(p if nucleus is None else np.asarray(nucleus)),
        top_ids=per_token(top, np.int64),
        top_probs=per_token(probs),
        candidate_ids=per_token(ids, np.int64),
        candidate_probability=per_token(of),
        distractor_ids=np.full(tokens, OTHER, dtype=np.int64),
        distractor=per_token(np.full(states, distractor)),
        vocabulary=VOCABULARY,
        paper_index=None if paper_index is None else per_token(np.asarray(paper_index)),
    )


def rising(blocks: int = 12, at: int = 6, top: float = 0.9) -> list[float]:
    """0.01 before a state, `top` from it on."""
    return [0.01] * at + [top] * (blocks + 1 - at)


def pair(
    divergence: Sequence[float],
    *,
    name: str = "p0",
    cluster: str | None = None,
    advantage: float = 2.0,
    surprisal: float = 1.0,
    text: str = "answer",
    tokens: int = 4,
) -> PairedTrace:
    """A paired replay whose tokens all follow one grounding curve."""
    curve = np.asarray(divergence, dtype=np.float32)
    base = np.full(tokens, -surprisal, dtype=np.float32)
    return PairedTrace(
        asked=Asked(name, "What color is it?", cluster or name, "It is blue."),
        lens="normed",
        condition="another probe's image",
        text=text,  # type: ignore[arg-type]
        token_ids=np.full(tokens, EMITTED, dtype=np.int64),
        token_texts=(VOCABULARY[EMITTED],) * tokens,
        token_classes=(TokenClass.CONTENT,) * tokens,
        divergence=np.ascontiguousarray(np.broadcast_to(curve, (tokens, len(curve)))),
        log2_probability=np.stack([base, base - np.float32(advantage)]),
    )


def effect(
    *,
    agrees: Sequence[bool] | np.ndarray,
    kl: Sequence[float] | None = None,
    name: str = "p0",
    cluster: str | None = None,
    skip: str = "skip.1",
    same: bool = True,
    classes: Sequence[TokenClass] | None = None,
) -> EffectTrace:
    """What a skip set did: per token whether the leader stayed; without `kl`, half a bit where it did not."""
    kept = np.asarray(agrees, dtype=bool)
    tokens = len(kept)
    moved = np.where(kept, 0.0, 0.5)
    return EffectTrace(
        asked=Asked(name, "What color is it?", cluster or name, None),
        intervention=skip,
        blocks=(3, 4),
        token_ids=np.full(tokens, EMITTED, dtype=np.int64),
        token_texts=(VOCABULARY[EMITTED],) * tokens,
        token_classes=tuple(classes or [TokenClass.CONTENT] * tokens),
        kl=np.asarray(moved if kl is None else kl, dtype=np.float32),
        divergence=moved.astype(np.float32),
        leaders=np.stack([np.full(tokens, EMITTED), np.where(kept, EMITTED, OTHER)]),
        log2_probability=np.full((2, tokens), -1.0, dtype=np.float32),
        base_answer="base",
        answer="base" if same else "other",
    )
