"""Suites: loading check files, families, and the suites that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lvlm_audit.document import Severity, Stage, Verdict
from lvlm_audit.errors import CheckError
from lvlm_audit.recordings.evidence import Evidence
from lvlm_audit.spec.files import check_files
from lvlm_audit.spec.judge import judge, observe
from lvlm_audit.spec.suite import Suite, load_family, load_file, shipped_folder, suite
from tests.evidence import evidence_of
from tests.synthetic import EARLY, EMITTED, OTHER, pair, rising, trace

DECLARES = """
from lvlm_audit import Check, Stage, at_least
from lvlm_audit.metrics import token_probability
from lvlm_audit.properties import Rise
{name} = Check(
    "The answer forms.", stage=Stage.RAPID_EVOLUTION, metric=token_probability, property=Rise(),
    holds_for=at_least(0.7, of="images"), rationale="A test.",
)
"""


def write(folder: Path, name: str, *checks: str, more: str = "") -> Path:
    path = folder / name
    path.write_text("".join(DECLARES.format(name=c) for c in checks) + more)
    return path


class TestLoading:
    def test_names_and_sources_are_those_of_the_file(self, tmp_path):
        loaded = load_file(write(tmp_path, "check_a.py", "one", "two"))
        assert [(c.name, c.source) for c in loaded.checks] == [
            ("one", "check_a.py"),
            ("two", "check_a.py"),
        ]
        assert not loaded.opt_in

    def test_opt_in_is_said_in_the_file(self, tmp_path):
        assert load_file(write(tmp_path, "check_a.py", "one", more="\nOPT_IN = True\n")).opt_in

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("def broken(:\n", r"check_x.py cannot be loaded: SyntaxError: .*check_x.py, line 1"),
            ("1 / 0\n", "check_x.py cannot be loaded: ZeroDivisionError: division by zero"),
            ("import sys\nsys.exit(0)\n", "check_x.py cannot be loaded: SystemExit: 0"),
            ("import nothing_of_that_name\n", "check_x.py cannot be loaded: ModuleNotFoundError"),
            ("from lvlm_audit import Chekc\n", "check_x.py cannot be loaded: ImportError"),
            ("", "check_x.py declares no Check"),
            ("from lvlm_audit import Check\n", "check_x.py declares no Check"),
            ("import lvlm_audit\nlvlm_audit.Check('x')\n", "TypeError"),
            (
                DECLARES.format(name="a").replace("0.7", "7"),
                "check_x.py: check 'The answer forms.': a share of 7 can never be decided",
            ),
        ],
    )
    def test_a_file_that_cannot_be_used_is_named(self, tmp_path, text, message):
        path = tmp_path / "check_x.py"
        path.write_text(text)
        with pytest.raises(CheckError, match=message):
            load_file(path)

    def test_a_file_sees_its_neighbours_no_more_than_any_script(self, tmp_path):
        """Nothing is left behind in sys.modules or sys.path by loading."""
        import sys

        before = set(sys.modules), list(sys.path)
        load_file(write(tmp_path, "check_a.py", "one"))
        assert list(sys.path) == before[1]
        assert not any(m.startswith("check_a") for m in set(sys.modules) - before[0])


class TestFamilies:
    def test_every_file_of_the_folder_belongs_whichever_was_named(self, tmp_path):
        a, b = write(tmp_path, "check_a.py", "one"), write(tmp_path, "check_b.py", "two")
        names = [[c.name for c in load_family(f).checks] for f in ([a], [b], [b, a])]
        assert names == [["one", "two"]] * 3

    def test_opt_in_files_only_when_named(self, tmp_path):
        a = write(tmp_path, "check_a.py", "one")
        b = write(tmp_path, "check_b.py", "two", more="OPT_IN = True\n")
        assert [c.name for c in load_family([a]).checks] == ["one"]
        assert [c.name for c in load_family([b]).checks] == ["one", "two"]

    def test_two_folders_are_one_family(self, tmp_path):
        (tmp_path / "x").mkdir()
        (tmp_path / "y").mkdir()
        a, b = (
            write(tmp_path / "x", "check_a.py", "one"),
            write(tmp_path / "y", "check_a.py", "two"),
        )
        family = load_family([b, a])
        assert [c.name for c in family.checks] == ["one", "two"]
        assert family.name == "x+y"

    def test_somebody_elses_file_of_that_name_takes_no_part(self, tmp_path):
        a = write(tmp_path, "check_a.py", "one")
        (tmp_path / "check_b.py").write_text("1 / 0  # import lvlm_audit\n")
        assert [c.name for c in load_family([a]).checks] == ["one"]

    def test_a_folder_may_be_named_instead(self, tmp_path):
        write(tmp_path, "check_a.py", "one")
        write(tmp_path, "check_b.py", "two", more="OPT_IN = True\n")
        assert [c.name for c in load_family([], [tmp_path]).checks] == ["one"]

    def test_names_are_unique_over_all_files(self, tmp_path):
        a = write(tmp_path, "check_a.py", "one")
        write(tmp_path, "check_b.py", "one")
        with pytest.raises(
            CheckError, match=r"two checks are named 'one' \(check_a.py and check_b.py\)"
        ):
            load_family([a])

    def test_a_relative_path_means_the_same_file(self, tmp_path, monkeypatch):
        write(tmp_path, "check_b.py", "two", more="OPT_IN = True\n")
        monkeypatch.chdir(tmp_path)
        assert [c.name for c in load_family([Path("check_b.py")]).checks] == ["two"]


class TestShipped:
    def test_the_default_suite(self):
        checks = suite("default").checks
        assert suite().checks == checks
        assert {c.name for c in checks} == {
            "answer_forms",
            "beats_distractor",
            "levels_agree",
            "settles_early",
            "plateau_holds",
            "late_switch_bounded",
            "image_kept",
            "image_matters",
            "image_informs",
            "right_answers",
            "wrong_words",
            "references_likely",
        }
        errors = {c.name for c in checks if c.severity is Severity.ERROR}
        assert {c.name for c in checks if c.bounded} & errors == {
            "answer_forms",
            "beats_distractor",
            "image_matters",
            "image_informs",
        }

    def test_what_is_held_against_a_parent(self):
        tolerated = {
            c.name: (c.max_drop, c.max_rise, c.tolerance)
            for c in suite("default").checks
            if c.severity is Severity.ERROR and (c.max_drop or c.max_rise)
        }
        assert tolerated == {
            "right_answers": (0.05, None, "points"),
            "wrong_words": (None, 0.05, "points"),
            "references_likely": (None, 0.32, "absolute"),
            "image_informs": (0.2, None, "share"),
        }
        # 0.32 bit is the fifth that the rationale says it is.
        assert pytest.approx(0.8, abs=0.005) == 2**-0.32

    def test_what_differs_between_healthy_models_is_described(self):
        described = {c.name for c in suite("default").checks if not c.bounded}
        assert described == {
            "late_switch_bounded",
            "levels_agree",
            "right_answers",
            "wrong_words",
            "references_likely",
        }

    def test_the_papers_suite_is_opt_in_and_reads_the_raw_lens(self):
        checks = suite("paper").checks
        assert len(checks) >= 3
        assert {c.lens for c in checks} == {"raw"}
        assert {c.severity for c in checks} == {Severity.WARN}
        assert {c.name for c in checks}.isdisjoint(c.name for c in suite().checks)

    def test_a_file_is_a_suite_by_its_name(self):
        assert {c.source for c in suite("grounding").checks} == {"check_grounding.py"}

    def test_an_unknown_suite_names_those_there_are(self):
        with pytest.raises(CheckError, match=r"there is no suite 'papr'. .*default, .*paper"):
            suite("papr")

    def test_a_damaged_installation_says_so(self, monkeypatch, tmp_path):
        monkeypatch.setattr("lvlm_audit.spec.suite.__file__", str(tmp_path / "spec" / "suite.py"))
        with pytest.raises(CheckError, match=r"the installation is damaged.*Reinstall"):
            shipped_folder()

    @pytest.mark.parametrize("name", ["default", "paper"])
    def test_all_three_stages_are_covered(self, name):
        stages = {c.stage for c in suite(name).checks}
        assert stages >= {Stage.RAPID_EVOLUTION, Stage.STABILIZATION, Stage.MUTATION}

    def test_every_check_states_what_and_why(self):
        checks = [c for f in check_files(shipped_folder()) for c in load_file(f).checks]
        assert len({c.name for c in checks}) == len(checks)
        for check in checks:
            assert check.statement.endswith("."), check.name
            assert len(check.rationale.split()) >= 8, check.name
            assert check.stage in Stage


# What makes each shipped check hold, and what makes it fail: 12 blocks, 60 images.

IMAGES = 60
STEP = {"divergence": [0.5] * 6 + [0.0] * 6, "leader": [EARLY] * 6 + [EMITTED] * 7}
LATE = [0.1] * 10 + [0.9] * 3

HEALTHY = {"curve": rising(12, 6), **STEP}
LATE_SWITCH = {"curve": LATE, "nucleus": rising(12, 6), "leader": [OTHER] * 10 + [EMITTED] * 3}

ANSWERS = {
    "answer_forms": (HEALTHY, {"curve": [0.9] * 13}),
    "beats_distractor": (HEALTHY, {"curve": rising(12, 6), "distractor": 0.85}),
    "settles_early": (HEALTHY, {**HEALTHY, "leader": [EARLY] * 11 + [EMITTED] * 2}),
    "plateau_holds": (HEALTHY, {**HEALTHY, "divergence": [0.5] * 6 + [0.2] * 6}),
    "paper_rise": (HEALTHY, {"curve": [0.9] * 13}),
    "paper_plateau": (HEALTHY, {**HEALTHY, "divergence": [0.5] * 6 + [0.2] * 6}),
    "paper_mutation": (LATE_SWITCH, HEALTHY),
}
PAIRS = {
    "image_matters": ({"divergence": [0.0] * 6 + [0.4] * 7}, {"divergence": [0.0] * 13}),
    "image_kept": (
        {"divergence": [0.0] * 6 + [0.4] * 7},
        {"divergence": [0.0] * 6 + [0.4] * 6 + [0.1]},
    ),
    "image_informs": (
        {"divergence": [0.0] * 13, "advantage": 1.0},
        {"divergence": [0.0] * 13, "advantage": 0.0},
    ),
}
RIGHT, WRONG = {"labels": {"grounded": ["blue"]}}, {"labels": {"hallucinated": ["blue"]}}
DESCRIBED = {
    "levels_agree": (HEALTHY, {**HEALTHY, "divergence": [0.5] * 9 + [0.0] * 3}),
    "late_switch_bounded": (HEALTHY, LATE_SWITCH),
    "right_answers": (
        {**HEALTHY, "reference": "Blue, blue, blue, blue."},
        {**HEALTHY, "reference": "It is red."},
    ),
    "wrong_words": ({**HEALTHY, **RIGHT}, {**HEALTHY, **WRONG}),
}
DESCRIBED_PAIRS = {
    "references_likely": (
        {"divergence": [0.0] * 13, "surprisal": 0.5},
        {"divergence": [0.0] * 13, "surprisal": 3.0},
    ),
}
ANSWERS |= DESCRIBED
PAIRS |= DESCRIBED_PAIRS
SHIPPED = [c for name in ("default", "paper") for c in suite(name).checks]


def evidence(name: str, good: bool) -> Evidence:
    """Images that differ a little, so that no interval has zero width by construction."""
    lens = "raw" if name.startswith("paper") else "normed"
    traces, pairs = [], []
    jitter = np.random.default_rng(0).uniform(0, 0.02, IMAGES)
    for i in range(IMAGES):
        chosen = dict(ANSWERS[name][not good] if name in ANSWERS else HEALTHY)
        curve = np.asarray(chosen.pop("curve")) + jitter[i]
        traces.append(trace(list(curve), name=f"p{i:02}", lens=lens, **chosen))
        if name in PAIRS:
            chosen = dict(PAIRS[name][not good])
            curve = np.asarray(chosen.pop("divergence")) + jitter[i] / 10
            pairs.append(pair(list(curve), name=f"p{i:02}", **chosen))
    return evidence_of(lens, traces, pairs, pairs)


@pytest.mark.parametrize("good", [True, False], ids=["can pass", "can fail"])
@pytest.mark.parametrize("check", [c for c in SHIPPED if c.bounded], ids=lambda c: c.name)
def test_every_shipped_check_can_pass_and_can_fail(check, good):
    """Within its whole family; a check that cannot fail must not ship."""
    checks = suite("paper" if check.source == "check_paper.py" else "default").checks
    family = sum(c.bounded for c in checks)
    (finding,) = judge([observe(check, evidence(check.name, good))], family=family)
    assert finding.verdict is (Verdict.PASS if good else Verdict.FAIL), finding.message
    assert finding.n == IMAGES
    assert bool(finding.counterexamples) is not good


@pytest.mark.parametrize("check", [c for c in SHIPPED if not c.bounded], ids=lambda c: c.name)
def test_every_description_tells_good_from_bad(check):
    """It has no verdict of its own; a parent's value is what it is held against."""
    good, bad = (judge([observe(check, evidence(check.name, how))])[0] for how in (True, False))
    assert {good.verdict, bad.verdict} == {Verdict.DESCRIBED}
    assert good.n == bad.n == IMAGES
    gap = good.observed - bad.observed if check.max_drop else bad.observed - good.observed
    assert gap > 0.2


def test_a_suite_without_name_clashes_keeps_its_order():
    checks = suite().checks
    assert Suite("mine", checks[::-1]).checks == checks[::-1]
