"""Damaged and contradictory files of a checkpoint: one message with file, field, value and what to do."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit import load
from lvlm_audit.cli import main
from lvlm_audit.errors import LvlmAuditError
from tests import tiny_models
from tests.models.checkpoints import copied, setting

JSON = (
    "config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "generation_config.json",
)
DEEP = {"list": "[" * 100_000 + "]" * 100_000, "object": '{"a":' * 100_000 + "1" + "}" * 100_000}


def refused(folder: Path, message: str) -> str:
    with pytest.raises(LvlmAuditError, match=message) as caught:
        load(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 700
    return said


@pytest.mark.parametrize("file", JSON)
@pytest.mark.parametrize("kind", DEEP)
def test_json_without_bottom_is_named(file: str, kind: str, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / file).write_text(DEEP[kind])
    refused(folder, f"its '{file}' is nested deeper than any real file")


@pytest.mark.parametrize("file", JSON)
@pytest.mark.parametrize(
    ("held", "what"),
    [("[1, 2]", "holds a list"), ("null", "holds a NoneType"), ("{,", "is no JSON")],
)
def test_json_that_is_no_object_is_named(file: str, held: str, what: str, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / file).write_text(held)
    refused(folder, f"its '{file}' {what}")


def test_the_command_line_prints_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(tmp_path)
    (folder / "config.json").write_text(DEEP["list"])
    assert main(["doctor", str(folder)]) == 1
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    assert "nested deeper" in " ".join(told.err.split())


@pytest.mark.parametrize("value", [["x", None, -7], "x", [None], 1.5, -7, [True]])
def test_ends_that_are_no_tokens_are_named(value: Any, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    refused(setting(folder, "eos_token_id", value, "generation_config.json"), "eos_token_id")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("text_config.hidden_size", "32", r"text_config\.hidden_size = '32'.*expected int"),
        ("text_config.hidden_size", None, r"text_config\.hidden_size = null"),
        ("text_config.num_hidden_layers", 2.5, r"text_config\.num_hidden_layers = 2\.5"),
        ("text_config.num_hidden_layers", -1, r"declares -1 decoder blocks"),
        ("vision_config.num_hidden_layers", "two", r"vision_config\.num_hidden_layers = 'two'"),
        ("text_config.num_attention_heads", 0, r"text_config\.num_attention_heads = 0"),
        ("text_config.num_attention_heads", 5, r"\(32\) is not a multiple of .* \(5\)"),
        ("text_config.hidden_act", "martian", r"text_config\.hidden_act = 'martian'"),
        ("text_config.rope_parameters", "x", r"text_config\.rope_parameters = 'x'"),
        ("vision_config.patch_size", None, r"vision_config\.patch_size = null"),
        (
            "vision_feature_layer",
            99,
            r"vision_feature_layer = 99, but its vision tower has 2 layers",
        ),
        ("text_config", [1], r"text_config = \[1\]"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(
    path: str, value: Any, message: str, tmp_path: Path
) -> None:
    refused(setting(copied(tmp_path), path, value), message)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "text_config.intermediate_size",
            80,
            r"the file holds 32 x 64, the configuration wants 32 x 80",
        ),
        (
            "text_config.vocab_size",
            400,
            r"the file holds 384 x 32, the configuration wants 400 x 32",
        ),
        (
            "vision_config.patch_size",
            7,
            r"the file holds .* the configuration wants 32 x 3 x 7 x 7",
        ),
    ],
)
def test_weights_of_another_shape_name_both(
    path: str, value: int, message: str, tmp_path: Path
) -> None:
    refused(setting(copied(tmp_path), path, value), message)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("text_config.num_hidden_layers", 10**9, r"= 1000000000, but its weights hold \d+ tensors"),
        ("vision_config.num_hidden_layers", 10**9, r"vision_config.*= 1000000000"),
        ("text_config.num_hidden_layers", 10**400, r"= 10+ \.\.\., but"),
        (
            "text_config.vocab_size",
            10**9,
            r"64,0\d\d,\d\d\d,\d\d\d parameters, but its weights hold",
        ),
        ("text_config", None, r"a model of [67],\d+,\d+,\d+ parameters, but its weights hold"),
    ],
)
def test_what_cannot_be_is_refused_before_memory_is_taken(
    path: str, value: Any, message: str, tmp_path: Path
) -> None:
    folder = setting(copied(tmp_path), path, value)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    refused(folder, message)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 500_000, "kilobytes"
    assert time.process_time() - started < 30


@pytest.mark.parametrize("value", [40, 9999, -5])
def test_another_token_for_the_image_names_both(value: int, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    for key in ("image_token_index", "image_token_id"):
        setting(folder, key, value)
    refused(folder, rf"image's token is {value} .*the processor writes 3 \('<image>'\), 4 times")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("patch_size", None, r"processor_config\.json says patch_size = null"),
        ("patch_size", 7, r"16 image tokens .*patch_size = 7.* patch_size = 14"),
        ("vision_feature_select_strategy", None, r"vision_feature_select_strategy = null"),
    ],
)
def test_a_processor_that_counts_otherwise_says_by_what(
    key: str, value: Any, message: str, tmp_path: Path
) -> None:
    refused(setting(copied(tmp_path), key, value, "processor_config.json"), message)


def test_a_missing_tokenizer_is_called_so(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    refused(folder, r"there is no tokenizer \(tokenizer\.json, .*tokenizer\.save_pretrained")


def test_so_is_that_of_a_decoder_without_eyes(tmp_path: Path) -> None:
    tiny_models.text_only("llama")[0].save_pretrained(tmp_path)
    refused(tmp_path, r"there is no tokenizer \(tokenizer\.json")
