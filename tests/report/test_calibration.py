"""The noise floors in the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lvlm_audit.document import Bound, Calibration, Floor, Severity
from lvlm_audit.report.terminal.calibration import show
from tests.report.attacks import ATTACKS


def calibration(name: str = "settles_early") -> Calibration:
    share = Bound(">=", 0.7, "share of images")
    floors = [
        Floor(name, Severity.WARN, 0.74, 0.03, 0.11, share, 0.04, True, 4, 48.0),
        Floor("answer_forms", Severity.ERROR, 0.94, 0.02, 0.06, share, 0.24, False, 4, 48.0),
        Floor("plateau_holds", Severity.WARN, None, None, None, share, None, False, 0, 0.0),
    ]
    return Calibration("demo", "normed", "bundled", "fresh probes", 4, floors, "Four audits.", {})


def text(found: Calibration, width: int = 120) -> str:
    raw = io.StringIO()
    show(found, Console(file=raw, width=width))
    return raw.getvalue()


def test_every_check_with_its_figures_and_what_lies_inside_the_floor() -> None:
    said = " ".join(text(calibration()).replace("\N{NO-BREAK SPACE}", " ").split())
    assert "4 rounds of fresh probes" in said
    assert "settles_early 74 % 3 pp 11 pp >= 70 % 4 pp 0.36 WARN" in said
    assert "answer_forms 94 % 2 pp 6 pp >= 70 % 24 pp 4 " in said
    assert "plateau_holds — — — >= 70 % — — not applicable" in said
    assert said.count("could flip the verdict") == 1


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_names_stay_text(attack: str) -> None:
    said = text(calibration(attack), 60)
    assert "\x1b]8" not in said
    assert "\x07" not in said
    said.encode("utf-8")
