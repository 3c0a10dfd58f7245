"""The paired recorder against two separate runs of transformers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax

from lvlm_audit.errors import RecordingError, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.probes.controlled import text_questions
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.alignment import reference_ids
from lvlm_audit.traces.paired import iter_conditions, record_pairs
from lvlm_audit.traces.recorder import record
from tests import reference, tiny_models

TEXTS = [[40, 41, 42], [50, 51], [60, 61, 62, 63]]


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava())


def distributions(hooked: HookedModel, probe: Probe, text: list[int]) -> np.ndarray:
    """[T, S, V] log-probabilities of a text after a probe's prompt, in one forward pass."""
    inputs = hooked.inputs([probe])
    ids = torch.cat([inputs["input_ids"], torch.tensor([text])], dim=1)
    out = hooked.model(
        input_ids=ids,
        pixel_values=inputs.get("pixel_values"),
        attention_mask=torch.ones_like(ids),
        output_hidden_states=True,
    )
    at = slice(-len(text) - 1, -1)
    states = torch.stack([s[0, at] for s in out.hidden_states], dim=1).detach().double().numpy()
    model: Any = hooked.model
    return reference.distributions(states, model.model.language_model.norm, model.lm_head)


def test_a_pair_is_two_runs_of_the_same_text(llava: HookedModel) -> None:
    probes = tiny_models.probes(3)
    others = [probes[(i + 1) % 3].image for i in range(3)]
    pairs = record_pairs(llava, probes, TEXTS, others, condition="another image", batch_size=2)
    for pair, probe, text, image in zip(pairs, probes, TEXTS, others, strict=True):
        assert (pair.asked.id, pair.condition, pair.text) == (probe.id, "another image", "answer")
        assert pair.token_ids.tolist() == text
        changed = Probe(probe.id, probe.prompt, image, probe.cluster)
        p, q = (distributions(llava, asked, text) for asked in (probe, changed))
        exact = [
            [reference.jsd(np.exp(p[i, j]), np.exp(q[i, j])) for j in range(p.shape[1])]
            for i in range(len(text))
        ]
        np.testing.assert_allclose(pair.divergence, exact, rtol=5e-3, atol=1e-5)
        rows = np.arange(len(text))
        own = np.stack([x[rows, -1, text] for x in (p, q)]) / np.log(2)
        np.testing.assert_allclose(pair.log2_probability, own, rtol=1e-3, atol=1e-3)


def test_state_0_of_a_pair_never_differs(llava: HookedModel) -> None:
    """Both runs say the same words, and an embedding knows nothing of the image."""
    probes = tiny_models.probes(2)
    others = [probes[1].image, probes[0].image]
    for pair in record_pairs(llava, probes, TEXTS[:2], others, condition="x"):
        assert (pair.divergence[:, 0] == 0).all()
        assert pair.divergence[:, -1].max() > 1e-3


def test_the_same_image_makes_no_difference(llava: HookedModel) -> None:
    probes = tiny_models.probes(2)
    pairs = record_pairs(llava, probes, TEXTS[:2], [p.image for p in probes], condition="none")
    assert all(float(pair.divergence.max()) < 1e-9 for pair in pairs)


def test_no_image_is_a_condition_too(llava: HookedModel) -> None:
    """The grounding curve: two calls of transformers and SciPy's divergence, at every state."""
    probes = tiny_models.probes(3)
    pairs = record_pairs(llava, probes, TEXTS, [None] * 3, condition="no image")
    for pair, probe, text in zip(pairs, probes, TEXTS, strict=True):
        blind = Probe("x", probe.prompt, None, "c")
        p, q = (np.exp(distributions(llava, asked, text)) for asked in (probe, blind))
        exact = jensenshannon(p, q, base=2, axis=-1) ** 2
        np.testing.assert_allclose(pair.divergence[:, 1:], exact[:, 1:], rtol=5e-3, atol=1e-5)


def test_conditions_share_one_run_and_give_what_single_pairs_give(llava: HookedModel) -> None:
    probes = tiny_models.probes(3)
    others = [probes[(i + 1) % 3].image for i in range(3)]
    conditions = {"another": others, "none": [None] * 3}
    singles = {
        name: record_pairs(llava, probes, TEXTS, images, condition=name)
        for name, images in conditions.items()
    }
    calls: list[int] = []
    handle = llava.model.register_forward_hook(lambda *_: calls.append(1))
    together = list(iter_conditions(llava, probes, TEXTS, conditions))
    handle.remove()
    assert len(calls) == 3
    for k, name in enumerate(conditions):
        for one, two in zip([pairs[k] for pairs in together], singles[name], strict=True):
            assert one.condition == two.condition == name
            np.testing.assert_allclose(one.divergence, two.divergence, atol=1e-6)
            np.testing.assert_allclose(one.log2_probability, two.log2_probability, atol=1e-5)


def test_text_answers_are_what_generate_says_without_pixels(llava: HookedModel) -> None:
    asked = text_questions([*tiny_models.probes(3), *tiny_models.probes(3)])
    assert len(asked) == 3
    for probe, trace in zip(asked, record(llava, asked, max_new_tokens=6), strict=True):
        inputs = llava.inputs([probe])
        assert "pixel_values" not in inputs
        assert not llava.image_token_ids & set(inputs["input_ids"][0].tolist())
        model: Any = llava.model
        ids = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=6,
            do_sample=False,
        )
        start = inputs["input_ids"].shape[1]
        assert trace.token_ids.tolist() == ids[0, start:].tolist()


@pytest.mark.parametrize("family", ["qwen2.5-vl", "idefics3", "internvl", "paligemma"])
def test_images_of_other_sizes_are_aligned_at_the_text(family: str) -> None:
    """Another image may expand to another number of tokens; the text stands at the end of both."""
    hooked = hook(*tiny_models.FAMILIES[family]())
    probes = tiny_models.probes(2)
    big = tiny_models.picture(9, (112, 56))
    pairs = record_pairs(hooked, probes, TEXTS[:2], [big, big], condition="a larger image")
    for pair, probe, text in zip(pairs, probes, TEXTS[:2], strict=True):
        model: Any = hooked.model
        for run, asked in enumerate((probe, Probe(probe.id, probe.prompt, big, probe.cluster))):
            # The first token follows the prompt alone, which any family can be asked directly.
            logits = model(**hooked.inputs([asked])).logits[0, -1]
            own = log_softmax(logits.detach().double().numpy())[text[0]] / np.log(2)
            assert pair.log2_probability[run, 0] == pytest.approx(own, rel=1e-3, abs=1e-3)


def test_a_reference_answer_continues_the_prompt(llava: HookedModel) -> None:
    probe = tiny_models.probes(1)[0]
    ids = reference_ids(llava, probe)
    prompt = llava.inputs([probe])["input_ids"][0].tolist()
    text = llava.tokenizer.decode(prompt + ids)
    # The template ends in "ASSISTANT:", so the answer begins a word of its own.
    assert text.endswith("ASSISTANT: A red circle.")
    assert not set(ids) & set(llava.tokenizer.all_special_ids)
    assert prompt + ids == llava.tokenizer.encode(text)


def test_a_missing_reference_names_its_probe(llava: HookedModel) -> None:
    probe = Probe("mute", "What?", tiny_models.picture(), "c")
    with pytest.raises(RecordingError, match="mute.*reference answer"):
        reference_ids(llava, probe)


def test_lengths_must_agree(llava: HookedModel) -> None:
    probes = tiny_models.probes(2)
    with pytest.raises(UsageError, match="2 and 1"):
        record_pairs(llava, probes, TEXTS[:2], [None], condition="x")


def test_reading_the_last_state_alone_gives_the_same_numbers(llava: HookedModel) -> None:
    probes = tiny_models.probes(3)
    others = [probes[(i + 1) % 3].image for i in range(3)]
    whole, last = (
        record_pairs(llava, probes, TEXTS, others, condition="x", last_state_only=only)
        for only in (False, True)
    )
    for full, short in zip(whole, last, strict=True):
        np.testing.assert_allclose(short.divergence, full.divergence[:, -1:], atol=1e-6)
        np.testing.assert_allclose(short.log2_probability, full.log2_probability, atol=1e-5)
