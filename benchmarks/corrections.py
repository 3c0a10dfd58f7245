"""Which hallucinated words of the demo model are corrected by skipping blocks, DoLa and DeCo, and which
correct ones they break: `nox -s hallucination` writes docs/corrections.md.

Blocks are nominated on other scenes than those that judge them. Answers are kept in the cache, so that a run
that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from benchmarks.markdown import rendered
from lvlm_audit import Probe, __version__, find_stages, load, record
from lvlm_audit.cache import cache_dir
from lvlm_audit.demo.assemble import demo_folder
from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.document import CorrectionsReading, Interval, WordShare
from lvlm_audit.hallucination.corrections import Plain
from lvlm_audit.interventions.deco import DeCo
from lvlm_audit.interventions.decoding import Intervention, SkipBlocks
from lvlm_audit.interventions.dola import DoLa
from lvlm_audit.interventions.redecoding import iter_redecoded
from lvlm_audit.models import HookedModel
from lvlm_audit.models.aliases import resolve
from lvlm_audit.models.identity import fingerprint as model_fingerprint
from lvlm_audit.probes.controlled import text_questions
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.readings.corrections import anew, corrections_reading
from lvlm_audit.stages import Stages
from lvlm_audit.traces import store
from lvlm_audit.traces.redecoded import Redecoded

ROOT = Path(__file__).parent.parent
JUDGED_SEED, NOMINATING_SEED = 2000, 2001
"""Sets of scenes that share none with training, with each other or with the default probes."""

NOMINATING = 48
MAX_NEW_TOKENS = 24
BATCH = 48
MOST = 3
"""States that stand in where no state is a mutation layer."""

PAPER_BAND = (26 / 32, 31 / 32)
"""States 26 to 31 of 32: the paper's mutation layers of LLaVA-1.5-7B, state 32 apart."""


def judged_probes(scenes: int) -> list[Probe]:
    """Of each scene a count and a yes/no question, in which the demo model errs, and one of the others."""
    found = []
    for i, probe in enumerate(demo_probes(scenes, JUDGED_SEED, questions=4)):
        spared = ("description", "color")[i // 4 % 2]
        if probe.labels["kind"] != spared:
            found.append(probe)
    # Alike in length means little padding.
    return sorted(found, key=lambda probe: (probe.labels["kind"], len(probe.prompt)))


def interventions(stages: Stages) -> tuple[list[Intervention], str]:
    """What is tried, and how its blocks were found."""
    blocks = stages.blocks
    states = [int(s) for s in stages.mutation_layers]
    how = f"states {states} are mutation layers"
    if not states:
        most = np.argsort(-stages.mutation_share, kind="stable")[:MOST]
        states = sorted(int(s) for s in most if stages.mutation_share[s] > 0)
        shares = ", ".join(f"state {s}: {stages.mutation_share[s]:.1%}" for s in states)
        how = (
            f"the demo model does not show three stages there (pattern: {stages.pattern}), so no state is a "
            f"mutation layer by the rule, and the {len(states)} states where most tokens mutate stand in "
            f"({shares})"
        )
    low, high = (int(share * blocks + 0.5) for share in PAPER_BAND)
    paper = tuple(state - 1 for state in range(low, min(high, blocks - 1) + 1))
    return [
        SkipBlocks(tuple(s - 1 for s in states), "skip.2, most mutated states"),
        SkipBlocks(paper, "skip.2 at the paper's depth"),
        DoLa("low"),
        DoLa("high"),
        DeCo(),
    ], how


def answered(
    model: HookedModel, probes: Sequence[Probe], intervention: Intervention, subject: str
) -> list[Redecoded]:
    """Answers under an intervention, out of the cache if they were given before."""
    identity = {
        "version": __version__,
        "model": subject,
        "probes": fingerprint(probes),
        "intervention": [intervention.name, intervention.description, list(intervention.blocks)],
        "tokens": MAX_NEW_TOKENS,
        "batch": BATCH,
    }
    folder = cache_dir() / "corrections" / store.key(identity)
    if not store.exists(folder):
        found = list(
            iter_redecoded(
                model,
                probes,
                intervention,
                max_new_tokens=MAX_NEW_TOKENS,
                batch_size=BATCH,
                on_progress=lambda event: print(event, flush=True),
            )
        )
        store.save(folder, store.Recording(found, {}))
    return cast("list[Redecoded]", store.load(folder).items)


def measure(scenes: int) -> tuple[CorrectionsReading, str]:
    """The reading, and how blocks were nominated."""
    subject = model_fingerprint(resolve(str(demo_folder())))
    with load(str(demo_folder())) as model:
        nominating = demo_probes(NOMINATING, NOMINATING_SEED)
        stages = find_stages(record(model, nominating, max_new_tokens=MAX_NEW_TOKENS))
        tried, how = interventions(stages)
        print(how, [one.blocks for one in tried[:2]], flush=True)
        probes = judged_probes(scenes)
        # Nothing skipped: plain greedy decoding, without the lens that a base answer does not need here.
        base = answered(model, probes, SkipBlocks((), "greedy"), subject)
        blind = answered(model, text_questions(probes), SkipBlocks((), "greedy"), subject)
        again = [one for way in tried for one in answered(model, probes, way, subject)]
    reading = corrections_reading(
        [Plain(one.asked, one.answer) for one in base],
        anew(again),
        [Plain(one.asked, one.answer) for one in blind],
    )
    assert reading is not None
    return reading, how


def interval(found: Interval | None, form: str = ".1%") -> str:
    """As the page prints it."""
    return "—" if found is None else f"{found.low:{form}} to {found.high:{form}}"


def share(found: WordShare | None) -> str:
    """Words, share and interval."""
    if found is None or found.value is None:
        return "—"
    return f"{found.held} of {found.n}, {found.value:.1%} ({interval(found.interval)})"


def said(answer: str) -> str:
    """An answer in Markdown: whatever it holds, one line of code."""
    line = " ".join(answer.split()).replace("`", "'")
    return f"`{line[:120] or ' '}`"


def page(reading: CorrectionsReading, how: str, scenes: int) -> str:
    """The page as Markdown."""
    return rendered(
        Path(__file__).with_name("corrections.md.jinja"),
        {"share": share, "interval": interval, "said": said},
        reading=reading,
        how=how,
        scenes=scenes,
        answers=max(one.answers for one in reading.interventions),
        nominating=NOMINATING,
        seed=JUDGED_SEED,
        verdict=verdict(reading),
    )


def verdict(reading: CorrectionsReading) -> str:
    """What the table says, in words."""
    by: dict[str, list[str]] = {"helps": [], "harms": [], "undecided": []}
    for one in reading.interventions:
        by[one.verdict].append(one.intervention)
    said = {
        "helps": "more words become right than are lost",
        "harms": "more right words are lost than won",
        "undecided": "neither help nor harm beyond what these scenes can tell",
    }
    parts = [f"{'; '.join(names)}: {said[kind]}." for kind, names in by.items() if names]
    if not by["helps"]:
        parts.insert(0, "**No intervention helps the demo model.**")
    return " ".join(parts)


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=180)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "corrections.md")
    options = parser.parse_args()
    reading, how = measure(options.scenes)
    for one in reading.interventions:
        print(one.intervention, one.words)
    options.output.write_text(page(reading, how, options.scenes), "utf-8")


if __name__ == "__main__":
    main()
