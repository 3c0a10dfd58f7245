"""What an intervention did to one answer: the whole model against the same model with blocks skipped.

NumPy only. The whole model's own answer is replayed under the intervention, so that token by token both
say the same text; and the question is asked anew under it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import TraceError
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces.items import stored
from lvlm_audit.traces.trace import ELIGIBLE, Asked, FloatArray, IntArray, TokenClass


@stored
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EffectTrace(ShortRepr):
    """One answer of the whole model, read again under an intervention. All at state L, where both are
    the models' own distributions.

    Raises:
        TraceError: on construction, if shapes disagree or a value leaves its range. The message names
            probe and field.
    """

    asked: Asked
    intervention: str
    """Its name, e.g. "skip.1"."""
    blocks: tuple[int, ...]
    """Blocks that were skipped, 0-based."""
    token_ids: IntArray
    """[T] the whole model's answer, which both were made to say."""
    token_texts: tuple[str, ...]
    token_classes: tuple[TokenClass, ...]
    kl: FloatArray
    """[T] forward KL(whole || intervened), bits."""
    divergence: FloatArray
    """[T] JSD of the two, bits, in [0, 1]."""
    leaders: IntArray
    """[2, T] the leading token of the whole model, and under the intervention."""
    log2_probability: FloatArray
    """[2, T] log2 of the said token's probability in the whole model, and under the intervention."""
    base_answer: str
    """What the whole model said."""
    answer: str | None = None
    """What is said, greedily, when the question is asked under the intervention; None: not asked."""
    answer_ids: tuple[int, ...] = ()
    """Its tokens, an end of sequence included."""

    def __post_init__(self) -> None:
        where = f"effect of {self.intervention} on probe {self.asked.id!r}"
        tokens = len(self.token_texts)
        if tokens == 0:
            raise TraceError(f"{where}: the answer has no tokens. Drop the probe.")
        shapes = {
            "token_ids": (tokens,),
            "token_classes": (tokens,),
            "kl": (tokens,),
            "divergence": (tokens,),
            "leaders": (2, tokens),
            "log2_probability": (2, tokens),
        }
        for name, shape in shapes.items():
            found = np.shape(getattr(self, name))
            if found != shape:
                raise TraceError(f"{where}: {name} has shape {found}, not {shape}.")
        for name, low, high in (
            ("kl", 0.0, np.inf),
            ("divergence", 0.0, 1.0),
            ("log2_probability", -np.inf, 1e-4),
        ):
            array = getattr(self, name)
            # NaN compares as false, and so is out of range.
            if not ((array >= low) & (array <= high)).all() or np.isposinf(array).any():
                raise TraceError(
                    f"{where}: {name} must be finite numbers from {low:g} to {high:g}. The states under the "
                    f"intervention may not be finite; try {spelled('dtype', 'float32')}."
                )

    @property
    def agrees(self) -> npt.NDArray[np.bool_]:
        """[T] both have the same leading token."""
        return np.asarray(self.leaders[0] == self.leaders[1])

    @property
    def same_answer(self) -> bool | None:
        """Asked anew, it says the same text, space at the ends apart; None where it was not asked."""
        return None if self.answer is None else self.answer.strip() == self.base_answer.strip()

    @property
    def eligible(self) -> npt.NDArray[np.bool_]:
        """[T] tokens that count: no special tokens, no continuations of a split word."""
        return np.array([c in ELIGIBLE for c in self.token_classes], dtype=bool)

    @property
    def content(self) -> npt.NDArray[np.bool_]:
        """[T] content words, first pieces only, copied ones not counted."""
        return np.array([c is TokenClass.CONTENT for c in self.token_classes], dtype=bool)
