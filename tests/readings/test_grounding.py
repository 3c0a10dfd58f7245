"""The document's grounding reading, from paired traces made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lvlm_audit import Check, Stage, at_least
from lvlm_audit.document import Verdict
from lvlm_audit.metrics import grounding
from lvlm_audit.properties import Kept
from lvlm_audit.readings.grounding import grounding_reading
from lvlm_audit.spec.suite import Suite
from lvlm_audit.traces.trace import NO_IMAGE, PairedTrace, TokenClass
from tests.evidence import evidence_of, run_on
from tests.synthetic import pair, rising, trace

KEPT = [0.0] * 4 + [0.02, 0.1, 0.3, 0.4, 0.4, 0.3, 0.36]
GIVEN_UP = [0.0] * 4 + [0.4] * 5 + [0.1, 0.05]


def pairs(*curves: list[float], tokens: int = 3) -> tuple[PairedTrace, ...]:
    return tuple(
        dataclasses.replace(pair(c, name=f"p{i}", tokens=tokens), condition=NO_IMAGE)
        for i, c in enumerate(curves)
    )


def read(found: tuple[PairedTrace, ...], reason: str = "", **more):
    return grounding_reading(
        evidence_of("normed", (), no_image_pairs=found, reasons={"no-image pairs": reason}, **more)
    )


def test_numbers_of_eight_images_that_keep_the_image() -> None:
    found = read(pairs(*[KEPT] * 8))
    assert found.measured
    assert (found.images, found.tokens, found.ungrounded) == (8, 24, 0)
    assert (found.enters.state, found.half.state) == (5, 6)
    assert found.peak.value == pytest.approx(0.4)
    assert found.left_before_last.value == pytest.approx(0.75)
    assert found.left_at_last.value == pytest.approx(0.9)
    assert found.left_at_last.interval.low == pytest.approx(0.9)
    assert "enters at state 5" in found.words
    assert "Late layers do not give the image up." in found.words


def test_late_layers_that_give_the_image_up() -> None:
    found = read(pairs(*[GIVEN_UP] * 8))
    assert found.left_at_last.value == pytest.approx(0.125)
    assert found.half.state is None
    assert found.half.undefined == 1.0
    assert "Late layers give the image up" in found.words


def test_the_median_is_over_images_of_their_medians_not_over_tokens() -> None:
    many = dataclasses.replace(pair(GIVEN_UP, name="many", tokens=40), condition=NO_IMAGE)
    found = read((*pairs(*[KEPT] * 6), many))
    assert found.left_at_last.value == pytest.approx(0.9)
    assert found.tokens == 58


def test_four_images_leave_the_full_range_and_decide_nothing() -> None:
    found = read(pairs(*[KEPT] * 4))
    assert (found.enters.interval.low, found.enters.interval.high) == (0, 10)
    assert (found.left_at_last.interval.low, found.left_at_last.interval.high) == (0, 1)
    assert found.left_at_last.interval.method == "full range"
    assert "undecided" in found.words


def test_tokens_without_grounding_are_counted_and_read_no_further() -> None:
    found = read(pairs(*[[0.04] * 11] * 2, *[KEPT] * 6))
    assert found.ungrounded == 6
    assert found.enters.state == 5
    assert "6 of 24 content tokens have no grounding to speak of" in found.words
    flat = read(pairs(*[[0.0] * 11] * 8))
    assert flat.ungrounded == flat.tokens == 24
    assert flat.enters.state is None
    assert flat.left_at_last.value is None
    assert flat.words.startswith("24 of 24 content tokens have no grounding")


def test_only_content_tokens_count() -> None:
    one = pairs(KEPT)[0]
    mixed = dataclasses.replace(
        one, token_classes=(TokenClass.CONTENT, TokenClass.FUNCTION, TokenClass.SPECIAL)
    )
    assert read((mixed,)).tokens == 1
    none = dataclasses.replace(one, token_classes=(TokenClass.FUNCTION,) * 3)
    assert read((none,)).words == "Not measured: no answer has a content token."


def test_what_was_not_measured_says_why() -> None:
    assert read((), "it insists on images.").words == "Not measured: it insists on images."
    found = read(())
    assert not found.measured
    assert "no answer was replayed without an image" in found.words


def test_curves_of_both_conditions_stand_side_by_side() -> None:
    other = tuple(pair(GIVEN_UP, name=f"p{i}") for i in range(5))
    found = read(pairs(*[KEPT] * 5), answer_pairs=other)
    assert [c.name for c in found.curves] == [
        "own image against no image",
        "own image against another probe's image",
    ]
    np.testing.assert_allclose(found.curves[0].median, KEPT, rtol=1e-3)
    np.testing.assert_allclose(found.curves[1].high, GIVEN_UP, rtol=1e-3)


@pytest.mark.parametrize(
    ("curve", "verdict"), [(KEPT, Verdict.PASS), (GIVEN_UP, Verdict.FAIL), (None, "not applicable")]
)
def test_the_curve_is_a_metric_for_checks(curve, verdict) -> None:
    check = Check(
        "The image stays.",
        stage=Stage.MUTATION,
        metric=grounding,
        property=Kept(share=0.5),
        holds_for=at_least(0.5, of="images"),
        tokens="content",
        rationale="A test.",
        name="stays",
    )
    audit = run_on(
        Suite("test", (check,)),
        [trace(rising(10, 5), name=f"p{i}") for i in range(12)],
        no_image_pairs=() if curve is None else pairs(*[curve] * 12, tokens=4),
    )
    assert audit.findings[0].verdict == verdict
    if curve is None:
        assert "cannot be asked without one" in audit.findings[0].message
