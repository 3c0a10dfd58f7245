"""Packs several questions about one picture behind a single copy of its image tokens.

Row layout: shared prefix (chat opening and image tokens), then question-and-answer blocks. Each
block sees the prefix and itself only, and its positions restart after the prefix, so every block
is computed exactly as if it stood alone; the image is just paid for once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lvlm_audit.demo.questions import QUESTION_KINDS, Question, ask
from lvlm_audit.demo.recipe import IMAGE_TOKEN_ID, Recipe
from lvlm_audit.demo.scenes import Scene, make_scene

OPENING = "<|im_start|>user\n"
ASKED = "<|im_end|>\n<|im_start|>assistant\n"
CLOSING = "<|im_end|>"


@dataclass(frozen=True)
class PackedBatch:
    """One training batch.

    Attributes:
        scenes: The scenes' seeds, (rows,).
        tokens: Token ids, (rows, length); image tokens are `IMAGE_TOKEN_ID`.
        positions: Position ids, (rows, length).
        visible: Attention mask, (rows, 1, length, length), True where a query may look.
        sources: Flat index (row * length + column) of each position that predicts, (targets,).
        targets: The token that it should predict, (targets,).
    """

    scenes: Sequence[int]
    tokens: Tensor
    positions: Tensor
    visible: Tensor
    sources: Tensor
    targets: Tensor


def pack(
    seeds: Sequence[int], tokenizer: Any, recipe: Recipe, rng: np.random.Generator
) -> PackedBatch:
    """Packs questions about the scenes of `seeds`, as many as fit a row.

    Args:
        seeds: Scene seeds, one per row.
        tokenizer: The decoder's tokenizer (a Hugging Face fast tokenizer).
        recipe: Length of a row, questions per picture, number of image tokens.
        rng: Source of the questions.

    Returns:
        The batch.
    """
    length = recipe.row_tokens
    prefix = tokenizer.encode(OPENING, add_special_tokens=False)
    prefix = prefix + [IMAGE_TOKEN_ID] * recipe.tower.tokens
    questions = [_questions(make_scene(seed), recipe.questions, rng) for seed in seeds]
    texts = [
        text
        for row in questions
        for q in row
        for text in ("\n" + q.text + ASKED, q.answer + CLOSING)
    ]
    encoded = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])

    tokens = np.full((len(seeds), length), tokenizer.eos_token_id, np.int64)
    positions = np.zeros((len(seeds), length), np.int64)
    # Block 0 is the shared prefix; padding gets a block of its own that nothing else sees.
    blocks = np.full((len(seeds), length), -1, np.int64)
    sources: list[int] = []
    targets: list[int] = []
    for row, asked in enumerate(questions):
        end = len(prefix)
        tokens[row, :end] = prefix
        positions[row, :end] = np.arange(end)
        blocks[row, :end] = 0
        for block in range(1, len(asked) + 1):
            prompt, answer = next(encoded), next(encoded)
            size = len(prompt) + len(answer)
            if end + size > length:
                continue
            tokens[row, end : end + size] = prompt + answer
            positions[row, end : end + size] = len(prefix) + np.arange(size)
            blocks[row, end : end + size] = block
            first = row * length + end + len(prompt) - 1
            sources.extend(range(first, first + len(answer)))
            targets.extend(answer)
            end += size
    return PackedBatch(
        scenes=seeds,
        tokens=torch.from_numpy(tokens),
        positions=torch.from_numpy(positions),
        visible=torch.from_numpy(_visible(blocks)),
        sources=torch.tensor(sources),
        targets=torch.tensor(targets),
    )


def _questions(scene: Scene, number: int, rng: np.random.Generator) -> list[Question]:
    """Distinct questions of cycling kinds; descriptions first, for they carry the most words."""
    chosen: list[Question] = []
    texts: set[str] = set()
    for turn in range(2 * number):
        question = ask(scene, QUESTION_KINDS[turn % len(QUESTION_KINDS)], rng)
        if question.text not in texts and len(chosen) < number:
            texts.add(question.text)
            chosen.append(question)
    return chosen


def _visible(blocks: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    length = blocks.shape[1]
    causal = np.tril(np.ones((length, length), dtype=bool))
    query, key = blocks[:, :, None], blocks[:, None, :]
    visible: np.ndarray[Any, np.dtype[np.bool_]] = ((key == query) | (key == 0)) & causal
    return visible[:, None]
