"""The whole way with a real, tiny model: recorded once, read without torch; broken ones refused."""

from __future__ import annotations

import json
import shutil

import pytest

from lvlm_audit.models.opening import load  # noqa: F401  (torch is loaded once, in this process)
from tests import tiny_models
from tests.pytest_plugin.lab import check_text
from tests.pytest_plugin.test_isolation import CONFTEST


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, six pictures, and check files of a project."""
    path = tmp_path_factory.mktemp("project")
    tiny_models.save(tiny_models.llava(seed=1), path / "model")
    (path / "photos").mkdir()
    for i in range(6):
        (path / "photos" / f"photo{i}.png").write_bytes(tiny_models.picture(i).read())
    (path / "check_a.py").write_text(check_text(["allowed", "warns", "nothing"]))
    return path


COUNTED = ("content", "function", "copied", "punctuation")
ARGUMENTS = (
    "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--lvlm-probes", "photos",
    "--lvlm-max-new-tokens", "8", "--lvlm-report", "r.html", "--lvlm-json", "a.json",
)  # fmt: skip


@pytest.fixture
def project(pytester, cache, folder):
    shutil.copytree(folder, pytester.path, dirs_exist_ok=True)
    return pytester


def test_a_model_is_audited_and_read_again_without_torch(project):
    first = project.runpytest_inprocess(*ARGUMENTS, "--lvlm-model", "model")
    audit = json.loads((project.path / "a.json").read_text())
    assert audit["subject"]["architecture"] == "LlavaForConditionalGeneration"
    assert audit["subject"]["blocks"] == 10
    assert audit["provenance"]["traces_reused"] is False
    assert len(audit["probes"]) == 6
    assert all(len(t["probability"]) == 11 for p in audit["probes"] for t in p["tokens"])
    assert "data:image/jpeg;base64," in (project.path / "r.html").read_text()
    assert not list((project.path / "cache").rglob(".*"))
    states = audit["features"]
    spoken = [p for p in audit["probes"] if any(t["kind"] in COUNTED for t in p["tokens"])]
    assert (states["images"], states["common_step"]["images"]) == (len(spoken), 6)
    assert [m["of"] for m in states["maps"]] == ["tokens", "images"]
    assert {len(c["median"]) for c in states["curves"]} == {10, 11}

    project.makeconftest(CONFTEST)
    second = project.runpytest_subprocess(*ARGUMENTS, "--lvlm-model", "model")
    again = json.loads((project.path / "a.json").read_text())
    modules = set((project.path / "modules.txt").read_text().split())
    assert modules.isdisjoint({"torch", "transformers", "sklearn"})
    assert again["provenance"]["traces_reused"] is True
    assert second.ret == first.ret
    for name in (
        "findings",
        "stages",
        "probes",
        "layers",
        "uses",
        "features",
        "subject",
        "verdict",
    ):
        assert again[name] == audit[name]


def refused(project, *arguments: str) -> str:
    result = project.runpytest_inprocess(*ARGUMENTS, *arguments)
    output = "\n".join(result.outlines + result.errlines)
    assert result.ret == pytest.ExitCode.USAGE_ERROR, output
    assert "Traceback" not in output
    assert {"r.html", "a.json"}.isdisjoint(p.name for p in project.path.iterdir())
    assert not [p for p in project.path.rglob("*") if p.name.startswith(".")]
    (said,) = [line for line in result.errlines if line.startswith("ERROR")]
    return said


def test_a_text_only_checkpoint_is_asked_without_images_and_says_so(project):
    tiny_models.save(tiny_models.text_only("llama"), project.path / "text")
    result = project.runpytest_inprocess(*ARGUMENTS, "--lvlm-model", "text")
    said = " ".join(result.stdout.str().split())
    assert "This checkpoint is a language model without image input" in said
    assert "Control: text-only." in said
    assert "UnsupportedModel" not in said + result.stderr.str()


def test_weights_that_hold_nan(project):
    import torch

    model, processor = tiny_models.llava(seed=1)
    with torch.no_grad():
        model.get_decoder().layers[3].mlp.up_proj.weight[2, 1] = float("nan")
    tiny_models.save((model, processor), project.path / "nan")
    said = refused(project, "--lvlm-model", "nan")
    assert "ModelBroken: weights of 'nan' hold NaN, first in " in said
    assert "layers.3.mlp.up_proj.weight" in said


def test_a_checkpoint_without_weights_or_with_damaged_ones(project):
    weights = project.path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "'model'" in refused(project, "--lvlm-model", "model")
    weights.unlink()
    assert "no *.safetensors weights" in refused(project, "--lvlm-model", "model")
