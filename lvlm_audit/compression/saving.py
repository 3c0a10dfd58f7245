"""What removing blocks saves: parameters, bytes, and time, measured with the blocks really gone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lvlm_audit.compression.removal import removed
from lvlm_audit.models.asking import Inputs
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.generation import generate_only

REPEATS = 7
DECODED = 16
"""Tokens decoded in a timed run."""


@dataclass(frozen=True, slots=True)
class Size:
    """Parameters and bytes of a whole model or of what is left; shared ones count once."""

    parameters: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Times of the model without the blocks over times of the whole one; medians of alternating runs.

    Attributes:
        prefill: ratio, of reading the prompt and emitting one token.
        decode: ratio, of each further token.
        prefill_seconds: of the whole model, for scale.
        decode_seconds: a token of the whole model.
        repeats: pairs of runs.
        rows: prompts in a batch.
    """

    prefill: float
    decode: float
    prefill_seconds: float
    decode_seconds: float
    repeats: int
    rows: int


def size(model: Any) -> Size:
    """Of a model as it is now."""
    parameters = list(model.parameters())
    return Size(
        sum(p.numel() for p in parameters), sum(p.numel() * p.element_size() for p in parameters)
    )


def speed(
    hooked: HookedModel,
    blocks: Sequence[int],
    probes: Sequence[Probe],
    *,
    repeats: int = REPEATS,
    tokens: int = DECODED,
) -> Speed:
    """Runs the whole model and the one without blocks in turns, so that a busy machine slows both.

    Each repetition gives one ratio; the median of those is reported, so that a disturbance within one
    repetition moves nothing.
    """
    inputs = hooked.inputs(probes)
    runs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for round_ in range(repeats + 1):
        whole = _timed(hooked, inputs, tokens)
        with removed(hooked, blocks):
            less = _timed(hooked, inputs, tokens)
        if round_:
            # The first round warms up.
            runs.append((whole, less))
    return Speed(
        prefill=statistics.median(less[0] / whole[0] for whole, less in runs),
        decode=statistics.median(less[1] / whole[1] for whole, less in runs),
        prefill_seconds=statistics.median(whole[0] for whole, _ in runs),
        decode_seconds=statistics.median(whole[1] for whole, _ in runs),
        repeats=repeats,
        rows=len(probes),
    )


def _timed(hooked: HookedModel, inputs: Inputs, tokens: int) -> tuple[float, float]:
    """Seconds to the first token, and for each after it."""
    first = _seconds(hooked, inputs, 1)
    whole = _seconds(hooked, inputs, 1 + tokens)
    return first, max((whole - first) / tokens, 1e-9)


def _seconds(hooked: HookedModel, inputs: Inputs, tokens: int) -> float:
    _wait(hooked.device)
    started = time.perf_counter()
    generate_only(hooked, inputs, tokens)
    _wait(hooked.device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
