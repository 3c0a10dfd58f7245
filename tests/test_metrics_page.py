"""docs/metrics.md lists every public metric and every registered property, with its unit."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import lvlm_audit
from lvlm_audit.metrics.curves import Metric
from lvlm_audit.properties import REGISTRY
from tests.synthetic import effect, pair, rising, trace

PAGE = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text(encoding="utf-8")
ROWS = {
    match[1]: match[2].split(" | ")
    for match in re.finditer(r"^\| `(\w+)[^`]*` \| (.*) \|$", PAGE, re.MULTILINE)
}
METRICS = {
    name: value
    for name in lvlm_audit.metrics.__all__
    if isinstance(value := getattr(lvlm_audit.metrics, name), Metric)
}
OURS = {name for name, kind in REGISTRY.items() if kind.__module__.startswith("lvlm_audit.")}


def test_the_page_lists_what_there_is_and_nothing_else() -> None:
    assert set(ROWS) == set(METRICS) | OURS
    assert set(lvlm_audit.properties.__all__) >= OURS


@pytest.mark.parametrize("name", METRICS)
def test_unit_and_axis_are_those_of_the_metric(name: str) -> None:
    metric = METRICS[name]
    *_, axis, unit = ROWS[name]
    assert unit == metric.unit
    if metric.needs == "answers":
        recording = trace(rising(12), paper_index=[1e-5] * 12)
    elif metric.needs == "effects":
        recording = effect(agrees=[True, True, False, True])
    else:
        recording = pair([0.1] * 13)
    curve = np.asarray(metric.curve(recording))
    assert curve.shape[0] == 4
    assert curve.shape[1] == {"states": 13, "transitions": 12, "one value": 1}[axis]


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_units_of_a_propertys_bounds_are_named(name: str) -> None:
    units = REGISTRY[name].bounds_in if hasattr(REGISTRY[name], "bounds_in") else None
    if units is not None:
        assert set(ROWS[name][-1].split(" or ")) == units
