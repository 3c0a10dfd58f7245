"""The noise floor, against variances known beforehand and a simulation of what it claims."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy import stats

from lvlm_audit import Check, Severity, Stage, at_least, at_most
from lvlm_audit.auditing import calibrate as module
from lvlm_audit.auditing.calibrate import between, calibrate, floor, within
from lvlm_audit.auditing.gather import Gathered
from lvlm_audit.errors import UsageError
from lvlm_audit.metrics.curves import image_divergence, token_probability
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.properties import Rise, Value
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.settings.audit import Settings
from lvlm_audit.spec.suite import Suite
from lvlm_audit.traces.trace import Trace
from tests import tiny_models
from tests.evidence import evidence_of
from tests.synthetic import pair, rising, trace


def check(name: str = "end", **fields) -> Check:
    base = {
        "statement": "It holds.",
        "stage": Stage.RAPID_EVOLUTION,
        "metric": token_probability,
        "property": Value(),
        "holds_for": at_least(0.5, of="mean"),
        "rationale": "A test.",
        "name": name,
    }
    return Check(**{**base, **fields})


def answers(values, start: int = 0) -> list[Trace]:
    return [trace([0.0] * 12 + [float(v)], name=f"p{start + i:03}") for i, v in enumerate(values)]


def evidence(values) -> Evidence:
    return evidence_of("normed", answers(values))


def test_between_fresh_sets_the_deviation_is_the_ordinary_one() -> None:
    noise = between(check(), [evidence([v] * 6) for v in (0.4, 0.5, 0.6)])
    assert noise.observed == pytest.approx(0.5)
    assert noise.deviation == pytest.approx(0.1)
    assert (noise.freedom, noise.rounds, noise.images) == (2, 3, 6.0)


@pytest.mark.parametrize("n", [12, 13, 24])
def test_halves_recover_the_standard_error_of_the_whole(n: int) -> None:
    """Of a mean that is s / sqrt(n), whether or not n is even."""
    values = np.random.default_rng(n).uniform(0.2, 0.9, n)
    noise = within(check(), evidence(values), 400, seed=0)
    assert noise.observed == pytest.approx(values.mean(), abs=1e-6)
    assert noise.deviation == pytest.approx(values.std(ddof=1) / math.sqrt(n), rel=0.12)
    assert (noise.freedom, noise.rounds, noise.images) == (n - 1, 400, float(n))


def test_the_floor_holds_95_of_100_differences_between_audits() -> None:
    """Calibrated on one audit each, tested on the difference between two fresh ones."""
    rng = np.random.default_rng(1)
    within_floor, draws = 0, 50
    for k in range(draws):
        sets = [rng.beta(4, 4, 16) for _ in range(3)]
        noise = within(check(), evidence(sets[0]), 25, seed=k)
        size = floor(check(), noise).floor
        within_floor += abs(sets[1].mean() - sets[2].mean()) <= size
    # Four standard errors of 50 draws around 95 %.
    assert within_floor / draws >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / draws)


def test_the_floor_by_hand() -> None:
    found = floor(check(), module.Noise(0.62, 0.02, 3, 4, 48.0))
    assert found.floor == pytest.approx(stats.t.ppf(0.975, 3) * math.sqrt(2) * 0.02, rel=1e-3)
    assert found.margin == pytest.approx(0.12)
    assert found.in_floors == pytest.approx(0.12 / found.floor)
    assert not found.inside


@pytest.mark.parametrize(
    ("bound", "margin", "inside"),
    [
        (at_least(0.60, of="mean"), 0.02, True),
        (at_least(0.64, of="mean"), -0.02, True),
        (at_most(0.60, of="mean"), -0.02, True),
        (at_most(0.90, of="mean"), 0.28, False),
    ],
)
def test_a_bound_within_the_floor_warns_from_either_side(bound, margin, inside) -> None:
    found = floor(check(holds_for=bound), module.Noise(0.62, 0.02, 3, 4, 48.0))
    assert (found.margin, found.inside) == (pytest.approx(margin), inside)


def test_what_never_differs_has_no_floor_in_units_of_which_to_speak() -> None:
    found = floor(check(), within(check(), evidence([0.7] * 12), 20, seed=0))
    assert (found.floor, found.in_floors, found.inside) == (pytest.approx(0.0), None, False)


def test_a_check_without_evidence_has_no_floor() -> None:
    image = check(metric=image_divergence, tokens="content")
    for noise in (
        within(image, evidence([0.5] * 12), 20, seed=0),
        between(image, [evidence([0.5] * 6)] * 2),
    ):
        found = floor(image, noise)
        assert (found.observed, found.floor, found.margin, found.inside) == (
            None,
            None,
            None,
            False,
        )


def test_halves_take_the_paired_replays_of_their_images_along() -> None:
    image = check(metric=image_divergence, tokens="content", holds_for=at_least(0.05, of="mean"))
    values = np.linspace(0.1, 0.6, 12)
    both = evidence_of(
        "normed",
        answers([0.5] * 12),
        [pair([0.0, float(v)], name=f"p{i:03}") for i, v in enumerate(values)],
    )
    noise = within(image, both, 300, seed=3)
    assert noise.deviation == pytest.approx(values.std(ddof=1) / math.sqrt(12), rel=0.15)


SOMEBODYS = Checkpoint("somebody/model", "hub", hub_id="somebody/model")
SUITE = Suite(
    "test", (check("end"), check("rises", property=Rise(), holds_for=at_least(0.5, of="images")))
)


def gathered(traces: list[Trace]) -> Gathered:
    return Gathered(
        {"normed": evidence_of("normed", traces)}, {}, {"probes": "x"}, "somebody/model"
    )


@pytest.fixture
def asked(monkeypatch):
    """Recording is another test's business: here every probe is answered at once."""
    sets = []

    def answer(_settings, _needs, _checkpoint, probes, *, keep, on_progress=None):
        assert keep
        sets.append([p.cluster for p in probes])
        rng = np.random.default_rng(len(sets))
        return gathered(
            [
                trace(rising(top=t), name=p.id, cluster=p.cluster)
                for p, t in zip(probes, rng.uniform(0.6, 0.9, len(probes)), strict=True)
            ]
        )

    monkeypatch.setattr(module, "gather", answer)
    return sets


def test_the_demo_model_is_asked_fresh_scenes_each_round(asked, monkeypatch) -> None:
    monkeypatch.setattr(module, "open_subject", lambda *_: (SOMEBODYS, True))
    found = calibrate(SUITE, Settings(), rounds=3)
    assert (found.method, found.rounds) == ("fresh probes", 3)
    assert len(asked) == 3
    assert not set(asked[0]) & set(asked[1])
    assert [f.check for f in found.floors] == ["end", "rises"]
    assert found.floors[0].rounds == 3
    again = json.loads(found.to_json())
    assert again["schema"] == "lvlm_audit/calibration"
    assert again["floors"][0]["bound"] == {"op": ">=", "value": 0.5, "unit": "probability"}
    assert again["floors"][0]["severity"] == Severity.ERROR


def test_any_other_set_is_recorded_once_and_halved(asked, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(module, "open_subject", lambda *_: (SOMEBODYS, False))
    found = calibrate(SUITE, Settings(), rounds=20)
    assert (found.method, found.rounds, len(asked)) == ("halves of one probe set", 20, 1)
    assert found.floors[0].images == 96  # Pictures, not questions.
    found.save(tmp_path / "floor.json")
    assert json.loads((tmp_path / "floor.json").read_text(encoding="utf-8"))["rounds"] == 20


def test_too_few_rounds_or_images_are_refused(asked, monkeypatch) -> None:
    monkeypatch.setattr(module, "open_subject", lambda *_: (SOMEBODYS, False))
    with pytest.raises(UsageError, match="rounds 1 shows no difference"):
        calibrate(SUITE, Settings(), rounds=1)
    nine = module.demo_probes(9)
    monkeypatch.setattr(module, "choose_probes", lambda *_: nine)
    with pytest.raises(UsageError, match="9 images cannot be halved"):
        calibrate(SUITE, Settings())
    assert asked == []


def test_images_that_are_not_shown_are_not_counted(asked, monkeypatch) -> None:
    """12 pictures, but 2 questions: without the pictures they are 2 answers, whose halves agree."""
    monkeypatch.setattr(module, "open_subject", lambda *_: (SOMEBODYS, False))
    probes = [
        dataclasses.replace(tiny_models.probes(12)[i], prompt=f"Question {i % 2}?")
        for i in range(12)
    ]
    monkeypatch.setattr(module, "choose_probes", lambda *_: probes)
    # A text-only decoder, which nobody had to ask for a control.
    monkeypatch.setattr(module, "without_eyes", lambda *_: True)
    with pytest.raises(UsageError, match="^2 distinct prompts cannot be halved.*at least 10"):
        calibrate(SUITE, Settings())
    assert asked == []
    monkeypatch.setattr(module, "without_eyes", lambda *_: False)
    assert calibrate(SUITE, Settings(), rounds=5).floors[0].images == 12
    with pytest.raises(UsageError, match="^2 distinct prompts"):
        calibrate(SUITE, Settings(control="blank-image"))
