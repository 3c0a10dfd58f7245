"""The comparison with the decoder alone, from traces made by hand."""

from __future__ import annotations

import pytest

import lvlm_audit
from lvlm_audit.document import Audit
from lvlm_audit.spec.suite import Suite
from lvlm_audit.traces.trace import TokenClass
from tests.auditing.test_run import PASSES
from tests.evidence import run_on
from tests.synthetic import EARLY, EMITTED, OTHER, rising, trace

BLOCKS = 20


def stepped(at: int, name: str):
    """A rise at a state, a plateau after it, and a divergence that collapses there."""
    return trace(
        rising(BLOCKS, at),
        name=name,
        divergence=[0.5] * at + [0.0] * (BLOCKS - at),
        leader=[EARLY] * at + [EMITTED] * (BLOCKS + 1 - at),
    )


def mutating(name: str):
    """The same, but a settled leader is replaced at state 18 and comes back at the end."""
    curve = rising(BLOCKS, 8)
    curve[18:20] = [0.05, 0.05]
    lead = [EARLY] * 8 + [EMITTED] * 10 + [OTHER] * 2 + [EMITTED]
    jsd = [0.5] * 8 + [0.0] * 9 + [0.6, 0.0, 0.6]
    return trace(
        curve, name=name, divergence=jsd, leader=lead,
        nucleus=rising(BLOCKS, 8), candidates={OTHER: [0.0] * 18 + [0.9] * 2 + [0.0]},
    )  # fmt: skip


def flat(name: str):
    """A ramp: no stages at all."""
    ramp = [0.9 * j / BLOCKS for j in range(BLOCKS + 1)]
    return trace(ramp, name=name, divergence=[0.05] * BLOCKS)


def audit(seen, alone, count: int = 10, prompts: int = 8) -> Audit:
    return run_on(
        Suite("test", (PASSES,)),
        [seen(f"image-{i}") for i in range(count)],
        text_answers=[alone(f"prompt-{i}") for i in range(prompts)],
    )


def late(name: str):
    return stepped(12, name)


def early(name: str):
    return stepped(6, name)


def test_the_nodes_differences_by_hand() -> None:
    found = audit(late, early).decoder
    assert found.prompts == 8
    assert found.tokens == 32
    by_name = {d.name: d for d in found.differences}
    for name in ("onset", "critical (probability)", "settle", "critical (distribution)"):
        one = by_name[name]
        assert (one.with_image, one.without_image, one.difference) == (12, 6, 6)
        assert (one.interval.low, one.interval.high) == (6, 6)
    for name in ("late mutation", "change at the last transition"):
        assert by_name[name].difference == 0
        assert by_name[name].unit == "share of tokens"


def test_mutation_shares_are_compared() -> None:
    found = audit(mutating, early).decoder
    one = {d.name: d for d in found.differences}["late mutation"]
    assert (one.with_image, one.without_image, one.difference) == (1, 0, 1)


@pytest.mark.parametrize(
    ("seen", "alone", "words"),
    [
        (early, flat, "That is seen here"),
        (late, early, "That is not seen here"),
        (flat, flat, "Neither shows clear stages here"),
    ],
)
def test_what_is_said_of_the_papers_claim(seen, alone, words) -> None:
    document = audit(seen, alone)
    assert words in document.decoder.words
    assert document.decoder.words.startswith("The paper reports")
    assert f"with images: {document.stages.pattern}" in document.decoder.words
    assert f"without: {document.decoder.stages.pattern}" in document.decoder.words


@pytest.mark.parametrize(("count", "prompts"), [(10, 4), (4, 8)])
def test_few_units_on_either_side_are_inconclusive(count, prompts) -> None:
    found = audit(late, early, count, prompts).decoder
    assert "inconclusive" in found.words
    assert ("4 distinct prompts are too few" in found.words) == (prompts == 4)
    for one in found.differences:
        width = BLOCKS if one.unit == "states" else 1
        assert (one.interval.low, one.interval.high) == (-width, width)


def test_answers_without_an_eligible_token_say_so() -> None:
    def mute(name: str):
        return trace(rising(BLOCKS, 6), name=name, classes=[TokenClass.SPECIAL] * 4)

    document = audit(late, mute)
    assert document.decoder.stages is None
    assert "no answer has an eligible token" in document.decoder.words
    assert Audit.from_json(document.to_json()) == document


def test_without_text_answers_there_is_no_comparison() -> None:
    assert lvlm_audit.run(Suite("t", (PASSES,)), [late(f"{i}") for i in range(6)]).decoder is None


def test_the_document_round_trips() -> None:
    document = audit(late, early)
    assert Audit.from_json(document.to_json()) == document
