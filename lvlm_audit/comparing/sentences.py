"""What happened, told to somebody who never saw this tool."""

from __future__ import annotations

import math

from lvlm_audit.comparing.loss import Counts, Loss
from lvlm_audit.document import Interval, Outcome


def short(loss: Loss, interval: Interval | None) -> str:
    """A few words for a headline: "right answers fell from 20 to 9"."""
    if loss.counts is not None:
        return f"{loss.noun} {_counted(loss.counts, loss.counts.of_now != loss.counts.of_before)}"
    return f"{loss.noun} {_moved(loss, interval)}"


def sentence(loss: Loss, interval: Interval | None, outcome: Outcome, needed: int | None) -> str:
    """The whole sentence: what changed, by how much, what is tolerated, and what was counted how."""
    told = f"{loss.noun} {_moved(loss, interval)}"
    if loss.counts is not None:
        told = f"{loss.noun} {_counted(loss.counts, True)}"
        if loss.lost is not None and loss.gained is not None:
            told += f" ({loss.lost or 'none'} lost, {loss.gained or 'none'} gained)"
        if interval is not None:
            told += f", a change of {_signed(loss, loss.value)} {_ends(loss, interval, 1)}"
    elif loss.value:
        told += f" (from {_amount(loss, loss.before) if loss.rate else number(loss.before)})"
    worse = "rise" if loss.rises else "fall"
    limit = _amount(loss, abs(loss.limit), points=True)
    tail = {
        Outcome.SHOWN: f"a {worse} of up to {limit} is tolerated",
        Outcome.EXCLUDED: f"a {worse} of more than {limit} is excluded",
        Outcome.UNDECIDED: f"a {worse} of more than the tolerated {limit} is neither shown nor excluded",
    }[outcome]
    if outcome is Outcome.UNDECIDED and needed is not None:
        tail += f"; about {needed} images would exclude it, if the values stay"
    return "; ".join([told, tail, *loss.notes])


def _counted(counts: Counts, totals: bool) -> str:
    same = counts.of_now == counts.of_before
    if counts.now == counts.before and same:
        return f"stayed at {counts.now} of {counts.of_now}"
    share = counts.now * counts.of_before - counts.before * counts.of_now
    verb = "rose" if share > 0 else "fell" if share < 0 else "went"
    if same:
        return f"{verb} from {counts.before} to {counts.now}{f' of {counts.of_now}' * totals}"
    return f"{verb} from {counts.before} of {counts.of_before} to {counts.now} of {counts.of_now}"


def _moved(loss: Loss, interval: Interval | None) -> str:
    ends = "" if interval is None else f" {_ends(loss, interval, -1 if loss.value < 0 else 1)}"
    if not loss.value:
        return f"stayed at {_amount(loss, loss.before)}{f', change{ends}' if ends else ''}"
    verb = "fell" if loss.value < 0 else "rose"
    return f"{verb} by {_amount(loss, abs(loss.value), points=True)}{ends}"


def _ends(loss: Loss, interval: Interval, sign: int) -> str:
    ends = sorted((sign * interval.low, sign * interval.high))
    return f"[{', '.join(_points(e) if loss.rate else number(e) for e in ends)}]"


def _signed(loss: Loss, value: float) -> str:
    return f"{'+' if value > 0 else ''}{_amount(loss, value, points=True)}"


def _amount(loss: Loss, value: float, *, points: bool = False) -> str:
    if loss.rate:
        return f"{_points(value)} {'points' if points else '%'}"
    return f"{number(value)} {loss.unit.split(' per ')[0]}".rstrip()


def _points(value: float) -> str:
    """Hundredths, whole ones from 10 on: "46", "5", "2.5"."""
    if abs(value) < 0.0005:
        return "0"
    return f"{100 * value:.{0 if abs(value) >= 0.0995 else 1}f}".removesuffix(".0")


def number(value: float) -> str:
    """As many places as tell something: "12", "2.9", "0.37", "0.004"."""
    if not math.isfinite(value):
        return str(value)
    # Rounding must not make 0.9996 another number than 1.
    size = round(abs(value), 3)
    places = 0 if size >= 100 else 1 if size >= 1 else 2 if size >= 0.095 else 3
    text = f"{value:.{places}f}"
    if float(text) == 0:
        return "0" if abs(value) < 5e-7 else f"{value:.1g}"
    return text
