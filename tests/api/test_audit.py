"""One call from Python gives what the command gives, for a name, a folder and a model in memory."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import pytest

import lvlm_audit
from lvlm_audit.document import Audit
from lvlm_audit.errors import CheckError, LvlmAuditError, ProbeError, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.readers import read_probes
from lvlm_audit.progress import Progress
from lvlm_audit.settings.audit import Chosen, Settings
from tests import tiny_models
from tests.pytest_plugin.lab import check_text

SHORT = {"max_new_tokens": 4}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, six pictures, and check files."""
    folder: Path = tmp_path_factory.mktemp("project")
    tiny_models.save(tiny_models.llava(seed=1), folder / "model")
    (folder / "photos").mkdir()
    for i in range(6):
        (folder / "photos" / f"{i}.png").write_bytes(tiny_models.picture(i).read())
    (folder / "checks").mkdir()
    (folder / "checks" / "check_a.py").write_text(check_text(["allowed", "warns", "nothing"]))
    (folder / "checks" / "check_b.py").write_text(check_text(["grounded", "raw"], opt_in=True))
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which probes a model was asked."""
    seen: list[str] = []
    original = HookedModel.inputs

    def inputs(self: HookedModel, probes: Any, *rest: Any) -> Any:
        seen.extend(p.id for p in probes if p.id != "sample")
        return original(self, probes, *rest)

    monkeypatch.setattr(HookedModel, "inputs", inputs)
    return seen


def by_command(pytester: pytest.Pytester, project: Path, *arguments: str) -> Audit:
    options = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments]
    options += ["--lvlm-model", str(project / "model"), "--lvlm-probes", str(project / "photos")]
    pytester.runpytest_inprocess(*options, "--lvlm-max-new-tokens", "4", "--lvlm-json", "a.json")
    return Audit.load(pytester.path / "a.json")


def findings(audit: Audit) -> str:
    return json.dumps(json.loads(audit.to_json())["findings"])


@pytest.mark.parametrize("which", ["checks", "checks/check_b.py"])
def test_the_call_gives_the_commands_document(
    which: str, pytester: pytest.Pytester, project: Path, cache: Path, asked: list[str]
) -> None:
    """Each from a cache of its own, so that both ask the model."""
    audit = lvlm_audit.audit(project / "model", project / "photos", suite=project / which, **SHORT)
    assert asked
    (cache / "traces").rename(cache / "other")
    asked.clear()
    command = by_command(pytester, project, str(project / which))
    assert asked
    assert findings(audit) == findings(command)
    for part in ("subject", "stages", "layers", "probes", "uses", "features", "verdict", "notes"):
        assert getattr(audit, part) == getattr(command, part), part
    assert audit.provenance["family"] == command.provenance["family"]


def test_the_default_suite_is_the_one_that_run_runs(
    pytester: pytest.Pytester, project: Path
) -> None:
    from lvlm_audit.spec.suite import shipped_folder

    audit = lvlm_audit.audit(str(project / "model"), str(project / "photos"), **SHORT)
    assert findings(audit) == findings(by_command(pytester, project, str(shipped_folder())))
    told = {f.check: str(f.verdict) for f in audit.findings}
    assert told["image_matters"] != "not applicable", "other images were recorded"
    assert all(probe.image for probe in audit.probes), "pictures are in the document"


def test_a_second_call_asks_nothing_and_without_a_cache_everything(
    project: Path, cache: Path, asked: list[str]
) -> None:
    def audit(**more: Any) -> Audit:
        asked.clear()
        return lvlm_audit.audit(project / "model", project / "photos", **SHORT, **more)

    first = audit(cache=False)
    assert asked
    assert not (cache / "traces").exists()
    second = audit()
    assert asked
    third = audit()
    assert asked == []
    assert findings(first) == findings(second) == findings(third)
    assert third.provenance["traces_reused"] is True


@pytest.mark.parametrize("form", ["hooked", "transformers"])
def test_a_model_in_memory_gives_what_its_folder_gives(
    form: str, project: Path, cache: Path, asked: list[str]
) -> None:
    probes = read_probes(project / "photos")
    audit = lvlm_audit.audit(project / "model", probes, cache=False, **SHORT)
    if form == "hooked":
        with lvlm_audit.load(project / "model") as model:
            made = [lvlm_audit.audit(model, probes, **SHORT) for _ in range(2)]
    else:
        model, processor = tiny_models.llava(seed=1)
        model.train()
        made = [lvlm_audit.audit(model, probes, processor=processor, **SHORT) for _ in range(2)]
        assert model.training, "given back as it came"
    assert [findings(one) for one in made] == [findings(audit)] * 2
    assert [one.provenance["traces_reused"] for one in made] == [False, True]
    assert made[0].provenance["probe_source"] == "given in Python"
    assert made[0].provenance["model"].startswith("memory:")


def test_an_interrupted_call_is_continued(
    project: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lvlm_audit.traces import recorder

    generate, calls = recorder.generate, 0

    def interrupted(*args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        generate(*args, **kwargs)

    monkeypatch.setattr(recorder, "generate", interrupted)
    model, processor = tiny_models.llava(seed=1)
    how: dict[str, Any] = {**SHORT, "batch_size": 3, "processor": processor}
    with pytest.raises(KeyboardInterrupt):
        lvlm_audit.audit(model, project / "photos", **how)
    lvlm_audit.audit(model, project / "photos", **how)
    assert calls == 3, "the first three answers were kept"


def test_a_baseline_is_a_file_or_an_audit(project: Path, tmp_path: Path) -> None:
    before = lvlm_audit.audit(project / "model", project / "photos", **SHORT)
    before.save(tmp_path / "before.json")
    for baseline in (before, tmp_path / "before.json", str(tmp_path / "before.json")):
        audit = lvlm_audit.audit(
            project / "model", project / "photos", baseline=baseline, fail_on="absolute", **SHORT
        )
        assert audit.comparison is not None
        assert audit.comparison.differences == lvlm_audit.compare(audit, before).differences
    with pytest.raises(UsageError, match=r"^baseline '.*nowhere\.json' is not a file"):
        lvlm_audit.audit(project / "model", baseline=tmp_path / "nowhere.json")


def test_steps_are_told_as_they_begin_and_are_logged(
    project: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[Progress] = []
    with caplog.at_level(logging.INFO, logger="lvlm_audit"):
        lvlm_audit.audit(project / "model", project / "photos", on_progress=told.append, **SHORT)
    steps = list(dict.fromkeys(event.what for event in told))
    begun = steps.index("opening the model")
    assert "6 images" in " ".join(steps[:begun]), "what they can decide is said before"
    assert steps[begun : begun + 3] == [
        "opening the model",
        "recording answers",
        "replaying answers with other images",
    ]
    for step in steps:
        events = [event for event in told if event.what == step]
        assert events[0].done == 0, step
        assert events[-1].done == events[-1].total, step
        assert f"{step}" in caplog.text
    said = capsys.readouterr()
    assert (said.out, "lvlm:" in said.err) == ("", False), "no terminal, no bar"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_new_token": 4}, UsageError, "there is no setting 'max_new_token'. Did you mean"),
        ({"batch_size": 0}, UsageError, "batch_size 0 is empty; give 1 or more"),
        ({"processor": object()}, UsageError, "processor belongs to a model in memory"),
        ({"model": 7}, UsageError, "model is a int: give a name, a folder"),
        ({"model": "no-such"}, LvlmAuditError, "no model 'no-such'"),
        ({"probes": []}, ProbeError, "the list of probes is empty"),
        ({"probes": ["a"]}, ProbeError, "a str is no Probe"),
        ({"probes": tiny_models.probes(1) * 2}, ProbeError, "two probes have the id 'probe-0'"),
        ({"suite": "defualt"}, CheckError, "there is no suite 'defualt'. Shipped suites: default"),
        ({"suite": "checks/nowhere"}, CheckError, "there is no 'checks/nowhere': name a suite"),
        ({"suite": Path(__file__)}, CheckError, "holds no checks: files named check_"),
        ({"mode": "papre"}, UsageError, "mode 'papre' is not one of paper"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else None,
)  # fmt: skip
def test_what_cannot_be_used_is_named_as_an_argument(
    arguments: dict[str, Any], error: type[Exception], message: str, project: Path
) -> None:
    given = {"model": project / "model", **arguments}
    with pytest.raises(error, match=message.replace("(", r"\(")) as raised:
        lvlm_audit.audit(**given)
    assert "--lvlm" not in str(raised.value)


@pytest.mark.parametrize("name", ["adapter", "revision", "device", "dtype", "trust_remote_code"])
def test_how_a_checkpoint_is_opened_is_no_setting_of_a_model_in_memory(name: str) -> None:
    model, processor = tiny_models.llava(seed=1)
    value = True if name == "trust_remote_code" else "cpu"
    with pytest.raises(UsageError, match=f"^{name} says how a checkpoint is opened"):
        lvlm_audit.audit(model, processor=processor, **{name: value})


def test_the_typed_arguments_are_the_settings() -> None:
    fields = {f.name for f in dataclasses.fields(Settings)} - {"model", "probes"}
    assert set(Chosen.__annotations__) == fields | {"mode"}


def test_the_demo_model_has_a_name(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    monkeypatch.setattr("lvlm_audit.demo.assemble.demo_folder", lambda: project / "model")
    with lvlm_audit.load("demo") as model:
        assert model.blocks == 10
    audit = lvlm_audit.audit("demo", project / "photos", **SHORT)
    assert audit.subject.is_demo
    assert audit.subject.model == "demo"
