"""The pytest plugin's entry point: options and the decision what is ours.

pytest imports this module in every run on the machine, so it imports nothing but pytest and the
standard library; the rest of the package is loaded when a check file is really collected.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lvlm_audit.pytest_plugin.collection import CheckFileCollector

_IMPORTS_US = re.compile(rb"^\s*(?:from\s+lvlm_audit\b|import\s+lvlm_audit\b)", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lvlm", "lvlm_audit: audits of vision-language models")
    group.addoption(
        "--lvlm-model",
        metavar="MODEL",
        help="checkpoint folder, hub id or alias (llava-1.5-7b); without it the demo model",
    )
    group.addoption(
        "--lvlm-probes",
        metavar="PATH",
        help="folder of images, or JSONL with image, prompt and optionally answer, labels, cluster, id; "
        "without it a bundled set",
    )
    group.addoption("--lvlm-report", metavar="FILE.html", help="write the HTML report there")
    group.addoption("--lvlm-json", metavar="FILE.json", help="write the audit document there")
    group.addoption(
        "--lvlm-baseline",
        metavar="FILE.json",
        help="earlier audit document: show paired differences of the findings",
    )
    group.addoption("--lvlm-device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, ...")
    group.addoption(
        "--lvlm-dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="of the weights; auto: the checkpoint's own",
    )
    group.addoption(
        "--lvlm-max-new-tokens",
        type=int,
        default=48,
        metavar="N",
        help="longest answer, in tokens (default: 48)",
    )
    group.addoption(
        "--lvlm-batch-size",
        type=int,
        default=8,
        metavar="N",
        help="probes generated together (default: 8)",
    )
    group.addoption(
        "--lvlm-seed", type=int, default=0, metavar="N", help="of the resampling (default: 0)"
    )
    group.addoption(
        "--lvlm-lens",
        default="normed",
        choices=("normed", "raw"),
        help="final norm before the head at every state (default), or the paper's raw reading",
    )
    group.addoption(
        "--lvlm-trust-remote-code",
        action="store_true",
        help="run code that comes with the checkpoint; only for checkpoints that you trust",
    )


def _is_ours(path: Path) -> bool:
    """Only check_*.py files that import lvlm_audit: others of that name are left alone."""
    if path.suffix != ".py" or not path.name.startswith("check_"):
        return False
    try:
        return _IMPORTS_US.search(path.read_bytes()) is not None
    except OSError:
        return False


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CheckFileCollector | None:
    if not _is_ours(file_path):
        return None
    from lvlm_audit.pytest_plugin.collection import CheckFileCollector
    from lvlm_audit.pytest_plugin.session import ensure_session

    ensure_session(parent.config)
    return CheckFileCollector.from_parent(parent, path=file_path)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    # pytest's own Python collector takes every file that is named on the command line; it must not
    # collect a check file a second time.
    if not _is_ours(module_path):
        return None
    from lvlm_audit.pytest_plugin.collection import Nothing

    return Nothing.from_parent(parent, path=module_path)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    # Under xdist the controller collects nothing, so `ensure_session` has not been called there.
    config = session.config
    if config.pluginmanager.hasplugin("dsession"):
        from lvlm_audit.pytest_plugin.xdist import check_files_named

        if check_files_named(config):
            from lvlm_audit.pytest_plugin.session import ensure_session

            ensure_session(config).before_tests(session)
