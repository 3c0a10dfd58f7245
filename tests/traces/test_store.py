"""The store: what is written is what is read, damage is named, and keys tell recordings apart."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lvlm_audit.errors import DamagedRecording, TraceError
from lvlm_audit.traces import store
from lvlm_audit.traces.trace import SCHEMA_VERSION, Asked, PairedTrace, TokenClass, Trace
from tests.synthetic import pair, rising, trace


def assert_same(a: Trace | PairedTrace, b: Trace | PairedTrace) -> None:
    assert type(a) is type(b)
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype, field.name
            np.testing.assert_array_equal(x, y, err_msg=field.name)
        else:
            assert x == y, field.name


def rich() -> list[Trace | PairedTrace]:
    """Recordings that use every field, with text that is hard to store."""
    plain = trace(rising(), name="a", distractor=float("nan"), classes=[*TokenClass][:4])
    asked = Asked("ü/日本 \n\"'", "What?\t\u2028", "c", None, {"kind": "color", "n": [1, None]})
    return [
        plain,
        dataclasses.replace(
            plain,
            asked=asked,
            features=np.arange(4 * 13 * 2, dtype=np.float16).reshape(4, 13, 2),
            paper_index=np.full((4, 12), 3.5, dtype=np.float32),
            vocabulary={0: "\x00", 151_645: "<|im_end|>", 7: "\U0001f600"},
        ),
        pair([0.0, 0.5], name="b", text="reference"),
        dataclasses.replace(
            pair([0.0, 0.5]),
            log2_probability=np.full((2, 4), -np.inf, dtype=np.float32),
        ),
    ]


def test_round_trip(tmp_path):
    recording = store.Recording(rich(), {"subject": {"model": "m"}, "seconds": 1.5})
    store.save(tmp_path / "x", recording)
    loaded = store.load(tmp_path / "x")
    assert loaded.facts == recording.facts
    assert len(loaded.items) == len(recording.items)
    for a, b in zip(recording.items, loaded.items, strict=True):
        assert_same(a, b)


def test_no_items_are_a_recording_too(tmp_path):
    store.save(tmp_path / "x", store.Recording([], {"seconds": 0}))
    assert store.exists(tmp_path / "x")
    assert list(store.load(tmp_path / "x").items) == []


def test_an_older_recording_is_replaced_whole(tmp_path):
    store.save(tmp_path / "x", store.Recording(rich(), {"run": 1}))
    store.save(tmp_path / "x", store.Recording(rich()[:1], {"run": 2}))
    loaded = store.load(tmp_path / "x")
    assert (len(loaded.items), loaded.facts) == (1, {"run": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_nothing_is_there_before_it_is_written(tmp_path):
    assert not store.exists(tmp_path / "x")
    (tmp_path / "x").mkdir()
    assert not store.exists(tmp_path / "x")


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "save_file", full)
    with pytest.raises(TraceError, match=r"cannot store traces in .*No space left"):
        store.save(tmp_path / "x", store.Recording(rich(), {}))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_names_the_variable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match="Set LVLM_AUDIT_CACHE to a writable folder"):
        store.save(tmp_path / "file" / "x", store.Recording(rich(), {}))


def _edit(folder: Path, change) -> None:
    path = folder / "recording.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _truncate(name: str):
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        _truncate("recording.json"),
        _truncate("arrays.safetensors"),
        lambda f: (f / "arrays.safetensors").unlink(),
        lambda f: (f / "arrays.safetensors").write_bytes(b"\x00" * 64),
        lambda f: (f / "recording.json").write_text("[]"),
        lambda f: (f / "recording.json").write_bytes(b"\xff\xfe"),
        lambda f: _edit(f, lambda d: d.pop("schema_version")),
        lambda f: _edit(f, lambda d: d.pop("items")),
        lambda f: _edit(f, lambda d: d.update(items={})),
        lambda f: _edit(f, lambda d: d["items"][0].update(kind="Picture")),
        lambda f: _edit(f, lambda d: d["items"][0].pop("asked")),
        lambda f: _edit(f, lambda d: d["items"][0].update(surprise=1)),
        lambda f: _edit(f, lambda d: d["items"][0].update(token_classes=["verb"])),
        lambda f: _edit(f, lambda d: d["items"].append(d["items"][0])),
        lambda f: _edit(f, lambda d: d["items"].pop()),
    ],
)
def test_damage_is_named_with_a_remedy(tmp_path, damage):
    folder = tmp_path / "x"
    store.save(folder, store.Recording(rich(), {}))
    damage(folder)
    for sealed in (False, True):
        with pytest.raises(DamagedRecording, match="stored traces are damaged") as caught:
            store.load(folder)
        assert f"Delete {str(folder)!r} and run again" in str(caught.value)
        if not sealed and (folder / "arrays.safetensors").exists():
            store.seal(folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A recording of a hundred kilobytes in three files."""
    folder = tmp_path_factory.mktemp("store") / "x"
    store.save(folder, store.Recording(rich(), {"subject": {"model": "m"}, "seconds": 1.5}))
    assert sorted(p.name for p in folder.iterdir()) == [
        "SHA256SUMS",
        "arrays.safetensors",
        "recording.json",
    ]
    return folder


def test_the_checksums_are_those_that_sha256sum_checks(written):
    for line in (written / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert digest == hashlib.sha256((written / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["SHA256SUMS", "arrays.safetensors", "recording.json"])
@pytest.mark.parametrize("damage", ["bit", "zeros", "cut", "longer"])
def test_no_damage_of_a_stored_file_passes(tmp_path, written, name, damage):
    folder = Path(shutil.copytree(written, tmp_path / "x"))
    whole = (written / name).read_bytes()
    step = max(1, len(whole) // 150)
    refused = 0
    for number, at in enumerate(range(0, len(whole), step)):
        content = bytearray(whole)
        if damage == "bit":
            content[at] ^= 1 << number % 8
        elif damage == "zeros":
            content[at : at + 64] = bytes(len(content[at : at + 64]))
        elif damage == "cut":
            del content[at:]
        else:
            content += whole[: at + 1]
        if content == whole:
            continue
        (folder / name).write_bytes(content)
        # A bit of the schema's number can make it a newer one: that is refused as such.
        with pytest.raises(TraceError, match=r"damaged|schema version"):
            store.load(folder)
        refused += 1
    assert refused > 60
    (folder / name).write_bytes(whole)
    assert len(store.load(folder).items) == 4


def test_a_recording_that_may_not_be_read_is_no_damage(tmp_path, written, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(TraceError, match="may not be read: Permission denied") as caught:
        store.load(written)
    assert not isinstance(caught.value, DamagedRecording)


def test_of_two_that_write_one_recording_one_stays(tmp_path, monkeypatch):
    real = os.replace
    other = store.Recording(rich()[:1], {"run": 1})

    def raced(source, target):
        monkeypatch.setattr(os, "replace", real)
        store.save(tmp_path / "x", other)
        real(source, target)

    monkeypatch.setattr(os, "replace", raced)
    store.save(tmp_path / "x", store.Recording(rich()[:1], {"run": 2}))
    assert store.load(tmp_path / "x").facts == {"run": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_values_that_no_trace_may_have_are_damage(tmp_path):
    """A flipped bit in a number is refused as a trace would refuse it."""
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "x"
    store.save(folder, store.Recording([trace(rising())], {}))
    arrays = load_file(folder / "arrays.safetensors")
    arrays["0.probability"][0, 0] = 7
    save_file(arrays, folder / "arrays.safetensors")
    with pytest.raises(
        TraceError, match="damaged .*arrays.safetensors does not match its checksum"
    ):
        store.load(folder)
    # Written so by a program, and sealed by it.
    store.seal(folder)
    with pytest.raises(TraceError, match=r"damaged .*probability must lie in \[0.0, 1.0\].*Delete"):
        store.load(folder)


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, SCHEMA_VERSION - 1, "1", None])
def test_another_schema_is_not_read(tmp_path, version):
    folder = tmp_path / "x"
    store.save(folder, store.Recording(rich(), {}))
    _edit(folder, lambda d: d.update(schema_version=version))
    with pytest.raises(TraceError, match=rf"schema version {version!r}, this lvlm_audit reads"):
        store.load(folder)


def test_two_recordings_do_not_mix(tmp_path):
    one, two = trace(rising(at=3), name="same"), trace(rising(at=9), name="same")
    store.save(tmp_path / "one", store.Recording([one], {"n": 1}))
    store.save(tmp_path / "two", store.Recording([two, two], {"n": 2}))
    assert_same(store.load(tmp_path / "one").items[0], one)
    assert [i.probability[0, 5] for i in store.load(tmp_path / "two").items] == [
        np.float32(0.01)
    ] * 2
    assert store.load(tmp_path / "one").facts == {"n": 1}


PARTS = {
    "model": "a" * 64,
    "probes": "b" * 64,
    "lens": "normed",
    "kind": "answers",
    "device": "cpu",
    "dtype": "auto",
    "max_new_tokens": 48,
    "batch_size": 8,
    "lvlm_audit": "0.1.0",
    "torch": "2.13.0",
}


@pytest.mark.parametrize("part", PARTS)
def test_the_key_changes_with_each_part(part):
    value = PARTS[part]
    other = value + 1 if isinstance(value, int) else value + "x"
    assert store.key({**PARTS, part: other}) != store.key(PARTS)
    assert store.key({k: v for k, v in PARTS.items() if k != part}) != store.key(PARTS)


def test_the_key_is_of_content_not_of_order_or_neighbours():
    assert store.key(dict(reversed(PARTS.items()))) == store.key(PARTS)
    assert store.key({"a": "bc", "d": ""}) != store.key({"a": "b", "cd": ""})
    assert store.key({"a": 1}) != store.key({"a": "1"}) != store.key({"a": None})
    assert len(store.key(PARTS)) == 64


def test_the_key_refuses_what_has_no_content():
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.key({"a": math.nan})
