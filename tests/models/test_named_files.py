"""What a checkpoint's own text names: weights and tokenizers in its folder, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from lvlm_audit.errors import LvlmAuditError, ModelBroken, UnsupportedModel
from lvlm_audit.models.aliases import resolve
from lvlm_audit.models.identity import fingerprint
from lvlm_audit.models.named_files import weight_files
from lvlm_audit.models.opening import load
from tests import tiny_models

INDEX = "model.safetensors.index.json"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of several shards."""
    folder = tmp_path_factory.mktemp("made")
    model, processor = tiny_models.llava(blocks=3, width=32)
    model.save_pretrained(folder, max_shard_size="100KB")
    processor.save_pretrained(folder)
    assert len(list(folder.glob("*.safetensors"))) > 2
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def renamed(folder: Path, shard: Path, name: Any) -> None:
    """The index, with one shard under another name."""
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"] = {
        tensor: name if file == shard.name else file for tensor, file in index["weight_map"].items()
    }
    (folder / INDEX).write_text(json.dumps(index))


def moved(folder: Path, to: str) -> Path:
    """The last shard at another place, under which the index names it."""
    shard = shards(folder)[-1]
    target = folder / to
    target.parent.mkdir(parents=True, exist_ok=True)
    shard.rename(target)
    renamed(folder, shard, to)
    return target


def key(folder: Path) -> str:
    return fingerprint(resolve(str(folder)))


def refused(folder: Path, kind: type[LvlmAuditError], *words: str) -> None:
    """By opening and by the key: an audit out of the store meets the key alone."""
    for look in (load, key):
        with pytest.raises(kind) as caught:
            look(folder)
        for word in words:
            assert word in str(caught.value)


@pytest.mark.parametrize("to", ["sub/w.safetensors", "a/b/c/w.safetensors"])
def test_shards_in_a_folder_below_are_opened_and_in_the_key(
    folder: Path, made: Path, to: str
) -> None:
    shard = moved(folder, to)
    with load(folder) as one, load(made) as two:
        assert torch.equal(one.anatomy.weight, two.anatomy.weight)
    before = key(folder)
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert key(folder) != before


def test_shards_below_alone_are_a_checkpoint_too(folder: Path) -> None:
    for shard in shards(folder):
        (folder / "sub").mkdir(exist_ok=True)
        shard.rename(folder / "sub" / shard.name)
        renamed(folder, shard, f"sub/{shard.name}")
    load(folder).close()


def test_a_damaged_shard_below_is_named(folder: Path) -> None:
    shard = moved(folder, "sub/w.safetensors")
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(ModelBroken, match="cut short"):
        load(folder)


@pytest.mark.parametrize(
    "way", ["../other/w.safetensors", "sub/../../other/w.safetensors", "absolute"]
)
def test_an_index_may_not_lead_out(folder: Path, tmp_path: Path, way: str) -> None:
    (tmp_path / "other").mkdir()
    shard = shards(folder)[-1]
    shard.rename(tmp_path / "other" / "w.safetensors")
    (folder / "sub").mkdir()
    renamed(folder, shard, str(tmp_path / "other" / "w.safetensors") if way == "absolute" else way)
    refused(
        folder, UnsupportedModel, INDEX, "lies outside of the checkpoint's folder", "copy the file"
    )


@pytest.mark.parametrize("name", ["C:\\w.safetensors", "..\\w.safetensors", "w\0.safetensors"])
def test_nor_as_other_systems_spell_it(folder: Path, name: str) -> None:
    renamed(folder, shards(folder)[-1], name)
    refused(folder, UnsupportedModel, "lies outside of the checkpoint's folder")


@pytest.mark.parametrize("link", ["file", "folder"])
def test_nor_through_a_link(folder: Path, tmp_path: Path, link: str) -> None:
    (tmp_path / "other").mkdir()
    shard = shards(folder)[-1]
    shard.rename(tmp_path / "other" / shard.name)
    if link == "file":
        shard.symlink_to(tmp_path / "other" / shard.name)
    else:
        (folder / "sub").symlink_to(tmp_path / "other")
        renamed(folder, shard, f"sub/{shard.name}")
    refused(folder, UnsupportedModel, "lies outside of the checkpoint's folder")


def test_a_link_into_the_blobs_of_the_hubs_cache_is_how_snapshots_are_laid_out(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots").mkdir()
    before = key(folder)
    for shard in shards(folder):
        shard.rename(tmp_path / "blobs" / f"blob of {shard.stem}")
        shard.symlink_to(tmp_path / "blobs" / f"blob of {shard.stem}")
    assert key(folder) == before
    load(folder).close()


@pytest.mark.parametrize(
    "name", ["weights.bin", "weights.pt", "sub/w.pkl", "w.safetensors.bin", "", 5]
)
def test_an_index_names_safetensors_alone(folder: Path, name: Any) -> None:
    """Beside decoys that are whole: torch would read the pickle."""
    shard = shards(folder)[-1]
    if isinstance(name, str) and name:
        from safetensors.torch import load_file

        (folder / name).parent.mkdir(exist_ok=True)
        torch.save(load_file(shard), folder / name)
    renamed(folder, shard, name)
    refused(folder, UnsupportedModel, INDEX, "not safetensors", "save_pretrained")


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "[" * 10**5]
)
def test_what_is_no_index_is_said(folder: Path, content: str) -> None:
    (folder / INDEX).write_text(content)
    refused(folder, ModelBroken, INDEX, "not an index")


def named_in_config(folder: Path, value: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "transformers_weights": value}))


def test_weights_that_config_json_names_are_those_in_the_key(folder: Path) -> None:
    """transformers 5 reads them instead of model.safetensors, from wherever they lie in the folder."""
    (folder / "sub").mkdir()
    model, _ = tiny_models.llava(blocks=3, width=32, seed=5)
    model.save_pretrained(folder / "sub")
    named_in_config(folder, "sub/model.safetensors")
    assert weight_files("x", folder) == [folder / "sub" / "model.safetensors"]
    with load(folder) as one:
        assert torch.equal(one.anatomy.weight, model.get_output_embeddings().weight)
    before = key(folder)
    path = folder / "sub" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert key(folder) != before


@pytest.mark.parametrize("value", ["adapter_model.bin", "../x.safetensors", "x.bin.index.json", 7])
def test_config_json_may_not_name_others(folder: Path, value: Any) -> None:
    named_in_config(folder, value)
    refused(folder, UnsupportedModel, "config.json (transformers_weights)")


def test_an_index_that_config_json_names_is_held_to_the_same(folder: Path) -> None:
    shutil.copy(folder / INDEX, folder / f"other.{INDEX.removeprefix('model.')}")
    renamed(folder, shards(folder)[-1], "w.bin")
    named_in_config(folder, INDEX)
    refused(folder, UnsupportedModel, "not safetensors")
    named_in_config(folder, "other.safetensors.index.json")
    load(folder).close()
    named_in_config(folder, "none.safetensors.index.json")
    refused(folder, ModelBroken, "none.safetensors.index.json")


@pytest.mark.parametrize("name", ["../other/tokenizer.4.0.json", "a/b/tokenizer.4.0.json", 3])
def test_a_tokenizer_may_not_be_said_to_lie_elsewhere(
    folder: Path, tmp_path: Path, name: Any
) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["fast_tokenizer_files"] = ["tokenizer.json", name]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    refused(folder, UnsupportedModel, "fast_tokenizer_files", "does not lie beside it")


def test_an_adapter_of_adapters_is_refused(folder: Path, tmp_path: Path) -> None:
    over = tmp_path / "over"
    over.mkdir()
    (over / "adapter_config.json").write_text(
        '{"peft_type": "XLORA", "adapters": {"0": "someone/else"}}'
    )
    (over / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(UnsupportedModel, match="names other adapters"):
        resolve(str(folder), adapter=over)
