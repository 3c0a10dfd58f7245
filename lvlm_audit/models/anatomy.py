"""Anatomy: where a model keeps its decoder blocks, final norm and head, and what follows the head.

Found by structure and by execution, for families nobody has heard of: there is no table of
architectures here. Structure names candidates (the list of `num_hidden_layers` modules, the output
embeddings); a short forward pass shows which modules really ran between the last block and the head,
and what was done to the head's output. `models.proof` then holds the result against the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.errors import ModelBroken, UnsupportedModel
from lvlm_audit.models.hooks import hooks_restored, residual

# Configuration keys under which architectures declare what follows the head. They are suggestions:
# a composite model may declare its decoder's scale and not apply it. Execution decides.
_CAPS = ("final_logit_softcapping", "final_logits_softcapping", "output_logit_soft_cap")
_FACTORS = ("logit_scale", "lm_head_multiplier", "output_multiplier")
_DIVISORS = ("logits_scaling", "mup_width_multiplier")

_LOUD = 60.0
"""Size of logits at which the transform is looked for: a soft-cap is invisible on small ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """The parts of a model that the lens reads through.

    Attributes:
        blocks: the L decoder blocks in order.
        norms: what runs between the last block and the head, in order: the final norm, normally.
        head: output embeddings; `.weight` is [V, d].
        width: d.
        logit_scale: factor on the head's output (Cohere's logit_scale, Granite's 1 / logits_scaling).
        soft_cap: c of c * tanh(logits / c) (Gemma), or None.
        tied: the head shares its weight with the input embeddings.
        paths: module paths of blocks (the list), norms and head, for the report.
    """

    blocks: tuple[nn.Module, ...]
    norms: tuple[nn.Module, ...]
    head: nn.Module
    width: int
    logit_scale: float
    soft_cap: float | None
    tied: bool
    paths: Mapping[str, str] = field(default_factory=dict)

    @property
    def states(self) -> int:
        """S = L + 1."""
        return len(self.blocks) + 1

    @property
    def weight(self) -> Tensor:
        """[V, d] of the head."""
        return _weight(self.head)

    @property
    def vocabulary(self) -> int:
        """V, rows of the head."""
        return int(self.weight.shape[0])

    def describe(self) -> str:
        """One line for a report: what was found, and where."""
        norm = self.paths.get("norm") or "no final norm"
        parts = [
            f"{len(self.blocks)} blocks at {self.paths.get('blocks', '?')}",
            norm,
            f"{'tied' if self.tied else 'untied'} head {self.paths.get('head', '?')}"
            f" ({self.vocabulary} x {self.width}"
            f"{', bias' if getattr(self.head, 'bias', None) is not None else ''})",
        ]
        if self.logit_scale != 1.0:
            parts.append(f"logits times {self.logit_scale:.6g}")
        if self.soft_cap is not None:
            parts.append(f"logits soft-capped at {self.soft_cap:g}")
        return "; ".join(parts)


def dissect(model: Any, inputs: Mapping[str, Tensor]) -> Anatomy:
    """Finds a model's anatomy, running it two times on `inputs`.

    Args:
        model: a transformers model with a causal decoder and a language-model head.
        inputs: a short forward pass's keyword arguments; `input_ids` [1, n] at least.

    Raises:
        ModelBroken: the model computes NaN.
        UnsupportedModel: a part is not where any causal decoder keeps it; the message says what was
            seen instead.
    """
    names = {id(module): name for name, module in model.named_modules()}
    head = _head(model)
    blocks = _blocks(model)
    inside = {id(module) for block in blocks for module in block.modules()}
    run = _watch(model, inputs, blocks, head, skip=inside)
    norms = _between(run, names)
    width = int(_weight(head).shape[1])
    if run.states[-1].shape[-1] != width:
        raise UnsupportedModel(
            f"the blocks of {_name(model)} are {run.states[-1].shape[-1]} wide, but its head reads "
            f"{width}: something other than a norm lies between them. This lens cannot read it."
        )
    scale, cap = _transform(model, inputs, head, run)
    embeddings = model.get_input_embeddings()
    tied = getattr(embeddings, "weight", None) is not None and (
        embeddings.weight.data_ptr() == _weight(head).data_ptr()
    )
    first = names[id(blocks[0])]
    return Anatomy(
        blocks=blocks,
        norms=norms,
        head=head,
        width=width,
        logit_scale=scale,
        soft_cap=cap,
        tied=tied,
        paths={
            "blocks": first.rpartition(".")[0] or first,
            "norm": ", ".join(names[id(norm)] for norm in norms),
            "head": names.get(id(head), "head"),
        },
    )


def text_config(model: Any) -> Any:
    """The configuration of the decoder, which composite models nest."""
    config = model.config
    try:
        return config.get_text_config(decoder=True)
    except (AttributeError, ValueError):
        return config


def _head(model: Any) -> nn.Module:
    head = model.get_output_embeddings()
    weight = getattr(head, "weight", None)
    if head is None or not isinstance(weight, Tensor) or weight.ndim != 2:
        raise UnsupportedModel(
            f"{_name(model)} has no language-model head: get_output_embeddings() gives "
            f"{type(head).__name__}. Pass a checkpoint that generates text."
        )
    if not weight.is_floating_point():
        raise UnsupportedModel(
            f"the head of {_name(model)} is quantised ({weight.dtype}); the lens needs its weights. "
            f"Load the model with an unquantised head."
        )
    assert isinstance(head, nn.Module)
    return head


def _weight(head: nn.Module) -> Tensor:
    weight = head.weight
    assert isinstance(weight, Tensor)
    return weight


def _blocks(model: Any) -> tuple[nn.Module, ...]:
    """The outermost list of as many modules as the decoder declares layers."""
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else model
    declared = getattr(text_config(model), "num_hidden_layers", None)
    lists = {
        name: module
        for name, module in decoder.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) > 0
    }
    fitting = [name for name, module in lists.items() if len(module) == declared]
    if not fitting:
        seen = ", ".join(f"{name} ({len(module)})" for name, module in lists.items()) or "none"
        raise UnsupportedModel(
            f"{_name(model)} declares {declared} decoder blocks, but its decoder holds no list of that "
            f"many modules (lists seen: {seen}). This architecture's blocks cannot be found."
        )
    outermost = min(fitting, key=lambda name: name.count("."))
    return tuple(lists[outermost])


@dataclass(slots=True)
class _Run:
    """What one forward pass did, as far as it matters here."""

    states: list[Tensor] = field(default_factory=list)
    after: list[tuple[nn.Module, Tensor, Tensor]] = field(default_factory=list)
    """Modules that ran after the last block: module, input, output; parents after their children."""
    head_in: Tensor | None = None
    head_out: Tensor | None = None
    logits: Tensor | None = None


def _watch(
    model: Any,
    inputs: Mapping[str, Tensor],
    blocks: tuple[nn.Module, ...],
    head: nn.Module,
    *,
    skip: set[int],
) -> _Run:
    run = _Run()
    calls: list[int] = []

    def block_ran(i: int) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            calls.append(i)
            run.states.append(residual(output).detach())

        return hook

    def ran(module: nn.Module, args: Any, output: Any) -> None:
        entered = args[0] if args else None
        done = len(calls) == len(blocks)
        if done and isinstance(entered, Tensor) and isinstance(output, Tensor):
            run.after.append((module, entered.detach(), output.detach()))

    def head_entered(_: nn.Module, args: Any) -> None:
        run.head_in = args[0].detach()

    def head_ran(_: nn.Module, __: Any, output: Any) -> None:
        run.head_out = residual(output).detach()

    with hooks_restored(model), torch.inference_mode():
        for i, block in enumerate(blocks):
            block.register_forward_hook(block_ran(i))
        for module in model.modules():
            if id(module) not in skip and module is not head:
                module.register_forward_hook(ran)
        head.register_forward_pre_hook(head_entered)
        head.register_forward_hook(head_ran)
        run.logits = model(**inputs, use_cache=False, return_dict=True).logits.detach()
    if calls != list(range(len(blocks))):
        raise UnsupportedModel(
            f"the {len(blocks)} blocks of {_name(model)} did not run once each and in order, but as "
            f"{calls[:12]}{'...' if len(calls) > 12 else ''}. The lens needs a plain stack of blocks."
        )
    shapes = {tuple(state.shape) for state in run.states}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3:
        raise UnsupportedModel(
            f"the blocks of {_name(model)} hand on {sorted(shapes)}, not one residual stream "
            f"[batch, positions, width]. This lens cannot read it."
        )
    assert run.logits is not None
    if bool(run.logits.isnan().any()):
        first = next((j for j, s in enumerate(run.states, 1) if bool(s.isnan().any())), None)
        where = "its logits" if first is None else f"state {first}"
        raise ModelBroken(
            f"{_name(model)} computes NaN, first in {where}: its weights or its dtype ({model.dtype}) "
            f"are unusable. Try dtype float32; if NaN remains, the checkpoint is broken."
        )
    if run.head_in is None or run.head_out is None:
        raise UnsupportedModel(
            f"the head of {_name(model)} did not run: its logits come from somewhere else."
        )
    return run


def _between(run: _Run, names: Mapping[int, str]) -> tuple[nn.Module, ...]:
    """The chain of modules that turned the last block's output into the head's input."""
    assert run.head_in is not None
    chain: list[nn.Module] = []
    current = run.states[-1]
    for _ in range(8):
        if _ends_with(current, run.head_in):
            return tuple(chain)
        # A child that does all the work ran before its parent: the first match is the innermost.
        step = next(
            (
                (module, output)
                for module, entered, output in run.after
                if entered.shape == current.shape
                and module not in chain
                and output.ndim == 3
                and _same(entered, current)
            ),
            None,
        )
        if step is None:
            break
        chain.append(step[0])
        current = step[1]
    ran = [names.get(id(module), "?") for module, _, _ in run.after]
    raise UnsupportedModel(
        "between the last decoder block and the head something runs that is not a chain of modules "
        f"(after the last block ran: {', '.join(ran) or 'nothing'}). This lens cannot repeat it."
    )


def _same(one: Tensor, two: Tensor) -> bool:
    return one.dtype == two.dtype and one.device == two.device and torch.equal(one, two)


def _ends_with(whole: Tensor, end: Tensor) -> bool:
    """The head may be shown only the last positions."""
    if end.ndim != 3 or end.shape[-1] != whole.shape[-1] or end.shape[1] > whole.shape[1]:
        return False
    return _same(whole[:, -end.shape[1] :], end)


def _transform(
    model: Any, inputs: Mapping[str, Tensor], head: nn.Module, run: _Run
) -> tuple[float, float | None]:
    """Scale and soft-cap that lead from the head's output to the model's logits.

    The head is fed a louder input than its own, so that a soft-cap bends what is seen.
    """
    assert run.head_out is not None
    gain = float(_LOUD / run.head_out.float().abs().max().clamp_min(1e-6))
    before, after = _replay_head(model, inputs, head, gain)
    config = text_config(model)
    caps: list[float | None] = [
        float(value)
        for key in _CAPS
        if isinstance(value := getattr(config, key, None), (int, float))
    ]
    caps.append(None)
    scales = [
        *(float(v) for k in _FACTORS if isinstance(v := getattr(config, k, None), (int, float))),
        *(
            1 / float(v)
            for k in _DIVISORS
            if isinstance(v := getattr(config, k, None), (int, float)) and v
        ),
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


def _replay_head(
    model: Any, inputs: Mapping[str, Tensor], head: nn.Module, gain: float
) -> tuple[Tensor, Tensor]:
    """The head's output and the model's logits at the last position, with the head's input multiplied."""
    seen: dict[str, Tensor] = {}

    def louder(_: nn.Module, args: Any) -> Any:
        return (args[0] * gain, *args[1:])

    def ran(_: nn.Module, __: Any, output: Any) -> None:
        seen["out"] = residual(output).detach()

    with hooks_restored(model), torch.inference_mode():
        head.register_forward_pre_hook(louder)
        head.register_forward_hook(ran)
        logits = model(**inputs, use_cache=False, return_dict=True).logits
    return seen["out"][:, -1].float(), logits[:, -1].float()


def _name(model: Any) -> str:
    return type(model).__name__
