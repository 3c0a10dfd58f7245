"""A given answer as tokens: what comes back is what was given, or an error that names the probe."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lvlm_audit
from lvlm_audit.errors import ProbesFailed, RecordingError, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.traces.alignment import answer_ids
from tests import tiny_models

LLAVA = hook(*tiny_models.llava())
(PROBE,) = tiny_models.probes(1)


def test_a_text_and_its_ids_give_the_same_trace() -> None:
    ids = answer_ids(LLAVA, PROBE, "A red circle.")
    assert LLAVA.tokenizer.decode(ids) == " A red circle."
    by_text, by_ids, own = (
        lvlm_audit.traces.replay(LLAVA, [PROBE], answers)[0]
        for answers in (["A red circle."], [ids], None)
    )
    assert by_text.answer == by_ids.answer == own.answer == " A red circle."
    assert (by_text.probability == by_ids.probability).all()
    assert (own.probability == by_ids.probability).all()
    assert own.given


@given(st.text(min_size=1, max_size=30).filter(lambda t: t.strip()))
def test_a_text_comes_back_or_is_refused(text: str) -> None:
    if any(special in text for special in LLAVA.tokenizer.all_special_tokens):
        with pytest.raises(RecordingError, match="'probe-0', answer: .*control token"):
            answer_ids(LLAVA, PROBE, text)
    else:
        # Byte-level BPE can write every text, so none may be refused.
        assert LLAVA.tokenizer.decode(answer_ids(LLAVA, PROBE, text)).strip() == text.strip()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "has no tokens"),
        (" \n", "is blank"),
        ([], "has no tokens"),
        ([50, 99_999], r"token id 99999 is outside the vocabulary.*384 tokens"),
        ([-1], "token id -1 is outside"),
        ([1], "nothing but control tokens"),
        ([2, 1], "nothing but control tokens"),
        ("</s>", "holds the control token '</s>'"),
        ("A tree.</s> No.", "holds the control token '</s>'"),
        ("<image> of a tree", "holds the control token '<image>'"),
    ],
)
def test_what_cannot_be_aligned_names_probe_and_field(
    answer: str | list[int], message: str
) -> None:
    with pytest.raises(RecordingError, match=f"probe 'probe-0', answer: .*{message}"):
        answer_ids(LLAVA, PROBE, answer)


def word_level() -> HookedModel:
    """A tokenizer that knows four words and reads all others as <unk>."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<s>": 0, "</s>": 1, "<pad>": 2, "<unk>": 3, "red": 4, "blue": 5, "is": 6, "it": 7}
    made = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    model, _ = tiny_models.text_only("llama")
    return hook(
        model,
        PreTrainedTokenizerFast(
            tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
            unk_token="<unk>",
        ),
    )  # fmt: skip


def test_a_word_that_the_tokenizer_does_not_know_is_not_replayed_as_another() -> None:
    hooked = word_level()
    probe = replace(PROBE, image=None, prompt="it is")
    assert answer_ids(hooked, probe, "red") == [4]
    with pytest.raises(
        RecordingError, match=r"'red zebra' cannot be aligned.*reads it as 'red <unk>'"
    ):
        answer_ids(hooked, probe, "red zebra")


def test_a_model_without_tokenizer_takes_ids_alone() -> None:
    model, _ = tiny_models.llava()
    hooked = hook(model)
    probe = tiny_models.prepared()
    with pytest.raises(RecordingError, match="'prepared', answer: .*no tokenizer.*Give token ids"):
        answer_ids(hooked, probe, "red")
    assert lvlm_audit.traces.replay(hooked, [probe], [[50, 51]])[0].token_ids.tolist() == [50, 51]


def test_one_answer_that_cannot_be_aligned_costs_no_other() -> None:
    probes = tiny_models.probes(4)
    probes[1] = replace(probes[1], answer=None)
    probes[2] = replace(probes[2], answer="<image>")
    with pytest.raises(ProbesFailed, match="2 of 4 probes could not be recorded") as caught:
        lvlm_audit.traces.replay(LLAVA, probes)
    assert [name for name, _ in caught.value.failures] == ["probe-1", "probe-2"]
    assert "probe 'probe-1' has no reference answer (field 'answer')" in str(caught.value)
    assert "probe 'probe-2', answer: '<image>' holds the control token" in str(caught.value)
    assert [t.asked.id for t in caught.value.traces] == ["probe-0", "probe-3"]


def test_answers_and_probes_belong_together() -> None:
    with pytest.raises(UsageError, match="1 answers were given for 2 probes"):
        lvlm_audit.traces.replay(LLAVA, tiny_models.probes(2), ["red"])
