"""Notes: what was left out of the input is said once in terminal, report, document and doctor."""

from __future__ import annotations

import dataclasses
import io
import json

from rich.console import Console

from lvlm_audit import Audit
from lvlm_audit.notes import Note, distinct, left_out
from lvlm_audit.report.html import render
from lvlm_audit.report.terminal.summary import summary
from tests.report import documents

HOSTILE = Note("probes", "left out: 1 file (not an image): <script>alert(1)</script>\x1b[31m")


def test_the_usual_sentence_counts_and_names_the_first_few():
    assert left_out("tensor", list("abcd")) == "left out: 4 tensors, first: a, b, c"
    assert left_out("file", ["a"], "empty") == "left out: 1 file (empty): a"


def test_each_note_is_kept_once_and_in_order():
    one, two = Note("model", "x"), Note("images", "x")
    assert distinct([two, one, two, one]) == (two, one)


def test_a_note_is_in_document_terminal_and_report_and_inert_there():
    audit = dataclasses.replace(documents.audit(), notes=[HOSTILE])
    again = Audit.from_json(audit.to_json())
    assert again.notes == [HOSTILE]

    stream = io.StringIO()
    summary(again, Console(file=stream, width=80))
    printed = stream.getvalue()
    assert "note: probes: left out: 1 file" in printed
    assert "\x1b" not in printed

    page = render(again)
    assert "Left out, or used otherwise than given" in page
    assert "<script>alert(1)" not in page


def test_documents_from_before_notes_are_read():
    text = documents.audit().to_json()
    assert '"notes"' in text
    data = json.loads(text)
    del data["notes"]
    assert Audit.from_json(json.dumps(data)).notes == []
