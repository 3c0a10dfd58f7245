"""`--lvlm-mode paper` on a real, tiny model, against the published formulas; and what contradicts it."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from lvlm_audit.models.opening import load
from lvlm_audit.probes.readers import read_probes
from tests import paper_reference, tiny_models
from tests.pytest_plugin.lab import QUIET, check_text

TOKENS = 6
OPTIONS = ("--lvlm-model", "model", "--lvlm-probes", "photos", "--lvlm-max-new-tokens", str(TOKENS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, five pictures and a check file."""
    path = tmp_path_factory.mktemp("project")
    tiny_models.save(tiny_models.llava(seed=1), path / "model")
    (path / "photos").mkdir()
    for i in range(5):
        (path / "photos" / f"photo{i}.png").write_bytes(tiny_models.picture(i).read())
    (path / "check_a.py").write_text(check_text(["allowed"]))
    return path


@pytest.fixture(scope="module")
def expected(folder):
    """The published figures of each probe, asked one by one."""
    with load(str(folder / "model")) as hooked:
        return {
            probe.id: paper_reference.figures(hooked.model, hooked.inputs([probe]), TOKENS)
            for probe in read_probes(folder / "photos")
        }


@pytest.fixture
def project(pytester, cache, folder):
    shutil.copytree(folder, pytester.path, dirs_exist_ok=True)
    return pytester


def test_a_run_shows_the_published_figures(project, expected):
    arguments = (*QUIET, *OPTIONS, "--lvlm-mode", "paper")
    result = project.runpytest_inprocess(
        *arguments, "--lvlm-json", "a.json", "--lvlm-report", "r.html"
    )
    audit = json.loads((project.path / "a.json").read_text())
    subject = audit["subject"]
    assert [subject[k] for k in ("mode", "lens", "divergence", "scaling")] == [
        "paper", "raw", "paper_index", "paper",
    ]  # fmt: skip
    page = (project.path / "r.html").read_text()
    drawn = re.findall(
        r'data-unit="of the transition&#39;s largest"[^>]* data-values="([^"]*)"', page
    )
    assert len(drawn) == 5
    views = [
        np.array([[float(v) for v in row.split(" ")] for row in values.split("/")])
        for values in drawn
    ]
    for probe in audit["probes"]:
        e = expected[probe["id"]]
        assert [t["id"] for t in probe["tokens"]] == e.tokens
        index = np.array([t["paper_index"] for t in probe["tokens"]])
        # Documents keep four digits, batches round a little differently.
        np.testing.assert_allclose(index, e.index, rtol=5e-3, atol=1e-8)
        for t, token in enumerate(probe["tokens"]):
            np.testing.assert_allclose(
                token["probability"], e.probability[t, :, e.tokens[t]], rtol=1e-2, atol=1e-4
            )
        # The report draws the scaled view, to three digits; the document has no scaled number.
        assert any(
            view.shape == e.heat_map.shape and np.allclose(view, e.heat_map, rtol=1e-2, atol=1e-6)
            for view in views
        ), probe["id"]
    result.stdout.fnmatch_lines(["*paper mode: raw lens, paper_index, columns scaled apart*"])
    assert "<strong>Paper mode.</strong>" in page
    assert "columns cannot be compared with one another" in page
    (layer,) = [one for one in audit["layers"] if one["unit"] == "nats per vocabulary entry"]
    assert (layer["axis"], len(layer["median"])) == ("transition", 10)


def test_the_index_is_recorded_only_where_it_is_asked_for(project):
    arguments = (*QUIET, *OPTIONS, "--lvlm-json", "a.json")
    project.runpytest_inprocess(*arguments)
    plain = json.loads((project.path / "a.json").read_text())
    assert all(t["paper_index"] is None for p in plain["probes"] for t in p["tokens"])
    assert (plain["subject"]["divergence"], plain["subject"]["mode"]) == ("jsd", "")
    project.runpytest_inprocess(*arguments, "--lvlm-divergence", "paper_index")
    asked = json.loads((project.path / "a.json").read_text())
    # Recorded anew, for the store must not serve a recording without it.
    assert asked["provenance"]["traces_reused"] is False
    assert all(len(t["paper_index"]) == 10 for p in asked["probes"] for t in p["tokens"])
    assert asked["findings"] == plain["findings"], "checks read what they declare, in any mode"
    assert asked["subject"]["lens"] == "normed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--lvlm-lens", "normed"],
            "--lvlm-mode paper means --lvlm-lens raw, but --lvlm-lens normed",
        ),
        (["--lvlm-divergence", "jsd"], "means --lvlm-divergence paper_index, but"),
        (["--lvlm-scaling", "none"], "means --lvlm-scaling paper, but"),
    ],
)
def test_a_contradiction_is_a_usage_error(lab, arguments, said):
    lab.checks("check_a.py", "passes")
    result = lab.run("--lvlm-mode", "paper", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in "\n".join(result.errlines)
    assert lab.recorded == []


def test_what_agrees_with_the_mode_may_be_said_again(lab):
    lab.checks("check_a.py", "passes")
    result = lab.run("--lvlm-mode", "paper", "--lvlm-lens", "raw", "--lvlm-json", "a.json")
    # The hand-made answers hold no index: the message says how to record it.
    assert result.ret != pytest.ExitCode.USAGE_ERROR
    assert [(n.lens, n.kind, n.paper_index) for n in lab.recorded] == [
        ("raw", "answers", True),
        ("raw", "answer pairs", False),
    ]
