"""Labels: what a fault costs in truth, measured on many other scenes by a rule that no gate takes part in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lvlm_audit.faults.fault import Fault
from lvlm_audit.power.right import is_right
from lvlm_audit.probes.probe import Probe

if TYPE_CHECKING:
    from lvlm_audit.models.hooked import HookedModel

SCENES, SCENES_SEED = 400, 900
"""How many scenes, and which: shared with no training and no audit."""
REAL_COST, HEALTHY_WITHIN = 10.0, 3.0
"""Points of right answers."""
LONGEST = 40
"""Tokens of an answer; the references have about 30 at most."""
_BATCH = 50
_Z = 1.959964

Label = Literal["real", "healthy", "better", "between"]

RULE = (
    f"right answers on {SCENES} other scenes (demo_probes({SCENES}, {SCENES_SEED})), greedy. real: at least "
    f"{REAL_COST:g} points fewer; healthy: the 95 % interval of the net change lies within {HEALTHY_WITHIN:g} "
    f"points; better: it lies above 0 and reaches beyond {HEALTHY_WITHIN:g} points; between: none of these, "
    f"counted neither way. Interval: paired, adjusted Wald (Bonett and Price 2012)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a fault costs.

    Attributes:
        before: right answers of the parent.
        after: of the candidate.
        of: questions.
        lost: right before and no more.
        gained: the other way round.
        low: lower end of the 95 % interval of the net change, points.
        high: upper end.
        label: by the rule.
    """

    before: int
    after: int
    of: int
    lost: int
    gained: int
    low: float
    high: float
    label: Label

    @property
    def change(self) -> float:
        """Net change of right answers, points."""
        return 100 * (self.after - self.before) / self.of


def measured(before: Sequence[bool], after: Sequence[bool]) -> Measured:
    """The label of a candidate, from which of the same questions each model answers right."""
    pairs = list(zip(before, after, strict=True))
    lost = sum(one and not other for one, other in pairs)
    gained = sum(other and not one for one, other in pairs)
    low, high = paired_interval(lost, gained, len(pairs))
    change = 100 * (gained - lost) / len(pairs)
    label: Label = "between"
    if change <= -REAL_COST:
        label = "real"
    elif low >= -HEALTHY_WITHIN and high <= HEALTHY_WITHIN:
        label = "healthy"
    elif low > 0:
        label = "better"
    return Measured(
        before=sum(before),
        after=sum(after),
        of=len(pairs),
        lost=lost,
        gained=gained,
        low=low,
        high=high,
        label=label,
    )


def paired_interval(lost: int, gained: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a net change in points (Bonett and Price 2012, adjusted Wald)."""
    away, to = (lost + 1) / (n + 2), (gained + 1) / (n + 2)
    middle = to - away
    half = _Z * math.sqrt((away + to - middle**2) / (n + 2))
    return 100 * max(-1.0, middle - half), 100 * min(1.0, middle + half)


def answers(hooked: HookedModel, probes: Sequence[Probe], fault: Fault | None = None) -> list[str]:
    """Greedy answers, nothing else recorded."""
    import torch

    from lvlm_audit.models.greedy import greedy

    size = (fault.batch_size if fault else None) or _BATCH
    # A batch takes as long as its longest answer: answers to one kind of question are alike in length.
    order = sorted(
        range(len(probes)), key=lambda i: (str(probes[i].labels.get("kind")), len(probes[i].prompt))
    )
    said = [""] * len(probes)
    for start in range(0, len(probes), size):
        places = order[start : start + size]
        inputs = hooked.inputs([probes[i] for i in places])
        with torch.inference_mode():
            ids = greedy(
                hooked.model,
                inputs,
                max_new_tokens=LONGEST,
                end_ids=sorted(hooked.end_ids),
                padding_id=hooked.padding_id,
                start_id=hooked.start_id,
            )
        new = ids[:, inputs["input_ids"].shape[1] :]
        texts = hooked.tokenizer.batch_decode(new, skip_special_tokens=True)
        for i, text in zip(places, texts, strict=True):
            said[i] = text.strip()
    return said


def rights(probes: Sequence[Probe], said: Sequence[str]) -> list[bool]:
    """Which answers are right; every probe must say what is."""
    return [bool(is_right(probe, answer)) for probe, answer in zip(probes, said, strict=True)]
