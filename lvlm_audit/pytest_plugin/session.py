"""One audit for one pytest session: made before the first check runs, written after the last.

A series has one for each checkpoint.

Errors that a person can mend become pytest's usage errors: one message, no traceback, exit code 4.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from lvlm_audit.auditing.judged import Judged
from lvlm_audit.auditing.subject import open_subject
from lvlm_audit.comparing.held import Held, stored, update
from lvlm_audit.document import Audit, Expectation, Verdict
from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.gating.gated import audit_gated
from lvlm_audit.gating.series import Member, Series, files_of, series_of
from lvlm_audit.progress import renamed
from lvlm_audit.pytest_plugin.hooks import call
from lvlm_audit.pytest_plugin.progress import Reporter
from lvlm_audit.pytest_plugin.reporting import DOCUMENT, report_failed
from lvlm_audit.pytest_plugin.status import CHECK, EXIT_UNDECIDED, MEMBER, UNDECIDED
from lvlm_audit.report.verdicts import looks
from lvlm_audit.report.words import error_words
from lvlm_audit.settings.audit import Settings, settings_of
from lvlm_audit.settings.checking import resolved
from lvlm_audit.settings.declared import AUDIT, FILES, GATE, Declared
from lvlm_audit.settings.files import Files
from lvlm_audit.settings.gate import Gate
from lvlm_audit.settings.spelling import for_pytest, speaking
from lvlm_audit.spec.suite import load_family
from lvlm_audit.waiting import said_after
from lvlm_audit.writers.outputs import Output, outputs, write_all

SESSION: pytest.StashKey[AuditSession] = pytest.StashKey()


def ensure_session(config: pytest.Config) -> AuditSession:
    """The session's audit, registered on first use."""
    session = config.stash.get(SESSION, None)
    if session is None:
        session = AuditSession(config)
        config.stash[SESSION] = session
        config.pluginmanager.register(session, "lvlm_audit_session")
    return session


class AuditSession:
    """Hooks that are registered only when check files take part."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.audits: dict[str, Audit] = {}
        self.written: list[Path] = []
        self.problem: str | None = None
        self.kept: str | None = None
        self._series: Series | None = None
        self._judged: dict[str, Judged] = {}
        self._outputs: dict[str, tuple[Output, ...]] = {}
        self._held: Held | None = None
        self._seen: dict[str, set[str]] = {}
        self._expected: dict[str, dict[str, tuple[Expectation, str]]] = {}
        self._files: set[Path] = set()
        self._failed: list[str] = []

    @property
    def is_worker(self) -> bool:
        """An xdist worker reads stored traces and writes nothing."""
        return hasattr(self.config, "workerinput")

    def settings(self) -> Settings:
        """The command line as settings.

        Raises:
            UsageError: an option that cannot be used.
        """
        return settings_of(self._given(AUDIT), mode=self._option("mode"))

    def gate(self) -> Gate:
        """What the model is held against, and what fails.

        Raises:
            UsageError: an option that cannot be used.
        """
        return Gate(**self._given(GATE))

    def files(self) -> Files:
        """What is written.

        Raises:
            UsageError: two results in one file.
        """
        return Files(**self._given(FILES))

    def series(self) -> Series:
        """The checkpoints that are audited: one without a name, unless the model is named by a pattern.

        Raises:
            ModelNotFound: the pattern finds none.
        """
        if self._series is None:
            self._series = series_of(self._option("model"), self.config.invocation_params.dir)
        return self._series

    def names(self) -> list[str]:
        """The same by name, for items; what is wrong with a pattern is said before the first check."""
        try:
            return [member.name for member in self.series().members]
        except LvlmAuditError:
            return [""]

    def baseline(self) -> Audit | None:
        """What the model was held against."""
        return None if self._held is None else self._held.baseline

    def judged(self, member: str) -> Judged:
        """One checkpoint's whole family; on a worker the stored traces are judged on first use.

        Raises:
            LvlmAuditError: the audit could not be made.
        """
        if member not in self._judged:
            with speaking(for_pytest):
                self._judge(next(one for one in self.series().members if one.name == member))
        return self._judged[member]

    def before_tests(self, files: Iterable[Path], nodes: Sequence[str]) -> None:
        """Make the audit before the first check, so that an error is one message, not one a check.

        Args:
            files: check files that were collected.
            nodes: ids of the checks that will be run; without any, nothing has to be recorded.

        Raises:
            pytest.UsageError: what stands in the way.
        """
        if self.config.option.collectonly or self._judged:
            return
        self._files = set(files)
        if not nodes:
            return
        try:
            with speaking(for_pytest):
                self._prepare(nodes)
                for member in self.series().members:
                    if member.name in self._outputs:
                        judged = self._judge(member)
                        facts = {"traces": judged.evidence.traces, "provenance": judged.provenance}
                        call(self.config, "pytest_lvlm_recorded", **facts)
        except LvlmAuditError as error:
            said = error_words(error) + self._how_far()
            report_failed(self.config, nodes, said, "setup")
            raise pytest.UsageError(said) from error

    def _prepare(self, nodes: Sequence[str]) -> None:
        """What can be known before anything is recorded: which files are written, and that models are there."""
        series = self.series()
        series.refuse(self.gate())
        asked = {_member_of(node) for node in nodes} if series.several else {""}
        members = [member for member in series.members if member.name in asked]
        files = files_of(self.files(), members)
        self._outputs = {
            member.name: outputs(one, Audit) for member, one in zip(members, files, strict=True)
        }
        if series.several:
            settings = self.settings()
            for member in members:
                open_subject(dataclasses.replace(settings, model=member.model))

    def _how_far(self) -> str:
        """Of a series that ended early, where: what is recorded stays in the store."""
        waiting = [name for name in self._outputs if name not in self._judged]
        if not waiting or not waiting[0]:
            return ""
        done = ", ".join(self._judged) or "none"
        rest = f" Not begun: {', '.join(waiting[1:])}." if waiting[1:] else ""
        return (
            f"\nThis is checkpoint {waiting[0]} of the series. Audited before it: {done}; what was recorded is "
            f"kept, and is not recorded again.{rest}"
        )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[None]:
        items = [i for i in session.items if type(i).__name__ == "CheckItem"]
        files = {i.path for i in items}
        if files:
            if self.is_worker:
                self._files = files
            elif not (
                session.testsfailed and not session.config.option.continue_on_collection_errors
            ):
                self.before_tests(files, [i.nodeid for i in items if not _is_skipped(i)])
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" and type(item).__name__ == "CheckItem":
            from lvlm_audit.pytest_plugin.expecting import note_expectation

            note_expectation(report)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.append(str(dict(report.user_properties).get(UNDECIDED, "")))
        if report.when == "call":
            properties = dict(report.user_properties)
            name = properties.get(CHECK)
            if name is not None:
                from lvlm_audit.pytest_plugin.expecting import expectation_of

                member = str(properties.get(MEMBER, ""))
                self._seen.setdefault(member, set()).add(str(name))
                if (found := expectation_of(report)) is not None:
                    self._expected.setdefault(member, {})[str(name)] = found

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        if not isinstance(report, pytest.TestReport):
            return None
        from lvlm_audit.pytest_plugin.status import status_of

        return status_of(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.is_worker or not self._judged or not self._seen:
            return
        problems = []
        for member in self._judged:
            try:
                with speaking(for_pytest), self._uncaptured():
                    self._finish(member)
            except LvlmAuditError as error:
                of = f"{member}: " if member else ""
                problems.append(f"{of}{error_words(error)}")
        if problems:
            self.problem = "\n".join(problems)
            report_failed(self.config, [DOCUMENT], self.problem, "setup")
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        failed = [audit for audit in self.audits.values() if audit.verdict == Verdict.FAIL]
        # "All not applicable" fails no item, but must not be green.
        if failed and session.exitstatus == pytest.ExitCode.OK:
            report_failed(self.config, [DOCUMENT], failed[0].headline, "call")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif session.exitstatus == pytest.ExitCode.TESTS_FAILED and self._only_undecided(session):
            # Nothing failed but what is undecided, and that is no failure of the model.
            session.exitstatus = EXIT_UNDECIDED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        from lvlm_audit.pytest_plugin.summary import show

        show(self, terminalreporter)

    def _judge(self, member: Member) -> Judged:
        from lvlm_audit.pytest_plugin.xdist import asked_for

        named, folders = asked_for(self.config)
        suite = load_family(self._files | named, folders)
        gate = self.gate()
        if self._held is None:
            self._held = stored(gate, self.config.invocation_params.dir)
        settings = dataclasses.replace(self.settings(), model=member.model)
        with Reporter(self.config, quiet=self.is_worker) as report:
            judged = audit_gated(
                suite,
                settings,
                gate,
                held=self._held,
                on_progress=renamed(report, lambda w: f"{member.name}: {w}")
                if member.name
                else report,
            )
        # A parent that is a model is asked once, not once a checkpoint.
        self._held = judged.held
        self._judged[member.name] = judged
        return judged

    def _finish(self, member: str) -> None:
        """Conclude one checkpoint's audit, and write what was asked for."""
        if member not in self._seen:
            return
        with said_after("concluding: locating stages, reading probes"):
            audit = self._judged[member].document(
                self._seen[member], self._expected.get(member, {})
            )
        self.audits[member] = audit
        for path in write_all(audit, self._outputs[member]):
            self.written.append(path)
        self._update(audit)
        call(self.config, "pytest_lvlm_audit_finished", audit=audit)

    def _only_undecided(self, session: pytest.Session) -> bool:
        """Whether all that failed in this session, collection included, is undecided and nothing more."""
        return len(self._failed) == session.testsfailed > 0 and all(self._failed)

    def _update(self, audit: Audit) -> None:
        """Only what is green, and whole, may become what later runs are held against."""
        if not self.gate().update_baseline or self._held is None:
            return
        assert audit.gate is not None
        stopped = audit.gate.looks < audit.gate.looks_planned
        if audit.verdict is Verdict.PASS and not audit.gate.left_out and not stopped:
            self.written += update(self._held, audit)
        else:
            why = "the run is not green"
            if audit.gate.left_out:
                why = "checks were left out"
            elif audit.verdict is Verdict.PASS:
                why = f"it was decided {looks(audit)}, and later runs need all"
            self.kept = f"the baseline was not updated: {why}"

    def _uncaptured(self) -> contextlib.AbstractContextManager[None]:
        """Without pytest's capturing, which would swallow a report to standard output."""
        manager = self.config.pluginmanager.getplugin("capturemanager")
        if manager is None:
            return contextlib.nullcontext()
        return cast(
            "contextlib.AbstractContextManager[None]", manager.global_and_fixture_disabled()
        )

    def _option(self, name: str) -> Any:
        return self.config.getoption(f"--lvlm-{name.replace('_', '-')}")

    def _given(self, settings: Mapping[str, Declared]) -> dict[str, Any]:
        """What was given of some settings; relative paths are relative to where pytest was called."""
        here = self.config.invocation_params.dir
        return {
            name: resolved(name, known, value, here)
            for name, known in settings.items()
            if (value := self._option(name)) is not None
        }


def _is_skipped(item: pytest.Item) -> bool:
    return next(item.iter_markers("skip"), None) is not None


def _member_of(node: str) -> str:
    """The checkpoint of "checks/check_a.py::right_answers[step-100]"."""
    return node.partition("::")[2].partition("[")[2].removesuffix("]")
