"""The replication note says what its documents say, and text from a model is no markup in it."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.replication.note import cell, examples, write
from lvlm_audit.document import ClassComparison, ClassMeasure, ClassValue, Interval
from lvlm_audit.document.stages import TerminalTransition
from tests.report import documents

COMMANDS = {"normed": "pytest checks/", "paper": "pytest checks/check_paper.py"}
BLOCKS = 30
WORD = "a|b_*c*"


def answered(right: bool):
    """A probe whose answer is one hostile content word, or not the expected one."""
    token = dataclasses.replace(
        documents.token(" x", "content", BLOCKS, 0),
        text=" " + WORD,
        kind="content",
        eligible=True,
        onset=20,
        critical=21,
        settle=22,
        paper_index=[0.5] * BLOCKS,
        leaders=["other"] * 25 + [" " + WORD] * 6,
    )
    return dataclasses.replace(
        documents.probe(int(right)),
        id=f"probe-{right}",
        reference=WORD if right else "other",
        tokens=[token],
        labels={},
    )


def audit(lens: str, *, jsd: float, mutates_more: bool):
    made = documents.audit(probes=2, blocks=BLOCKS)
    interval = Interval(0.1, 0.2, 0.95, "wilson")
    value = ClassValue("content", 9, 9, 0.9, interval)
    other = ClassValue("punctuation", 9, 9, 0.1, interval, 0.8, interval, 9, mutates_more)
    curve = dataclasses.replace(made.layers[0], name="probability of the emitted token")
    layers = [
        curve,
        dataclasses.replace(
            curve,
            name="JSD between neighbouring states",
            axis="transition",
            **dict.fromkeys(("median", "low", "high"), [jsd] * BLOCKS),
        ),
    ]
    return dataclasses.replace(
        made,
        subject=dataclasses.replace(made.subject, lens=lens),
        probes=[answered(True), answered(False)],
        layers=layers,
        decoder=None,
        stages=dataclasses.replace(
            made.stages, terminal=[TerminalTransition(lens, 1.0, 0.1, 0.9, 9)]
        ),
        classes=ClassComparison(
            {"content": 9},
            [ClassMeasure("late mutation", "share of tokens", "Meaning.", [value, other])],
            [],
            "",
            "Note.",
        ),
    )


@pytest.fixture
def note(tmp_path):
    def made(**how) -> str:
        normed, paper = (audit(lens, **how) for lens in ("normed", "raw"))
        write(normed, paper, tmp_path, COMMANDS)
        assert {"candidates.svg", "divergence.svg", "classes.svg"} <= {
            p.name for p in (tmp_path / "replication").iterdir()
        }
        return (tmp_path / "replication.md").read_text("utf-8")

    return made


def test_every_claim_follows_the_numbers(note) -> None:
    quiet = note(jsd=0.01, mutates_more=True)
    assert (
        "| a plateau of divergence near 0 follows | median 0.01 bit in the last third | yes |"
        in quiet
    )
    assert (
        "| punctuation mutates late less often than content words | beyond its interval | yes |"
        in quiet
    )
    loud = note(jsd=0.4, mutates_more=False)
    assert (
        "| a plateau of divergence near 0 follows | median 0.40 bit in the last third | **no** |"
        in loud
    )
    assert "content words | not beyond its interval | **no** |" in loud
    assert "That is **not** the paper's shape" in loud
    assert "Not measured in this run." in loud
    assert COMMANDS["paper"] in loud


def test_text_of_a_model_is_not_markup(note) -> None:
    text = note(jsd=0.1, mutates_more=True)
    assert WORD not in text
    assert cell(WORD) in text
    assert cell("a\nb\x1b[31m") == "a b \\[31m"


def test_examples_are_a_right_answer_and_the_word_that_went_wrong() -> None:
    made = audit("normed", jsd=0.1, mutates_more=True)
    assert [(title, p.id, t) for title, p, t in examples(made)] == [
        ("right", "probe-True", 0),
        ("wrong", "probe-False", 0),
    ]


def test_the_right_word_that_led_is_named(note) -> None:
    text = note(jsd=0.1, mutates_more=True)
    assert "The right word, “other”, leads at states\n  0, 1, 2," in text
