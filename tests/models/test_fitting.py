"""Prompts that a model cannot take are refused before it runs; what is masked is made to fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lvlm_audit import Probe, load, record
from lvlm_audit.errors import LvlmAuditError, ProbesFailed
from lvlm_audit.models.hooked import HookedModel
from tests import tiny_models
from tests.models.checkpoints import copied, whole


def with_token(tmp_path: Path, **named: str) -> Path:
    """A checkpoint whose tokenizer has one token more than the model has embeddings."""
    from transformers import AutoProcessor

    folder = copied(tmp_path)
    processor = AutoProcessor.from_pretrained(folder)
    processor.tokenizer.add_special_tokens(named or {"additional_special_tokens": ["<new>"]})
    processor.save_pretrained(folder)
    return folder


def answers(hooked: HookedModel) -> list[list[int]]:
    probes = tiny_models.probes(3)
    return [list(t.token_ids) for t in record(hooked, probes, max_new_tokens=4, batch_size=3)]


def test_padding_beyond_the_embeddings_changes_nothing(tmp_path: Path) -> None:
    with load(with_token(tmp_path, pad_token="[PAD]")) as hooked, load(whole()) as plain:
        assert hooked.tokenizer.pad_token_id == 384 == hooked.vocabulary
        lengths = hooked.inputs(tiny_models.probes(3))["attention_mask"].sum(dim=1)
        assert len(set(lengths.tolist())) > 1, "without padding this test says nothing"
        assert answers(hooked) == answers(plain)
        (note,) = hooked.notes
        assert "beyond the model's 384 embeddings (1 in all): '[PAD]' (384)" in note.text


@pytest.mark.parametrize("word", ["<new>", "[PAD]"])
def test_a_prompt_that_uses_such_a_token_is_named(word: str, tmp_path: Path) -> None:
    folder = with_token(tmp_path, **({"pad_token": word} if word == "[PAD]" else {}))
    with load(folder) as hooked:
        fine = tiny_models.probes(1)[0]
        probe = Probe("odd", f"Say {word} now.", tiny_models.picture(), cluster="odd")
        with pytest.raises(ProbesFailed) as caught:
            record(hooked, [fine, probe], max_new_tokens=2)
        said = str(caught.value)
        assert (
            f"probe 'odd': its prompt 'Say {word} now.' holds the token '{word}' (id 384)" in said
        )
        assert "it has 384" in said
        assert len(caught.value.traces) == 1


@pytest.mark.parametrize("images", [True, False])
def test_a_prompt_longer_than_the_model_is_refused_before_it_runs(images: bool) -> None:
    with load(whole()) as hooked:
        ran: list[Any] = []
        hooked.model.register_forward_pre_hook(lambda *args: ran.append(args))
        image = tiny_models.picture() if images else None
        probe = Probe("long", "word " * 25_000, image, cluster="long")
        with pytest.raises(
            LvlmAuditError, match=r"'long': its prompt has 100,0\d\d tokens, but .* 512 positions"
        ):
            record(hooked, [probe], max_new_tokens=2)
        assert not ran


def test_a_prepared_prompt_is_bounded_too() -> None:
    with load(whole()) as hooked:
        probe = tiny_models.prepared((5,) * 513)
        with pytest.raises(LvlmAuditError, match=r"513 tokens, but .* 512 positions"):
            record(hooked, [probe], max_new_tokens=1)
        with pytest.raises(LvlmAuditError, match=r"'prepared': .*\(id 999\)"):
            record(hooked, [tiny_models.prepared((5, 999, 6))], max_new_tokens=1)


def test_stretched_positions_are_counted(tmp_path: Path) -> None:
    from tests.models.checkpoints import setting

    folder = copied(tmp_path)
    stretch = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    setting(folder, "text_config.rope_parameters", stretch)
    with load(folder) as hooked:
        assert record(hooked, [tiny_models.prepared((5,) * 600)], max_new_tokens=1)[0].tokens == 1
        with pytest.raises(LvlmAuditError, match="1,025 tokens, but .* 1,024 positions"):
            record(hooked, [tiny_models.prepared((5,) * 1025)], max_new_tokens=1)
