"""What the xdist controller has to know: it collects nothing itself, but it alone records and writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvlm_audit.spec.suite import PATTERN


def check_files_named(config: pytest.Config) -> list[Path]:
    """Check files that the command line's arguments lead to, opt-in files only if named."""
    from lvlm_audit.pytest_plugin import _is_ours

    found: list[Path] = []
    for argument in config.args:
        path = config.invocation_params.dir / argument.split("::")[0]
        candidates = sorted(path.rglob(PATTERN)) if path.is_dir() else [path]
        found.extend(p for p in candidates if p.is_file() and _is_ours(p))
    return found
