"""Adapters over a base: what the lens reads is what peft itself computes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lvlm_audit import record
from lvlm_audit.errors import LvlmAuditError, ModelNotFound, UnsupportedModel, UsageError
from lvlm_audit.models.aliases import resolve
from lvlm_audit.models.identity import fingerprint, packages_of
from lvlm_audit.models.opening import load
from tests import tiny_models
from tests.reference import assert_as_generated

peft = pytest.importorskip("peft", reason="peft is not installed: adapters cannot be tried")

IDS = torch.tensor([[5, 40, 77, 21, 90, 13]])
LORA: dict[str, dict[str, Any]] = {
    "attention and mlp": {"target_modules": ["q_proj", "v_proj", "up_proj", "down_proj"]},
    "head": {"target_modules": ["q_proj", "lm_head"]},
    "embeddings": {"target_modules": ["q_proj", "embed_tokens"]},
    "head saved whole": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "projector and norms saved whole": {
        "target_modules": ["q_proj"],
        "modules_to_save": ["multi_modal_projector", "norm"],
    },
    "dora": {"target_modules": "all-linear", "use_dora": True},
    "dora on the head": {"target_modules": ["o_proj", "lm_head"], "use_dora": True},
    "rank-stabilised": {"target_modules": ["k_proj"], "use_rslora": True},
    "trained tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [7, 40]},
}


def config(name: str) -> Any:
    if name == "tuned norms":
        return peft.LNTuningConfig(target_modules=["norm", "input_layernorm"])
    if name == "ia3":
        return peft.IA3Config(
            target_modules=["k_proj", "down_proj", "lm_head"], feedforward_modules=["down_proj"]
        )
    return peft.LoraConfig(r=4, lora_alpha=8, **LORA[name])


def opened(base: Path) -> Any:
    from transformers import LlavaForConditionalGeneration

    return LlavaForConditionalGeneration.from_pretrained(base).eval()


def adapt(base: Path, kind: Any, folder: Path) -> Path:
    """An adapter whose every weight says something, saved by peft."""
    model = peft.get_peft_model(opened(base), kind)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_((0.1 * noise).to(parameter.dtype))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[bool, torch.dtype], Path]:
    return {
        (tied, dtype): tiny_models.save(
            tiny_models.llava(dtype=dtype, blocks=4, width=32, tied=tied),
            tmp_path_factory.mktemp("base"),
        )
        for tied in (False, True)
        for dtype in (torch.float32, torch.bfloat16)
    }


@pytest.fixture(scope="module")
def base(bases: dict[tuple[bool, torch.dtype], Path]) -> Path:
    return bases[False, torch.float32]


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapt(base, config("head"), tmp_path_factory.mktemp("adapter"))


@pytest.fixture
def copy(adapter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(adapter, tmp_path / "adapter"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", [*LORA, "tuned norms", "ia3"])
def test_an_adapted_model_computes_what_peft_computes(
    bases: dict[tuple[bool, torch.dtype], Path],
    name: str,
    tied: bool,
    dtype: torch.dtype,
    tmp_path: Path,
) -> None:
    base = bases[tied, dtype]
    folder = adapt(base, config(name), tmp_path)
    reference = peft.PeftModel.from_pretrained(opened(base), folder).eval()
    with torch.inference_mode():
        theirs = reference(input_ids=IDS, output_hidden_states=True)
        bare = opened(base)(input_ids=IDS).logits
    seen: dict[int, torch.Tensor] = {}
    with load(base, adapter=folder) as hooked, torch.inference_mode():
        with hooked.tapped(lambda j, state: seen.__setitem__(j, state.clone())):
            ours = hooked.model(input_ids=IDS).logits
        trace = record(hooked, tiny_models.probes(1), max_new_tokens=3)[0]
    changed = float((theirs.logits - bare).abs().max())
    assert changed > 0.3, "the adapter must change something for this test to say anything"
    for j in range(4):
        assert torch.equal(seen[j], theirs.hidden_states[j]), f"state {j}"
    # Merging the head rounds its weights to their dtype.
    room = {torch.float32: 2e-5, torch.bfloat16: 0.02}[dtype] * float(theirs.logits.abs().max())
    torch.testing.assert_close(ours, theirs.logits, rtol=0, atol=room)
    assert trace.tokens == 3


def test_the_lens_reads_the_adapted_head(base: Path, adapter: Path) -> None:
    reference = peft.PeftModel.from_pretrained(opened(base), adapter).eval()
    with load(base, adapter=adapter) as hooked:
        probes = tiny_models.probes(2)
        traces = record(hooked, probes, max_new_tokens=4)
        for probe, trace in zip(probes, traces, strict=True):
            assert_as_generated(reference, hooked.inputs([probe]), trace, 1e-5)


def test_an_adapter_by_the_names_of_older_releases_is_read(base: Path, copy: Path) -> None:
    path = copy / "adapter_model.safetensors"
    new, old = "base_model.model.", "base_model.model.language_model."
    renames = {f"{new}model.language_model.": f"{old}model.", f"{new}lm_head.": f"{old}lm_head."}

    def renamed(key: str) -> str:
        for today, then in renames.items():
            if key.startswith(today):
                return then + key.removeprefix(today)
        return key

    weights = {renamed(key): value for key, value in load_file(path).items()}
    assert sum(key.startswith(old) for key in weights) >= 10
    with load(base, adapter=copy) as hooked, torch.inference_mode():
        before = hooked.model(input_ids=IDS).logits
    save_file(weights, path, metadata={"format": "pt"})
    with load(base, adapter=copy) as hooked, torch.inference_mode():
        assert torch.equal(hooked.model(input_ids=IDS).logits, before)


def refused(message: str, kind: type[LvlmAuditError], *args: Any, **how: Any) -> None:
    with pytest.raises(kind, match=message) as caught:
        load(*args, **how)
    assert len(str(caught.value)) < 700
    assert "\n" not in str(caught.value)


def test_an_adapter_of_a_base_of_another_width_is_refused(adapter: Path, tmp_path: Path) -> None:
    other = tiny_models.save(tiny_models.llava(blocks=4, width=64), tmp_path)
    message = "trained on .* does not fit .*base that it was trained on"
    refused(message, UnsupportedModel, other, adapter=adapter)


def test_an_adapter_of_a_deeper_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    other = tiny_models.save(tiny_models.llava(blocks=3, width=32), tmp_path)
    message = r"does not fit .* belong to no layer of the base, .*layers\.3"
    refused(message, UnsupportedModel, other, adapter=adapter)


def test_an_adapter_of_a_shallower_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    other = tiny_models.save(tiny_models.llava(blocks=5, width=32), tmp_path)
    refused(r"does not fit .* missing in it, .*layers\.4", UnsupportedModel, other, adapter=adapter)


def test_an_adapter_of_other_layers_is_refused(base: Path, copy: Path) -> None:
    path = copy / "adapter_config.json"
    kind = json.loads(path.read_text())
    path.write_text(json.dumps({**kind, "target_modules": ["martian_proj"]}))
    refused("does not fit", UnsupportedModel, base, adapter=copy)


def test_made_up_positions_are_refused(base: Path, tmp_path: Path) -> None:
    kind = peft.PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=3, token_dim=32, num_layers=4, num_attention_heads=4
    )  # fmt: skip
    kind.save_pretrained(tmp_path)
    save_file({"prompt_embeddings": torch.zeros(3, 32)}, tmp_path / "adapter_model.safetensors")
    refused("PROMPT_TUNING, which puts made-up positions", UnsupportedModel, base, adapter=tmp_path)


def test_pickled_adapters_are_not_opened(base: Path, copy: Path) -> None:
    (copy / "adapter_model.safetensors").unlink()
    (copy / "adapter_model.bin").write_bytes(b"never unpickled")
    message = r"pickled weights \('adapter_model\.bin'\).*save_file"
    refused(message, UnsupportedModel, base, adapter=copy)


@pytest.mark.parametrize(
    ("name", "message"),
    [("adapter_model.safetensors", "no adapter_model.safetensors"), ("adapter_config.json", "not an adapter")],
)  # fmt: skip
def test_half_an_adapter_says_what_is_missing(
    base: Path, copy: Path, name: str, message: str
) -> None:
    (copy / name).unlink()
    refused(message, ModelNotFound, base, adapter=copy)


def test_a_missing_adapter_folder_is_named(base: Path, tmp_path: Path) -> None:
    refused("no adapter folder .*nowhere", ModelNotFound, base, adapter=tmp_path / "nowhere")


def test_without_peft_the_extra_is_named(
    base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    refused(r'pip install "lvlm-audit\[peft\]"', UsageError, base, adapter=adapter)


def test_a_folder_that_is_an_adapter_stands_for_its_base_with_it(base: Path, adapter: Path) -> None:
    found = resolve(str(adapter))
    assert (found.path, found.adapter, found.name) == (base, adapter, str(adapter))
    with load(adapter) as one, load(base, adapter=adapter) as two, torch.inference_mode():
        assert torch.equal(one.model(input_ids=IDS).logits, two.model(input_ids=IDS).logits)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (None, "does not name its base. Give both: model BASE adapter"),
        ("someone/base", "is not on this machine. To fetch it, give both: model someone/base"),
        ("/no/such/folder", "cannot be used from here"),
    ],
)  # fmt: skip
def test_an_adapter_whose_base_is_not_here_says_what_to_give(
    copy: Path, named: str | None, message: str
) -> None:
    path = copy / "adapter_config.json"
    kind = {**json.loads(path.read_text()), "base_model_name_or_path": named}
    path.write_text(json.dumps(kind))
    refused(message, ModelNotFound, copy)


def test_a_folder_of_both_is_refused(base: Path, adapter: Path, tmp_path: Path) -> None:
    both = Path(shutil.copytree(base, tmp_path / "both"))
    shutil.copy(adapter / "adapter_config.json", both)
    refused("holds a model .* and an adapter", UsageError, both)


def test_the_content_key_holds_the_adapter(
    base: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))

    def key(adapter: Path | None) -> str:
        return fingerprint(resolve(str(base), adapter=adapter))

    bare, adapted = key(None), key(copy)
    assert bare != adapted == key(copy)
    path = copy / "adapter_model.safetensors"
    weights = load_file(path)
    first = next(iter(weights))
    save_file({**weights, first: weights[first] + 1}, path, metadata={"format": "pt"})
    assert key(copy) not in (bare, adapted)
    assert packages_of(resolve(str(base), adapter=copy)) == ("peft",)
    assert packages_of(resolve(str(base))) == ()
