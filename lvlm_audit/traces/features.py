"""Recorded states and the maps of them: the feature level's evidence, as plain arrays. NumPy only.

Kept on request alone: a 7B model's states are a thousand times the size of what a lens makes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import TraceError
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces.items import stored
from lvlm_audit.traces.trace import ELIGIBLE, Asked, IntArray, TokenClass


@stored
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FeatureTrace(ShortRepr):
    """The states with which one model predicted some tokens of one answer. No lens is involved.

    Raises:
        TraceError: on construction, if shapes disagree or a state is not finite. The message names
            probe and field.

    Example:
        >>> (states,) = lvlm_audit.traces.record_features(hooked, probes[:1], [[50, 60]])
        >>> states.features.shape
        (2, 11, 64)
    """

    asked: Asked
    token_ids: IntArray
    """[T] ids of the predicted tokens."""
    token_texts: tuple[str, ...]
    token_classes: tuple[TokenClass, ...]
    features: npt.NDArray[np.float16]
    """[T, S, d] the residual stream at the position that predicts each token; state L after the final
    norm. Values beyond float16 are held at its largest."""
    prefix: str = ""
    """What the model was made to say before the first of these tokens; empty for a whole answer."""

    def __post_init__(self) -> None:
        where = f"features of probe {self.asked.id!r}"
        tokens = len(self.token_texts)
        if tokens == 0:
            raise TraceError(f"{where}: there are no tokens. Drop the probe, or give it an answer.")
        if len(self.token_classes) != tokens:
            raise TraceError(
                f"{where}: {len(self.token_classes)} token_classes for {tokens} token_texts."
            )
        _shaped(where, "token_ids", self.token_ids, (tokens,))
        _shaped(where, "features", self.features, (tokens, None, None))
        if self.features.dtype != np.float16 or self.features.shape[1] < 2:
            raise TraceError(
                f"{where}: features must be float16 [T, S, d] with at least 2 states, not "
                f"{self.features.dtype} {self.features.shape}."
            )
        if not np.isfinite(self.features).all():
            t, j = (int(i) for i in np.argwhere(~np.isfinite(self.features))[0][:2])
            raise TraceError(
                f"{where}: features[{t}, {j}] is not finite. The model's states or weights hold "
                f"non-finite values; try {spelled('dtype', 'float32')}, and look at the checkpoint."
            )

    @property
    def blocks(self) -> int:
        """L."""
        return int(self.features.shape[1]) - 1

    @property
    def eligible(self) -> npt.NDArray[np.bool_]:
        """[T] tokens that count: no special tokens, no continuations of a split word."""
        return np.array([c in ELIGIBLE for c in self.token_classes], dtype=bool)


@stored
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FeatureMap(ShortRepr):
    """Two-dimensional pictures of the states of some tokens, or of images at one step.

    Raises:
        TraceError: on construction, if shapes disagree.
    """

    asked: Asked
    """The probe; for images at a common step the first of them."""
    of: str
    """"tokens" of one answer, or "images" at one step."""
    labels: tuple[str, ...]
    """T tokens; for images those that the model predicts there."""
    pca: npt.NDArray[np.float32]
    """[T, S, 2]"""
    explained: float
    """Share of the variance that the PCA picture holds."""
    tsne: npt.NDArray[np.float32]
    """[T, S, 2]"""
    perplexity: float

    def __post_init__(self) -> None:
        where = f"map of probe {self.asked.id!r}"
        shape = (len(self.labels), None, 2)
        _shaped(where, "pca", self.pca, shape)
        _shaped(where, "tsne", self.tsne, (len(self.labels), self.pca.shape[1], 2))


def _shaped(where: str, name: str, array: Any, shape: Sequence[int | None]) -> None:
    found = getattr(array, "shape", None)
    fits = isinstance(array, np.ndarray) and len(found or ()) == len(shape)
    if not fits or any(w not in (None, n) for w, n in zip(shape, found or (), strict=False)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise TraceError(
            f"{where}: {name} must be an array [{wanted}], not {found or type(array).__name__}."
        )
