"""Power of the gate on the demo model: `python -m benchmarks.power label`, then `... table`; `nox -s power`.

`label` measures what each fault costs in truth, on scenes of its own, and writes docs/power-labels.json. It is
committed before any gate is run. What was finished is taken out of the cache.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scipy.stats import beta

from benchmarks.markdown import rendered
from lvlm_audit.cache import cache_dir
from lvlm_audit.demo.assemble import demo_folder, provenance
from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.document import Outcome
from lvlm_audit.errors import LvlmAuditError, UsageError
from lvlm_audit.faults.catalogue import FAULTS
from lvlm_audit.faults.fault import Fault
from lvlm_audit.faults.identity import identity
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.power.cells import Cell, Row, rows
from lvlm_audit.power.labelling import (
    RULE,
    SCENES,
    SCENES_SEED,
    answers,
    measured,
    rights,
)
from lvlm_audit.power.running import Asked, Power, ask, judge
from lvlm_audit.power.sets import drawn_sets
from lvlm_audit.probes.probe import Probe
from lvlm_audit.settings.audit import Settings
from lvlm_audit.spec.suite import suite
from lvlm_audit.writing import write_whole

ROOT = Path(__file__).parent.parent
LABELS = ROOT / "docs" / "power-labels.json"
PAGE = ROOT / "docs" / "power.md"


def said_by(
    hooked: HookedModel,
    fault: Fault | None,
    seed: int,
    key: dict[str, Any],
    probes: Sequence[Probe],
) -> list[str]:
    """The answers of a candidate to the labels' scenes, asked once."""
    from lvlm_audit.faults.applying import applied

    of = {**key, "fault": None if fault is None else identity(fault, seed)}
    digest = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
    path = cache_dir() / "power-labels" / f"{digest}.json"
    if path.is_file():
        return list(json.loads(path.read_text("utf-8")))
    if fault is None:
        said = answers(hooked, probes)
    else:
        with applied(fault, hooked, seed=seed) as damaged:
            said = answers(damaged, probes, fault)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(said))
    return said


def label(names: list[str], seed: int, threads: int) -> None:
    """Measure every fault and write the labels."""
    import torch

    from lvlm_audit.models.opening import load

    torch.set_num_threads(threads)
    folder = demo_folder()
    packages = {name: version(name) for name in ("torch", "transformers", "torchao", "peft")}
    key = {
        "model": (provenance(folder) or {}).get("sha256"),
        "scenes": [SCENES, SCENES_SEED],
        "packages": packages,
    }
    probes = demo_probes(SCENES, SCENES_SEED)
    rows = []
    with load(str(folder)) as hooked:
        before = rights(probes, said_by(hooked, None, seed, key, probes))
        for fault in FAULTS:
            if names and fault.name not in names:
                continue
            after = rights(probes, said_by(hooked, fault, seed, key, probes))
            found = measured(before, after)
            rows.append(
                {
                    "fault": fault.name,
                    "what": fault.what,
                    "intended": fault.intended,
                    "seed": seed,
                    "before": found.before,
                    "after": found.after,
                    "of": found.of,
                    "lost": found.lost,
                    "gained": found.gained,
                    "change": round(found.change, 2),
                    "interval": [round(found.low, 2), round(found.high, 2)],
                    "label": found.label,
                }
            )
            print(f"{fault.name}: {found.before} -> {found.after}, {found.label}", flush=True)
    if names:
        return
    document = {
        "rule": RULE,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "model": "demo",
        "versions": packages,
        "threads": threads,
        "faults": rows,
    }
    write_whole(LABELS, json.dumps(document, indent=1) + "\n")


MAX_NEW_TOKENS = 32
"""The demo model's answers are shorter; a broken one does not stop by itself."""
SETTINGS = Settings(max_new_tokens=MAX_NEW_TOKENS)
SIZES, SETS = (24, 48), 3
HEALTHY_SETS, HEALTHY_SEED = 15, 1600
ALIKE = ("unchanged", "rounding noise", "other threads", "other batch")
"""Healthy whatever a label says: nothing is changed but how it is computed."""
_LETTERS = {"shown": "s", "excluded": "e", "undecided": "u", "not compared": "n"}


def asked(
    threads: int, names: Sequence[str] = (), healthy: int = HEALTHY_SETS
) -> tuple[Asked, Asked]:
    """The documents of every fault, and of the healthy audits; resumes, and judges nothing."""
    import torch

    from lvlm_audit.engine.local import opened
    from lvlm_audit.models.aliases import resolve
    from lvlm_audit.models.identity import fingerprint

    torch.set_num_threads(threads)
    checkpoint = resolve(str(demo_folder()))
    common: dict[str, Any] = {
        "open_model": lambda: opened(SETTINGS, checkpoint),
        "model_key": f"{fingerprint(checkpoint)} {threads} threads",
        "is_demo": True,
        "on_progress": lambda event: print(event.what, flush=True),
    }
    faults = [fault for fault in FAULTS if not names or fault.name in names]
    whole = ask(suite(), SETTINGS, drawn_sets(SIZES, SETS), faults, **common)
    alike = ask(
        suite(),
        SETTINGS,
        drawn_sets([SIZES[0]], healthy, first=HEALTHY_SEED),
        [FAULTS.get(name) for name in ALIKE if not names or name in names],
        fresh=True,
        **common,
    )
    return whole, alike


def table(threads: int, names: Sequence[str], healthy: int) -> None:
    """Run the gate on every fault, and on healthy candidates, and write the page.

    Args:
        threads: of the audits.
        names: of the faults; empty: all. The page says which are left out.
        healthy: probe sets of the healthy audits apart from the table; 0: the table's own are counted.
    """
    if not LABELS.is_file():
        raise UsageError(
            f"{LABELS} is missing: labels are measured and committed before the gate is run "
            f"(python -m benchmarks.power label)."
        )
    labels = json.loads(LABELS.read_text("utf-8"))
    whole, alike = (judge(one, suite(), SETTINGS) for one in asked(threads, names, healthy))
    broken = [text for one in (*whole.cells, *alike.cells) for text in one.mismatch]
    if broken or whole.notes:
        raise UsageError(f"not every cell could be compared: {[*broken, *whole.notes][:3]}")
    known = {one["fault"]: one["label"] for one in labels["faults"]}
    calm = alike.cells or [cell for cell in whole.cells if known.get(cell.fault) == "healthy"]
    write_whole(PAGE, page(whole, calm, labels, threads))
    print(f"written {PAGE}")


def page(whole: Power, alike: Sequence[Cell], labels: Mapping[str, Any], threads: int) -> str:
    """docs/power.md.

    Args:
        whole: every fault on every set.
        alike: the healthy audits.
        labels: docs/power-labels.json.
        threads: of the audits.
    """
    known = {one["fault"]: one["label"] for one in labels["faults"]}
    made = [
        {
            "fault": row.fault,
            "label": known.get(row.fault, "not labelled"),
            "images": row.images,
            "red": row.red,
            "sets": row.sets,
            "cells": {name: _short(row, name) for name in whole.checks},
        }
        for row in rows(whole.cells)
    ]
    largest = max(cell.images for cell in whole.cells)
    sentences = [
        (
            cell.fault,
            " ".join(
                f"{one.sentence.rstrip('.')}."
                for one in cell.outcomes
                if one.outcome is Outcome.SHOWN
            )
            + (f" Fed differently: {', '.join(cell.fed)}." if cell.fed else ""),
        )
        for cell in whole.cells
        if cell.red and cell.images == largest and cell.set == 0
    ]
    asked_of = {cell.fault for cell in whole.cells}
    return rendered(
        Path(__file__).parent / "power.md.jinja",
        {},
        sets=max(row["sets"] for row in made),
        checks=whole.checks,
        rows=made,
        summary=_summary(made, alike),
        sentences=sentences,
        healthy=_healthy(alike),
        labels=labels,
        missing=[name for name in known if name not in asked_of],
        versions=", ".join(f"{name} {number}" for name, number in labels["versions"].items()),
        threads=threads,
    )


def _short(row: Row, check: str) -> str:
    counts = row.checks.get(check, {})
    found = " ".join(f"{n}{_LETTERS[name]}" for name, n in counts.items() if n)
    needed = row.needed.get(check)
    return found + (f" ({needed})" if needed is not None and counts.get("undecided") else "")


def _summary(made: Sequence[Mapping[str, Any]], alike: Sequence[Cell]) -> str:
    """What was asked for and what came out, in sentences."""
    said = []
    for size in dict.fromkeys(row["images"] for row in made):
        real = [row for row in made if row["label"] == "real" and row["images"] == size]
        missed = ", ".join(
            f"{row['fault']} ({row['red']} of {row['sets']})"
            for row in real
            if row["red"] < row["sets"]
        )
        said.append(
            f"**Real faults, sets of {size} images: {_red(real)} red**"
            + (f"; not always: {missed}." if missed else ".")
        )
    calm = [row for row in made if row["label"] in ("healthy", "better")]
    said.append(
        f"**Candidates of the table that are labelled healthy or better: {_red(calm)} red.**"
    )
    said.append(
        f"**Healthy audits that differ in probes, threads, batch or rounding: "
        f"{sum(cell.red for cell in alike)} of {len(alike)} red.**"
    )
    return "\n".join(f"- {text}" for text in said)


def _red(made: Sequence[Mapping[str, Any]]) -> str:
    return f"{sum(row['red'] for row in made)} of {sum(row['sets'] for row in made)}"


def _healthy(alike: Sequence[Cell]) -> dict[str, Any]:
    red = sum(one.red for one in alike)
    # Clopper and Pearson, one-sided.
    above = float(beta.ppf(0.95, red + 1, len(alike) - red))
    return {
        "audits": len(alike),
        "kinds": ", ".join(dict.fromkeys(one.fault for one in alike)),
        "red": red,
        "undecided": sum(one.undecided for one in alike),
        "bound": f"{red} of {len(alike)} bounds the rate of false alarms at {above:.1%} (95 %, one-sided).",
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.power", description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser(
        "label", help="what each fault costs in truth; docs/power-labels.json"
    )
    one.add_argument("--only", nargs="*", default=[], choices=FAULTS.names())
    one.add_argument("--seed", type=int, default=0)
    two = commands.add_parser("record", help="ask parent and candidates, and judge nothing")
    two.add_argument("--only", nargs="*", default=[], choices=FAULTS.names())
    three = commands.add_parser(
        "table", help="record what is missing, and run the gate; docs/power.md"
    )
    three.add_argument("--only", nargs="*", default=[], choices=FAULTS.names())
    three.add_argument("--healthy", type=int, default=HEALTHY_SETS, metavar="SETS")
    options = parser.parse_args()
    try:
        if options.command == "label":
            label(options.only, options.seed, options.threads)
        elif options.command == "record":
            asked(options.threads, options.only)
        else:
            table(options.threads, options.only, options.healthy)
    except LvlmAuditError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
