"""What the image's positions say, against transformers' own hidden states and head by brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lvlm_audit.errors import ProbesFailed, TraceError, UnsupportedModel, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import count_hooks
from lvlm_audit.models.opening import hook
from lvlm_audit.traces import image_word_recorder, store
from lvlm_audit.traces.image_word_recorder import record_image_words
from lvlm_audit.traces.image_words import ImageWords
from lvlm_audit.traces.recorder import record
from lvlm_audit.traces.trace import Asked
from tests import tiny_models

FAMILIES = [
    "llava",
    "llava gemma2",
    "llava next",
    "paligemma",
    "qwen2.5-vl",
    "idefics3",
    "gemma3",
    "internvl",
]


def after_the_head(config):
    """What may become of logits: nothing, a scale, a soft-cap."""
    scale = getattr(config, "logit_scale", None) or 1.0
    cap = getattr(config, "final_logit_softcapping", None) or 1.0
    return (
        lambda logits: logits,
        lambda logits: logits * scale,
        lambda logits: cap * torch.tanh(logits / cap),
    )


def brute_force(hooked: HookedModel, probe, ids: list[int], raw: bool = False) -> np.ndarray:
    """[n, T, S] lens probability of each id at each image position: everything kept, nothing shared."""
    model = hooked.model
    inputs = hooked.inputs([probe])
    with torch.inference_mode():
        out = model(**inputs, output_hidden_states=True)
        image = getattr(model.config, "image_token_id", None)
        image = model.config.image_token_index if image is None else image
        places = inputs["input_ids"][0] == image
        norm, head = model.get_decoder().norm, model.get_output_embeddings()
        last = head(out.hidden_states[-1][0, places])
        # Not every wrapper does to logits what its decoder's configuration says: the model's own decide.
        after = next(
            f
            for f in after_the_head(model.config.get_text_config())
            if torch.allclose(f(last), out.logits[0, places], rtol=1e-4, atol=1e-4)
        )
        seen = []
        for j, state in enumerate(out.hidden_states):
            rows = state[0, places].float()
            # transformers' last hidden state has passed the norm already.
            rows = rows if raw or j == len(out.hidden_states) - 1 else norm(rows)
            seen.append(torch.softmax(after(head(rows)).float(), -1)[:, ids])
    return torch.stack(seen, dim=2).numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_the_highest_probability_over_image_positions(family: str) -> None:
    hooked = hook(*tiny_models.FAMILIES[family]())
    probes = tiny_models.probes(3)
    answers = [[50, 60, 70], [60], [71, 72, 50, 50]]
    before = count_hooks(hooked.model)
    made = record_image_words(hooked, probes, answers, batch_size=3)
    assert count_hooks(hooked.model) == before
    for one, probe, ids in zip(made, probes, answers, strict=True):
        whole = brute_force(hooked, probe, ids)
        assert (one.asked.id, one.token_ids.tolist()) == (probe.id, ids)
        assert one.positions == len(whole) > 1
        assert one.confidence.shape == (len(ids), hooked.blocks + 1)
        np.testing.assert_allclose(one.confidence, whole.max(0), rtol=2e-3, atol=2e-5)
        # The position is one that has the maximum, to rounding.
        at = np.take_along_axis(whole, one.position[None].astype(int), 0)[0]
        np.testing.assert_allclose(at, whole.max(0), rtol=2e-3, atol=2e-5)


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava())


def test_the_raw_lens_norms_the_last_state_alone(llava: HookedModel) -> None:
    (probe,) = tiny_models.probes(1)
    (one,) = record_image_words(llava, [probe], [[50, 60]], lens="raw")
    np.testing.assert_allclose(
        one.confidence, brute_force(llava, probe, [50, 60], raw=True).max(0), rtol=2e-3, atol=2e-5
    )


def test_chunks_change_nothing(llava: HookedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = tiny_models.probes(2)
    answers = [[50, 60], [70]]
    whole = record_image_words(llava, probes, answers)
    largest = 0
    logits = image_word_recorder.LensReader.logits_at

    def watched(lens, rows, state):
        nonlocal largest
        largest = max(largest, len(rows))
        return logits(lens, rows, state)

    monkeypatch.setattr(image_word_recorder.LensReader, "logits_at", watched)
    monkeypatch.setattr(image_word_recorder, "CHUNK_BYTES", 4 * llava.vocabulary * 3)
    for one, two in zip(whole, record_image_words(llava, probes, answers), strict=True):
        np.testing.assert_allclose(one.confidence, two.confidence, rtol=1e-5)
        np.testing.assert_array_equal(one.position, two.position)
    assert largest == 3


def test_the_batch_changes_nothing(llava: HookedModel) -> None:
    probes = tiny_models.probes(3)
    answers = [[50], [60, 61], [70]]
    alone = record_image_words(llava, probes, answers, batch_size=1)
    for one, two in zip(
        alone, record_image_words(llava, probes, answers, batch_size=3), strict=True
    ):
        np.testing.assert_allclose(one.confidence, two.confidence, rtol=1e-3, atol=1e-6)


def test_it_is_asked_of_what_was_recorded(llava: HookedModel) -> None:
    probes = tiny_models.probes(2)
    traces = record(llava, probes, max_new_tokens=4)
    made = record_image_words(llava, probes, [t.token_ids for t in traces])
    for one, trace in zip(made, traces, strict=True):
        np.testing.assert_array_equal(one.token_ids, trace.token_ids)
        assert one.positions == one.asked.image_tokens == trace.asked.image_tokens


def test_a_model_whose_images_hold_no_position(llava: HookedModel, monkeypatch) -> None:
    monkeypatch.setattr(HookedModel, "image_positions", lambda self, inputs: None)
    with pytest.raises(UnsupportedModel, match="hold no positions of the prompt"):
        record_image_words(llava, tiny_models.probes(1), [[50]])


def test_faults_of_single_probes(llava: HookedModel) -> None:
    good, other, third = tiny_models.probes(3)
    blind = third.showing(())
    with pytest.raises(ProbesFailed) as caught:
        record_image_words(llava, [good, other, blind], [[50], [llava.vocabulary], [50]])
    assert [name for name, _ in caught.value.failures] == [other.id, blind.id]
    assert "must be some and all below" in str(caught.value)
    assert "shows no image" in str(caught.value)
    assert [one.asked.id for one in caught.value.traces] == [good.id]
    with pytest.raises(UsageError, match="belong together"):
        record_image_words(llava, [good], [])


def kept(**changes) -> ImageWords:
    fields = {
        "asked": Asked("p", "?", "c"),
        "lens": "normed",
        "token_ids": np.array([1, 2]),
        "confidence": np.full((2, 4), 0.25, np.float32),
        "position": np.full((2, 4), 3, np.int32),
        "positions": 5,
    }
    return ImageWords(**{**fields, **changes})


def test_it_is_stored(tmp_path: Path) -> None:
    store.save(tmp_path / "x", store.Recording([kept()], {"seconds": 1}))
    (read,) = store.load(tmp_path / "x").items
    assert isinstance(read, ImageWords)
    assert (read.asked, read.lens, read.positions) == (kept().asked, "normed", 5)
    for name in ("token_ids", "confidence", "position"):
        one, two = getattr(read, name), getattr(kept(), name)
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confidence": np.full((2, 4), 1.5, np.float32)}, "confidence must lie in"),
        ({"confidence": np.full((2, 4), np.nan, np.float32)}, "is nan"),
        ({"confidence": np.full((3, 4), 0.5, np.float32)}, "should have T = 2"),
        ({"position": np.full((2, 4), 5, np.int32)}, "there are 5 image positions"),
        ({"lens": "blurred"}, "lens 'blurred'"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, message) -> None:
    with pytest.raises(TraceError, match=message):
        kept(**changes)
