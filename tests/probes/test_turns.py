"""Turns before a prompt: they reach the chat template, make another key, and are shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lvlm_audit import hook, record
from lvlm_audit.audit.plan import Settings
from lvlm_audit.audit.run import audit_model
from lvlm_audit.errors import ProbeError
from lvlm_audit.models.asking import build_inputs
from lvlm_audit.probes.controlled import text_questions, under_control
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.probes.probe import Probe, Turn
from lvlm_audit.probes.readers import read_probes
from lvlm_audit.probes.saving import save
from lvlm_audit.spec.suite import suite
from tests import tiny_models

SYSTEM = Turn("system", "Be short.")
EARLIER = (SYSTEM, Turn("user", "Is it a tree?", 1), Turn("assistant", "Yes."))


@pytest.fixture(scope="module")
def llava() -> tiny_models.Pair:
    return tiny_models.llava(blocks=4)


def asked(*turns: Turn, images: int = 2) -> Probe:
    """A probe with turns before it."""
    shown = [tiny_models.picture(i) for i in range(images)]
    plain = Probe("p", "How many dogs are there?", None, cluster="c", turns=())
    return replace(plain.showing(shown), turns=turns)


def tokens(processor: Any, *probes: Probe) -> list[str]:
    """What each probe became, as text without padding."""
    made = build_inputs(processor, probes, device=torch.device("cpu"), dtype=torch.float32)
    rows = zip(made["input_ids"], made["attention_mask"].bool(), strict=True)
    return [processor.tokenizer.decode(ids[mask]) for ids, mask in rows]


def test_they_reach_the_chat_template_each_with_its_images(llava: tiny_models.Pair) -> None:
    _, processor = llava
    place = "<image>" * 4 + "\n"
    (text,) = tokens(processor, asked(*EARLIER))
    assert text == (
        f"SYSTEM: Be short. USER: {place}Is it a tree? ASSISTANT: Yes. "
        f"USER: {place}How many dogs are there? ASSISTANT:"
    )
    plain, with_system = tokens(processor, asked(images=1), asked(SYSTEM, images=1))
    assert with_system == f"SYSTEM: Be short. {plain}"


def test_a_decoder_without_image_input_is_told_them_too() -> None:
    _, words = tiny_models.text_only("llama")
    probe = asked(SYSTEM, images=0)
    words.chat_template = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
    made = build_inputs(words, [probe], device=torch.device("cpu"), dtype=torch.float32)
    text = words.decode(made["input_ids"][0])
    assert text == "[system]Be short.[user]How many dogs are there?"
    words.chat_template = None
    with pytest.raises(ProbeError, match="'p' has turns before its prompt .*no chat template"):
        build_inputs(words, [probe], device=torch.device("cpu"), dtype=torch.float32)


def test_a_processor_without_template_refuses_them(llava: tiny_models.Pair) -> None:
    _, processor = tiny_models.llava(blocks=2)
    processor.chat_template = None
    with pytest.raises(ProbeError, match="Drop the turns, or add the template"):
        tokens(processor, asked(SYSTEM, images=1))


def test_any_difference_of_turns_changes_the_key() -> None:
    probes = [
        asked(),
        asked(SYSTEM),
        asked(Turn("user", "Be short.")),
        asked(Turn("system", "Be long.")),
        asked(*EARLIER),
        asked(*EARLIER[1:]),
        asked(SYSTEM, Turn("user", "Is it a tree?", 2), EARLIER[2]),
        asked(SYSTEM, Turn("user", "Is it a tree?"), EARLIER[2]),
    ]
    white = replace(tiny_models.picture(0), background="white")
    probes.append(asked().showing([white, tiny_models.picture(1)]))
    assert len({fingerprint([probe]) for probe in probes}) == len(probes)


def test_they_are_read_saved_and_read_again(tmp_path: Path) -> None:
    probe = asked(*EARLIER)
    probe = probe.showing([replace(image, background="white") for image in probe.images])
    (again,) = read_probes(save([probe], tmp_path / "new"))
    assert again.turns == EARLIER
    assert [image.background for image in again.images] == ["white", "white"]
    assert fingerprint([again]) == fingerprint([probe])


def test_a_file_has_one_background_for_all_images_of_a_probe(tmp_path: Path) -> None:
    white = replace(tiny_models.picture(0), background="white")
    with pytest.raises(ProbeError, match="one background for all images"):
        save([asked().showing([white, tiny_models.picture(1)])], tmp_path / "new")


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        ({}, "'turns' must be a list, not an object"),
        (["x"], "turns[0]: must be an object of role and text, not text"),
        ([{"role": "system", "content": "x"}], "turns[0]: must be an object of role and text"),
        ([{"role": "tool", "text": "x"}], '\'role\' must be "system" or "user" or "assistant"'),
        ([{"role": "user"}], "'text' must be text, not null"),
        ([{"role": "user", "text": "x", "images": 2}], "how many of the 1 images"),
        ([{"role": "system", "text": "x", "images": 1}], "turn of a user shows"),
        ([{"role": "user", "text": "x", "images": 1}] * 2, "'turns' show more images than the 1"),
    ],
)
def test_what_is_wrong_with_them_is_said(tmp_path: Path, turns: Any, says: str) -> None:
    tiny_models.picture(0).open().save(tmp_path / "a.png")
    row = {"image": "a.png", "prompt": "?", "turns": turns}
    (tmp_path / "p.jsonl").write_text(json.dumps(row))
    with pytest.raises(ProbeError) as caught:
        read_probes(tmp_path / "p.jsonl")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "turns", [(Turn("user", "?", 3),), (Turn("user", "?", 2), Turn("user", "?", 1))]
)
def test_they_show_no_more_images_than_there_are(turns: tuple[Turn, ...]) -> None:
    with pytest.raises(ProbeError, match="its turns show 3 images, but it has 2"):
        asked(*turns)
    with pytest.raises(ProbeError, match="a turn of the system cannot show 1 images"):
        Turn("system", "x", 1)


def test_a_control_keeps_them_and_tells_prompts_apart_by_them() -> None:
    other = replace(asked(images=2), id="q", cluster="d")
    probes = [asked(*EARLIER), replace(other, turns=(SYSTEM,)), replace(other, id="r")]
    blind = text_questions(probes)
    assert [p.transcript for p in blind] == [p.transcript for p in probes]
    assert all(turn.images == 0 for p in blind for turn in p.turns)
    swapped = under_control(probes, "swapped-image").probes
    assert [p.turns for p in swapped] == [p.turns for p in probes]


def test_they_are_remembered_and_stand_in_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, llava: tiny_models.Pair
) -> None:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    probes = [
        replace(probe, turns=(SYSTEM,), prompt="How many dogs are there?")
        for probe in tiny_models.probes(3)
    ]
    with hook(*llava) as model:
        (trace, *_) = record(model, probes, max_new_tokens=3)
    transcript = "[system] Be short.\n[user] How many dogs are there?"
    assert trace.asked.prompt == transcript

    folder = tiny_models.save(llava, tmp_path / "model")
    file = save(probes, tmp_path / "probes")
    settings = Settings(model=str(folder), probes=file, max_new_tokens=3)
    audit = audit_model(suite(), settings).document()
    assert {probe.prompt for probe in audit.probes} == {transcript}
    # The common step asks every image the same, with what is said before it.
    assert audit.features is not None
    assert audit.features.common_step is not None
    assert audit.features.common_step.prompt == transcript
