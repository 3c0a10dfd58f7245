"""Opening checkpoints: what works, and one clear error for each thing that does not."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lvlm_audit.errors import (
    LvlmAuditError,
    ModelBroken,
    ModelNotFound,
    UnsupportedModel,
    UsageError,
)
from lvlm_audit.models.aliases import resolve
from lvlm_audit.models.opening import load
from lvlm_audit.traces.recorder import record
from tests import tiny_models


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pair = tiny_models.llava(dtype=torch.bfloat16, blocks=9, width=32)
    return tiny_models.save(pair, tmp_path_factory.mktemp("llava"))


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def refused(path: Path, kind: type[LvlmAuditError], message: str, **how: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        load(path, **how)
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value)) < 500


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_folder_is_opened_in_its_own_dtype(
    checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with load(resolve(str(checkpoint))) as hooked:
        assert hooked.dtype == torch.bfloat16
        assert hooked.blocks == 9
        assert hooked.name == str(checkpoint)
        assert record(hooked, tiny_models.probes(1), max_new_tokens=2)[0].blocks == 9
    assert capfd.readouterr() == ("", ""), "no warnings, no bars"


def test_another_dtype_may_be_asked_for(checkpoint: Path) -> None:
    assert load(checkpoint, dtype="float32").dtype == torch.float32


@pytest.mark.parametrize(
    ("how", "message"), [({"dtype": "int3"}, "int3"), ({"device": "moon"}, "moon")]
)
def test_an_unknown_device_or_dtype_is_named(
    checkpoint: Path, how: dict[str, str], message: str
) -> None:
    refused(checkpoint, UsageError, message, **how)


def test_an_unknown_architecture_says_what_it_is(copy: Path) -> None:
    change_config(copy, model_type="martian")
    refused(copy, UnsupportedModel, "model_type 'martian'")


def test_remote_code_needs_leave(copy: Path) -> None:
    change_config(copy, model_type="martian", auto_map={"AutoConfig": "martian.Config"})
    (copy / "martian.py").write_text("raise SystemExit('this must not run')\n")
    refused(copy, UnsupportedModel, "pass trust_remote_code if you trust it")


def test_pickled_weights_are_not_opened(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"never unpickled")
    refused(copy, UnsupportedModel, r"pytorch_model\.bin.*safetensors")


def test_missing_weights_say_so(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    refused(copy, ModelNotFound, r"no \*\.safetensors")


def test_a_config_that_is_no_json_is_refused(copy: Path) -> None:
    (copy / "config.json").write_text("{broken")
    refused(copy, UnsupportedModel, "cannot be opened|config")


def edit_weights(folder: Path, **edits: torch.Tensor | None) -> str:
    """Replaces or drops the first tensor whose name ends so; returns that name."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    changed = ""
    for ending, value in edits.items():
        changed = next(name for name in weights if name.endswith(ending.replace("__", ".")))
        if value is None:
            del weights[changed]
        else:
            weights[changed] = weights[changed].clone()
            weights[changed].view(-1)[0] = value
    save_file(weights, path, metadata={"format": "pt"})
    return changed


@pytest.mark.parametrize(("value", "kind"), [(torch.nan, "NaN"), (torch.inf, "infinite")])
def test_non_finite_weights_name_the_first_parameter(copy: Path, value: float, kind: str) -> None:
    edit_weights(copy, layers__4__mlp__up_proj__weight=torch.tensor(value))
    refused(copy, ModelBroken, rf"{kind}.*layers\.4\.mlp\.up_proj\.weight")


def test_weights_whose_sum_overflows_are_not_called_broken(copy: Path) -> None:
    path = copy / "model.safetensors"
    weights = load_file(path)
    name = next(n for n in weights if n.endswith("position_embedding.weight"))
    # Finite in bfloat16, but their float32 sum is not; never used by this model at this size.
    weights[name] = weights[name].clone()
    weights[name][:, :] = 0
    weights[name][0, :2] = 3e38
    weights[name][0, 2:4] = -3e38
    save_file(weights, path, metadata={"format": "pt"})
    error = None
    with contextlib.suppress(LvlmAuditError):
        try:
            load(copy)
        except ModelBroken as broken:
            error = str(broken)
    # The weights are finite; the model's answers need not be, and may be refused for that.
    assert error is None or "hold" not in error


def test_missing_tensors_are_not_filled_with_random_numbers(copy: Path) -> None:
    edit_weights(copy, layers__2__mlp__up_proj__weight=None)
    refused(copy, ModelBroken, r"lacks 1 .*layers\.2\.mlp\.up_proj\.weight")


def test_a_checkpoint_without_processor_says_so(copy: Path) -> None:
    for name in ("processor_config.json", "preprocessor_config.json"):
        (copy / name).unlink(missing_ok=True)
    refused(copy, UnsupportedModel, "processor")


def test_a_hub_that_cannot_be_reached_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(*_: object, **__: object) -> None:
        try:
            raise LocalEntryNotFoundError("no network")
        except LocalEntryNotFoundError as error:
            raise OSError("We couldn't connect\nto the hub") from error

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", offline)
    with pytest.raises(ModelNotFound, match="could not be fetched.*local folder"):
        load("someone/model")
