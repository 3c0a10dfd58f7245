"""Frames hold what the document and the traces hold, one row a number, and survive Parquet."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lvlm_audit.document import Audit, Stage
from lvlm_audit.frames.traces import traces_frame
from lvlm_audit.traces.verbs import UNITS
from tests.report import attacks, documents, gate_documents
from tests.synthetic import rising, trace

pandas = pytest.importorskip("pandas")

COLUMNS = ["probe", "token", "state", "metric", "value", "unit"]


@pytest.fixture(scope="module")
def audit() -> Audit:
    return documents.audit(probes=3, blocks=12)


def test_every_number_of_every_token_has_its_row(audit: Audit) -> None:
    frame = audit.tokens_frame()
    assert list(frame.columns) == [*COLUMNS, "text", "kind", "eligible", "image"]
    assert not frame.duplicated([c for c in COLUMNS if c != "value"] + ["value"]).any()
    rows = 0
    for probe in audit.probes:
        for place, token in enumerate(probe.tokens):
            own = frame[(frame.probe == probe.id) & (frame.token == place)]
            assert set(own.text) == {token.text}
            assert set(own.kind) == {token.kind}
            assert set(own.eligible) == {token.eligible}
            assert set(own.image) == {probe.cluster}
            rows += len(own)
            at_states = {
                name: getattr(token, name)
                for name in (
                    *("probability", "nucleus", "leader_probability"),
                    *("grounding", "without_image"),
                )
            }
            for name, values in {**at_states, "divergence": token.divergence}.items():
                seen = own[own.metric == name]
                if values is None:
                    assert len(seen) == 0
                    continue
                first = 1 if name == "divergence" else 0
                assert seen.state.tolist() == list(range(first, first + len(values)))
                assert seen.value.tolist() == values
            for name in ("onset", "critical", "settle", "saturation"):
                node = getattr(token, name)
                seen = own[own.metric == name]
                assert seen.value.tolist() == ([] if node is None else [node])
                assert seen.state.isna().all()
            assert own[own.metric == "mutation"].value.tolist() == token.mutations
    assert rows == len(frame) > 1000


def test_units_are_those_of_the_metrics(audit: Audit) -> None:
    units = audit.tokens_frame().groupby("metric")["unit"].unique()
    assert {name: list(found) for name, found in units.items()} == {
        "probability": ["probability"],
        "nucleus": ["probability"],
        "leader_probability": ["probability"],
        "divergence": ["bits"],
        "grounding": ["bits"],
        "without_image": ["bits"],
        **{name: ["state"] for name in ("onset", "critical", "settle", "saturation", "mutation")},
    }


def test_findings(audit: Audit) -> None:
    frame = audit.findings_frame()
    assert frame.check.tolist() == [f.check for f in audit.findings]
    assert frame.verdict.tolist() == [str(f.verdict) for f in audit.findings]
    for row, finding in zip(frame.itertuples(), audit.findings, strict=True):
        assert (row.op, row.bound, row.unit) == (
            finding.bound.op,
            finding.bound.value,
            finding.bound.unit,
        )
        assert (row.images, row.tokens) == (finding.n, finding.eligible.tokens)
        for value, there in (
            (row.observed, finding.observed),
            (row.low, finding.interval and finding.interval.low),
            (row.high, finding.interval and finding.interval.high),
        ):
            assert np.isnan(value) if there is None else value == there


def test_findings_by_image(audit: Audit) -> None:
    frame = audit.findings_frame(by_image=True)
    assert list(frame.columns) == ["check", "image", "value", "unit"]
    for finding in audit.findings:
        own = frame[frame.check == finding.check]
        assert dict(zip(own.image, own.value, strict=True)) == finding.per_image


@pytest.mark.parametrize(
    "made", [documents.compared(), documents.empty(), attacks.hostile(), attacks.hostile("\ud800")]
)
def test_parquet_gives_the_same_back(made: Audit, tmp_path: Path) -> None:
    frames = {
        "tokens": made.tokens_frame(),
        "findings": made.findings_frame(),
        "images": made.findings_frame(by_image=True),
    }
    for name, frame in frames.items():
        path = tmp_path / f"{name}.parquet"
        frame.to_parquet(path)
        pandas.testing.assert_frame_equal(pandas.read_parquet(path), frame)


def test_an_audit_without_probes_has_the_columns() -> None:
    frame = dataclasses.replace(documents.empty(), probes=[]).tokens_frame()
    assert list(frame.columns)[:6] == COLUMNS
    assert len(frame) == 0
    assert str(frame.dtypes["state"]) == "Int64"
    assert str(frame.dtypes["value"]) == "float64"


def test_the_frame_of_an_audit_that_was_saved_is_the_same(audit: Audit, tmp_path: Path) -> None:
    audit.save(tmp_path / "a.json")
    again = Audit.load(tmp_path / "a.json")
    pandas.testing.assert_frame_equal(again.tokens_frame(), audit.tokens_frame())
    pandas.testing.assert_frame_equal(again.findings_frame(), audit.findings_frame())


def test_traces() -> None:
    traces = [
        trace(rising(), name="a", cluster="one", paper_index=[0.5] * 12),
        trace(rising(), name="b", cluster="two", distractor=float("nan")),
    ]
    frame = traces_frame(traces)
    assert list(frame.columns) == [*COLUMNS, "text", "kind", "eligible", "image", "lens"]
    for made in traces:
        own = frame[frame.probe == made.asked.id]
        for name, unit in UNITS.items():
            seen = own[own.metric == name]
            values = getattr(made, name)
            if values is None or np.isnan(values).all():
                assert len(seen) == 0
                continue
            np.testing.assert_array_equal(seen.value, values.ravel().astype(float))
            assert set(seen.unit) == {unit}
            assert seen.state.min() == (1 if values.shape[1] == made.blocks else 0)
            assert seen.state.max() == made.blocks


@pytest.mark.parametrize("call", ["tokens_frame()", "findings_frame()"])
def test_without_pandas_the_error_names_the_extra(call: str) -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from tests.report import documents\n"
        "from lvlm_audit.errors import UsageError\n"
        f"try: documents.empty().{call}\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"audit.{call} needs pandas, which is not installed. Install it with: "
        'pip install "lvlm-audit[frames]"\n'
    )


def test_a_description_has_no_bound_in_the_frame() -> None:
    frame = gate_documents.red().findings_frame()
    described = frame[frame.check == "late_switches"].iloc[0]
    assert described.op == ""
    assert np.isnan(described.bound)
    assert described.low == pytest.approx(0.8 * 0.41)
    assert frame.bound.dtype == np.float64
    only = documents.audit(
        findings=[gate_documents.description("a", Stage.MUTATION, 0.4, "share of tokens")]
    )
    assert only.findings_frame().bound.dtype == np.float64
