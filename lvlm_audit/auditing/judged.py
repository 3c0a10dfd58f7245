"""A judged family of checks, with the evidence behind it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from lvlm_audit.auditing.conclude import conclude, selected
from lvlm_audit.comparing import Decision, compare, completed, decide
from lvlm_audit.comparing.held import Held
from lvlm_audit.document import (
    AskedProbe,
    Audit,
    Comparison,
    Expectation,
    Finding,
    GateReading,
    Rounding,
    Subject,
)
from lvlm_audit.errors import CannotJudge
from lvlm_audit.notes import Note
from lvlm_audit.probes.probe import Probe
from lvlm_audit.readings.asked import asked_probes
from lvlm_audit.readings.rounding import rounding_reading
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.settings.gate import Gate
from lvlm_audit.spec.judge import ALPHA

NO_GATE = Gate()


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A judged family of checks, with the evidence behind it; a document can be made of any part.

    Attributes:
        findings: of all declared checks.
        evidence: through the run's lens.
        subject: whom was asked.
        others: what was recorded through other lenses.
        probes: as asked.
        provenance: how it was made.
        notes: what of the input was left out, or used otherwise.
        fed: what the model is fed beside the probes, by value.
        seed: of the resampling.
        gate: what fails.
        held: what it is held against; None: nothing.
        compared: with the baseline, and with its anchor where there is one.
        alpha: one-sided error rate of each of the two families.
        looks, looks_planned, images_planned: as `GateReading` has them.
    """

    findings: Sequence[Finding]
    evidence: Evidence
    subject: Subject
    others: Sequence[Evidence] = ()
    probes: Sequence[Probe] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    fed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    gate: Gate = NO_GATE
    held: Held | None = None
    compared: Sequence[Comparison] = ()
    alpha: float = ALPHA
    looks: int = 1
    looks_planned: int = 1
    images_planned: int = 0

    @property
    def asked(self) -> Sequence[AskedProbe]:
        """Every probe in short."""
        return asked_probes(self.evidence)

    @property
    def rounding(self) -> Rounding | None:
        """How far rounding alone moves the last margin."""
        return rounding_reading(self.evidence)

    def finding(self, name: str) -> Finding:
        """What one check found."""
        return next(f for f in self.findings if f.check == name)

    def compare(self, held: Held) -> Judged:
        """The same, compared with an earlier audit and its anchor, whatever comes of it."""
        compared = [compare(self, held.baseline, seed=self.seed, alpha=self.alpha)]
        if held.anchor is not None:
            anchor = compare(self, held.anchor, seed=self.seed, alpha=self.alpha)
            compared.append(dataclasses.replace(anchor, anchor=True))
        return dataclasses.replace(self, held=held, compared=compared)

    def against(self, held: Held) -> Judged:
        """The same, held against an earlier audit and its anchor.

        Raises:
            CannotJudge: the audits cannot be compared.
        """
        judged = self.compare(held)
        if impossible := judged.decision().impossible:
            raise CannotJudge(impossible)
        return judged

    def decision(
        self,
        only: Collection[str] | None = None,
        expected: Mapping[str, tuple[Expectation, str]] = MappingProxyType({}),
    ) -> Decision:
        """What is red, and what is undecided; arguments as of `document`."""
        names = self._names(only)
        return decide(
            selected(self.findings, names, expected),
            self.compared,
            self.gate,
            left_out=[f for f in self.findings if f.check not in names],
        )

    def _names(self, only: Collection[str] | None) -> Collection[str]:
        return [f.check for f in self.findings] if only is None else only

    def document(
        self,
        only: Collection[str] | None = None,
        expected: Mapping[str, tuple[Expectation, str]] = MappingProxyType({}),
    ) -> Audit:
        """The audit document.

        Args:
            only: names of the checks that count; verdicts are the family's all the same.
            expected: of checks that were expected to fail, what became of it, and why it was expected.

        Raises:
            TraceError: no eligible token in any answer.
        """
        decision = self.decision(only, expected)
        names = self._names(only)
        audit = conclude(
            selected(self.findings, names, expected),
            self.evidence,
            subject=self.subject,
            others=self.others,
            probes=self.probes,
            provenance=self.provenance,
            notes=self.notes,
            fed=self.fed,
            seed=self.seed,
            decision=decision,
        )
        audit = dataclasses.replace(
            audit,
            gate=GateReading(
                fail_on=self.gate.failing,
                inconclusive=self.gate.undecided,
                red=decision.red,
                undecided=decision.undecided,
                left_out=decision.left_out,
                looks=self.looks,
                looks_planned=self.looks_planned,
                images_planned=self.images_planned,
            ),
        )
        return audit if self.held is None else self._compared(audit, self.held)

    def _compared(self, audit: Audit, held: Held) -> Audit:
        documents = [held.baseline, *([] if held.anchor is None else [held.anchor])]
        whole = [
            completed(one, audit, document, seed=self.seed, alpha=self.alpha)
            for one, document in zip(self.compared, documents, strict=True)
        ]
        return dataclasses.replace(
            audit, comparison=whole[0], anchor=whole[1] if len(whole) > 1 else None
        )
