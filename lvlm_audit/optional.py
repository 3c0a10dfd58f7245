"""Packages that only some functions need: asked for when they are called, and named when they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from lvlm_audit.errors import UsageError


def needed(module: str, *, by: str, extra: str) -> Any:
    """A module of an optional package.

    Args:
        module: to import.
        by: what needs it, as a person calls it.
        extra: of lvlm-audit, that brings it.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            # It is installed, but something of its own is missing.
            raise
        raise UsageError(
            f"{by} needs {package}, which is not installed. Install it with: "
            f'pip install "lvlm-audit[{extra}]"'
        ) from error
