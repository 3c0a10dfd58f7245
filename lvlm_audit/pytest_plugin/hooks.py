"""Calling the hooks of other plugins: what they raise is one message that says where."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from lvlm_audit.errors import LvlmAuditError, UsageError


def call(config: pytest.Config, name: str, **facts: Any) -> None:
    """Call every implementation of a hook.

    Raises:
        LvlmAuditError: one of them failed.
    """
    try:
        getattr(config.hook, name)(config=config, **facts)
    except LvlmAuditError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise UsageError(
            f"an implementation of {name} failed at {last.filename}:{last.lineno}: "
            f"{type(error).__name__}: {error}. Mend it, or leave it out. What was recorded is kept."
        ) from error
