"""Which blocks a declared skip set is, once the base answers are there. No torch.

Nodes are located on one half of the images and the set's effect is measured on the other, and the other way
round (docs/method.md#two-halves-of-the-images): every image is measured once, under nodes that it had no
part in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.interventions.named import Nodes, NoSet, Skip, blocks_of
from lvlm_audit.interventions.sets import checked_blocks
from lvlm_audit.stages import Stages, find_stages
from lvlm_audit.statistics import fold_of
from lvlm_audit.traces.trace import Trace


@dataclass(frozen=True, slots=True)
class Formed:
    """A skip set as it was formed for a set of images.

    Attributes:
        blocks: by image; images whose other half gives no set are left out.
        reason: why some or all images have none; empty otherwise.
    """

    blocks: Mapping[str, tuple[int, ...]]
    reason: str = ""


def form(skip: Skip, traces: Sequence[Trace], *, seed: int = 0) -> Formed:
    """A declared skip set as block indices for each image.

    Args:
        skip: as declared.
        traces: the base answers, through one lens.
        seed: of the stage finder's resampling.

    Raises:
        UsageError: given indices that the model does not have.
    """
    depth = traces[0].blocks
    images = list(dict.fromkeys(t.asked.cluster for t in traces))
    if not isinstance(skip.which, str) or skip.at == "paper":
        try:
            blocks = checked_blocks(blocks_of(skip, Nodes(depth, None)), depth)
        except NoSet as error:
            return Formed({}, f"with {depth} blocks {error}")
        return Formed(dict.fromkeys(images, blocks))
    half = dict(zip(images, fold_of(images).tolist(), strict=True))
    found: dict[int, tuple[int, ...]] = {}
    reasons = []
    for located_on in (0, 1):
        part = [t for t in traces if half[t.asked.cluster] == located_on]
        try:
            found[1 - located_on] = checked_blocks(
                blocks_of(skip, _nodes(part, depth, seed)), depth
            )
        except NoSet as error:
            reasons.append(
                f"on {'one' if located_on == 0 else 'the other'} half of the images {error}"
            )
    return Formed(
        {image: found[side] for image, side in half.items() if side in found}, "; ".join(reasons)
    )


def _nodes(traces: Sequence[Trace], depth: int, seed: int) -> Nodes:
    if not traces:
        raise NoSet("there is no image")
    try:
        stages = find_stages(traces, seed=seed)
    except LvlmAuditError as error:
        raise NoSet(f"nothing could be located ({error})") from error
    if stages.critical_layer is None:
        raise NoSet(f"no critical layer was located (pattern: {stages.pattern})")
    return nodes_of(stages)


def nodes_of(stages: Stages) -> Nodes:
    """Located stages as what skip sets are formed of."""
    return Nodes(stages.blocks, stages.critical_layer, stages.mutation_layers)
