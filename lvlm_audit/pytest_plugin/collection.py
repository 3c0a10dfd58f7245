"""Collection: one file of checks, one item a check."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.comparing.decision import must_be_decided
from lvlm_audit.document import Finding, Verdict
from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.pytest_plugin.session import SESSION
from lvlm_audit.pytest_plugin.status import CHECK, MEMBER, PROPERTY, UNDECIDED
from lvlm_audit.pytest_plugin.xdist import asked_for
from lvlm_audit.report.words import error_words, visible
from lvlm_audit.spec.check import Check
from lvlm_audit.spec.suite import Mark, load_file


class CheckFailedError(Exception):
    """A finding that fails the run.

    Attributes:
        finding: what was found.
        stands: its verdict, or the one of its change against the baseline.
        said: one sentence on that change; empty: the finding's own message says it.
    """

    def __init__(self, finding: Finding, stands: Verdict, said: str) -> None:
        super().__init__(said or finding.message)
        self.finding = finding
        self.stands = stands
        self.said = said


class CheckUndecidedError(CheckFailedError):
    """A finding that must be decided, and is not: no failure of the model."""


class Nothing(pytest.File):
    """Stands where pytest's Python collector would collect a check file as a module."""

    def collect(self) -> Iterable[pytest.Item]:
        """No item."""
        return ()


class CheckFileCollector(pytest.File):
    """A check_*.py file that imports lvlm_audit."""

    def collect(self) -> Iterable[pytest.Item]:
        """One item for each declared check; an opt-in file only when it was asked for by name."""
        try:
            loaded = load_file(self.path)
        except LvlmAuditError as error:
            raise self.CollectError(visible(str(error), keep_newlines=True)) from error
        # Not `isinitpath`: pytest drops a file from its arguments when its folder is named as well.
        if loaded.opt_in and self.path.resolve() not in asked_for(self.config)[0]:
            return
        for mark in loaded.marks:
            self.add_marker(_decorator(mark))
        lines = _lines(self.path)
        for member in self.config.stash[SESSION].names():
            for check in loaded.checks:
                item = CheckItem.from_parent(
                    self,
                    name=f"{check.name}[{member}]" if member else check.name,
                    check=check,
                    line=lines.get(check.name, 0),
                    member=member,
                )
                for mark in loaded.marked.get(check.name, ()):
                    item.add_marker(_decorator(mark))
                yield item


class CheckItem(pytest.Item):
    """One check of one checkpoint; the audit behind it is made once for the session."""

    def __init__(self, *, check: Check, line: int = 0, member: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check
        self.line = line
        self.member = member

    def runtest(self) -> None:
        """Look the finding up; fail if it decides against the model."""
        session = self.config.stash[SESSION]
        judged = session.judged(self.member)
        finding, decision = judged.finding(self.check.name), judged.decision()
        stands = decision.stands.get(finding.check, finding.verdict)
        # Plain strings: under xdist properties travel as JSON.
        self.user_properties.append((PROPERTY, f"{finding.severity}:{stands}"))
        self.user_properties.append((CHECK, finding.check))
        if self.member:
            self.user_properties.append((MEMBER, self.member))
        if finding.check in decision.red:
            raise CheckFailedError(finding, stands, decision.sentences.get(finding.check, ""))
        if finding.check in decision.undecided and must_be_decided(session.gate()):
            self.user_properties.append((UNDECIDED, "yes"))
            raise CheckUndecidedError(finding, stands, decision.sentences.get(finding.check, ""))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any) -> str:
        """What was found, without a traceback."""
        error = excinfo.value
        if isinstance(error, CheckFailedError):
            f = error.finding
            return self._wrapped(
                (
                    f"{f.check}: {error.stands.upper()} ({f.stage})",
                    f"  {f.statement}",
                    *([f"  {error.said}"] if error.said else []),
                    f"  {f.message}",
                    f"  bound: {f.rationale}",
                    *(
                        [f"  look at: {', '.join(map(repr, f.counterexamples))}"]
                        if f.counterexamples
                        else []
                    ),
                )
            )
        if isinstance(error, LvlmAuditError):
            return error_words(error)
        return str(super().repr_failure(excinfo))

    def _wrapped(self, lines: Iterable[str]) -> str:
        """Lines as wide as the terminal, broken between words."""
        width = max(40, self.config.get_terminal_writer().fullwidth)
        return "\n".join(
            textwrap.fill(
                line,
                width,
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            for line in lines
        )

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the check is declared."""
        return self.path, self.line, f"{self.check.stage}: {self.name}"


def _decorator(mark: Mark) -> pytest.MarkDecorator:
    made: pytest.MarkDecorator = getattr(pytest.mark, mark.name)
    return made.with_args(*mark.args, **mark.kwargs)


def _lines(path: Path) -> dict[str, int]:
    """The line, from 0, on which each name is assigned at the file's top level."""
    found: dict[str, int] = {}
    for node in ast.parse(path.read_bytes()).body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        found.update({t.id: node.lineno - 1 for t in targets if isinstance(t, ast.Name)})
    return found
