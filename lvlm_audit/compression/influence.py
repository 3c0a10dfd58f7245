"""Block Influence (ShortGPT, arXiv 2403.03853, eq. 1): how much a block turns the residual stream."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from lvlm_audit.compression.nomination import Nomination, least

Where = Literal["all", "visual", "text"]

_OVER: dict[Where, tuple[str, str]] = {
    "all": ("Block Influence", "all positions"),
    "visual": ("Block Influence, visual", "the positions that hold image features"),
    "text": ("Block Influence, text", "the positions that hold no image feature"),
}


def block_influence(
    cosine: npt.NDArray[np.float64] | None, most: int, *, where: Where = "all", reason: str = ""
) -> Nomination:
    """BI_i = 1 - E[cos(h_i, h_(i+1))], the expectation over the positions of all prompts together.

    Args:
        cosine: [L] mean cosine of a block's input and output, in [-1, 1]; None: not measured.
        most: largest set.
        where: over which positions the mean was taken.
        reason: why it was not measured.

    Returns:
        Scores in [0, 2]; sets of the k least influential blocks, as ShortGPT removes them.
    """
    name, over = _OVER[where]
    scores = () if cosine is None else tuple(float(v) for v in 1.0 - cosine)
    return Nomination(
        method=name,
        source="ShortGPT, arXiv 2403.03853",
        definition=f"1 - E[cos(input, output)] of the block, over {over} of the prompts",
        unit="1 - cosine",
        scores=scores,
        sets=least(scores, most),
        reason=reason,
    )
