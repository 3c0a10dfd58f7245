"""All signals, in the order in which reports list them: the baseline first, then ours, then third parties'.

A third party's signal is registered by `register`, in a file that is imported anyway (a `check_*.py`),
or by an installed package under the entry point group `lvlm_audit.signals`:

    [project.entry-points."lvlm_audit.signals"]
    my_signal = "my_package:my_signal"      # a Signal
"""

from __future__ import annotations

from lvlm_audit.errors import SignalError
from lvlm_audit.hallucination.signals.churn import churn
from lvlm_audit.hallucination.signals.deco import deco
from lvlm_audit.hallucination.signals.dola import dola
from lvlm_audit.hallucination.signals.entropy import entropy
from lvlm_audit.hallucination.signals.final_probability import final_probability
from lvlm_audit.hallucination.signals.grounding import grounding
from lvlm_audit.hallucination.signals.image_confidence import image_confidence
from lvlm_audit.hallucination.signals.late_burst import late_burst
from lvlm_audit.hallucination.signals.lead_loss import lead_loss
from lvlm_audit.hallucination.signals.overthinking import overthinking
from lvlm_audit.hallucination.signals.reversal import reversal
from lvlm_audit.hallucination.signals.signal import Signal
from lvlm_audit.registry import Registry

GROUP = "lvlm_audit.signals"

BASELINE = final_probability
"""What every other signal has to beat: it costs nothing."""

OURS: tuple[Signal, ...] = (
    BASELINE,
    reversal,
    lead_loss,
    late_burst,
    churn,
    entropy,
    dola,
    deco,
    overthinking,
    grounding,
    image_confidence,
)

SIGNALS: Registry[Signal] = Registry("signal", Signal, GROUP, SignalError, OURS)


def register(signal: Signal) -> Signal:
    """Adds a signal to every later reading; registering the same one again changes nothing.

    Raises:
        SignalError: it is no `Signal`, or another one has that name.

    Example:
        >>> signal = lvlm_audit.hallucination.Signal(
        ...     name="example",
        ...     statement="The last state is not sure of the token.",
        ...     source="an example",
        ...     score=lambda evidence: 1 - evidence.probability[:, -1],
        ... )
        >>> lvlm_audit.hallucination.register_signal(signal).name
        'example'
    """
    return SIGNALS.register(signal)


def unregister(name: str) -> None:
    """Forgets a registered signal; ours stay."""
    SIGNALS.unregister(name)


def signals() -> tuple[Signal, ...]:
    """Every known signal, the baseline first.

    Raises:
        SignalError: an installed package offers something that is no signal.
    """
    return tuple(SIGNALS)
