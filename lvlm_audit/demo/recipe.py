"""Every number that decides what the demo model is, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

#: Raise it when the assembled checkpoint changes for the same adapter (template, tokenizer...).
RECIPE_VERSION: Final[int] = 1

#: Reserved in SmolLM2's vocabulary and used by nothing here, so that it can stand for the image
#: without resizing the embeddings: the softmax keeps its 49,152 entries.
RESERVED_TOKEN: Final[str] = "<empty_output>"
IMAGE_TOKEN: Final[str] = "<image>"
IMAGE_TOKEN_ID: Final[int] = 16

#: Mean and standard deviation that pixels (scaled to 0..1) are normalised with, every channel.
PIXEL_MEAN: Final[float] = 0.5
PIXEL_STD: Final[float] = 0.5

#: No system prompt. Content is a plain string, or a list of image and text parts.
CHAT_TEMPLATE: Final[str] = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% endif %}"
    "{% endfor %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}"
    "{% endif %}"
    "{{ '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class TowerShape:
    """Shape of the CLIP vision tower.

    Attributes:
        image_size: Side of the picture in pixels.
        patch_size: Side of a patch in pixels; one patch becomes one image token.
        width: Size of the residual stream.
        blocks: Number of transformer blocks.
        heads: Attention heads per block.
        mlp_width: Hidden size of each block's MLP.
    """

    image_size: int = 96
    patch_size: int = 16
    width: int = 192
    blocks: int = 6
    heads: int = 6
    mlp_width: int = 768

    @property
    def tokens(self) -> int:
        """Number of image tokens: patches in the picture."""
        return (self.image_size // self.patch_size) ** 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the adapter is trained.

    Attributes:
        seed: Seed of initial weights, of batches and of questions.
        tower: Shape of the vision tower.
        scenes: Number of training scenes, seeds 0..scenes-1.
        perception_steps: Steps of stage 1 (tower alone, supervised heads that are thrown away).
        perception_batch: Pictures per step of stage 1.
        perception_rate: Peak learning rate of stage 1.
        language_steps: Steps of stage 2 (language-model loss through the frozen decoder).
        language_batch: Pictures per step of stage 2.
        questions: Questions about each picture in a step of stage 2.
        row_tokens: Fixed length of a packed row of stage 2, in tokens (image tokens included).
        tower_rate: Peak learning rate of the tower in stage 2.
        projector_rate: Peak learning rate of the projector in stage 2.
        warmup: Share of the steps of a stage in which its rate rises linearly.
        weight_decay: AdamW's decay, matrices only.
    """

    seed: int = 0
    tower: TowerShape = TowerShape()
    scenes: int = 30_000
    perception_steps: int = 1_800
    perception_batch: int = 128
    perception_rate: float = 1e-3
    language_steps: int = 900
    language_batch: int = 16
    questions: int = 6
    row_tokens: int = 192
    tower_rate: float = 3e-4
    projector_rate: float = 1e-3
    warmup: float = 0.04
    weight_decay: float = 0.02

    def as_json(self) -> dict[str, Any]:
        """The recipe as JSON-ready data."""
        return asdict(self)
