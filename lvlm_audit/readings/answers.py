"""From arrays to the document's readings: stages, layer summaries, tokens. Rounding happens here."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lvlm_audit.document import (
    Interval,
    LayerSummary,
    Level,
    Node,
    ProbeReading,
    StageReading,
    TerminalTransition,
    TokenReading,
    rounded,
)
from lvlm_audit.document.stages import Axis
from lvlm_audit.hallucination.places import places
from lvlm_audit.metrics.nodes import (
    CRITICAL,
    ONSET,
    SETTLE,
    candidates_from,
    late_mutations,
    probability_of,
    saturation,
    sustained_from,
)
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.readings.last_transition import in_words
from lvlm_audit.readings.stage_words import agreement_words, late_words
from lvlm_audit.recordings.answer_pairs import ANSWER_PAIRS, NO_IMAGE_PAIRS
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.stages import FALLS_AND_STAYS_LOW, LevelReading, NodeEstimate, Stages
from lvlm_audit.statistics import Spread
from lvlm_audit.traces.trace import PAPER_INDEX_UNIT, PairedTrace, Trace

THUMBNAIL = 192
"""Longest side of a probe's picture in the document, pixels."""
_RIVALS = 3

_SUMMARIES: tuple[tuple[str, str, str], ...] = (
    ("probability", "probability of the emitted token", "probability"),
    ("nucleus_mass", "nucleus mass", "probability"),
    ("distractor", "probability of the distractor", "probability"),
    ("divergence", "JSD between neighbouring states", "bits"),
    ("paper_index", "paper index between neighbouring states", PAPER_INDEX_UNIT),
    ("jsd_to_final", "JSD to the final state", "bits"),
    ("kl_to_final", "KL(final || state)", "bits"),
    ("entropy", "entropy", "bits"),
)
_BETWEEN_STATES = frozenset({"divergence", "paper_index"})


def stage_reading(
    stages: Stages,
    *,
    divergence: str = "jsd",
    terminal: Sequence[TerminalTransition] = (),
) -> StageReading:
    """The located stages as the document records them.

    Args:
        stages: as found.
        divergence: which one the distribution level read.
        terminal: the last transition through each lens that was recorded.
    """
    note = (
        "The lens is a reading of the residual stream through the model's own head, not knowledge "
        "itself. Every node is a state; block i leads from state i to state i + 1."
    )
    if divergence == "paper_index":
        note += (
            " The distribution level was read on paper_index, the published code's divergence, without "
            "the scaling of the paper's figure: scaled columns cannot be compared, so nothing can be "
            "located on them."
        )
    if stages.fall is not None and stages.fall.pattern == FALLS_AND_STAYS_LOW:
        note += f" Beside the distribution level's strict rule: {stages.fall.evidence}"
    return StageReading(
        blocks=stages.blocks,
        pattern=stages.pattern,
        evidence=stages.evidence,
        critical_layer=stages.critical_layer,
        mutation_layers=list(stages.mutation_layers),
        mutation_share=listed(stages.mutation_share),
        terminal_share=rounded(stages.terminal_share),
        levels=[_level(r) for r in stages.by_level.values()],
        levels_agree=stages.levels_agree,
        fall=None if stages.fall is None else _level(stages.fall),
        note=note,
        terminal=list(terminal),
        terminal_note=in_words(terminal),
        agreement=agreement_words(stages),
        late=late_words(stages),
    )


def _level(reading: LevelReading) -> Level:
    return Level(
        name=reading.name,
        measured=reading.measured,
        pattern=reading.pattern,
        evidence=reading.evidence,
        critical=node_reading(reading.critical),
        onset=node_reading(reading.onset),
        settle=node_reading(reading.settle),
        mutation_states=list(reading.mutation_states),
    )


def layer_summaries(evidence: Evidence) -> list[LayerSummary]:
    """Curves over layers: mean over an image's eligible tokens, then quartiles over images."""
    found = []
    for field, name, unit in _SUMMARIES:
        if any(getattr(t, field) is None for t in evidence.traces):
            continue
        pairs = [(t.asked.cluster, getattr(t, field)[t.eligible]) for t in evidence.traces]
        axis: Axis = "transition" if field in _BETWEEN_STATES else "state"
        found.append(summarised(name, unit, axis, pairs))
    return [s for s in found if s is not None]


def probe_readings(
    evidence: Evidence, probes: Sequence[Probe], *, critical: int | None = None
) -> list[ProbeReading]:
    """Every probe with its answer, layer by layer.

    Args:
        evidence: through the run's lens.
        probes: as asked, for their pictures.
        critical: the critical layer, from which on leaders are candidates; half the depth where there
            is none, because shallow leaders are noise of the lens.
    """
    swapped = {p.asked.id: p for p in evidence.of(ANSWER_PAIRS)}
    removed = {p.asked.id: p for p in evidence.of(NO_IMAGE_PAIRS)}
    images = {p.id: p for p in probes}
    return [
        ProbeReading(
            id=trace.asked.id,
            cluster=trace.asked.cluster,
            prompt=trace.asked.prompt,
            image=next(iter(shown), None),
            more_images=shown[1:],
            reference=trace.asked.reference,
            answer=places(trace).text,
            labels=dict(trace.asked.labels),
            tokens=_tokens(
                trace,
                swapped.get(trace.asked.id),
                removed.get(trace.asked.id),
                trace.blocks // 2 if critical is None else critical,
            ),
            prompt_tokens=trace.asked.prompt_tokens,
            image_tokens=trace.asked.image_tokens,
        )
        for trace in evidence.traces
        for shown in [_thumbnails(images.get(trace.asked.id))]
    ]


def _tokens(
    trace: Trace, swapped: PairedTrace | None, removed: PairedTrace | None, first: int
) -> list[TokenReading]:
    nodes = {f: sustained_from(trace.nucleus_mass, f) for f in (ONSET, CRITICAL, SETTLE)}
    saturated = saturation(trace.leader)
    mutated = late_mutations(trace.leader, trace.candidate_ids, trace.candidate_probability)
    eligible = trace.eligible
    candidates = candidates_from(trace.leader, trace.candidate_ids, first)
    return [
        TokenReading(
            text=trace.token_texts[t],
            id=int(trace.token_ids[t]),
            kind=trace.token_classes[t],
            eligible=bool(eligible[t]),
            probability=listed(trace.probability[t]),
            nucleus=listed(trace.nucleus_mass[t]),
            divergence=listed(trace.divergence[t]),
            leaders=[text_of(trace, int(i)) for i in trace.leader[t]],
            leader_probability=listed(trace.top_probs[t, :, 0]),
            grounding=None if swapped is None else listed(swapped.divergence[t]),
            without_image=None if removed is None else listed(removed.divergence[t]),
            onset=_state(nodes[ONSET][t]),
            critical=_state(nodes[CRITICAL][t]),
            settle=_state(nodes[SETTLE][t]),
            saturation=_state(saturated[t]),
            mutations=[int(j) for j in np.nonzero(mutated[t, : trace.blocks])[0]],
            terminal_change=bool(trace.leader[t, -1] != trace.leader[t, -2]),
            rivals=_rivals(trace, t, candidates[t], first),
            paper_index=None if trace.paper_index is None else listed(trace.paper_index[t]),
        )
        for t in range(trace.tokens)
    ]


def text_of(trace: Trace, token: int) -> str:
    """A token's text, or its id where the vocabulary does not know it."""
    return trace.vocabulary.get(token, f"<{token}>")


def _rivals(
    trace: Trace, t: int, candidate: npt.NDArray[np.bool_], first: int
) -> list[dict[str, Any]]:
    """The strongest candidates beside the emitted token, by their peak from state `first` on."""
    ids, curves = trace.candidate_ids[t], trace.candidate_probability[t]
    peak = curves[:, first:].max(axis=1)
    order = [k for k in np.argsort(-peak) if candidate[k] and ids[k] != trace.token_ids[t]]
    return [
        {"text": text_of(trace, int(ids[k])), "probability": listed(curves[k])}
        for k in order[:_RIVALS]
        if peak[k] > 0.01
    ]


def margin(trace: Trace, t: int, state: int) -> tuple[int, int, float]:
    """Leader before a state, leader at it, and by how much the new one leads there."""
    before, after = int(trace.leader[t, state - 1]), int(trace.leader[t, state])
    row = slice(t, t + 1)
    curves = [
        probability_of(np.array([i]), trace.candidate_ids[row], trace.candidate_probability[row])[
            0, state
        ]
        for i in (after, before)
    ]
    return before, after, float(curves[0] - curves[1])


def summarised(
    name: str, unit: str, axis: Axis, pairs: Iterable[tuple[str, npt.NDArray[Any]]]
) -> LayerSummary | None:
    """Mean over an image's rows, then quartiles over images; None where there is no row."""
    by_image: dict[str, list[npt.NDArray[Any]]] = {}
    for image, rows in pairs:
        rows = rows[~np.isnan(rows).any(axis=1)]
        if len(rows):
            by_image.setdefault(image, []).append(rows)
    if not by_image:
        return None
    means = np.stack([np.concatenate(rows).mean(axis=0) for rows in by_image.values()])
    low, median, high = np.percentile(means, [25, 50, 75], axis=0)
    return LayerSummary(name, unit, axis, listed(median), listed(low), listed(high))


def node_reading(node: NodeEstimate | None) -> Node | None:
    """A node as the document records it."""
    if node is None:
        return None
    interval = None if node.spread is None else interval_of(node.spread)
    return Node(node.state, interval, rounded(node.iqr), round(node.undefined, 4))


def interval_of(spread: Spread) -> Interval:
    """An interval as the document records it."""
    return Interval(spread.low, spread.high, spread.confidence, spread.method)


def rounded_interval(spread: Spread) -> Interval:
    """The same of a share, to four places."""
    return Interval(round(spread.low, 4), round(spread.high, 4), spread.confidence, spread.method)


def _state(value: float) -> int | None:
    return None if np.isnan(value) else int(value)


def listed(values: npt.NDArray[Any]) -> list[Any]:
    """A curve as the document records it; null where it is not finite."""
    return [rounded(float(v)) for v in values]


def _thumbnails(probe: Probe | None) -> list[str]:
    return [] if probe is None else [_thumbnail(image) for image in probe.images]


def _thumbnail(source: ImageSource) -> str:
    image = source.open()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
