"""What turns a run red, what stays undecided, and when nothing could be judged: for all who decide exits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lvlm_audit.comparing.declared import has_tolerance
from lvlm_audit.comparing.sentence import verdict_sentence
from lvlm_audit.document import (
    Change,
    Comparison,
    Expectation,
    Finding,
    Outcome,
    Severity,
    Verdict,
)
from lvlm_audit.settings.gate import Gate
from lvlm_audit.settings.spelling import spelled

NO_BASELINE = Gate()

_STANDS = {
    Outcome.SHOWN: Verdict.FAIL,
    Outcome.EXCLUDED: Verdict.PASS,
    Outcome.UNDECIDED: Verdict.INCONCLUSIVE,
    Outcome.NOT_COMPARED: Verdict.NOT_APPLICABLE,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a run says.

    Attributes:
        verdict: "pass" only where nothing is red, nothing that has to be decided stayed open, and something
            was judged.
        headline: one sentence.
        red: checks that fail the run.
        undecided: deciding checks that stayed open; they fail the run where the gate says so.
        impossible: why the audit could not be made, and what to do; empty: it could.
        stands: of checks that are held against a baseline, what that says.
        sentences: of the same checks, what happened.
        left_out: deciding checks that were not run.
    """

    verdict: Verdict
    headline: str
    red: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    impossible: str = ""
    stands: dict[str, Verdict] = field(default_factory=dict)
    sentences: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def decide(
    findings: Sequence[Finding],
    comparisons: Comparison | Sequence[Comparison] | None = None,
    gate: Gate = NO_BASELINE,
    *,
    left_out: Iterable[Finding] = (),
) -> Decision:
    """What findings and comparisons mean for a run.

    Args:
        findings: of the checks that were run.
        comparisons: with the baseline, and with its anchor where there is one.
        gate: what fails.
        left_out: findings of the family whose checks were not run (`-k`); they decide nothing, and deciding
            ones are named.
    """
    against = (
        []
        if comparisons is None
        else [comparisons]
        if isinstance(comparisons, Comparison)
        else list(comparisons)
    )
    missing = [
        f.check for f in left_out if f.severity is Severity.ERROR and _counts(f, against, gate)
    ]
    red = [f.check for f in findings if is_red(f, _changes(f, against), gate)]
    undecided = [f.check for f in findings if is_undecided(f, _changes(f, against), gate)]
    impossible = _impossible(findings, against, gate, red)
    stands: dict[str, Verdict] = {}
    sentences: dict[str, str] = {}
    if gate.failing != "absolute":
        for finding in findings:
            if changes := _changes(finding, against):
                worst = min(changes, key=lambda change: _RANK[change.outcome])
                stands[finding.check] = _STANDS[worst.outcome]
                sentences[finding.check] = worst.sentence
    if impossible:
        verdict, headline = Verdict.FAIL, f"Nothing could be judged: {impossible}"
    elif not against:
        verdict, headline = _by_bounds(findings, gate)
    else:
        verdict, headline = _held(findings, against, gate, red, undecided)
    if missing and not impossible:
        run = sum(f.severity is Severity.ERROR and _counts(f, against, gate) for f in findings)
        family = _checks(run + len(missing), "deciding ")
        were = "was" if run == 1 or run + len(missing) == 1 else "were"
        headline = (
            f"{headline.removesuffix('.')}; {run} of {family} {were} run, left out: "
            f"{', '.join(missing)}."
        )
    return Decision(verdict, headline, red, undecided, impossible, stands, sentences, missing)


def decides(
    finding: Finding, changes: Change | Sequence[Change] | None = None, gate: Gate = NO_BASELINE
) -> bool:
    """Whether one check by itself fails the run: it is red, or open where it must be decided.

    Args:
        finding: what it observed.
        changes: against the baseline, and the anchor; None: it is held against none.
        gate: what fails.
    """
    several = [] if changes is None else [changes] if isinstance(changes, Change) else list(changes)
    if is_red(finding, several, gate):
        return True
    return is_undecided(finding, several, gate) and must_be_decided(gate)


def is_red(finding: Finding, changes: Sequence[Change], gate: Gate) -> bool:
    """Whether one check is red: a bound that is broken, or a loss, whichever the gate judges by."""
    if finding.expectation is not None:
        return finding.expectation is Expectation.MUST_FAIL
    if finding.severity is not Severity.ERROR:
        return False
    if gate.failing in ("absolute", "both") and finding.verdict is Verdict.FAIL:
        return True
    if gate.failing == "absolute":
        return False
    if gate.failing == "not-excluded":
        # What the baseline never observed cannot be lost; what it has must be proven to be kept.
        return any(c.outcome is not Outcome.EXCLUDED and c.before is not None for c in changes)
    return any(change.outcome is Outcome.SHOWN for change in changes)


def is_undecided(finding: Finding, changes: Sequence[Change], gate: Gate) -> bool:
    """Whether one check that could be red stayed open."""
    if finding.expectation is not None or finding.severity is not Severity.ERROR:
        return False
    if is_red(finding, changes, gate):
        return False
    open_bound = gate.failing in ("absolute", "both") and finding.verdict is Verdict.INCONCLUSIVE
    open_loss = gate.failing != "absolute" and any(
        change.outcome is Outcome.UNDECIDED for change in changes
    )
    allowed = bool(finding.declared.get("allow_inconclusive", False))
    return (open_bound or open_loss) and not allowed


def must_be_decided(gate: Gate) -> bool:
    """`more` has asked for what there is by now: what is still open is judged as by default."""
    return gate.undecided == "fail" or (gate.undecided == "more" and gate.baseline is None)


_RANK = {
    Outcome.SHOWN: 0,
    Outcome.UNDECIDED: 1,
    Outcome.NOT_COMPARED: 2,
    Outcome.EXCLUDED: 3,
}


def _changes(finding: Finding, against: Sequence[Comparison]) -> list[Change]:
    return [c for one in against for c in one.changes if c.check == finding.check]


def _counts(finding: Finding, against: Sequence[Comparison], gate: Gate) -> bool:
    """Whether a check of severity error takes part in what the gate judges by."""
    by_bound = gate.failing in ("absolute", "both") and finding.bound.value is not None
    return by_bound or (gate.failing != "absolute" and bool(_changes(finding, against)))


def _impossible(
    findings: Sequence[Finding], against: Sequence[Comparison], gate: Gate, red: Sequence[str]
) -> str:
    for one in against:
        which = "anchor" if one.anchor else "baseline"
        if one.mismatch and not gate.baseline_allow_mismatch:
            return (
                f"this audit cannot be compared with the {which} {one.baseline_model!r}: "
                f"{'; '.join(one.mismatch)}. Ask both the same, or compare all the same with "
                f"{spelled('baseline_allow_mismatch')}."
            )
        # A loss that is shown stays shown, whatever else cannot be judged any more.
        if one.gone and not red and not gate.baseline_allow_mismatch:
            return (
                f"deciding checks that were applicable in the {which} {one.baseline_model!r} are no more: "
                f"{', '.join(one.gone)}. Run them again, or do without them with "
                f"{spelled('baseline_allow_mismatch')}."
            )
    if not against or gate.failing == "absolute" or red:
        return ""
    changes = [c for one in against for c in one.changes if c.severity is Severity.ERROR]
    if all(change.outcome is Outcome.NOT_COMPARED for change in changes):
        whys = "; ".join(dict.fromkeys(change.sentence for change in changes))
        if whys:
            return f"no deciding check could be held against the baseline: {whys}."
        return (
            f"no deciding check declares a loss that it tolerates against a baseline (max_drop, max_rise). "
            f"Declare one, or judge by the bounds: {spelled('fail_on', 'absolute')}."
        )
    return ""


def _held(
    findings: Sequence[Finding],
    against: Sequence[Comparison],
    gate: Gate,
    red: Sequence[str],
    undecided: Sequence[str],
) -> tuple[Verdict, str]:
    """The verdict of a run that is held against a baseline."""
    if gate.failing == "absolute":
        verdict, bounds = _by_bounds(findings, gate)
        return verdict, f"{bounds.removesuffix('.')}. Against the baseline: {_told(against)}."
    judged = [f for f in findings if f.severity is Severity.ERROR and _counts(f, against, gate)]
    family = _checks(len(judged), "deciding ")
    told = _told(against)
    besides = "".join(f"; {text}" for text in _beside_losses(findings, against, gate))
    if red:
        return (
            Verdict.FAIL,
            f"{len(red)} of {family} did not pass ({', '.join(red)}): {told}{besides}.",
        )
    if not judged:
        return Verdict.PASS, f"No deciding check was run: {told}{besides}."
    if not any(_is_judged(f, against, gate) for f in judged):
        return Verdict.FAIL, f"Nothing could be judged: {told}{besides}."
    if undecided and must_be_decided(gate):
        return Verdict.FAIL, (
            f"None of {family} failed, but {len(undecided)} stayed undecided: {', '.join(undecided)}. More "
            f"images would decide. {told[:1].upper()}{told[1:]}{besides}."
        )
    if undecided:
        besides = (
            f"; {len(undecided)} of {family} stayed undecided: {', '.join(undecided)}{besides}"
        )
    return Verdict.PASS, f"No loss beyond what is tolerated is shown: {told}{besides}."


def _is_judged(finding: Finding, against: Sequence[Comparison], gate: Gate) -> bool:
    """Whether a deciding check says anything; one that was expected to fail said what became of it."""
    if finding.expectation is not None:
        return True
    if gate.failing in ("absolute", "both") and finding.verdict is not Verdict.NOT_APPLICABLE:
        return finding.bound.value is not None
    return any(c.outcome is not Outcome.NOT_COMPARED for c in _changes(finding, against))


def _told(against: Sequence[Comparison]) -> str:
    return "; ".join(
        f"against the anchor: {verdict_sentence(one)}" if one.anchor else verdict_sentence(one)
        for one in against
    )


def _beside_losses(
    findings: Sequence[Finding], against: Sequence[Comparison], gate: Gate
) -> Iterator[str]:
    """What the headline must not hide: what was not compared, what a bound says, what was expected."""
    waived = [text for one in against for text in (*one.mismatch, *one.gone)]
    if waived:
        yield f"compared although they differ: {', '.join(waived)}"
    lacking = {
        f.check: changes
        for f in findings
        if f.severity is Severity.ERROR and (changes := _changes(f, against))
    }
    not_compared = [
        name
        for name, changes in lacking.items()
        if any(change.outcome is Outcome.NOT_COMPARED for change in changes)
    ]
    if not_compared:
        yield f"not compared: {', '.join(not_compared)}"
    below = [f.check for f in findings if f.severity is Severity.ERROR and _open(f, Verdict.FAIL)]
    if below:
        nothing = "" if gate.failing == "both" else ", which decides nothing here"
        yield f"beyond {'its' if len(below) == 1 else 'their'} own bound{nothing}: {', '.join(below)}"
    run = {finding.check for finding in findings}
    warned = [
        change.short
        for one in against
        for change in one.changes
        if change.check in run
        and change.severity is Severity.WARN
        and change.outcome is Outcome.SHOWN
    ]
    if warned:
        yield f"warned: {', '.join(warned)}"
    yield from _expected(findings)


def _by_bounds(found: Sequence[Finding], gate: Gate) -> tuple[Verdict, str]:
    """The verdict of a run without a baseline."""
    errors = [f for f in found if f.severity is Severity.ERROR and f.bound.value is not None]
    held = [f for f in found if f.severity is Severity.ERROR and has_tolerance(f)]
    # A gate must not turn green without having judged: warnings alone decide nothing.
    if held and not errors:
        return Verdict.FAIL, (
            f"Nothing could be judged: {', '.join(f.check for f in held)} "
            f"{'is' if len(held) == 1 else 'are'} held against a baseline alone. Name one with "
            f"{spelled('baseline')}."
        )
    if all(f.verdict is Verdict.NOT_APPLICABLE for f in errors or found):
        kind = "deciding check" if errors else "check"
        return Verdict.FAIL, f"Nothing could be judged: no {kind} is applicable to these answers."
    against = [f for f in found if decides(f, (), gate)]
    if against:
        names = ", ".join(f"{f.check} ({f.stage}, {f.expectation or f.verdict})" for f in against)
        undecided = all(f.verdict is Verdict.INCONCLUSIVE for f in against)
        if undecided:
            return (
                Verdict.FAIL,
                f"None of {_checks(len(errors), 'deciding ')} failed, but {len(against)} stayed "
                f"undecided: {names}. More images would decide.",
            )
        return (
            Verdict.FAIL,
            f"{len(against)} of {_checks(len(errors), 'deciding ')} did not pass: {names}.",
        )
    return Verdict.PASS, "; ".join(
        [_passed(errors or found, bool(errors)), *_besides(found, errors)]
    ) + "."


def _passed(found: Sequence[Finding], decide: bool) -> str:
    passed = sum(f.verdict is Verdict.PASS for f in found)
    if not decide:
        judged = [f for f in found if f.verdict is not Verdict.DESCRIBED]
        described = len(found) - len(judged)
        return "No deciding check was run: " + ", ".join(
            [
                *(
                    [f"{passed} of {_checks(len(judged))} of severity warn passed"]
                    if judged
                    else []
                ),
                *([f"{_checks(described)} described"] if described else []),
            ]
        )
    rest = "none failed" + (" unexpectedly" if any(f.expectation for f in found) else "")
    return f"{passed} of {_checks(len(found), 'deciding ')} passed, {rest}"


def _checks(count: int, which: str = "") -> str:
    return f"{count} {which}check{'' if count == 1 else 's'}"


def _besides(found: Sequence[Finding], errors: Sequence[Finding]) -> Iterator[str]:
    """What the headline names beside those that passed: a check that could not run is no pass."""
    for what, chosen in (
        ("not applicable", [f for f in errors if f.verdict is Verdict.NOT_APPLICABLE]),
        ("warned", [f for f in found if f.severity is Severity.WARN and _open(f, Verdict.FAIL)]),
        ("stayed undecided", [f for f in found if _open(f, Verdict.INCONCLUSIVE)]),
    ):
        if chosen:
            yield f"{len(chosen)} {what}: " + ", ".join(f.check for f in chosen)
    yield from _expected(found)


def _expected(found: Sequence[Finding]) -> Iterator[str]:
    for what, expectation in (
        ("failed as expected", Expectation.FAILED),
        ("passed unexpectedly", Expectation.PASSED),
    ):
        chosen = [f for f in found if f.expectation is expectation]
        if chosen:
            yield f"{len(chosen)} {what}: " + ", ".join(f.check for f in chosen)


def _open(finding: Finding, verdict: Verdict) -> bool:
    return finding.verdict is verdict and finding.expectation is None
