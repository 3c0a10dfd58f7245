"""Placing: on which device a model computes, or over which ones it is spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from lvlm_audit.errors import UsageError
from lvlm_audit.models.explaining import first_line
from lvlm_audit.settings.spelling import spelled

Memory = Mapping[int | str, int | str]
"""Most bytes a device may hold, by accelerate's names: 0 for the first accelerator, "cpu"; "20GiB"."""


def device_named(name: str | None) -> torch.device:
    """The device of that name; the fastest there is for None, "auto" and "map".

    Raises:
        UsageError: it cannot be used here.
    """
    if name is None or name in ("auto", "map"):
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"device {name!r} cannot be used here: {first_line(error)} Use cpu, cuda, cuda:N, mps, or map "
            f"to spread a model over all there is."
        ) from error
    return device


def device_map(skeleton: Any, dtype: torch.dtype, memory: Memory | None) -> dict[str, int | str]:
    """Where each part of a model goes, as accelerate takes it.

    Blocks are dealt out in order: to the accelerators, then to main memory, then to disk, as far as there is
    room. Everything else stays where the computation starts: the lens reads norm and head between passes.

    Args:
        skeleton: the model without weights.
        dtype: that the weights will have.
        memory: bounds; None: what the machine has.

    Raises:
        UsageError: accelerate is not installed.
    """
    try:
        from accelerate.utils import compute_module_sizes, get_balanced_memory
    except ImportError as error:
        raise UsageError(
            f"{spelled('device', 'map')} needs the package accelerate: pip install 'lvlm-audit[map]'."
        ) from error
    sizes = compute_module_sizes(skeleton, dtype=dtype)
    bounds = get_balanced_memory(skeleton, None if memory is None else dict(memory), dtype=dtype)
    room = {key: size for key, size in bounds.items() if key != "disk" and size > 0}
    order = [*(key for key in room if key != "cpu"), *(["cpu"] if "cpu" in room else []), "disk"]
    main = order[0] if order[0] != "disk" else "cpu"
    places = dict.fromkeys(_rest(skeleton), main)
    room[main] = room.get(main, 0) - sum(sizes[name] for name in places)
    for name in _blocks(skeleton):
        # Once something did not fit, what follows goes further down too: a pass moves one way.
        while order[0] != "disk" and sizes[name] > room[order[0]]:
            order.pop(0)
        places[name] = order[0]
        if order[0] != "disk":
            room[order[0]] -= sizes[name]
    return places


def _blocks(model: nn.Module, prefix: str = "") -> Iterator[str]:
    """Names of the modules in the outermost lists, in order."""
    for name, module in model.named_children():
        if isinstance(module, nn.ModuleList):
            yield from (f"{prefix}{name}.{i}" for i in range(len(module)))
        else:
            yield from _blocks(module, f"{prefix}{name}.")


def _rest(model: nn.Module, prefix: str = "") -> Iterator[str]:
    """Names of the largest modules, and of the single tensors, that hold no such list."""
    yield from (f"{prefix}{name}" for name, _ in model.named_parameters(recurse=False))
    yield from (f"{prefix}{name}" for name, _ in model.named_buffers(recurse=False))
    for name, module in model.named_children():
        if isinstance(module, nn.ModuleList):
            continue
        if any(isinstance(inner, nn.ModuleList) for inner in module.modules()):
            yield from _rest(module, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
