"""Export: an ordinary checkpoint without the blocks, written only if it is proved to be what was skipped."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lvlm_audit.compression.removal import removed
from lvlm_audit.errors import LvlmAuditError, UnsupportedModel, UsageError
from lvlm_audit.interventions.sets import checked_blocks
from lvlm_audit.interventions.skipping import skipped
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import load
from lvlm_audit.models.proof import tolerance
from lvlm_audit.models.quiet import quiet
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.traces.generation import step_logits
from lvlm_audit.writing import check_new_folder

STEPS = 4
"""Tokens generated while comparing: positions and cache have to be right too."""

_SIDE = 96
_PROMPTS = ("What is shown?", "Describe the image.", "How many objects are there?")

Reopen = Callable[[Path, HookedModel], HookedModel]


@dataclass(frozen=True, slots=True)
class Exported:
    """A checkpoint that was written, and how it compares with the skipping.

    Attributes:
        folder: where it is.
        bytes: of its weight files.
        difference: largest |exported - skipped| of any logit, over every compared step.
        largest_logit: the scale of that.
        steps: generated steps compared, over all fresh questions.
    """

    folder: Path
    bytes: int
    difference: float
    largest_logit: float
    steps: int


def export(
    hooked: HookedModel,
    blocks: Sequence[int],
    folder: Path,
    *,
    probes: Sequence[Probe] | None = None,
    reopen: Reopen | None = None,
    max_shard_size: str | None = None,
) -> Exported:
    """Writes the model without some blocks, with its processor, and proves it.

    The checkpoint is written beside its place, opened again by `load`, and asked fresh questions (drawn
    noise, which no probe set holds). Only if its logits are those of the whole model with the blocks
    skipped, to what the dtype explains, does it move into place. Both models are in memory meanwhile.

    Args:
        hooked: the whole model, with its processor.
        blocks: to leave out, 0-based.
        folder: missing or empty.
        probes: other fresh questions.
        reopen: opens the written folder; `load` on the same device and in the same dtype.
        max_shard_size: as in `save_pretrained`.

    Raises:
        UsageError: the folder is not usable, or the blocks are not.
        UnsupportedModel: the written checkpoint does not give the skipped model's logits, or cannot be
            opened; it is deleted.
    """
    check_new_folder(folder)
    asked = list(fresh_probes() if probes is None else probes)
    place = folder.absolute()
    written = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    try:
        difference, largest, steps = _written(
            hooked, blocks, written, asked, reopen or _load, max_shard_size
        )
        total = sum(path.stat().st_size for path in written.glob("*.safetensors"))
        written.chmod(0o755)
        if place.exists():
            place.rmdir()
        written.rename(place)
    except OSError as error:
        raise UsageError(f"cannot write {str(folder)!r}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return Exported(folder, total, difference, largest, steps)


def fresh_probes() -> list[Probe]:
    """Questions about drawn noise: pictures that were in no nomination and in no certification."""
    from PIL import Image

    made = []
    for i, prompt in enumerate(_PROMPTS):
        noise = np.random.default_rng([_SIDE, i]).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((_SIDE, _SIDE))
        made.append(Probe(f"fresh {i}", prompt, _png(picture), cluster=f"fresh {i}"))
    return made


def _png(picture: Any) -> ImageSource:
    import io

    data = io.BytesIO()
    picture.save(data, "PNG")
    return ImageSource("drawn noise", data=data.getvalue())


def _written(
    hooked: HookedModel,
    blocks: Sequence[int],
    folder: Path,
    probes: Sequence[Probe],
    reopen: Reopen,
    max_shard_size: str | None,
) -> tuple[float, float, int]:
    """Saves, opens again and compares; whatever a family objects to on the way is a refusal."""
    chosen = checked_blocks(blocks, hooked.blocks)
    options = {} if max_shard_size is None else {"max_shard_size": max_shard_size}
    try:
        with quiet(), removed(hooked, chosen):
            hooked.model.save_pretrained(folder, **options)
        if hooked.processor is not None:
            hooked.processor.save_pretrained(folder)
        return _compared(hooked, chosen, folder, probes, reopen)
    except (OSError, MemoryError, torch.OutOfMemoryError):
        raise
    # Configurations, loading and caches of other people's families each have words of their own.
    except Exception as error:
        said = str(error).strip() or type(error).__name__
        raise UnsupportedModel(
            f"{hooked.name} without block{'s' if len(chosen) > 1 else ''} {', '.join(map(str, chosen))} "
            f"cannot be exported: {said if isinstance(error, LvlmAuditError) else said.splitlines()[0]}"
        ) from error


def _load(folder: Path, whole: HookedModel) -> HookedModel:
    # Its own dtype is in its configuration, and proves to be right by opening it without a word.
    return load(str(folder), device=str(whole.device))


def _compared(
    hooked: HookedModel,
    blocks: tuple[int, ...],
    folder: Path,
    probes: Sequence[Probe],
    reopen: Reopen,
) -> tuple[float, float, int]:
    """Largest difference, largest logit, and compared steps."""
    worst, largest, compared = 0.0, 1.0, 0
    with reopen(folder, hooked) as again:
        if again.blocks != hooked.blocks - len(blocks):
            raise UnsupportedModel(
                f"the written checkpoint has {again.blocks} blocks, not {hooked.blocks - len(blocks)}."
            )
        if again.dtype != hooked.dtype:
            raise UnsupportedModel(
                f"the written checkpoint opens in {again.dtype}, not in {hooked.dtype}."
            )
        for probe in probes:
            with skipped(hooked, blocks):
                ids, wanted = step_logits(hooked, hooked.inputs([probe]), STEPS)
            their_ids, found = step_logits(again, again.inputs([probe]), STEPS)
            for step, (one, two) in enumerate(zip(wanted, found, strict=False)):
                difference, scale = _apart(one, two)
                worst, largest, compared = max(worst, difference), max(largest, scale), compared + 1
                if not difference <= tolerance(hooked.dtype) * scale:
                    raise UnsupportedModel(
                        f"the written checkpoint's logits differ from the skipped model's by "
                        f"{difference:.4g}, where logits reach {scale:.4g} and {hooked.dtype} explains "
                        f"{tolerance(hooked.dtype) * scale:.4g} (generated token {step + 1}). In this family "
                        f"a block's role hangs on its number. The blocks can be skipped, but not removed."
                    )
                if ids[step] != their_ids[step]:
                    break  # a tie within the tolerance: from here on the texts differ
    if not compared:
        raise UnsupportedModel("no step of the written checkpoint could be compared.")
    return worst, largest, compared


def _apart(one: Tensor, two: Tensor) -> tuple[float, float]:
    one, two = one.float().cpu(), two.float().cpu()
    if one.shape != two.shape:
        return float("inf"), float(one.abs().max())
    # Barred words are minus infinity on both sides.
    both = torch.isfinite(one) & torch.isfinite(two)
    if not bool((torch.isfinite(one) == torch.isfinite(two)).all()):
        return float("inf"), 1.0
    return float((one[both] - two[both]).abs().max()), max(1.0, float(one[both].abs().max()))
