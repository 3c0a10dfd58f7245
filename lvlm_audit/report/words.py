"""Words, numbers and hostile text: everything the renderers print passes through here.

Text from models, probes and file names is hostile: it may hold markup, control characters,
bidirectional overrides, invisible tag characters or a hundred thousand letters. Escaping markup is
the template's business (autoescape) and the terminal's (rich Text); `lvlm_audit.visible` makes the
invisible visible.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lvlm_audit.document import (
    Finding,
    Interval,
    Node,
    Subject,
)
from lvlm_audit.visible import clip as clip
from lvlm_audit.visible import visible as visible
from lvlm_audit.visible import written_out

_BLANK_LETTERS = "\u2800\u3164\u115f\u1160\uffa0"
"""Letters and signs by category that are drawn as nothing."""
_BLANK = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000" + _BLANK_LETTERS + "]")
"""Blanks that are no plain space: within a token nobody could tell which they are."""
MISSING = "—"


def prose(text: str, limit: int = 1200) -> str:
    """Running text made safe to show: visible, line breaks kept, cut with a count of what is left out."""
    shown = visible(text[:limit], keep_newlines=True)
    left = len(text) - limit
    return shown if left <= 0 else f"{shown}… ({left:,} more characters)"


def one_line(text: str, limit: int) -> str:
    """Text on one line, cut between words and made visible."""
    cut = clip(text, limit)
    if len(cut) < len(text) and (place := cut.rfind(" ", limit // 2)) > 0:
        cut = f"{cut[:place]} …"
    return visible(cut)


def error_words(error: BaseException) -> str:
    """An error as a person reads it: what a checkpoint or a file name put into it commands no terminal."""
    return visible(f"{type(error).__name__}: {error}", keep_newlines=True)


def token(text: str, limit: int = 24, *, spaced: bool = False) -> str:
    """A token as a label: never empty or blank, cut to `limit` characters.

    A token of blanks alone, or of what cannot be seen, is named: `U+00A0 NO-BREAK SPACE`.

    Args:
        text: hostile.
        limit: characters; a name that does not fit is left at its number.
        spaced: mark spaces at the ends, which are else left out (`tokens_apart`).
    """
    cut = clip(text, limit)
    bare = cut.strip(" ")
    if not bare:
        return "␣" * min(len(cut), 3) if cut else "∅"
    if not any(map(_seen, bare)):
        return _name(bare, limit)
    if spaced:
        ahead, behind = len(cut) - len(cut.lstrip(" ")), len(cut) - len(cut.rstrip(" "))
        bare = "␣" * ahead + bare + "␣" * behind
    return clip(visible(_BLANK.sub(written_out, bare)), limit)


def tokens_apart(texts: Iterable[str], limit: int = 24) -> dict[str, str]:
    """Labels of tokens that stand beside each other: different tokens never look the same.

    Spaces at the ends are marked where they are what tells two of them apart: " No" and "No".
    """
    known = list(dict.fromkeys(texts))
    plain = Counter(token(text, limit) for text in known)
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for text in known:
        label = token(text, limit, spaced=plain[token(text, limit)] > 1)
        place = 2
        while label in taken:
            # Alike as far as there is room.
            label = clip(label.removesuffix(f" ({place - 1})"), limit - 4) + f" ({place})"
            place += 1
        taken.add(label)
        labels[text] = label
    return labels


def _seen(letter: str) -> bool:
    if letter in "\t\n\r":
        return True
    # A mark needs a letter to stand on.
    return unicodedata.category(letter) not in {"Zs", "Cf", "Mn", "Me", "Zl", "Zp"} and (
        letter not in _BLANK_LETTERS
    )


def _name(text: str, limit: int) -> str:
    """What cannot be seen, by its first character's name; short where there is no room."""
    code = f"U+{ord(text[0]):04X}"
    times = f" ×{len(text)}" if len(text) > 1 else ""
    named = f"{code} {unicodedata.name(text[0], '')}".rstrip() + times
    return named if limit >= 24 else clip(code + times, limit)


def finite(value: object) -> float | None:
    """The value as a float, or None for everything that is not a finite number."""
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


def number(value: float | None, digits: int = 3) -> str:
    """A number in plain notation with `digits` significant digits and a true minus sign."""
    value = finite(value)
    if value is None:
        return MISSING
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -6 or size >= 15:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    text = f"{value:.{max(0, digits - 1 - size)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", "0"} else text.replace("-", "−")


def share(value: float | None, digits: int = 3) -> str:
    """A share as per cent; a line never breaks between the number and its sign."""
    value = finite(value)
    return MISSING if value is None else f"{number(100 * value, digits)}\N{NO-BREAK SPACE}%"


def is_share(unit: str) -> bool:
    """Whether a unit is a share of something, printed as per cent."""
    return unit.startswith("share")


def amount(value: float | None, unit: str, digits: int = 3) -> str:
    """A value as it stands in a column whose head names the unit: per cent for shares."""
    return share(value, digits) if is_share(unit) else number(value, digits)


def change(value: float | None, unit: str) -> str:
    """A difference of two values: percentage points for shares, which are not shares themselves."""
    value = finite(value)
    if value is None:
        return MISSING
    sign = "+" if value > 0 else ""
    return f"{sign}{number(100 * value)} points" if is_share(unit) else f"{sign}{number(value)}"


def changes(values: Iterable[float | None], unit: str) -> str:
    """Ends of an interval of a change in brackets, its unit said once, by the change itself."""
    texts = (change(value, unit).removesuffix(" points") for value in values)
    return f"[{', '.join(texts)}]"


def unit_words(unit: str) -> str:
    """The unit as it is read after the number: "of images" after a percentage, "bits" after a number."""
    if not is_share(unit):
        return unit
    return "of the depth" if unit == "share of depth" else unit.removeprefix("share").strip()


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of one finding as text, precise enough to tell each of them from the bound."""

    observed: str
    low: str
    high: str
    bound: str
    operator: str
    """Empty where no bound is declared."""
    unit: str

    @property
    def against(self) -> str:
        """What must hold: "≥ 70 % of images"; empty of a description, which has no bound."""
        return f"{self.operator} {self.bound} {self.unit}".rstrip() if self.operator else ""

    @property
    def interval(self) -> str:
        """The interval in brackets, or a dash."""
        return f"[{self.low}, {self.high}]" if self.low != MISSING else MISSING


def figures(finding: Finding) -> Figures:
    """Format a finding's numbers together.

    A value that lies beyond its bound must not print like the bound: 0.69996 is not "70 %" where at
    least 70 % was asked for. So all numbers of a finding get as many digits as that takes.
    """
    unit, bound, interval = finding.bound.unit, finding.bound.value, finding.interval
    values = [finite(finding.observed)]
    values += [finite(interval.low), finite(interval.high)] if interval else [None, None]
    digits = 3
    while digits < 9 and any(
        value is not None
        and value != bound
        and amount(value, unit, digits) == amount(bound, unit, digits)
        for value in values
    ):
        digits += 1
    observed, low, high = (amount(value, unit, digits) for value in values)
    signs = {">=": "≥", "<=": "≤"}
    return Figures(
        observed=observed,
        low=low,
        high=high,
        bound=amount(bound, unit, digits),
        operator=""
        if bound is None
        else signs.get(finding.bound.op, visible(clip(finding.bound.op, 4))),
        unit=unit_words(visible(clip(unit, 60))),
    )


def instrument(subject: Subject) -> str:
    """How states were read: "normed lens", "paper mode: raw lens, paper_index, columns scaled apart"."""
    parts = [f"{subject.lens} lens"]
    if subject.divergence != "jsd":
        parts.append(subject.divergence)
    if subject.scaling != "none":
        parts.append("columns scaled apart")
    return (f"{subject.mode} mode: " if subject.mode else "") + ", ".join(parts)


def evidence_words(count: int, control: str) -> str:
    """How many units of statistics there are: "on 48 images", or prompts where a control hides those."""
    if control in ("text-only", "blank-image"):
        return f"with {counted(count, 'distinct prompt')}"
    return f"on {counted(count, 'image')}"


def interval_words(interval: Interval) -> str:
    """How an interval was made: "95 % Wilson interval, not adjusted for the family"."""
    adjusted = "adjusted" if interval.adjusted else "not adjusted"
    method = visible(clip(interval.method, 60))
    if method == "full range":
        return f"full range of the images (too few for an interval), {adjusted} for the family of checks"
    name = method.capitalize() if method == "wilson" else method
    return (
        f"{share(interval.confidence)} {name} interval, {adjusted} for the family of checks (Holm)"
    )


def node_words(node: Node | None) -> str:
    """A node in one phrase: "state 24 [22, 26]", or why there is none."""
    if node is None:
        return MISSING
    if node.state is None:
        return f"undefined ({share(node.undefined)} of tokens have none)"
    text = number(node.state)
    if node.interval is not None:
        text += f" [{number(node.interval.low)}, {number(node.interval.high)}]"
    return text


def ranges(states: Iterable[int]) -> str:
    """Whole numbers as ranges: "26, 28–30"; "none" for no number."""
    parts: list[tuple[int, int]] = []
    for state in sorted(set(states)):
        if parts and state == parts[-1][1] + 1:
            parts[-1] = (parts[-1][0], state)
        else:
            parts.append((state, state))
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in parts) or "none"


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """A count with its noun: "1 image", "1,204 images"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
