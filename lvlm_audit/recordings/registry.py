"""Every kind of recording, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lvlm_audit.recordings.answer_pairs import ANSWER_PAIRS, NO_IMAGE_PAIRS
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.common_step import COMMON_STEP
from lvlm_audit.recordings.effects import EFFECTS
from lvlm_audit.recordings.feature_maps import FEATURE_MAPS
from lvlm_audit.recordings.features import FEATURES
from lvlm_audit.recordings.image_words import IMAGE_WORDS
from lvlm_audit.recordings.kind import Kind
from lvlm_audit.recordings.redecoded import REDECODED
from lvlm_audit.recordings.reference_pairs import REFERENCE_PAIRS
from lvlm_audit.recordings.rounding import ROUNDING
from lvlm_audit.recordings.text_answers import TEXT_ANSWERS

KINDS: Mapping[str, Kind[Any]] = {
    kind.name: kind
    for kind in (
        ANSWERS,
        ANSWER_PAIRS,
        NO_IMAGE_PAIRS,
        REFERENCE_PAIRS,
        ROUNDING,
        FEATURES,
        COMMON_STEP,
        FEATURE_MAPS,
        IMAGE_WORDS,
        TEXT_ANSWERS,
        EFFECTS,
        REDECODED,
    )
}
"""Each after those that it is made of; "effects" and what follows depend on what the answers say."""
