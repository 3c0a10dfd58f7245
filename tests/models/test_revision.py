"""Revisions of hub models, out of a cache folder as the hub lays it out; no network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from lvlm_audit.errors import LvlmAuditError, ModelNotFound, UsageError
from lvlm_audit.models.aliases import resolve
from lvlm_audit.models.identity import fingerprint
from lvlm_audit.models.opening import load
from tests import tiny_models

OLD, NEW = "a" * 40, "b" * 40
NAME = "someone/tiny-llava"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_models.save(tiny_models.llava(blocks=3, width=32, seed=1), folder / OLD)
    tiny_models.save(tiny_models.llava(blocks=4, width=32, seed=2), folder / NEW)
    return folder


@pytest.fixture(autouse=True)
def hub(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits, of which `main` is the newer and `v1` (a tag) the older."""
    cache = tmp_path / "hub"
    repo = cache / "models--someone--tiny-llava"
    for commit in (OLD, NEW):
        shutil.copytree(models / commit, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    for ref, commit in (("main", NEW), ("v1", OLD)):
        (repo / "refs" / ref).write_text(commit)
    import huggingface_hub.constants
    import transformers.utils.hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(transformers.utils.hub, "is_offline_mode", lambda: True)
    for module in (transformers.utils.hub, huggingface_hub.file_download):
        for name in ("TRANSFORMERS_CACHE", "HF_HUB_CACHE"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, str(cache))
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    return cache


@pytest.mark.parametrize(
    ("revision", "commit", "blocks"),
    [(None, NEW, 4), ("main", NEW, 4), ("v1", OLD, 3), (OLD, OLD, 3), (NEW, NEW, 4)],
)
def test_a_revision_is_opened(revision: str | None, commit: str, blocks: int, models: Path) -> None:
    found = resolve(NAME, revision=revision)
    assert (found.commit, found.revision) == (commit, revision)
    assert fingerprint(found) == fingerprint(resolve(str(models / commit)))
    with load(NAME, revision=revision) as hooked, load(models / commit) as expected:
        assert hooked.blocks == blocks
        assert torch.equal(hooked.anatomy.weight, expected.anatomy.weight)


def test_the_processor_is_the_revisions_own(hub: Path) -> None:
    repo = hub / "models--someone--tiny-llava" / "snapshots"
    (repo / OLD / "chat_template.jinja").write_text(tiny_models.template("<image>") + "OLD")
    assert load(NAME, revision="v1").processor.chat_template.endswith("OLD")
    assert not load(NAME).processor.chat_template.endswith("OLD")


def test_two_revisions_have_two_content_keys() -> None:
    keys = {fingerprint(resolve(NAME, revision=revision)) for revision in ("main", "v1")}
    assert len(keys) == 2
    away = {fingerprint(resolve("a/b", revision=revision)) for revision in (None, "v1", "v2")}
    assert len(away) == 3


def test_a_revision_that_is_not_here_is_named() -> None:
    assert resolve(NAME, revision="v9").folder is None
    with pytest.raises(ModelNotFound, match="revision 'v9'") as caught:
        load(NAME, revision="v9")
    assert len(str(caught.value)) < 600


def test_a_folder_has_no_revision(models: Path) -> None:
    with pytest.raises(UsageError, match="revision 'v1' is for models on the hub"):
        load(models / OLD, revision="v1")


def test_a_resolved_checkpoint_is_not_given_another(models: Path) -> None:
    with pytest.raises(LvlmAuditError, match="already"):
        load(resolve(NAME), revision="v1")


def test_what_was_fetched_meanwhile_is_found(hub: Path) -> None:
    snapshots = hub / "models--someone--tiny-llava" / "snapshots"
    os.rename(snapshots / OLD, snapshots / "elsewhere")
    early = resolve(NAME, revision="v1")
    assert early.folder is None
    os.rename(snapshots / "elsewhere", snapshots / OLD)
    assert early.located() == resolve(NAME, revision="v1")
    assert early.described() == f"{NAME}@v1"
