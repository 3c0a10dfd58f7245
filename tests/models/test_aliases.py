"""Names of models, resolved without torch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lvlm_audit.errors import ModelNotFound
from lvlm_audit.models.aliases import ALIASES, resolve


def test_every_alias_is_a_hub_id_and_lower_case() -> None:
    for alias, hub_id in ALIASES.items():
        assert alias == alias.lower()
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", hub_id)


def test_an_alias_is_case_blind() -> None:
    made = resolve("LLaVA-1.5-7B")
    assert (made.kind, made.hub_id) == ("hub", "llava-hf/llava-1.5-7b-hf")
    assert made.name == "LLaVA-1.5-7B"


def test_a_hub_id_is_taken_as_it_is() -> None:
    made = resolve("someone/Their_model.v2")
    assert (made.kind, made.source, made.folder) == ("hub", "someone/Their_model.v2", None)


def test_a_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "llava-1.5-7b"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    made = resolve("llava-1.5-7b")
    assert (made.kind, made.path) == ("folder", folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("llava-1.5-7", "Did you mean llava-1.5-7b"),
        ("zzz", "neither a folder, nor an alias"),
        ("", "empty"),
        ("./models/llava", "no folder"),
        ("/a/b/c", "no folder"),
        ("a/b/c", "no folder"),
    ],
)
def test_an_unknown_name_says_what_to_do(name: str, message: str) -> None:
    with pytest.raises(ModelNotFound, match=re.escape(message)):
        resolve(name)


def test_a_folder_that_is_no_checkpoint_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no config\.json"):
        resolve(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(ModelNotFound, match="is a file"):
        resolve(str(tmp_path / "file"))


def test_a_cached_snapshot_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    config = tmp_path / "snapshots" / "abc123" / "config.json"
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: str(config))
    made = resolve("llava-1.5-7b")
    assert (made.snapshot, made.commit, made.revision) == (config.parent, "abc123", None)
    assert made.path is None


def test_names_and_identity_need_no_torch() -> None:
    code = (
        "import sys; import lvlm_audit.models.aliases as a, lvlm_audit.models.identity;"
        "a.resolve('llava-1.5-7b');"
        "bad = {'torch', 'transformers', 'numpy'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
