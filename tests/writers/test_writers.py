"""Writers: what ships, what a package offers, and that a wrong choice is said before anything is recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import lvlm_audit
from lvlm_audit.cli import main
from lvlm_audit.document import Audit, Calibration, PruningPlan
from lvlm_audit.errors import UsageError
from lvlm_audit.report import html
from lvlm_audit.settings.files import Files
from lvlm_audit.writers.outputs import output, outputs, write_all
from lvlm_audit.writers.registry import GROUP, WRITERS, register_writer, unregister_writer
from lvlm_audit.writers.writer import TextWriter, Writer
from tests.report import documents
from tests.report.plans import plan
from tests.third_party import distribution

PACKAGE = '''
import lvlm_audit
from lvlm_audit.writers import TextWriter


class Lines(TextWriter):
    name = "lines"
    kinds = (lvlm_audit.Audit,)

    def text(self, document):
        return "".join(f"{f.check} {f.verdict}\\n" for f in document.findings)


class Broken:
    """Writes nothing, and says so only at the end."""

    name = "broken"
    kinds = (lvlm_audit.Audit,)

    def check(self, path):
        if path.name == "refused":
            raise KeyError("not this one")

    def write(self, document, path):
        raise RuntimeError("no ink")


lines, broken = Lines(), Broken()
'''
CALIBRATION = Calibration(
    model="m",
    lens="normed",
    probes="p",
    method="fresh probes",
    rounds=4,
    floors=[],
    note="",
    provenance={},
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed for one test: on sys.path, with its metadata."""
    offers = {name: (GROUP, name) for name in ("lines", "broken")}
    folder = distribution(tmp_path / "site", "a_package_with_writers", PACKAGE, **offers)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(WRITERS, "_loaded", False)
    monkeypatch.setattr(WRITERS, "_others", {})


def written(document: Any, files: Files) -> list[Path]:
    return list(write_all(document, outputs(files, type(document))))


def test_what_ships_writes_what_the_document_and_the_page_are(tmp_path: Path) -> None:
    audit = documents.audit()
    files = Files(report=tmp_path / "a.html", json=tmp_path / "a.json")
    assert written(audit, files) == [tmp_path / "a.json", tmp_path / "a.html"]
    assert Audit.load(tmp_path / "a.json") == audit
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == html.render(audit)
    files = Files(report=tmp_path / "p.html", json=tmp_path / "p.json")
    written(plan(), files)
    assert (tmp_path / "p.json").read_text(encoding="utf-8") == plan().to_json()
    assert (tmp_path / "p.html").read_text(encoding="utf-8") == html.render(plan())


def test_every_kind_of_document_is_written_as_json() -> None:
    for kind in (Audit, PruningPlan, Calibration):
        assert issubclass(kind, WRITERS.get("json").kinds)


def test_a_page_of_a_calibration_is_refused_before_it_is_made(tmp_path: Path) -> None:
    files = Files(write=(("html", tmp_path / "x"),))
    with pytest.raises(
        UsageError,
        match="^write: html cannot hold a calibration, only an audit document or a pruning plan. "
        "Choose one of json",
    ):
        outputs(files, Calibration)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cvs=x", r"the format 'cvs' is not one of html, json"),
        ("htm=x", r"Did you mean 'html'\?"),
        ("json", r"write 'json' is not FORMAT=FILE, such as html=report.html"),
        ("=x", "is not FORMAT=FILE"),
        ("json=", "is not FORMAT=FILE"),
        (3, "write 3 is not FORMAT=FILE"),
        (("a", "b", "c"), "write 'a' is not FORMAT=FILE"),
        ({"json": 3}, "write 3 is not a path"),
        ("json=/no/such/folder/x", "there is no folder '/no/such/folder'"),
    ],
)
def test_a_wrong_choice_is_one_message(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        outputs(Files(write=given), Audit)


def test_files_are_given_as_texts_pairs_or_a_mapping(tmp_path: Path) -> None:
    wanted = (("json", tmp_path / "a=b"),)
    for given in ({"json": tmp_path / "a=b"}, [f"json={tmp_path}/a=b"], wanted):
        assert Files(write=given).write == wanted  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="write and write name the same file"):
        Files(write=["json=x", "html=x"])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="json and write name the same file"):
        Files(json=Path("x"), write=["html=./x"])  # type: ignore[arg-type]


def test_a_package_offers_writers(package: None, tmp_path: Path) -> None:
    assert WRITERS.names() == ("html", "json", "broken", "lines")
    assert isinstance(WRITERS.get("lines"), Writer)
    audit = documents.audit()
    files = Files(write={"lines": tmp_path / "findings.txt"})  # type: ignore[arg-type]
    assert written(audit, files) == [tmp_path / "findings.txt"]
    lines = (tmp_path / "findings.txt").read_text().splitlines()
    assert lines == [f"{f.check} {f.verdict}" for f in audit.findings]
    lvlm_audit.render(audit, tmp_path / "again.txt", format="lines")
    assert (tmp_path / "again.txt").read_text().splitlines() == lines
    with pytest.raises(UsageError, match="lines cannot hold a pruning plan, only an audit doc"):
        output("lines", tmp_path / "x", PruningPlan, "write")


def test_one_broken_writer_is_named_and_the_others_write(package: None, tmp_path: Path) -> None:
    files = Files(
        json=tmp_path / "a.json",
        write=[f"broken={tmp_path}/b", f"broken={tmp_path}/c", f"lines={tmp_path}/d"],  # type: ignore[arg-type]
    )
    with pytest.raises(UsageError) as raised:
        written(documents.audit(), files)
    failed = re.findall(
        r"writer 'broken' failed at '\S+/(\w)': RuntimeError: no ink", str(raised.value)
    )
    assert failed == ["b", "c"]
    assert {p.name for p in tmp_path.iterdir()} == {"a.json", "d", "site"}
    with pytest.raises(UsageError, match="writer 'broken' failed at .*refused.*KeyError"):
        outputs(Files(write=[f"broken={tmp_path}/refused"]), Audit)  # type: ignore[arg-type]


def test_render_writes_any_format(
    package: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents.audit().save(tmp_path / "a.json")
    arguments = ["render", str(tmp_path / "a.json"), str(tmp_path / "out")]
    assert main([*arguments, "--format", "lines"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    assert (tmp_path / "out").read_text().startswith(documents.audit().findings[0].check)
    assert main([*arguments, "--format", "line"]) == 1
    assert "--format: the format 'line' is not one of html, json, broken, lines" in (
        capsys.readouterr().err
    )


def test_a_command_refuses_a_format_before_it_opens_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["plan", "nowhere", "--budget", "1"], ["calibrate", "nowhere"]):
        assert main([*command, "--write", f"xml={tmp_path}/x"]) == 1
        assert "--write: the format 'xml' is not one of" in capsys.readouterr().err
    assert main(["calibrate", "nowhere", "--write", f"html={tmp_path}/x"]) == 1
    assert "--write: html cannot hold a calibration" in capsys.readouterr().err


def test_a_registered_writer_needs_a_name_and_kinds() -> None:
    class Nameless(TextWriter):
        kinds = (Audit,)

    with pytest.raises(UsageError, match="not a Writer"):
        register_writer(Nameless())
    with pytest.raises(UsageError, match="is the class TextWriter, not a Writer"):
        register_writer(TextWriter)  # type: ignore[arg-type]


def test_the_writer_of_the_page_about_formats_works(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "writers.md"
    (example,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
    try:
        exec(compile(example, "docs/writers.md", "exec"), {})
        lvlm_audit.render(documents.audit(), tmp_path / "a.csv", format="csv")
    finally:
        unregister_writer("csv")
    head, first, *_ = (tmp_path / "a.csv").read_text().splitlines()
    assert head == "check,verdict,observed"
    assert first.split(",")[0] == documents.audit().findings[0].check


def test_the_document_is_what_json_says(tmp_path: Path) -> None:
    assert written(CALIBRATION, Files(json=tmp_path / "c.json")) == [tmp_path / "c.json"]
    assert json.loads((tmp_path / "c.json").read_text())["schema"] == "lvlm_audit/calibration"
