"""What two short words about the stages mean: that levels agree, and that there is no mutation layer.

Other parts of a document count otherwise (a check token by token, content words alone): each sentence names
its rule, so that none of them contradicts another.
"""

from __future__ import annotations

from lvlm_audit.stages import Stages
from lvlm_audit.stages.readings import THREE_STAGES
from lvlm_audit.stages.summary import AGREEMENT, MUTATION_QUORUM


def agreement_words(stages: Stages) -> str:
    """Which levels place a critical layer where, and whether that is the same place."""
    placed = {
        name: state
        for name, level in stages.by_level.items()
        if (state := level.critical_state) is not None
    }
    rest = [
        f"{name} ({level.pattern})" for name, level in stages.by_level.items() if name not in placed
    ]
    aside = f" Not compared, for want of a pattern: {', '.join(rest)}." if rest else ""
    where = " and ".join(f"{name} at {state:g}" for name, state in placed.items())
    if len(placed) < 2:
        said = f"Only {where} places" if placed else "No level places"
        return f"{said} a critical layer, so that there is nothing to compare.{aside}"
    slack = max(1.0, AGREEMENT * stages.blocks)
    apart = max(placed.values()) - min(placed.values())
    verdict = "agree" if stages.levels_agree else "do not agree"
    return (
        f"The levels that show a pattern {verdict} on the critical layer of the model: {where}, "
        f"{apart:g} states apart; up to {slack:g} ({AGREEMENT:.0%} of the depth) counts as the same.{aside}"
    )


def late_words(stages: Stages) -> str:
    """Why these states, or none, are called mutation layers, beside how many tokens mutate at all."""
    mutated = stages.per_token.mutated[:, : stages.blocks]
    if not mutated.size:
        return ""
    anywhere = float(mutated.any(axis=1).mean())
    share = stages.mutation_share
    most = int(share.argmax())
    peak = f", at most {share[most]:.0%} at one state ({most})" if anywhere else ""
    tokens = f"{anywhere:.0%} of eligible tokens replace a settled leader late{peak}"
    rule = f"a mutation layer is a state at which at least {MUTATION_QUORUM:.0%} do"
    if stages.mutation_layers:
        return f"{tokens}; {rule}."
    if stages.pattern != THREE_STAGES and share[most] >= MUTATION_QUORUM:
        return (
            f"{tokens}. No state is called a mutation layer all the same: {rule}, and only where a rise "
            f"and a plateau come before (three stages); this model shows {stages.pattern!r}."
        )
    return f"{tokens}; {rule}, so that there is none."
