"""Chat templates: which one asks, what is said where none does, and templates that do not end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit import load
from lvlm_audit.auditing.run import audit_model
from lvlm_audit.errors import LvlmAuditError, UnsupportedModel
from lvlm_audit.models.doctor import diagnose
from lvlm_audit.models.rendering import SECONDS
from lvlm_audit.settings.audit import Settings
from lvlm_audit.spec.suite import suite
from tests import tiny_models
from tests.models.checkpoints import copied, setting, whole
from tests.models.test_adapter_files import OTHER, asked

TEXT_ALONE = "{% for m in messages %}USER: {{ m['content'] }}{% endfor %}ASSISTANT:"


def bare(tmp_path: Path, lent: Any = None) -> Path:
    """A checkpoint whose processor has no template, but perhaps its tokenizer."""
    folder = copied(tmp_path)
    (folder / "chat_template.jinja").unlink()
    return setting(folder, "chat_template", lent, "tokenizer_config.json")


def written(tmp_path: Path, template: str) -> Path:
    folder = copied(tmp_path)
    (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.mark.parametrize("lent", [OTHER, [{"name": "default", "template": OTHER}]])
def test_a_template_of_the_tokenizer_alone_is_used(lent: Any, tmp_path: Path) -> None:
    with load(bare(tmp_path, lent)) as hooked:
        assert asked(hooked) == "NEW Is it a tree?"
        assert [note.text for note in hooked.notes] == [
            "the processor has no chat template: its tokenizer's is used"
        ]


@pytest.mark.parametrize(
    ("lent", "why"),
    [
        (None, "neither the processor nor its tokenizer has one"),
        (
            TEXT_ALONE,
            "the processor has none, and its tokenizer's takes text alone, without an image",
        ),
    ],
)
def test_without_one_it_is_said(lent: str | None, why: str, tmp_path: Path) -> None:
    with load(bare(tmp_path, lent)) as hooked:
        assert asked(hooked) == "\nIs it a tree?"
        text = f"asked without a chat template ({why})"
        assert [(note.about, note.text) for note in hooked.notes] == [("processor", text)]
        assert ("processor", text) in diagnose(hooked)


def test_an_audit_says_that_it_asked_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    folder = bare(tmp_path)
    settings = Settings(model=str(folder), max_new_tokens=2)
    for _ in range(2):
        audit = audit_model(suite(), settings).document()
        assert any("asked without a chat template" in note.text for note in audit.notes)


@pytest.mark.parametrize(
    "template",
    [
        TEXT_ALONE,
        TEXT_ALONE.replace("m['content']", "m['content'] + ' '"),
        TEXT_ALONE.replace("m['content']", "m['content'].strip()"),
        TEXT_ALONE.replace("m['content']", "m['content'] | trim"),
    ],
)
def test_a_template_for_text_alone_says_that_it_is_one(template: str, tmp_path: Path) -> None:
    with pytest.raises(
        LvlmAuditError, match=r"made for text alone.*one string.*chat_template\.jinja"
    ):
        load(written(tmp_path, template))


def test_a_template_with_an_error_says_which(tmp_path: Path) -> None:
    with pytest.raises(LvlmAuditError, match=r"cannot be rendered: .*endfor"):
        load(written(tmp_path, "{% for m in messages %}USER:"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "does not end"),
        ("{{ 'a' * 10**10 }}", "1024 MiB of memory"),
        (
            "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
            "does not end|1024 MiB of memory",
        ),
        ("{{ 'a' * 10**6 }}", "writes 1,000,000 characters"),
        ("a" * 2_000_000, "has 2,000,000 characters"),
    ],
)  # fmt: skip
def test_a_template_without_end_is_stopped(template: str, message: str, tmp_path: Path) -> None:
    folder = written(tmp_path, template)
    with pytest.raises(UnsupportedModel, match=f"chat template of .* ({message})"):
        load(folder)


def test_so_is_one_of_a_decoder_without_eyes(tmp_path: Path) -> None:
    model, words = tiny_models.text_only("llama")
    words.chat_template = (
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    )
    tiny_models.save((model, words), tmp_path)
    before = time.process_time()
    with pytest.raises(UnsupportedModel, match="does not end"):
        load(tmp_path)
    # What is stopped computes elsewhere.
    assert time.process_time() - before < 20 * SECONDS


def test_an_ordinary_template_is_no_news() -> None:
    with load(whole()) as hooked:
        assert asked(hooked).startswith("USER: ")
        assert hooked.notes == ()
