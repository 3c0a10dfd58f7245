"""The chain: which modules turn the last block's output into the head's input.

Normally one norm. Found by following tensors: a module whose input is what the last one gave may be
the next step, and a chain counts if it ends in what the head was shown. Where no chain of modules does,
the decoder's own code after its blocks is tried (`models.rest`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.errors import ModelBroken, UnsupportedModel
from lvlm_audit.models.hooks import entering, hooks_restored, residual
from lvlm_audit.models.rest import find_around, find_rest
from lvlm_audit.models.structure import class_name, run

_LONGEST = 8
_FLAT = 3


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """What was seen between the last block and the head.

    Attributes:
        modules: in order.
        scale: factor that follows them (1.0: none).
        shape: of the last block's output.
        largest: largest output of the head.
        joined: blocks whose input was not what the one before gave: something was added between.
    """

    modules: tuple[nn.Module, ...]
    scale: float
    shape: tuple[int, ...]
    largest: float
    joined: tuple[int, ...] = ()


@dataclass(slots=True)
class _Seen:
    calls: list[int] = field(default_factory=list)
    joined: list[int] = field(default_factory=list)
    state: Tensor | None = None
    after: list[tuple[nn.Module, Tensor, Tensor]] = field(default_factory=list)
    """Modules that ran since the last block: module, input, output; parents after their children."""
    head_in: Tensor | None = None
    head_out: Tensor | None = None
    broken: str | None = None


def find_chain(
    model: Any,
    inputs: Mapping[str, Any],
    blocks: Sequence[nn.Module],
    head: nn.Module,
    names: Mapping[int, str],
) -> Chain:
    """Runs a model once and follows its last state to its head.

    Raises:
        ModelBroken: the model computes NaN.
        UnsupportedModel: blocks did not run in order, or something else than modules and a factor lies
            between the last one and the head.
    """
    seen = _watch(model, inputs, blocks, head)
    assert seen.state is not None
    if seen.head_in is None or seen.head_out is None:
        raise UnsupportedModel(
            f"the head of {class_name(model)} did not run: its logits come from somewhere else."
        )
    # A factor is looked for last: on few positions a plain norm can look like one.
    found = _follow(seen.state, seen.head_in, seen.after, (), _unchanged) or _follow(
        seen.state, seen.head_in, seen.after, (), _factor
    )
    if found is None:
        found = _around(seen, head)
    if found is None:
        rest = find_rest(model, blocks, seen.state, seen.head_in)
        found = None if rest is None else ((rest,), 1.0)
    if found is None:
        ran = [names.get(id(module), "?") for module, _, _ in seen.after]
        if _reads_earlier(model, inputs, blocks, head, seen):
            raise UnsupportedModel(
                f"what the head of {class_name(model)} is shown depends on states of earlier blocks beside "
                f"the last one's (after the last block ran: {', '.join(ran[:12])}), so that no single "
                f"state gives the model's words. The lens, which reads one state at a time, has no meaning "
                f"here."
            )
        raise UnsupportedModel(
            f"between the last decoder block of {class_name(model)}, whose output is "
            f"{list(seen.state.shape)}, and the head something runs that is not a chain of modules "
            f"(after the last block ran: {', '.join(ran[:12]) or 'nothing'}). This lens cannot repeat it."
        )
    modules, scale = found
    largest = float(seen.head_out.float().abs().max())
    return Chain(modules, scale, tuple(seen.state.shape), largest, tuple(seen.joined))


def _watch(
    model: Any, inputs: Mapping[str, Any], blocks: Sequence[nn.Module], head: nn.Module
) -> _Seen:
    seen = _Seen()
    inside = {id(module) for block in blocks for module in block.modules()}

    def block_entered(i: int) -> Any:
        def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
            entered = residual(entering(args, kwargs)).detach()
            if seen.state is not None and not _same(entered, seen.state):
                seen.joined.append(i)

        return hook

    def block_ran(i: int) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            seen.calls.append(i)
            seen.state = residual(output).detach()
            seen.after.clear()
            if seen.broken is None and bool(seen.state.isnan().any()):
                seen.broken = f"state {i + 1}"

        return hook

    def ran(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        entered = next((v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None)
        if seen.calls and entered is not None and isinstance(output, Tensor):
            seen.after.append((module, entered.detach(), output.detach()))

    def head_entered(_: nn.Module, args: Any) -> None:
        seen.head_in = args[0].detach()

    def head_ran(_: nn.Module, __: Any, output: Any) -> None:
        seen.head_out = residual(output).detach()

    with hooks_restored(model):
        for i, block in enumerate(blocks):
            block.register_forward_pre_hook(block_entered(i), with_kwargs=True)
            block.register_forward_hook(block_ran(i))
        for module in model.modules():
            if id(module) not in inside and module is not head:
                module.register_forward_hook(ran, with_kwargs=True)
        head.register_forward_pre_hook(head_entered)
        head.register_forward_hook(head_ran)
        logits = run(model, inputs).logits
    # A model may leave blocks out (cross-attention without an image), but not change their order.
    if not seen.calls or seen.calls != sorted(set(seen.calls)):
        raise UnsupportedModel(
            f"the {len(blocks)} blocks of {class_name(model)} did not run once each and in order, but as "
            f"{seen.calls[:12]}{'...' if len(seen.calls) > 12 else ''}. The lens needs a plain stack of "
            f"blocks."
        )
    if seen.broken is not None or bool(logits.isnan().any()):
        raise ModelBroken(
            f"{class_name(model)} computes NaN, first in {seen.broken or 'its logits'}: its weights or "
            f"its dtype ({model.dtype}) are unusable. Try dtype float32; if NaN remains, the checkpoint "
            f"is broken."
        )
    return seen


def _follow(
    current: Tensor,
    goal: Tensor,
    ran: Sequence[tuple[nn.Module, Tensor, Tensor]],
    chain: tuple[nn.Module, ...],
    arrives: Callable[[Tensor, Tensor], float | None],
) -> tuple[tuple[nn.Module, ...], float] | None:
    """The first chain that arrives. A child that does all the work is tried before its parent."""
    if len(chain) < _LONGEST:
        for position, (module, entered, output) in enumerate(ran):
            if entered.shape != current.shape or output.ndim < _FLAT or _same(entered, output):
                continue  # a dropout hands on what it gets
            if _same(entered, current):
                found = _follow(output, goal, ran[position + 1 :], (*chain, module), arrives)
                if found is not None:
                    return found
    scale = arrives(current, goal)
    return None if scale is None else (chain, scale)


def _around(seen: _Seen, head: nn.Module) -> tuple[tuple[nn.Module, ...], float] | None:
    """A chain into a module that holds the head and does more than modules before it."""
    assert seen.state is not None
    assert seen.head_in is not None
    for holder, entered, _ in seen.after:
        if not any(module is head for module in holder.modules()):
            continue
        chain = _follow(seen.state, entered, seen.after, (), _unchanged)
        around = None if chain is None else find_around(holder, head, entered, seen.head_in)
        if chain is not None and around is not None:
            return (*chain[0], around), 1.0
    return None


def _reads_earlier(
    model: Any, inputs: Mapping[str, Any], blocks: Sequence[nn.Module], head: nn.Module, seen: _Seen
) -> bool:
    """Whether other states than the last reach the head: all are changed but for the last."""
    shown: list[Tensor] = []
    last = seen.state
    assert last is not None

    def entered(_: nn.Module, args: Any, kwargs: Any) -> None:
        residual(entering(args, kwargs)).mul_(1.5)

    def ran(block: nn.Module, _: Any, output: Any) -> None:
        stream = residual(output)
        if block is blocks[-1]:
            stream.copy_(last)
        else:
            stream.mul_(1.5)

    with hooks_restored(model):
        blocks[0].register_forward_pre_hook(entered, with_kwargs=True)
        for block in blocks:
            block.register_forward_hook(ran)
        head.register_forward_pre_hook(lambda _, args: shown.append(args[0].detach()))
        run(model, inputs)
    assert seen.head_in is not None
    return not _same(shown[-1], seen.head_in)


def _same(one: Tensor, two: Tensor) -> bool:
    return one.dtype == two.dtype and one.device == two.device and torch.equal(one, two)


def _tail(states: Tensor, end: Tensor) -> Tensor | None:
    """As many last positions as the head was shown, if it was shown such states at all."""
    if states.ndim != 3 or end.ndim != 3 or end.device != states.device:
        return None
    if end.shape[-1] != states.shape[-1] or end.shape[1] > states.shape[1]:
        return None
    return states[:, -end.shape[1] :]


def _unchanged(states: Tensor, end: Tensor) -> float | None:
    tail = _tail(states, end)
    return 1.0 if tail is not None and _same(tail, end) else None


def _factor(states: Tensor, end: Tensor) -> float | None:
    """The number by which the last positions of `states` were multiplied to give `end`, or None."""
    tail = _tail(states, end)
    if tail is None:
        return None
    x, y = tail.double(), end.double()
    scale = float((x * y).sum() / (x * x).sum().clamp_min(1e-30))
    rounding = 4 * torch.finfo(end.dtype).eps
    # Exact up to rounding, or it is something else that happens to be similar.
    if float((x * scale - y).abs().max()) > rounding * float(y.abs().max()):
        return None
    # Most factors are one over a whole number, which rounding of 16 bits hides.
    whole = 1 / round(1 / scale) if 0 < scale <= 1 else scale
    return whole if abs(whole / scale - 1) < rounding / 4 else scale
