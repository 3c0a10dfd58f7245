"""Faults do what they say to models of several families, and are taken back to the bit."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from lvlm_audit.errors import UnsupportedModel, UsageError
from lvlm_audit.faults import FAULTS, applied
from lvlm_audit.faults.catalogue import FAULTY, HEALTHY
from lvlm_audit.models.eyes import find_eyes
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import count_hooks
from lvlm_audit.models.opening import hook
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.generation import step_logits
from tests import tiny_models

FAMILIES = ("llava", "llava tied", "qwen2.5-vl", "idefics3", "gemma3", "paligemma")
ANYWHERE = [fault.name for fault in FAULTS if not fault.demo_only]


OF_PICTURES = [
    "projector zeroed",
    "vision tower noise 1",
    "image truncated",
    "wrong mean and std",
    "channels swapped",
]


def opened(family: str) -> HookedModel:
    return hook(*tiny_models.FAMILIES[family](), name=family)


def everything(hooked: HookedModel) -> tuple[Any, ...]:
    """All that a fault may touch: numbers, who holds them, configuration, processor, hooks, threads."""
    model, processor = hooked.model, hooked.processor
    numbers = [(n, t.clone()) for n, t in [*model.named_parameters(), *model.named_buffers()]]
    held = [(n, id(p)) for n, p in model.named_parameters(remove_duplicate=False)]
    images = processor.image_processor
    fed = json.dumps([vars(images), processor.chat_template], default=repr, sort_keys=True)
    return (
        numbers,
        held,
        model.config.to_json_string(),
        (fed, type(images), id(images), getattr(hooked.tokenizer, "chat_template", None)),
        [sorted(vars(module)) for module in model.modules()],
        count_hooks(model),
        torch.get_num_threads(),
    )


def assert_same(before: tuple[Any, ...], after: tuple[Any, ...]) -> None:
    for (name, one), (other_name, other) in zip(before[0], after[0], strict=True):
        assert name == other_name
        assert torch.equal(one, other), name
    assert before[1:] == after[1:]


def said(hooked: HookedModel) -> torch.Tensor:
    return torch.stack(step_logits(hooked, hooked.inputs(tiny_models.probes(1)), 2)[1])


def apply(fault: str, hooked: HookedModel) -> None:
    with applied(fault, hooked):
        pass


@pytest.mark.parametrize("family", FAMILIES)
def test_every_fault_is_taken_back_to_the_bit(family: str) -> None:
    hooked = opened(family)
    before, answer = everything(hooked), said(hooked)
    refused = {}
    for name in ANYWHERE:
        try:
            with applied(name, hooked, seed=3):
                pass
        except UnsupportedModel as error:
            refused[name] = str(error)
        assert_same(before, everything(hooked))
    assert torch.equal(answer, said(hooked))
    expected = {"wrong chat template"} if family == "paligemma" else set()
    assert set(refused) == expected
    for text in refused.values():
        assert family in text


def test_a_fault_is_taken_back_when_its_use_fails() -> None:
    hooked = opened("llava tied")
    before = everything(hooked)
    with pytest.raises(ZeroDivisionError), applied("colour rows rotated", hooked):
        1 / 0  # noqa: B018
    assert_same(before, everything(hooked))


@pytest.mark.parametrize("family", ["llava", "qwen2.5-vl", "gemma3"])
@pytest.mark.parametrize("fault", [f.name for f in FAULTY if not f.demo_only])
def test_a_fault_changes_what_is_said(family: str, fault: str) -> None:
    hooked = opened(family)
    before = said(hooked)
    with applied(fault, hooked) as damaged:
        now = said(damaged)
    assert not torch.allclose(before, now, atol=1e-3)


@pytest.mark.parametrize("fault", [f.name for f in HEALTHY if not f.demo_only])
def test_a_healthy_one_hardly_does(fault: str) -> None:
    hooked = opened("llava")
    before = said(hooked)
    with applied(fault, hooked) as candidate:
        now = said(candidate)
    assert torch.nn.functional.cosine_similarity(before, now).min() > 0.99
    if fault in ("rounding noise", "int8", "int8 rounding"):
        assert not torch.equal(before, now)


def test_the_same_seed_gives_the_same_fault() -> None:
    hooked = opened("llava")
    found = []
    for seed in (1, 1, 2):
        with applied("block noise 1", hooked, seed=seed) as damaged:
            found.append(said(damaged))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_noise_has_the_size_that_it_says() -> None:
    hooked = opened("llava")
    block = hooked.anatomy.blocks[hooked.blocks // 2]
    before = [p.detach().clone() for p in block.parameters()]
    with applied("block noise 0.5", hooked):
        after = [p.detach().clone() for p in block.parameters()]
    for one, other in zip(before, after, strict=True):
        if one.ndim > 1:
            assert float((other - one).std() / one.std()) == pytest.approx(0.5, rel=0.05)
        else:
            assert torch.equal(one, other)


def test_rounding_noise_moves_no_weight_further_than_to_its_neighbour() -> None:
    model, processor = tiny_models.llava(dtype=torch.bfloat16)
    hooked = hook(model, processor)
    before = [p.detach().clone() for p in model.parameters()]
    with applied("rounding noise", hooked):
        after = torch.cat([p.detach().flatten() for p in model.parameters()]).float()
    was = torch.cat([p.flatten() for p in before]).float()
    away = ((after - was) / was).abs().nan_to_num()
    assert float(away.max()) <= 2**-7
    assert float((away > 0).float().mean()) == pytest.approx(1 / 12, abs=0.01)


def test_a_blind_model_says_the_same_of_every_picture() -> None:
    hooked = opened("qwen2.5-vl")
    one, other = tiny_models.picture(1, (56, 56)), tiny_models.picture(2, (56, 56))
    probes = [
        Probe(name, "Is it a tree?", p, cluster=name) for name, p in (("1", one), ("2", other))
    ]
    seen = [step_logits(hooked, hooked.inputs([p]), 1)[1][0] for p in probes]
    assert not torch.equal(*seen)
    with applied("projector zeroed", hooked) as blind:
        seen = [step_logits(blind, blind.inputs([p]), 1)[1][0] for p in probes]
    assert torch.equal(*seen)


def test_channels_in_the_weights_are_channels_in_the_processor() -> None:
    hooked = opened("llava")
    with applied("channels swapped", hooked) as one:
        fed = one.inputs(tiny_models.probes(2))
        through_processor = said(one)
    with applied("channels swapped", hooked, written=True) as other:
        through_weights = said(other)
    assert torch.allclose(through_processor, through_weights, atol=1e-4)
    plain = hooked.inputs(tiny_models.probes(2))["pixel_values"]
    images = hooked.processor.image_processor
    mean, std = (
        torch.tensor(v)[None, :, None, None] for v in (images.image_mean, images.image_std)
    )
    flipped = ((plain * std + mean).flip(1) - mean) / std
    assert torch.allclose(fed["pixel_values"], flipped, atol=1e-5)


def test_only_the_first_half_of_a_picture_arrives() -> None:
    hooked = opened("llava")
    inputs = hooked.inputs(tiny_models.probes(1))
    held = hooked.image_positions(inputs)
    assert held is not None
    states: dict[int, torch.Tensor] = {}
    with (
        applied("image truncated", hooked) as damaged,
        damaged.tapped(lambda j, state: states.setdefault(j, state.clone())),
        torch.inference_mode(),
    ):
        damaged.model(**inputs)
    empty = (states[0] == 0).all(-1)
    count = int(held.sum())
    assert empty[held].tolist() == [False] * (count // 2) + [True] * (count // 2)
    assert not bool(empty[~held].any())


def test_colour_words_change_places_in_the_head_alone() -> None:
    hooked = opened("llava tied")
    embeddings = hooked.model.get_input_embeddings().weight
    before, embedded = hooked.anatomy.weight.clone(), embeddings.clone()
    with applied("colour rows rotated", hooked) as damaged:
        after = damaged.anatomy.weight.clone()
        assert not damaged.anatomy.tied
        assert torch.equal(embeddings, embedded)
    differ = (before != after).any(-1).nonzero().flatten().tolist()
    words = {hooked.tokenizer.decode([i]).strip() for i in differ}
    assert len(differ) > 1
    assert {"red", "blue"} <= words or all(w for w in words)
    assert torch.equal(before[differ].sort(0).values, after[differ].sort(0).values)


def test_the_rotary_base_is_the_one_of_a_model_opened_with_it() -> None:
    """Against transformers' own frequencies of that base."""
    hooked = opened("llava")
    with applied("wrong rope base", hooked):
        config = hooked.model.config.text_config
        rotary = hooked.model.model.language_model.rotary_emb
        wanted = type(rotary)(config).inv_freq
        assert config.rope_parameters["rope_theta"] == pytest.approx(1000.0)
        assert torch.allclose(rotary.inv_freq, wanted, rtol=1e-5)


def test_a_wrong_template_still_shows_the_picture() -> None:
    hooked = opened("idefics3")
    probes = tiny_models.probes(1)
    before = hooked.inputs(probes)["input_ids"][0].tolist()
    with applied("wrong chat template", hooked) as damaged:
        after = damaged.inputs(probes)["input_ids"][0].tolist()
    assert before != after
    assert before.count(3) == after.count(3)
    assert probes[0].prompt in hooked.tokenizer.decode(after)


def test_int4_has_fifteen_levels_a_row() -> None:
    hooked = opened("internvl")
    with applied("int4", hooked):
        for block in hooked.anatomy.blocks:
            for weight in block.parameters():
                if weight.ndim > 1:
                    assert max(len(row.unique()) for row in weight) <= 15


def test_without_the_part_it_is_a_plain_error() -> None:
    words = hook(*tiny_models.text_only("llama"), name="words alone")
    for name in OF_PICTURES:
        with pytest.raises(
            UnsupportedModel, match="words alone .*picture|images hold no|image proc"
        ):
            apply(name, words)
    aya = hook(*tiny_models.aya_vision(), name="aya", sample=tiny_models.prepared())
    with pytest.raises(UnsupportedModel, match="without a tokenizer"):
        apply("colour rows rotated", aya)


def test_trained_ones_are_for_the_demo_alone() -> None:
    with pytest.raises(UsageError, match="which only the demo model knows"):
        apply("LoRA", opened("llava"))


def test_an_unknown_fault_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="Did you mean 'projector zeroed'"):
        apply("projector zero", opened("llava"))


@pytest.mark.parametrize("family", sorted(set(tiny_models.FAMILIES) - {"aya-vision"}))
def test_eyes_are_found_in_every_family_of_the_zoo(family: str) -> None:
    eyes = find_eyes(opened(family))
    assert len(eyes.tower) == 2
    assert any(word in eyes.paths["tower"] for word in ("vision", "visual"))
    named = eyes.paths["projector"].rpartition(".")[2]
    assert named in ("multi_modal_projector", "merger", "connector")
    assert eyes.stem
