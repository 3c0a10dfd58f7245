"""Shares of two groups held against each other: hallucinated against correct words, now against before."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lvlm_audit import Check, Stage, at_most, suite
from lvlm_audit.document import Audit, Verdict
from lvlm_audit.errors import CheckError
from lvlm_audit.metrics import hallucinated, late_reversal
from lvlm_audit.properties import Holds
from lvlm_audit.spec.judge import judge, observe
from lvlm_audit.traces.trace import TokenClass, Trace
from tests.evidence import evidence_of
from tests.report import documents
from tests.synthetic import EMITTED, OTHER, rising, trace

CHECKS = {check.name: check for check in suite("hallucination").checks}
LATE = {
    "curve": [0.1] * 10 + [0.9] * 3,
    "nucleus": rising(12, 6),
    "leader": [OTHER] * 10 + [EMITTED] * 3,
}
STEADY = {"curve": rising(12, 6), "leader": [OTHER] * 6 + [EMITTED] * 7}
WRONG = {"hallucinated": ["blue"]}
RIGHT = {"grounded": ["blue"]}


def said(name: str, labels: dict, *, late: bool, tokens: int = 1, lens: str = "normed") -> Trace:
    """An answer of " blue"s, right or wrong, reversing late or not."""
    made = trace(**(LATE if late else STEADY), name=name, tokens=tokens, lens=lens)
    return dataclasses.replace(made, asked=dataclasses.replace(made.asked, labels=labels))


def judged(name: str, traces: list[Trace], baseline: Audit | None = None):
    seen = evidence_of("normed", traces, baseline=baseline)
    (finding,) = judge([observe(CHECKS[name], seen)], family=3)
    return finding


def answers(wrong: list[bool], late: list[bool]) -> list[Trace]:
    return [
        said(f"p{i:03}", WRONG if w else RIGHT, late=bool(x))
        for i, (w, x) in enumerate(zip(wrong, late, strict=True))
    ]


def test_the_rate_is_that_of_labelled_words():
    traces = answers([i % 10 == 0 for i in range(120)], [False] * 120)
    traces.append(trace(rising(12), name="unlabelled"))
    finding = judged("hallucination_bounded", traces)
    assert finding.observed == pytest.approx(0.1)
    assert finding.verdict is Verdict.PASS
    assert finding.eligible.tokens == 120
    assert finding.eligible.excluded == {"the property does not apply": 4}
    worse = judged(
        "hallucination_bounded", answers([i % 2 == 0 for i in range(120)], [False] * 120)
    )
    assert worse.verdict is Verdict.FAIL
    # Only hallucinated answers speak against it.
    assert all(int(name[1:]) % 2 == 0 for name in worse.counterexamples)


@pytest.mark.parametrize("name", ["hallucination_bounded", "reversals_tell"])
def test_without_labels_it_is_not_applicable_and_says_so(name):
    finding = judged(name, [trace(rising(12), name=f"p{i:02}") for i in range(20)])
    assert finding.verdict is Verdict.NOT_APPLICABLE
    assert "no word of these answers is labelled right or wrong" in finding.message


def test_wrong_words_against_right_ones():
    many = judged("reversals_tell", answers(*([i % k == 0 for i in range(400)] for k in (2, 5))))
    assert many.observed == pytest.approx(0.0)
    assert many.verdict is Verdict.PASS
    assert many.n == 400
    wrong = [i % 2 == 0 for i in range(120)]
    fewer = judged("reversals_tell", answers(wrong, [i % 5 == 0 for i in range(120)]))
    assert fewer.verdict is Verdict.INCONCLUSIVE
    assert 120 < (fewer.images_to_decide or 0) <= 400
    telling = judged("reversals_tell", answers(wrong, wrong))
    assert telling.observed == 1.0
    assert telling.verdict is Verdict.FAIL
    assert "100% of the hallucinated words and 0% of correct ones" in telling.message
    # The base rate of correct words counts: all reverse, so reversal says nothing.
    base = judged("reversals_tell", answers(wrong, [True] * 120))
    assert base.observed == 0.0


@pytest.mark.parametrize(("wrong", "missing"), [(True, "correct"), (False, "hallucinated")])
def test_one_kind_alone_is_nothing_to_compare(wrong, missing):
    finding = judged("reversals_tell", answers([wrong] * 30, [False] * 30))
    assert finding.verdict is Verdict.NOT_APPLICABLE
    assert f"no labelled word is {missing}" in finding.message


def test_few_images_of_a_kind_decide_nothing():
    finding = judged(
        "reversals_tell", answers([i < 4 for i in range(60)], [i < 4 for i in range(60)])
    )
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "fewer than 5 images of one kind" in finding.message


def before(late: dict[str, bool], **subject) -> Audit:
    """An earlier audit of the same images, as its document has it."""
    made = documents.audit(probes=len(late))
    probes = []
    for probe, (name, reversed_) in zip(made.probes, late.items(), strict=True):
        token = dataclasses.replace(
            probe.tokens[0], kind="content", eligible=True, mutations=[11] if reversed_ else []
        )
        function = dataclasses.replace(token, kind="function", mutations=[11])
        unseen = dataclasses.replace(token, eligible=False, mutations=[11])
        probes.append(dataclasses.replace(probe, cluster=name, tokens=[token, function, unseen]))
    return dataclasses.replace(
        made, probes=probes, subject=dataclasses.replace(made.subject, **subject)
    )


class TestBaseline:
    def test_without_one_it_is_not_applicable_and_says_so(self):
        finding = judged("no_new_reversals", answers([False] * 30, [False] * 30))
        assert finding.verdict is Verdict.NOT_APPLICABLE
        assert "no baseline was given (baseline)" in finding.message

    @pytest.mark.parametrize(("now", "verdict"), [(0, Verdict.PASS), (60, Verdict.FAIL)])
    def test_it_passes_and_fails(self, now, verdict):
        traces = answers([False] * 240, [i < now for i in range(240)])
        baseline = before({t.asked.cluster: False for t in traces})
        finding = judged("no_new_reversals", traces, baseline)
        assert finding.observed == pytest.approx(now / 240)
        assert finding.verdict is verdict, finding.message

    def test_only_images_of_both_count(self):
        traces = answers([False] * 60, [i < 30 for i in range(60)])
        shared = {t.asked.cluster: True for t in traces[:30]}
        finding = judged("no_new_reversals", traces, before({**shared, "elsewhere": False}))
        assert finding.observed == 0.0
        assert set(finding.per_image) == set(shared)
        other = judged("no_new_reversals", traces, before({"elsewhere": True}))
        assert "no image in common" in other.message

    def test_another_lens_is_another_instrument(self):
        traces = answers([False] * 30, [False] * 30)
        baseline = before({t.asked.cluster: False for t in traces}, lens="raw")
        finding = judged("no_new_reversals", traces, baseline)
        assert finding.verdict is Verdict.NOT_APPLICABLE
        assert "the baseline was read through the raw lens" in finding.message

    def test_a_trace_and_its_document_have_the_same_reversals(self):
        """What is read back of a document is what the metric says of the trace that it was made of."""
        from lvlm_audit.readings.answers import probe_readings

        for traces in (answers([False], [True]), answers([False], [False])):
            (reading,) = probe_readings(evidence_of("normed", traces), [])
            ours = late_reversal.curve(traces[0])[:, 0]
            theirs = [late_reversal.read_back(token) for token in reading.tokens]
            assert ours.tolist() == theirs


def test_a_continuation_is_no_word_of_its_own():
    one = said("p", WRONG, late=True, tokens=3)
    one = dataclasses.replace(
        one, token_classes=(TokenClass.CONTENT, TokenClass.CONTINUATION, TokenClass.CONTENT)
    )
    finding = judged("hallucination_bounded", [one])
    assert finding.eligible.tokens == 2


FIELDS = {
    "stage": Stage.MUTATION, "metric": late_reversal, "property": Holds(), "rationale": "A test.",
    "holds_for": at_most(0.1, of="difference"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "a difference needs against="),
        ({"against": "before"}, "against says 'before'"),
        ({"against": "correct", "holds_for": at_most(0.1, of="tokens")}, "no other bound takes it"),
        (
            {"against": "baseline", "metric": hallucinated},
            "does not hold .the word is hallucinated",
        ),
        ({"against": "correct", "holds_for": at_most(1.0, of="difference")}, r"inside \(-1, 1\)"),
    ],
)
def test_declarations_that_cannot_be_judged(changes, said):
    with pytest.raises(CheckError, match=said):
        Check("A.", **{**FIELDS, **changes})


def test_a_negative_bound_of_a_difference_is_one():
    check = Check(
        "A.", **{**FIELDS, "against": "correct", "holds_for": at_most(-0.1, of="difference")}
    )
    assert check.unit == "difference of shares"
    assert check.declared()["against"] == "correct"
    assert np.isfinite(check.holds_for.value)
