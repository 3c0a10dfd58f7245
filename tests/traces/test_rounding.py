"""How far rounding alone moves the last margin: other batches, other threads, the same tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import lvlm_audit
from lvlm_audit.errors import RecordingError, TraceError
from lvlm_audit.metrics.tokens import last_margin
from lvlm_audit.readings.rounding import rounding_reading
from lvlm_audit.recordings.rounding import MAX_PROBES, few
from lvlm_audit.traces import rounding_recorder
from lvlm_audit.traces.lens import LensReader
from lvlm_audit.traces.replaying import forced_states
from lvlm_audit.traces.rounding import RoundingTrace
from lvlm_audit.traces.rounding_recorder import (
    last_margins,
    other_threads,
    record_rounding,
    using_threads,
    ways,
)
from lvlm_audit.traces.trace import Asked
from tests import tiny_models
from tests.evidence import evidence_of

ASKED = Asked("p0", "What is it?", "p0")


def recorded(dtype: torch.dtype) -> tuple[list[RoundingTrace], list[lvlm_audit.Trace]]:
    model, processor = tiny_models.llava()
    with lvlm_audit.hook(model.to(dtype), processor, name="tiny") as hooked:
        probes = tiny_models.probes(3)
        answers = lvlm_audit.record(hooked, probes, max_new_tokens=6)
        margins = [last_margin(trace) for trace in answers]
        return record_rounding(hooked, probes, answers, margins, batch_size=8), answers


def test_float32_moves_it_a_little_and_bfloat16_much() -> None:
    exact, answers = recorded(torch.float32)
    coarse, _ = recorded(torch.bfloat16)
    floors = [max(float(one.spread.max()) for one in made) for made in (exact, coarse)]
    assert 0 < floors[0] < 1e-3 < floors[1]
    for one, answer in zip(exact, answers, strict=True):
        assert one.token_ids.tolist() == answer.token_ids.tolist()
        assert one.runs[0] == "as recorded, batch of 8"
        np.testing.assert_allclose(one.margins[0], last_margin(answer), rtol=1e-5, atol=1e-6)
        # Greedy answers lead at their last state, in every run.
        assert (one.margins > 0).all()


def test_margins_are_those_of_the_models_own_logits() -> None:
    model, processor = tiny_models.llava()
    with lvlm_audit.hook(model, processor, name="tiny") as hooked:
        (probe,) = tiny_models.probes(1)
        ids = [5, 17, 60]
        states, _ = forced_states(hooked, [probe], [ids])
        found = last_margins(LensReader(hooked.anatomy), states[0], ids)
        inputs = hooked.extended(hooked.inputs([probe]), [ids[:-1]])
        with torch.inference_mode():
            logits = model(**inputs).logits[0, -3:].double()
    for margin, row, emitted in zip(found, logits, ids, strict=True):
        others = torch.cat([row[:emitted], row[emitted + 1 :]])
        assert margin == pytest.approx(float(row[emitted] - others.max()) / np.log(2), abs=1e-3)


def test_threads_are_as_before_whatever_happens() -> None:
    before = torch.get_num_threads()
    with using_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(RecordingError), using_threads(before + 1):
        raise RecordingError("no")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("together", "threads", "other", "expected"),
    [
        (4, 1, 2, [(1, 1), (4, 1), (4, 2)]),
        (4, 1, None, [(1, 1), (4, 1)]),
        (4, 8, 1, [(1, 8), (4, 8), (4, 1)]),
        # One probe, or a batch size of one.
        (1, 2, 1, [(1, 2), (1, 1)]),
        # Not on a processor: threads change nothing.
        (4, None, None, [(1, None), (4, None)]),
    ],
)
def test_ways(
    together: int, threads: int | None, other: int | None, expected: list[tuple[int, int | None]]
) -> None:
    assert ways(together, threads, other) == expected


@pytest.mark.parametrize(
    ("threads", "load", "cores", "other"),
    [(1, 0.2, 2, 2), (1, 1.4, 2, None), (1, 30.0, 2, None), (8, 30.0, 8, 1), (None, 0.0, 8, None)],
)
def test_a_second_thread_is_asked_for_only_where_a_core_is_free(
    threads: int | None, load: float, cores: int, other: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert other_threads(threads) == other


def test_a_few_probes_are_chosen_by_their_ids_alone() -> None:
    ids = [f"p{i}" for i in range(20)]
    assert len(few(ids)) == MAX_PROBES
    assert few(ids) == few(ids[::-1])
    assert few(ids[:2]) == {"p0", "p1"}


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 5)),
        elements=st.floats(-126, 126, width=32),
    )
)
def test_the_floor_is_the_largest_difference_and_never_negative(margins: np.ndarray) -> None:
    trace = RoundingTrace(
        ASKED,
        np.arange(margins.shape[1]),
        tuple(f"run {i}" for i in range(len(margins))),
        margins,
    )
    by_hand = max(
        abs(float(a) - float(b))
        for t in range(margins.shape[1])
        for a in margins[:, t]
        for b in margins[:, t]
    )
    reading = rounding_reading(evidence_of("normed", [], rounding=[trace]))
    assert reading is not None
    assert reading.floor == pytest.approx(by_hand, rel=1e-6)
    assert reading.floor >= 0
    assert (reading.probes, reading.tokens) == (1, margins.shape[1])
    assert reading.runs == list(trace.runs)


def test_without_a_recording_there_is_no_floor() -> None:
    assert rounding_reading(evidence_of("normed", [])) is None


@pytest.mark.parametrize(
    "margins", [np.zeros((2, 3), np.float32), np.full((1, 3), np.nan, np.float32)]
)
def test_what_cannot_be_is_refused(margins: np.ndarray) -> None:
    with pytest.raises(TraceError, match="'p0'"):
        RoundingTrace(ASKED, np.arange(3), ("one",), margins)


def test_an_audit_records_it_keeps_it_and_says_what_was_fed(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    for part in tiny_models.llava():
        part.save_pretrained(tmp_path / "model")
    probes = tiny_models.probes(3)
    first, second = (
        lvlm_audit.audit(str(tmp_path / "model"), probes=probes, max_new_tokens=12)
        for _ in range(2)
    )
    assert first.rounding is not None
    assert 0 <= first.rounding.floor < 1e-3
    assert first.rounding.probes == 3
    assert second.provenance["traces_reused"] is True
    assert second.rounding == first.rounding
    assert first.fed["processor"]["channel_order"] == "RGB"
    assert second.fed == first.fed
    assert second.provenance["machine"] == first.provenance["machine"]
    assert first.provenance["machine"]["threads"] == torch.get_num_threads()
    assert [asked.id for asked in second.asked] == [probe.id for probe in probes]
    assert all(len(a.margins) == len(a.tokens) for a in first.asked)
    assert lvlm_audit.Audit.from_json(first.to_json()) == first


def test_where_it_cannot_be_recorded_the_answers_stand(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RecordingError("memory ran out")

    monkeypatch.setattr(rounding_recorder, "record_rounding", fails)
    model, processor = tiny_models.llava()
    with lvlm_audit.hook(model, processor, name="tiny") as hooked:
        audit = lvlm_audit.audit(hooked, probes=tiny_models.probes(2), max_new_tokens=12)
    assert audit.rounding is None
    assert len(audit.asked) == 2
