"""Processors: the part of a checkpoint that turns image and text into tensors."""

from __future__ import annotations

from typing import Any

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.explaining import first_line


def read_processor(checkpoint: Checkpoint, *, trust_remote_code: bool) -> Any:
    """The checkpoint's processor.

    Raises:
        UnsupportedModel: it cannot be opened, or takes no images.
    """
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(
            checkpoint.source, trust_remote_code=trust_remote_code
        )
    except Exception as error:
        raise UnsupportedModel(
            f"the processor of {checkpoint.name!r} cannot be opened: {first_line(error)} "
            f"{_hint(error)}"
        ) from error
    if getattr(processor, "tokenizer", None) is None or (
        getattr(processor, "image_processor", None) is None
    ):
        raise UnsupportedModel(
            f"{checkpoint.name!r} brings {type(processor).__name__}, which does not take image and text "
            f"together. Save the model's processor into the same folder (processor.save_pretrained)."
        )
    return processor


def _hint(error: Exception) -> str:
    from transformers.utils.import_utils import is_torchvision_available

    # transformers reads images with Pillow, but any processor that could also take videos needs more,
    # and says so in words that help nobody ("VIDEO_PROCESSOR_MAPPING has no attribute ...").
    said = str(error).lower()
    if not is_torchvision_available() and ("video" in said or "torchvision" in said):
        return "This family's processor also handles videos and needs torchvision: install it."
    return "Save the model's processor into the same folder (processor.save_pretrained)."
