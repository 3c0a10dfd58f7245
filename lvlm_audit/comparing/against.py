"""One audit against an earlier one: what decides, what is fed otherwise, and what merely moved."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from lvlm_audit.comparing import contract
from lvlm_audit.comparing.answers import changed_answers, with_ties
from lvlm_audit.comparing.curves import moved_curves
from lvlm_audit.comparing.family import ALPHA, changes, smallest_needed
from lvlm_audit.comparing.fed import fed_differences
from lvlm_audit.comparing.moved import differences
from lvlm_audit.comparing.sides import Compared, Seen, paired
from lvlm_audit.document import Audit, Comparison, Named
from lvlm_audit.errors import UsageError
from lvlm_audit.settings.spelling import spelled

_MACHINE = ("platform", "machine", "device", "cpu", "blas", "threads")


def compare(now: Compared, before: Compared, *, seed: int = 0, alpha: float = ALPHA) -> Comparison:
    """This audit minus the baseline, paired by probe and by image.

    Args:
        now: this audit; before the whole document exists, findings and probes in short are enough.
        before: the baseline.
        seed: of the resampling.
        alpha: one-sided error rate of the family.
    """
    return _compare(Seen.of(now), Seen.of(before), seed, alpha)


def _compare(now: Seen, before: Seen, seed: int, alpha: float) -> Comparison:
    fed = fed_differences(now.fed, before.fed)
    pairs = with_ties(paired(now.asked, before.asked), now, before, fed)
    conditions = contract.conditions(now, before)
    curves = []
    if now.probes is not None and before.probes is not None:
        curves = moved_curves(now.probes, before.probes, seed=seed)
    return Comparison(
        baseline_model=before.subject.model,
        baseline_created=str(before.provenance.get("created", "unknown")),
        changes=changes(now, before, pairs, seed=seed, alpha=alpha),
        fed=fed,
        conditions=conditions,
        answers=changed_answers(pairs, now, before),
        differences=differences(now, before, pairs, seed=seed),
        mismatch=contract.mismatch(now, before, smallest_needed(now, alpha)),
        gone=contract.gone(now.findings, before.findings),
        new=contract.new(now.findings, before.findings),
        curves=curves,
        note=" ".join(_notes(now, before, conditions)),
    )


def with_comparison(audit: Audit, baseline: Audit, *, seed: int = 0) -> Audit:
    """The same audit, with its comparison in the document."""
    return dataclasses.replace(audit, comparison=compare(audit, baseline, seed=seed))


def completed(
    comparison: Comparison,
    audit: Audit,
    baseline: Audit,
    *,
    seed: int = 0,
    alpha: float = ALPHA,
) -> Comparison:
    """The same comparison, with what only whole documents hold: shifts of nodes, and curves over the depth.

    What decides stays as it is.

    Args:
        comparison: made before the document was whole.
        audit: the document.
        baseline: what it was compared with.
        seed: of the resampling.
        alpha: one-sided error rate of the family.
    """
    whole = compare(audit, baseline, seed=seed, alpha=alpha)
    return dataclasses.replace(comparison, differences=whole.differences, curves=whole.curves)


def earlier(path: Path) -> Audit:
    """The audit that a file holds, as a baseline.

    Raises:
        UsageError: there is no such file.
        DocumentError: it holds no audit.
    """
    if not path.is_file():
        raise UsageError(
            f"{spelled('baseline')} {str(path)!r} is not a file. Write one with {spelled('json')} first."
        )
    return Audit.load(path)


def _notes(now: Seen, before: Seen, conditions: list[Named]) -> Iterator[str]:
    for what, held, missed in (
        (
            "the answers one by one",
            [bool(side.asked) for side in (now, before)],
            "answers, right answers and wrong words are not compared",
        ),
        (
            "what the model is fed",
            [bool(side.fed) for side in (now, before)],
            "processor, chat template, tokenizer and generation settings are not compared",
        ),
    ):
        lacks = [
            name
            for name, has in zip(("this document", "the baseline"), held, strict=True)
            if not has
        ]
        if lacks:
            names = " and ".join(lacks)
            verb = "do" if len(lacks) > 1 else "does"
            yield f"{names[:1].upper()}{names[1:]} {verb} not hold {what}: {missed}."
    depths = [side.subject.blocks for side in (now, before)]
    if depths[0] != depths[1]:
        yield (
            f"The depths differ ({depths[0]} blocks here, {depths[1]} in the baseline): states are compared by "
            f"their share of the depth."
        )
    machine = [c.what for c in conditions if c.what.split(":")[0] in _MACHINE]
    if machine:
        yield f"The audits were made under other conditions ({', '.join(machine)})."
    yield (
        "Differences of what is not judged are shown, with intervals that hold together: they change no "
        "verdict."
    )
