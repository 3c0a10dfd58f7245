"""The audit document: what is written is what is read; damage is named; files appear whole."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import lvlm_audit
from lvlm_audit.document import SCHEMA_VERSION, Audit, Comparison, Difference, Interval, rounded
from lvlm_audit.errors import DocumentError
from tests.evidence import run_on
from tests.synthetic import EARLY, EMITTED, pair, rising, trace


@pytest.fixture(scope="module")
def audit() -> Audit:
    """A whole document, as an audit of hand-made traces gives it."""
    step = {"divergence": [0.5] * 6 + [0.0] * 6, "leader": [EARLY] * 6 + [EMITTED] * 7}
    names = [f"p{i}" for i in range(6)]
    made = run_on(
        lvlm_audit.suite(),
        [trace(rising(12, 6), name=n, reference="Blue.", **step) for n in names],
        answer_pairs=[pair([0.0] * 6 + [0.4] * 7, name=n) for n in names],
    )
    difference = Difference("answer_forms", 1.0, 0.5, 0.5, Interval(0.1, 0.9, 0.95, "x"), 6, "")
    return dataclasses.replace(
        made,
        comparison=Comparison(
            baseline_model="m", baseline_created="now", differences=[difference], note="note"
        ),
    )


class TestRoundTrip:
    def test_load_gives_what_was_saved(self, audit, tmp_path):
        audit.save(tmp_path / "a.json")
        assert Audit.load(tmp_path / "a.json") == audit
        assert Audit.load(str(tmp_path / "a.json")).to_json() == audit.to_json()

    def test_names_in_the_file_are_those_of_the_design(self, audit):
        data = json.loads(audit.to_json())
        assert data["schema"] == "lvlm_audit/audit"
        assert data["schema_version"] == SCHEMA_VERSION
        assert data["verdict"] in ("pass", "fail")
        for name in ("check", "stage", "verdict", "observed", "interval", "bound", "n", "severity"):
            assert name in data["findings"][0]
        assert data["stages"]["critical_layer"] == 6
        assert data["provenance"]["created"]

    def test_text_of_any_kind_survives(self, audit, tmp_path):
        hostile = "</script>\u2028\x00\"'\\ 日本 \U0001f600"
        changed = dataclasses.replace(audit, headline=hostile)
        changed.save(tmp_path / "a.json")
        assert Audit.load(tmp_path / "a.json").headline == hostile

    def test_what_has_no_value_is_null_and_nan_is_refused(self, audit):
        assert "NaN" not in audit.to_json()
        assert "Infinity" not in audit.to_json()
        with pytest.raises(ValueError, match="not JSON compliant"):
            dataclasses.replace(audit, provenance={"seconds": math.nan}).to_json()

    def test_it_is_plain_data_through_and_through(self, audit):
        """No NumPy scalar hides in it: those break JSON and xdist."""

        def visit(value, where):
            assert type(value) in (dict, list, str, int, float, bool, type(None)), where
            children = (
                value.items()
                if isinstance(value, dict)
                else (enumerate(value) if isinstance(value, list) else ())
            )
            for key, child in children:
                visit(child, f"{where}.{key}")

        from lvlm_audit.document.plain import plain

        visit(plain(audit), "audit")


def edited(audit: Audit, path: str, value) -> str:
    """The document's text with one value set, or taken out."""
    data = json.loads(audit.to_json())
    *parents, last = path.split("/")
    at = data
    for key in parents:
        at = at[int(key)] if isinstance(at, list) else at[key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(data)


class TestDamage:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "doc is not JSON"),
            ("{", "doc is not JSON"),
            ('{"a": NaN}', "doc is not JSON: NaN is not JSON"),
            ("[" * 100_000, "doc is not JSON"),
            ("[]", "is not an audit document: its schema is None, not 'lvlm_audit/audit'"),
            ('{"schema": "x"}', "is not an audit document: its schema is 'x'"),
            ('"lvlm_audit/audit"', "is not an audit document"),
        ],
    )
    def test_what_is_not_an_audit_document(self, text, message):
        with pytest.raises(DocumentError, match=message):
            Audit.from_json(text, name="doc")

    @pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 0, "1", None])
    def test_another_version(self, audit, version):
        with pytest.raises(
            DocumentError, match=rf"schema version {version!r}; this .* reads version 1"
        ):
            Audit.from_json(edited(audit, "schema_version", version))

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("stages", ..., r"doc: missing fields \['stages'\]"),
            ("findings/0/bound", ..., r"doc.findings\[0\]: missing fields \['bound'\]"),
            ("findings", {}, "doc.findings: expected a list, found dict"),
            ("provenance", [], "doc.provenance: expected an object, found list"),
            ("subject", None, "doc.subject: expected an object, found NoneType"),
            ("headline", 3, "doc.headline: expected str, found 3"),
            ("headline", None, "doc.headline: expected str, found None"),
            ("verdict", "passed", "doc.verdict: 'passed' is not a valid Verdict"),
            ("findings/0/n", 1.5, r"doc.findings\[0\].n: expected int, found 1.5"),
            ("findings/0/n", True, r"doc.findings\[0\].n: expected int, found True"),
            ("findings/0/observed", "1", r"doc.findings\[0\].observed: expected float"),
            ("findings/0/per_image", {"a": "b"}, r"per_image.a: expected float, found 'b'"),
            ("probes/0/tokens/0/probability", [0.1, None], r"probability\[1\]: expected float"),
            ("subject/is_demo", 0, "doc.subject.is_demo: expected bool, found 0"),
        ],
    )
    def test_what_does_not_fit_is_named_with_its_place(self, audit, path, value, message):
        with pytest.raises(DocumentError, match=message):
            Audit.from_json(edited(audit, path, value), name="doc")

    def test_a_number_beyond_all_floats_is_refused(self, audit):
        text = edited(audit, "findings/0/observed", 123.456).replace("123.456", "1e999")
        with pytest.raises(
            DocumentError, match=r"findings\[0\].observed: expected float, found inf"
        ):
            Audit.from_json(text)

    def test_a_whole_number_serves_as_a_float(self, audit):
        value = Audit.from_json(edited(audit, "findings/0/observed", 1)).findings[0].observed
        assert value == 1.0
        assert isinstance(value, float)

    def test_a_file_that_cannot_be_read(self, tmp_path):
        with pytest.raises(DocumentError, match=r"cannot read .*nowhere.json.*No such file"):
            Audit.load(tmp_path / "nowhere.json")
        (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(DocumentError, match=r"cannot read .*a.json"):
            Audit.load(tmp_path / "a.json")
        with pytest.raises(DocumentError, match="cannot read"):
            Audit.load(tmp_path)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_rounding_keeps_four_digits_or_says_none(value):
    shown = rounded(value)
    if math.isfinite(value):
        assume(abs(value) < 1e300)
        assert shown == pytest.approx(value, rel=5.1e-4)
        assert shown == rounded(shown)
    else:
        assert shown is None


def test_reading_a_document_needs_no_numpy():
    """Renderers and comparisons in CI read documents on machines without the rest."""
    code = (
        "import sys; from lvlm_audit.document import Audit; "
        "sys.exit(', '.join(m for m in ('numpy', 'torch', 'scipy', 'PIL') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
