"""One audit for one pytest session: made before the first check runs, written after the last.

Errors that a person can mend become pytest's usage errors: one message, no traceback, exit code 4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from lvlm_audit.auditing.run import Judged
from lvlm_audit.comparing.decision import Decision
from lvlm_audit.comparing.held import Held, stored, update
from lvlm_audit.document import Audit, Expectation, Finding, Verdict
from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.gating.gated import audit_gated
from lvlm_audit.pytest_plugin.hooks import call
from lvlm_audit.pytest_plugin.progress import Reporter
from lvlm_audit.pytest_plugin.reporting import DOCUMENT, report_failed
from lvlm_audit.pytest_plugin.status import EXIT_UNDECIDED, UNDECIDED
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
        self.audit: Audit | None = None
        self.written: list[Path] = []
        self.problem: str | None = None
        self.kept: str | None = None
        self._judged: Judged | None = None
        self._outputs: tuple[Output, ...] = ()
        self._held: Held | None = None
        self._seen: set[str] = set()
        self._expected: dict[str, tuple[Expectation, str]] = {}
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

    def finding(self, name: str) -> Finding:
        """The finding of one check; on a worker the stored traces are judged on first use.

        Raises:
            LvlmAuditError: the audit could not be made.
        """
        if self._judged is None:
            with speaking(for_pytest):
                self._judge()
        assert self._judged is not None
        return next(f for f in self._judged.findings if f.check == name)

    def decision(self) -> Decision:
        """What is red and what is undecided, of the whole family; made on first use.

        Raises:
            LvlmAuditError: the audit could not be made.
        """
        if self._judged is None:
            with speaking(for_pytest):
                self._judge()
        assert self._judged is not None
        return self._judged.decision()

    def before_tests(self, files: Iterable[Path], nodes: Sequence[str]) -> None:
        """Make the audit before the first check, so that an error is one message, not one a check.

        Args:
            files: check files that were collected.
            nodes: ids of the checks that will be run; without any, nothing has to be recorded.

        Raises:
            pytest.UsageError: what stands in the way.
        """
        if self.config.option.collectonly or self._judged is not None:
            return
        self._files = set(files)
        if not nodes:
            return
        try:
            with speaking(for_pytest):
                self._outputs = outputs(self.files(), Audit)
                judged = self._judge()
                facts = {"traces": judged.evidence.traces, "provenance": judged.provenance}
                call(self.config, "pytest_lvlm_recorded", **facts)
        except LvlmAuditError as error:
            said = error_words(error)
            report_failed(self.config, nodes, said, "setup")
            raise pytest.UsageError(said) from error

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
            name = properties.get("lvlm_audit_check")
            if name is not None:
                from lvlm_audit.pytest_plugin.expecting import expectation_of

                self._seen.add(str(name))
                if (found := expectation_of(report)) is not None:
                    self._expected[str(name)] = found

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        if not isinstance(report, pytest.TestReport):
            return None
        from lvlm_audit.pytest_plugin.status import status_of

        return status_of(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.is_worker or self._judged is None or not self._seen:
            return
        try:
            with speaking(for_pytest), self._uncaptured():
                with said_after("concluding: locating stages, reading probes"):
                    self.audit = self._document()
                for path in write_all(self.audit, self._outputs):
                    self.written.append(path)
                self._update(self.audit)
                call(self.config, "pytest_lvlm_audit_finished", audit=self.audit)
        except LvlmAuditError as error:
            self.problem = error_words(error)
            report_failed(self.config, [DOCUMENT], self.problem, "setup")
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        # "All not applicable" fails no item, but must not be green.
        if self.audit.verdict == Verdict.FAIL and session.exitstatus == pytest.ExitCode.OK:
            report_failed(self.config, [DOCUMENT], self.audit.headline, "call")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif session.exitstatus == pytest.ExitCode.TESTS_FAILED and all(self._failed):
            # Nothing failed but what is undecided, and that is no failure of the model.
            session.exitstatus = EXIT_UNDECIDED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        from lvlm_audit.pytest_plugin.summary import show

        show(self, terminalreporter)

    def _judge(self) -> Judged:
        from lvlm_audit.pytest_plugin.xdist import asked_for

        named, folders = asked_for(self.config)
        suite = load_family(self._files | named, folders)
        gate = self.gate()
        self._held = stored(gate, self.config.invocation_params.dir)
        with Reporter(self.config, quiet=self.is_worker) as report:
            self._judged = audit_gated(
                suite, self.settings(), gate, held=self._held, on_progress=report
            )
        return self._judged

    def _document(self) -> Audit:
        assert self._judged is not None
        return self._judged.document(self._seen, self._expected)

    def _update(self, audit: Audit) -> None:
        """Only what is green, and whole, may become what later runs are held against."""
        if not self.gate().update_baseline or self._held is None:
            return
        assert audit.gate is not None
        if audit.verdict is Verdict.PASS and not audit.gate.left_out:
            self.written += update(self._held, audit)
        else:
            why = "checks were left out" if audit.gate.left_out else "the run is not green"
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
