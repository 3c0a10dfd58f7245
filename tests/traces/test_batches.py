"""By replay, a trace depends neither on its batch nor on whether it was generated; image tokens are counted.

Distractors come from the batch by definition and are left out.
"""

from __future__ import annotations

import functools
import inspect

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.probes.probe import Probe
from lvlm_audit.settings.reading import LensName
from lvlm_audit.traces.recorder import record, replay
from lvlm_audit.traces.trace import Trace
from tests import tiny_models
from tests.effort import examples

WITH_IMAGES = [name for name in tiny_models.FAMILIES if name != "aya-vision"]
# Largest difference of one number. A bfloat16 product rounds at 2^-9, and a wrong position, mask or row
# changes curves by tenths; which tokens are in a nucleus may change, so its mass is not compared there.
TOLERANCES = {
    torch.float32: {
        "probability": 2e-5, "divergence": 2e-5, "jsd_to_final": 2e-5, "nucleus_mass": 2e-5,
        "top_probs": 2e-5, "entropy": 2e-4, "kl_to_final": 3e-4,
    },
    torch.bfloat16: {
        "probability": 0.12, "divergence": 0.06, "jsd_to_final": 0.06, "top_probs": 0.12,
        "entropy": 0.6, "kl_to_final": 1.2,
    },
}  # fmt: skip
MEAN = {torch.float32: 1e-5, torch.bfloat16: 0.02}
"""Mean difference over all numbers of a field: far below any defect's."""


def assert_same(ours: list[Trace], theirs: list[Trace], dtype: torch.dtype) -> None:
    for one, two in zip(ours, theirs, strict=True):
        assert one.asked == two.asked
        np.testing.assert_array_equal(one.token_ids, two.token_ids)
        np.testing.assert_array_equal(one.input_ids, two.input_ids)
        assert one.token_texts == two.token_texts
        for name, bound in TOLERANCES[dtype].items():
            difference = np.abs(getattr(one, name) - getattr(two, name))
            assert difference.max() <= bound, name
            if name not in ("entropy", "kl_to_final"):
                assert difference.mean() <= MEAN[dtype], name


@functools.cache
def opened(family: str, dtype: torch.dtype) -> HookedModel:
    model, processor = tiny_models.FAMILIES[family]()
    return hook(model.to(dtype), processor)


def answers(hooked: HookedModel, probes: list[Probe]) -> list[list[int]]:
    """Texts of different lengths, of ordinary words."""
    ordinary = [i for i in range(40, 300) if i not in hooked.special_ids]
    return [ordinary[7 * i : 7 * i + 2 + 3 * (i % 3)] for i, _ in enumerate(probes)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("family", WITH_IMAGES)
def test_a_trace_does_not_depend_on_its_batch(family: str, dtype: torch.dtype) -> None:
    """Prompts of different lengths, images of different sizes."""
    hooked = opened(family, dtype)
    probes = tiny_models.probes(4)
    assert len({p.image.open().size for p in probes if p.image is not None}) == 4
    texts = answers(hooked, probes)
    alone = replay(hooked, probes, texts, batch_size=1)
    assert_same(replay(hooked, probes, texts, batch_size=4), alone, dtype)


@pytest.mark.parametrize("lens", ["normed", "raw"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("family", list(tiny_models.FAMILIES))
def test_a_replayed_answer_gives_the_generated_trace(
    family: str, dtype: torch.dtype, lens: LensName
) -> None:
    hooked = opened(family, dtype)
    probes = tiny_models.probes(2) if hooked.processor is not None else [tiny_models.prepared()]
    generated = record(hooked, probes, max_new_tokens=3, batch_size=1, lens=lens)
    again = replay(hooked, probes, [t.token_ids for t in generated], batch_size=1, lens=lens)
    assert_same(again, generated, dtype)
    assert {t.lens for t in again} == {lens}
    assert [t.given for t in generated + again] == [False] * len(probes) + [True] * len(probes)


@examples(12)
@given(order=st.permutations(range(5)), size=st.integers(1, 6), family=st.sampled_from(
    ["llava", "llava next", "qwen2.5-vl", "idefics3"]
))  # fmt: skip
def test_nor_on_its_place_in_it(order: list[int], size: int, family: str) -> None:
    hooked = opened(family, torch.float32)
    probes = tiny_models.probes(5)
    texts = answers(hooked, probes)
    alone = replay(hooked, probes, texts, batch_size=1)
    mixed = replay(hooked, [probes[i] for i in order], [texts[i] for i in order], batch_size=size)
    assert_same(mixed, [alone[i] for i in order], torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("family", WITH_IMAGES)
def test_each_row_of_a_batch_is_its_own_probe(family: str, dtype: torch.dtype) -> None:
    """On one text, states differ between probes by far more than between batches."""
    hooked = opened(family, dtype)
    probes = tiny_models.probes(4)
    text = answers(hooked, probes)[2]

    def states(size: int) -> list[np.ndarray]:
        traces = replay(hooked, probes, [text] * 4, batch_size=size, keep_features=True)
        # State 0 is the text's embedding, whatever was asked.
        return [t.features[:, 1:].astype(float) for t in traces if t.features is not None]

    alone, together = states(1), states(4)
    size = [np.linalg.norm(one) for one in alone]
    apart = np.array(
        [[np.linalg.norm(t - a) / n for a, n in zip(alone, size, strict=True)] for t in together]
    )
    own = apart.diagonal()
    assert own.max() < (1e-3 if dtype is torch.float32 else 0.04)
    assert apart[~np.eye(4, dtype=bool)].min() > 0.12


def two_images(probe: Probe, seed: int) -> Probe:
    sizes = (90, 30), (30 + 4 * seed, 64)
    return probe.showing([tiny_models.picture(seed + i, size) for i, size in enumerate(sizes)])


def features_of(hooked: HookedModel, probe: Probe) -> int:
    """How many features vision tower and projector really yield."""
    inputs = hooked.inputs([probe])
    get = hooked.model.model.get_image_features
    known = inspect.signature(get).parameters
    with torch.inference_mode():
        out = get(**{key: value for key, value in inputs.items() if key in known})
    made = getattr(out, "pooler_output", out)
    parts = made if isinstance(made, (list, tuple)) else [made]
    return sum(part.numel() for part in parts) // hooked.width


@pytest.mark.parametrize("family", WITH_IMAGES)
def test_image_tokens_are_as_many_as_the_projector_yields(family: str) -> None:
    """One image, and two of different sizes, alone and in a batch."""
    hooked = opened(family, torch.float32)
    one, other, third = tiny_models.probes(3)
    probes = [one, two_images(other, 1), two_images(third, 3)]
    traces = record(hooked, probes, max_new_tokens=2, batch_size=3)
    for probe, trace in zip(probes, traces, strict=True):
        assert trace.asked.image_tokens == features_of(hooked, probe)
        ids = hooked.inputs([probe])["input_ids"]
        assert trace.asked.prompt_tokens == ids.shape[1], "padding is not counted"
        assert 0 < trace.asked.image_tokens < trace.asked.prompt_tokens
    again = replay(hooked, probes, [t.token_ids for t in traces], batch_size=1)
    assert_same(again, traces, torch.float32)


def test_a_model_that_names_no_image_token_says_that_it_does_not_know() -> None:
    model, words = tiny_models.text_only("llama")
    hooked = hook(model, words)
    (trace,) = record(hooked, tiny_models.probes(1, images=False), max_new_tokens=2)
    assert trace.asked.image_tokens is None
    assert trace.asked.prompt_tokens == len(words("Is it a tree?")["input_ids"])


def test_image_tokens_in_an_answer_show_no_image() -> None:
    """A broken model may say them; one pass would look for the image that belongs to them."""
    hooked = opened("llava", torch.float32)
    probes = tiny_models.probes(2)
    image = hooked.image_feature_id
    assert image is not None
    (trace, _) = replay(hooked, probes, [[50, image, 51, 52], [60, 61]])
    (before, _) = replay(hooked, probes, [[50, 51], [60, 61]])
    np.testing.assert_allclose(trace.nucleus_mass[0], before.nucleus_mass[0], atol=1e-4)
