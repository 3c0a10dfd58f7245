"""What a model does to its head's output: scale, soft-cap, words that are barred or cut off.

Found by execution: the head is run on an input louder than its own, so that a soft-cap bends what is
seen, and its output is held against the model's logits. Numbers that the configuration holds, under
whatever name, are tried first, because they are exact, but not believed: composite models declare
scales that they do not apply. Where none fits, scale and soft-cap are measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.models.hooks import hooks_restored, residual
from lvlm_audit.models.structure import run, text_config

_LOUD = 60.0
"""Size of logits at which the transform is looked for: a soft-cap is invisible on small ones."""

_BARRED = torch.finfo(torch.float16).min
"""Logits at or below are no product of a head: -inf, or the lowest number of some dtype."""


@dataclass(frozen=True, slots=True)
class AfterHead:
    """logits = cap * tanh(scale * head / cap), with some words barred.

    Attributes:
        scale: factor on the head's output.
        cap: soft-cap, or None.
        barred: ids whose logits the model sets to minus infinity.
    """

    scale: float
    cap: float | None
    barred: tuple[int, ...]


def find_after_head(
    model: Any, inputs: Mapping[str, Any], head: nn.Module, largest: float
) -> AfterHead:
    """Looks for the transform.

    Args:
        model: the model.
        inputs: of a short forward pass.
        head: its output embeddings.
        largest: largest output of the head on these inputs.
    """
    before, after = _louder(model, inputs, head, _LOUD / max(largest, 1e-6))
    before = before[:, : after.shape[-1]]
    barred = (after <= _BARRED).all(0)
    kept = ~barred
    scale, cap = _fit(text_config(model), before[:, kept], after[:, kept])
    return AfterHead(scale, cap, tuple(barred.nonzero().flatten().tolist()))


def _fit(config: Any, before: Tensor, after: Tensor) -> tuple[float, float | None]:
    scale, cap = _measured(before.double(), after.double())
    declared = _declared(config)
    scales = [1.0, *(v for n in declared for v in (n, 1 / n) if _alike(v, scale)), scale]
    # Rounded to 16 bits, a number that nobody declares is most likely whole.
    caps = [] if cap is None else [*(n for n in declared if _alike(n, cap)), float(round(cap)), cap]
    trials = [(scale, cap) for cap in (None, *caps) for scale in scales]

    def misfit(trial: tuple[float, float | None]) -> float:
        return float(
            (_after(before, *trial) - after).abs().max() / after.abs().max().clamp_min(1e-6)
        )

    errors = [misfit(trial) for trial in trials]
    best = min(errors)
    # The plainest comes first and wins a tie; declared numbers are exact, measured ones rounded.
    return next(
        trial for trial, error in zip(trials, errors, strict=True) if error <= 2 * best + 1e-6
    )


def _after(before: Tensor, scale: float, cap: float | None) -> Tensor:
    made = before * scale
    return made if cap is None else cap * torch.tanh(made / cap)


def _measured(x: Tensor, y: Tensor) -> tuple[float, float | None]:
    """Scale and cap of y = cap * tanh(scale * x / cap) by least squares; cap None if it bends nothing."""
    slope = float((x * y).sum() / (x * x).sum().clamp_min(1e-30))
    largest = float(y.abs().max())
    plain = _misfit(x, y, slope)
    best: tuple[float, float | None, float] = slope, None, float("inf")
    if plain <= 1e-6 * largest or largest == 0:
        return slope, None
    # Caps from just above the largest value to where the bend is lost in rounding, then ever finer.
    low, high = largest * (1 + 1e-7), largest * 1e3
    for _ in range(6):
        grid = torch.logspace(math.log10(low), math.log10(high), 41, dtype=torch.float64)
        fits = [_with_cap(x, y, float(cap)) for cap in grid]
        place = min(range(len(fits)), key=lambda i: fits[i][2])
        best = min(best, fits[place], key=lambda fit: fit[2])
        low, high = float(grid[max(0, place - 1)]), float(grid[min(40, place + 1)])
    return (best[0], best[1]) if best[2] < 0.5 * plain else (slope, None)


def _with_cap(x: Tensor, y: Tensor, cap: float) -> tuple[float, float | None, float]:
    bent = y.abs() < 0.999 * cap  # nearer to the cap rounding decides
    straight = cap * torch.atanh((y / cap)[bent])
    scale = float((x[bent] * straight).sum() / (x[bent] * x[bent]).sum().clamp_min(1e-30))
    return scale, cap, float((_after(x, scale, cap) - y).abs().max())


def _misfit(x: Tensor, y: Tensor, scale: float) -> float:
    return float((x * scale - y).abs().max())


def _alike(one: float, two: float) -> bool:
    return abs(one - two) <= 0.1 * abs(two)


def _declared(config: Any) -> list[float]:
    """Every number that a configuration holds, but for 0."""
    values = vars(config).values()
    return [
        float(v) for v in values if isinstance(v, (int, float)) and v and not isinstance(v, bool)
    ]


def _louder(
    model: Any, inputs: Mapping[str, Any], head: nn.Module, gain: float
) -> tuple[Tensor, Tensor]:
    """The head's output and the model's logits at the last position, the head's input multiplied."""
    seen: dict[str, Tensor] = {}

    def louder(_: nn.Module, args: Any) -> Any:
        return (args[0] * gain, *args[1:])

    def ran(_: nn.Module, __: Any, output: Any) -> None:
        seen["out"] = residual(output).detach()

    with hooks_restored(model):
        head.register_forward_pre_hook(louder)
        head.register_forward_hook(ran)
        logits = run(model, inputs).logits
    return seen["out"][:, -1].float(), logits[:, -1].float()
