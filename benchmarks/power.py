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
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lvlm_audit.cache import cache_dir
from lvlm_audit.demo.assemble import demo_folder, provenance
from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.faults.catalogue import FAULTS
from lvlm_audit.faults.fault import Fault
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.power.labelling import (
    RULE,
    SCENES,
    SCENES_SEED,
    answers,
    measured,
    rights,
)
from lvlm_audit.writing import write_whole

ROOT = Path(__file__).parent.parent
LABELS = ROOT / "docs" / "power-labels.json"


def said_by(hooked: HookedModel, fault: Fault | None, seed: int, key: dict[str, Any]) -> list[str]:
    """The answers of a candidate to the labels' scenes, asked once."""
    from lvlm_audit.faults.applying import applied

    of = {**key, "seed": seed}
    if fault is not None:
        # Its name and its words are not what it does.
        of |= {"damage": fault.damage, "how": dict(fault.how), "batch": fault.batch_size}
    digest = hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:16]
    path = cache_dir() / "power-labels" / f"{digest}.json"
    if path.is_file():
        return list(json.loads(path.read_text("utf-8")))
    probes = demo_probes(SCENES, SCENES_SEED)
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
        before = rights(probes, said_by(hooked, None, seed, key))
        for fault in FAULTS:
            if names and fault.name not in names:
                continue
            after = rights(probes, said_by(hooked, fault, seed, key))
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.power", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("label", help="what each fault costs in truth")
    one.add_argument("--only", nargs="*", default=[], choices=FAULTS.names())
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    try:
        label(options.only, options.seed, options.threads)
    except LvlmAuditError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
