"""What importing costs, and that every public name is there."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

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
        "import lvlm_audit.metrics.premature; a.faults.FAULTS.names(); import lvlm_audit.power.running"
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


def imported_by(path: Path) -> set[str]:
    """Modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found


def test_the_demo_is_imported_only_where_its_model_is_opened_or_asked():
    package = Path(lvlm_audit.__file__).parent
    found = {
        str(path.relative_to(package).as_posix())
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] != "demo"
        and any(name.startswith("lvlm_audit.demo.") for name in imported_by(path))
    }
    assert found == {
        "auditing/calibrate.py",
        "auditing/subject.py",
        "cli/demo.py",
        "faults/applying.py",
        "faults/trained.py",
        "power/sets.py",
    }
