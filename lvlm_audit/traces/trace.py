"""Trace: what was seen of one answer, as plain arrays. NumPy only: a trace outlives the model.

Symbols used everywhere: T generated tokens, L decoder blocks, S = L + 1 states, k kept leaders,
C candidates. Information is in bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lvlm_audit.document.tokens import TokenClass as TokenClass
from lvlm_audit.errors import TraceError
from lvlm_audit.lenses.registry import LENSES
from lvlm_audit.settings.reading import DivergenceName, LensName
from lvlm_audit.settings.spelling import spelled
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces import verbs
from lvlm_audit.traces.items import stored
from lvlm_audit.traces.validation import (
    check_candidates,
    check_shapes,
    check_sums,
    check_values,
)
from lvlm_audit.traces.verbs import Candidate

SCHEMA_VERSION = 1


PAPER_INDEX_UNIT = "nats per vocabulary entry"
"""A unit of its own: neither bits nor comparable between vocabularies."""

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


ELIGIBLE = frozenset(
    {TokenClass.CONTENT, TokenClass.FUNCTION, TokenClass.COPIED, TokenClass.PUNCTUATION}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The probe as the trace remembers it: enough to print and to group, without the image."""

    id: str
    prompt: str
    cluster: str
    """The unit that statistics resample: normally the image."""
    reference: str | None = None
    """The answer that the probe's author expects, if one was given."""
    labels: Mapping[str, Any] = field(default_factory=dict)
    prompt_tokens: int | None = None
    """Positions of the prompt as the processor made it, padding not counted; None: not known."""
    image_tokens: int | None = None
    """Those of them that hold image features; None: not known, or the model names no token for them."""


@stored
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trace(ShortRepr):
    """One answer of one model to one probe, read through the lens at every state.

    State j is the residual stream at the position that predicts the token; p_j is the softmax of the
    head over it (docs/method.md#the-lens). All arrays are C-contiguous NumPy arrays; floats are float32.

    Raises:
        TraceError: on construction, if shapes disagree, a value that must be finite is not, or a
            probability or divergence leaves its range. The message names probe and field.

    Example:
        >>> trace.blocks, trace.tokens
        (12, 4)
        >>> trace.probability.shape
        (4, 13)
    """

    asked: Asked
    lens: LensName
    answer: str
    token_ids: IntArray
    """[T] ids of the generated tokens, end-of-sequence included when it was generated."""
    token_texts: tuple[str, ...]
    """T pieces; joined they are the answer (special tokens as written in the vocabulary)."""
    token_classes: tuple[TokenClass, ...]
    input_ids: IntArray
    """[T] id of the token at the predicting position, whose embedding state 0 is."""
    probability: FloatArray
    """[T, S] p_j of the emitted token."""
    rank: npt.NDArray[np.int32]
    """[T, S] how many tokens are more probable than the emitted one: 0 when it leads."""
    divergence: FloatArray
    """[T, L] Jensen-Shannon divergence of p_i and p_(i+1), bits, in [0, 1]."""
    entropy: FloatArray
    """[T, S] entropy of p_j, bits."""
    kl_to_final: FloatArray
    """[T, S] forward KL(p_L || p_j), bits; 0 at state L."""
    jsd_to_final: FloatArray
    """[T, S] JSD(p_j, p_L), bits; 0 at state L."""
    nucleus_mass: FloatArray
    """[T, S] G_j: p_j summed over the final state's top-p 0.9 set (at most 10 tokens)."""
    top_ids: IntArray
    """[T, S, k] most probable tokens of each state, best first; [..., 0] is the leading token."""
    top_probs: FloatArray
    """[T, S, k] their probabilities."""
    candidate_ids: IntArray
    """[T, C] every token that leads at some state, in order of first lead; -1 pads."""
    candidate_probability: FloatArray
    """[T, C, S] their p_j; 0 where padded."""
    distractor_ids: IntArray
    """[T] token that another probe emitted at the same step; -1 where there is none that differs."""
    distractor: FloatArray
    """[T, S] p_j of the distractor; NaN where there is none."""
    vocabulary: Mapping[int, str]
    """Text of every id that occurs in this trace."""
    features: npt.NDArray[np.float16] | None = None
    """[T, S, d] the states themselves, kept on request; state L after the final norm."""
    paper_index: FloatArray | None = None
    """[T, L] the published code's divergence of p_i and p_(i+1), nats per vocabulary entry, >= 0 without
    upper bound; recorded on request (`traces.paper_index`)."""
    given: bool = False
    """The answer was given and replayed. Otherwise it was generated: each token leads at state L."""

    def __post_init__(self) -> None:
        _validate(self)

    @property
    def tokens(self) -> int:
        """T."""
        return int(self.token_ids.shape[0])

    @property
    def blocks(self) -> int:
        """L."""
        return int(self.divergence.shape[1])

    def between_neighbours(self, name: DivergenceName) -> FloatArray:
        """[T, L] how far neighbouring states are apart: JSD in bits, or `paper_index` in its unit.

        Raises:
            TraceError: `paper_index` is asked for and was not recorded.
        """
        if name == "jsd":
            return self.divergence
        if self.paper_index is None:
            raise TraceError(
                f"trace of probe {self.asked.id!r} holds no paper_index. Record it: "
                f"record(..., paper_index=True), or {spelled('divergence', 'paper_index')}."
            )
        return self.paper_index

    @property
    def leader(self) -> IntArray:
        """[T, S] the leading token of each state."""
        return self.top_ids[:, :, 0]

    @property
    def copied_input(self) -> npt.NDArray[np.bool_]:
        """[T] the emitted token repeats its own input token, so an early lead may be the tied head."""
        return np.asarray(self.token_ids == self.input_ids)

    @property
    def eligible(self) -> npt.NDArray[np.bool_]:
        """[T] tokens that a finding may count (docs/method.md#which-tokens-count)."""
        by_class = np.array([c in ELIGIBLE for c in self.token_classes], dtype=bool)
        return by_class & ~self.copied_input

    @property
    def content(self) -> npt.NDArray[np.bool_]:
        """[T] eligible tokens that carry content: no function words, no punctuation, no copies."""
        by_class = np.array([c is TokenClass.CONTENT for c in self.token_classes], dtype=bool)
        return by_class & self.eligible

    def top(self, state: int = -1, k: int | None = None) -> list[list[Candidate]]:
        """The most probable tokens of one state, best first, for every generated token.

        Args:
            state: 0 (embedding) to L (output); negative ones count from the end.
            k: how many; None: as many as were kept.

        Returns:
            T lists of k candidates, each with `text`, `id` and `probability`.

        Raises:
            TraceError: no such state, or more tokens than were kept.

        Example:
            >>> [(c.text, c.probability) for c in trace.top(state=12, k=2)[0]]
            [(' blue', 0.75), (' noise', 0.25)]
        """
        return verbs.top(self, state, k)

    def curve(self, name: str = "probability") -> npt.NDArray[np.floating[Any]]:
        """One curve of every generated token, by the name of its field.

        Args:
            name: "probability", "rank", "entropy", "kl_to_final", "jsd_to_final", "nucleus_mass" or
                "distractor", which are [T, S]; "divergence" or "paper_index", which are [T, L].

        Returns:
            The trace's own array; copy it before you change it.

        Raises:
            TraceError: no curve of that name, or it was not recorded.

        Example:
            >>> trace.curve("probability").shape
            (4, 13)
            >>> float(trace.curve("probability")[0, -1])
            0.75
        """
        return verbs.curve(self, name)

    def plot(self, name: str = "probability", *, axes: Any = None) -> Any:
        """Draws one curve of every token, a row each, over the states.

        Args:
            name: as in `curve`.
            axes: matplotlib's, to draw on; None: new ones.

        Returns:
            The axes, for a title or for saving: `trace.plot().figure.savefig("trace.png")`.

        Raises:
            TraceError: as `curve`.
            UsageError: matplotlib is not installed.

        Example:
            >>> trace.plot("entropy").get_xlabel()
            'state (0 = embedding)'
        """
        from lvlm_audit.traces.plotting import plot

        return plot(self, name, axes)

    def exclusions(self) -> dict[str, int]:
        """Why tokens are not eligible: reason -> count."""
        reasons: dict[str, int] = {}
        for cls, copied in zip(self.token_classes, self.copied_input, strict=True):
            reason = (
                str(cls) if cls not in ELIGIBLE else "repeats its input token" if copied else None
            )
            if reason is not None:
                reasons[reason] = reasons.get(reason, 0) + 1
        return reasons


OTHER_IMAGE = "another probe's image"
NO_IMAGE = "no image"
"""Conditions of the second run of a pair."""


@stored
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PairedTrace(ShortRepr):
    """The same text replayed twice under two conditions, reduced together.

    Raises:
        TraceError: on construction, as for `Trace`.
    """

    asked: Asked
    lens: LensName
    condition: str
    """What the second run changed: `OTHER_IMAGE`, `NO_IMAGE`, or another tool's own words."""
    text: Literal["answer", "reference"]
    """Which text both runs were forced to say."""
    token_ids: IntArray
    """[T]"""
    token_texts: tuple[str, ...]
    token_classes: tuple[TokenClass, ...]
    divergence: FloatArray
    """[T, S] JSD between the two runs' p_j, bits: the grounding curve. S = 1: state L alone was read."""
    log2_probability: FloatArray
    """[2, T] log2 of the forced token's probability at state L, in the base run and in the other."""

    def __post_init__(self) -> None:
        _validate(self)

    @property
    def content(self) -> npt.NDArray[np.bool_]:
        """[T] content words, first pieces only, copied ones not counted."""
        return np.array([c is TokenClass.CONTENT for c in self.token_classes], dtype=bool)


_SHAPES: dict[type, dict[str, tuple[str, ...]]] = {
    Trace: {
        "token_ids": ("T",),
        "input_ids": ("T",),
        "probability": ("T", "S"),
        "rank": ("T", "S"),
        "divergence": ("T", "L"),
        "entropy": ("T", "S"),
        "kl_to_final": ("T", "S"),
        "jsd_to_final": ("T", "S"),
        "nucleus_mass": ("T", "S"),
        "top_ids": ("T", "S", "k"),
        "top_probs": ("T", "S", "k"),
        "candidate_ids": ("T", "C"),
        "candidate_probability": ("T", "C", "S"),
        "distractor_ids": ("T",),
        "distractor": ("T", "S"),
        "features": ("T", "S", "d"),
        "paper_index": ("T", "L"),
    },
    PairedTrace: {
        "token_ids": ("T",),
        "divergence": ("T", "S"),
        "log2_probability": ("2", "T"),
    },
}


def _validate(trace: Trace | PairedTrace) -> None:
    where = f"trace of probe {trace.asked.id!r}"
    if not LENSES.ships(trace.lens):
        # What is wrong may be the lens's doing.
        where += f" through lens {trace.lens!r}"
    if len(trace.token_texts) == 0:
        raise TraceError(
            f"{where}: the answer has no tokens. Raise max_new_tokens or drop the probe."
        )
    if len(trace.token_classes) != len(trace.token_texts):
        raise TraceError(
            f"{where}: {len(trace.token_classes)} token_classes for {len(trace.token_texts)} token_texts."
        )
    if trace.lens not in LENSES:
        raise TraceError(f"{where}: lens {LENSES.unknown(trace.lens)}")
    shapes = _SHAPES[type(trace)]
    arrays = {name: getattr(trace, name) for name in shapes if getattr(trace, name) is not None}
    check_shapes(where, arrays, shapes, {"T": len(trace.token_texts), "2": 2})
    for name, array in arrays.items():
        check_values(where, name, array)
    if isinstance(trace, Trace):
        check_candidates(where, trace.leader, trace.candidate_ids)
        check_sums(where, "top_probs", trace.top_probs.sum(axis=2, dtype=np.float64))
        candidates = trace.candidate_probability.sum(axis=1, dtype=np.float64)
        check_sums(where, "candidate_probability", candidates)
