"""Loading runs no code of a checkpoint's unless told so, from whichever file it is named."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit import record
from lvlm_audit.errors import LvlmAuditError, UnsupportedModel
from lvlm_audit.models.opening import load
from tests import tiny_models

CLASSES = {
    "AutoConfig": "Config",
    "AutoModelForImageTextToText": "Model",
    "AutoModelForCausalLM": "Model",
    "AutoProcessor": "Processor",
    "AutoTokenizer": ["Tokenizer", "Tokenizer"],
    "AutoImageProcessor": "Images",
    "AutoVideoProcessor": "Videos",
}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


@pytest.fixture
def hostile(tmp_path: Path, marker: Path) -> Path:
    """Every file in which transformers looks for code names code that leaves a mark when it runs."""
    folder = tmp_path / "hostile"
    tiny_models.save(tiny_models.llava(blocks=3, width=32), folder)
    code = f"from pathlib import Path\nPath({str(marker)!r}).write_text('ran')\n"
    kinds = ("Config", "Model", "Processor", "Tokenizer", "Images", "Videos")
    classes = "".join(f"class {kind}:\n    pass\n" for kind in kinds)
    (folder / "evil.py").write_text(code + classes)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(
        code + "def generate(*args, **kwargs):\n    raise SystemExit\n"
    )
    mapped = {
        auto: [f"evil.{n}" for n in name] if isinstance(name, list) else f"evil.{name}"
        for auto, name in CLASSES.items()
    }
    for name in (
        "config.json", "processor_config.json", "preprocessor_config.json", "tokenizer_config.json",
        "video_preprocessor_config.json", "generation_config.json",
    ):  # fmt: skip
        edit(folder / name, auto_map=mapped, custom_generate="custom_generate/generate.py")
    return folder


def edit(path: Path, **values: Any) -> None:
    before = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**before, **values}))


def test_a_known_architecture_is_opened_without_its_code(hostile: Path, marker: Path) -> None:
    with contextlib.suppress(LvlmAuditError), load(hostile) as hooked:
        record(hooked, tiny_models.probes(1), max_new_tokens=2)
    assert not marker.exists()


@pytest.mark.parametrize("model_type", ["martian", "llama", "clip"])
def test_another_architecture_does_not_run_it(hostile: Path, marker: Path, model_type: str) -> None:
    edit(hostile / "config.json", model_type=model_type, architectures=["Model"])
    with pytest.raises(LvlmAuditError):
        load(hostile)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["processor_config.json", "tokenizer_config.json"])
def test_a_class_that_is_not_transformers_does_not_run_it(
    hostile: Path, marker: Path, name: str
) -> None:
    edit(hostile / name, processor_class="Processor", tokenizer_class="Tokenizer")
    with contextlib.suppress(LvlmAuditError), load(hostile) as hooked:
        record(hooked, tiny_models.probes(1), max_new_tokens=2)
    assert not marker.exists()


def test_a_chat_template_reaches_nothing(hostile: Path, marker: Path) -> None:
    (hostile / "chat_template.jinja").write_text(
        "{{ cycler.__init__.__globals__.os.system('touch " + str(marker) + "') }}<image>"
    )
    with pytest.raises(LvlmAuditError):
        load(hostile)
    assert not marker.exists()


def test_an_adapter_does_not_run_it(hostile: Path, marker: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = tiny_models.save(tiny_models.llava(blocks=3, width=32), tmp_path / "base")
    from transformers import LlavaForConditionalGeneration

    kind = peft.LoraConfig(r=2, target_modules=["q_proj"])
    peft.get_peft_model(LlavaForConditionalGeneration.from_pretrained(base), kind).save_pretrained(
        tmp_path / "adapter"
    )
    (tmp_path / "adapter" / "evil.py").write_text((hostile / "evil.py").read_text())
    edit(
        tmp_path / "adapter" / "adapter_config.json",
        auto_mapping={"base_model_class": "Model", "parent_library": "evil"},
        auto_map={"AutoModel": "evil.Model"},
    )
    with contextlib.suppress(LvlmAuditError):
        load(base, adapter=tmp_path / "adapter")
    assert not marker.exists()


KERNEL = "someone/kernel"


@pytest.mark.parametrize(
    "values",
    [
        {"attn_implementation": KERNEL},
        {"attn_implementation": f"{KERNEL}@main:forward"},
        {"attn_implementation": f"paged|{KERNEL}"},
        {"_attn_implementation": KERNEL},
        {"attn_implementation": {"": "sdpa", "text_config": KERNEL}},
        {"experts_implementation": KERNEL},
        {"text_config": {"model_type": "llama", "attn_implementation": KERNEL}},
        {"vision_config": {"model_type": "clip_vision_model", "_attn_implementation": KERNEL}},
        {"vision_config": {"model_type": "timm_wrapper", "architecture": "hf-hub:someone/eye"}},
        {"backbone_config": {"model_type": "timm_backbone", "backbone": "local-dir:/elsewhere"}},
        {"parts": [{"deeper": {"attn_implementation": KERNEL}}]},
    ],
    ids=lambda values: json.dumps(values)[:60],
)
def test_a_kernel_of_a_hub_is_not_fetched(
    hostile: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    from transformers.integrations import hub_kernels

    fetched: list[str] = []
    for name in ("load_and_register_attn_kernel", "get_kernel"):
        monkeypatch.setattr(hub_kernels, name, lambda *a, **k: fetched.append(str(a)))
    edit(hostile / "config.json", **values)
    with pytest.raises(UnsupportedModel, match=r"fetched from elsewhere.*trust_remote_code=True"):
        load(hostile)
    assert fetched == []


@pytest.mark.parametrize("value", ["sdpa", "eager", {"text_config": "eager"}])
def test_names_of_transformers_own_attention_are_opened(tmp_path: Path, value: Any) -> None:
    folder = tiny_models.save(tiny_models.llava(blocks=3, width=32), tmp_path)
    edit(folder / "config.json", attn_implementation=value)
    load(folder).close()


def test_code_of_another_repository_is_not_fetched(
    hostile: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto_map` as save_pretrained() of a fine-tuned model writes it: "owner/name--module.Class"."""
    import transformers.dynamic_module_utils as dynamic

    asked: list[str] = []
    real = dynamic.cached_file

    def watched(place: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(str(place))
        return real(place, *args, **kwargs)

    monkeypatch.setattr(dynamic, "cached_file", watched)
    there = "someone/else--evil."
    mapped = {
        auto: [f"{there}{n}" for n in name] if isinstance(name, list) else f"{there}{name}"
        for auto, name in CLASSES.items()
    }
    for name in (
        "config.json",
        "processor_config.json",
        "tokenizer_config.json",
        "preprocessor_config.json",
    ):
        edit(hostile / name, auto_map=mapped)
    for model_type in ("llava", "martian"):
        edit(hostile / "config.json", model_type=model_type)
        with contextlib.suppress(LvlmAuditError), load(hostile) as hooked:
            record(hooked, tiny_models.probes(1), max_new_tokens=2)
    assert "someone/else" not in asked
    assert not marker.exists()


def test_with_leave_it_runs(hostile: Path, marker: Path) -> None:
    # The counterpart: these files do name code that transformers would run.
    edit(hostile / "config.json", model_type="martian")
    with contextlib.suppress(Exception):
        load(hostile, trust_remote_code=True)
    assert marker.exists()
