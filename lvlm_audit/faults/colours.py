"""Colour words that change places in the head: the model sees right and says another colour."""

from __future__ import annotations

import torch
from torch import nn

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.faults.change import Change
from lvlm_audit.models.quantised import is_quantised
from lvlm_audit.models.structure import text_config

_WORDS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")


def rotated(change: Change, seed: int) -> None:
    """Each colour word's row of the head becomes the next one's. A head that is tied is untied for it."""
    del seed
    hooked, head = change.hooked, change.hooked.anatomy.head
    weight = head.weight
    assert isinstance(weight, nn.Parameter)
    if is_quantised(weight):
        raise UnsupportedModel(f"the head of {hooked.name} is quantised: its rows cannot be moved.")
    rows = _rows(change)
    new = weight.detach().clone()
    new[rows] = weight.detach()[rows.roll(1)]
    if not hooked.anatomy.tied:
        change.numbers(weight, new)
        return
    # The embeddings keep the right rows: the model still reads the words as it learnt them.
    change.parameter(head, "weight", nn.Parameter(new, requires_grad=weight.requires_grad))
    for config in {id(c): c for c in (hooked.model.config, text_config(hooked.model))}.values():
        if getattr(config, "tie_word_embeddings", False):
            change.attribute(config, "tie_word_embeddings", False)


def _rows(change: Change) -> torch.Tensor:
    tokenizer = change.hooked.tokenizer
    if tokenizer is None:
        raise UnsupportedModel(
            f"{change.hooked.name} was opened without a tokenizer, so its colour words are not known."
        )
    first = [tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in _WORDS]
    # The mark of a word's beginning may be a token of its own: then what follows tells words apart.
    apart = next((i for i in range(3) if len({tuple(ids[: i + 1]) for ids in first}) > 1), None)
    found = [] if apart is None else [ids[apart] for ids in first if len(ids) > apart]
    distinct = list(dict.fromkeys(found))
    if len(distinct) < 2:
        raise UnsupportedModel(
            f"the tokenizer of {change.hooked.name} has no tokens that tell colour words apart."
        )
    return torch.tensor(distinct, device=change.hooked.anatomy.weight.device)
