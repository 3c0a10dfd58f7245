"""The terminal summary at width 80, on every kind of terminal."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from lvlm_audit.document import Audit
from lvlm_audit.report import terminal
from tests.report import attacks, documents


def show(audit: Audit, *, width: int = 80, encoding: str = "utf-8", colour: bool = False) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    console = Console(
        file=file, width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    terminal.summary(audit, console, written=["reports/audit.html", "reports/äudit [x].json"])
    file.flush()
    return raw.getvalue().decode(encoding)


def test_verdict_model_stages_findings_and_files() -> None:
    text = show(documents.audit(), width=110)
    for wanted in (
        "✗ fail  1 of 3 error-severity checks failed",
        "This is the demo model",
        "30 blocks, normed lens, 4 probes on 2 images",
        "stages  0 ░░░░░░░░░░░░░░░░░░░░░░░▒▒▒▒▒▓▓▓ 30",
        "three stages · critical layer 23 · mutation layers 28–29",
        "87.5\u00a0% [75.5, 99.5] vs ≥ 70\u00a0% of images",
        "0.0712 [0.0475, 0.0949] vs ≥ 0.02 bits",
        "— vs ≥ 70\u00a0% of images",
        "written reports/audit.html",
        "written reports/äudit [x].json",
    ):
        assert wanted in text
    assert text.index("severity error") < text.index("answer_forms") < text.index("severity warn")
    assert "demo" not in show(documents.passing())


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp437"])
def test_every_width_and_encoding(width: int, encoding: str) -> None:
    for audit in (documents.audit(), attacks.hostile(), documents.empty()):
        text = show(audit, width=width, encoding=encoding)
        assert max(cell_len(line) for line in text.splitlines()) <= width


def test_at_width_80_every_finding_keeps_its_words() -> None:
    text = show(documents.audit())
    for finding in documents.findings():
        assert finding.check in text
        assert str(finding.verdict) in text
    assert len(re.findall(r"\b16\b", text)) >= 7


def test_a_plain_terminal_gets_ascii() -> None:
    text = show(documents.audit(), encoding="ascii")
    assert "x fail" in text
    assert "0 .......................=====### 30" in text
    assert ">= 70 %" in text


def test_a_console_that_only_collects_can_be_told_the_terminals_encoding() -> None:
    console = Console(file=io.StringIO(), width=80)
    terminal.summary(documents.audit(), console, encoding="ascii")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().isascii()


def test_hostile_text_neither_colours_nor_commands() -> None:
    text = show(attacks.hostile(), colour=False)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    for attack in ("[bold red]markup[/bold red]", "\x1b]8;;http://evil.example"):
        coloured = show(attacks.hostile(attack), colour=True)
        without_style = re.sub("\x1b\\[[0-9;]*m", "", coloured)
        assert "\x1b" not in without_style
    assert "[bold red]markup" in show(attacks.hostile("[bold red]markup"), width=200)


@settings(max_examples=8, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=40))
def test_any_text_prints(text: str) -> None:
    show(attacks.hostile(text))
    show(attacks.hostile(text), encoding="ascii")


def test_no_finding_is_said_loudly() -> None:
    assert "nothing was checked" in show(documents.empty())
    assert "no such pattern: Below 9 blocks" in show(documents.nothing_applies())
