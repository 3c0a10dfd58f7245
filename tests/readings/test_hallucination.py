"""The document's reading of hallucinated words, from labelled traces made by hand."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import average_precision_score, roc_auc_score

import lvlm_audit
from lvlm_audit.document import Audit, HallucinationReading
from lvlm_audit.errors import ProbeError
from lvlm_audit.hallucination.labelled import labelled
from lvlm_audit.hallucination.signals import Signal, register, signals, unregister
from lvlm_audit.probes.probe import Probe
from lvlm_audit.readings.hallucination import hallucination_reading
from lvlm_audit.report import html
from lvlm_audit.report.terminal.summary import summary
from lvlm_audit.traces.image_words import ImageWords
from lvlm_audit.traces.trace import NO_IMAGE, PairedTrace, Trace
from tests import synthetic
from tests.evidence import evidence_of, run_on
from tests.hallucination.answers import said
from tests.synthetic import EARLY, EMITTED, OTHER, pair, rising


def answers(count: int = 40, seed: int = 0, effect: float = 0.3) -> list[Trace]:
    """One labelled word each; wrong words (every third) are less probable at the last state."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        wrong = i % 3 == 0
        truth = {"hallucinated" if wrong else "grounded": ["banana"]}
        trace = said("A banana .", truth, name=f"p{i}", cluster=f"i{i % (count // 2)}")
        p = trace.probability.copy()
        p[:, -1] = np.clip(0.8 - effect * wrong + 0.2 * rng.normal(), 0.01, 0.99)
        made.append(dataclasses.replace(trace, probability=p))
    return made


def blind(traces: list[Trace], seed: int = 1) -> tuple[PairedTrace, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        dataclasses.replace(
            pair([0.0] * 12 + [float(rng.uniform(0.1, 0.9))], name=t.asked.id, tokens=t.tokens),
            condition=NO_IMAGE,
            token_ids=t.token_ids,
        )
        for t in traces
    )


def words(traces: list[Trace], seed: int = 2) -> tuple[ImageWords, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        ImageWords(
            t.asked,
            "normed",
            t.token_ids,
            rng.uniform(0, 1, t.probability.shape).astype(np.float32),
            np.zeros(t.probability.shape, np.int32),
            positions=4,
        )
        for t in traces
    )


def read(traces: list[Trace], **more) -> HallucinationReading:
    found = hallucination_reading(evidence_of("normed", traces, **more))
    assert found is not None
    return found


def test_counts_and_rows_of_labelled_words() -> None:
    traces = answers(40)
    found = read(traces)
    assert (found.labelled, found.hallucinated, found.images) == (40, 14, 20)
    assert found.base_rate == pytest.approx(14 / 40)
    assert found.base_rate_interval.low < 14 / 40 < found.base_rate_interval.high
    assert found.prior_driven is None
    assert "not told apart" in found.words
    row = found.tokens[0]
    assert (row.probe, row.token, row.position, row.truth) == ("p0", " banana", 1, "hallucinated")
    # The synthetic token leads from state 6 on; EARLY leads before.
    assert (row.state, row.before, row.after) == (6, " noise", " blue")
    assert set(row.signals) == {s.name for s in signals()}
    assert row.signals["final_probability"] == pytest.approx(
        1 - float(traces[0].probability[1, -1]), rel=1e-3
    )


def test_every_auroc_is_recomputed_from_the_rows() -> None:
    """From what the document prints, by scikit-learn."""
    traces = answers(60)
    found = read(traces, no_image_pairs=blind(traces), image_words=words(traces))
    truth = np.array([row.truth == "hallucinated" for row in found.tokens])
    assert len(found.signals) == len(signals())
    for score in found.signals:
        values = [row.signals[score.name] for row in found.tokens]
        kept = np.array([v is not None for v in values])
        numbers = np.array([v for v in values if v is not None])
        assert score.auroc == pytest.approx(roc_auc_score(truth[kept], numbers), abs=1e-4)
        assert score.average_precision == pytest.approx(
            average_precision_score(truth[kept], numbers), abs=1e-4
        )
        assert (score.n_hallucinated, score.n_correct) == (truth[kept].sum(), (~truth[kept]).sum())
        assert 0 <= score.auroc_interval.low <= score.auroc <= score.auroc_interval.high <= 1
    together = np.array([row.suspicion for row in found.tokens])
    assert found.combination.auroc == pytest.approx(roc_auc_score(truth, together), abs=1e-4)


def test_scores_that_differ_in_the_fifth_digit_are_printed_apart() -> None:
    traces = answers(60)
    rng = np.random.default_rng(3)
    for trace in traces:
        trace.probability[:, -1] = rng.uniform(1e-6, 9e-5)
    found = read(traces)
    truth = [row.truth == "hallucinated" for row in found.tokens]
    printed = [row.signals["final_probability"] for row in found.tokens]
    assert len(set(printed)) == len(printed)
    (score,) = [s for s in found.signals if s.name == "final_probability"]
    assert score.auroc == pytest.approx(roc_auc_score(truth, printed), abs=1e-4)


def test_a_signal_that_finds_them_and_one_that_does_not() -> None:
    traces = answers(90, effect=0.6)
    found = {s.name: s for s in read(traces, no_image_pairs=blind(traces)).signals}
    assert found["final_probability"].auroc_interval.low > 0.8
    assert found["final_probability"].over_baseline is None
    grounding = found["grounding"].auroc_interval
    assert grounding.low < 0.5 < grounding.high
    assert found["grounding"].over_baseline_interval.high < 0


def test_shuffled_labels_leave_every_signal_at_chance() -> None:
    traces = answers(90, effect=0.6)
    order = np.random.default_rng(5).permutation(len(traces))
    shuffled = [
        dataclasses.replace(t, asked=dataclasses.replace(t.asked, labels=traces[i].asked.labels))
        for t, i in zip(traces, order, strict=True)
    ]
    found = read(shuffled, no_image_pairs=blind(shuffled), image_words=words(shuffled))
    for score in [*found.signals, found.combination]:
        assert score.auroc_interval.low <= 0.5 <= score.auroc_interval.high, score.name


def test_errors_that_the_text_only_answer_shares_are_told_apart() -> None:
    traces = answers(60)
    asked = dataclasses.replace
    # The second prompt's answer without an image says another word.
    traces = [
        asked(t, asked=asked(t.asked, prompt=f"What is it, {i % 2}?")) for i, t in enumerate(traces)
    ]
    texts = (
        said("A banana .", prompt="What is it, 0?", name="t0"),
        said("A cloud .", prompt="What is it, 1?", name="t1"),
    )
    found = read(traces, text_answers=texts)
    wrong = [row for row in found.tokens if row.truth == "hallucinated"]
    assert found.prior_driven == sum(int(row.probe[1:]) % 2 == 0 for row in wrong) == 10
    assert {row.prior_driven for row in found.tokens if row.truth == "correct"} == {None}
    base = found.signals[0]
    assert (base.prior_driven.n_hallucinated, base.misread.n_hallucinated) == (10, 10)
    assert base.prior_driven.n_correct == base.misread.n_correct == base.n_correct


def test_what_was_not_measured_says_why() -> None:
    found = read(answers(30), reasons={"no-image pairs": "the processor insists on one"})
    by_name = {s.name: s for s in found.signals}
    assert by_name["grounding"].auroc is None
    assert by_name["grounding"].note == "Not measured: the processor insists on one."
    assert by_name["image_confidence"].note.startswith("Not measured: the images' own words")
    assert found.combination is not None


def test_few_images_decide_nothing() -> None:
    traces = [
        dataclasses.replace(t, asked=dataclasses.replace(t.asked, cluster=f"i{i % 4}"))
        for i, t in enumerate(answers(60))
    ]
    found = read(traces)
    for score in found.signals:
        if score.auroc is not None:
            assert (score.auroc_interval.low, score.auroc_interval.high) == (0, 1)
            assert score.note.startswith("Inconclusive: ")
    assert "Too few tokens of a kind" in found.words


def test_a_word_that_continues_another_does_not_count() -> None:
    traces = answers(30)
    odd = said("Aba nana", {"hallucinated": ["aba"], "grounded": ["nana"]}, name="odd")
    repeated = dataclasses.replace(traces[0], input_ids=traces[0].token_ids.copy())
    found = read([repeated, *traces[1:], odd])
    # The repeated input is not eligible: an early lead may be the tied head's.
    assert found.not_eligible == 1
    assert found.labelled == 29 + 2


def test_without_labels_there_is_no_reading() -> None:
    assert hallucination_reading(evidence_of("normed", [said("A banana .")])) is None
    made = lvlm_audit.run(lvlm_audit.suite(), [said("A banana .", name=f"p{i}") for i in range(6)])
    assert made.hallucination is None


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ({}, False),
        ({"kind": "color", "dataset": "POPE"}, False),
        ({"expected": "yes"}, True),
        ({"hallucinated": ["dog"]}, True),
        ({"words": [{"text": "blue", "role": "color", "start": 0}]}, True),
    ],
)
def test_which_probes_are_labelled(labels, wanted) -> None:
    assert labelled(Probe("p", "?", None, cluster="p", labels=labels)) is wanted


def test_labels_that_cannot_be_read_are_named() -> None:
    with pytest.raises(ProbeError, match="probe 'p'"):
        labelled(Probe("p", "?", None, cluster="p", labels={"grounded": "dog"}))


def test_the_whole_audit_carries_it_and_a_control_does_not(tmp_path) -> None:
    traces = answers(60, effect=0.6)
    made = run_on(
        lvlm_audit.suite(),
        traces,
        no_image_pairs=blind(traces),
        image_words=words(traces),
    )
    assert made.hallucination is not None
    assert made.hallucination.hallucinated == 20
    made.save(tmp_path / "a.json")
    assert Audit.load(tmp_path / "a.json") == made
    out = io.StringIO()
    summary(made, Console(file=out, width=100))
    (line,) = [one for one in out.getvalue().splitlines() if one.startswith("words ")]
    assert "20 of 60 labelled words hallucinated; found best by final_probability" in line


def test_the_terminal_says_when_no_signal_finds_them() -> None:
    made = lvlm_audit.run(lvlm_audit.suite(), answers(9))
    out = io.StringIO()
    summary(made, Console(file=out, width=120))
    assert "3 of 9 labelled words hallucinated; no signal is shown to find them" in out.getvalue()


def test_a_third_party_signal_is_scored_as_ours_and_sees_no_label() -> None:
    seen = []

    def length(evidence):
        seen.append(evidence)
        return np.arange(evidence.tokens, dtype=float)

    register(Signal("place", "It stands late.", "tests", length))
    try:
        found = read(answers(30))
    finally:
        unregister("place")
    assert found.signals[-1].name == "place"
    assert found.signals[-1].auroc == pytest.approx(0.5)
    assert not any(hasattr(one, "asked") or hasattr(one, "labels") for one in seen)


def test_every_leader_of_a_wrong_word_is_kept_and_drawn():
    """The right word led early, before any critical layer, and is gone at the end."""
    leader = [EARLY] * 2 + [OTHER] * 6 + [EMITTED] * 5
    curves = {EARLY: [0.5] * 2 + [0.0] * 11, OTHER: [0.1] * 2 + [0.6] * 6 + [0.02] * 5}
    made = []
    for i in range(6):
        words = said("A banana .", {"hallucinated": ["banana"]}, name=f"p{i}")
        led = synthetic.trace(rising(12, 8), tokens=words.tokens, leader=leader, candidates=curves)
        made.append(
            dataclasses.replace(
                led,
                asked=words.asked,
                answer=words.answer,
                token_texts=words.token_texts,
                token_classes=words.token_classes,
                vocabulary={**led.vocabulary, OTHER: " apple", EARLY: "\u00a0"},
            )
        )
    reading = hallucination_reading(evidence_of("normed", made))
    assert reading is not None
    (first, *_) = reading.tokens
    assert first.leaders is not None
    assert [one.text for one in first.leaders] == [" apple", "\u00a0"]
    assert max(first.leaders[0].probability) == pytest.approx(0.6)
    page = html.render(
        dataclasses.replace(
            lvlm_audit.run(lvlm_audit.suite(), made),
            hallucination=dataclasses.replace(
                reading, tokens=[dataclasses.replace(t, expected="apple") for t in reading.tokens]
            ),
        )
    )
    card = page[page.index('<article class="probe word">') :]
    card = card[: card.index("</article>")]
    assert "apple</bdi> <strong>(expected)</strong> 0.02 at the end, at most 0.6 at state 2" in card
    assert card.count('<path class="curve"') == 3
    assert "U+00A0 NO-BREAK SPACE" in card
    assert "no rival was kept" not in card
