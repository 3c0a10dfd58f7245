"""The version of this package; documents, recordings and `--version` carry it."""

from __future__ import annotations

__version__ = "0.1.0"
