"""Eyes: what reads a picture and hands its features to the decoder, found by showing one and showing none.

A module that runs with a picture and not without one belongs to the eyes. Among these, the tower holds the
longest row of blocks, and the projector is what finishes after it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lvlm_audit.errors import LvlmAuditError, UnsupportedModel
from lvlm_audit.models.asking import Inputs
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.structure import calls_of, rows_of_modules
from lvlm_audit.probes.probe import ImageSource, Probe

_SIDE = 64
_QUESTION = "What is shown?"


@dataclass(frozen=True, slots=True, eq=False)
class Eyes:
    """What a model sees with.

    Attributes:
        tower: its blocks, in order.
        stem: modules with weights that run before the first block: patch and position embeddings.
        projector: the last module that turns the tower's features into the decoder's.
        paths: module paths of the tower's row and of the projector.
    """

    tower: tuple[nn.Module, ...]
    stem: tuple[nn.Module, ...]
    projector: nn.Module
    paths: Mapping[str, str]


def find_eyes(hooked: HookedModel) -> Eyes:
    """Runs the model with a picture and without.

    Raises:
        UnsupportedModel: it cannot be asked either way, or what runs for a picture alone has no such parts.
    """
    names = {id(module): name for name, module in hooked.model.named_modules()}
    seeing = _ran(hooked, _seeing, "with a picture")
    blind = {id(module) for module in _ran(hooked, _blind, "without a picture")}
    decoder = {id(module) for block in hooked.anatomy.blocks for module in block.modules()}
    order = [
        module
        for module in seeing
        if id(module) not in blind and id(module) not in decoder and _has_weights(module)
    ]
    finished = {id(module): time for time, module in enumerate(order)}
    rows = {
        name: row
        for name, row in rows_of_modules(hooked.model).items()
        if len(row) > 1 and all(id(block) in finished for block in row)
    }
    if not rows:
        raise UnsupportedModel(
            f"{hooked.name} has no row of blocks that runs for a picture alone, so its vision tower cannot "
            f"be told from the rest."
        )
    path, row = max(rows.items(), key=lambda item: sum(map(_weights, item[1])))
    end = max(finished[id(block)] for block in row)
    inside = {id(module) for block in row for module in block.modules()}
    after = _outermost([m for m in order if finished[id(m)] > end and not _holds(m, row)])
    after = [module for module in after if any(p.ndim > 1 for p in module.parameters())]
    if not after:
        raise UnsupportedModel(
            f"{hooked.name} has nothing with weights between its vision tower ({path}) and its decoder: there "
            f"is no projector."
        )
    first = min(finished[id(module)] for module in order if id(module) in inside)
    stem = [m for m in order if finished[id(m)] < first and not any(True for _ in m.children())]
    return Eyes(
        tower=row,
        stem=tuple(stem),
        projector=after[-1],
        paths={"tower": path, "projector": names[id(after[-1])]},
    )


def _seeing(hooked: HookedModel) -> Inputs:
    if hooked.sample is not None:
        return hooked.inputs([hooked.sample])
    return hooked.inputs([Probe("sample", _QUESTION, _picture(), cluster="sample")])


def _blind(hooked: HookedModel) -> Inputs:
    try:
        return hooked.inputs([Probe("text", _QUESTION, None, cluster="text")])
    except LvlmAuditError:
        # Some processors insist on a picture; most models do not.
        if hooked.tokenizer is None or hooked.start_id is not None:
            raise
        ids = hooked.tokenizer(_QUESTION, return_tensors="pt")["input_ids"].to(hooked.device)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _ran(hooked: HookedModel, asked: Callable[[HookedModel], Inputs], how: str) -> list[nn.Module]:
    try:
        return [module for module, _ in calls_of(hooked.model, asked(hooked)).order]
    except LvlmAuditError as error:
        raise UnsupportedModel(
            f"{hooked.name} cannot be asked {how}, so what it sees with cannot be found: {error}"
        ) from error


def _picture() -> ImageSource:
    from PIL import Image

    data = io.BytesIO()
    Image.linear_gradient("L").resize((_SIDE, _SIDE)).convert("RGB").save(data, "PNG")
    return ImageSource("a drawn gradient", data=data.getvalue())


def _outermost(modules: Sequence[nn.Module]) -> list[nn.Module]:
    inner = {id(m) for module in modules for m in module.modules() if m is not module}
    return [module for module in modules if id(module) not in inner]


def _holds(module: nn.Module, row: Sequence[nn.Module]) -> bool:
    return any(part is row[0] for part in module.modules())


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def _weights(module: Any) -> int:
    return sum(p.numel() for p in module.parameters())
