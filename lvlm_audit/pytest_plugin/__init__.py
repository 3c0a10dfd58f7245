"""The pytest plugin's entry point: options and the decision what is ours.

pytest imports this module in every run on the machine, so it imports nothing but pytest and the
standard library; the rest of the package is loaded when a check file is really collected.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lvlm_audit.spec.files import is_check_file

if TYPE_CHECKING:
    from lvlm_audit.pytest_plugin.collection import CheckFileCollector


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
        help="folder of images, or JSONL with image, prompt and optionally answer, labels, cluster, id, or a "
        "file of POPE, AMBER, CHAIR or HallusionBench; without it a bundled set",
    )
    group.addoption(
        "--lvlm-probe-format",
        default="auto",
        choices=("auto", "pope", "amber", "chair", "hallusion", "jsonl"),
        help="of the probe file; auto (default) tells by its content",
    )
    group.addoption(
        "--lvlm-image-folder",
        metavar="DIR",
        help="what the probe file's image paths are relative to; without it the file's own folder",
    )
    group.addoption("--lvlm-report", metavar="FILE.html", help="write the HTML report there")
    group.addoption("--lvlm-json", metavar="FILE.json", help="write the audit document there")
    group.addoption(
        "--lvlm-baseline",
        metavar="FILE.json",
        help="earlier audit document: show paired differences of the findings",
    )
    group.addoption(
        "--lvlm-adapter",
        metavar="FOLDER",
        help="PEFT adapter (LoRA and its kin, safetensors) that goes over the model",
    )
    group.addoption(
        "--lvlm-revision", metavar="REVISION", help="branch, tag or commit of a hub model"
    )
    group.addoption(
        "--lvlm-device",
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda, ...; map: spread over accelerators, memory and disk, by accelerate",
    )
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
        choices=("normed", "raw"),
        help="final norm before the head at every state (normed, the default), or the paper's raw reading",
    )
    group.addoption(
        "--lvlm-divergence",
        choices=("jsd", "paper_index"),
        help="between neighbouring states: Jensen-Shannon in bits (jsd, the default), or what the paper's "
        "code computes, in a unit of its own",
    )
    group.addoption(
        "--lvlm-scaling",
        choices=("none", "paper"),
        help="of the report's heat maps: none (default), or each transition by its own maximum",
    )
    group.addoption(
        "--lvlm-mode",
        choices=("paper",),
        help="paper: raw lens, paper_index and paper scaling together, as the published code has it",
    )
    group.addoption(
        "--lvlm-answers",
        default="generated",
        choices=("generated", "reference"),
        help="audit the model's own answers (default), or replay each probe's answer",
    )
    group.addoption(
        "--lvlm-control",
        choices=("text-only", "blank-image", "swapped-image"),
        help="take the image away, blank it or swap it before anything is recorded",
    )
    group.addoption(
        "--lvlm-compare-llm",
        action="store_true",
        help="ask every prompt without an image too, and compare the stages",
    )
    group.addoption(
        "--lvlm-redecode",
        action="store_true",
        help="ask labelled probes anew with DoLa, DeCo and mutation blocks skipped; report what that corrects",
    )
    group.addoption(
        "--lvlm-trust-remote-code",
        action="store_true",
        help="run code that comes with the checkpoint; only for checkpoints that you trust",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CheckFileCollector | None:
    if not is_check_file(file_path):
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
    if not is_check_file(module_path):
        return None
    from lvlm_audit.pytest_plugin.collection import Nothing

    return Nothing.from_parent(parent, path=module_path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    # The xdist controller collects nothing, so `ensure_session` has not been called there. This is
    # called before any check is handed out: what has to be recorded is recorded here.
    if not any(i.rpartition("/")[2].startswith("check_") for i in ids):
        return
    from lvlm_audit.pytest_plugin.session import ensure_session
    from lvlm_audit.pytest_plugin.xdist import files_of_ids

    files = files_of_ids(node.config, ids)
    if files:
        theirs = [i for i in ids if node.config.rootpath / i.split("::")[0] in files]
        ensure_session(node.config).before_tests(files, theirs)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    # Here and not in the session, which a run without any check file does not have.
    asked = [n for n in map(config.getoption, ("--lvlm-report", "--lvlm-json")) if n]
    done = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    if not asked or exitstatus not in done or config.option.collectonly:
        return
    from lvlm_audit.pytest_plugin.session import SESSION
    from lvlm_audit.report.words import visible

    session = config.stash.get(SESSION, None)
    if session is None or (session.audit is None and session.problem is None):
        terminalreporter.write_line(
            f"lvlm_audit: no check was run, so nothing was audited; not written: "
            f"{', '.join(map(visible, asked))}",
            yellow=True,
        )
