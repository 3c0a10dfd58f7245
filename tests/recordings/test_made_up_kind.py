"""A kind of recording that nobody has thought of yet: one class, one declaration, one registration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lvlm_audit.auditing.gather import gather
from lvlm_audit.auditing.plan import plan
from lvlm_audit.auditing.subject import choose_probes, open_subject
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.kind import ALWAYS, Kind
from lvlm_audit.recordings.need import Need
from lvlm_audit.recordings.registry import KINDS
from lvlm_audit.settings.audit import Settings
from lvlm_audit.traces import store
from lvlm_audit.traces.items import ITEMS, array_fields, stored
from lvlm_audit.traces.trace import Asked, Trace
from tests import tiny_models


class Mood(StrEnum):
    SHORT = "short"
    LONG = "long"


@stored
@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """How long the pieces of an answer are, with a field of every type that items have."""

    asked: Asked
    characters: npt.NDArray[np.int64]
    moods: tuple[Mood, ...]
    span: tuple[int, str]
    by_length: Mapping[int, str]
    counts: dict[str, int]
    last: Mood | None
    probability: npt.NDArray[np.float32] | None = None
    missing: npt.NDArray[np.float32] | None = None
    note: str | None = None


asked_for: list[str] = []


def make(job: Job) -> Sequence[Lengths]:
    asked_for.append(job.need.kind)
    return [lengths(trace) for trace in job.recorded(ANSWERS)]


def lengths(trace: Trace) -> Lengths:
    sizes = [len(text) for text in trace.token_texts]
    return Lengths(
        asked=trace.asked,
        characters=np.array(sizes),
        moods=tuple(Mood.LONG if n > 3 else Mood.SHORT for n in sizes),
        span=(max(sizes), "characters"),
        by_length=dict(zip(sizes, trace.token_texts, strict=True)),
        counts={"ü": len(sizes)},
        last=Mood.SHORT,
        probability=trace.probability[:, -1],
    )


LENGTHS = Kind(
    name="lengths", item=Lengths, make=make, after=("answers",), wanted=lambda asked: ALWAYS
)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(KINDS, LENGTHS.name, LENGTHS)  # type: ignore[arg-type]
    tiny_models.save(tiny_models.llava(blocks=3, width=32), tmp_path / "model")
    (tmp_path / "photos").mkdir()
    for i in range(2):
        (tmp_path / "photos" / f"{i}.png").write_bytes(tiny_models.picture(i).read())
    asked_for.clear()
    return Settings(
        model=str(tmp_path / "model"), probes=tmp_path / "photos", max_new_tokens=3, batch_size=2
    )


def same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert type(a) is type(b), field.name
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, err_msg=field.name)
        else:
            assert a == b, field.name


def test_it_is_planned_recorded_kept_and_read_like_ours(registered: Settings) -> None:
    needs = plan([], "normed", states=False)
    assert needs == [Need("normed", "answers"), Need("normed", "lengths")]
    checkpoint, is_demo = open_subject(registered)
    probes = choose_probes(registered, is_demo)
    first, second = (gather(registered, needs, checkpoint, probes) for _ in range(2))
    assert asked_for == ["lengths"]
    assert (first.provenance["traces_reused"], second.provenance["traces_reused"]) == (False, True)
    evidence = second.evidence["normed"]
    made = [lengths(trace) for trace in evidence.traces]
    assert len(made) == 2
    for one, other in zip(made, evidence.of(LENGTHS), strict=True):
        same(one, other)
        assert other.missing is None
        assert type(other.moods[0]) is Mood


def test_arrays_are_told_by_their_annotation() -> None:
    assert array_fields(Lengths) == ("characters", "probability", "missing")
    for kind in KINDS.values():
        assert ITEMS[kind.item.__name__] is kind.item
        assert array_fields(kind.item)


def test_what_the_store_does_not_know_is_no_kind() -> None:
    @dataclasses.dataclass
    class Stranger:
        asked: Asked

    with pytest.raises(TypeError, match="Stranger of 'x' is not marked as @stored"):
        Kind(name="x", item=Stranger)
    with pytest.raises(TypeError, match="is the name of .*Lengths too"):
        stored(dataclasses.make_dataclass("Lengths", ["asked"]))
    with pytest.raises(TypeError, match="Mood is no dataclass"):
        stored(Mood)


def test_a_recording_without_items_is_one(tmp_path: Path) -> None:
    store.save(tmp_path / "x", store.Recording([], {"seconds": 0}))
    assert list(store.load(tmp_path / "x").items) == []
