"""The content key of a checkpoint."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.models.aliases import Checkpoint, resolve
from lvlm_audit.models.identity import fingerprint


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"weights")
    (made / "chat_template.jinja").write_text("{{ x }}")
    return made


def key(folder: Path) -> str:
    return fingerprint(resolve(str(folder)))


def test_equal_content_has_an_equal_key_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    folder_key = key(folder)
    folder.rename(twin)
    assert key(twin) == folder_key


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "chat_template.jinja"])
def test_a_changed_file_changes_the_key(folder: Path, name: str) -> None:
    before = key(folder)
    (folder / name).write_bytes(b"changed")
    assert key(folder) != before


def test_a_model_saved_over_another_of_the_same_size_is_told_apart(folder: Path) -> None:
    before = key(folder)
    status = (folder / "model.safetensors").stat()
    (folder / "model.safetensors").unlink()
    (folder / "other").write_bytes(b"WEIGHTS")
    (folder / "other").rename(folder / "model.safetensors")
    os.utime(folder / "model.safetensors", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert key(folder) != before


def test_what_is_not_read_does_not_matter(folder: Path) -> None:
    before = key(folder)
    (folder / "README.md").write_text("words")
    (folder / "training.log").write_text("words")
    assert key(folder) == before


def test_the_second_look_reads_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(folder)

    original = Path.open

    def watched(path: Path, *args: Any, **kwargs: Any) -> Any:
        assert folder not in path.parents, f"{path.name} was read again"
        return original(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", watched)
    assert key(folder) == before


@pytest.mark.parametrize("damage", ["not json", "[1]", '{"a": 5}'])
def test_a_damaged_memory_costs_time_only(folder: Path, cache: Path, damage: str) -> None:
    before = key(folder)
    (cache / "digests.json").write_text(damage)
    assert key(folder) == before


def test_an_unwritable_cache_is_no_obstacle(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").touch()
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "plain" / "below"))
    assert len(key(folder)) == 64


def test_a_hub_blob_is_its_own_digest(tmp_path: Path) -> None:
    content = b"weights"
    blob = tmp_path / "blobs" / hashlib.sha256(content).hexdigest()
    blob.parent.mkdir()
    blob.write_bytes(b"not looked at")
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(blob)
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "model.safetensors").write_bytes(content)
    one = Checkpoint("x", "hub", hub_id="a/b", snapshot=snapshot)
    two = Checkpoint("y", "folder", path=plain)
    assert fingerprint(one) == fingerprint(two)


def test_a_model_that_is_not_here_yet_has_its_name_for_a_key() -> None:
    assert fingerprint(Checkpoint("x", "hub", hub_id="a/b")).startswith("hub:")
