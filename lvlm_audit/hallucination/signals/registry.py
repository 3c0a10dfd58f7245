"""All signals, in the order in which reports list them: the baseline first, then ours, then third parties'.

A third party's signal is registered by `register`, in a file that is imported anyway (a `check_*.py`),
or by an installed package under the entry point group `lvlm_audit.signals`:

    [project.entry-points."lvlm_audit.signals"]
    my_signal = "my_package:my_signal"      # a Signal
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

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

_registered: dict[str, Signal] = {}


def register(signal: Signal) -> Signal:
    """Adds a signal to every later reading; registering the same one again changes nothing.

    Raises:
        SignalError: another signal has that name.

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
    known = {s.name: s for s in (*OURS, *_registered.values())}.get(signal.name)
    if known is not None and known != signal:
        raise SignalError(
            f"there is a signal {signal.name!r} already ({known.source}); give yours another name."
        )
    if known is None:
        _registered[signal.name] = signal
    return signal


def unregister(name: str) -> None:
    """Forgets a registered signal; ours stay."""
    _registered.pop(name, None)


def signals() -> tuple[Signal, ...]:
    """Every known signal, the baseline first.

    Raises:
        SignalError: an installed package offers something that is no signal.
    """
    for signal in _installed():
        register(signal)
    return (*OURS, *_registered.values())


@cache
def _installed() -> tuple[Signal, ...]:
    found = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            signal = entry.load()
        except Exception as error:
            raise SignalError(
                f"the signal {entry.name!r} ({entry.value}), which is installed under {GROUP}, cannot be "
                f"loaded: {type(error).__name__}: {error}. Mend or remove it."
            ) from error
        if not isinstance(signal, Signal):
            raise SignalError(
                f"{entry.name!r} ({entry.value}), which is installed under {GROUP}, is a "
                f"{type(signal).__name__}, not a Signal. Mend or remove it."
            )
        found.append(signal)
    return tuple(found)
