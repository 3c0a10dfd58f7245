"""The one folder where this project keeps what it can make again: traces, digests, demo models."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "LVLM_AUDIT_CACHE"


def cache_dir() -> Path:
    """`$LVLM_AUDIT_CACHE`, or the user's cache folder. It may not exist yet."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("lvlm_audit"))
