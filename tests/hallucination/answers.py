"""Answers made of pieces, for tests that need no model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from lvlm_audit.traces.trace import Asked, Trace
from lvlm_audit.traces.words import classify
from tests import synthetic


def answer(
    pieces: Sequence[str],
    labels: Mapping[str, Any] | None = None,
    *,
    name: str = "p0",
    cluster: str | None = None,
    prompt: str = "What is it?",
    reference: str | None = None,
    special: Sequence[int] = (),
) -> Trace:
    """A trace that says the pieces; those at `special` are control tokens."""
    marks = [i in special for i in range(len(pieces))]
    trace = synthetic.trace(synthetic.rising(), tokens=len(pieces))
    return dataclasses.replace(
        trace,
        asked=Asked(name, prompt, cluster or name, reference, labels or {}),
        answer="".join(pieces),
        token_texts=tuple(pieces),
        token_classes=classify(pieces, special=marks, prompt=prompt),
    )


def said(text: str, labels: Mapping[str, Any] | None = None, **more: Any) -> Trace:
    """A trace whose pieces are the text's words, each with the space before it."""
    pieces: list[str] = []
    for part in text.split(" "):
        pieces.append(part if not pieces else f" {part}")
    return answer(pieces, labels, **more)
