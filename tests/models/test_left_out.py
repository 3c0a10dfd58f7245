"""What a checkpoint holds and the model does not take: refused where the decoder used it, else said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lvlm_audit import load
from lvlm_audit.cli import main
from lvlm_audit.errors import ModelBroken, UnsupportedModel
from lvlm_audit.models.hooked import HookedModel
from tests import tiny_models
from tests.models.checkpoints import changed, copied, setting, whole, with_tensors

DECODER = "model.language_model."


def told(hooked: HookedModel) -> list[str]:
    return [note.text for note in hooked.notes if note.about == "model"]


def test_an_ordinary_checkpoint_leaves_nothing_out() -> None:
    with load(whole()) as hooked:
        assert hooked.notes == ()


@pytest.mark.parametrize(
    "name",
    [
        f"{DECODER}layers.3.mlp.up_proj.weight",
        f"{DECODER}layers.0.self_attn.q_proj.bias",
        f"{DECODER}norm.bias",
        "lm_head.bias",
        f"{DECODER}layers.0.self_attn.q_proj.weight_scale_inv",
        "language_model.model.layers.9.mlp.up_proj.weight",
    ],
)
def test_a_tensor_of_the_decoder_is_not_left_out(name: str, tmp_path: Path) -> None:
    folder = with_tensors(copied(tmp_path), name)
    with pytest.raises(ModelBroken, match=r"1 tensor of the decoder .*3 blocks.*would be left out"):
        load(folder)


@pytest.mark.parametrize(
    "name",
    [
        f"{DECODER}layers.0.self_attn.q_proj.lora_A.weight",
        f"{DECODER}layers.0.self_attn.q_proj.lora_B.default.weight",
        f"{DECODER}layers.0.self_attn.q_proj.lora_magnitude_vector",
        f"{DECODER}layers.0.self_attn.k_proj.ia3_l.default",
        "model.multi_modal_projector.modules_to_save.default.linear_1.weight",
        f"{DECODER}embed_tokens.token_adapter.trainable_tokens_delta.default",
    ],
)
def test_weights_of_an_adapter_are_not_left_out(name: str, tmp_path: Path) -> None:
    folder = with_tensors(copied(tmp_path), name)
    with pytest.raises(UnsupportedModel, match=r"1 tensor of an adapter, first .*merge_and_unload"):
        load(folder)


def test_a_model_saved_as_peft_holds_it_is_called_so(tmp_path: Path) -> None:
    def wrap(weights: dict[str, torch.Tensor]) -> None:
        for name in [n for n in weights if "q_proj" in n]:
            weights[name.replace(".weight", ".base_layer.weight")] = weights.pop(name)

    with pytest.raises(UnsupportedModel, match="tensors of an adapter"):
        load(changed(copied(tmp_path), wrap))


@pytest.mark.parametrize(
    "name",
    [
        "model.vision_tower.head.weight",
        "model.vision_tower.encoder.layers.7.mlp.fc1.weight",
        "model.multi_modal_projector.linear_3.weight",
        "mtp.layers.0.weight",
        "value_head.weight",
    ],
)
def test_what_else_has_no_place_is_said(name: str, tmp_path: Path) -> None:
    with load(with_tensors(copied(tmp_path), name)) as hooked:
        assert told(hooked) == [f"left out: 1 tensor (no place in the model): {name}"]


def test_buffers_that_older_releases_saved_are_no_news(tmp_path: Path) -> None:
    names = [f"{DECODER}layers.{i}.self_attn.rotary_emb.inv_freq" for i in range(3)]
    with load(with_tensors(copied(tmp_path), *names)) as hooked:
        assert hooked.notes == ()


def test_heads_that_predict_ahead_are_said_and_deeper_blocks_refused(tmp_path: Path) -> None:
    folder = setting(copied(tmp_path), "text_config.num_nextn_predict_layers", 1)
    with load(with_tensors(folder, f"{DECODER}layers.3.eh_proj.weight")) as hooked:
        assert told(hooked) == [
            f"left out: 1 tensor (no place in the model): {DECODER}layers.3.eh_proj.weight"
        ]
    with pytest.raises(ModelBroken, match=r"layers\.4\.eh_proj"):
        load(with_tensors(folder, f"{DECODER}layers.4.eh_proj.weight"))


def test_what_transformers_skips_for_a_family_is_said(tmp_path: Path) -> None:
    few = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    groups = {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 1}
    folder = tiny_models.save(tiny_models.text_only("glm4_moe", **few, **groups), tmp_path)
    with_tensors(folder, "model.layers.46.eh_proj.weight")
    with load(folder) as hooked:
        skipped = "left out: 1 tensor (skipped by transformers for this family): "
        assert told(hooked) == [f"{skipped}model.layers.46.eh_proj.weight"]


@pytest.mark.parametrize("equal", [True, False])
def test_two_matrices_where_one_is_configured_are_said(equal: bool, tmp_path: Path) -> None:
    folder = tiny_models.save(tiny_models.llava(tied=True, blocks=3, width=32), tmp_path)
    weights = load_file(folder / "model.safetensors")
    same = next(value for name, value in weights.items() if name.endswith("embed_tokens.weight"))
    changed(
        folder, lambda held: held.update({"lm_head.weight": same.clone() if equal else same + 1})
    )
    with load(folder) as hooked:
        assert hooked.anatomy.tied is equal
        assert [text[:30] for text in told(hooked)] == (
            [] if equal else ["config.json ties lm_head.weigh"]
        )


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("consolidated.safetensors", True),
        ("model-00002-of-00002.safetensors", True),
        ("mm_projector.bin", True),
        ("pytorch_model.bin", False),
        ("optimizer.pt", False),
        ("training_args.bin", False),
    ],
)
def test_weights_beside_those_that_are_read_are_said(file: str, said: bool, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    shutil.copy(folder / "model.safetensors", folder / file)
    with load(folder) as hooked:
        expected = [f"left out: 1 file (beside the weights that are read): {file}"] if said else []
        assert told(hooked) == expected


def test_an_adapter_without_its_configuration_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    shutil.copy(folder / "model.safetensors", folder / "adapter_model.safetensors")
    with pytest.raises(UnsupportedModel, match=r"without adapter_config\.json"):
        load(folder)


def test_doctor_says_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = with_tensors(copied(tmp_path), "value_head.weight")
    assert main(["doctor", str(folder)]) == 0
    assert "left out: 1 tensor" in " ".join(capsys.readouterr().out.split())
