"""What a fault does, as a key: its code and its arguments, not its name or its words."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from lvlm_audit.faults.fault import Fault


def identity(fault: Fault, seed: int) -> list[Any]:
    """Equal identities do the same to the same model; a change of the fault's file makes another one."""
    found = importlib.util.find_spec(fault.damage.partition(":")[0])
    origin = found.origin if found is not None else None
    source = Path(origin).read_bytes() if origin is not None else b""
    code = hashlib.sha256(source).hexdigest()[:16]
    return [fault.damage, code, dict(fault.how), fault.batch_size, seed]
