"""Fixtures: a laboratory for every test, with a cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import scipy.special  # noqa: F401

# Imported here, so that runs inside this process find them loaded and leave them so.
import lvlm_audit.auditing.run
import lvlm_audit.pytest_plugin.collection
import lvlm_audit.report.html
import lvlm_audit.report.terminal.summary  # noqa: F401
from lvlm_audit.engine.local import LocalEngine
from lvlm_audit.engine.protocol import Facts, Made
from lvlm_audit.recordings.job import Work
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

    def make(engine: LocalEngine, work: Work) -> Made:
        (made.states if work.need.kind in STATES else made.recorded).append(work.need)
        answers = work.need.kind == "answers"
        return Made(items=[made.answer(p) for p in work.shown.probes] if answers else [])

    def facts(engine: LocalEngine) -> Facts:
        subject = {
            "architecture": "ByHand", "blocks": 12, "width": 8, "vocabulary": 99,
            "dtype": "float32", "device": "cpu", "anatomy": {},
        }  # fmt: skip
        return Facts(subject=subject)

    monkeypatch.setattr(LocalEngine, "open", lambda engine: None)
    monkeypatch.setattr(LocalEngine, "make", make)
    monkeypatch.setattr(LocalEngine, "facts", facts)
    return made
