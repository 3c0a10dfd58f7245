"""A trace as a picture: tokens by states, drawn by matplotlib, which is asked for when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lvlm_audit.optional import needed
from lvlm_audit.traces.verbs import UNITS, curve
from lvlm_audit.visible import clip, visible

if TYPE_CHECKING:
    from lvlm_audit.traces.trace import Trace

_LABEL = 24


def plot(trace: Trace, name: str, axes: Any) -> Any:
    """Draws one curve of every token as a row of a heat map.

    Raises:
        TraceError: as `verbs.curve`.
        UsageError: matplotlib is not installed.
    """
    values = curve(trace, name)
    if axes is None:
        pyplot = needed("matplotlib.pyplot", by="trace.plot()", extra="plot")
        height = 1.2 + 0.28 * trace.tokens
        _, axes = pyplot.subplots(figsize=(9.0, height), layout="constrained")
    transitions = values.shape[1] == trace.blocks
    image = axes.imshow(values, aspect="auto", interpolation="nearest", cmap="viridis")
    bar = axes.figure.colorbar(image, ax=axes)
    bar.set_label(f"{name.replace('_', ' ')} ({UNITS[name]})")
    axes.set_xlabel("transition from state" if transitions else "state (0 = embedding)")
    # No mathematics: a token may hold dollar signs.
    axes.set_yticks(
        range(trace.tokens),
        [clip(visible(text), _LABEL) for text in trace.token_texts],
        parse_math=False,
    )
    axes.set_title(clip(visible(trace.asked.prompt), 80), parse_math=False, loc="left")
    return axes
