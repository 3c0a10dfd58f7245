"""`nox -s bench`: every benchmark, one JSON line each."""

from __future__ import annotations

import subprocess
import sys

from lvlm_audit.demo.assemble import demo_folder

SEVEN_B = ("--blocks", "32", "--width", "4096", "--vocabulary", "32064", "--repeat", "3")

for arguments in (
    ("benchmarks.bench_lens",),
    ("benchmarks.bench_lens", *SEVEN_B),
    ("benchmarks.bench_recording", str(demo_folder()), "--demo-probes"),
    # Other lengths: what is kept in memory must not grow with the answers.
    ("benchmarks.bench_recording", str(demo_folder()), "--demo-probes", "--tokens", "96"),
    ("benchmarks.bench_skipping", str(demo_folder())),
    ("benchmarks.bench_recording", "7b", "--tokens", "8", "--repeat", "1"),
):
    print(" ".join(arguments), flush=True)
    subprocess.run([sys.executable, "-m", *arguments], check=True)
