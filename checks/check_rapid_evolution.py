"""Rapid evolution: the answer takes shape on the way up, and more than any fluent answer would."""

from lvlm_audit import Check, Severity, Stage, at_least, described
from lvlm_audit.metrics import nucleus_mass, token_lead, token_probability
from lvlm_audit.properties import LevelGap, Rise, Value

answer_forms = Check(
    "The emitted token's probability rises monotonically until it settles.",
    stage=Stage.RAPID_EVOLUTION,
    metric=token_probability,
    property=Rise(until="settle", max_downward=0.25, min_gain=0.2),
    holds_for=at_least(0.70, of="images"),
    rationale=(
        "Greedy decoding makes some rise certain, so the bound is on its shape: at most a quarter of "
        "the movement may point down, and at least 0.2 must be gained over state 0. A healthy answer "
        "has a minority of tokens that are read off the input; 70 % of images leave room for them."
    ),
)

beats_distractor = Check(
    "Where the answer has settled, the emitted token beats a token that another probe was given.",
    stage=Stage.RAPID_EVOLUTION,
    metric=token_lead,
    property=Value(at="settle"),
    holds_for=at_least(0.2, of="mean"),
    rationale=(
        "The distractor is as fluent at this step, but belongs to another image. A lead of 0.2 is the "
        "same gain that a rise must show; a model whose answers ignore the probe leads by about 0."
    ),
)

levels_agree = Check(
    "How far apart in depth probability and distribution place a token's critical layer.",
    stage=Stage.RAPID_EVOLUTION,
    metric=nucleus_mass,
    property=LevelGap(),
    holds_for=described(of="mean"),
    severity=Severity.WARN,
    rationale=(
        "Two readings of one event may differ by a few blocks. Far apart they do not describe the same "
        "event, and neither may be called the critical layer without the other. Healthy models differ in "
        "this, so no bound is declared."
    ),
)
