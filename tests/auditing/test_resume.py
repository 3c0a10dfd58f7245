"""A real run on a tiny checkpoint: what a failure keeps, and given answers as a mode of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.auditing.gather import gather
from lvlm_audit.auditing.subject import choose_probes, open_subject
from lvlm_audit.errors import ProbeError, ProbesFailed, TraceError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.readings.given import given_note
from lvlm_audit.recordings.need import Need
from lvlm_audit.settings.audit import Settings
from lvlm_audit.traces import recorder, store
from tests import tiny_models
from tests.synthetic import rising, trace

ALL = [Need("normed", "answers"), Need("normed", "answer pairs"), Need("normed", "reference pairs")]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("checkpoint")
    return tiny_models.save(tiny_models.llava(blocks=9, width=32), folder)


class Bench:
    """Runs the gatherer on probes in a file, and notes which probes the model was asked."""

    def __init__(self, folder: Path, checkpoint: Path) -> None:
        self.file = folder / "probes.jsonl"
        self.folder, self.checkpoint = folder, checkpoint
        self.asked: list[str] = []
        self.lines: list[dict[str, Any]] = []
        for i in range(6):
            (folder / f"{i}.png").write_bytes(tiny_models.picture(i, (30 + 9 * i, 40)).read())
            self.lines.append({"image": f"{i}.png", "prompt": "What?", "answer": f"It is {i}."})

    def run(self, needs: list[Need] = ALL, **settings: Any) -> Any:
        self.asked.clear()
        self.file.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        chosen = Settings(
            model=str(self.checkpoint), probes=self.file, max_new_tokens=3, batch_size=3, **settings
        )
        checkpoint, is_demo = open_subject(chosen)
        return gather(chosen, needs, checkpoint, choose_probes(chosen, is_demo))


@pytest.fixture
def bench(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    made = Bench(tmp_path, checkpoint)
    original = HookedModel.inputs

    def inputs(self: HookedModel, probes: Any, *rest: Any) -> Any:
        made.asked += [p.id for p in probes if p.id != "sample"]
        if any(p.prompt == "FAIL" for p in probes):
            raise RuntimeError("the model fails on this one")
        return original(self, probes, *rest)

    monkeypatch.setattr(HookedModel, "inputs", inputs)
    return made


def parts_left(bench: Bench) -> int:
    return len(list((bench.folder / "cache" / "traces" / "parts").glob("*/*/recording.json")))


@pytest.mark.parametrize("remedy", ["drop", "mend"])
def test_after_a_failure_only_what_is_missing_is_recorded(bench: Bench, remedy: str) -> None:
    bench.lines[4]["prompt"] = "FAIL"
    with pytest.raises(ProbesFailed, match=r"1 of 6 .*'4': RuntimeError: the model fails on this"):
        bench.run()
    assert parts_left(bench) == 5
    if remedy == "drop":
        del bench.lines[4]
    else:
        bench.lines[4]["prompt"] = "Well?"
    answers = bench.run(ALL[:1]).evidence["normed"].traces
    assert bench.asked == ([] if remedy == "drop" else ["4"])
    assert [t.asked.id for t in answers] == [line["image"][0] for line in bench.lines]
    assert parts_left(bench) == 0, "the whole recording is stored"
    bench.run(ALL[:1])
    assert bench.asked == []


def test_a_resumed_recording_is_the_same_as_one_without_a_break(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the second batch."""
    generate = recorder.generate
    calls = 0

    def interrupted(*args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        generate(*args, **kwargs)

    monkeypatch.setattr(recorder, "generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert parts_left(bench) == 3
    resumed = bench.run().evidence["normed"]
    assert calls == 3, "one batch more"
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(bench.folder / "other"))
    whole = bench.run().evidence["normed"]
    for one, two in zip(resumed.traces, whole.traces, strict=True):
        assert (one.probability == two.probability).all()
        assert (one.distractor_ids == two.distractor_ids).all()
    for one, two in zip(
        resumed.named("answer pairs").items, whole.named("answer pairs").items, strict=True
    ):
        assert (one.divergence == two.divergence).all()


def test_a_reference_that_cannot_be_aligned_costs_no_other_pair(bench: Bench) -> None:
    bench.lines[1]["answer"] = "<image>"
    with pytest.raises(ProbesFailed, match="probe '1', answer: '<image>' holds the control token"):
        bench.run()
    assert parts_left(bench) == 5
    bench.lines[1]["answer"] = "A cat."
    evidence = bench.run().evidence["normed"]
    assert len(evidence.named("reference pairs").items) == 6


def test_a_store_of_a_newer_schema_is_named_and_left_alone(bench: Bench) -> None:
    bench.run(ALL[:1])
    (path,) = (bench.folder / "cache" / "traces").glob("*/recording.json")
    document = json.loads(path.read_text())
    document["schema_version"] = 99
    path.write_text(json.dumps(document))
    before = {p: p.read_bytes() for p in path.parent.iterdir()}
    with pytest.raises(TraceError, match="schema version 99.*newer.*Upgrade lvlm_audit") as caught:
        bench.run(ALL[:1])
    assert repr(str(path.parent)) in str(caught.value)
    assert {p: p.read_bytes() for p in path.parent.iterdir()} == before
    with pytest.raises(TraceError, match="newer"):
        store.load(path.parent)


def test_given_answers_are_replayed_and_told_apart(bench: Bench) -> None:
    given = bench.run(answers="reference").evidence["normed"]
    assert [t.answer.strip() for t in given.traces] == [f"It is {i}." for i in range(6)]
    assert all(t.given for t in given.traces)
    assert [p.token_ids.tolist() for p in given.named("answer pairs").items] == [
        t.token_ids.tolist() for t in given.traces
    ]
    generated = bench.run().evidence["normed"].traces
    assert bench.asked, "another mode is another recording"
    assert not any(t.given for t in generated)
    assert given_note(generated) == ""
    leading = sum(
        int(t.leader[i, -1] == t.token_ids[i]) for t in given.traces for i in range(t.tokens)
    )
    tokens = sum(t.tokens for t in given.traces)
    assert f"({leading} of {tokens} do" in given_note(given.traces)
    stored = bench.run(answers="reference").evidence["normed"].traces
    assert all(t.given for t in stored)
    assert [t.asked for t in stored] == [t.asked for t in given.traces]
    assert all(t.asked.image_tokens == 4 for t in stored)


def test_probes_without_answer_are_named_before_the_model_is_opened(bench: Bench) -> None:
    del bench.lines[2]["answer"]
    bench.lines[5]["answer"] = None
    with pytest.raises(ProbeError, match=r"2 of 6 probes have none: '2', '5'\. Give them"):
        bench.run(answers="reference")
    assert bench.asked == []


def test_an_audit_of_traces_says_which_answers_were_given() -> None:
    import dataclasses

    import lvlm_audit

    generated = [trace(rising(), name=f"p{i}") for i in range(3)]
    given = [dataclasses.replace(t, given=True) for t in generated]
    suite = lvlm_audit.suite()
    audit = lvlm_audit.run(suite, given)
    assert audit.subject.answers == "given"
    assert audit.subject.note.startswith("The answers were given and replayed, not generated")
    assert lvlm_audit.run(suite, generated).subject.answers == "generated"
    mixed = lvlm_audit.run(suite, [*generated[:2], given[2]])
    assert mixed.subject.note.startswith("1 of 3 answers were given")


def test_the_log_says_what_was_recorded_and_what_was_kept(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    said = []
    for needs in (ALL[:1], ALL[:2]):
        with caplog.at_level("INFO", logger="lvlm_audit"):
            bench.run(needs)
        lines = [record.getMessage() for record in caplog.records]
        said += [re.sub(r"[\d.]+ s$", "N s", line) for line in lines if "(normed)" in line]
        caplog.clear()
    assert said == [
        "answers (normed): recorded in N s",
        "answers (normed): out of the store",
        "answer pairs (normed): recorded in N s",
    ]
