"""The pages say what is true: lengths, links, citations, and lists that are held against declarations."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

import lvlm_audit
from lvlm_audit.metrics import nodes
from lvlm_audit.probes.formats.jsonl import KEYS
from lvlm_audit.stages import (
    AGREEMENT,
    FAN_OUT,
    INCONCLUSIVE,
    MUTATION_QUORUM,
    NO_PATTERN,
    NOT_MEASURED,
    RISE_AND_PLATEAU,
    RISE_ONLY,
    THREE_STAGES,
)
from lvlm_audit.statistics import MIN_IMAGES, RESAMPLES
from tests import tiny_models
from tests.paper_reference import index
from tests.reference import jsd

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(
        p for folder in ("docs", "reports", "benchmarks") for p in (ROOT / folder).rglob("*.md")
    ),
]
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
METHOD = (DOCS / "method.md").read_text(encoding="utf-8")
SUITES = ("default", "paper", "compression", "hallucination")
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_TEXT = (".py", ".md", ".html", ".txt", ".sh", ".svg")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize(("page", "most"), [("README.md", 800), ("ARCHITECTURE.md", 1300)])
def test_the_first_pages_are_short(page: str, most: int) -> None:
    assert len((ROOT / page).read_text(encoding="utf-8").split()) <= most


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    dead = []
    for target in _LINK.findall(text):
        link = urllib.parse.urlsplit(target)
        if link.scheme:
            continue
        there = page if not link.path else page.parent / urllib.parse.unquote(link.path)
        found = there.exists()
        if found and link.fragment and there.suffix == ".md":
            found = link.fragment in anchors(there)
        if not found:
            dead.append(target)
    assert dead == []


def cited_lines() -> list[tuple[str, str]]:
    """File and line of everything in the repository that names a method page."""
    this = name_of(Path(__file__))
    found = []
    folders = ("lvlm_audit", "checks", "tests", "benchmarks", "docs", ".ci")
    paths = [*PAGES, *(ROOT / "reports").glob("example.*")]
    paths += [p for folder in folders for p in (ROOT / folder).rglob("*") if p.suffix in _TEXT]
    for path in sorted(set(paths)):
        text = path.read_text(encoding="utf-8")
        if name_of(path) != this and "method.md" in text.lower():
            found += [(name_of(path), s) for s in text.splitlines() if "method.md" in s.lower()]
    return found


def test_only_the_method_page_that_users_have_is_cited() -> None:
    cited = cited_lines()
    assert len({name for name, _ in cited}) > 20
    assert [where for where, line in cited if "METHOD.md" in line] == []
    known = anchors(DOCS / "method.md")
    wrong = [
        (where, anchor)
        for where, line in cited
        for anchor in re.findall(r"method\.md#([\w-]+)", line)
        if anchor not in known
    ]
    assert wrong == []


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_has_context_decision_and_consequence(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^#+ .*", text, re.MULTILINE)[1:] == [
        "## Context",
        "## Decision",
        "## Consequence",
    ]
    parts = re.split(r"^#+ .*$", text, flags=re.MULTILINE)
    assert all(part.strip() for part in parts[2:])
    assert 80 <= len(text.split()) <= 200


def test_the_index_lists_every_decision_once_with_its_title() -> None:
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(\d{4})\]\((\S+)\) (.+)$", index, re.MULTILINE)
    titles = {p.name: p.read_text(encoding="utf-8").splitlines()[0][2:] for p in DECISIONS}
    assert {file: title for _, file, title in listed} == titles
    assert len(listed) == len(titles)
    assert sorted(number for number, *_ in listed) == [
        f"{n:04d}" for n in range(1, len(titles) + 1)
    ]
    assert all(file.startswith(f"{number}-") for number, file, _ in listed)


def test_the_check_values_of_the_method_page() -> None:
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.2, 0.7])
    bits = jsd(p, q)
    for value in (bits, bits * np.log(2), index(p, q)):
        assert f"{value:.6f}" in METHOD


@pytest.mark.parametrize(
    "sentence",
    [
        f"at or above {100 * nodes.ONSET:.0f} % of its peak",
        f"at or above {100 * nodes.CRITICAL:.0f} % of its peak",
        f"at or above {100 * nodes.SETTLE:.0f} % of its peak",
        f"whose G never reaches {nodes.MIN_PEAK:g}",
        f"a probability of at least {nodes.MUTATION_MARGIN:g}",
        f"fewer than {nodes.SHALLOW} blocks",
        f"at least {100 * MUTATION_QUORUM:.0f} % of the eligible tokens",
        f"within {AGREEMENT:g} L of each other",
        f"Below {MIN_IMAGES} images every interval",
        f"{RESAMPLES:,} resamples",
        *(
            f"\n| {pattern} |"
            for pattern in (
                NO_PATTERN,
                RISE_ONLY,
                RISE_AND_PLATEAU,
                THREE_STAGES,
                FAN_OUT,
                INCONCLUSIVE,
                NOT_MEASURED,
            )
        ),
    ],
)
def test_the_method_page_has_the_codes_thresholds_and_names(sentence: str) -> None:
    assert sentence in METHOD


def test_the_suites_page_lists_every_shipped_check_as_declared() -> None:
    page = (DOCS / "suites.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \| (\w+) \|$", page, re.M)
    declared = [
        (
            check.name,
            f"{'at least' if check.holds_for.side == '>=' else 'at most'} "
            f"{check.holds_for.value:g} ({check.unit})",
            str(check.stage),
            str(check.severity),
        )
        for name in SUITES
        for check in lvlm_audit.suite(name).checks
        if check.bounded
    ]
    assert sorted(rows) == sorted(declared)
    described = set(re.findall(r"^\| `(\w+)` \|[^|]+\|[^|]*\|[^|]+\|$", page, re.M))
    assert described >= {
        check.name
        for name in SUITES
        for check in lvlm_audit.suite(name).checks
        if not check.bounded
    }


def test_the_settings_page_lists_every_option_of_pytest() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "--help", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    listed = [
        option
        for cell in re.findall(r"^\| (`--lvlm-[^|]*) \|", page, re.MULTILINE)
        for option in re.findall(r"--lvlm-[\w-]+", cell)
    ]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(re.findall(r"^ +(--lvlm-[\w-]+)", shown, re.MULTILINE))


def test_the_labels_page_lists_the_fields_of_a_probe_file() -> None:
    page = (DOCS / "labels.md").read_text(encoding="utf-8")
    table = page.split("## Labels that say what is true")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == KEYS


@pytest.mark.parametrize(("page", "count"), [("README.md", 2), ("docs/python.md", 3)])
def test_the_examples_run(
    page: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    tiny_models.save(tiny_models.llava(seed=1), tmp_path / "model")
    (tmp_path / "photos").mkdir()
    for i in range(3):
        (tmp_path / "photos" / f"{i}.png").write_bytes(tiny_models.picture(i).read())
    monkeypatch.chdir(tmp_path)
    examples = blocks(ROOT / page)
    assert len(examples) == count
    for example in examples:
        small = example.replace("llava-1.5-7b", "model").replace("new_tokens=48", "new_tokens=6")
        exec(compile(small, page, "exec"), {})
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_the_picture_is_small() -> None:
    picture = DOCS / "pictures" / "report.png"
    assert picture.stat().st_size <= 150_000
    assert name_of(picture) in (ROOT / "README.md").read_text(encoding="utf-8")
