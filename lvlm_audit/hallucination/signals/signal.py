"""The one interface of all signals: a number a token, higher always the more suspicious."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from lvlm_audit.errors import SignalError
from lvlm_audit.hallucination.signals.evidence import TokenEvidence

Scores = npt.NDArray[np.float64]

Needs = Literal["trace", "image pair", "image words"]
"""What a signal reads beside the trace: the answer replayed without its image, or the image's own words."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A reading of tokens that may tell hallucinated from correct ones.

    Attributes:
        name: short, of letters, digits and underscores; reports and documents call it so.
        statement: one sentence: what makes a token suspicious.
        source: where the definition is from: paper and equation, or our own page.
        needs: the recording that it reads.
        score: evidence -> [T]; higher is more suspicious, NaN where it is not defined.
        fires_above: a token is suspected above this value, where the definition itself sets one; None:
            the signal has no threshold of its own.

    Raises:
        SignalError: a name or a need that cannot be used.

    Example:
        >>> evidence = lvlm_audit.hallucination.TokenEvidence.of(trace)
        >>> unsure = lvlm_audit.hallucination.Signal(
        ...     name="unsure",
        ...     statement="The last state is not sure of the token.",
        ...     source="an example",
        ...     score=lambda evidence: 1 - evidence.probability[:, -1],
        ... )
        >>> unsure.scores(evidence).round(2).tolist()
        [0.1, 0.1, 0.1, 0.1]
    """

    name: str
    statement: str
    source: str
    score: Callable[[TokenEvidence], Scores] = field(repr=False, compare=False)
    needs: Needs = "trace"
    fires_above: float | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise SignalError(
                f"signal {self.name!r} needs a name of letters, digits and underscores."
            )
        if self.needs not in get_args(Needs):
            raise SignalError(
                f"signal {self.name!r} needs {self.needs!r}, which is not recorded; choose one of "
                f"{', '.join(get_args(Needs))}."
            )

    def measured(self, evidence: TokenEvidence) -> bool:
        """Whether the evidence holds what the signal reads."""
        if self.needs == "image pair":
            return evidence.without_image is not None
        return self.needs == "trace" or evidence.image_confidence is not None

    def scores(self, evidence: TokenEvidence) -> Scores:
        """The signal's values, NaN throughout where the evidence lacks what it reads.

        Raises:
            SignalError: the signal gave something else than T numbers.
        """
        if not self.measured(evidence):
            return np.full(evidence.tokens, np.nan)
        try:
            values = np.asarray(self.score(evidence), dtype=np.float64)
        except Exception as error:
            raise SignalError(
                f"signal {self.name!r} failed: {type(error).__name__}: {error}. Mend it or unregister it."
            ) from error
        if values.shape != (evidence.tokens,):
            raise SignalError(
                f"signal {self.name!r} gave an array of shape {values.shape} for {evidence.tokens} tokens; "
                f"it must give one number a token."
            )
        if np.isinf(values).any():
            raise SignalError(
                f"signal {self.name!r} gave an infinite value; give NaN where it is not defined."
            )
        return values
