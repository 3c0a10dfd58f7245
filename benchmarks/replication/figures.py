"""Figures of the replication note, drawn from audit documents alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lvlm_audit.document import ClassValue, LayerSummary, Plane, ProbeReading, TokenReading

mpl.use("svg")
mpl.rcParams.update(
    {
        # The same figure gives the same file, and its text stays text.
        "svg.hashsalt": "lvlm_audit",
        "svg.fonttype": "none",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "figure.facecolor": "white",
        "text.parse_math": False,
    }
)

HUES = ("#1b6ca8", "#c44e00", "#5b8c2a", "#8a3d99")


def save(figure: plt.Figure, path: Path) -> None:
    """Writes an SVG without a date, so that an unchanged figure is an unchanged file."""
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight", dpi=110)
    plt.close(figure)


def candidates(tokens: Sequence[tuple[str, TokenReading, TokenReading]], path: Path) -> None:
    """Level 1: probability of the emitted token and its rivals, through both lenses.

    Args:
        tokens: (title, token through the normed lens, the same token through the raw one).
        path: SVG to write.
    """
    figure, grid = plt.subplots(
        len(tokens), 2, figsize=(9, 2.5 * len(tokens)), sharey=True, squeeze=False
    )
    for row, (title, *lenses) in zip(grid, tokens, strict=True):
        for axes, lens, token in zip(row, ("normed lens", "raw lens"), lenses, strict=True):
            axes.plot(token.probability, color=HUES[0], lw=2, label=_quoted(token.text))
            for hue, rival in zip(HUES[1:], token.rivals, strict=False):
                axes.plot(rival["probability"], color=hue, lw=1, label=_quoted(rival["text"]))
            axes.set(ylim=(-0.02, 1.02), title=f"{title}, {lens}")
            axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    for axes in grid[-1]:
        axes.set_xlabel("state")
    for axes in grid[:, 0]:
        axes.set_ylabel("probability")
    figure.tight_layout()
    save(figure, path)


def heat_maps(maps: Sequence[tuple[str, str, ProbeReading, np.ndarray]], path: Path) -> None:
    """Level 2: tokens x transitions.

    Args:
        maps: (title, unit, probe, values [T, L]).
        path: SVG to write.
    """
    figure, grid = plt.subplots(1, len(maps), figsize=(4.6 * len(maps), 3.4), squeeze=False)
    for axes, (title, unit, probe, values) in zip(grid[0], maps, strict=True):
        shown = axes.imshow(values, aspect="auto", cmap="magma", interpolation="nearest", vmin=0)
        axes.set_yticks(range(len(values)), [_quoted(t.text) for t in probe.tokens], fontsize=7)
        axes.set(title=title, xlabel="transition")
        figure.colorbar(shown, ax=axes, label=unit, shrink=0.8)
    figure.tight_layout()
    save(figure, path)


def curves(
    panels: Sequence[tuple[str, str, Sequence[tuple[str, LayerSummary]]]], path: Path
) -> None:
    """Medians over images with the middle half of the images as a band.

    Args:
        panels: (title, unit, named curves).
        path: SVG to write.
    """
    figure, grid = plt.subplots(1, len(panels), figsize=(4.3 * len(panels), 2.8), squeeze=False)
    for axes, (title, unit, named) in zip(grid[0], panels, strict=True):
        for hue, (name, curve) in zip(HUES, named, strict=False):
            _band(axes, curve, hue, name)
        axes.set(title=title, ylabel=unit, xlabel=named[0][1].axis)
        axes.set_ylim(bottom=0)
        if len(named) > 1:
            axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    save(figure, path)


def _band(axes: Axes, curve: LayerSummary, hue: str, name: str) -> None:
    median, low, high = (
        np.array([np.nan if v is None else v for v in values])
        for values in (curve.median, curve.low, curve.high)
    )
    place = np.arange(len(median))
    axes.fill_between(place, low, high, color=hue, alpha=0.18, lw=0)
    axes.plot(place, median, color=hue, lw=2, label=name)


def _quoted(text: str) -> str:
    """A token as text that a figure can show: printable, short, its spaces visible."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:14])
    return f"\N{LEFT DOUBLE QUOTATION MARK}{clean}\N{RIGHT DOUBLE QUOTATION MARK}"


def maps(pictures: Sequence[tuple[str, Plane]], path: Path) -> None:
    """Level 3: states in two dimensions, coloured by depth, one line for each token or image.

    Args:
        pictures: (title, picture).
        path: SVG to write.
    """
    rows = (len(pictures) + 1) // 2
    figure, grid = plt.subplots(
        rows, 2, figsize=(7.5, 3.4 * rows), squeeze=False, layout="constrained"
    )
    for axes in grid.flat[len(pictures) :]:
        axes.set_visible(False)
    for axes, (title, plane) in zip(grid.flat, pictures, strict=False):
        depth = np.arange(len(plane.x[0]))
        for x, y in zip(plane.x, plane.y, strict=True):
            # Hundreds of points are smaller as a picture.
            axes.plot(x, y, color="#999999", lw=0.4, zorder=1, rasterized=True)
            dots = axes.scatter(x, y, c=depth, s=9, cmap="viridis", zorder=2, rasterized=True)
        axes.set(title=title, xticks=[], yticks=[], aspect="equal")
        axes.spines[:].set_visible(False)
    figure.colorbar(dots, ax=grid, label="state", shrink=0.6)
    save(figure, path)


def shares(classes: Sequence[ClassValue], title: str, path: Path) -> None:
    """A share of each class of tokens with its interval."""
    figure, axes = plt.subplots(figsize=(5.4, 0.45 * len(classes) + 0.9))
    for place, one in enumerate(classes):
        if one.observed is None or one.interval is None:
            continue
        axes.plot([one.interval.low, one.interval.high], [place, place], color=HUES[0], lw=2)
        axes.plot(one.observed, place, "o", color=HUES[0])
    axes.set_yticks(range(len(classes)), [f"{c.kind} ({c.tokens})" for c in classes])
    axes.set(xlim=(-0.02, 1.02), title=title, xlabel="share of tokens")
    axes.invert_yaxis()
    save(figure, path)
