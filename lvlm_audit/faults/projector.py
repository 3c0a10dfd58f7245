"""A projector that gives nothing: the decoder is whole, the model is blind."""

from __future__ import annotations

import torch

from lvlm_audit.faults.change import Change
from lvlm_audit.models.eyes import find_eyes


def zeroed(change: Change, seed: int) -> None:
    """Every number of the projector is zero."""
    del seed
    for weight in find_eyes(change.hooked).projector.parameters():
        change.numbers(weight, torch.zeros_like(weight))
