"""The demo model trained a little further on drawn scenes: harmlessly, to its good, and on wrong answers.

What training makes is kept in the cache, by the recipe and the content of the model; it is never shipped.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lvlm_audit.cache import cache_dir, cannot_keep
from lvlm_audit.demo.assemble import provenance
from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.errors import UsageError
from lvlm_audit.faults.change import Change
from lvlm_audit.models.eyes import find_eyes
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.quiet import quiet
from lvlm_audit.probes.probe import Probe

SCENES_SEED = 700
"""Probe set that training draws from: shared with no probe set of a measurement."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How it is trained.

    Attributes:
        steps: of AdamW.
        batch: scenes a step.
        rate: learning rate; constant where there are fewer than `steady` steps, else it falls to 0.
        lora: rank of an adapter on the trained parts; 0: their weights themselves are trained.
        upper: how many of the last blocks are trained, and not the projector; None: all, and the projector.
        shuffled: whether every scene gets another one's answer.
        steady: longest training at a constant rate.
    """

    steps: int
    batch: int = 8
    rate: float = 1e-4
    lora: int = 0
    upper: int | None = None
    shuffled: bool = False
    steady: int = 10


def trained(change: Change, seed: int, **how: Any) -> None:
    """The weights of a training, made now or out of the cache."""
    recipe = Recipe(**how)
    hooked = change.hooked
    path = _place(hooked, recipe, seed)
    if not path.is_file():
        made = _train(hooked, recipe, seed)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            save_file(made, partial)
            partial.replace(path)
        except OSError as error:
            raise cannot_keep("a trained candidate", error) from error
    weights = dict(hooked.model.named_parameters())
    for name, tensor in load_file(path).items():
        change.numbers(weights[name], tensor)


def _place(hooked: HookedModel, recipe: Recipe, seed: int) -> Path:
    said = provenance(Path(hooked.name)) or {}
    of = {"model": said.get("sha256"), "recipe": dataclasses.asdict(recipe), "seed": seed}
    digest = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
    return cache_dir() / "faults" / f"trained-{digest}.safetensors"


def _train(hooked: HookedModel, recipe: Recipe, seed: int) -> dict[str, Tensor]:
    """Trains a copy in float32; the weights that changed, in the dtype of the model."""
    torch.manual_seed(seed)
    parts = list(hooked.anatomy.blocks)
    parts = (
        [*parts, find_eyes(hooked).projector] if recipe.upper is None else parts[-recipe.upper :]
    )
    trains = {id(module) for part in parts for module in part.modules()}
    names = [name for name, module in hooked.model.named_modules() if id(module) in trains]
    model = copy.deepcopy(hooked.model).float()
    # On the CPU the fused attention's backward in bfloat16 is several times slower.
    model.set_attn_implementation("eager")
    trainee = _prepared(model, names, recipe.lora)
    weights = [p for p in trainee.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.rate)
    for step, (inputs, wanted) in enumerate(_batches(hooked, recipe, seed)):
        if recipe.steps > recipe.steady:
            share = 0.5 * (1 + math.cos(math.pi * step / recipe.steps)) * min(1, (step + 1) / 10)
            optimizer.param_groups[0]["lr"] = recipe.rate * share
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = trainee(**inputs, logits_to_keep=wanted.shape[1] + 1).logits
        # The last position predicts what nobody asks for.
        loss = nn.functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1), wanted.flatten(), ignore_index=-100
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
    merged = trainee.merge_and_unload() if recipe.lora else trainee
    before = dict(hooked.model.named_parameters())
    after = {n: p.detach().to(before[n].dtype) for n, p in merged.named_parameters()}
    return {n: p.contiguous() for n, p in after.items() if not torch.equal(p, before[n])}


def _prepared(model: Any, names: Sequence[str], rank: int) -> Any:
    model.requires_grad_(False)
    modules = dict(model.named_modules())
    if not rank:
        for name in names:
            modules[name].requires_grad_(True)
        return model
    try:
        with quiet():
            from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise UsageError(
            'training an adapter needs the package peft: pip install "lvlm-audit[peft]".'
        ) from error
    linear = [name for name in names if isinstance(modules[name], nn.Linear)]
    with quiet():
        return get_peft_model(
            model, LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=linear)
        )


def _batches(hooked: HookedModel, recipe: Recipe, seed: int) -> Iterator[tuple[Any, Tensor]]:
    """Inputs with answers appended, and [B, longest answer] the ids to predict (-100: none)."""
    end = min(hooked.end_ids)
    probes = demo_probes(recipe.steps * recipe.batch, SCENES_SEED + seed)
    answers = [str(probe.answer) for probe in probes]
    random.Random(seed).shuffle(probes)
    if not recipe.shuffled:
        answers = [str(probe.answer) for probe in probes]
    for start in range(0, len(probes), recipe.batch):
        part: list[Probe] = probes[start : start + recipe.batch]
        said = hooked.tokenizer(answers[start : start + recipe.batch], add_special_tokens=False)[
            "input_ids"
        ]
        said = [[*ids, end] for ids in said]
        inputs = hooked.inputs(part, said)
        longest = max(map(len, said))
        wanted = torch.tensor([[-100] * (longest - len(ids)) + ids for ids in said])
        inputs = {
            key: value.float() if value.is_floating_point() else value
            for key, value in inputs.items()
        }
        yield inputs, wanted
