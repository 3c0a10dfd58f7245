"""What a trace means: curves and nodes over layers. NumPy and SciPy only.

The metrics that checks name are public here, and are resolved on first use.
"""

from lvlm_audit.lazy import public

_HOMES = {
    "Metric": "lvlm_audit.metrics.curves:Metric",
    "grounding": "lvlm_audit.metrics.curves:grounding",
    "image_advantage": "lvlm_audit.metrics.curves:image_advantage",
    "image_divergence": "lvlm_audit.metrics.curves:image_divergence",
    "neighbour_divergence": "lvlm_audit.metrics.curves:neighbour_divergence",
    "nucleus_mass": "lvlm_audit.metrics.curves:nucleus_mass",
    "reference_surprisal": "lvlm_audit.metrics.curves:reference_surprisal",
    "token_lead": "lvlm_audit.metrics.curves:token_lead",
    "token_probability": "lvlm_audit.metrics.curves:token_probability",
    "entropy": "lvlm_audit.metrics.distributions:entropy",
    "jsd_to_final": "lvlm_audit.metrics.distributions:jsd_to_final",
    "kl_to_final": "lvlm_audit.metrics.distributions:kl_to_final",
    "leader_changes": "lvlm_audit.metrics.distributions:leader_changes",
    "paper_index": "lvlm_audit.metrics.distributions:paper_index",
    "answer_agreement": "lvlm_audit.metrics.effects:answer_agreement",
    "leader_agreement": "lvlm_audit.metrics.effects:leader_agreement",
    "skip_divergence": "lvlm_audit.metrics.effects:skip_divergence",
    "skip_kl": "lvlm_audit.metrics.effects:skip_kl",
    "critical_depth": "lvlm_audit.metrics.tokens:critical_depth",
    "distractor_probability": "lvlm_audit.metrics.tokens:distractor_probability",
    "emitted_margin": "lvlm_audit.metrics.tokens:emitted_margin",
    "lead_margin": "lvlm_audit.metrics.tokens:lead_margin",
    "leader_probability": "lvlm_audit.metrics.tokens:leader_probability",
    "leader_switches": "lvlm_audit.metrics.tokens:leader_switches",
    "onset_depth": "lvlm_audit.metrics.tokens:onset_depth",
    "rival_probability": "lvlm_audit.metrics.tokens:rival_probability",
    "saturation_depth": "lvlm_audit.metrics.tokens:saturation_depth",
    "settle_depth": "lvlm_audit.metrics.tokens:settle_depth",
    "token_rank": "lvlm_audit.metrics.tokens:token_rank",
    "hallucinated": "lvlm_audit.hallucination.metrics:hallucinated",
    "late_reversal": "lvlm_audit.hallucination.metrics:late_reversal",
    "right_answer": "lvlm_audit.hallucination.metrics:right_answer",
}

__all__ = [*_HOMES]  # noqa: PLE0604

__getattr__, __dir__ = public(__name__, _HOMES)
