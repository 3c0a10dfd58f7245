"""What a signal may read of one answer: arrays that a model produced, and nothing that anybody knows of it.

Labels and reference answers travel with a trace (`Trace.asked`), so a signal that was given a trace could
read them. It is given this instead: no text, no probe, no labels; and the arrays cannot be written to.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from lvlm_audit.errors import TraceError
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces.image_words import ImageWords
from lvlm_audit.traces.trace import FloatArray, IntArray, PairedTrace, Trace


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TokenEvidence(ShortRepr):
    """Numbers of T tokens of one answer over S = L + 1 states; units as in `Trace`.

    Example:
        >>> lvlm_audit.hallucination.TokenEvidence.of(trace).tokens
        4
    """

    token_ids: IntArray
    """[T] the emitted tokens."""
    probability: FloatArray
    """[T, S] p_j of the emitted token."""
    divergence: FloatArray
    """[T, L] JSD of neighbouring states, bits."""
    entropy: FloatArray
    """[T, S] bits."""
    jsd_to_final: FloatArray
    """[T, S] JSD(p_j, p_L), bits."""
    top_ids: IntArray
    """[T, S, k] most probable tokens of each state, best first."""
    top_probs: FloatArray
    """[T, S, k]"""
    candidate_ids: IntArray
    """[T, C] every token that leads at some state; -1 pads."""
    candidate_probability: FloatArray
    """[T, C, S]"""
    without_image: FloatArray | None = None
    """[T, S] JSD with the image and without, same text, bits; None where it was not measured."""
    image_confidence: FloatArray | None = None
    """[T, S] highest lens probability of the emitted token over the image's positions; None where it was
    not measured."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                view = np.asarray(value).view()
                view.flags.writeable = False
                object.__setattr__(self, field.name, view)

    @classmethod
    def of(
        cls, trace: Trace, without_image: PairedTrace | None = None, words: ImageWords | None = None
    ) -> Self:
        """The numbers of a trace and of what was recorded beside it.

        Args:
            trace: an answer.
            without_image: the same answer replayed without its image.
            words: what the image's positions say of the same answer.

        Raises:
            TraceError: a recording belongs to another answer.
        """
        for beside in (without_image, words):
            if beside is not None and not np.array_equal(beside.token_ids, trace.token_ids):
                raise TraceError(
                    f"trace of probe {trace.asked.id!r}: a {type(beside).__name__} of probe "
                    f"{beside.asked.id!r} holds another answer, so its numbers belong to other tokens. "
                    f"Record it for this answer."
                )
        return cls(
            token_ids=trace.token_ids,
            probability=trace.probability,
            divergence=trace.divergence,
            entropy=trace.entropy,
            jsd_to_final=trace.jsd_to_final,
            top_ids=trace.top_ids,
            top_probs=trace.top_probs,
            candidate_ids=trace.candidate_ids,
            candidate_probability=trace.candidate_probability,
            without_image=None if without_image is None else without_image.divergence,
            image_confidence=None if words is None else words.confidence,
        )

    @property
    def tokens(self) -> int:
        """T."""
        return int(self.token_ids.shape[0])

    @property
    def blocks(self) -> int:
        """L."""
        return int(self.divergence.shape[1])

    @property
    def leader(self) -> IntArray:
        """[T, S] the leading token of each state."""
        return self.top_ids[:, :, 0]
