"""A change of an opened model that can be taken back, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.models.hooked import HookedModel


class Change:
    """What damages work through: whatever they change is put back when the change is left.

    Attributes:
        hooked: the model that is changed.
    """

    def __init__(self, hooked: HookedModel, stack: ExitStack) -> None:
        self.hooked = hooked
        self._stack = stack
        self._kept: set[int] = set()
        self._undone: set[tuple[int, str]] = set()

    @torch.no_grad()
    def numbers(self, tensor: Tensor, new: Tensor) -> None:
        """Exchanges a tensor's numbers where they lie; its dtype stays."""
        if id(tensor) not in self._kept:
            before = tensor.detach().clone()

            def back() -> None:
                with torch.no_grad():
                    tensor.copy_(before)

            self._kept.add(id(tensor))
            self._stack.callback(back)
        tensor.copy_(new)

    def attribute(self, holder: Any, name: str, value: Any) -> None:
        """Sets an attribute; one that the object had from its class is taken away again."""
        own = name in vars(holder)
        before = vars(holder).get(name)

        def back() -> None:
            if own:
                setattr(holder, name, before)
            else:
                delattr(holder, name)

        self._once(holder, name, back)
        setattr(holder, name, value)

    def item(self, holder: Any, key: Any, value: Any) -> None:
        """The same of an entry of a mapping."""
        before = holder[key]
        self._once(holder, repr(key), lambda: holder.__setitem__(key, before))
        holder[key] = value

    def parameter(self, module: nn.Module, name: str, value: nn.Parameter) -> None:
        """Exchanges a module's parameter by another one."""
        before = module._parameters[name]

        def back() -> None:
            module._parameters[name] = before

        self._once(module, name, back)
        module._parameters[name] = value

    def undo(self, back: Callable[[], object]) -> None:
        """Something to be called on leaving."""
        self._stack.callback(back)

    def enter(self, context: AbstractContextManager[Any]) -> None:
        """A change that somebody else takes back."""
        self._stack.enter_context(context)

    def _once(self, holder: Any, name: str, back: Callable[[], object]) -> None:
        if (id(holder), name) not in self._undone:
            self._undone.add((id(holder), name))
            self._stack.callback(back)


def generator(seed: int) -> torch.Generator:
    """The source of a damage's random numbers, the same on every device."""
    return torch.Generator().manual_seed(seed)


def drawn(like: Tensor, source: torch.Generator) -> Tensor:
    """Normal float32 numbers of a tensor's shape, drawn on the CPU."""
    return torch.randn(like.shape, generator=source).to(like.device)


def matrices(module: nn.Module) -> list[nn.Parameter]:
    """A module's weights that are more than a vector: no biases, no norms."""
    return [p for p in module.parameters() if p.ndim > 1 and p.is_floating_point()]
