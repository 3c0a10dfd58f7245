"""Results by kind of question: counts, and intervals that take questions about one image for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lvlm_audit.document import AskedProbe
from lvlm_audit.report import html
from lvlm_audit.report.by_kind import MAX_KINDS, by_kind
from tests.effort import examples
from tests.report import documents
from tests.report.test_terminal import show


def probe(kind: str, cluster: int, right: bool | None, found: int = 0) -> AskedProbe:
    return AskedProbe(
        id=f"{kind} {cluster}", cluster=str(cluster), kind=kind, answer="a", tokens=[1], right=right,
        words_asked=2, words_found=found,
    )  # fmt: skip


PROBES = st.lists(
    st.builds(
        probe, st.sampled_from(["", "naming", "count"]), st.integers(0, 9),
        st.sampled_from([True, False, None]), st.integers(0, 2),
    ),
    max_size=30,
)  # fmt: skip


@examples(40)
@given(PROBES)
def test_every_probe_is_counted_once(asked: list[AskedProbe]) -> None:
    rows = by_kind(asked)
    if not any(one.kind for one in asked):
        assert rows == []
        return
    assert sum(row.asked for row in rows) == len(asked)
    assert sum(row.right for row in rows) == sum(one.right is True for one in asked)
    assert sum(row.known for row in rows) == sum(one.right is not None for one in asked)
    assert sum(row.words_found for row in rows) == sum(one.words_found for one in asked)
    for row in rows:
        own = [one for one in asked if (one.kind or "(no kind)") == row.kind]
        images = {one.cluster for one in own if one.right is not None}
        assert (row.interval is not None) == (len(images) >= 5)
        if row.interval is not None:
            assert row.share is not None
            assert 0 <= row.interval.low <= row.share <= row.interval.high <= 1


def test_one_question_an_image_agrees_with_an_independent_binomial_interval() -> None:
    asked = [probe("naming", i, i % 4 != 0) for i in range(80)]
    (row,) = by_kind(asked)
    assert row.share == 0.75
    wilson = binomtest(60, 80).proportion_ci(0.95, method="wilson")
    assert row.interval is not None
    assert row.interval.low == pytest.approx(wilson.low, abs=0.02)
    assert row.interval.high == pytest.approx(wilson.high, abs=0.02)


def test_questions_about_one_image_add_no_evidence_of_their_own() -> None:
    once = [probe("naming", i, i % 4 != 0) for i in range(20)]
    (one,), (thrice,) = by_kind(once), by_kind(once * 3)
    assert thrice.asked == 60
    assert one.interval is not None
    assert thrice.interval is not None
    assert thrice.interval.low == pytest.approx(one.interval.low, abs=0.02)
    assert thrice.interval.high == pytest.approx(one.interval.high, abs=0.02)


def test_hundreds_of_kinds_are_cut_and_counted() -> None:
    asked = [probe(f"kind {i}", i, True) for i in range(200)]
    audit = documents.audit(probes=0, asked=asked)
    page = html.render(audit)
    assert page.count('<th scope="row"><bdi>kind ') == MAX_KINDS
    assert f"{200 - MAX_KINDS} more kinds in the JSON document" in page
    assert f"; {200 - MAX_KINDS} more" in show(audit, width=2000)
