"""Public names: nothing hides them, the stubs say the same, and their examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lvlm_audit
from lvlm_audit.document import Stage
from lvlm_audit.hallucination.signals.registry import unregister
from lvlm_audit.metrics.curves import Metric
from lvlm_audit.properties import REGISTRY
from tests import tiny_models
from tests.evidence import run_on
from tests.synthetic import EARLY, EMITTED, rising, trace

PACKAGE = Path(lvlm_audit.__file__).parent
LAZY = ("", ".metrics", ".traces", ".hallucination", ".models", ".faults")
"""Packages that resolve public names on first use."""
ROOMS = (*LAZY, ".properties")


def room(name: str) -> Any:
    return importlib.import_module(f"lvlm_audit{name}")


NAMES = [(name, public) for name in ROOMS for public in room(name).__all__]


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_every_public_name_resolves(package: str, name: str) -> None:
    assert getattr(room(package), name) is not None
    assert name in dir(room(package))


def test_there_are_about_twenty_names_at_the_top() -> None:
    assert len(lvlm_audit.__all__) <= 27
    promised = {
        "audit",
        "compare",
        "calibrate",
        "plan",
        "load",
        "hook",
        "Probe",
        "read_probes",
        "record",
    }
    promised |= {"find_stages", "run", "suite", "render", "metrics", "properties", "faults"}
    promised |= {"Check", "Stage", "Severity", "Skip", "at_least", "at_most"}
    assert promised <= set(lvlm_audit.__all__)


_ALL_IMPORTED = """
import importlib, inspect, json, pkgutil, types
import lvlm_audit
for module in pkgutil.walk_packages(lvlm_audit.__path__, "lvlm_audit."):
    if not module.name.endswith("__main__") and ".suites" not in module.name:
        importlib.import_module(module.name)
found = {}
for room in %r:
    package = importlib.import_module("lvlm_audit" + room)
    for name in package.__all__:
        value = getattr(package, name)
        found[room + ":" + name] = [isinstance(value, types.ModuleType), callable(value)]
        if inspect.isfunction(value):
            # Called as a person would, wrongly: it is ours that answers, not a module.
            try:
                value(no_such_argument=1)
            except (TypeError, lvlm_audit.LvlmAuditError):
                pass
            else:
                raise AssertionError(name)
print(json.dumps(found))
"""


def test_no_module_hides_a_public_name_once_everything_is_imported() -> None:
    """`import lvlm_audit.x` binds x in the package: a room must not be called as a public name is."""
    done = subprocess.run(
        [sys.executable, "-c", _ALL_IMPORTED % (ROOMS,)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    modules = {name for name, (is_module, _) in found.items() if is_module}
    assert modules == {":metrics", ":properties", ":faults"}
    uncallable = {name for name, (_, can) in found.items() if not can} - modules
    metrics = {f".metrics:{n}" for n in room(".metrics").__all__ if n != "Metric"}
    assert uncallable == metrics | {":__version__", ".faults:FAULTS"}


@pytest.mark.parametrize("package", LAZY)
def test_a_stub_names_what_the_package_resolves(package: str) -> None:
    stub = PACKAGE.joinpath(*package.split("."), "__init__.pyi")
    homes = dict(vars(room(package))["_HOMES"])
    if package == "":
        homes["__version__"] = "lvlm_audit.version:__version__"
    said = {}
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname, f"{alias.name} is not re-exported without `as`"
                said[alias.asname] = f"{node.module}:{alias.name}"
    rooms = {
        name: f"{home.rpartition('.')[0]}:{name}" for name, home in homes.items() if ":" not in home
    }
    assert said == {**homes, **rooms}


# Examples.

EXAMPLES = [
    (package, name)
    for package, name in NAMES
    if callable(getattr(room(package), name))
    and not isinstance(getattr(room(package), name), Metric)
]


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What an example finds: a tiny checkpoint and probes, hand-made traces and an audit of them."""
    folder = tmp_path_factory.mktemp("examples")
    patch = pytest.MonkeyPatch()
    patch.setenv("LVLM_AUDIT_CACHE", str(folder / "cache"))
    checkpoint = tiny_models.save(tiny_models.llava(seed=1), folder / "model")
    step = {"divergence": [0.5] * 6 + [0.0] * 6, "leader": [EARLY] * 6 + [EMITTED] * 7}
    traces = [trace(rising(12, 6), name=f"p{i}", **step) for i in range(24)]
    check = lvlm_audit.Check(
        "The answer forms.",
        stage=Stage.RAPID_EVOLUTION,
        metric=lvlm_audit.metrics.token_probability,
        property=lvlm_audit.properties.Rise(),
        holds_for=lvlm_audit.at_least(0.3, of="images"),
        rationale="An example.",
        name="answer_forms",
    )
    from lvlm_audit.spec.suite import Suite

    images = folder / "photos"
    images.mkdir()
    for i in range(3):
        (images / f"{i}.png").write_bytes(tiny_models.picture(i).read())
    model, processor = tiny_models.llava(seed=1)
    with lvlm_audit.load(checkpoint) as hooked:
        yield {
            "lvlm_audit": lvlm_audit,
            "checkpoint": checkpoint,
            "hooked": hooked,
            "model": model,
            "processor": processor,
            "probes": tiny_models.probes(10),
            "traces": traces,
            "trace": traces[0],
            "audit": run_on(Suite("example", (check,)), traces),
            "photos": images,
            "folder": folder,
        }
    patch.undo()
    REGISTRY.pop("EndsHigh", None)
    unregister("example")


@pytest.mark.parametrize(("package", "name"), EXAMPLES)
def test_every_public_callable_has_an_example_that_runs(
    package: str, name: str, namespace: dict[str, Any]
) -> None:
    value = getattr(room(package), name)
    text = inspect.getdoc(value) or ""
    found = doctest.DocTestParser().get_doctest(text, dict(namespace), name, None, None)
    assert found.examples, f"{name} has no example"
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=said.append)
    assert said == []
