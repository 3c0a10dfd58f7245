"""Hostile texts, and an audit in which they stand everywhere."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

from lvlm_audit.document import Audit
from tests.report.gate_documents import anchored

ATTACKS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "</style><style>*{display:none}",
    '"><img src=x onerror=alert(3)>',
    "' onmouseover='alert(4)",
    "</title></svg><svg onload=alert(5)>",
    "<!-- --!> <![CDATA[ ]]>",
    "javascript:alert(6)",
    "{{ 7*7 }}{% raw %}${7*7}",
    "\u202egnp.exe\u2066",
    "\x1b[31mred\x1b]8;;http://evil.example\x07link",
    "nul\x00bell\x07back\x08",
    "line\u2028paragraph\u2029\x85end",
    "[bold red]markup[/bold red][link=http://evil.example]x[/link]",
    "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿🇫🇷é̂̃̄̅̆̇̈̉̊",
    "\ud800 lone surrogate \udfff",
    "مرحبا שלום",
    "\U000e0041\U000e0042 tag characters",
    "W" * 5000,
    "word " * 3000,
    "",
)


def hostile(text: str | None = None) -> Audit:
    """An audit with baseline and anchor whose every free text is an attack, or the one given text."""
    place = 0

    def attack() -> str:
        nonlocal place
        place += 1
        return text if text is not None else ATTACKS[place % len(ATTACKS)]

    def spoil(value: Any) -> Any:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return attack()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.replace(
                value,
                **{
                    f.name: spoil(getattr(value, f.name))
                    for f in dataclasses.fields(value)
                    # What a labelled token is decides whether it has a card.
                    if f.name not in {"schema", "truth"}
                },
            )
        if isinstance(value, dict):
            return {
                f"{attack()}{i}" if k not in {"text", "probability"} else k: spoil(v)
                for i, (k, v) in enumerate(value.items())
            }
        if isinstance(value, list):
            return [spoil(v) for v in value]
        return value

    spoiled: Audit = spoil(anchored(probes=2))
    return spoiled
