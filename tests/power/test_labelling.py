"""Labels: the rule, its interval against an independent reference, and what is right."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lvlm_audit.models.opening import hook
from lvlm_audit.power.labelling import answers, measured, paired_interval, rights
from lvlm_audit.power.right import is_right
from lvlm_audit.probes.probe import Probe
from tests import tiny_models

SHARES = st.integers(0, 60)


def asked(answer: str | None = "The image shows a red sun.", **labels: Any) -> Probe:
    return Probe("p", "What is shown?", None, cluster="p", answer=answer, labels=labels)


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("The image shows a red sun.", True),
        ("the image shows red sun", True),
        ("  An image: shows RED sun!", True),
        ("The image shows a blue sun.", False),
        ("The image shows a red sun and a leaf.", False),
        ("", False),
    ],
)
def test_case_punctuation_and_articles_do_not_count(said: str, right: bool) -> None:
    assert is_right(asked(), said) is right


def test_yes_and_no_are_judged_by_the_rule_of_their_data_set() -> None:
    ours = asked("Yes, it is.", expected="yes")
    assert is_right(ours, "yes") is True
    assert is_right(ours, "I do not see one.") is False
    pope = asked(None, expected="yes", dataset="POPE")
    assert is_right(pope, "There is one.") is True
    assert is_right(pope, "There is not one.") is False


def test_what_nobody_said_is_not_known() -> None:
    assert is_right(asked(None), "A sun.") is None


def rows(kept: int, lost: int, gained: int, wrong: int) -> tuple[list[bool], list[bool]]:
    before = [True] * (kept + lost) + [False] * (gained + wrong)
    after = [True] * kept + [False] * lost + [True] * gained + [False] * wrong
    return before, after


@pytest.mark.parametrize(
    ("lost", "gained", "label"),
    [
        (40, 0, "real"),
        (39, 0, "between"),
        (60, 20, "real"),
        (0, 0, "healthy"),
        (9, 8, "healthy"),
        (60, 55, "between"),
        (5, 40, "better"),
        (10, 1, "between"),
    ],
)
def test_the_rule(lost: int, gained: int, label: str) -> None:
    found = measured(*rows(300 - lost, lost, gained, 100 - gained))
    assert found.label == label
    assert (found.before, found.after, found.of) == (300, 300 - lost + gained, 400)
    assert found.change == pytest.approx((gained - lost) / 4)


@given(SHARES, SHARES, SHARES, SHARES)
def test_laws_of_the_interval(kept: int, lost: int, gained: int, wrong: int) -> None:
    n = kept + lost + gained + wrong
    if not n:
        return
    low, high = paired_interval(lost, gained, n)
    assert -100 <= low <= high <= 100
    assert paired_interval(gained, lost, n) == pytest.approx((-high, -low))
    if lost == gained:
        assert low == pytest.approx(-high)
    # No change in n pairs is no proof of none.
    assert low < 0 or gained > lost


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Against the multinomial itself: 400 pairs, a few cases that labels turn on."""
    for lost, gained in ((0.13, 0.02), (0.02, 0.02), (0.005, 0.005)):
        drawn = np.random.default_rng(5).multinomial(400, [lost, gained, 1 - lost - gained], 4000)
        inside = [
            low <= 100 * (gained - lost) <= high
            for low, high in (paired_interval(a, b, 400) for a, b, _ in drawn.tolist())
        ]
        assert np.mean(inside) > 0.94


def test_the_interval_is_close_to_walds_where_there_are_many_changes() -> None:
    lost, gained, n = 120, 60, 400
    middle = (gained - lost) / n
    half = stats.norm.ppf(0.975) * math.sqrt(((lost + gained) / n - middle**2) / n)
    assert paired_interval(lost, gained, n) == pytest.approx(
        (100 * (middle - half), 100 * (middle + half)), abs=0.3
    )


def test_answers_belong_to_their_probes_whatever_the_batches() -> None:
    hooked = hook(*tiny_models.llava(seed=4))
    probes = tiny_models.probes(7)
    together = answers(hooked, probes)
    alone = list(itertools.chain(*(answers(hooked, [probe]) for probe in probes)))
    assert together == alone
    assert rights(probes, [probe.answer or "" for probe in probes]) == [True] * 7
