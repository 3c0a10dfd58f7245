"""The content key of a checkpoint."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit import digests
from lvlm_audit.models.aliases import Checkpoint, resolve
from lvlm_audit.models.identity import fingerprint, is_here
from lvlm_audit.models.opening import load
from tests import tiny_models


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


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as a large one, and the file system's clock as a fine one."""
    monkeypatch.setattr(digests, "SMALL", 0)
    monkeypatch.setattr(digests, "_COARSE_NS", 0)


@pytest.mark.usefixtures("large")
def test_the_second_look_reads_no_file_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(folder)

    def again(file: Any, algorithm: str) -> None:
        raise AssertionError(f"{file.name} was read again")

    monkeypatch.setattr(hashlib, "file_digest", again)
    assert key(folder) == before


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("damage", ["not json", "[1]", '{"a": 5}', "[" * 100_000])
def test_a_damaged_memory_costs_time_only(folder: Path, cache: Path, damage: str) -> None:
    before = key(folder)
    (cache / "digests.json").write_text(damage)
    assert key(folder) == before


def put_back(path: Path, content: bytes) -> None:
    """Another content of the same size in the same file, with the old times."""
    before = path.stat()
    assert len(content) == before.st_size
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", ["model.safetensors", "chat_template.jinja"])
def test_an_edit_in_place_is_seen_although_its_time_was_put_back(
    folder: Path, name: str, size: str, request: pytest.FixtureRequest
) -> None:
    if size == "large":
        request.getfixturevalue("large")
    before = key(folder)
    path = folder / name
    put_back(path, path.read_bytes()[::-1])
    assert key(folder) != before


def test_two_archives_with_one_time_that_are_unpacked_in_turn_are_two_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tar --mtime=@0`; the file system may hand out the same inode again, and here it does."""
    keys = []
    place = tmp_path / "place"
    place.mkdir()
    for seed in (1, 2):
        model = tiny_models.llava(blocks=2, width=16, seed=seed)
        made = tiny_models.save(model, tmp_path / f"{seed}")
        archive = tmp_path / f"{seed}.tar"
        with tarfile.open(archive, "w") as tar:
            for path in made.iterdir():
                entry = tar.gettarinfo(path, path.name)
                entry.mtime = 0
                with path.open("rb") as file:
                    tar.addfile(entry, file)
        with tarfile.open(archive) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                (place / member.name).write_bytes(content.read())
                os.utime(place / member.name, (0, 0))
        keys.append(key(place))
        assert keys[-1] == key(made)
    assert keys[0] != keys[1]


def test_an_unwritable_cache_is_no_obstacle(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").touch()
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "plain" / "below"))
    assert len(key(folder)) == 64


def in_the_hub(tmp_path: Path, content: bytes) -> Path:
    """A snapshot with one file, as the hub's cache lays it out."""
    blob = tmp_path / "blobs" / hashlib.sha256(content).hexdigest()
    blob.parent.mkdir()
    blob.write_bytes(content)
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(blob)
    return snapshot


def test_a_hub_snapshot_has_the_key_of_its_content(tmp_path: Path) -> None:
    snapshot = in_the_hub(tmp_path, b"weights")
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "model.safetensors").write_bytes(b"weights")
    one = Checkpoint("x", "hub", hub_id="a/b", snapshot=snapshot)
    two = Checkpoint("y", "folder", path=plain)
    assert fingerprint(one) == fingerprint(two)


def test_a_hub_blob_that_was_saved_over_is_another_model(tmp_path: Path) -> None:
    """`save_pretrained(snapshot)` writes through the link: the name stays, the content does not."""
    snapshot = in_the_hub(tmp_path, b"weights")
    one = Checkpoint("x", "hub", hub_id="a/b", snapshot=snapshot)
    before = fingerprint(one)
    (snapshot / "model.safetensors").write_bytes(b"WEIGHTS")
    assert fingerprint(one) != before


def test_a_snapshot_that_was_fetched_in_part_has_no_key_yet(tmp_path: Path) -> None:
    """Two commits with one config.json would share it."""
    snapshot = tmp_path / "snapshots" / "abc"
    whole = tiny_models.save(tiny_models.llava(blocks=2, width=16), tmp_path / "whole")
    snapshot.mkdir(parents=True)
    one = Checkpoint("x", "hub", hub_id="a/b", snapshot=snapshot)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "processor_config.json"):
        assert not is_here(one, trust_remote_code=False)
        shutil.copy(whole / name, snapshot / name)
    assert is_here(one, trust_remote_code=False)
    assert is_here(resolve(str(whole)), trust_remote_code=False)


def test_everything_that_opening_reads_is_in_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_models.save(tiny_models.llava(blocks=2, width=16), tmp_path / "model")
    read = opened_files(lambda: load(folder).close(), folder)
    assert {"config.json", "tokenizer_config.json", "chat_template.jinja"} <= read
    for name in read:
        before = key(folder)
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        assert key(folder) != before, name


def opened_files(action: Callable[[], None], folder: Path) -> set[str]:
    """Names of the files below a folder that Python opens meanwhile."""
    import builtins
    import io

    real, seen = builtins.open, set()

    def watched(file: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, str | Path) and folder in Path(file).parents:
            seen.add(Path(file).relative_to(folder).as_posix())
        return real(file, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", watched)
        patch.setattr(io, "open", watched)
        action()
    return seen


@pytest.mark.parametrize(
    "name",
    ["qformer_tokenizer/tokenizer.json", "additional_chat_templates/tool.jinja", "own/code.py"],
)
def test_what_lies_a_folder_deeper_and_is_read_is_in_the_key(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir()
    path.write_text("one")
    before = key(folder)
    path.write_text("two")
    assert key(folder) != before


def test_code_that_lies_in_another_place_is_in_the_key(folder: Path, tmp_path: Path) -> None:
    """`auto_map` can name code as "place--module.Class"; save_pretrained() of a fine-tuned model does."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "modeling.py").write_text("one")
    (folder / "config.json").write_text(
        f'{{"auto_map": {{"AutoModel": "{code}--modeling.Model"}}}}'
    )
    before = key(folder)
    (code / "modeling.py").write_text("two")
    assert key(folder) != before
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "no/where--modeling.Model"}}')
    one = resolve(str(folder))
    assert not is_here(one, trust_remote_code=True), "it is fetched before a key is made"
    assert is_here(one, trust_remote_code=False)


def test_a_model_that_is_not_here_yet_has_its_name_for_a_key() -> None:
    assert fingerprint(Checkpoint("x", "hub", hub_id="a/b")).startswith("hub:")
