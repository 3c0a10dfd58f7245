"""The whole answer: it depends on the image, and on the right one."""

from lvlm_audit import Check, Stage, at_least
from lvlm_audit.metrics import image_advantage, image_divergence
from lvlm_audit.properties import Value

image_matters = Check(
    "Another probe's image changes the distributions of the answer's content tokens.",
    stage=Stage.WHOLE_ANSWER,
    metric=image_divergence,
    property=Value(at="last"),
    holds_for=at_least(0.05, of="mean"),
    tokens="content",
    rationale=(
        "A model that looks away from the image gives exactly 0; replaying the same text twice in "
        "another batch stays below 0.001 bit. 0.05 bit is fifty times that floor and still only a "
        "twentieth of what two disjoint distributions give."
    ),
)

image_informs = Check(
    "The reference answer is more likely under its own image than under another probe's.",
    stage=Stage.WHOLE_ANSWER,
    metric=image_advantage,
    property=Value(at="last"),
    holds_for=at_least(0.1, of="mean"),
    tokens="content",
    max_drop=0.2,
    rationale=(
        "Without knowledge of the image the ratio is 1 and its logarithm 0, whatever the model's "
        "skill with words; swapped images give the same. 0.1 bit per content word (7 % more likely) "
        "is the smallest advantage that we would call information. Against a baseline a fifth of the "
        "parent's own advantage may go: a share, because parents have from 0.2 to 5 bits and each of them "
        "can lose everything."
    ),
)
