"""An audit that decodes its labelled probes anew: what is recorded, reused, refused and written down."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit import suite
from lvlm_audit.auditing.gather import gather
from lvlm_audit.auditing.plan import plan
from lvlm_audit.auditing.run import audit_model
from lvlm_audit.auditing.subject import choose_probes, open_subject
from lvlm_audit.errors import ProbeError
from lvlm_audit.hallucination.corrections import Plain, compare_answers
from lvlm_audit.interventions.named import Skip
from lvlm_audit.interventions.redecoding import iter_redecoded
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import load
from lvlm_audit.probes.readers import read_probes
from lvlm_audit.readings.corrections import corrections_of
from lvlm_audit.recordings.need import Need
from lvlm_audit.recordings.redecoded import decodings
from lvlm_audit.settings.audit import Settings
from lvlm_audit.traces.recorder import record
from tests import tiny_models

TOKENS = 8


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("checkpoint")
    return tiny_models.save(tiny_models.llava(blocks=10, width=32), folder)


@pytest.fixture(scope="module")
def probes(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words that the tiny model says are called untrue of every second image; one probe has no label."""
    folder: Path = tmp_path_factory.mktemp("probes")
    lines: list[dict[str, Any]] = []
    for i in range(8):
        (folder / f"{i}.png").write_bytes(tiny_models.picture(i, (30 + 9 * i, 40)).read())
        lines.append({"image": f"{i}.png", "prompt": f"What is {i}?"})
    file = folder / "probes.jsonl"
    _write(file, lines)
    with load(str(checkpoint)) as model:
        said = [t.answer for t in record(model, read_probes(file), max_new_tokens=TOKENS)]
    for i, (line, answer) in enumerate(zip(lines, said, strict=True)):
        words = re.findall(r"[a-zA-Z]{2,}", answer)
        if i and words:
            line["labels"] = {("hallucinated", "grounded")[i % 2]: words[:2]}
    assert sum("labels" in line for line in lines) >= 5
    _write(file, lines)
    return file


def _write(file: Path, lines: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def settings(
    checkpoint: Path, probes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    return Settings(
        model=str(checkpoint), probes=probes, max_new_tokens=TOKENS, batch_size=3, redecode=True
    )


def gathered(settings: Settings) -> Any:
    needs = plan([], "normed", states=False, redecode=True)
    checkpoint, is_demo = open_subject(settings)
    return gather(settings, needs, checkpoint, choose_probes(settings, is_demo))


def test_it_is_recorded_on_request_after_the_answers():
    assert plan([], "normed", states=False, redecode=True) == [
        Need("normed", "answers"),
        Need("normed", "effects", Skip("skip.2")),
        Need("normed", "effects", Skip("skip.2", "paper")),
        Need("normed", "redecoded"),
    ]
    assert not any(n.kind == "redecoded" for n in plan(suite().checks, "normed"))


def test_the_reading_is_what_each_decoding_says_by_itself(settings, checkpoint, probes):
    evidence = gathered(settings).evidence["normed"]
    labelled = [t for t in evidence.traces if t.asked.labels]
    assert 0 < len(labelled) < len(evidence.traces)
    reading = corrections_of(evidence)
    assert reading is not None
    names = ["skip.2", "skip.2 at the paper's depth", "DoLa low", "DoLa high", "DeCo"]
    assert [one.intervention for one in reading.interventions] == names
    with load(str(checkpoint)) as model:
        asked = [p for p in read_probes(probes) if p.labels]
        for decoding, one in zip(decodings(), reading.interventions[2:], strict=True):
            again = [
                Plain(found.asked, found.answer)
                for found in iter_redecoded(
                    model, asked, decoding, max_new_tokens=TOKENS, batch_size=3
                )
            ]
            by_hand = compare_answers(evidence.traces, again)
            assert one.answers == by_hand.answers == len(asked)
            assert one.changed_answers == len(by_hand.differing)
            assert one.hallucinated_gone == by_hand.count("gone", hallucinated=True)
            assert one.kept == by_hand.count("kept", hallucinated=True)
            assert one.corrected is not None
            assert one.corrected.n == reading.hallucinated > 0
    # What decodings change nothing of would make this test an empty one.
    assert any(one.changed_answers for one in reading.interventions[2:])
    paper = reading.interventions[1]
    assert paper.blocks == [
        list(next(iter(evidence.effects[Skip("skip.2", "paper")].items)).blocks)
    ]
    assert paper.answers == len(evidence.traces)


def test_a_second_run_asks_nobody(settings, monkeypatch):
    first = gathered(settings).evidence["normed"]

    def inputs(*_: Any) -> None:
        raise AssertionError("the model was asked again")

    monkeypatch.setattr(HookedModel, "inputs", inputs)
    again = gathered(settings).evidence["normed"]
    said = [
        [one.answer for one in evidence.named("redecoded").items] for evidence in (again, first)
    ]
    assert said[0] == said[1]
    assert corrections_of(again) == corrections_of(first)


def test_without_labels_it_is_refused(settings, tmp_path):
    (tmp_path / "0.png").write_bytes(tiny_models.picture().read())
    file = tmp_path / "bare.jsonl"
    _write(file, [{"image": "0.png", "prompt": "What?", "labels": {"kind": "color"}}])
    bare = Settings(model=settings.model, probes=file, redecode=True)
    with pytest.raises(ProbeError, match="no probe's 'labels' say what is true"):
        audit_model(suite(), bare)
