"""The paper's pattern as it stands (arXiv 2504.02862), read through its raw lens. Opt-in.

These describe LLaVA-1.5-7B as that instrument shows it; they are a comparison, not a gate. Run them by
name: `pytest --lvlm-model llava-1.5-7b checks/check_paper.py`.
"""

from lvlm_audit import Check, Severity, Stage, at_least
from lvlm_audit.metrics import neighbour_divergence, token_probability
from lvlm_audit.properties import LateMutation, Plateau, Rise

OPT_IN = True

paper_rise = Check(
    "Through the raw lens the emitted token's probability rises sharply up to the critical layer.",
    stage=Stage.RAPID_EVOLUTION,
    metric=token_probability,
    property=Rise(until="settle", max_downward=0.25, min_gain=0.2),
    holds_for=at_least(0.70, of="images"),
    severity=Severity.WARN,
    lens="raw",
    rationale="The paper's first finding (section 3), with this project's definition of a rise.",
)

paper_plateau = Check(
    "Through the raw lens distributions stay put between the critical and the mutation layers.",
    stage=Stage.STABILIZATION,
    metric=neighbour_divergence,
    property=Plateau(max_divergence=0.1),
    holds_for=at_least(0.50, of="images"),
    severity=Severity.WARN,
    lens="raw",
    rationale="The paper's second finding: divergence is close to 0 after about state 18 of 32.",
)

paper_mutation = Check(
    "Through the raw lens content tokens change their leader again in deep layers.",
    stage=Stage.MUTATION,
    metric=token_probability,
    property=LateMutation(),
    holds_for=at_least(0.10, of="tokens"),
    tokens="content",
    severity=Severity.WARN,
    lens="raw",
    rationale=(
        "The paper's third finding; one token in ten is this project's quorum for a mutation layer."
    ),
)
