"""`nox -s docs`: audits the demo model twice and writes docs/replication.md with its figures."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.replication.note import write
from lvlm_audit.document import Audit

ROOT = Path(__file__).parent.parent.parent

RUNS = {
    "normed": ("checks/", "--lvlm-compare-llm"),
    "paper": ("checks/check_paper.py", "--lvlm-mode", "paper"),
}


def main() -> None:
    """Runs the two commands that the note names, and writes it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=Path, help="folder of documents made before")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.documents or Path(scratch)
        for name, arguments in RUNS.items():
            if not (folder / f"{name}.json").is_file():
                audit(folder / f"{name}.json", arguments)
        normed, paper = (Audit.load(folder / f"{name}.json") for name in RUNS)
        commands = {name: " ".join(("pytest", *arguments)) for name, arguments in RUNS.items()}
        write(normed, paper, options.out, commands)


def audit(document: Path, arguments: tuple[str, ...]) -> None:
    """One audit by the command that a user would type; shape checks may fail, which is no obstacle."""
    command = [sys.executable, "-m", "pytest", *arguments, "--lvlm-json", str(document)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode not in (0, 1) or not document.is_file():
        raise SystemExit(f"{' '.join(command)} did not make an audit (exit code {done.returncode})")


if __name__ == "__main__":
    main()
