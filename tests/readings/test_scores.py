"""Scores of yes/no answers reach document, terminal and report, and agree with scikit-learn."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from lvlm_audit import Audit, suite
from lvlm_audit.readings.scores import score_readings
from lvlm_audit.report.html import render
from lvlm_audit.report.terminal.summary import summary
from tests.evidence import evidence_of, run_on
from tests.hallucination.answers import said

SAID = ["Yes .", "Yes .", "No .", "No .", "Yes .", "No ."] * 4
TRUE = ["yes", "no", "yes", "no", "yes", "no"] * 4


def answers(dataset: str = "POPE"):
    return [
        said(text, {"dataset": dataset, "expected": true}, name=f"p{i}", cluster=f"c{i // 2}")
        for i, (text, true) in enumerate(zip(SAID, TRUE, strict=True))
    ]


def test_they_are_scikit_learns():
    (reading,) = score_readings(evidence_of("normed", answers()))
    truth = [true == "yes" for true in TRUE]
    seen = [text.startswith("Yes") for text in SAID]
    by_name = {row.name: row for row in reading.rows}
    for name, expected in (
        ("accuracy", accuracy_score(truth, seen)),
        ("precision", precision_score(truth, seen)),
        ("recall", recall_score(truth, seen)),
        ("F1", f1_score(truth, seen)),
        ("yes rate", sum(seen) / len(seen)),
    ):
        assert by_name[name].value == pytest.approx(expected, abs=1e-4)
        interval = by_name[name].interval
        assert interval is not None
        assert interval.low <= by_name[name].value <= interval.high
    assert (reading.answers, by_name["accuracy"].images) == (24, 12)


def test_each_data_set_has_its_own_and_other_questions_none():
    mixed = [*answers("POPE"), *answers("AMBER"), said("A red banana .")]
    readings = score_readings(evidence_of("normed", mixed))
    assert [r.positive for r in readings] == ["yes", "no"]
    assert score_readings(evidence_of("normed", [said("A red banana .")])) == []


def test_a_reader_sees_them():
    audit = run_on(suite(), answers())
    again = Audit.from_json(audit.to_json())
    assert again.scores == audit.scores
    stream = io.StringIO()
    summary(again, Console(file=stream, width=200))
    assert "accuracy 66.7" in stream.getvalue()
    assert "F1 66.7" in stream.getvalue()
    page = render(again)
    assert 'id="scores"' in page
    assert "Scores: how right the yes/no answers are" in page
