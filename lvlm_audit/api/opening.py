"""`lvlm_audit.load`: a checkpoint by any name that a run knows, the demo model's included."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lvlm_audit.auditing.subject import find

if TYPE_CHECKING:
    from lvlm_audit.models.hooked import HookedModel
    from lvlm_audit.models.placing import Memory


def load(
    name: str | Path = "demo",
    *,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
    adapter: str | Path | None = None,
    max_memory: Memory | None = None,
) -> HookedModel:
    """Opens a checkpoint and proves that the lens can read it.

    Args:
        name: a checkpoint folder, a hub id, an alias (`lvlm-audit models`), or "demo".
        device: "cpu", "cuda", "cuda:1", "mps"; None or "auto" takes the fastest there is; "map" spreads
            the blocks over all accelerators, main memory and disk (needs accelerate).
        dtype: "float32", "bfloat16" or "float16"; None or "auto" takes the checkpoint's own.
        trust_remote_code: run Python code that the checkpoint brings.
        revision: branch, tag or commit of a hub model.
        adapter: folder of a PEFT adapter that goes over the weights (needs peft).
        max_memory: with "map", the most that each device may hold, as accelerate has it: {0: "20GiB"}.

    Raises:
        LvlmAuditError: as `lvlm_audit.models.opening.load`; or the demo model is not assembled.

    Example:
        >>> with lvlm_audit.load(checkpoint) as hooked:
        ...     hooked.blocks
        10
    """
    from lvlm_audit.models.opening import load as opened

    return opened(
        find(str(name), revision=revision, adapter=adapter),
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        max_memory=max_memory,
    )
