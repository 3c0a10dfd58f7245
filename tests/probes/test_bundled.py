"""The sets that ship: complete, licensed, small, and what they claim to be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from lvlm_audit.probes import bundled

DATA = Path(bundled.__file__).parent / "data"
KINDS = {"description": 12, "color": 12, "count": 12, "yes_no": 12}


def test_default_set_asks_each_kind_equally_often() -> None:
    probes = bundled.default_probes()
    assert Counter(p.labels["kind"] for p in probes) == KINDS
    assert len({p.id for p in probes}) == len(probes)
    assert all(p.answer and p.answer.endswith(".") for p in probes)


def test_default_set_cannot_be_answered_by_always_saying_yes() -> None:
    verdicts = Counter(
        str(p.answer).split(",")[0]
        for p in bundled.default_probes()
        if p.labels["kind"] == "yes_no"
    )
    assert verdicts == {"Yes": 6, "No": 6}


def test_a_cluster_is_a_picture() -> None:
    pairs = {(p.cluster, p.image.digest()) for p in bundled.default_probes() if p.image is not None}
    assert len(pairs) == 24
    assert len({cluster for cluster, _ in pairs}) == len({digest for _, digest in pairs}) == 24


def test_pictures_are_small_and_all_are_used() -> None:
    used = {p.image.path for p in bundled.default_probes() if p.image is not None}
    files = set((DATA / "images").iterdir())
    assert used == files
    assert sum(f.stat().st_size for f in files) < 500_000
    for probe in bundled.default_probes():
        assert probe.image is not None
        assert max(probe.image.open().size) <= 384


def test_every_picture_has_a_stated_licence() -> None:
    rows = re.findall(r"^\| (\w+\.(?:jpg|png)) \|(.*)\|$", (DATA / "LICENSES.md").read_text(), re.M)
    stated = {name: cells.split("|") for name, cells in rows}
    assert set(stated) == {f.name for f in (DATA / "images").iterdir()}
    for name, (_, author, licence) in stated.items():
        assert author.strip(), name
        assert re.search(r"public domain|CC0|CC BY 2.0|no known copyright", licence), name


def test_the_set_is_an_example_of_the_format() -> None:
    rows = [json.loads(line) for line in (DATA / "default.jsonl").read_text().splitlines()]
    assert all(set(r) == {"id", "image", "prompt", "answer", "labels", "cluster"} for r in rows)


def test_reading_probes_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from lvlm_audit.probes.bundled import default_probes; default_probes();"
        "from lvlm_audit.probes.fingerprint import fingerprint; fingerprint(default_probes());"
        "print(sorted({'torch', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
