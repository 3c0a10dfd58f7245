"""Evidence: everything recorded for one audit through one lens, as checks see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lvlm_audit.metrics.curves import Needs
from lvlm_audit.traces.features import FeatureMap, FeatureTrace
from lvlm_audit.traces.trace import LensName, PairedTrace, Trace

Item = Trace | PairedTrace


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Recordings of one set of probes.

    Attributes:
        lens: how states were read.
        traces: one for each probe, in order.
        answer_pairs: paired replays of the answers; empty when not required or not possible.
        reference_pairs: paired replays of reference answers, for the probes that have one.
        features: states of some answers; no check reads them, stages and report do.
        common_step: states of every image at one step.
        feature_maps: pictures of both.
    """

    lens: LensName
    traces: Sequence[Trace]
    answer_pairs: Sequence[PairedTrace] = ()
    reference_pairs: Sequence[PairedTrace] = ()
    features: Sequence[FeatureTrace] = ()
    common_step: Sequence[FeatureTrace] = ()
    feature_maps: Sequence[FeatureMap] = ()

    def items(self, needs: Needs) -> Sequence[Item]:
        """The recordings of one kind."""
        if needs == "answers":
            return self.traces
        return self.answer_pairs if needs == "answer pairs" else self.reference_pairs
