"""What an unfinished recording keeps, and that only the rest is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lvlm_audit.errors import TraceError
from lvlm_audit.traces import store
from lvlm_audit.traces.parts import Parts
from lvlm_audit.traces.trace import Trace
from tests.synthetic import rising, trace
from tests.tiny_models import probes


class Maker:
    """Records what it was asked for; stops at a position with an error."""

    def __init__(self, asked: list, stop: BaseException | None = None, at: int = -1) -> None:
        self.asked, self.stop, self.at = asked, stop, at
        self.made: list[int] = []

    def __call__(self, missing: list[int]) -> Iterator[Trace]:
        for i in missing:
            if i == self.at and self.stop is not None:
                raise self.stop
            self.made.append(i)
            yield trace(rising(), name=self.asked[i].id)


@pytest.mark.parametrize("error", [TraceError("bad"), KeyboardInterrupt(), MemoryError()])
def test_what_was_made_before_an_error_is_not_made_again(
    tmp_path: Path, error: BaseException
) -> None:
    asked = probes(5)
    with pytest.raises(type(error)):
        Parts(tmp_path).completed(asked, Maker(asked, error, at=3))
    again = Maker(asked)
    items = Parts(tmp_path).completed(asked, again)
    assert again.made == [3, 4]
    assert [i.asked.id for i in items] == [p.id for p in asked]
    third = Maker(asked)
    Parts(tmp_path).completed(asked, third)
    assert third.made == []


def test_a_dropped_or_mended_probe_costs_no_other(tmp_path: Path) -> None:
    asked = probes(4)
    with pytest.raises(TraceError):
        Parts(tmp_path).completed(asked, Maker(asked, TraceError("bad"), at=3))
    dropped = Maker(asked[:3])
    Parts(tmp_path).completed(asked[:3], dropped)
    assert dropped.made == []
    mended = [asked[0], replace(asked[1], prompt="Another?"), asked[2]]
    again = Maker(mended)
    assert [i.asked.id for i in Parts(tmp_path).completed(mended, again)] == [p.id for p in mended]
    assert again.made == [1]


def test_another_condition_is_another_part(tmp_path: Path) -> None:
    asked = probes(2)
    Parts(tmp_path).completed(asked, Maker(asked), conditions=[[1, "a"], [2, "b"]])
    again = Maker(asked)
    Parts(tmp_path).completed(asked, again, conditions=[[1, "a"], [2, "c"]])
    assert again.made == [1]


def test_parts_are_discarded_but_not_those_of_others(tmp_path: Path) -> None:
    asked = probes(3)
    Parts(tmp_path).completed(asked[:1], Maker(asked))
    mine = Parts(tmp_path)
    mine.completed(asked[1:], Maker(asked[1:]))
    mine.discard()
    again = Maker(asked)
    Parts(tmp_path).completed(asked, again)
    assert again.made == [1, 2]


def test_a_damaged_part_is_made_again(tmp_path: Path) -> None:
    asked = probes(2)
    Parts(tmp_path).completed(asked, Maker(asked))
    damaged = sorted(tmp_path.glob("*/recording.json"))[0]
    damaged.write_text("{")
    again = Maker(asked)
    Parts(tmp_path).completed(asked, again)
    assert len(again.made) == 1
    assert all(len(store.load(f.parent).items) == 1 for f in tmp_path.glob("*/recording.json"))


def test_a_part_that_another_process_kept_meanwhile_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = probes(1)
    save = store.save

    def raced(folder: Path, recording: store.Recording) -> None:
        save(folder, recording)
        raise TraceError("cannot store traces: the folder is not empty")

    monkeypatch.setattr(store, "save", raced)
    (item,) = Parts(tmp_path).completed(asked, Maker(asked))
    assert item.asked.id == "probe-0"


def test_a_part_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    asked = probes(1)
    with pytest.raises(TraceError, match="LVLM_AUDIT_CACHE"):
        Parts(tmp_path / "file" / "x").completed(asked, Maker(asked))
