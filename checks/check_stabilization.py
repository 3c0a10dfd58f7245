"""Stabilization: once formed, the answer holds."""

from lvlm_audit import Check, Severity, Stage, at_least
from lvlm_audit.metrics import neighbour_divergence, token_probability
from lvlm_audit.properties import Plateau, Saturates

settles_early = Check(
    "The leading token no longer changes from some state before L-1 on.",
    stage=Stage.STABILIZATION,
    metric=token_probability,
    property=Saturates(),
    holds_for=at_least(0.70, of="images"),
    severity=Severity.WARN,
    rationale=(
        "If the leader is final only at the last two states, the last blocks still decide the answer "
        "and none of them can be removed or read early. That is no fault: healthy models rise to the "
        "end too (Qwen2.5-VL-7B: the answer leads first at a median of block 26 of 0 to 27), the "
        "paper's settle long before. It warns whoever wants to remove blocks or to leave early."
    ),
)

plateau_holds = Check(
    "After the settle state the leading token stays and neighbouring states stay close.",
    stage=Stage.STABILIZATION,
    metric=neighbour_divergence,
    property=Plateau(max_divergence=0.1),
    holds_for=at_least(0.50, of="images"),
    severity=Severity.WARN,
    rationale=(
        "0.1 bit is a tenth of the divergence's range: two distributions that close name the same "
        "leader with nearly the same probability. The window starts at the settle state of the other "
        "half of the images, by which half of the tokens have settled; so half is what is asked. A "
        "model that rises to the end has no such window: not applicable, and no fault."
    ),
)
