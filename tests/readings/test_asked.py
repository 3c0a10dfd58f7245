"""Every probe in short."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from lvlm_audit import Audit, suite
from lvlm_audit.readings.asked import asked_probes
from lvlm_audit.traces.trace import TokenClass
from tests import synthetic
from tests.evidence import evidence_of, run_on
from tests.hallucination.answers import said


def test_one_for_each_probe_in_order_and_read_back() -> None:
    traces = [
        said("A dog .", {"kind": "naming"}, name="b", cluster="one", reference="A dog and a cat."),
        said("Yes", {"expected": "no", "kind": 3}, name="a", cluster="two"),
    ]
    audit = run_on(suite(), traces)
    first, second = audit.asked
    assert (first.id, first.cluster, first.kind, first.answer) == ("b", "one", "naming", "A dog .")
    assert first.tokens == [synthetic.EMITTED] * 3
    assert (first.right, first.words_asked, first.words_found) == (False, 2, 1)
    assert (first.labelled, first.wrong, first.reference_bits) == (0, 0, None)
    assert (second.id, second.kind, second.right) == ("a", "", False)
    assert (second.labelled, second.wrong) == (1, 1)
    assert Audit.from_json(audit.to_json()).asked == audit.asked


def test_margins_are_bits_over_the_best_other_token() -> None:
    trace = synthetic.trace([0.1, 0.8], tokens=2)
    (asked,) = asked_probes(evidence_of("normed", [trace]))
    assert asked.margins == pytest.approx([math.log2(0.8 / 0.2)] * 2, rel=1e-3)
    # Of a replayed text another token may lead.
    behind = dataclasses.replace(trace, top_ids=trace.top_ids[:, :, ::-1].copy())
    flipped = dataclasses.replace(behind, probability=np.full_like(trace.probability, 0.2))
    (asked,) = asked_probes(evidence_of("normed", [flipped]))
    assert asked.margins == pytest.approx([math.log2(0.2 / 0.8)] * 2, rel=1e-3)


def test_a_probability_that_underflowed_gives_a_finite_margin() -> None:
    (asked,) = asked_probes(evidence_of("normed", [synthetic.trace([0.1, 1.0], tokens=1)]))
    assert asked.margins == [126.0]


def test_without_a_runner_up_no_margin_is_recorded() -> None:
    trace = synthetic.trace([0.1, 0.8])
    alone = dataclasses.replace(
        trace,
        top_ids=trace.top_ids[:, :, :1].copy(),
        top_probs=trace.top_probs[:, :, :1].copy(),
    )
    (asked,) = asked_probes(evidence_of("normed", [alone]))
    assert asked.margins == []


def test_reference_bits_are_of_content_words_under_their_own_image() -> None:
    one = synthetic.trace(synthetic.rising(), name="p0")
    two = synthetic.trace(synthetic.rising(), name="p1")
    pair = synthetic.pair([0.1] * 13, name="p1", text="reference", tokens=3)
    pair = dataclasses.replace(
        pair,
        token_classes=(TokenClass.FUNCTION, TokenClass.CONTENT, TokenClass.CONTENT),
        log2_probability=np.array([[-9.0, -1.0, -2.0], [-7.0, -7.0, -7.0]], dtype=np.float32),
    )
    without = dataclasses.replace(pair, token_classes=(TokenClass.FUNCTION,) * 3)
    bits = [a.reference_bits for a in asked_probes(evidence_of("normed", [one, two], [], [pair]))]
    assert bits == [None, 1.5]
    bits = [a.reference_bits for a in asked_probes(evidence_of("normed", [two], [], [without]))]
    assert bits == [None]
