"""Documents that are damaged on purpose: each is read and drawn, or refused in one message."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lvlm_audit.cli import main
from lvlm_audit.document import Audit
from lvlm_audit.document.plain import MAX_DEPTH
from lvlm_audit.errors import DocumentError
from lvlm_audit.report import html
from lvlm_audit.report.terminal.summary import summary
from tests.effort import examples
from tests.report import documents

HUGE = 10**400
DEEP: Any = []
for _ in range(MAX_DEPTH + 2):
    DEEP = [DEEP]
VALUES = [
    None, True, 0, -1, 2**53, 1.5, -9e99, 1e-320, 1e308, HUGE, -HUGE, "", "x", "\ud800", [], [None],
    {}, {"a": []}, DEEP,
]  # fmt: skip


def small() -> Audit:
    """Every part of a document, each as small as it can be."""
    shallow = documents.audit(1, 9)
    return dataclasses.replace(
        documents.compared(1),
        **{
            name: getattr(shallow, name)
            for name in ("subject", "stages", "layers", "features", "grounding", "decoder")
        },
        probes=[documents.probe(0, 9, tokens=2)],
        findings=documents.findings()[:2],
    )


DOCUMENT = json.loads(small().to_json())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document; of a list its first item stands for all."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


PLACES = list(places(DOCUMENT))[1:]


def damaged(path: tuple[Any, ...], value: Any) -> str:
    whole = json.loads(json.dumps(DOCUMENT))
    at = whole
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(whole)


def read(text: str) -> Audit | str:
    """The document, or why it was refused. Anything but a DocumentError is a defect."""
    try:
        return Audit.from_json(text, name="doc")
    except DocumentError as error:
        return str(error)


def survives(text: str) -> bool:
    """Read and draw a document; True where it is drawn, False where it is refused in few words."""
    audit = read(text)
    if isinstance(audit, str):
        assert audit.startswith("doc")
        assert len(audit) < 600
        return False
    html.render(audit).encode("utf-8")
    summary(audit, Console(file=io.StringIO(), width=80), encoding="utf-8")
    assert Audit.from_json(audit.to_json()) == audit
    return True


def test_the_whole_one_is_drawn() -> None:
    assert survives(json.dumps(DOCUMENT))
    assert len(PLACES) > 300


@pytest.mark.parametrize("first", range(0, len(VALUES), 5))
def test_every_place_is_read_or_refused_in_words(first: int) -> None:
    """The reader alone, on every place; the values take turns, and all of them come up many times."""
    refused = 0
    for turn, path in enumerate(PLACES):
        found = read(damaged(path, VALUES[(first + turn) % len(VALUES)]))
        if isinstance(found, str):
            refused += 1
            assert found.startswith("doc"), path
            assert len(found) < 600, path
    assert refused > len(PLACES) / 2


@examples(40)
@given(st.sampled_from(PLACES), st.sampled_from(VALUES))
def test_what_is_read_is_drawn(path: tuple[Any, ...], value: Any) -> None:
    survives(damaged(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("stages", "blocks"), -1),
        (("stages", "blocks"), 10**9),
        (("subject", "blocks"), 10**9),
        (("findings", 0, "observed"), HUGE),
        (("findings", 0, "observed"), 1e308),
        (("findings", 0, "bound", "value"), -1e308),
        (("findings", 0, "n"), HUGE),
        (("probes", 0, "tokens", 0, "probability"), [1e308] * 10),
        (("provenance", "seed"), HUGE),
        (("provenance", "settings"), DEEP),
        (("probes", 0, "labels"), {"a": DEEP}),
        (("probes", 0, "tokens", 0, "rivals"), [{"text": "a", "probability": DEEP}]),
    ],
)
def test_what_no_audit_holds_is_refused(path: tuple[Any, ...], value: Any) -> None:
    assert not survives(damaged(path, value))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000])
def test_numbers_beyond_all_numbers(number: str) -> None:
    for path in (("provenance", "seconds"), ("findings", 0, "observed")):
        text = damaged(path, 123.456).replace("123.456", number)
        with pytest.raises(DocumentError):
            Audit.from_json(text, name="doc")


def test_half_a_surrogate_pair_is_written_and_read_back(tmp_path: Path) -> None:
    """A file name that is no text gives such characters; hours of recording must not be lost to them."""
    audit = dataclasses.replace(small(), headline="caf\udce9 and \ud83d alone")
    audit.save(tmp_path / "a.json")
    assert Audit.load(tmp_path / "a.json") == audit


def test_a_byte_order_mark_is_no_part_of_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(DOCUMENT).encode())
    assert Audit.load(tmp_path / "a.json") == small()


def test_a_field_and_an_item_a_line() -> None:
    text = small().to_json()
    assert text.startswith('{\n "verdict": "fail",\n "headline": ')
    assert max(map(len, text.splitlines())) < 20_000
    assert len(text.splitlines()) < 200


class TestRender:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("/dev/zero", "it is a device, not a file"),
            ("/dev/urandom", "it is a device, not a file"),
            ("sparse.json", "are more than any document has"),
            ("deep.json", "nested too deep"),
            ("deeper.json", "nested too deep"),
            ("folder", "Is a directory"),
        ],
    )
    def test_what_never_ends_is_one_message(
        self, name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "folder").mkdir()
        with (tmp_path / "sparse.json").open("wb") as file:
            file.truncate(200 * 2**30)
        (tmp_path / "deep.json").write_text('{"a":' * 100_000)
        (tmp_path / "deeper.json").write_text("[" * 3_000_000)
        assert main(["render", str(tmp_path / name), str(tmp_path / "out.html")]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert message in said.err
        assert len(said.err.splitlines()) == 1
        assert not (tmp_path / "out.html").exists()

    def test_a_pipe_is_read_and_waited_for_aloud(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lvlm_audit.waiting.PATIENCE", 0.1)
        os.mkfifo(tmp_path / "pipe")
        arguments = ["render", str(tmp_path / "pipe"), str(tmp_path / "out.html")]
        codes: list[int] = []
        reader = threading.Thread(target=lambda: codes.append(main(arguments)))
        reader.start()
        reader.join(timeout=1.5)
        assert reader.is_alive()
        (tmp_path / "pipe").write_text(json.dumps(DOCUMENT))
        reader.join(timeout=60)
        assert codes == [0]
        said = capsys.readouterr().err
        assert said.startswith("waiting until somebody writes to the pipe ")
        assert (tmp_path / "out.html").exists()

    def test_slow_work_is_said(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lvlm_audit.document.reading._LARGE", 1000)
        monkeypatch.setattr("lvlm_audit.waiting.PATIENCE", 0.0)
        (tmp_path / "a.json").write_text(json.dumps(DOCUMENT))
        assert main(["render", str(tmp_path / "a.json"), str(tmp_path / "out.html")]) == 0
        said = capsys.readouterr()
        assert said.err.startswith(f"reading '{tmp_path / 'a.json'}'")
        assert f"drawing '{tmp_path / 'out.html'}'" in said.err
        assert said.out == f"{tmp_path / 'out.html'}\n"
