"""Stage 1: the tower learns to see, from per-patch ground truth, before it learns to speak.

The heads that are trained here are thrown away. They make every patch's output tell which object
covers it (kind, colour, place from the left) and what the whole scene holds. Without this stage
the gradient through thirty frozen decoder blocks has to teach shapes, which takes hours.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionModel

from lvlm_audit.demo.corpus import Corpus
from lvlm_audit.demo.recipe import PIXEL_MEAN, PIXEL_STD, Recipe
from lvlm_audit.demo.scenes import BACKGROUND_COLORS, KINDS, OBJECT_COLORS

Report = Callable[[dict[str, float]], None]


class PatchHeads(nn.Module):
    """Linear heads on the tower's patch outputs, one per question of perception."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.kinds = nn.Linear(width, 1 + len(KINDS))
        self.colors = nn.Linear(width, 1 + len(OBJECT_COLORS))
        self.order = nn.Linear(width, 4)
        self.background = nn.Linear(width, len(BACKGROUND_COLORS))
        self.counts = nn.Linear(width, 4 * len(KINDS))

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        """Logits of every head.

        Args:
            patches: (scenes, patches, width).

        Returns:
            kinds, colors, order, background: (scenes, patches, classes);
            counts: (scenes, kinds, 4), from the mean patch.
        """
        patches = self.norm(patches)
        counts = self.counts(patches.mean(dim=1)).unflatten(-1, (len(KINDS), 4))
        return {
            "kinds": self.kinds(patches),
            "colors": self.colors(patches),
            "order": self.order(patches),
            "background": self.background(patches),
            "counts": counts,
        }


def patch_outputs(tower: CLIPVisionModel, pixels: Tensor) -> Tensor:
    """The tower's outputs as LLaVA reads them: last block, without the class token.

    Args:
        tower: The vision tower.
        pixels: uint8, (scenes, 3, side, side).

    Returns:
        (scenes, patches, width).
    """
    scaled = (pixels.to(torch.float32) / 255.0 - PIXEL_MEAN) / PIXEL_STD
    # hidden_states[-1] of the tower is the last block's output before its final norm.
    hidden: Tensor = tower(pixel_values=scaled, output_hidden_states=True).hidden_states[-1]
    return hidden[:, 1:]


def learning_rate(step: int, steps: int, warmup: float) -> float:
    """Share of the peak rate at a step: linear warm-up, flat, then a cosine to 2 %.

    The flat part up to 55 % of the steps lets a run be shortened or lengthened on resuming.
    """
    rising, falling = max(1, round(warmup * steps)), round(0.55 * steps)
    if step < rising:
        return (step + 1) / rising
    done = max(0, step - falling) / max(1, steps - falling)
    return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def parameter_groups(module: nn.Module, rate: float, decay: float) -> list[dict[str, object]]:
    """AdamW groups: weight decay on matrices only, each with its peak rate under `peak`."""
    matrices = [p for p in module.parameters() if p.ndim >= 2]
    others = [p for p in module.parameters() if p.ndim < 2]
    return [
        {"params": matrices, "lr": rate, "peak": rate, "weight_decay": decay},
        {"params": others, "lr": rate, "peak": rate, "weight_decay": 0.0},
    ]


def train_perception(
    tower: CLIPVisionModel, corpus: Corpus, recipe: Recipe, report: Report
) -> dict[str, float]:
    """Trains the tower in place.

    Args:
        tower: The vision tower, float32.
        corpus: Training pictures with per-patch truth.
        recipe: Steps, batch and rate.
        report: Called about every 50 steps with step, loss and the share of patches right.

    Returns:
        The last report.
    """
    heads = PatchHeads(recipe.tower.width)
    optimizer = torch.optim.AdamW(
        parameter_groups(tower, recipe.perception_rate, recipe.weight_decay)
        + parameter_groups(heads, recipe.perception_rate, 0.0),
        betas=(0.9, 0.98),
    )
    chooser = torch.Generator().manual_seed(recipe.seed + 1)
    last: dict[str, float] = {}
    for step in range(recipe.perception_steps):
        share = learning_rate(step, recipe.perception_steps, recipe.warmup)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
        rows = torch.randint(len(corpus), (recipe.perception_batch,), generator=chooser)
        loss, right = _perception_loss(tower, heads, corpus, rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([*tower.parameters(), *heads.parameters()], 1.0)
        optimizer.step()
        if step % 50 == 49 or step == recipe.perception_steps - 1:
            last = {"step": float(step + 1), "loss": float(loss.detach()), **right}
            report(last)
    return last


def _perception_loss(
    tower: CLIPVisionModel, heads: PatchHeads, corpus: Corpus, rows: Tensor
) -> tuple[Tensor, dict[str, float]]:
    index = rows.numpy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = heads(patch_outputs(tower, torch.from_numpy(corpus.pixels[index])))
    patches = corpus.kinds.shape[1]
    background = torch.from_numpy(corpus.background[index])[:, None].expand(-1, patches)
    targets = {
        "kinds": torch.from_numpy(corpus.kinds[index]),
        "colors": torch.from_numpy(corpus.colors[index]),
        "order": torch.from_numpy(corpus.order[index]),
        "background": background,
        "counts": torch.from_numpy(corpus.counts[index]),
    }
    loss = torch.zeros(())
    right: dict[str, float] = {}
    for name, target in targets.items():
        scores = logits[name].float().flatten(0, 1)
        wanted = target.reshape(-1).long()
        loss = loss + functional.cross_entropy(scores, wanted)
        hits = scores.detach().argmax(-1) == wanted
        # Patches of the background are easy and many: report the objects' patches alone.
        if name in ("kinds", "colors", "order"):
            hits = hits[wanted > 0]
        right[name] = float(hits.float().mean())
    return loss, right
