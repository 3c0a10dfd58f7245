"""An answer as a person reads it."""

from __future__ import annotations

from lvlm_audit.document import ProbeReading


def spoken(probe: ProbeReading) -> str:
    """The answer without control tokens: an end of sequence is no word of it.

    Documents of earlier versions hold it with them.
    """
    if "".join(one.text for one in probe.tokens) != probe.answer:
        return probe.answer.strip()
    return "".join(one.text for one in probe.tokens if one.kind != "special").strip()
