"""What was seen: recording an answer under hooks, and the trace that stays of it.

The recorders and what they give are public here, and are resolved on first use.
"""

from lvlm_audit.lazy import public

_HOMES = {
    "record": "lvlm_audit.traces.recorder:record",
    "replay": "lvlm_audit.traces.recorder:replay",
    "Trace": "lvlm_audit.traces.trace:Trace",
    "record_common_step": "lvlm_audit.traces.feature_recorder:record_common_step",
    "record_features": "lvlm_audit.traces.feature_recorder:record_features",
    "FeatureTrace": "lvlm_audit.traces.features:FeatureTrace",
    "common_step": "lvlm_audit.traces.common:common_step",
    "record_image_words": "lvlm_audit.traces.image_word_recorder:record_image_words",
}

__all__ = [*_HOMES]  # noqa: PLE0604

__getattr__, __dir__ = public(__name__, _HOMES)
