"""Hallucination: how often words are wrong, and whether they turn wrong late. Opt-in: it needs labels.

Without labels in the probes (POPE, AMBER, CHAIR output, HallusionBench, or `labels` of one's own) the first two
are not applicable, and without --lvlm-baseline the third is not. Run it by name:
`pytest --lvlm-model llava-1.5-7b --lvlm-probes pope.json checks/check_hallucination.py`.
"""

from lvlm_audit import Check, Severity, Stage, at_most
from lvlm_audit.metrics import hallucinated, late_reversal
from lvlm_audit.properties import Holds

OPT_IN = True

hallucination_bounded = Check(
    "Few of the words whose truth is known are hallucinated.",
    stage=Stage.WHOLE_ANSWER,
    metric=hallucinated,
    property=Holds(0.5),
    holds_for=at_most(0.25, of="tokens"),
    rationale=(
        "Published rates of instructed models lie between 10 and 20 % of named objects (CHAIR) and of "
        "POPE's yes-or-no answers; a quarter is worse than any of them by a clear distance. Set your own "
        "bound for your own probes: a rate depends on what is asked."
    ),
)

reversals_tell = Check(
    "Hallucinated words replace a settled leader late about as rarely as correct words do.",
    stage=Stage.MUTATION,
    metric=late_reversal,
    property=Holds(0.5),
    holds_for=at_most(0.15, of="difference"),
    against="correct",
    severity=Severity.WARN,
    rationale=(
        "The paper sees hallucinations enter by late reversals (camera to water), but most ordinary tokens "
        "of its own curves switch late as well, so only the excess over correct words says anything. From "
        "15 points on, late layers are a place to look for this model's errors, and to intervene."
    ),
)

no_new_reversals = Check(
    "No more content tokens replace a settled leader late than did in the baseline.",
    stage=Stage.MUTATION,
    metric=late_reversal,
    property=Holds(0.5),
    holds_for=at_most(0.05, of="difference"),
    against="baseline",
    tokens="content",
    rationale=(
        "A checkpoint that revises its words late more often than its parent did has lost certainty where "
        "hallucinations enter. Five points are about what two sets of images differ by for one model."
    ),
)
