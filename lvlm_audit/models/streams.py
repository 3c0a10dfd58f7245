"""Streams: most decoders hand one residual stream from block to block, some hand several.

Blocks then give [batch, positions, streams, d] or [streams, batch, positions, d], and something joins
the streams before the head. Here a state is always [batch, positions, streams * d].
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lvlm_audit.errors import UnsupportedModel

_FLAT, _APART = 3, 4


@dataclass(frozen=True, slots=True)
class Streams:
    """How residual streams lie in a block's output.

    Attributes:
        count: how many there are.
        first: they are the first dimension, not the one before the last.
    """

    count: int
    first: bool = False

    def together(self, output: Tensor) -> Tensor:
        """A block's output as a state, [batch, positions, streams * d]."""
        if output.ndim != _APART:
            return output
        return (output.movedim(0, 2) if self.first else output).flatten(2)

    def apart(self, rows: Tensor) -> Tensor:
        """Rows [n, streams * d] as the model's own modules take one row of n positions."""
        if self.count == 1:
            return rows[None]
        streams = rows.reshape(1, len(rows), self.count, -1)
        return streams.movedim(2, 0) if self.first else streams


ONE_STREAM = Streams(1)


def find_streams(name: str, shape: tuple[int, ...]) -> Streams:
    """From the shape of a block's output for one row.

    Raises:
        UnsupportedModel: the shape is none of those above.
    """
    if len(shape) == _FLAT:
        return ONE_STREAM
    if len(shape) == _APART and shape[0] == 1:
        return Streams(shape[2])
    if len(shape) == _APART and shape[1] == 1:
        return Streams(shape[0], first=True)
    raise UnsupportedModel(
        f"the blocks of {name} hand on {list(shape)}, which is neither one residual stream [batch, "
        f"positions, width] nor several. This lens cannot read it."
    )
