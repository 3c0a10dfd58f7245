"""Which files are check files. Standard library only: the pytest plugin asks in every run."""

from __future__ import annotations

import re
from pathlib import Path

PATTERN = "check_*.py"

_IMPORTS_US = re.compile(rb"^\s*(?:from\s+lvlm_audit\b|import\s+lvlm_audit\b)", re.MULTILINE)


def is_check_file(path: Path) -> bool:
    """Only check_*.py files that import lvlm_audit: others of that name are left alone."""
    if path.suffix != ".py" or not path.name.startswith("check_"):
        return False
    try:
        return _IMPORTS_US.search(path.read_bytes()) is not None
    except OSError:
        return False


def check_files(folder: Path) -> list[Path]:
    """The check files that lie directly in a folder, by name."""
    return sorted(p for p in folder.glob(PATTERN) if is_check_file(p))
