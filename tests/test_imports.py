"""What importing costs, and that every public name is there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import lvlm_audit

HEAVY = (
    "torch",
    "transformers",
    "numpy",
    "scipy",
    "PIL",
    "jinja2",
    "rich",
    "safetensors",
    "sklearn",
)


def loaded_by(code: str) -> set[str]:
    """Heavy modules that are in sys.modules of a fresh interpreter after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    return modules & set(HEAVY)


def test_importing_the_package_costs_nothing():
    assert loaded_by("import lvlm_audit; lvlm_audit.__version__; dir(lvlm_audit)") == set()


def test_the_plugin_and_the_command_line_start_light():
    code = "import lvlm_audit.pytest_plugin, lvlm_audit.cli, lvlm_audit.errors, lvlm_audit.document"
    assert loaded_by(code) == set()


def test_checks_audits_and_reports_work_without_torch():
    code = (
        "import lvlm_audit as a; a.suite(); a.suite('paper'); a.run; a.render; a.Trace; a.read_probes;"
        "a.find_stages; import lvlm_audit.auditing.gather, lvlm_audit.comparing, lvlm_audit.traces.store;"
        "import lvlm_audit.pytest_plugin.collection, lvlm_audit.pytest_plugin.xdist;"
        "import lvlm_audit.hallucination.labels, lvlm_audit.pruning.planning, lvlm_audit.compression.sleb;"
        "import lvlm_audit.report.terminal.pruning, lvlm_audit.readings.corrections;"
        "import lvlm_audit.metrics.premature"
    )
    assert loaded_by(code).isdisjoint({"torch", "transformers", "sklearn"})


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError, match="module 'lvlm_audit' has no attribute 'reccord'"):
        lvlm_audit.reccord  # noqa: B018
    # A home that exists must not be mistaken for a name.
    with pytest.raises(ImportError):
        exec("from lvlm_audit import write")
    with pytest.raises(AttributeError, match=r"it is lvlm_audit\.properties\.Rise"):
        lvlm_audit.Rise  # noqa: B018
