"""Which examples property tests draw: the same everywhere in the suite, more and others in `explore`."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPLE = """
from pathlib import Path
from hypothesis import given, strategies as st
from tests.effort import examples
if {imported}:
    import a_module_of_constants

DRAWN = Path("drawn.txt")

def test_of_no_property():
    Path("other.txt").touch()

@examples(3)
@given(st.integers(0, 2**64) | st.text())
def test_that_wants_few(value):
    with DRAWN.open("a", encoding="utf-8") as file:
        file.write(f"few {{value!r}}\\n")

@given(st.integers(0, 2**64) | st.text())
def test_that_says_nothing(value):
    with DRAWN.open("a", encoding="utf-8") as file:
        file.write(f"plain {{value!r}}\\n")
"""


class Drawing:
    """Runs the sample as the suite's tests are run, and tells what was drawn."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester, self.monkeypatch = pytester, monkeypatch
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(pytester.path)]))
        words = ", ".join(f"{10**9 + 7 * k}, 'word {k}'" for k in range(400))
        (pytester.path / "a_module_of_constants.py").write_text(f"ALL = [{words}]\n")

    def __call__(self, *options: str, ci: bool = True, imported: bool = False) -> list[str]:
        for name in ("drawn.txt", "other.txt"):
            (self.pytester.path / name).unlink(missing_ok=True)
        sample = self.pytester.path / "test_sample.py"
        sample.write_text(SAMPLE.format(imported=imported))
        if ci:
            self.monkeypatch.setenv("CI", "true")
        else:
            self.monkeypatch.delenv("CI", raising=False)
        self.pytester.runpytest_subprocess("-p", "tests.effort", *options).assert_outcomes(
            **({"passed": 2, "deselected": 1} if "-m" in options else {"passed": 3})
        )
        return (self.pytester.path / "drawn.txt").read_text("utf-8").splitlines()


@pytest.fixture
def drawing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Drawing:
    return Drawing(pytester, monkeypatch)


def test_the_suite_draws_the_same_in_ci_and_at_home_and_whatever_is_imported(
    drawing: Drawing,
) -> None:
    first = drawing()
    assert len([line for line in first if line.startswith("plain")]) == 100
    assert len([line for line in first if line.startswith("few")]) == 3
    assert drawing(ci=False) == first
    assert drawing(imported=True) == first


def test_exploring_draws_twenty_times_as_many_and_others_each_time(drawing: Drawing) -> None:
    options = ("-m", "hypothesis", "--hypothesis-profile", "explore")
    first, second = drawing(*options), drawing(*options, ci=False)
    for drawn in (first, second):
        assert len([line for line in drawn if line.startswith("plain")]) == 2000
        assert len([line for line in drawn if line.startswith("few")]) == 60
        assert not (drawing.pytester.path / "other.txt").exists()
    assert len(set(first) & set(second)) < 200


def test_what_exploring_finds_is_kept_in_the_repository(drawing: Drawing) -> None:
    where = "from hypothesis import settings; print(settings.get_profile('explore').database.path)"
    found = drawing.pytester.run("python", "-c", f"import tests.effort; {where}")
    assert found.outlines == [str(ROOT / ".hypothesis" / "examples")]
    assert ".hypothesis/" in (ROOT / ".gitignore").read_text().splitlines()


def test_no_test_states_a_number_of_examples_that_exploring_would_not_scale() -> None:
    stated = [
        f"{path.relative_to(ROOT)}:{node.value.lineno}: use tests.effort.examples(...)"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "max_examples"
    ]
    assert {line.partition(":")[0] for line in stated} == {"tests/effort.py"}, stated
