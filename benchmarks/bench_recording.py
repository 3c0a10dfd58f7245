"""Recording against bare generation of the same tokens, on one model and the same answers.

    python -m benchmarks.bench_recording MODEL [--probes 8] [--tokens 48] [--batch 8]
    python -m benchmarks.bench_recording 7b --tokens 8 --repeat 1       # noise of that shape, 13.5 GB

MODEL is a checkpoint folder, alias or hub id; its own bundled or demo probes are asked. Time is measured
in turns within one process; memory in a fresh process each, as the growth of the resident peak over the
model at rest. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import seven_b
from lvlm_audit.demo.probes import demo_probes
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import load
from lvlm_audit.models.product import HeadProduct
from lvlm_audit.probes.bundled import default_probes
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces.batching import batches
from lvlm_audit.traces.lens import Lens
from lvlm_audit.traces.recorder import record


def main() -> None:
    """Times, weighs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--demo-probes", action="store_true", help="ask the drawn scenes")
    parser.add_argument("--probes", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--weigh", choices=["bare", "recorded"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # Before this process opens a model of its own: two of 13 GB at once would not fit.
    memory = {} if options.weigh else {name: weigh(name) for name in ("bare", "recorded")}
    if options.model == "7b":
        hooked, asked = seven_b.model(), seven_b.probes(options.probes)
    else:
        hooked = load(options.model)
        asked = (demo_probes if options.demo_probes else default_probes)()[: options.probes]
    # Answers of equal length compare like with like: nobody may stop early.
    hooked.end_ids = frozenset()
    run = {
        "bare": lambda: bare(hooked, asked, options),
        "recorded": lambda: whole(hooked, asked, options),
    }
    if options.weigh:
        # Writing 5 sets the peak back to what is resident now: opening the model does not count.
        Path("/proc/self/clear_refs").write_text("5")
        before = peak()
        run[options.weigh]()
        print(json.dumps(peak() - before))
        return
    times: dict[str, list[float]] = {name: [] for name in run}
    spent = {"lens": 0.0, "product": 0.0}
    watch(Lens, "read", spent, "lens")
    watch(HeadProduct, "__call__", spent, "product")
    for turn in range(options.repeat + 1):
        for name, work in run.items():
            spent.update(lens=0.0, product=0.0)
            started = time.perf_counter()
            work()
            if turn:
                times[name].append(time.perf_counter() - started)
    best = {name: min(values) for name, values in times.items()}
    print(
        json.dumps(
            {
                "model": hooked.anatomy.describe(),
                "tokens": len(asked) * options.tokens,
                "threads": options.threads,
                "bare_seconds": round(best["bare"], 3),
                "recorded_seconds": round(best["recorded"], 3),
                "ratio": round(best["recorded"] / best["bare"], 3),
                "lens_share_of_recording": round(spent["lens"] / times["recorded"][-1], 3),
                "product_share_of_lens": round(spent["product"] / spent["lens"], 3),
                "memory_over_bare_mib": round((memory["recorded"] - memory["bare"]) / 2**20, 1),
            }
        )
    )


def bare(hooked: HookedModel, probes: list[Probe], options: argparse.Namespace) -> None:
    """What a user without this project would run."""
    for batch in batches(probes, options.batch):
        with torch.inference_mode():
            hooked.model.generate(
                **hooked.inputs(batch),
                do_sample=False,
                max_new_tokens=options.tokens,
                min_new_tokens=options.tokens,
                pad_token_id=hooked.tokenizer.pad_token_id,
            )


def whole(hooked: HookedModel, probes: list[Probe], options: argparse.Namespace) -> None:
    """Traces of as many tokens."""
    record(hooked, probes, max_new_tokens=options.tokens, batch_size=options.batch)


def watch(cls: type, method: str, spent: dict[str, float], name: str) -> None:
    """Adds the seconds inside a method to spent[name]."""
    original = getattr(cls, method)

    def timed(self: Any, *args: Any) -> Any:
        started = time.perf_counter()
        try:
            return original(self, *args)
        finally:
            spent[name] += time.perf_counter() - started

    setattr(cls, method, timed)


def weigh(what: str) -> int:
    """Bytes by which one run raises the peak of a fresh process."""
    again = [sys.executable, "-m", "benchmarks.bench_recording", *sys.argv[1:], "--weigh", what]
    done = subprocess.run(again, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.strip().splitlines()[-1])


def peak() -> int:
    """Largest resident size of this process so far, bytes.

    Not from getrusage(): a child's count there begins with its parent's.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not say how much memory a process has used")


if __name__ == "__main__":
    main()
