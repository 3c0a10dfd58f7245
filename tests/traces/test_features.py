"""Recorded states against transformers' own, the common step, and the store."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from lvlm_audit.errors import RecordingError, TraceError, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.progress import Progress
from lvlm_audit.traces import store
from lvlm_audit.traces.common import common_step
from lvlm_audit.traces.feature_recorder import record_common_step, record_features
from lvlm_audit.traces.features import FeatureMap, FeatureTrace
from lvlm_audit.traces.recorder import record
from lvlm_audit.traces.trace import Asked, TokenClass
from tests import tiny_models

FAMILIES = ["llava", "llava gemma2", "paligemma", "qwen2.5-vl", "aya-vision"]


def own_states(hooked: HookedModel, inputs: dict, tokens: int) -> tuple[list[int], np.ndarray]:
    """What `generate(output_hidden_states=True)` gives: ids, and [T, S, d] at the last positions."""
    with torch.inference_mode():
        made = hooked.model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=tokens,
            output_hidden_states=True,
            return_dict_in_generate=True,
        )
    ids = made.sequences[0].tolist()[-len(made.hidden_states) :]
    states = [torch.stack([h[0, -1].float() for h in step]) for step in made.hidden_states]
    return ids, torch.stack(states).numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_features_are_transformers_hidden_states(family: str) -> None:
    hooked = hook(*tiny_models.FAMILIES[family]())
    probes = tiny_models.probes(3) if hooked.processor is not None else [tiny_models.prepared()]
    seen = [own_states(hooked, hooked.inputs([p]), 5) for p in probes]
    made = record_features(hooked, probes, [ids for ids, _ in seen], batch_size=3)
    for one, probe, (ids, states) in zip(made, probes, seen, strict=True):
        assert one.asked.id == probe.id
        assert one.token_ids.tolist() == ids
        assert (one.features.dtype, one.prefix) == (np.float16, "")
        size = np.abs(states).max()
        np.testing.assert_allclose(one.features, states, rtol=4e-3, atol=2e-3 * size)


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava())


def test_the_common_step_is_the_same_position_for_every_image(llava: HookedModel) -> None:
    probes = tiny_models.probes(4)
    twin = dataclasses.replace(probes[0], id="twin")
    prefix = [50, 60, 70]
    made = record_common_step(
        llava, [*probes, twin], prompt="Is it a dog?", prefix=prefix, batch_size=2
    )
    assert [one.asked.id for one in made] == [p.id for p in probes]
    for one, probe in zip(made, probes, strict=True):
        asked = dataclasses.replace(probe, prompt="Is it a dog?")
        ids, states = own_states(llava, llava.inputs([asked], [prefix]), 1)
        assert (one.asked.prompt, one.token_ids.tolist()) == ("Is it a dog?", ids)
        np.testing.assert_allclose(one.features, states, rtol=4e-3, atol=5e-3)
        assert one.prefix == "".join(llava.tokenizer.decode([i]) for i in prefix)
    # One word was read at every image: state 0 is its embedding.
    table = llava.model.get_input_embeddings().weight.detach().numpy()
    for one in made:
        np.testing.assert_allclose(one.features[0, 0], table[70], atol=2e-3)


def test_without_a_prefix_it_is_the_first_token_of_the_answer(llava: HookedModel) -> None:
    probes = [dataclasses.replace(p, prompt="What?") for p in tiny_models.probes(3)]
    made = record_common_step(llava, probes, prompt="What?")
    for one, trace in zip(made, record(llava, probes, max_new_tokens=1), strict=True):
        assert one.token_ids.tolist() == trace.token_ids.tolist()
        assert one.prefix == ""


def test_progress_counts_probes(llava: HookedModel) -> None:
    told: list[Progress] = []
    record_features(
        llava,
        tiny_models.probes(3),
        [[50, 60]] * 3,
        batch_size=2,
        on_progress=told.append,
    )
    assert [(e.done, e.total, e.tokens) for e in told] == [(0, 3, 0), (2, 3, 4), (3, 3, 6)]


def test_what_cannot_be_recorded(llava: HookedModel) -> None:
    probes = tiny_models.probes(2)
    with pytest.raises(UsageError, match="1 answers were given for 2 probes"):
        record_features(llava, probes, [[5]])
    with pytest.raises(RecordingError, match="probe-1.*no tokens"):
        record_features(llava, probes, [[5], []])
    with pytest.raises(RecordingError, match="99999"):
        record_common_step(llava, probes, prompt="What?", prefix=[99_999])
    with pytest.raises(UsageError, match="probes with images"):
        record_common_step(llava, [tiny_models.prepared()], prompt="What?")


def test_states_that_are_not_finite_name_the_probe(llava: HookedModel) -> None:
    weight = llava.model.model.language_model.layers[4].mlp.down_proj.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight[0, 0] = float("nan")
    try:
        with pytest.raises(TraceError, match=r"probe 'probe-0': features\[0, 5\] is not finite"):
            record_features(llava, tiny_models.probes(1), [[50, 60]])
    finally:
        with torch.no_grad():
            weight.copy_(before)


def answer(ids: list[int], prompt: str = "What?", ends: bool = True) -> FeatureTrace:
    kinds = [TokenClass.CONTENT] * len(ids) + [TokenClass.SPECIAL] * ends
    whole = ids + [1] * ends
    return FeatureTrace(
        asked=Asked("p", prompt, "c"),
        token_ids=np.array(whole, np.int64),
        token_texts=("x",) * len(whole),
        token_classes=tuple(kinds),
        features=np.zeros((len(whole), 3, 2), np.float16),
    )


@pytest.mark.parametrize(
    ("answers", "prefix"),
    [
        ([[7, 8, 20], [7, 8, 21], [7, 8, 22]], [7, 8]),
        ([[7, 8, 20], [7, 8, 21], [9, 8, 22]], [7, 8]),
        ([[7, 8, 20], [7, 9, 21], [7, 5, 22]], [7]),
        ([[7, 8], [9, 8]], []),
        ([[7], [7], [7]], []),
        ([[7, 8, 9], [7, 8, 9], [7, 8, 9]], [7, 8]),
        ([[7, 8, 9], [7], [7]], []),
        ([[]], []),
    ],
)
def test_the_prefix_ends_where_the_majority_parts(
    answers: list[list[int]], prefix: list[int]
) -> None:
    assert common_step([answer(ids) for ids in answers]) == ("What?", prefix)


def test_the_most_frequent_prompt_is_the_common_one() -> None:
    traces = [answer([5, 6, 7], "rare"), answer([7, 8, 9]), answer([7, 8, 5])]
    assert common_step(traces) == ("What?", [7, 8])
    assert common_step([answer([5, 6], "first"), answer([7, 8])]) == ("first", [5])


def test_features_and_maps_survive_the_store(tmp_path: Path, llava: HookedModel) -> None:
    recorded = record_features(llava, tiny_models.probes(1), [[50, 60]])[0]
    states = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    drawn = FeatureMap(
        recorded.asked, "tokens", ("ü", "\u2028"), states, 0.5, states[::-1].copy(), 12.5
    )
    store.save(tmp_path / "x", store.Recording([recorded, drawn], {"seconds": 1}))
    one, two = store.load(tmp_path / "x").items
    for a, b in ((recorded, one), (drawn, two)):
        assert type(a) is type(b)
        for field in dataclasses.fields(a):
            x, y = getattr(a, field.name), getattr(b, field.name)
            if isinstance(x, np.ndarray):
                assert x.dtype == y.dtype
                np.testing.assert_array_equal(x, y)
            else:
                assert x == y, field.name


def test_a_map_of_the_wrong_shape_is_refused() -> None:
    flat = np.zeros((2, 3, 2), np.float32)
    with pytest.raises(TraceError, match=r"map of probe 'p': tsne must be an array \[2, 3, 2\]"):
        FeatureMap(Asked("p", "?", "c"), "tokens", ("a", "b"), flat, 0.5, flat[:, :2], 5.0)
    with pytest.raises(TraceError, match=r"pca must be an array \[1, any, 2\]"):
        FeatureMap(Asked("p", "?", "c"), "tokens", ("a",), flat, 0.5, flat, 5.0)
