"""One audit for one pytest session: made before the first check runs, written after the last.

Errors that a person can mend become pytest's usage errors: one message, no traceback, exit code 4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from lvlm_audit.audit.modes import choose
from lvlm_audit.audit.plan import Settings
from lvlm_audit.audit.run import Judged, audit_model
from lvlm_audit.document import Audit, Expectation, Finding, Verdict
from lvlm_audit.errors import LvlmAuditError, UsageError
from lvlm_audit.pytest_plugin.progress import Reporter
from lvlm_audit.pytest_plugin.reporting import DOCUMENT, report_failed
from lvlm_audit.report.words import error_words
from lvlm_audit.spec.suite import load_family
from lvlm_audit.waiting import said_after
from lvlm_audit.writing import check_writable, same_place

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
        self._judged: Judged | None = None
        self._baseline: Audit | None = None
        self._seen: set[str] = set()
        self._expected: dict[str, tuple[Expectation, str]] = {}
        self._files: set[Path] = set()

    @property
    def is_worker(self) -> bool:
        """An xdist worker reads stored traces and writes nothing."""
        return hasattr(self.config, "workerinput")

    def settings(self) -> Settings:
        """The command line as settings.

        Raises:
            UsageError: an option that cannot be used.
        """
        option = self.config.getoption
        probes = option("--lvlm-probes")
        images = option("--lvlm-image-folder")
        adapter = option("--lvlm-adapter")
        mode = choose(
            option("--lvlm-mode"),
            lens=option("--lvlm-lens"),
            divergence=option("--lvlm-divergence"),
            scaling=option("--lvlm-scaling"),
        )
        return Settings(
            model=option("--lvlm-model"),
            probes=None if probes is None else self._path(probes),
            probe_format=option("--lvlm-probe-format"),
            image_folder=None if images is None else self._path(images),
            lens=mode.lens,
            divergence=mode.divergence,
            scaling=mode.scaling,
            device=option("--lvlm-device"),
            dtype=option("--lvlm-dtype"),
            max_new_tokens=option("--lvlm-max-new-tokens"),
            batch_size=option("--lvlm-batch-size"),
            seed=option("--lvlm-seed"),
            trust_remote_code=option("--lvlm-trust-remote-code"),
            answers=option("--lvlm-answers"),
            control=option("--lvlm-control"),
            compare_llm=option("--lvlm-compare-llm"),
            revision=option("--lvlm-revision"),
            adapter=None if adapter is None else self._path(adapter),
            redecode=option("--lvlm-redecode"),
        )

    def finding(self, name: str) -> Finding:
        """The finding of one check; on a worker the stored traces are judged on first use.

        Raises:
            LvlmAuditError: the audit could not be made.
        """
        if self._judged is None:
            self._judge()
        assert self._judged is not None
        return next(f for f in self._judged.findings if f.check == name)

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
            targets = self._targets()
            for target in targets:
                check_writable(target)
            if len(targets) > 1 and same_place(*targets):
                raise UsageError(
                    f"--lvlm-report and --lvlm-json name the same file {str(targets[0])!r}. Name two."
                )
            self._judge()
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
        from lvlm_audit.pytest_plugin.collection import status_of

        return status_of(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.is_worker or self._judged is None or not self._seen:
            return
        try:
            with self._uncaptured():
                with said_after("concluding: locating stages, reading probes"):
                    self.audit = self._document()
                self._write(self.audit)
        except LvlmAuditError as error:
            self.problem = error_words(error)
            report_failed(self.config, [DOCUMENT], self.problem, "setup")
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        # "All not applicable" fails no item, but must not be green.
        if self.audit.verdict != Verdict.PASS and session.exitstatus == pytest.ExitCode.OK:
            report_failed(self.config, [DOCUMENT], self.audit.headline, "call")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        from lvlm_audit.pytest_plugin.summary import show

        show(self, terminalreporter)

    def _judge(self) -> None:
        from lvlm_audit.pytest_plugin.xdist import asked_for

        named, folders = asked_for(self.config)
        suite = load_family(self._files | named, folders)
        self._baseline = self._load_baseline()
        with Reporter(self.config, quiet=self.is_worker) as report:
            self._judged = audit_model(
                suite, self.settings(), baseline=self._baseline, on_progress=report.progress
            )

    def _document(self) -> Audit:
        import dataclasses

        assert self._judged is not None
        audit = self._judged.document(self._seen, self._expected)
        if self._baseline is not None:
            from lvlm_audit.compare import compare

            audit = dataclasses.replace(
                audit, comparison=compare(audit, self._baseline, seed=self._judged.seed)
            )
        return audit

    def _write(self, audit: Audit) -> None:
        option = self.config.getoption
        if option("--lvlm-json"):
            path = self._path(option("--lvlm-json"))
            audit.save(path)
            self.written.append(path)
        if option("--lvlm-report"):
            from lvlm_audit.report.html import write

            path = self._path(option("--lvlm-report"))
            write(audit, path)
            self.written.append(path)

    def _uncaptured(self) -> contextlib.AbstractContextManager[None]:
        """Without pytest's capturing, which would swallow a report to standard output."""
        manager = self.config.pluginmanager.getplugin("capturemanager")
        if manager is None:
            return contextlib.nullcontext()
        return cast(
            "contextlib.AbstractContextManager[None]", manager.global_and_fixture_disabled()
        )

    def _load_baseline(self) -> Audit | None:
        name = self.config.getoption("--lvlm-baseline")
        if name is None:
            return None
        path = self._path(name)
        if not path.is_file():
            raise UsageError(
                f"--lvlm-baseline {name!r} is not a file. Write one with --lvlm-json first."
            )
        return Audit.load(path)

    def _targets(self) -> list[Path]:
        names = (self.config.getoption(o) for o in ("--lvlm-report", "--lvlm-json"))
        return [self._path(n) for n in names if n]

    def _path(self, name: str) -> Path:
        """Relative paths are relative to where pytest was called."""
        return self.config.invocation_params.dir / Path(name).expanduser()


def _is_skipped(item: pytest.Item) -> bool:
    return next(item.iter_markers("skip"), None) is not None
