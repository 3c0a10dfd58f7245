"""A probe format out of a third party's package, read by name and told by its content."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.formats.registry import FORMATS, GROUP, format_names
from lvlm_audit.probes.readers import read_probes
from tests.third_party import distribution

PACKAGE = """
from lvlm_audit.probes import ProbeFormat
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import image, needed_text
from lvlm_audit.probes.json_text import records

_EXAMPLE = '{"picture": "a.png", "ask": "What is it?"}'


def read(source):
    for where, record in records(source):
        shown = image(where, needed_text(where, record, "picture", _EXAMPLE), source)
        yield Draft(where, (shown,), needed_text(where, record, "ask", _EXAMPLE), stem="theirs")


theirs = ProbeFormat("theirs", frozenset({"picture", "ask"}), read)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = distribution(
        tmp_path / "site", "a_package_with_a_format", PACKAGE, theirs=(GROUP, "theirs")
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(FORMATS, "_others", {})
    monkeypatch.setattr(FORMATS, "_loaded", False)
    return


def written(folder: Path, record: dict[str, str], name: str = "set.json") -> Path:
    Image.new("RGB", (8, 8), "red").save(folder / "a.png")
    path = folder / name
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize("chosen", ["auto", "theirs"])
@pytest.mark.parametrize("name", ["set.json", "set.jsonl"])
def test_it_is_read(package: None, tmp_path: Path, chosen: str, name: str) -> None:
    path = written(tmp_path, {"picture": "a.png", "ask": "What is it?"}, name)
    (probe,) = read_probes(path, format=chosen)
    assert (probe.id, probe.prompt) == ("theirs", "What is it?")
    assert probe.image is not None
    assert probe.image.path == tmp_path / "a.png"


def test_its_name_is_listed_with_ours(package: None, tmp_path: Path) -> None:
    assert format_names()[-2:] == ("jsonl", "theirs")
    with pytest.raises(ProbeError, match="is not one of auto, pope.*, theirs"):
        read_probes(written(tmp_path, {"picture": "a.png"}), format="thiers")


def test_of_two_formats_the_one_that_asks_for_more_reads_a_file(
    package: None, tmp_path: Path
) -> None:
    theirs = FORMATS.get("theirs")
    more = type(theirs)("more", theirs.keys | {"image", "prompt"}, FORMATS.get("jsonl").read)
    FORMATS.register(more)
    record = {"picture": "a.png", "ask": "What is it?"}
    assert read_probes(written(tmp_path, record))[0].prompt == "What is it?"
    record |= {"image": "a.png", "prompt": "And this?"}
    with pytest.raises(ProbeError, match="'picture'"):
        # Our own reader refuses keys that it does not know: it was the one that was asked.
        read_probes(written(tmp_path, record))
