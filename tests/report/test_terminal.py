"""The terminal summary at width 80, on every kind of terminal."""

from __future__ import annotations

import dataclasses
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from lvlm_audit.document import Audit, Difference, Interval, Verdict
from lvlm_audit.report import html
from lvlm_audit.report.terminal.summary import summary
from tests.effort import examples
from tests.report import attacks, documents, gate_documents


def show(audit: Audit, *, width: int = 80, encoding: str = "utf-8", colour: bool = False) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    console = Console(
        file=file, width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    summary(audit, console, written=["reports/audit.html", "reports/äudit [x].json"])
    file.flush()
    return raw.getvalue().decode(encoding)


def test_verdict_model_stages_findings_and_files() -> None:
    text = show(documents.audit(), width=110)
    for wanted in (
        "✗ fail  1 of 3 error-severity checks failed",
        "This is the demo model",
        "30 blocks, normed lens, 4 probes on 2 images",
        "stages  0 ░░░░░░░░░░░░░░░░░░░░░░░▒▒▒▒▒▓▓▓ 30",
        "classes Classes differ in settle state (content against punctuation).",
        "three stages · critical layer 23 · mutation layers 28–29",
        "87.5\u00a0% [75.5, 99.5] vs ≥ 70\u00a0% of images",
        "0.0712 [0.0475, 0.0949] vs ≥ 0.02 bits",
        "— vs ≥ 70\u00a0% of images",
        "words   8 of 32 labelled words hallucinated; found best by lead_loss, AUROC 0.71 [0.58, 0.83]",
        "anew    DoLa (low): harms; corrects 3 of 8, breaks 2 of 24, 7 gone; net −3 points [−10, +5]",
        "anew    skip.2: not measured",
        "written reports/audit.html",
        "written reports/äudit [x].json",
    ):
        assert wanted in text
    assert text.index("severity error") < text.index("answer_forms") < text.index("severity warn")
    assert "demo" not in show(documents.passing())


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp437"])
def test_every_width_and_encoding(width: int, encoding: str) -> None:
    for audit in (
        documents.audit(), attacks.hostile(), documents.empty(), gate_documents.anchored(),
    ):  # fmt: skip
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
    summary(documents.audit(), console, encoding="ascii")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().isascii()


def test_what_differs_from_the_baseline_is_said_and_what_does_not_is_counted() -> None:
    audit = documents.compared()
    assert audit.comparison is not None
    clear = Difference(
        "image_matters", 0.1, 0.2, -0.1, Interval(-0.15, -0.05, 0.95, "t", False), 16, ""
    )
    worse = dataclasses.replace(
        audit.comparison, differences=[*audit.comparison.differences, clear]
    )
    text = show(dataclasses.replace(audit, comparison=worse), width=200)
    assert "against base-model: no deciding check is held against it\n" in text
    assert (
        "moved   described, image by image; simultaneous 95 % intervals. Paired by image;" in text
    )
    assert "        image_matters −0.1 [−0.15, −0.05], 16 images\n" in text
    assert "        1 within chance, 2 without an interval\n" in text
    assert "answer_forms −4.5" not in text
    share = dataclasses.replace(clear, check="answer_forms")
    worse = dataclasses.replace(audit.comparison, differences=[share])
    text = show(dataclasses.replace(audit, comparison=worse), width=200)
    assert "        answer_forms −10 points [−15, −5], 16 images\n" in text
    assert "within chance" not in text
    assert "against" not in show(documents.audit(), width=200).split("severity")[0]


def test_hostile_text_neither_colours_nor_commands() -> None:
    text = show(attacks.hostile(), colour=False)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    for attack in ("[bold red]markup[/bold red]", "\x1b]8;;http://evil.example"):
        coloured = show(attacks.hostile(attack), colour=True)
        without_style = re.sub("\x1b\\[[0-9;]*m", "", coloured)
        assert "\x1b" not in without_style
    assert "[bold red]markup" in show(attacks.hostile("[bold red]markup"), width=200)


@examples(8)
@given(st.text(alphabet=st.characters(), max_size=40))
def test_any_text_prints(text: str) -> None:
    show(attacks.hostile(text))
    show(attacks.hostile(text), encoding="ascii")


def test_no_finding_is_said_loudly() -> None:
    assert "nothing was checked" in show(documents.empty())
    assert "no such pattern: Below 9 blocks" in show(documents.nothing_applies())


def test_given_answers_are_announced() -> None:
    audit = documents.passing()
    given = dataclasses.replace(audit, subject=dataclasses.replace(audit.subject, answers="given"))
    assert "The answers were given and replayed, not generated by the model." in show(given)
    assert "replayed" not in show(audit)


@pytest.mark.parametrize("width", range(56, 121, 4))
def test_lines_break_between_words(width: int) -> None:
    """Everything that is said at width 400 is said in whole words at any width."""
    audit = documents.compared()
    whole = {word.removesuffix(";") for word in show(audit, width=400).split()}
    narrow = {word.removesuffix(";") for word in show(audit, width=width).split()}
    stages = {"rapid", "evolution,", "whole", "answer,", "stabilization,", "mutation,"}
    assert narrow - whole <= stages
    assert all(str(f.check) in narrow for f in audit.findings)


def test_what_goes_on_stays_beside_its_label() -> None:
    lines = show(documents.audit(), width=60).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("image   "))
    assert lines[at + 1].startswith("        left at the end")


def test_long_text_is_cut_between_words() -> None:
    audit = documents.audit()
    long = dataclasses.replace(audit, headline="banana " * 100)
    head = show(long, width=2000).splitlines()[0]
    assert head.endswith("banana …")


def test_verdicts_have_words_of_their_own() -> None:
    audit = documents.audit()
    by_name = {f.check: f for f in audit.findings}
    passes, fails, warns = (
        by_name[n] for n in ("answer_forms", "beats_distractor", "late_switch_bounded")
    )
    undecided = dataclasses.replace(passes, verdict=Verdict.INCONCLUSIVE)
    for verdict, findings, word in (
        (Verdict.FAIL, [passes, fails], "✗ fail  "),
        (Verdict.FAIL, [undecided, fails], "✗ fail  "),
        (Verdict.FAIL, [passes, undecided, warns], "? inconclusive  "),
        (Verdict.PASS, [passes, warns], "✓ pass  "),
        (Verdict.PASS, [warns], "– nothing decides  "),
    ):
        changed = dataclasses.replace(audit, verdict=verdict, findings=findings)
        assert show(changed).startswith(word)
        assert f"<title>{word[2:].strip()} – demo" in html.render(changed)
