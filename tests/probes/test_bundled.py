"""The set that ships: complete, licensed, small, balanced, and judged by its labels as it should be."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lvlm_audit.hallucination.labels import CORRECT
from lvlm_audit.hallucination.labels.registry import label_text
from lvlm_audit.hallucination.verdicts import rule_of
from lvlm_audit.probes import bundled
from lvlm_audit.probes.labels import Truth, read_truth
from lvlm_audit.probes.probe import Probe

DATA = Path(bundled.__file__).parent / "data"
KINDS = ("naming", "color", "count", "yes", "no", "word", "spatial", "description")
PICTURES = 96
FREE = re.compile(r"public domain|CC0|CC BY \d\.0|no known copyright restrictions|Apache-2\.0")
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@pytest.fixture(scope="module")
def probes() -> list[Probe]:
    return bundled.default_probes()


def kind(probe: Probe) -> str:
    """The kind of question; of yes/no questions what is true."""
    asked = str(probe.labels["kind"])
    return str(probe.labels["expected"]) if asked == "yes_no" else asked


def truth(probe: Probe) -> Truth:
    return read_truth(probe.labels, probe.id, probe.answer)


def judged(probe: Probe, answer: str) -> dict[str, int]:
    """The labelled words of an answer."""
    found = label_text(truth(probe), answer, probe.answer).words
    return {answer[word.start : word.end]: word.truth for word in found}


def of_kind(probes: Sequence[Probe], *kinds: str) -> list[Probe]:
    found = [p for p in probes if p.labels["kind"] in kinds]
    assert found
    return found


# What is asked ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pictures", [12, 24, 48, PICTURES])
def test_the_first_pictures_ask_each_kind_equally_often(probes: list[Probe], pictures: int) -> None:
    first = probes[: 2 * pictures]
    assert Counter(map(kind, first)) == dict.fromkeys(KINDS, pictures // 4)
    assert len({p.cluster for p in first}) == pictures


def test_every_question_is_named_answered_and_asked_once_of_its_picture(
    probes: list[Probe],
) -> None:
    assert len({p.id for p in probes}) == len(probes) == 2 * PICTURES
    assert all(p.answer and p.answer[0].isupper() and p.answer.endswith(".") for p in probes)
    assert all(p.prompt[-1] in "?." for p in probes)
    assert len({(p.cluster, p.prompt) for p in probes}) == len(probes)
    assert {p.id for p in probes} == {f"{p.cluster}-{p.labels['kind']}" for p in probes}


def test_the_set_is_an_example_of_the_format() -> None:
    rows = [json.loads(line) for line in (DATA / "default.jsonl").read_text().splitlines()]
    assert all(set(r) == {"id", "image", "prompt", "answer", "labels", "cluster"} for r in rows)
    known = {"kind", "expected", "grounded", "hallucinated"}
    assert all({"kind"} < set(r["labels"]) <= known for r in rows)


# How answers are judged ---------------------------------------------------------------------------


def test_every_reference_answer_is_right_by_its_own_labels(probes: list[Probe]) -> None:
    for probe in probes:
        assert probe.answer is not None
        words = judged(probe, probe.answer)
        assert words, probe.id
        assert set(words.values()) == {CORRECT}, (probe.id, words)
        if (expected := truth(probe).verdict) is not None:
            assert rule_of("").read(probe.answer).verdict == expected, probe.id


def test_the_other_verdict_is_wrong(probes: list[Probe]) -> None:
    for probe in of_kind(probes, "yes_no"):
        right = "Yes." if probe.labels["expected"] == "yes" else "No."
        wrong = "No." if right == "Yes." else "Yes."
        assert set(judged(probe, right).values()) == {CORRECT}
        assert CORRECT not in judged(probe, wrong).values()


def test_another_pictures_answer_is_not_taken_for_right(probes: list[Probe]) -> None:
    for probe in of_kind(probes, "naming", "word"):
        own = str(probe.labels["expected"]).casefold()
        for other in of_kind(probes, str(probe.labels["kind"])):
            assert other.answer is not None
            if own not in other.answer.casefold():
                assert CORRECT not in judged(probe, other.answer).values(), (probe.id, other.id)


def test_a_number_is_right_in_words_and_in_digits_and_another_is_wrong(
    probes: list[Probe],
) -> None:
    for probe in of_kind(probes, "count"):
        word = str(probe.labels["expected"])
        assert probe.answer is not None
        digits = re.sub(rf"\b{word}\b", str(NUMBERS.index(word) + 1), probe.answer)
        other = re.sub(rf"\b{word}\b", "seven", probe.answer)
        assert digits != probe.answer != other
        assert set(judged(probe, digits).values()) == {CORRECT}, probe.id
        assert CORRECT not in judged(probe, other).values()
        assert judged(probe, other), probe.id


def test_another_color_is_wrong_however_it_is_said(probes: list[Probe]) -> None:
    for probe in of_kind(probes, "color"):
        wrong = probe.labels["hallucinated"]
        assert len(wrong) >= 2, probe.id
        for color in wrong:
            words = judged(probe, f"I think it has a {color} color.")
            assert words, (probe.id, color)
            assert CORRECT not in words.values()


def test_words_are_read_in_any_case(probes: list[Probe]) -> None:
    for probe in of_kind(probes, "word"):
        assert probe.answer is not None
        for answer in (probe.answer.lower(), probe.answer.upper(), str(probe.labels["expected"])):
            assert set(judged(probe, answer).values()) == {CORRECT}, (probe.id, answer)


# Pictures -----------------------------------------------------------------------------------------


def test_a_cluster_is_a_picture(probes: list[Probe]) -> None:
    pairs = {(p.cluster, p.image.digest()) for p in probes if p.image is not None}
    assert len(pairs) == PICTURES
    assert len({cluster for cluster, _ in pairs}) == len({digest for _, digest in pairs})
    assert all(
        p.image is not None and p.image.path and p.image.path.stem == p.cluster for p in probes
    )


def test_pictures_are_small_decode_and_all_are_used(probes: list[Probe]) -> None:
    used = {p.image.path for p in probes if p.image is not None}
    files = set((DATA / "images").iterdir())
    assert used == files
    assert sum(f.stat().st_size for f in DATA.rglob("*") if f.is_file()) <= 4_000_000
    for probe in probes:
        assert probe.image is not None
        size = probe.image.open().size
        assert 100 <= min(size) <= max(size) <= 384, probe.id


def test_no_two_pictures_are_alike() -> None:
    def outline(file: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        small = Image.open(file).convert("L").resize((17, 16), Image.Resampling.BOX)
        pixels = np.asarray(small, dtype=int)
        return pixels[:, 1:] > pixels[:, :-1]

    outlines = {f.name: outline(f) for f in (DATA / "images").iterdir()}
    shares = {
        (one, other): float((outlines[one] != outlines[other]).mean())
        for one, other in itertools.combinations(sorted(outlines), 2)
    }
    # The same picture scaled or saved once more differs in less than a twentieth of the places.
    assert min(shares.values()) > 0.1, min(shares.items(), key=lambda kv: kv[1])


# Licences -----------------------------------------------------------------------------------------


def stated() -> dict[str, tuple[str, str, str]]:
    """Of each row of the licences: original, author, licence."""
    rows = re.findall(r"^\| (\w+\.(?:jpg|png)) \|(.*)\|$", (DATA / "LICENSES.md").read_text(), re.M)
    assert len(rows) == len(dict(rows))
    parted = {name: tuple(cell.strip() for cell in cells.split("|")) for name, cells in rows}
    return {name: (one, author, licence) for name, (one, author, licence) in parted.items()}


def test_every_picture_has_a_row_with_a_free_licence() -> None:
    rows = stated()
    assert set(rows) == {f.name for f in (DATA / "images").iterdir()}
    for name, (original, author, licence) in rows.items():
        assert original, name
        assert author, name
        assert FREE.search(licence), (name, licence)
        assert not re.search(r"\bNC\b|\bND\b|\bSA\b|GPL|GFDL", licence), (name, licence)
        if "CC BY" in licence:
            assert "https://creativecommons.org/licenses/by/" in licence, name
            assert "changed" in licence, name


def test_most_pictures_are_photographs() -> None:
    text = (DATA / "LICENSES.md").read_text()
    parts = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    rows = {
        part: len(re.findall(r"^\| \w+\.(?:jpg|png) ", body, re.M)) for part, body in parts.items()
    }
    assert rows == {"Photographs": 62, "Clip art": 16, "Drawings": 18}
    assert "62 photographs, 16 pieces of clip art and 18" in text


def test_reading_probes_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from lvlm_audit.probes.bundled import default_probes; default_probes();"
        "from lvlm_audit.probes.fingerprint import fingerprint; fingerprint(default_probes());"
        "print(sorted({'torch', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
