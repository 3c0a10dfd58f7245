"""The document's reading of hidden states, from states made by hand; and which states are recorded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import lvlm_audit
from lvlm_audit.document import Audit
from lvlm_audit.models.opening import hook
from lvlm_audit.probes.controlled import under_control
from lvlm_audit.probes.probe import Probe
from lvlm_audit.readings.geometry import feature_reading
from lvlm_audit.recordings.job import Job
from lvlm_audit.recordings.need import Need
from lvlm_audit.recordings.registry import KINDS
from lvlm_audit.settings.audit import Settings
from lvlm_audit.traces.features import FeatureMap
from lvlm_audit.traces.parts import Parts
from lvlm_audit.traces.store import Recording
from tests import synthetic, tiny_models
from tests.evidence import evidence_of
from tests.test_feature_level import TestGuitar, fanning, features

ANSWERS = [features(fanning(k), f"p{k}") for k in range(6)]
IMAGES = TestGuitar.images(8)


@pytest.fixture(scope="module")
def audit() -> Audit:
    traces = [synthetic.trace(synthetic.rising(12, 7), name=f"p{k}") for k in range(6)]
    return lvlm_audit.run(
        lvlm_audit.suite(), traces, recorded={"features": ANSWERS, "common step": IMAGES}
    )


def test_everything_is_there_and_survives_the_file(audit):
    assert audit.features is not None
    curves = {c.name: c for c in audit.features.curves}
    assert set(curves) == {
        "spread of an answer's tokens",
        "angle between neighbouring states",
        "cosine distance between neighbours",
        "debiased CKA to the next state",
        "debiased CKA to the final state",
    }
    for curve in curves.values():
        size = 12 if curve.axis == "transition" else 13
        assert len(curve.median) == len(curve.low) == len(curve.high) == size
    assert (audit.features.images, audit.features.tokens) == (6, 36)
    level = next(one for one in audit.stages.levels if one.name == "feature")
    assert (level.pattern, level.critical.state) == ("fan-out", 7)
    assert audit.stages.levels_agree is True
    assert [m.of for m in audit.features.maps] == ["tokens", "images"]
    assert Audit.from_json(audit.to_json()) == audit


def test_the_guitar_is_in_the_document(audit):
    step = audit.features.common_step
    assert (step.pattern, step.fan_out, step.images) == ("fan-out", 7, 8)
    assert step.neck_interval.low <= step.neck <= step.neck_interval.high
    assert step.words == {" blue": 8}
    spread, angle, cka = step.curves
    assert spread.median[0] == pytest.approx(0, abs=1e-6)
    assert len(angle.median) == 12
    # All images read one word at state 0: nothing lies there that could resemble anything.
    assert (cka.median[0], cka.median[-1]) == (None, 1.0)


def test_few_images_and_none():
    reading = feature_reading(
        evidence_of("normed", (), features=ANSWERS[:2], common_step=IMAGES[:3])
    )
    assert reading.continuity_interval.method == "full range"
    assert reading.common_step.pattern == "inconclusive"
    assert reading.common_step.curves[0].low == [None] * 13
    assert feature_reading(evidence_of("normed", ())) is None


def test_several_answers_about_one_image_weigh_as_one():
    twins = [features(fanning(0), f"q{k}", cluster="p0") for k in range(20)]
    alone = feature_reading(evidence_of("normed", (), features=ANSWERS))
    beside = feature_reading(evidence_of("normed", (), features=[*ANSWERS, *twins]))
    assert (beside.images, beside.tokens) == (6, 36 + 20 * 6)
    assert (beside.curves, beside.continuity) == (alone.curves, alone.continuity)


def test_maps_keep_their_proportions():
    points = np.zeros((2, 3, 2), np.float32)
    points[1, 2] = [4, 2]
    drawn = FeatureMap(ANSWERS[0].asked, "tokens", ("a", "b"), points, 0.5, points, 5.0)
    reading = feature_reading(evidence_of("normed", (), features=ANSWERS, feature_maps=[drawn]))
    plane = reading.maps[0].planes[0]
    assert plane.x == [[0, 0, 0], [0, 0, 1000]]
    assert plane.y == [[0, 0, 0], [0, 0, 500]]
    assert plane.note == "50% of the variance"


class TestRecording:
    """What the default audit keeps is bounded, whatever the probes."""

    @pytest.fixture(scope="class")
    @classmethod
    def job(cls, tmp_path_factory):
        probes = [
            Probe(f"probe-{i}", f"Is it {i % 7}?", tiny_models.picture(i), f"image-{i}")
            for i in range(30)
        ]
        more = [dataclasses.replace(p, id=p.id + "b", prompt="What?") for p in probes]
        model = hook(*tiny_models.llava(blocks=9, width=32))
        job = Job(
            model=model,
            shown=under_control([*probes, *more], None),
            settings=Settings(max_new_tokens=3),
            need=Need("normed", "answers"),
            done={},
            on_progress=lambda *_: None,
            parts=Parts(tmp_path_factory.mktemp("parts")),
        )
        done = {}
        for kind in ("answers", "features", "common step", "feature maps"):
            need = Need("normed", kind)
            done[need] = Recording(
                KINDS[kind].make(dataclasses.replace(job, need=need, done=done)), {}
            )
        return {need.kind: recording.items for need, recording in done.items()}

    def test_one_answer_of_each_of_the_first_images(self, job):
        kept = job["features"]
        assert [one.asked.id for one in kept] == [f"probe-{i}" for i in range(12)]
        for one, trace in zip(kept, job["answers"][:12], strict=True):
            np.testing.assert_array_equal(one.token_ids, trace.token_ids)

    def test_one_step_of_a_bounded_number_of_images(self, job):
        step = job["common step"]
        assert len({one.asked.cluster for one in step}) == len(step) == 24
        # "What?" was asked of every image, each other question of a few.
        assert {one.asked.prompt for one in step} == {"What?"}

    def test_maps_of_a_bounded_number_of_points(self, job):
        tokens, images = job["feature maps"]
        assert (tokens.of, images.of) == ("tokens", "images")
        assert len(images.labels) == 24
        assert images.tsne.shape == (24, 10, 2)
