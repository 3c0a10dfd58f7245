"""Mutation: late layers may revise the answer, but not as a habit, and not against the image."""

from lvlm_audit import Check, Severity, Stage, at_least, described
from lvlm_audit.metrics import image_divergence, token_probability
from lvlm_audit.properties import Kept, LateMutation

late_switch_bounded = Check(
    "How many content tokens replace a settled leader in the last quarter of the depth.",
    stage=Stage.MUTATION,
    metric=token_probability,
    property=LateMutation(),
    holds_for=described(of="tokens"),
    tokens="content",
    severity=Severity.WARN,
    rationale=(
        "Late reversals are where hallucinated tokens enter, but ordinary tokens reverse too: on the "
        "published LLaVA-1.5 curves about 12 of 20 switch leader late, and healthy models differ by more "
        "than any bound would forgive. So no bound is declared. A later gain of the same word is none, nor "
        "is an answer that forms late where nothing had settled."
    ),
)

image_kept = Check(
    "At the last state at least half of the image's strongest influence is left.",
    stage=Stage.MUTATION,
    metric=image_divergence,
    property=Kept(share=0.5, min_peak=0.05),
    holds_for=at_least(0.50, of="images"),
    tokens="content",
    severity=Severity.WARN,
    rationale=(
        "An image that moves the middle of the network but not its end has been overruled by the "
        "language prior. Half of the peak is the least that still lets the image decide; the same "
        "should hold for at least half of the images."
    ),
)
