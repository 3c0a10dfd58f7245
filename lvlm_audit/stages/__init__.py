"""Stages: where knowledge forms, holds and changes again, with evidence, or that there is no pattern.

docs/method.md#stages-and-patterns has the definitions. NumPy only. Every level of evidence is read
by itself and reported beside the others; whether they agree is a finding.
"""

from lvlm_audit.stages.feature import Guitar, guitar, token_spread
from lvlm_audit.stages.finding import find_stages
from lvlm_audit.stages.readings import (
    FAN_OUT,
    INCONCLUSIVE,
    NO_PATTERN,
    NOT_MEASURED,
    RISE_AND_PLATEAU,
    RISE_ONLY,
    THREE_STAGES,
    LevelReading,
    NodeEstimate,
    Stages,
    TokenNodes,
)
from lvlm_audit.stages.summary import AGREEMENT, MUTATION_QUORUM

__all__ = [
    "AGREEMENT",
    "FAN_OUT",
    "INCONCLUSIVE",
    "MUTATION_QUORUM",
    "NOT_MEASURED",
    "NO_PATTERN",
    "RISE_AND_PLATEAU",
    "RISE_ONLY",
    "THREE_STAGES",
    "Guitar",
    "LevelReading",
    "NodeEstimate",
    "Stages",
    "TokenNodes",
    "find_stages",
    "guitar",
    "token_spread",
]
