"""A skip set's replay against a bare replay through the lens, and a sweep over all single blocks.

    python -m benchmarks.bench_skipping FOLDER

Both are timed in turns within one process, so that a busy machine slows both. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.interventions.effects import iter_effects, reference
from lvlm_audit.models.opening import load
from lvlm_audit.traces.recorder import record, replay


def main() -> None:
    """Times and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="the demo model's")
    parser.add_argument("--probes", type=int, default=48)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print(json.dumps(measure(options)))


def measure(options: argparse.Namespace) -> dict[str, float | int | str]:
    """Seconds and ratios."""
    with load(options.folder) as hooked:
        probes = demo_probes(options.probes)
        texts = [t.token_ids.tolist() for t in record(hooked, probes)]
        whole = reference(hooked, probes, texts)
        bare: list[float] = []
        skips: list[float] = []
        for i in range(options.repeat):
            bare.append(_seconds(lambda: replay(hooked, probes, texts)))
            skips.append(_seconds(lambda i=i: list(iter_effects(hooked, whole, (3 + i,)))))
        began = time.process_time()
        sweep = _seconds(
            lambda: [list(iter_effects(hooked, whole, (b,))) for b in range(hooked.blocks)]
        )
        return {
            "model": f"{hooked.blocks} blocks, {hooked.dtype}",
            "probes": len(probes),
            "tokens": sum(map(len, texts)),
            "threads": torch.get_num_threads(),
            "replay_and_lens_seconds": round(statistics.median(bare), 2),
            "skip_set_seconds": round(statistics.median(skips), 2),
            "ratio": round(statistics.median(s / b for s, b in zip(skips, bare, strict=True)), 3),
            "sweep_seconds": round(sweep, 1),
            # Of all threads: what a busy machine would have needed alone, times its cores.
            "sweep_processor_seconds": round(time.process_time() - began, 1),
        }


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
