"""Hooks that are always taken away again: ours, and those that transformers installs by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.streams import ONE_STREAM, Streams

# What torch keeps per module; with_kwargs and always_called repeat the ids of the hooks proper.
_REGISTRIES = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_pre_hooks",
    "_backward_hooks",
)
# transformers installs its capturing hooks once and remembers so in this attribute. Hooks may only be
# taken away together with it, or `output_hidden_states` would silently return nothing ever after.
_INSTALLED = "_output_capturing_hooks_installed"

Receive = Callable[[int, Tensor], None]
"""Called with j and state j, [batch, positions, d], as the forward pass reaches it."""


def count_hooks(model: nn.Module) -> int:
    """How many hooks all modules of a model carry."""
    return sum(
        len(getattr(module, name))
        for module in model.modules()
        for name in (
            "_forward_pre_hooks",
            "_forward_hooks",
            "_backward_pre_hooks",
            "_backward_hooks",
        )
    )


def without_hooks(copied: nn.Module) -> nn.Module:
    """A copy of a module, rid of everybody's hooks."""
    for module in copied.modules():
        for name in _REGISTRIES:
            getattr(module, name).clear()
    return copied


@contextmanager
def hooks_restored(model: nn.Module) -> Iterator[None]:
    """On leaving, removes every hook that was not there on entering, whoever installed it.

    transformers hooks its own vision tower or all blocks on the first call that asks for hidden
    states, and leaves the hooks there; some LVLMs ask for them on every call.
    """
    before = [
        (module, {name: set(getattr(module, name, ())) for name in _REGISTRIES})
        for module in model.modules()
    ]
    installed = {id(module) for module, _ in before if _INSTALLED in module.__dict__}
    try:
        with eagerly(model):
            yield
    finally:
        for module, known in before:
            for name, ids in known.items():
                hooks = getattr(module, name, None)
                if hooks:
                    for hook in [key for key in hooks if key not in ids]:
                        del hooks[hook]
            if _INSTALLED in module.__dict__ and id(module) not in installed:
                del module.__dict__[_INSTALLED]


@contextmanager
def eagerly(model: nn.Module) -> Iterator[None]:
    """While entered, what torch.compile made of a model is not used: its graphs call none of our hooks."""
    compiled = any(
        getattr(module, "_compiled_call_impl", None) is not None or "_orig_mod" in module._modules
        for module in model.modules()
    )
    with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
        yield


@contextmanager
def tapped(
    blocks: Sequence[nn.Module], receive: Receive, streams: Streams = ONE_STREAM
) -> Iterator[None]:
    """Hands every residual state of each forward pass to `receive`, in order, until left.

    State 0 is what enters the first block, state j what leaves block j - 1. The tensors are the
    model's own and alive only during the call: clone what is to be kept. A block that the model
    leaves out (Mllama's cross-attention without an image) passes the stream on: its state repeats
    the one before.
    """
    latest: list[tuple[int, Tensor]] = []

    def entered(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hand_on(0, residual(entering(args, kwargs)))

    def leaving(state: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            hand_on(state, residual(output))

        return hook

    def hand_on(state: int, output: Tensor) -> None:
        stream = streams.together(output)
        if state > 0 and latest:
            reached, unchanged = latest.pop()
            for left_out in range(reached + 1, state):
                receive(left_out, unchanged)
        latest[:] = [(state, stream)]
        receive(state, stream)

    with ExitStack() as stack:
        handle = blocks[0].register_forward_pre_hook(entered, with_kwargs=True)
        stack.callback(handle.remove)
        for i, block in enumerate(blocks):
            stack.callback(block.register_forward_hook(leaving(i + 1)).remove)
        stack.callback(latest.clear)
        yield


def entering(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What a block was called with that holds the residual stream."""
    if args:
        return args[0]
    if "hidden_states" in kwargs:
        return kwargs["hidden_states"]
    return next(value for value in kwargs.values() if isinstance(value, Tensor))


def residual(output: Any) -> Tensor:
    """The residual stream among a block's inputs or outputs: itself, or the first of what is handed on."""
    while not isinstance(output, Tensor):
        if isinstance(output, Mapping):
            parts: Sequence[Any] = list(output.values())
        elif is_dataclass(output):
            parts = [getattr(output, part.name) for part in fields(output)]
        else:
            parts = output if isinstance(output, (tuple, list)) else ()
        if not parts:
            raise UnsupportedModel(
                f"a decoder block handed on {type(output).__name__}, in which no residual stream is found: "
                f"a tensor, or a tuple, dictionary or dataclass that begins with one, was expected."
            )
        output = parts[0]
    return output
