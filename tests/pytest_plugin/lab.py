"""A laboratory: a project folder with check files, pictures, and a model that answers by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.probes.probe import Probe
from lvlm_audit.recordings.need import Need
from lvlm_audit.traces.trace import Trace
from tests.synthetic import rising, trace

QUIET = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")

_IMPORTS = """
from lvlm_audit import Check, Severity, Stage, at_least
from lvlm_audit.metrics import grounding, image_advantage, image_divergence, token_probability
from lvlm_audit.properties import Kept, Rise, Value
"""
_CHECK = """
{name} = Check(
    "The check called {name} holds.", stage=Stage.{stage}, rationale="A test.", {fields},
)
"""
_RISES = "metric=token_probability, property=Rise(), holds_for=at_least({}, of='images')"
_ENDS_CERTAIN = "metric=token_probability, property=Value(), holds_for=at_least(0.99, of='mean')"
STATES = ("rounding", "features", "common step", "feature maps")
"""Recordings that no check needs and every run makes."""

KINDS = {
    "passes": _RISES.format(0.3),
    "fails": _ENDS_CERTAIN,
    "warns": _ENDS_CERTAIN + ", severity=Severity.WARN",
    "undecided": _RISES.format(0.9),
    "allowed": _RISES.format(0.9) + ", allow_inconclusive=True",
    "nothing": "metric=image_divergence, property=Kept(), tokens='content', "
    "holds_for=at_least(0.5, of='images')",
    "informs": "metric=image_advantage, property=Value(), tokens='content', "
    "holds_for=at_least(0.1, of='mean')",
    "matters": "metric=image_divergence, property=Value(), tokens='content', "
    "holds_for=at_least(0.0001, of='mean')",
    "grounded": "metric=grounding, property=Value(), tokens='content', "
    "holds_for=at_least(0.0001, of='mean')",
    "raw": _RISES.format(0.3) + ", lens='raw'",
}
"""What a check of each kind finds on eight answers that rise to 0.9."""


def check_text(checks: Iterable[str], *, opt_in: bool = False) -> str:
    """A check file. A check named `fails_too` is of the kind `fails`."""
    text = _IMPORTS + "".join(
        _CHECK.format(name=c, stage="RAPID_EVOLUTION", fields=KINDS[c.split("_")[0]])
        for c in checks
    )
    return text + ("OPT_IN = True\n" if opt_in else "")


@dataclass
class Lab:
    """Attributes:
    pytester: runs pytest in the project folder.
    recorded: what the model was asked for, over all runs in this process.
    states: the same for what no check needs (hidden states, rounding), of which this model has none.
    answer: what a probe is answered.
    """

    pytester: pytest.Pytester
    recorded: list[Need] = field(default_factory=list)
    states: list[Need] = field(default_factory=list)
    answer: Callable[[Probe], Trace] = lambda probe: trace(
        rising(), name=probe.id, cluster=probe.cluster
    )

    @property
    def path(self) -> Path:
        return self.pytester.path

    def checks(self, name: str, *checks: str, opt_in: bool = False) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(check_text(checks, opt_in=opt_in))
        return path

    def arguments(self, *arguments: str) -> list[str]:
        return [*QUIET, "--lvlm-model", "model", "--lvlm-probes", "photos", *arguments]

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest_inprocess(*self.arguments(*arguments))

    def audit(self, *arguments: str) -> tuple[pytest.RunResult, dict[str, Any]]:
        """A run and the document that it wrote."""
        result = self.run("--lvlm-json", "audit.json", *arguments)
        return result, json.loads((self.path / "audit.json").read_text())

    def files(self) -> set[str]:
        """Everything in the project, and what could be left of a file half written in the cache."""
        found = {str(p.relative_to(self.path)) for p in self.path.rglob("*")}
        cached = {f for f in found if f.startswith("cache/")}
        return {
            f
            for f in found - cached | {c for c in cached if Path(c).name.startswith(".")}
            if "__pycache__" not in f
        }


def pictures(folder: Path, count: int) -> None:
    from PIL import Image

    folder.mkdir()
    for i in range(count):
        Image.new("RGB", (8, 8), (i * 9, 255 - i * 9, 100)).save(folder / f"photo{i}.png")
