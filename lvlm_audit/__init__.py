"""pytest for the inside of a vision-language model.

The public names are resolved on first use (PEP 562), so that importing the package costs nothing:
no torch, no NumPy. Only names that open or ask a model import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lvlm_audit.version import __version__

if TYPE_CHECKING:
    from lvlm_audit.auditing.run import run as run
    from lvlm_audit.document import Audit as Audit
    from lvlm_audit.document import Finding as Finding
    from lvlm_audit.document import Severity as Severity
    from lvlm_audit.document import Stage as Stage
    from lvlm_audit.document import Verdict as Verdict
    from lvlm_audit.errors import LvlmAuditError as LvlmAuditError
    from lvlm_audit.hallucination.metrics import hallucinated as hallucinated
    from lvlm_audit.hallucination.metrics import late_reversal as late_reversal
    from lvlm_audit.hallucination.signals.evidence import TokenEvidence as TokenEvidence
    from lvlm_audit.hallucination.signals.registry import register as register_signal  # noqa: F401
    from lvlm_audit.hallucination.signals.signal import Signal as Signal
    from lvlm_audit.interventions.named import Skip as Skip
    from lvlm_audit.lenses.lens import Lens as Lens
    from lvlm_audit.lenses.registry import register_lens as register_lens
    from lvlm_audit.lenses.registry import unregister_lens as unregister_lens
    from lvlm_audit.metrics.curves import Metric as Metric
    from lvlm_audit.metrics.curves import grounding as grounding
    from lvlm_audit.metrics.curves import image_advantage as image_advantage
    from lvlm_audit.metrics.curves import image_divergence as image_divergence
    from lvlm_audit.metrics.curves import neighbour_divergence as neighbour_divergence
    from lvlm_audit.metrics.curves import nucleus_mass as nucleus_mass
    from lvlm_audit.metrics.curves import token_lead as token_lead
    from lvlm_audit.metrics.curves import token_probability as token_probability
    from lvlm_audit.metrics.distributions import entropy as entropy
    from lvlm_audit.metrics.distributions import jsd_to_final as jsd_to_final
    from lvlm_audit.metrics.distributions import kl_to_final as kl_to_final
    from lvlm_audit.metrics.distributions import leader_changes as leader_changes
    from lvlm_audit.metrics.distributions import paper_index as paper_index
    from lvlm_audit.metrics.effects import answer_agreement as answer_agreement
    from lvlm_audit.metrics.effects import leader_agreement as leader_agreement
    from lvlm_audit.metrics.effects import skip_divergence as skip_divergence
    from lvlm_audit.metrics.effects import skip_kl as skip_kl
    from lvlm_audit.metrics.tokens import critical_depth as critical_depth
    from lvlm_audit.metrics.tokens import distractor_probability as distractor_probability
    from lvlm_audit.metrics.tokens import emitted_margin as emitted_margin
    from lvlm_audit.metrics.tokens import lead_margin as lead_margin
    from lvlm_audit.metrics.tokens import leader_probability as leader_probability
    from lvlm_audit.metrics.tokens import leader_switches as leader_switches
    from lvlm_audit.metrics.tokens import onset_depth as onset_depth
    from lvlm_audit.metrics.tokens import rival_probability as rival_probability
    from lvlm_audit.metrics.tokens import saturation_depth as saturation_depth
    from lvlm_audit.metrics.tokens import settle_depth as settle_depth
    from lvlm_audit.metrics.tokens import token_rank as token_rank
    from lvlm_audit.models.hooked import HookedModel as HookedModel
    from lvlm_audit.models.opening import hook as hook
    from lvlm_audit.models.opening import load as load
    from lvlm_audit.probes.formats.format import ProbeFormat as ProbeFormat
    from lvlm_audit.probes.formats.registry import register_probe_format as register_probe_format
    from lvlm_audit.probes.probe import Probe as Probe
    from lvlm_audit.probes.readers import read_probes as read_probes
    from lvlm_audit.report.html import write as render  # noqa: F401
    from lvlm_audit.spec.check import Check as Check
    from lvlm_audit.spec.check import at_least as at_least
    from lvlm_audit.spec.check import at_most as at_most
    from lvlm_audit.spec.properties import Holds as Holds
    from lvlm_audit.spec.properties import Kept as Kept
    from lvlm_audit.spec.properties import LateMutation as LateMutation
    from lvlm_audit.spec.properties import LevelGap as LevelGap
    from lvlm_audit.spec.properties import Plateau as Plateau
    from lvlm_audit.spec.properties import Rise as Rise
    from lvlm_audit.spec.properties import Saturates as Saturates
    from lvlm_audit.spec.properties import Value as Value
    from lvlm_audit.spec.suite import suite as suite
    from lvlm_audit.stages import Stages as Stages
    from lvlm_audit.stages import find_stages as find_stages
    from lvlm_audit.traces.common import common_step as common_step
    from lvlm_audit.traces.feature_recorder import record_common_step as record_common_step
    from lvlm_audit.traces.feature_recorder import record_features as record_features
    from lvlm_audit.traces.features import FeatureTrace as FeatureTrace
    from lvlm_audit.traces.image_word_recorder import record_image_words as record_image_words
    from lvlm_audit.traces.recorder import record as record
    from lvlm_audit.traces.recorder import replay as replay
    from lvlm_audit.traces.trace import Trace as Trace

_HOMES = {
    "auditing.run": ("run",),
    "document": ("Audit", "Finding", "Severity", "Stage", "Verdict"),
    "errors": ("LvlmAuditError",),
    "hallucination.metrics": ("hallucinated", "late_reversal"),
    "interventions.named": ("Skip",),
    "hallucination.signals.evidence": ("TokenEvidence",),
    "hallucination.signals.registry": ("register",),
    "hallucination.signals.signal": ("Signal",),
    "lenses.lens": ("Lens",),
    "lenses.registry": ("register_lens", "unregister_lens"),
    "metrics.curves": (
        "Metric",
        "grounding",
        "image_advantage",
        "image_divergence",
        "neighbour_divergence",
        "nucleus_mass",
        "token_lead",
        "token_probability",
    ),
    "metrics.distributions": (
        "entropy",
        "jsd_to_final",
        "kl_to_final",
        "leader_changes",
        "paper_index",
    ),
    "metrics.effects": (
        "answer_agreement",
        "leader_agreement",
        "skip_divergence",
        "skip_kl",
    ),
    "metrics.tokens": (
        "critical_depth",
        "distractor_probability",
        "emitted_margin",
        "lead_margin",
        "leader_probability",
        "leader_switches",
        "onset_depth",
        "rival_probability",
        "saturation_depth",
        "settle_depth",
        "token_rank",
    ),
    "models.hooked": ("HookedModel",),
    "models.opening": ("hook", "load"),
    "probes.formats.format": ("ProbeFormat",),
    "probes.formats.registry": ("register_probe_format",),
    "probes.probe": ("Probe",),
    "probes.readers": ("read_probes",),
    "report.html": ("write",),
    "spec.check": ("Check", "at_least", "at_most"),
    "spec.properties": (
        "Holds",
        "Kept",
        "LateMutation",
        "LevelGap",
        "Plateau",
        "Rise",
        "Saturates",
        "Value",
    ),
    "spec.suite": ("suite",),
    "stages": ("Stages", "find_stages"),
    "traces.common": ("common_step",),
    "traces.feature_recorder": ("record_common_step", "record_features"),
    "traces.features": ("FeatureTrace",),
    "traces.image_word_recorder": ("record_image_words",),
    "traces.recorder": ("record", "replay"),
    "traces.trace": ("Trace",),
}
_RENAMED = {"write": "render", "register": "register_signal"}
_WHERE = {_RENAMED.get(n, n): (home, n) for home, names in _HOMES.items() for n in names}

__all__ = ["__version__", *sorted(_WHERE)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    try:
        home, original = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module 'lvlm_audit' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f"lvlm_audit.{home}"), original)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
