"""Decoders without eyes: opened with their tokenizer, asked without images, and said to be so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lvlm_audit import record
from lvlm_audit.auditing.calibrate import calibrate
from lvlm_audit.auditing.run import audit_model
from lvlm_audit.auditing.subject import without_eyes
from lvlm_audit.errors import ModelNotFound, UnsupportedModel, UsageError
from lvlm_audit.models.aliases import resolve
from lvlm_audit.models.opening import load
from lvlm_audit.probes.probe import Probe
from lvlm_audit.settings.audit import Settings
from lvlm_audit.spec.suite import suite
from tests import tiny_models
from tests.reference import assert_as_generated


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save(tiny_models.text_only("llama"), tmp_path_factory.mktemp("llm"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("kind", ["llama", "gemma2", "cohere", "granite", "qwen2", "gpt2"])
def test_a_decoder_is_read_as_transformers_generates(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, words = tiny_models.text_only(kind)
    tiny_models.save((model, words), tmp_path)
    probe = Probe("a", "How many dogs are there?", None, cluster="a")
    with load(tmp_path) as hooked:
        assert type(hooked.model).__name__.endswith(("ForCausalLM", "LMHeadModel"))
        assert [proof.asked for proof in hooked.proofs] == ["text"]
        trace = record(hooked, [probe], max_new_tokens=4)[0]
    inputs = words(probe.prompt, return_tensors="pt", return_token_type_ids=False)
    assert_as_generated(AutoModelForCausalLM.from_pretrained(tmp_path), inputs, trace, 1e-5)


def test_its_chat_template_is_used(tmp_path: Path) -> None:
    model, words = tiny_models.text_only("llama")
    words.chat_template = "{% for m in messages %}USER: {{ m['content'] }} ASSISTANT:{% endfor %}"
    tiny_models.save((model, words), tmp_path)
    with load(tmp_path) as hooked:
        inputs = hooked.inputs([Probe("a", "Is it a tree?", None, cluster="a")])
    assert words.decode(inputs["input_ids"][0]) == "USER: Is it a tree? ASSISTANT:"


def test_an_audit_asks_without_images_and_says_so(folder: Path) -> None:
    judged = audit_model(suite(), Settings(model=str(folder), max_new_tokens=4))
    audit = judged.document()
    assert audit.subject.control == "text-only"
    assert audit.subject.control_note.startswith(
        "This checkpoint is a language model without image"
    )
    asked = [probe.prompt for probe in judged.probes]
    assert len(asked) == len(set(asked)) > 20
    assert all(probe.image is None for probe in judged.probes)
    verdicts = {finding.check: finding.verdict for finding in audit.findings}
    for check in ("image_matters", "image_informs", "image_kept"):
        assert verdicts[check] == "not applicable"
    assert verdicts["answer_forms"] != "not applicable"


def test_a_vision_model_is_still_asked_with_images(tmp_path: Path) -> None:
    folder = tiny_models.save(tiny_models.llava(blocks=3, width=32), tmp_path)
    settings = Settings(model=str(folder), control="blank-image", compare_llm=False)
    assert without_eyes(settings, resolve(str(folder))) is False
    # Nor is one that lost its processor taken for a language model: opening it says what is missing.
    for name in ("processor_config.json", "preprocessor_config.json"):
        (folder / name).unlink(missing_ok=True)
    assert without_eyes(settings, resolve(str(folder))) is False


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"control": "blank-image"}, "control='blank-image'"),
        ({"control": "swapped-image"}, "control='swapped-image'"),
        ({"compare_llm": True}, "compare_llm"),
        ({"answers": "reference"}, "answers='reference'"),
    ],
)
def test_what_needs_images_is_refused(folder: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=f"without image input.*{named} needs them"):
        audit_model(suite(), Settings(model=str(folder), **options))


def test_text_only_may_be_said(folder: Path) -> None:
    settings = Settings(model=str(folder), max_new_tokens=2, control="text-only")
    assert audit_model(suite(), settings).document().subject.control == "text-only"


def test_calibration_asks_without_images_too(folder: Path) -> None:
    found = calibrate(suite(), Settings(model=str(folder), max_new_tokens=2), rounds=2)
    assert found.floors


def test_images_are_never_dropped_in_silence(folder: Path) -> None:
    with load(folder) as hooked, pytest.raises(UnsupportedModel, match="control='text-only'"):
        record(hooked, tiny_models.probes(1), max_new_tokens=2)


def test_without_tokenizer_it_says_so(tmp_path: Path) -> None:
    tiny_models.text_only("llama")[0].save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModel, match="tokenizer"):
        load(tmp_path)


def test_an_adapter_and_a_revision_belong_to_a_model(tmp_path: Path) -> None:
    for options in ({"adapter": tmp_path}, {"revision": "main"}):
        with pytest.raises(UsageError, match="name it with model"):
            Settings(**options)
    with pytest.raises(ModelNotFound, match="no readable adapter_config.json"):
        audit_model(suite(), Settings(model=str(tmp_path), adapter=tmp_path))
