"""The document as a contract: its schema, documents of the past, and documents of the future."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from lvlm_audit.cli import main
from lvlm_audit.document import Audit, Calibration, PruningPlan
from lvlm_audit.document.audit import SCHEMA_MINOR
from lvlm_audit.document.kinds import KINDS, read_document
from lvlm_audit.document.schema import DIALECT, json_schema
from lvlm_audit.errors import DocumentError
from lvlm_audit.report import html
from lvlm_audit.report.terminal.summary import summary
from lvlm_audit.version import __version__
from tests.report import documents
from tests.report.plans import plan

ROOT = Path(__file__).parent.parent
OLD = Path(__file__).parent / "reference_data" / "audit_version_1.json"
EXAMPLE = ROOT / "reports" / "example.json"


def valid(document: Any, kind: Any = Audit) -> bool:
    """By an independent validator, with the schema that we publish."""
    checker = jsonschema.validators.validator_for({"$schema": DIALECT})(json_schema(kind))
    return bool(checker.is_valid(document))


def changed(path: str, value: Any, document: Any = None) -> dict[str, Any]:
    """A document with one value set, or taken out."""
    data: dict[str, Any] = json.loads((document or documents.compared(1)).to_json())
    *parents, last = path.split("/")
    at: Any = data
    for key in parents:
        at = at[int(key)] if isinstance(at, list) else at[key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return data


def read(data: dict[str, Any], name: str = "doc") -> Audit:
    return Audit.from_json(json.dumps(data), name=name)


class TestSchema:
    @pytest.mark.parametrize("kind", KINDS.values())
    def test_it_is_a_schema(self, kind: Any) -> None:
        schema = json_schema(kind)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["title"].startswith("lvlm_audit/")
        # Every record and enumeration is used, and no reference leads nowhere.
        named = {f"#/$defs/{name}" for name in schema["$defs"]}
        text = json.dumps(schema)
        assert all(f'"{name}"' in text for name in named)
        assert text.count('"$ref"') == sum(text.count(f'"{name}"') for name in named)

    def test_documents_that_we_write_and_wrote_are_valid(self) -> None:
        for document in (documents.compared(2), documents.empty(), documents.nothing_applies()):
            assert valid(json.loads(document.to_json()))
        assert valid(json.loads(plan().to_json()), PruningPlan)
        for path in (EXAMPLE, OLD):
            assert valid(json.loads(path.read_text(encoding="utf-8")))

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("stages", ...),
            ("findings", {}),
            ("findings/0/bound", ...),
            ("findings/0/n", 1.5),
            ("findings/0/n", True),
            ("findings/0/observed", "1"),
            ("findings/0/per_image", {"a": "b"}),
            ("verdict", "passed"),
            ("headline", None),
            ("subject/is_demo", 0),
            ("probes/0/tokens/0/probability", [0.1, None]),
            ("schema", "lvlm_audit/pruning"),
            ("schema_version", 2),
            ("schema_minor", "1"),
        ],
    )
    def test_schema_and_reader_refuse_the_same(self, path: str, value: Any) -> None:
        data = changed(path, value)
        assert not valid(data)
        with pytest.raises(DocumentError):
            read(data)

    @pytest.mark.parametrize(
        ("path", "value"),
        [("notes", ...), ("schema_minor", ...), ("surprise", 1), ("findings/0/observed", 1)],
    )
    def test_and_take_the_same(self, path: str, value: Any) -> None:
        data = changed(path, value)
        assert valid(data)
        assert read(data).findings

    @pytest.mark.parametrize("name", ["audit", "calibration", "pruning"])
    def test_the_command_prints_it(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["schema", name]) == 0
        kind = KINDS[f"lvlm_audit/{name}"]
        assert json.loads(capsys.readouterr().out) == json_schema(kind)

    def test_fields_are_described_in_the_words_of_the_code(self) -> None:
        schema = json_schema(Audit)
        finding = schema["$defs"]["Finding"]
        assert finding["properties"]["statement"]["description"] == "What must hold, in words."
        assert schema["description"].startswith("The whole record.")
        assert ">>>" not in json.dumps(schema)


class TestThePast:
    def test_a_document_of_the_version_before_is_read_drawn_and_compared(
        self, tmp_path: Path
    ) -> None:
        audit = Audit.load(OLD)
        assert (audit.verdict, len(audit.findings), len(audit.probes)) == ("fail", 9, 2)
        assert [n.text for n in audit.notes] == ["left out: 1 file (not an image): a.txt"]
        assert (audit.asked, audit.fed, audit.gate, audit.anchor) == ([], {}, None, None)
        assert audit.comparison is not None
        assert audit.comparison.changes == []
        assert len(audit.comparison.differences) == 9
        html.render(audit)
        summary(audit, Console(file=io.StringIO(), width=80), encoding="utf-8")
        audit.save(tmp_path / "again.json")
        assert Audit.load(tmp_path / "again.json") == audit
        written = json.loads((tmp_path / "again.json").read_text())
        assert written["schema_minor"] == SCHEMA_MINOR

    def test_the_example_report_is_read(self) -> None:
        assert len(Audit.load(EXAMPLE).probes) == 48


class TestTheFuture:
    def test_fields_of_a_newer_minor_version_are_left_out_with_a_note(self) -> None:
        data = changed("schema_minor", SCHEMA_MINOR + 3)
        data["surprise"] = {"any": ["thing"]}
        data["provenance"]["lvlm_audit"] = "9.1"
        for finding in data["findings"]:
            finding["extra"] = 1
        audit = read(data, "/some/folder.d/a[0].json")
        (note,) = [n for n in audit.notes if n.about == "document"]
        assert note.text == (
            f"left out: 2 fields (not known to lvlm_audit {__version__}, which reads version "
            f"1.{SCHEMA_MINOR} of the document; this one is of version 1.{SCHEMA_MINOR + 3}), first: "
            f"surprise, findings[].extra. It was written by lvlm_audit 9.1."
        )
        assert audit.schema_minor == SCHEMA_MINOR
        assert audit.findings == read(changed("schema_minor", SCHEMA_MINOR)).findings
        assert note.text.split(",")[0] in html.render(audit)
        # Written and read again, it says so once.
        assert Audit.from_json(audit.to_json()) == audit

    def test_what_a_newer_minor_version_says_in_a_new_way_is_refused_with_the_versions(
        self,
    ) -> None:
        data = changed("verdict", "postponed")
        with pytest.raises(DocumentError) as raised:
            read(data)
        assert str(raised.value) == "doc.verdict: 'postponed' is not a valid Verdict."
        data["schema_minor"] = SCHEMA_MINOR + 1
        data["provenance"]["lvlm_audit"] = "9.1"
        with pytest.raises(
            DocumentError,
            match=rf"Verdict. The document is of the newer version 1.{SCHEMA_MINOR + 1}, and .* reads "
            rf"1.{SCHEMA_MINOR}. It was written by lvlm_audit 9.1. Update lvlm_audit",
        ):
            read(data)

    def test_a_newer_major_version_is_refused_in_words(self) -> None:
        data = changed("schema_version", 2)
        data["provenance"] = {"lvlm_audit": "9.1"}
        with pytest.raises(
            DocumentError,
            match=rf"^doc has schema version 2; this lvlm_audit {__version__} reads version 1. It was "
            r"written by lvlm_audit 9.1. Read it with the version that wrote it, or make it again.$",
        ):
            read(data)

    @pytest.mark.parametrize("version", [True, 1.0, [1] * 1000, 10**400, "x" * 1000, {}])
    def test_a_version_that_is_none(self, version: Any) -> None:
        with pytest.raises(DocumentError, match="has schema version") as raised:
            read(changed("schema_version", version))
        assert len(str(raised.value)) < 400

    def test_a_field_of_any_name_makes_no_endless_note(self) -> None:
        data = changed("schema_minor", SCHEMA_MINOR)
        data |= {f"{'x' * 1000}{i}": i for i in range(1000)}
        data["a\x1b[2J"] = 1
        (note,) = [n for n in read(data).notes if n.about == "document"]
        assert len(note.text) < 500


class TestEveryKind:
    def test_a_file_is_read_as_what_it_is(self, tmp_path: Path) -> None:
        made = [documents.audit(1), plan(), Calibration("m", "normed", "p", "x", 4, [], "", {})]
        for number, document in enumerate(made):
            document.save(tmp_path / f"{number}.json")
            again = read_document(tmp_path / f"{number}.json")
            assert type(again) is type(document)
            assert again == document == type(document).load(tmp_path / f"{number}.json")

    @pytest.mark.parametrize("text", ['{"schema": "theirs"}', "[]", '{"schema": []}', '"x"'])
    def test_none_of_ours(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(DocumentError, match="is no document of ours: its schema is"):
            read_document(tmp_path / "a.json")

    def test_a_plan_is_no_audit(self) -> None:
        with pytest.raises(
            DocumentError, match="is not an audit document: its schema is 'lvlm_aud"
        ):
            Audit.from_json(plan().to_json())
        with pytest.raises(DocumentError, match="is not a pruning plan: its schema is"):
            PruningPlan.from_json(documents.audit(1).to_json())

    def test_a_plan_is_rendered(self, tmp_path: Path) -> None:
        plan().save(tmp_path / "p.json")
        assert main(["render", str(tmp_path / "p.json"), str(tmp_path / "p.html")]) == 0
        assert (tmp_path / "p.html").read_text(encoding="utf-8") == html.render(plan())

    def test_a_calibration_has_no_page(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Calibration("m", "normed", "p", "x", 4, [], "", {}).save(tmp_path / "c.json")
        assert main(["render", str(tmp_path / "c.json"), str(tmp_path / "c.html")]) == 1
        assert "--format: html cannot hold a calibration" in capsys.readouterr().err
