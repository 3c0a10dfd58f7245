"""The table: parent and candidate asked the same, kept, resumed, and never confused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.cli import main
from lvlm_audit.document import Change, Comparison, Outcome, Severity
from lvlm_audit.errors import CheckError, UsageError
from lvlm_audit.faults import FAULTS
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.power.cells import Cell, cell, rows
from lvlm_audit.power.running import Power, ask, judge, regression_family
from lvlm_audit.power.sets import drawn_sets, parts
from lvlm_audit.probes.saving import save
from lvlm_audit.settings.audit import Settings
from lvlm_audit.spec.suite import Suite, load_family
from tests import tiny_models

CHECKS = '''
from lvlm_audit import Check, Severity, Stage, at_least
from lvlm_audit.metrics import image_advantage
from lvlm_audit.properties import Value

informs = Check(
    "The reference is more likely under its own image.",
    stage=Stage.WHOLE_ANSWER, metric=image_advantage, property=Value(at="last"),
    holds_for=at_least(-50, of="mean"), tokens="content", max_drop=0.2, rationale="An example.",
)
warned = Check(
    "The same, as a warning.", severity=Severity.WARN,
    stage=Stage.WHOLE_ANSWER, metric=image_advantage, property=Value(at="last"),
    holds_for=at_least(-50, of="mean"), tokens="content", max_drop=0.2, rationale="An example.",
)
unheld = Check(
    "Not held against anything.",
    stage=Stage.WHOLE_ANSWER, metric=image_advantage, property=Value(at="last"),
    holds_for=at_least(-50, of="mean"), tokens="content", rationale="An example.",
)
'''  # fmt: skip
FEW = Settings(max_new_tokens=3)


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "checks"
    folder.mkdir()
    (folder / "check_one.py").write_text(CHECKS)
    return folder


class Opened:
    """Opens the parent, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> HookedModel:
        self.times += 1
        return hook(*tiny_models.llava(seed=2), name="tiny")


def measured(
    checks: Path, opened: Callable[[], HookedModel], names: list[str], **more: Any
) -> Power:
    family, settings = load_family([], [checks]), more.pop("settings", FEW)
    asked = ask(
        family,
        settings,
        more.pop("sets", parts(tiny_models.probes(10), [5], 2)),
        [FAULTS.get(name) for name in names],
        open_model=opened,
        model_key=more.pop("model_key", "tiny"),
        **more,
    )
    return judge(asked, family, settings)


def documents(checks: Path) -> dict[str, int]:
    folder = checks.parent / "cache" / "power-documents"
    return {one.name: len(list(one.glob("*.json"))) for one in folder.iterdir()}


def test_one_cell_for_each_fault_and_set_and_the_unchanged_model_loses_nothing(
    checks: Path,
) -> None:
    opened = Opened()
    found = measured(checks, opened, ["unchanged", "projector zeroed"])
    assert found.checks == ["informs", "warned"]
    assert [(c.fault, c.set, c.images) for c in found.cells] == [
        ("unchanged", 0, 5),
        ("unchanged", 1, 5),
        ("projector zeroed", 0, 5),
        ("projector zeroed", 1, 5),
    ]
    assert opened.times == 1
    assert not any(c.red for c in found.cells if c.fault == "unchanged")
    assert not any(c.mismatch for c in found.cells)


def test_what_is_finished_is_not_asked_again(checks: Path) -> None:
    first, again = Opened(), Opened()
    one = measured(checks, first, ["unchanged", "int4"])
    assert documents(checks) == {"parent": 2, "unchanged": 2, "int4": 2}
    assert measured(checks, again, ["unchanged", "int4"]).cells == one.cells
    assert again.times == 0
    # One document is lost, one is damaged: those two are made again, and no more.
    lost, damaged = sorted((checks.parent / "cache" / "power-documents" / "int4").glob("*.json"))
    lost.unlink()
    damaged.write_text("{")
    assert measured(checks, again, ["unchanged", "int4"]).cells == one.cells
    assert again.times == 1
    assert documents(checks) == {"parent": 2, "unchanged": 2, "int4": 2}


@pytest.mark.parametrize(
    "other",
    [{"model_key": "another"}, {"settings": Settings(max_new_tokens=2)}, {"seed": 5}],
    ids=str,
)
def test_another_model_setting_or_seed_is_another_document(
    checks: Path, other: dict[str, Any]
) -> None:
    measured(checks, Opened(), ["block noise 1"])
    opened = Opened()
    measured(checks, opened, ["block noise 1"], **other)
    assert opened.times == 1
    assert documents(checks)["block-noise-1"] == 4


def test_a_fault_that_the_model_cannot_have_is_noted(checks: Path) -> None:
    def words() -> HookedModel:
        return hook(*tiny_models.paligemma(), name="tiny")

    found = measured(checks, words, ["wrong chat template", "unchanged"])
    assert {c.fault for c in found.cells} == {"unchanged"}
    (note,) = found.notes
    assert "wrong chat template" in note.text


def test_a_suite_without_a_tolerated_loss_is_refused() -> None:
    with pytest.raises(CheckError, match="max_drop= or max_rise="):
        regression_family(Suite("nothing", ()))


def change(check: str, outcome: Outcome, severity: Severity = Severity.ERROR) -> Change:
    return Change(
        check=check, statement="", severity=severity, outcome=outcome, unit="bits", now=1.0, before=2.0,
        change=-1.0, interval=None, limit=-0.4, n=5, sentence="It fell.", images_to_exclude=40,
    )  # fmt: skip


def test_red_is_a_deciding_check_that_shows_a_loss() -> None:
    def of(*changes: Change) -> Cell:
        comparison = Comparison(baseline_model="parent", baseline_created="", changes=list(changes))
        return cell("int4", "fault", 24, 0, comparison)

    shown = of(change("a", Outcome.SHOWN), change("b", Outcome.UNDECIDED))
    warned = of(change("a", Outcome.SHOWN, Severity.WARN), change("b", Outcome.EXCLUDED))
    open_one = of(change("a", Outcome.UNDECIDED), change("b", Outcome.EXCLUDED))
    assert [(c.red, c.undecided) for c in (shown, warned, open_one)] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    (row,) = rows([shown, warned, open_one])
    assert (row.red, row.undecided, row.sets) == (1, 1, 3)
    assert row.checks["a"] == {"shown": 2, "excluded": 0, "undecided": 1, "not compared": 0}
    assert row.needed == {"a": 40, "b": 40}


def test_sets_share_no_image() -> None:
    for sets in (drawn_sets([4, 6], 2), parts(tiny_models.probes(12), [6], 2, seed=3)):
        seen = [{p.cluster for p in one.probes} for one in sets]
        assert [len(one) for one in seen] == [one.images for one in sets]
        assert sum(map(len, seen)) == len(set.union(*seen))
    with pytest.raises(UsageError, match="need 12 images .*probes have 10"):
        parts(tiny_models.probes(10), [6], 2)


def test_the_command_prints_every_fault_and_writes_every_cell(
    checks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_models.save(tiny_models.llava(seed=1), tmp_path / "model")
    probes = save(tiny_models.probes(8), tmp_path / "probes")
    out = tmp_path / "power.json"
    arguments = [
        "power", str(checks), "--model", str(model), "--probes", str(probes), "--sets", "2",
        "--images", "4", "--only", "unchanged, projector zeroed", "--max-new-tokens", "2",
        "--json", str(out),
    ]  # fmt: skip
    assert main(arguments) == 0
    said = capsys.readouterr().out
    for word in ("unchanged", "projector zeroed", "of 2", "informs"):
        assert word in said
    assert out.read_text().count('"fault":') == 4
    assert main([*arguments, "--images", "x"]) == 1
    assert "--images 'x': give whole numbers" in capsys.readouterr().err
    assert main([*arguments, "--only", "projecter zeroed"]) == 1
    assert "Did you mean 'projector zeroed'" in capsys.readouterr().err
