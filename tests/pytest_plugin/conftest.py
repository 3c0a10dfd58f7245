"""Fixtures: a laboratory for every test, with a cache of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import scipy.special  # noqa: F401

# Imported here, so that runs inside this process find them loaded and leave them so.
import lvlm_audit.auditing.run
import lvlm_audit.pytest_plugin.collection
import lvlm_audit.report.html
import lvlm_audit.report.terminal.summary  # noqa: F401
from lvlm_audit.auditing import gather
from lvlm_audit.auditing.plan import Need
from lvlm_audit.traces import store
from tests.pytest_plugin.lab import STATES, Lab, pictures


@pytest.fixture
def cache(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test."""
    folder = pytester.path / "cache"
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(folder))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return folder


@pytest.fixture
def lab(pytester: pytest.Pytester, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A project with eight pictures and a model that answers what a test says it answers."""
    made = Lab(pytester)
    (made.path / "model").mkdir()
    (made.path / "model" / "config.json").write_text("{}")
    (made.path / "model" / "model.safetensors").write_bytes(b"weights")
    pictures(made.path / "photos", 8)

    def record(session: Any, need: Need, formed: Any, done: Any, parts: Any) -> store.Recording:
        (made.states if need.kind in STATES else made.recorded).append(need)
        items = [made.answer(p) for p in session.shown.probes] if need.kind == "answers" else []
        subject = {
            "architecture": "ByHand", "blocks": 12, "width": 8, "vocabulary": 99,
            "dtype": "float32", "device": "cpu", "anatomy": {},
        }  # fmt: skip
        return store.Recording(items, {"subject": subject, "seconds": 0.0})

    monkeypatch.setattr(gather._Session, "_record", record)
    return made
