"""One probe's fault is not another's: what a recording does when probes fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from lvlm_audit.errors import ProbesFailed, RecordingError, TraceError, UnsupportedModel
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.progress import Progress
from lvlm_audit.traces.batching import each_batch
from lvlm_audit.traces.paired import record_pairs
from lvlm_audit.traces.recorder import iter_record, record, replay
from tests import tiny_models


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava())


@contextmanager
def first_state(
    hooked: HookedModel, change: Callable[[torch.Tensor], torch.Tensor | None]
) -> Iterator[None]:
    """Runs a function on every state 0."""
    block = hooked.anatomy.blocks[0]
    handle = block.register_forward_pre_hook(
        lambda _, args: None if (new := change(args[0])) is None else (new, *args[1:])
    )
    try:
        yield
    finally:
        handle.remove()


def broken(i: int) -> Probe:
    return Probe(f"broken-{i}", "What?", ImageSource(f"x{i}.png", data=b"no image"), "c")


def test_all_others_are_recorded_and_every_failed_probe_is_named(llava: HookedModel) -> None:
    good = tiny_models.probes(4)
    probes = [good[0], broken(0), *good[1:3], broken(1), good[3]]
    with pytest.raises(ProbesFailed) as caught:
        record(llava, probes, max_new_tokens=3, batch_size=4)
    error = caught.value
    assert [name for name, _ in error.failures] == ["broken-0", "broken-1"]
    for i in range(2):
        assert f"probe 'broken-{i}': image 'x{i}.png' cannot be decoded" in str(error)
    assert "2 of 6 probes could not be recorded" in str(error)
    assert "What was recorded of the other 4 is kept" in str(error)
    assert [t.asked.id for t in error.traces] == [p.id for p in good]
    for ours, theirs in zip(error.traces, record(llava, good, max_new_tokens=3), strict=True):
        np.testing.assert_array_equal(ours.token_ids, theirs.token_ids)
        np.testing.assert_allclose(ours.probability, theirs.probability, atol=1e-4)


def test_traces_are_handed_on_before_the_error(llava: HookedModel) -> None:
    traces = iter_record(llava, [broken(0), *tiny_models.probes(2)], max_new_tokens=2)
    assert [next(traces).asked.id, next(traces).asked.id] == ["probe-0", "probe-1"]
    with pytest.raises(ProbesFailed, match="1 of 3 probes") as caught:
        next(traces)
    assert caught.value.traces == ()


def test_a_probe_with_nan_is_named_with_its_field(llava: HookedModel) -> None:
    """In the middle of a batch; its mates are recorded in the same pass."""
    passes = 0

    def poison(state: torch.Tensor) -> torch.Tensor:
        nonlocal passes
        passes += 1
        spoilt = state.clone()
        spoilt[1] = torch.nan
        return spoilt

    probes = tiny_models.probes(3)
    with first_state(llava, poison), pytest.raises(ProbesFailed) as caught:
        record(llava, probes, max_new_tokens=2, batch_size=3)
    ((name, reason),) = caught.value.failures
    assert name == "probe-1"
    assert isinstance(reason, TraceError)
    assert "trace of probe 'probe-1': probability[0, 0] is nan" in str(reason)
    assert [t.asked.id for t in caught.value.traces] == ["probe-0", "probe-2"]
    assert passes == 2, "one prompt, one further step: nothing was recorded twice"
    for ours, theirs in zip(
        caught.value.traces, record(llava, probes, max_new_tokens=2)[::2], strict=True
    ):
        np.testing.assert_allclose(ours.probability, theirs.probability, atol=1e-4)


def test_a_replay_and_a_pair_with_nan_cost_no_other(llava: HookedModel) -> None:
    def poison(state: torch.Tensor) -> torch.Tensor | None:
        if len(state) < 3:  # the trial whether one pass is enough
            return None
        spoilt = state.clone()
        spoilt[2] = torch.inf
        return spoilt

    probes, texts = tiny_models.probes(3), [[50, 51], [52], [53, 54]]
    images = [p.image for p in probes]
    with first_state(llava, poison):
        for run in (
            lambda: replay(llava, probes, texts),
            lambda: record_pairs(llava, probes, texts, images, condition="none"),
        ):
            with pytest.raises(ProbesFailed, match="trace of probe 'probe-2'.*nan") as caught:
                run()
            assert [t.asked.id for t in caught.value.traces] == ["probe-0", "probe-1"]


def test_an_answer_that_ends_at_once_is_an_error_of_its_probe() -> None:
    model, processor = tiny_models.llava()
    probes = tiny_models.probes(6)
    with hook(model, processor) as plain:
        firsts = [int(t.token_ids[0]) for t in record(plain, probes, max_new_tokens=1)]
    mute = firsts[0]
    model.generation_config.eos_token_id = [mute]
    expected = [p.id for p, first in zip(probes, firsts, strict=True) if first == mute]
    with hook(model, processor) as hooked, pytest.raises(ProbesFailed) as caught:
        record(hooked, probes, max_new_tokens=3)
    assert [name for name, _ in caught.value.failures] == expected
    assert "probe 'probe-0', answer: it has no tokens" in str(caught.value)
    assert "ended its answer at once" in str(caught.value)
    assert len(caught.value.traces) == 6 - len(expected)


def test_a_model_that_emits_nothing_is_an_error_of_its_probe(
    llava: HookedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llava.model, "generate", lambda **_: None)
    with pytest.raises(
        RecordingError, match="probe 'probe-0', answer: it has no tokens.*emitted no token"
    ):
        record(llava, tiny_models.probes(1), max_new_tokens=3)


def test_a_batch_that_memory_cannot_hold_is_tried_in_halves(llava: HookedModel) -> None:
    sizes = []

    def limit(state: torch.Tensor) -> None:
        if state.shape[1] > 1:
            sizes.append(len(state))
        if len(state) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with first_state(llava, limit):
        traces = record(llava, tiny_models.probes(4), max_new_tokens=2, batch_size=4)
    assert sizes == [4, 2, 2]
    assert [t.asked.id for t in traces] == [f"probe-{i}" for i in range(4)]


def test_progress_does_not_count_a_failed_try(llava: HookedModel) -> None:
    told: list[Progress] = []

    def limit(state: torch.Tensor) -> None:
        if len(state) > 1 and state.shape[1] == 1:
            raise RuntimeError("not together")

    with first_state(llava, limit):
        traces = record(
            llava,
            tiny_models.probes(2),
            max_new_tokens=3,
            on_progress=told.append,
        )
    last = told[-1]
    assert (last.done, last.total, last.tokens) == (2, 2, sum(t.tokens for t in traces))


def test_what_concerns_every_probe_is_raised_once() -> None:
    model, _ = tiny_models.llava()
    tried = []

    def make(here: slice) -> list[Any]:
        tried.append(here)
        raise UnsupportedModel("no processor")

    with pytest.raises(UnsupportedModel):
        list(each_batch(tiny_models.probes(4), 2, make, []))
    assert len(tried) == 1
    with pytest.raises(UnsupportedModel, match="no processor"):
        record(hook(model), tiny_models.probes(3))


def test_an_answer_beyond_the_context_says_so() -> None:
    """Learned positions have an end, where the model says no more than that an index is out of range."""
    short = tiny_models.text_only("gpt2", max_position_embeddings=40)
    hooked = hook(*short)
    hooked.end_ids = frozenset()
    with pytest.raises(
        ProbesFailed, match="longer than the model's context: allow fewer"
    ) as caught:
        record(hooked, tiny_models.probes(1, images=False), max_new_tokens=60)
    assert "image" not in str(caught.value.failures[0][1])
