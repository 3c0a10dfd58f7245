"""What moved and is not judged: simultaneous intervals, nodes of tokens, and where in the depth it starts."""

from __future__ import annotations

import dataclasses
import random

import pytest

from lvlm_audit.comparing import compare, completed, decide
from lvlm_audit.document import Audit, Outcome
from lvlm_audit.settings.gate import Gate
from tests.comparing.sides import advantage, answers, by_image, finding, right, side
from tests.report import documents

IMAGES = 12


def reading(number: int, *, blocks: int = 10, shift: float = 0.0, late: bool = False):
    """One probe of one content token, whose curve moves from a state on."""
    noise = random.Random(number)
    probe = documents.probe(number, blocks, tokens=1)
    (token,) = probe.tokens
    curve = [0.05 * j + noise.uniform(0, 0.01) for j in range(blocks + 1)]
    moved = [v - shift * (1 + noise.random()) * (j >= 6) for j, v in enumerate(curve)]
    token = dataclasses.replace(
        token,
        kind="content",
        eligible=True,
        probability=moved,
        critical=6 + (number % 2) + late,
        settle=8,
        mutations=[9] if late else [],
        without_image=[0.0] * blocks + [0.4 if late else 0.8],
        divergence=[0.1] * blocks,
        grounding=None,
    )
    token.without_image[blocks - 1] = 0.8
    return dataclasses.replace(probe, cluster=f"i{number:02d}", tokens=[token])


def document(blocks: int = 10, **how) -> Audit:
    probes = [reading(i, blocks=blocks, **how) for i in range(IMAGES)]
    return dataclasses.replace(
        documents.audit(0, blocks, findings=[], provenance={}), probes=probes
    )


def named(now: Audit, before: Audit) -> dict:
    return {one.check: one for one in compare(now, before).differences}


def test_nodes_reversals_and_grounding_by_hand():
    found = named(document(late=True), document())
    assert found["critical state"].difference == 1
    assert (found["critical state"].observed, found["critical state"].baseline) == (7.5, 6.5)
    assert found["critical state"].unit == "states"
    assert found["settle state"].difference == 0
    assert found["late reversals"].difference == 1
    assert found["image kept at the last state"].difference == pytest.approx(0.5 - 1)
    # Equal on every image: no interval pretends to know what others would do.
    assert {one.interval for one in found.values()} == {None}


def test_where_it_starts():
    curves = {c.name: c for c in compare(document(shift=0.2), document()).curves}
    moved = curves["probability of the emitted token"]
    assert (moved.axis, moved.starts, moved.n) == ("state", 6, IMAGES)
    assert moved.difference[5] == 0
    assert moved.difference[6] < -0.2
    assert moved.low[6] < moved.difference[6] < moved.high[6] < 0
    assert curves["JSD between neighbouring states"].starts is None
    assert curves["JSD between neighbouring states"].axis == "transition"


def test_another_depth_is_compared_by_its_share():
    found = compare(document(8), document(10))
    assert {curve.axis for curve in found.curves} == {"share of depth"}
    assert {len(curve.at) for curve in found.curves} == {8, 9}
    assert all((curve.at[0], curve.at[-1]) == (0, 1) for curve in found.curves)
    (critical,) = [one for one in found.differences if one.check == "critical state"]
    assert critical.unit == "share of depth"
    assert critical.difference == pytest.approx(6.5 / 8 - 6.5 / 10)
    assert "8 blocks here, 10 in the baseline" in found.note
    assert [c.what for c in found.conditions] == ["depth (blocks)"]


def test_intervals_hold_together_and_are_wider_than_one_alone():
    noise = random.Random(0)

    def values():
        return by_image([noise.gauss(0, 1) for _ in range(24)])

    one = finding("a", values()), finding("a", values())
    alone = named(side([one[0]]), side([one[1]]))["a"].interval
    many = [(finding(f"c{i}", values()), finding(f"c{i}", values())) for i in range(20)]
    found = named(side([one[0], *(n for n, _ in many)]), side([one[1], *(b for _, b in many)]))
    assert alone.high - alone.low < found["a"].interval.high - found["a"].interval.low
    assert found["a"].interval.confidence == 0.95
    assert found["a"].interval.adjusted


def test_what_is_judged_is_not_described_again():
    probes = answers([True] * 24)
    same = side(
        [right(probes), advantage([5.0] * 24), finding("seen", by_image([1.0] * 24))], probes
    )
    assert list(named(same, same)) == ["seen", "answers that changed"]


def test_answers_that_changed_are_a_share():
    before, now = answers([True] * 24), answers([True] * 18 + [False] * 6)
    moved = named(side([], now), side([], before))["answers that changed"]
    assert (moved.observed, moved.unit, moved.n) == (0.25, "share of answers", 24)
    assert moved.interval.low < 0.25 < moved.interval.high


def test_however_much_moves_nothing_of_it_is_red():
    probes = answers([True] * 24)
    checks = [right(probes), advantage([5.0] * 24)]
    now = side([*checks, finding("image_matters", by_image([9.0] * 24))], probes)
    before = side(
        [*checks, finding("image_matters", by_image([1.0 + i for i in range(24)]))], probes
    )
    found = compare(now, before)
    assert found.differences[0].interval.high < 0
    assert decide(now.findings, found, Gate(baseline="x")).red == []


def test_a_comparison_is_completed_when_the_document_is_whole():
    now, before = document(late=True), document()
    early = dataclasses.replace(compare(now, before), differences=[], curves=[], anchor=True)
    whole = completed(early, now, before)
    assert whole.anchor
    assert whole.differences == compare(now, before).differences
    assert whole.curves
    assert Outcome.SHOWN not in {change.outcome for change in whole.changes}
