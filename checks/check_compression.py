"""Compression: what happens when the stages' blocks are really skipped. Opt-in: it asks the model anew.

Nodes are located on one half of the images and each set is measured on the other. A model without stages
has no such sets: the checks are then not applicable, and the report shows what skipping at the paper's
share of the depth does. Run it by name: `pytest --lvlm-model llava-1.5-7b checks/check_compression.py`.
"""

from lvlm_audit import Check, Severity, Skip, Stage, at_least, at_most
from lvlm_audit.metrics import answer_agreement, leader_agreement
from lvlm_audit.properties import Holds

OPT_IN = True

stabilization_skippable = Check(
    "Without the stabilization blocks (skip.1) the model still has the same next token in mind.",
    stage=Stage.STABILIZATION,
    metric=leader_agreement,
    property=Holds(0.5),
    holds_for=at_least(0.90, of="tokens"),
    under=Skip("skip.1"),
    rationale=(
        "A plateau says that these blocks change nothing; only skipping them can show it. One next "
        "token in ten is as much as a pruned model's answers survive: at 90 % about half of the "
        "answers of seven words are still word for word the same (0.9 to the seventh)."
    ),
)

stabilization_answers_kept = Check(
    "Asked anew without the stabilization blocks (skip.1), the model gives the same answer.",
    stage=Stage.STABILIZATION,
    metric=answer_agreement,
    property=Holds(0.5),
    holds_for=at_least(0.50, of="images"),
    severity=Severity.WARN,
    under=Skip("skip.1"),
    rationale=(
        "The paper reports outputs nearly unchanged. Word for word is stricter than the meaning, so "
        "that half of the answers are asked for, and the report shows the others side by side."
    ),
)

mutation_skip_keeps_most = Check(
    "Without the mutation blocks (skip.2) most next tokens are still the same.",
    stage=Stage.MUTATION,
    metric=leader_agreement,
    property=Holds(0.5),
    holds_for=at_least(0.50, of="tokens"),
    severity=Severity.WARN,
    under=Skip("skip.2"),
    rationale=(
        "Mutation blocks are not the same thing as stabilization blocks: they revise, so that skipping "
        "them must change something, yet the paper reports that most of the meaning is kept. Below one "
        "half they carry the answer, and are no late revision of it."
    ),
)

deep_skip_hurts = Check(
    "Without all blocks from the critical layer to the last few (skip.3) many next tokens change.",
    stage=Stage.WHOLE_ANSWER,
    metric=leader_agreement,
    property=Holds(0.5),
    holds_for=at_most(0.90, of="tokens"),
    severity=Severity.WARN,
    under=Skip("skip.3"),
    rationale=(
        "The control of the two checks above: a measurement that also calls this harmless measures "
        "nothing. The bound is the one that the stabilization blocks must clear from the other side."
    ),
)
