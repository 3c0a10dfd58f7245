"""Two documents of synthetic traces, compared: what is not judged, and how both were asked."""

from __future__ import annotations

import dataclasses

import pytest

import lvlm_audit
from lvlm_audit import Check, Stage, at_least
from lvlm_audit.comparing import compare
from lvlm_audit.document import Audit, Difference
from lvlm_audit.metrics import token_probability
from lvlm_audit.properties import Rise, Value
from lvlm_audit.spec.suite import Suite
from tests.synthetic import rising, trace

END = Check(
    "The emitted token ends probable.",
    stage=Stage.WHOLE_ANSWER,
    metric=token_probability,
    property=Value(),
    holds_for=at_least(0.5, of="mean"),
    rationale="A test.",
    name="end",
)
FORMS = Check(
    "The answer forms.",
    stage=Stage.RAPID_EVOLUTION,
    metric=token_probability,
    property=Rise(),
    holds_for=at_least(0.5, of="images"),
    rationale="A test.",
    name="forms",
)


def audit(tops: dict[str, float], *checks: Check) -> Audit:
    """An audit of images whose answers end at given probabilities."""
    traces = [trace(rising(top=top), name=name) for name, top in tops.items()]
    return lvlm_audit.run(Suite("test", checks or (END,)), traces, model="m")


def six(shift: float, names: str = "abcdef") -> dict[str, float]:
    return {n: 0.5 + i / 64 + shift for i, n in enumerate(names)}


def of_findings(now: Audit, before: Audit) -> list[Difference]:
    """The differences of findings, without those of what the documents hold besides."""
    names = {finding.check for finding in now.findings}
    return [one for one in compare(now, before).differences if one.check in names]


def test_differences_are_paired_by_image():
    (one,) = of_findings(audit(six(0.25)), audit(six(0.0)))
    assert one.check == "end"
    # Every image gained exactly 0.25: paired, whatever the images' spread. Equal values prove nothing of
    # images that were not asked, so that no interval without width is given.
    assert one.difference == pytest.approx(0.25)
    assert one.interval is None
    assert (one.n, one.note) == (6, "the same on every image, which proves nothing of others")
    assert one.observed - one.baseline == pytest.approx(0.25)


def test_the_difference_by_hand():
    now = {"a": 0.5, "b": 0.75, "c": 0.625, "d": 1.0, "e": 0.5}
    then = {"a": 0.5, "b": 0.5, "c": 0.75, "d": 0.5, "e": 0.625}
    (one,) = of_findings(audit(now), audit(then))
    assert one.difference == pytest.approx((0 + 0.25 - 0.125 + 0.5 - 0.125) / 5)
    assert one.interval.low < one.difference < one.interval.high
    assert (one.interval.method, one.interval.adjusted) == ("max-t bootstrap", True)


def test_an_audit_does_not_differ_from_itself():
    same = audit(six(0.0), END, FORMS)
    found = compare(same, same)
    assert {"end", "forms", "critical state"} <= {one.check for one in found.differences}
    for one in found.differences:
        assert (one.difference, one.interval) == (0, None)
    assert found.curves
    for curve in found.curves:
        assert curve.starts is None
        assert set(curve.difference) == {0.0}


def test_only_images_that_both_asked_are_paired():
    now = audit({**six(0.25), "x": 1.0, "y": 1.0})
    then = audit({**six(0.0), "z": 0.3})
    (one,) = of_findings(now, then)
    assert one.n == 6
    assert one.difference == pytest.approx(0.25)


def test_no_common_image_and_too_few():
    (one,) = of_findings(audit(six(0.0)), audit(six(0.0, "uvwxyz")))
    assert (one.difference, one.interval, one.n, one.note) == (None, None, 0, "no image in common")
    few = dict(list(six(0.0).items())[:4])
    (one,) = of_findings(audit(few), audit(six(0.25)))
    assert one.difference == pytest.approx(-0.25)
    assert (one.interval, one.n) == (None, 4)
    assert "too few images in common for an interval" in one.note


def test_a_check_that_the_baseline_lacks():
    now, then = audit(six(0.0), END, FORMS), audit(six(0.0), END)
    ends, forms = of_findings(now, then)
    assert compare(now, then).new == ["forms"]
    assert ends.difference == 0
    assert (forms.difference, forms.n, forms.note) == (None, 0, "not in the baseline")


def test_another_declaration_is_noted():
    other = dataclasses.replace(END, holds_for=at_least(0.4, of="mean"))
    (one,) = of_findings(audit(six(0.25)), audit({**six(0.0), "a": 0.75}, other))
    assert one.note == "declared differently in the baseline"


def test_given_answers_against_generated_ones_are_no_match():
    then = audit({f"p{i}": 0.9 for i in range(6)})
    given = dataclasses.replace(then, subject=dataclasses.replace(then.subject, answers="given"))
    assert "answers: given here, generated in the baseline" in compare(given, then).mismatch
    assert compare(then, then).mismatch == []


def test_what_binds_is_named_with_both_values():
    one, other = audit(six(0.0)), audit(six(0.0))
    subject = dataclasses.replace(other.subject, control="swapped-image", divergence="paper_index")
    other = dataclasses.replace(
        other, subject=subject, provenance={**other.provenance, "max_new_tokens": 8, "seed": 1}
    )
    one = dataclasses.replace(one, provenance={**one.provenance, "max_new_tokens": 12})
    assert compare(one, other).mismatch == [
        "divergence: jsd here, paper_index in the baseline",
        "control: none here, swapped-image in the baseline",
        "longest answer (tokens): 12 here, 8 in the baseline",
        "seed of the draw: 0 here, 1 in the baseline",
    ]
    assert compare(one, one).mismatch == []


def test_another_lens_is_no_match():
    then = audit(six(0.0))
    raw = dataclasses.replace(then, subject=dataclasses.replace(then.subject, lens="raw"))
    assert compare(then, raw).mismatch == ["lens: normed here, raw in the baseline"]
    tuned = [
        dataclasses.replace(then, provenance={**then.provenance, "lenses": {"normed": content}})
        for content in ("abc", "abd")
    ]
    assert compare(*tuned).mismatch == ["content of the normed lens: abc here, abd in the baseline"]
    assert compare(tuned[0], tuned[0]).mismatch == []


def test_who_the_baseline_was():
    then = audit(six(0.0))
    found = compare(then, then)
    assert (found.baseline_model, found.baseline_created) == ("m", then.provenance["created"])
    assert "they change no verdict" in found.note


def test_a_finding_that_applies_to_nothing_is_no_lack_of_common_images():
    now, then = audit(six(0.0)), audit(six(0.0))
    nothing = dataclasses.replace(
        now.findings[0], verdict="not applicable", observed=None, interval=None, per_image={}
    )
    bare = dataclasses.replace(now, findings=[nothing])
    for here, there, note in (
        (bare, then, "not applicable in this audit"),
        (now, bare, "not applicable in the baseline"),
        (bare, bare, "not applicable in this audit and in the baseline"),
    ):
        (one,) = of_findings(here, there)
        assert (one.difference, one.n, one.note) == (None, 0, note)


def test_images_that_both_asked_but_that_count_in_one_only():
    now, then = audit(six(0.0)), audit(six(0.0))
    some, others = (
        dataclasses.replace(
            now.findings[0],
            per_image={k: v for k, v in now.findings[0].per_image.items() if k in names},
        )
        for names in ("abc", "def")
    )
    (one,) = of_findings(
        dataclasses.replace(now, findings=[some]), dataclasses.replace(then, findings=[others])
    )
    assert one.note == "no image counts in both audits, though both were asked about the same ones"
