"""The same model, computed otherwise: another number of threads, other batches, or no change at all."""

from __future__ import annotations

import torch

from lvlm_audit.faults.change import Change


def unchanged(change: Change, seed: int) -> None:
    """Nothing; how probes are batched, the fault's `batch_size` says."""
    del change, seed


def threads(change: Change, seed: int) -> None:
    """One thread where torch has several, two where it has one."""
    del seed
    before = torch.get_num_threads()
    change.undo(lambda: torch.set_num_threads(before))
    torch.set_num_threads(1 if before > 1 else 2)
