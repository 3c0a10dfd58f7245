"""What a picture's own positions say of an answer's words: plain arrays. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import TraceError
from lvlm_audit.lenses.registry import LENSES
from lvlm_audit.settings.reading import LensName
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces.items import stored
from lvlm_audit.traces.trace import Asked, FloatArray, IntArray
from lvlm_audit.traces.validation import check_shapes, check_values

_SHAPES = {"token_ids": ("T",), "confidence": ("T", "S"), "position": ("T", "S")}


@stored
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageWords(ShortRepr):
    """How confidently the image's positions of the prompt say each token of one answer.

    Jiang et al. 2024 (vl-interp, arXiv 2410.02762): internal confidence.

    Raises:
        TraceError: on construction, as for `Trace`.
    """

    asked: Asked
    lens: LensName
    token_ids: IntArray
    """[T] ids of the answer's tokens."""
    confidence: FloatArray
    """[T, S] the highest lens probability of the token over the image's positions, at each state."""
    position: npt.NDArray[np.int32]
    """[T, S] which of them: 0 is the first image position of the prompt."""
    positions: int
    """Image positions that were read."""

    def __post_init__(self) -> None:
        where = f"image words of probe {self.asked.id!r}"
        if self.lens not in LENSES:
            raise TraceError(f"{where}: lens {LENSES.unknown(self.lens)}")
        arrays = {name: getattr(self, name) for name in _SHAPES}
        check_shapes(where, arrays, _SHAPES, {})
        for name in ("confidence", "position"):
            check_values(where, name, arrays[name])
        if (
            self.position.size
            and not 0 <= self.position.min() <= self.position.max() < self.positions
        ):
            raise TraceError(
                f"{where}: position spans [{self.position.min()}, {self.position.max()}], but there are "
                f"{self.positions} image positions."
            )
