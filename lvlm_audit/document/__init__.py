"""The audit document: a versioned JSON record that every renderer and comparison reads.

Standard library only, so that reports and comparisons run on a machine without NumPy. Field names here
are the field names in the JSON file. Numbers are plain ints and floats; a value that does not exist is
null, never NaN. Curves are rounded to 4 significant places when the document is written.

Units: probabilities and shares in [0, 1]; divergences and entropies in bits (`paper_index` alone has
another unit);  states and transitions
are indices (state j of 0..L, transition i = state i -> i + 1, block i is 0-based).
"""

from lvlm_audit.document.asked import AskedProbe, Rounding
from lvlm_audit.document.audit import SCHEMA, SCHEMA_VERSION, Audit, Subject
from lvlm_audit.document.calibration import Calibration, Floor
from lvlm_audit.document.classes import ClassComparison, ClassMeasure, ClassValue
from lvlm_audit.document.comparison import (
    Change,
    ChangedAnswer,
    ChangedAnswers,
    Comparison,
    Difference,
    FedDifference,
    MovedCurve,
    Named,
    Outcome,
)
from lvlm_audit.document.corrections import (
    CorrectionsReading,
    InterventionReading,
    RedecodedAnswer,
    WordFate,
    WordShare,
)
from lvlm_audit.document.decoder import DecoderComparison, SideDifference
from lvlm_audit.document.features import CommonStep, FeatureReading, Plane, StateMap
from lvlm_audit.document.findings import (
    Bound,
    Eligibility,
    Expectation,
    Finding,
    Interval,
    Quantity,
    Severity,
    Stage,
    Verdict,
)
from lvlm_audit.document.gate import GateReading
from lvlm_audit.document.grounding import GroundingReading
from lvlm_audit.document.hallucination import (
    HallucinationReading,
    KindScore,
    LabelledToken,
    Leader,
    SignalScore,
)
from lvlm_audit.document.plain import rounded
from lvlm_audit.document.probes import ProbeReading, TokenReading
from lvlm_audit.document.pruning import (
    AnswerPair,
    CandidateSet,
    Export,
    Loss,
    Method,
    NominatedSet,
    PruningPlan,
    Savings,
)
from lvlm_audit.document.scores import ScoreReading, ScoreRow
from lvlm_audit.document.skips import (
    BlockSet,
    SideBySide,
    SkipEffect,
    SkipReading,
)
from lvlm_audit.document.stages import (
    LayerSummary,
    Level,
    Node,
    StageReading,
    TerminalTransition,
)
from lvlm_audit.document.uses import Nomination, Reversal, Uses

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "AnswerPair",
    "AskedProbe",
    "Audit",
    "BlockSet",
    "Bound",
    "Calibration",
    "CandidateSet",
    "Change",
    "ChangedAnswer",
    "ChangedAnswers",
    "ClassComparison",
    "ClassMeasure",
    "ClassValue",
    "CommonStep",
    "Comparison",
    "CorrectionsReading",
    "DecoderComparison",
    "Difference",
    "Eligibility",
    "Expectation",
    "Export",
    "FeatureReading",
    "FedDifference",
    "Finding",
    "Floor",
    "GateReading",
    "GroundingReading",
    "HallucinationReading",
    "Interval",
    "InterventionReading",
    "KindScore",
    "LabelledToken",
    "LayerSummary",
    "Leader",
    "Level",
    "Loss",
    "Method",
    "MovedCurve",
    "Named",
    "Node",
    "NominatedSet",
    "Nomination",
    "Outcome",
    "Plane",
    "ProbeReading",
    "PruningPlan",
    "Quantity",
    "RedecodedAnswer",
    "Reversal",
    "Rounding",
    "Savings",
    "ScoreReading",
    "ScoreRow",
    "Severity",
    "SideBySide",
    "SideDifference",
    "SignalScore",
    "SkipEffect",
    "SkipReading",
    "Stage",
    "StageReading",
    "StateMap",
    "Subject",
    "TerminalTransition",
    "TokenReading",
    "Uses",
    "Verdict",
    "WordFate",
    "WordShare",
    "rounded",
]
