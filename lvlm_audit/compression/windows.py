"""Contiguous blocks whose end is most like their start: angular distance, and LLM-Streamline's best block.

The two differ in the position and in the order of mean and arc cosine. At one position they agree, since
arccos falls as the cosine rises; over many, E[arccos(cos)] weighs small angles more than E[cos] does,
whose loss is quadratic in the angle; and the last token of a prompt need not turn where the image's do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lvlm_audit.compression.nomination import Blocks, Nomination

Matrix = npt.NDArray[np.float64]


def angular_distance(angle: Matrix) -> Nomination:
    """d(s, n) = arccos(cos(h_s, h_(s+n))) / pi at the prompt's last token, mean over prompts; for every
    length n the start s with the least (Gromov et al., arXiv 2403.17887, eq. 2 and step 2).

    Args:
        angle: [K, L] mean distance of n = 1..K blocks from block s on, in [0, 1]; NaN past the end.
    """
    return Nomination(
        method="angular distance",
        source="Gromov et al., arXiv 2403.17887",
        definition=(
            "arccos(cos(input of the first, output of the last of n blocks in a row)) / pi at the "
            "prompt's last token; scores are those of n = 1"
        ),
        unit="share of a half turn",
        scores=_single(angle),
        sets=_least_of_each(angle),
    )


def streamline(cosine: Matrix) -> Nomination:
    """The n blocks in a row with the highest E[cos(h_s, h_(s+n))] over all positions (LLM-Streamline,
    arXiv 2403.19135, sec. 3.1). Its light network that would replace them is not trained here.

    Args:
        cosine: [K, L] mean cosine over n = 1..K blocks from block s on, in [-1, 1]; NaN past the end.
    """
    return Nomination(
        method="LLM-Streamline",
        source="Chen et al., arXiv 2403.19135",
        definition=(
            "1 - E[cos(input of the first, output of the last of n blocks in a row)] over all positions "
            "of the prompts; scores are those of n = 1"
        ),
        unit="1 - cosine",
        scores=_single(1.0 - cosine),
        sets=_least_of_each(1.0 - cosine),
    )


def _single(distance: Matrix) -> tuple[float | None, ...]:
    return tuple(float(v) for v in distance[0])


def _least_of_each(distance: Matrix) -> tuple[Blocks, ...]:
    """Per length the window of the least distance; ties go to the deeper one."""
    found = []
    for n, row in enumerate(distance, start=1):
        last = len(row) - n
        if last < 0 or n == len(row):
            break
        starts = row[: last + 1][::-1]
        start = last - int(np.argmin(starts))
        found.append(tuple(range(start, start + n)))
    return tuple(found)
