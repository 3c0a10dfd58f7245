"""Words of the answers that labels call wrong, among those whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lvlm_audit.comparing.declared import may_rise, metric_of, of, tolerance_of
from lvlm_audit.comparing.loss import Counts, Loss
from lvlm_audit.comparing.sides import Pair, part
from lvlm_audit.document import Finding
from lvlm_audit.statistics import counts_change

METRIC = "the word is hallucinated, by the probe's labels"
_MOST_NAMED = 5


def is_of_wrong_words(finding: Finding) -> bool:
    """Whether a check asks how many labelled words are wrong."""
    return of(finding) == "tokens" and metric_of(finding) == METRIC and may_rise(finding)


def wrong_words(finding: Finding, pairs: Sequence[Pair], *, seed: int) -> Loss | str:
    """The change of the share of wrong words; a text that says why there is none.

    An image of which the baseline said words whose truth is known, and this audit says none, counts as if
    all of them were wrong.

    Args:
        finding: the check, as it is declared now.
        pairs: probes that both audits asked.
        seed: of the resampling.
    """
    clusters = sorted({pair.before.cluster for pair in pairs if pair.before.labelled > 0})
    if not clusters:
        return "the baseline's answers have no word whose truth is known"
    place = {cluster: index for index, cluster in enumerate(clusters)}
    wrong, labelled = np.zeros((2, len(clusters))), np.zeros((2, len(clusters)))
    used = [pair for pair in pairs if pair.before.cluster in place]
    for pair in used:
        at = place[pair.before.cluster]
        for side, probe in enumerate((pair.counted, pair.before)):
            labelled[side, at] += max(0, probe.labelled)
            wrong[side, at] += part(probe.wrong, probe.labelled)
    mute = labelled[0] == 0
    wrong[0, mute] = labelled[0, mute] = labelled[1, mute]
    right = labelled - wrong
    change = counts_change(right[0], right[1], labelled[0], labelled[1], seed=seed)
    ties = sum(pair.tie for pair in used)
    silent = int(mute.sum())
    worse = sorted(
        (pair for pair in used if pair.counted.wrong > pair.before.wrong),
        key=lambda pair: pair.before.wrong - pair.counted.wrong,
    )
    return Loss(
        noun="wrong words",
        change=change,
        tolerance=tolerance_of(finding),
        rises=True,
        rate=True,
        unit="share of the words whose truth is known",
        counts=Counts(*(int(c[i].sum()) for i in (0, 1) for c in (wrong, labelled))),
        worst=tuple(pair.now.id for pair in worse[:_MOST_NAMED]),
        notes=(
            *(
                [f"on {silent} images no such word is said any more, which counts as all wrong"]
                if silent
                else []
            ),
            *([f"{ties} answers that only rounding changed count as before"] if ties else []),
        ),
    )
