"""Which recordings the checks of an audit need."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from lvlm_audit.interventions.named import NAMES, Skip
from lvlm_audit.recordings.kind import Occasion
from lvlm_audit.recordings.need import Need
from lvlm_audit.recordings.registry import KINDS
from lvlm_audit.settings.reading import LensName, Mode
from lvlm_audit.spec.check import Check


def plan(
    checks: Iterable[Check],
    lens: LensName,
    *,
    states: bool = True,
    compare_llm: bool = False,
    labelled: bool = False,
    redecode: bool = False,
    compared: bool = False,
) -> list[Need]:
    """The recordings that checks need, each after those that it is made of.

    What a run records whatever its checks need, each kind says itself (`Kind.wanted`): answers through the
    run's lens, their replays and hidden states are read by stages, the grounding curve and the report.

    Args:
        checks: of the suite.
        lens: the run's.
        states: without them only what the checks need is recorded, and answers.
        compare_llm: whether every prompt is asked without an image too.
        labelled: whether a probe's words are labelled right or wrong. Where a check reads such labels, what
            the image's own words say is recorded, which costs as much as all the rest, and what is answered
            without an image, which tells errors of the language prior from misreadings.
        redecode: whether labelled probes are answered again, decoded otherwise and without mutation blocks.
        compared: whether the audit will be held against another one.
    """
    checks = list(checks)
    occasion = Occasion(
        states=states,
        compare_llm=compare_llm,
        labels_read=labelled and any(check.reads_truth for check in checks),
        redecode=redecode,
        compared=compared,
    )
    wanted = {
        Need(lens, kind.name, skip) for kind in KINDS.values() for skip in kind.wanted(occasion)
    }
    for check in checks:
        wanted.add(Need(check.lens or lens, check.metric.needs, check.under))
        if check.under is not None:
            # A model without stages has no skip set of its own: the paper's, by depth, stand beside them.
            wanted |= {
                Need(check.lens or lens, check.metric.needs, Skip(name, at))
                for name in NAMES
                for at in ("nodes", "paper")
            }
    order = list(KINDS)
    return sorted(
        _with_what_they_are_made_of(wanted),
        key=lambda n: (n.lens != lens, n.lens, order.index(n.kind), n.skip.label if n.skip else ""),
    )


def with_paper_index(needs: Iterable[Need], checks: Iterable[Check], mode: Mode) -> list[Need]:
    """The same recordings, with the paper's index where the run's mode or a check reads it."""
    lenses = {mode.lens} if mode.divergence == "paper_index" else set()
    lenses |= {c.lens or mode.lens for c in checks if c.metric.optional == "paper_index"}
    return [
        dataclasses.replace(n, paper_index=KINDS[n.kind].has_index and n.lens in lenses)
        for n in needs
    ]


def _with_what_they_are_made_of(wanted: set[Need]) -> set[Need]:
    made: set[Need] = set()
    while wanted:
        recorded = {dataclasses.replace(n, kind=KINDS[n.kind].within or n.kind) for n in wanted}
        made |= recorded
        wanted = {Need(n.lens, kind) for n in recorded for kind in KINDS[n.kind].after} - made
    return made
