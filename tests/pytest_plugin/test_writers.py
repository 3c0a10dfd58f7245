"""A format of somebody else's, chosen on pytest's command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lvlm_audit.writers import unregister_writer
from tests.pytest_plugin.lab import Lab

CONFTEST = """
import lvlm_audit
from lvlm_audit.writers import TextWriter, register_writer

class Verdict(TextWriter):
    name = "verdict-of-a-conftest"
    kinds = (lvlm_audit.Audit,)

    def text(self, document):
        if document.verdict != "pass":
            1 / 0
        return str(document.verdict)

register_writer(Verdict())
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    unregister_writer("verdict-of-a-conftest")


def test_a_conftests_format_is_written_beside_ours(lab: Lab) -> None:
    lab.checks("check_a.py", "passes")
    (lab.path / "conftest.py").write_text(CONFTEST)
    result, document = lab.audit(
        "--lvlm-write", "verdict-of-a-conftest=verdict.txt", "--lvlm-write", "html=page.html"
    )
    assert result.ret == 0
    assert (lab.path / "verdict.txt").read_text() == document["verdict"] == "pass"
    assert (lab.path / "page.html").read_text().startswith("<!DOCTYPE html>")
    said = result.stdout.str()
    assert all(name in said for name in ("audit.json", "verdict.txt", "page.html"))


def test_one_that_breaks_turns_the_run_red_and_spoils_no_other_file(lab: Lab) -> None:
    lab.checks("check_a.py", "fails", "passes")
    (lab.path / "conftest.py").write_text(CONFTEST)
    result, document = lab.audit("--lvlm-write", "verdict-of-a-conftest=verdict.txt")
    assert result.ret == 1
    assert document["verdict"] == "fail"
    result.stdout.fnmatch_lines(["*writer 'verdict-of-a-conftest' failed at *ZeroDivisionError*"])
    assert "verdict.txt" not in lab.files()


def test_a_format_that_nobody_knows_is_said_before_anything_is_recorded(lab: Lab) -> None:
    lab.checks("check_a.py", "passes")
    result = lab.run("--lvlm-write", "xml=a.xml")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--lvlm-write: the format 'xml' is not one of html, json*"])
    assert lab.recorded == []
