"""The lens against its floor: one dense float32 product of the same shape.

    python benchmarks/bench_lens.py                       # shape of the demo model
    python benchmarks/bench_lens.py --blocks 32 --width 4096 --vocabulary 32064   # 7B

Both are timed in turns within one process, so that a busy machine slows both. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import nn

from lvlm_audit.models.anatomy import Anatomy
from lvlm_audit.traces.lens import LensReader


def main() -> None:
    """Times and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--width", type=int, default=576)
    parser.add_argument("--vocabulary", type=int, default=49_152)
    parser.add_argument("--tokens", type=int, default=32, help="tokens per repetition")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--profile", action="store_true", help="say where the lens spends its time")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps(measure(options)))


def measure(options: argparse.Namespace) -> dict[str, float | int | str]:
    """Seconds of both, and their ratio."""
    anatomy = random_anatomy(
        options.blocks, options.width, options.vocabulary, getattr(torch, options.dtype)
    )
    lens = LensReader(anatomy)
    n, states = options.tokens, anatomy.states
    # A random walk: neighbours agree more and more, as in a model.
    steps = torch.randn(n, states, options.width) * torch.linspace(1.0, 0.4, states)[:, None]
    walk = steps.cumsum(1).to(getattr(torch, options.dtype))
    emitted = torch.randint(0, options.vocabulary, (n,))
    rows = walk.float().flatten(0, 1)
    weight = anatomy.head.weight.detach().float().t()
    chunk = lens.chunk_tokens * states
    out = torch.empty(min(chunk, len(rows)), options.vocabulary)

    def product() -> None:
        for start in range(0, len(rows), chunk):
            part = rows[start : start + chunk]
            torch.mm(part, weight, out=out[: len(part)])

    def read() -> None:
        lens.read(walk, emitted, emitted.flip(0))

    if options.profile:
        with torch.profiler.profile() as profile:
            read()
        print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=16))
    floor, took = alternate(product, read, options.repeat)
    return {
        "shape": f"{n} tokens x {states} states, d={options.width}, V={options.vocabulary}",
        "head": options.dtype,
        "threads": options.threads,
        "chunk_tokens": lens.chunk_tokens,
        "product_seconds": round(floor, 4),
        "lens_seconds": round(took, 4),
        "ratio": round(took / floor, 3),
    }


def alternate(one: Callable[[], None], two: Callable[[], None], repeat: int) -> tuple[float, float]:
    """Best times of two functions run in turns, after one round to warm up."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(repeat + 1):
        for kept, run in zip(times, (one, two), strict=True):
            started = time.perf_counter()
            run()
            if round_:
                kept.append(time.perf_counter() - started)
    return min(times[0]), min(times[1])


def random_anatomy(blocks: int, width: int, vocabulary: int, dtype: torch.dtype) -> Anatomy:
    """Norm and head of a model that does not exist."""
    head = nn.Linear(width, vocabulary, bias=False, dtype=dtype)
    nn.init.normal_(head.weight, std=2.5 / width**0.5)
    norm = nn.RMSNorm(width, eps=1e-5, dtype=dtype)
    return Anatomy(
        blocks=tuple(nn.Identity() for _ in range(blocks)),
        norms=(norm,),
        head=head,
        width=width,
        logit_scale=1.0,
        soft_cap=None,
        tied=False,
    )


if __name__ == "__main__":
    main()
