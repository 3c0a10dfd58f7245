"""The planted mistakes still have a place to stand and a test that is meant to see them."""

from __future__ import annotations

import pytest

from benchmarks.mutants import MUTANTS, ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.mistake)
def test_a_mistake_can_be_planted_and_its_test_exists(mutant) -> None:
    assert (ROOT / mutant.file).read_text("utf-8").count(mutant.old) == 1
    file, *name = mutant.test.split("::")
    text = (ROOT / file).read_text("utf-8")
    assert all(f"def {one.partition('[')[0]}(" in text for one in name if one[0].islower())
    assert mutant.test in (ROOT / "docs" / "testing.md").read_text("utf-8")
