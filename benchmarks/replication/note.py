"""The note: every number and every "agrees" in it is read off two audit documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.markdown import rendered
from benchmarks.replication import figures
from lvlm_audit.document import (
    Audit,
    ClassMeasure,
    Interval,
    LayerSummary,
    Level,
    Node,
    ProbeReading,
)

SHARP = 0.25
"""A rise is called sharp if the median token passes from onset to settle within this share of the depth."""
QUIET = 0.05
"""Bits: a plateau of divergence "close to 0" stays below this."""


def write(normed: Audit, paper: Audit, folder: Path, commands: Mapping[str, str]) -> None:
    """Writes replication.md and its figures.

    Args:
        normed: audit through the normed lens, with the decoder's comparison.
        paper: audit of the same answers in paper mode.
        folder: docs/.
        commands: what made the audits.
    """
    pictures = folder / "replication"
    pictures.mkdir(parents=True, exist_ok=True)
    values = _values(normed, paper)
    _draw(normed, paper, values, pictures)
    text = rendered(
        Path(__file__).with_name("note.md.jinja"),
        # Text of models and probes goes through `cell`.
        {"cell": cell, "node": node, "interval": interval, "number": number, "at": at},
        commands=commands.values(),
        **values,
    )
    (folder / "replication.md").write_text(text, encoding="utf-8")


def _values(normed: Audit, paper: Audit) -> dict[str, Any]:
    blocks = normed.stages.blocks
    probability = _layer(normed, "probability of the emitted token")
    raw = _layer(paper, "probability of the emitted token")
    jsd = _layer(normed, "JSD between neighbouring states")
    moves = [v or 0.0 for v in jsd.median]
    third = blocks // 3
    widths = [
        t.settle - t.onset
        for p in normed.probes
        for t in p.tokens
        if t.eligible and t.onset is not None and t.settle is not None
    ]
    width = float(np.median(widths)) if widths else None
    before = (probability.median[blocks - 1] or 0.0, raw.median[blocks - 1] or 0.0)
    mutation = None
    if normed.classes is not None:
        mutation = next(m for m in normed.classes.measures if m.name == "late mutation")
    levels = {level.name: level for level in normed.stages.levels}
    longest = _longest(normed)
    return {
        "subject": normed.subject,
        "images": len({p.cluster for p in normed.probes}),
        "tokens": sum(t.eligible for p in normed.probes for t in p.tokens),
        "examples": [_example(title, p, t) for title, p, t in examples(normed)],
        "probability": probability,
        "raw": raw,
        "raw_share": before[1] / before[0] if before[0] else 1.0,
        "half": blocks // 2,
        "last": blocks,
        "level": levels["probability"],
        "width": width,
        "sharp": width is not None and width <= SHARP * blocks,
        "longest": _said(longest),
        "jsd": jsd,
        "thirds": [
            float(np.mean(part))
            for part in (moves[:third], moves[third : 2 * third], moves[2 * third : -1])
        ],
        "quiet": QUIET,
        "terminal": {one.lens: one for a in (normed, paper) for one in a.stages.terminal},
        "features": normed.features,
        "feature_level": levels.get("feature"),
        "levels": [(a.subject.lens, one) for a in (normed, paper) for one in a.stages.levels],
        "agree": normed.stages.levels_agree,
        "classes": normed.classes,
        "mutation": mutation,
        "flat": _oftener(mutation),
        "decoder": normed.decoder,
        "grounding": normed.grounding,
        "claims": list(
            _claims(normed, levels, width, float(np.median(moves[2 * third : -1])), mutation)
        ),
    }


def _claims(
    audit: Audit,
    levels: Mapping[str, Level],
    width: float | None,
    late: float,
    mutation: ClassMeasure | None,
) -> Iterator[tuple[str, str, bool | None]]:
    """What the paper says, what is seen here, and whether they agree; None: cannot be said."""
    blocks = audit.stages.blocks
    level = levels["probability"]
    settle = level.settle.state if level.settle is not None else None
    span = f"from state {node(level.onset)} to {node(level.settle)}"
    yield "tokens rise sharply", span, None if width is None else width <= SHARP * blocks
    yield (
        "the rise is over by two thirds of the depth",
        f"settle state {node(level.settle)} of {blocks}",
        None if settle is None else settle <= 2 * blocks / 3,
    )
    yield (
        "a plateau of divergence near 0 follows",
        f"median {late:.2f} bit in the last third",
        late <= QUIET,
    )
    found = None if level.pattern == "inconclusive" else level.pattern == "three stages"
    yield "three stages, in one half of the images and again in the other", level.pattern, found
    step = audit.features.common_step if audit.features is not None else None
    if step is not None:
        guitar = None if step.pattern == "inconclusive" else step.fan_out is not None
        yield "many images share a neck and fan out", step.pattern, guitar
    names = {
        "punctuation": "punctuation mutates late less often than content words",
        "copied": "words copied from the prompt do, too",
    }
    flat = _oftener(mutation)
    for kind in (one for one in names if one in flat):
        holds = flat[kind]
        seen = "beyond its interval" if holds else "not beyond its interval"
        yield names[kind], seen, holds
    alone = audit.decoder.stages if audit.decoder is not None else None
    if alone is not None:
        # What the model with images does not show either is no difference between the two.
        clear = {"three stages", "rise and plateau"}
        seen = f"with images: {level.pattern}; without: {alone.pattern}"
        differ = None if level.pattern not in clear else alone.pattern not in clear
        yield "stages are clear with images, and not in the language model alone", seen, differ


def _draw(normed: Audit, paper: Audit, values: Mapping[str, Any], folder: Path) -> None:
    other = {p.id: p for p in paper.probes}
    rows = [
        (title, p.tokens[t], other[p.id].tokens[t])
        for title, p, t in examples(normed)
        if p.id in other
    ]
    figures.candidates(rows, folder / "candidates.svg")
    longest = _longest(normed)
    maps = [("JSD, normed lens", "bits", longest, _matrix(longest, "divergence"))]
    if longest.id in other:
        index = _matrix(other[longest.id], "paper_index")
        top = index.max(axis=0, keepdims=True)
        scaled = np.divide(index, top, out=np.zeros_like(index), where=top > 0)
        title = "paper_index, raw lens, columns scaled apart"
        maps.append((title, "share of the column's largest", other[longest.id], scaled))
    figures.heat_maps(maps, folder / "divergence.svg")
    features = normed.features
    if features is not None:
        titles = {"tokens": "one image, many tokens", "images": "many images, one token"}
        pictures = [(f"{p.method}, {titles[m.of]}", p) for m in features.maps for p in m.planes]
        figures.maps(pictures, folder / "maps.svg")
        if features.common_step is not None:
            shown = features.common_step.curves[:2]
            figures.curves([(c.name, c.unit, [("", c)]) for c in shown], folder / "common_step.svg")
    if values["mutation"] is not None:
        figures.shares(values["mutation"].classes, "late mutation", folder / "classes.svg")
    if normed.decoder is not None:
        panels = []
        for curve in normed.decoder.layers:
            twin = [("with image", c) for c in normed.layers if c.name == curve.name]
            panels.append((curve.name, curve.unit, [*twin, ("no image", curve)]))
        figures.curves(panels, folder / "decoder.svg")
    if normed.grounding is not None and normed.grounding.measured:
        named = [(c.name, c) for c in normed.grounding.curves]
        figures.curves([("grounding", "bits", named)], folder / "grounding.svg")


def examples(audit: Audit) -> Iterator[tuple[str, ProbeReading, int]]:
    """A wrong answer's first wrong token, if it is a content word, and the last content word of a right one.

    The right answer is one to a question of the same kind, where the probes say what kind they are.
    """
    answered = [p for p in audit.probes if p.reference]
    wrong = next(((p, t) for p in answered if (t := _first_wrong(p)) is not None), None)
    kind = wrong[0].labels.get("kind") if wrong is not None else None
    for probe in answered:
        places = [i for i, t in enumerate(probe.tokens) if t.eligible and t.kind == "content"]
        alike = kind is None or probe.labels.get("kind") == kind
        if places and alike and _said(probe) == str(probe.reference).strip():
            yield "right", probe, places[-1]
            break
    if wrong is not None:
        yield "wrong", *wrong


def _first_wrong(probe: ProbeReading) -> int | None:
    """Where the answer leaves the reference, if a content word does it."""
    said = ""
    for t, token in enumerate(probe.tokens):
        said += token.text
        if not str(probe.reference).startswith(said.lstrip()):
            return t if token.eligible and token.kind == "content" else None
    return None


def _example(title: str, probe: ProbeReading, t: int) -> dict[str, Any]:
    token = probe.tokens[t]
    said = "".join(one.text for one in probe.tokens[:t]).lstrip()
    wanted = str(probe.reference)[len(said) :].split()[:1] if title == "wrong" else []
    led = [j for j, leader in enumerate(token.leaders) if wanted and leader.strip() == wanted[0]]
    return {
        "wanted": wanted[0] if wanted else "",
        "led": led,
        "title": title,
        "prompt": probe.prompt,
        "answer": _said(probe),
        "reference": probe.reference,
        "token": token.text.strip(),
        "critical": token.critical,
        "settle": token.settle,
        "rival": token.rivals[0]["text"].strip() if token.rivals else "",
    }


def _said(probe: ProbeReading) -> str:
    return "".join(t.text for t in probe.tokens if t.kind != "special").strip()


def _longest(audit: Audit) -> ProbeReading:
    return max(audit.probes, key=lambda p: sum(t.eligible for t in p.tokens))


def _oftener(mutation: ClassMeasure | None) -> dict[str, bool]:
    """Of the classes that the paper calls flat: do content words mutate more often, beyond the interval?"""
    if mutation is None:
        return {}
    return {
        c.kind: c.differs and (c.difference or 0.0) > 0
        for c in mutation.classes
        if c.kind in ("punctuation", "copied") and c.observed is not None
    }


def _layer(audit: Audit, name: str) -> LayerSummary:
    return next(layer for layer in audit.layers if layer.name == name)


def _matrix(probe: ProbeReading, field: str) -> np.ndarray:
    return np.array([getattr(t, field) for t in probe.tokens], dtype=float)


def at(curve: LayerSummary, state: int) -> str:
    """The median at a state."""
    value = curve.median[state]
    return "–" if value is None else f"{value:.2f}"


def node(value: Node | None) -> str:
    """A node with its interval."""
    if value is None or value.state is None:
        return "–"
    return f"{value.state:g} {interval(value.interval)}".strip()


def interval(value: Interval | None) -> str:
    """An interval, nothing where there is none."""
    return "" if value is None else f"[{value.low:.3g}, {value.high:.3g}]"


def number(value: float | None) -> str:
    """A number, a dash where there is none."""
    return "–" if value is None else f"{value:.3g}"


def cell(text: str) -> str:
    """Text of a model or a probe inside Markdown: no markup, no new row, nothing invisible."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\`*_{}[]<>|#":
        clean = clean.replace(mark, f"\\{mark}")
    return clean
