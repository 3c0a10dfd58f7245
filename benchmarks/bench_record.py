"""Recording over bare `generate` of the same tokens, on the demo model: time and peak memory.

    python -m benchmarks.bench_record               # 8 probes of 48 tokens

Time: both in turns within one process. Memory: each in a process of its own, peak resident size. Prints
one JSON line.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from lvlm_audit.demo.assemble import demo_folder
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import load
from lvlm_audit.probes.bundled import demo_probes
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.recorder import record


def main() -> None:
    """Times and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--probes", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--peak", choices=("generate", "record"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        run = _runs(options)[options.peak]
        run()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    print(json.dumps(measure(options)))


def measure(options: argparse.Namespace) -> dict[str, float | int]:
    """Median seconds of both, their ratio, and the difference of their peaks in MiB."""
    runs = _runs(options)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(options.repeat):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    middle = {name: sorted(s)[len(s) // 2] for name, s in seconds.items()}
    peaks = {name: _peak(name, options) for name in runs}
    return {
        "probes": options.probes,
        "tokens": options.tokens,
        "threads": torch.get_num_threads(),
        "generate_seconds": round(middle["generate"], 3),
        "record_seconds": round(middle["record"], 3),
        "record_over_generate": round(middle["record"] / middle["generate"], 2),
        "record_peak_over_generate_MiB": peaks["record"] - peaks["generate"],
    }


def _peak(name: str, options: argparse.Namespace) -> int:
    arguments = ["--probes", str(options.probes), "--tokens", str(options.tokens), "--peak", name]
    command = [sys.executable, "-m", "benchmarks.bench_record", *arguments]
    return int(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]
    )


def _runs(options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    hooked = load(str(demo_folder()))
    # Without an end every answer is as long as asked for, in both.
    hooked.end_ids = frozenset()
    probes = demo_probes(count=options.probes)
    return {
        "generate": lambda: _generate(hooked, probes, options.tokens),
        "record": lambda: record(
            hooked, probes, max_new_tokens=options.tokens, batch_size=len(probes)
        ),
    }


def _generate(hooked: HookedModel, probes: list[Probe], tokens: int) -> None:
    with torch.inference_mode():
        hooked.model.generate(
            **hooked.inputs(probes), max_new_tokens=tokens, do_sample=False, eos_token_id=None
        )


if __name__ == "__main__":
    main()
