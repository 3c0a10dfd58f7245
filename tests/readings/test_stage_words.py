"""What the document says about levels that agree and about mutation layers: which levels, which rule."""

from __future__ import annotations

import dataclasses

import pytest

import lvlm_audit
from lvlm_audit.document import Finding, Verdict
from lvlm_audit.report import html
from tests.report import documents
from tests.report.pages import read
from tests.synthetic import EARLY, EMITTED, rising, trace

L = 20


def audited(
    nucleus: list[float],
    leader: list[int],
    jsd: list[float],
    emitted: list[float] | None = None,
) -> lvlm_audit.Audit:
    """Answers whose emitted token's probability rises at state 8, unless it is given."""
    traces = [
        trace(emitted or rising(L, 8), name=f"p{i}", nucleus=nucleus, leader=leader, divergence=jsd)
        for i in range(8)
    ]
    return lvlm_audit.run(lvlm_audit.suite(), traces)


STEP = rising(L, 8)
EARLY_FALL = [0.6] * 8 + [0.01] * 12
LATE = [EARLY] * 17 + [EMITTED] * 4
"""A leader that has settled is replaced at state 17, in the last quarter."""


def test_which_levels_agree_and_within_what() -> None:
    stages = audited(STEP, [EARLY] * 8 + [EMITTED] * 13, EARLY_FALL).stages
    assert stages.levels_agree
    assert "probability at 8 and distribution at 8, 0 states apart" in stages.agreement
    assert "up to 3 (15% of the depth) counts as the same" in stages.agreement
    assert "Not compared, for want of a pattern: feature (not measured)." in stages.agreement


def test_levels_that_do_not() -> None:
    stages = audited(STEP, [EARLY] * 8 + [EMITTED] * 13, [0.6] * 14 + [0.01] * 6).stages
    assert stages.levels_agree is False
    assert "do not agree on the critical layer of the model" in stages.agreement


def test_a_level_alone_agrees_with_nobody() -> None:
    stages = audited(STEP, [EARLY] * 8 + [EMITTED] * 13, [0.3] * 20).stages
    assert stages.levels_agree is None
    assert stages.agreement.startswith("Only probability at 8 places a critical layer")
    assert "distribution (no such pattern)" in stages.agreement


def test_tokens_that_mutate_beside_no_mutation_layer_are_explained() -> None:
    """A curve that rises only, whose tokens all replace a settled leader late."""
    ragged = [0.01] * 8 + [0.9, 0.4] * 6 + [0.9]
    # The settled leader has .4 where the emitted token has .6, which leads from state 17 on.
    stages = audited(ragged, LATE, [0.3] * 20, [0.05] * 8 + [0.6] * 13).stages
    assert stages.mutation_layers == []
    assert stages.late.startswith(
        "100% of eligible tokens replace a settled leader late, at most 100% at one state (17)."
    )
    assert "No state is called a mutation layer all the same" in stages.late
    assert f"this model shows '{stages.pattern}'" in stages.late


def test_no_token_mutates() -> None:
    stages = audited(STEP, [EARLY] * 8 + [EMITTED] * 13, EARLY_FALL).stages
    assert stages.late == (
        "0% of eligible tokens replace a settled leader late; a mutation layer is a state at which at "
        "least 10% do, so that there is none."
    )


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_page_says_what_the_check_by_token_found_beside_it(verdict: Verdict) -> None:
    audit = documents.audit()
    findings: list[Finding] = [
        dataclasses.replace(f, verdict=verdict, declared={"property": "LevelGap"})
        if f.check == "levels_agree"
        else f
        for f in audit.findings
    ]
    page = html.render(dataclasses.replace(audit, findings=findings))
    section = read(page[page.index('<section id="stages"') : page.index('<section id="findings"')])
    assert "The levels that show a pattern agree on the critical layer." in section.text
    assert f"check levels_agree says: {verdict}." in section.text


def test_older_documents_say_it_without_numbers() -> None:
    page = read(html.render(documents.audit())).text
    assert "The levels agree on the critical layer" not in page
