"""How well each signal finds the demo model's hallucinated words; writes docs/hallucination.md.

    nox -s hallucination

Questions of the two kinds that the demo model often gets wrong, counts and yes/no, are asked about fresh
crowded scenes until there are enough hallucinated and correct words. Descriptions and colour questions are
nearly always right: they would add correct words of other kinds, and a signal that tells a colour from a
number would then look as if it told true from false. For the same reason each kind is also read by itself.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lvlm_audit
from lvlm_audit.demo.assemble import demo_folder
from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.document import HallucinationReading, Interval, KindScore, SignalScore
from lvlm_audit.hallucination.labels import CORRECT, HALLUCINATED, label_answers
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.readings.hallucination import hallucination_reading
from lvlm_audit.recordings.answer_pairs import NO_IMAGE_PAIRS
from lvlm_audit.recordings.answers import ANSWERS
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.recordings.image_words import IMAGE_WORDS
from lvlm_audit.recordings.text_answers import TEXT_ANSWERS
from lvlm_audit.traces import store
from lvlm_audit.traces.image_word_recorder import record_image_words
from lvlm_audit.traces.paired import record_pairs
from lvlm_audit.traces.recorder import record
from lvlm_audit.traces.store import Item
from lvlm_audit.traces.trace import NO_IMAGE, PairedTrace, Trace

PAGE = Path(__file__).parent.parent / "docs" / "hallucination.md"
SEED = 71
"""Of the scenes: none of them is in an audit's set, in training or in the published accuracy."""
KINDS = ("count", "yes_no")
ENOUGH = 300
"""Words of each kind, hallucinated and correct."""
CROWDED = 3
"""Objects in a scene: the model errs more often where there are as many as it ever saw."""
SCENES = 240
"""Drawn for one round; about a sixth are crowded and asked about in one of the kinds."""
ROUNDS = 60
IMAGE_WORD_ROUNDS = 5
"""Rounds in which the images' own words are read: that costs more than everything else together."""
LONGEST = 16
"""Tokens: the words that count stand at the beginning of these answers."""


def gathered(model: HookedModel, keep: Path) -> Evidence:
    """Rounds of probes until there is enough of both; rounds that `keep` holds are not recorded again."""
    kinds = (ANSWERS, NO_IMAGE_PAIRS, IMAGE_WORDS, TEXT_ANSWERS)
    items: dict[str, list[Any]] = {kind.name: [] for kind in kinds}
    for number in range(ROUNDS):
        folder = keep / f"round-{number}"
        if not store.exists(folder):
            known = {t.asked.prompt for t in items[TEXT_ANSWERS.name]}
            store.save(folder, store.Recording(_recorded(model, number, known), {}))
        for item in store.load(folder).items:
            items[_kind_of(item)].append(item)
        whole = Evidence.of_items("normed", items)
        bad, good = (len(positions) for positions in _labelled(whole.traces))
        print(f"{len(whole.traces)} probes: {bad} hallucinated, {good} correct words", flush=True)
        if min(bad, good) >= ENOUGH:
            return whole
    raise SystemExit(f"{ROUNDS} rounds did not give {ENOUGH} words of each kind.")


def _kind_of(item: Item) -> str:
    if isinstance(item, Trace):
        return (ANSWERS if item.asked.image_tokens else TEXT_ANSWERS).name
    return (NO_IMAGE_PAIRS if isinstance(item, PairedTrace) else IMAGE_WORDS).name


def _recorded(model: HookedModel, number: int, known: set[str]) -> list[Item]:
    """One round: answers, replays without the image, the images' words, and answers without an image.

    These are asked for where a word was wrong alone: only errors can be the prior's.
    """
    probes = [
        p
        for p in demo_probes(SCENES, seed=SEED + number)
        if p.labels["kind"] in KINDS and p.labels["count"] == CROWDED
    ]
    traces = record(model, probes, max_new_tokens=LONGEST)
    ids = [[int(i) for i in trace.token_ids] for trace in traces]
    none = [None] * len(probes)
    wrong = {trace.asked.prompt for trace, _ in _labelled(traces)[0]} - known
    blind = {p.prompt: p.showing(()) for p in probes if p.prompt in wrong}
    return [
        *traces,
        *record_pairs(model, probes, ids, none, condition=NO_IMAGE, last_state_only=True),
        *(record_image_words(model, probes, ids) if number < IMAGE_WORD_ROUNDS else ()),
        *record(model, list(blind.values()), max_new_tokens=LONGEST),
    ]


def _labelled(traces: Sequence[Trace]) -> tuple[list[tuple[Trace, int]], list[tuple[Trace, int]]]:
    """Hallucinated and correct words that count, as answers with a position."""
    found: dict[int, list[tuple[Trace, int]]] = {HALLUCINATED: [], CORRECT: []}
    for trace, label in zip(traces, label_answers(traces), strict=True):
        for word in label.words:
            if trace.eligible[word.tokens.start]:
                found[word.truth].append((trace, word.tokens.start))
    return found[HALLUCINATED], found[CORRECT]


def of_kind(evidence: Evidence, kind: str) -> Evidence:
    """The answers to questions of one kind."""
    kept = [t for t in evidence.traces if t.asked.labels["kind"] == kind]
    names = {t.asked.id for t in kept}
    return Evidence.of_items(
        evidence.lens,
        {
            ANSWERS.name: kept,
            NO_IMAGE_PAIRS.name: [p for p in evidence.of(NO_IMAGE_PAIRS) if p.asked.id in names],
            IMAGE_WORDS.name: [w for w in evidence.of(IMAGE_WORDS) if w.asked.id in names],
            TEXT_ANSWERS.name: evidence.of(TEXT_ANSWERS),
        },
    )


def page(whole: HallucinationReading, kinds: dict[str, HallucinationReading], model: str) -> str:
    """The page as Markdown."""
    parts = [
        "# How well signals find hallucinated words",
        "",
        "Written by `nox -s hallucination`; every number is recomputed by it. "
        f"Model: {model}. Questions: {', '.join(k.replace('_', '/') for k in KINDS)}, about fresh drawn "
        f"scenes of {CROWDED} objects, whose truth is known, until there were "
        f"{ENOUGH} hallucinated and {ENOUGH} correct words.",
        "",
        f"**{whole.labelled} labelled words in {whole.images} images, {whole.hallucinated} of them "
        f"hallucinated: a base rate of {_number(whole.base_rate)} {_ends(whole.base_rate_interval)}.** "
        f"Average precision at chance is that base rate; AUROC at chance is 0.5. "
        f"The images' own words were read in the first {IMAGE_WORD_ROUNDS} rounds of questions alone, because "
        f"that costs more than all else together. "
        f"{whole.not_eligible} more words do not count (they continue a word or repeat their input).",
        "",
        f"Labels: {whole.scheme}. Signals never see them; no definition was changed after they were seen.",
        "",
        "Intervals are 95 %, over images, of each figure by itself: among many signals one may clear 0.5 by "
        "luck. A signal is worth its cost only if it is **over the baseline**, the improbability of the "
        "emitted token, which is free.",
        "",
        *_table(whole),
        "",
        "Suspected: share of correct and of hallucinated words above the signal's own threshold; without one, "
        "those that reach the median of the hallucinated words (so about half of these by construction).",
        "",
        *_verdicts(whole),
        "",
        "## Errors of the prior, and misreadings",
        "",
        *_prior(whole),
    ]
    for kind, reading in kinds.items():
        parts += [
            "",
            f"## {kind.replace('_', '/').capitalize()} questions alone",
            "",
            f"{reading.labelled} words, {reading.hallucinated} hallucinated (base rate "
            f"{_number(reading.base_rate)} {_ends(reading.base_rate_interval)}). Within one kind of question "
            "a signal cannot score by telling the kinds apart.",
            "",
            *_table(reading),
            "",
            *_verdicts(reading),
        ]
    parts += ["", "## Definitions", ""]
    parts += [f"- `{s.name}`: {s.statement} {s.source}." for s in whole.signals]
    parts += [
        "",
        "Exact definitions are in the modules of `lvlm_audit/hallucination/signals/`. Higher is always more "
        "suspicious; a signal whose AUROC is well *below* 0.5 points the other way on this model. The "
        "direction was fixed beforehand and is not turned around here.",
        "",
        "The demo model is small, its decoder is frozen and it has no plateau ([demo.md](demo.md)): these "
        "figures say which signals work on *it*. Run an audit with labelled probes to see them on yours.",
        "",
    ]
    return "\n".join(parts)


def _scores(reading: HallucinationReading) -> list[SignalScore]:
    return [*reading.signals, *([reading.combination] if reading.combination else [])]


def _table(reading: HallucinationReading) -> list[str]:
    rows = [
        "| signal | AUROC | over the baseline | average precision | suspected: correct | hallucinated |",
        "|---|---|---|---|---:|---:|",
    ]
    for s in _scores(reading):
        if s.auroc is None:
            rows.append(f"| `{s.name}` | {s.note} | | | | |")
            continue
        over = "baseline" if s.over_baseline is None else _signed(s.over_baseline)
        mark = "" if s.own_threshold else "*"
        rows.append(
            f"| `{s.name}` | {_number(s.auroc)} {_ends(s.auroc_interval)} | {over} "
            f"{_ends(s.over_baseline_interval)} | {_number(s.average_precision)} {_ends(s.ap_interval)} | "
            f"{_number(s.rate_on_correct)}{mark} | {_number(s.rate_on_hallucinated)}{mark} |"
        )
    notes = [f"`{s.name}`: {s.note}" for s in _scores(reading) if s.auroc is not None and s.note]
    return [*rows, "", " ".join(["\\* no threshold of its own.", *notes])]


def _verdicts(reading: HallucinationReading) -> list[str]:
    def names(side: str, interval: Callable[[SignalScore], Interval | None], chance: float) -> str:
        found = [s.name for s in _scores(reading) if _side(interval(s), chance) == side]
        return ", ".join(f"`{name}`" for name in found) or "none"

    def auroc(score: SignalScore) -> Interval | None:
        return score.auroc_interval

    return [
        f"- Better than chance: {names('above', auroc, 0.5)}.",
        f"- No better than chance (the interval holds 0.5): {names('around', auroc, 0.5)}.",
        f"- Worse than chance, so pointing the other way: {names('below', auroc, 0.5)}.",
        f"- Better than the baseline: {names('above', lambda s: s.over_baseline_interval, 0.0)}.",
    ]


def _side(interval: Interval | None, bound: float) -> str:
    if interval is None:
        return "unknown"
    return "above" if interval.low > bound else "below" if interval.high < bound else "around"


def _prior(reading: HallucinationReading) -> list[str]:
    if reading.prior_driven is None:
        return ["Not told apart."]
    rows = [
        f"{reading.prior_driven} of the {reading.hallucinated} hallucinated words are *prior-driven*: the "
        "model says the same word in the same place when it is asked without the picture. The others are "
        "misreadings. Each kind against all correct words:",
        "",
        "| signal | AUROC, prior-driven | AUROC, misread |",
        "|---|---|---|",
    ]
    rows += [
        f"| `{s.name}` | {_kind(s.prior_driven)} | {_kind(s.misread)} |" for s in _scores(reading)
    ]
    return rows


def _kind(one: KindScore | None) -> str:
    if one is None or one.auroc is None:
        return "none"
    note = f" ({one.note})" if one.note else ""
    return f"{_number(one.auroc)} {_ends(one.auroc_interval)}{note}"


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{value:+.2f}"


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.low:.2f}, {interval.high:.2f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and writes the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hallucination")
    parser.add_argument("--output", type=Path, default=PAGE)
    parser.add_argument(
        "--keep", type=Path, help="keep recordings here; a run that was stopped goes on"
    )
    options = parser.parse_args(arguments)
    with lvlm_audit.load(str(demo_folder())) as model:
        name = f"the demo model, {str(model.dtype).removeprefix('torch.')}, {model.device}, normed lens"
        with tempfile.TemporaryDirectory() as scratch:
            evidence = gathered(model, options.keep or Path(scratch))
    whole = hallucination_reading(evidence)
    kinds = {kind: hallucination_reading(of_kind(evidence, kind)) for kind in KINDS}
    assert whole is not None
    options.output.write_text(
        page(whole, {k: r for k, r in kinds.items() if r is not None}, name), encoding="utf-8"
    )
    print(f"written {options.output}")


if __name__ == "__main__":
    main()
