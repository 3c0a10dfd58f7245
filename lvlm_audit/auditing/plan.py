"""Which recordings the checks of an audit need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from lvlm_audit.interventions.named import NAMES, Skip
from lvlm_audit.settings.reading import LensName, Mode
from lvlm_audit.spec.check import Check

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many probes are done, and how many there are."""

Kind = Literal[
    "answers",
    "answer pairs",
    "reference pairs",
    "features",
    "common step",
    "feature maps",
    "image words",
    "text answers",
    "effects",
    "redecoded",
]
"""Kinds of recording, each after those that it is made of: what a metric can need, and the states.

The last kinds depend on what the answers say: which blocks a skip set is, is known once they are there."""

STATES: Sequence[Kind] = ("features", "common step", "feature maps")
"""Kinds that no check reads: stages and report do."""


@dataclass(frozen=True, slots=True)
class Need:
    """One recording that has to exist: a kind, through a lens.

    "no-image pairs" are no recording of their own: they share the run with the image, and so the
    recording, with "answer pairs".
    """

    lens: LensName
    kind: Kind
    skip: Skip | None = None
    """Of effects: under which skip set."""
    paper_index: bool = field(default=False, compare=False)
    """Answers hold `Trace.paper_index`. There is one recording of answers a lens, with it or without."""


def plan(
    checks: Iterable[Check],
    lens: LensName,
    *,
    states: bool = True,
    compare_llm: bool = False,
    labelled: bool = False,
    redecode: bool = False,
) -> list[Need]:
    """The recordings that checks need, base answers first.

    Answers through the run's lens, their replays and hidden states are recorded whatever the checks need:
    stages, the grounding curve and the report are read off them.

    Args:
        checks: of the suite.
        lens: the run's.
        states: without them only what the checks need is recorded, and answers.
        compare_llm: whether every prompt is asked without an image too.
        labelled: whether a probe's words are labelled right or wrong. Where a check reads such labels, what
            the image's own words say is recorded, which costs as much as all the rest, and what is answered
            without an image, which tells errors of the language prior from misreadings.
        redecode: whether labelled probes are asked anew, decoded otherwise and without mutation blocks.
    """
    checks = list(checks)
    wanted = {Need(lens, "answers")}
    if states:
        wanted |= {Need(lens, "answer pairs"), *(Need(lens, kind) for kind in STATES)}
    if compare_llm:
        wanted.add(Need(lens, "text answers"))
    if labelled and any(check.reads_truth for check in checks):
        wanted |= {
            Need(lens, "answer pairs"),
            Need(lens, "image words"),
            Need(lens, "text answers"),
        }
    if redecode:
        mutation: Sequence[Skip] = (Skip("skip.2"), Skip("skip.2", "paper"))
        wanted |= {Need(lens, "redecoded"), *(Need(lens, "effects", skip) for skip in mutation)}
    for check in checks:
        through, kind = check.lens or lens, check.metric.needs
        if kind == "no-image pairs":
            kind = "answer pairs"
        wanted |= {Need(through, "answers"), Need(through, kind, check.under)}
        if check.under is not None:
            # A model without stages has no skip set of its own: the paper's, by depth, stand beside them.
            wanted |= {
                Need(through, kind, Skip(name, at)) for name in NAMES for at in ("nodes", "paper")
            }
    order = get_args(Kind)
    return sorted(
        wanted,
        key=lambda n: (n.lens != lens, n.lens, order.index(n.kind), n.skip.label if n.skip else ""),
    )


def with_paper_index(needs: Iterable[Need], checks: Iterable[Check], mode: Mode) -> list[Need]:
    """The same recordings, with the paper's index where the run's mode or a check reads it."""
    lenses = {mode.lens} if mode.divergence == "paper_index" else set()
    lenses |= {c.lens or mode.lens for c in checks if c.metric.optional == "paper_index"}
    return [
        dataclasses.replace(
            n, paper_index=n.kind in ("answers", "text answers") and n.lens in lenses
        )
        for n in needs
    ]
