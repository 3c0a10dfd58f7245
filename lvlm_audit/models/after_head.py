"""What a model does to its head's output: scale, soft-cap, words that are barred or cut off.

Found by execution: the head is run on an input louder than its own, so that a soft-cap bends what is
seen, and its output is held against the model's logits. What configurations declare is tried first,
because it is exact, but not believed: composite models declare scales that they do not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.models.hooks import hooks_restored, residual
from lvlm_audit.models.structure import run, text_config

_CAPS = ("final_logit_softcapping", "final_logits_softcapping", "output_logit_soft_cap")
_FACTORS = ("logit_scale", "lm_head_multiplier", "output_multiplier")
_DIVISORS = ("logits_scaling", "mup_width_multiplier")

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
    caps: list[float | None] = [*_declared(config, _CAPS), None]
    scales = [
        *_declared(config, _FACTORS),
        *(1 / value for value in _declared(config, _DIVISORS) if value),
        1.0,
    ]
    big = before.abs() > 0.1 * before.abs().max()
    fitted = float((after[big] / before[big]).median())
    trials = [(scale, cap) for cap in caps for scale in scales] + [(fitted, None)]

    def misfit(trial: tuple[float, float | None]) -> float:
        scale, cap = trial
        made = before * scale
        if cap is not None:
            made = cap * torch.tanh(made / cap)
        return float((made - after).abs().max() / after.abs().max().clamp_min(1e-6))

    errors = [misfit(trial) for trial in trials]
    best = min(errors)
    # Declared values come first and win a tie: they are exact, a fitted one is rounded.
    return next(
        trial for trial, error in zip(trials, errors, strict=True) if error <= 2 * best + 1e-6
    )


def _declared(config: Any, keys: tuple[str, ...]) -> list[float]:
    values = (getattr(config, key, None) for key in keys)
    return [float(value) for value in values if isinstance(value, (int, float))]


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
