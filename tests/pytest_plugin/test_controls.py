"""Controls and the comparison with the decoder alone: whole runs of tiny models, on and off."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

from lvlm_audit.models.opening import load  # noqa: F401  (torch is loaded once, in this process)
from tests import tiny_models
from tests.pytest_plugin.lab import check_text

ARGUMENTS = (
    "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--lvlm-probes", "probes.jsonl",
    "--lvlm-max-new-tokens", "5", "--lvlm-report", "r.html", "--lvlm-json", "a.json",
)  # fmt: skip
QUESTIONS = ["Is it a tree?", "How many dogs?", "Describe it.", "What is it?", "Is it red?", "Who?"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two checkpoints, seven pictures with six questions, and checks of the image."""
    path = tmp_path_factory.mktemp("project")
    tiny_models.save(tiny_models.llava(seed=1), path / "model")
    tiny_models.save(tiny_models.paligemma(), path / "needs-images")
    lines = []
    for i in range(7):
        (path / f"{i}.png").write_bytes(tiny_models.picture(i, (30 + 4 * i, 40)).read())
        probe = {"id": f"p{i}", "image": f"{i}.png", "prompt": QUESTIONS[i % 6], "answer": "A dog."}
        lines.append(json.dumps(probe) + "\n")
    (path / "probes.jsonl").write_text("".join(lines))
    (path / "check_a.py").write_text(check_text(["allowed", "matters", "informs", "grounded"]))
    return path


@pytest.fixture
def project(pytester, cache, folder):
    shutil.copytree(folder, pytester.path, dirs_exist_ok=True)
    return pytester


def audited(project, *arguments: str):
    """The run's output and its document."""
    named = () if "--lvlm-model" in arguments else ("--lvlm-model", "model")
    result = project.runpytest_inprocess(*ARGUMENTS, *named, *arguments)
    output = "\n".join(result.outlines + result.errlines)
    assert result.ret in (0, 1), output
    return " ".join(output.split()), json.loads((project.path / "a.json").read_text())


def verdicts(document) -> dict[str, str]:
    return {f["check"]: f["verdict"] for f in document["findings"]}


def test_an_ordinary_run_measures_grounding_and_says_nothing_of_controls(project):
    output, document = audited(project)
    assert document["subject"]["control"] == ""
    assert document["decoder"] is None
    grounding = document["grounding"]
    assert grounding["measured"] is True
    assert [len(c["median"]) for c in grounding["curves"]] == [11, 11]
    assert verdicts(document)["grounded"] != "not applicable"
    tokens = [t for p in document["probes"] for t in p["tokens"]]
    assert all(len(t["without_image"]) == 11 for t in tokens)
    # State 0 is the token's own embedding, which no image reaches.
    assert all(t["without_image"][0] == 0 for t in tokens)
    assert "Control" not in output
    assert "7 probes on 7 images" in output
    assert 'id="grounding"' in (project.path / "r.html").read_text()


def test_text_only_asks_every_distinct_prompt_once_without_an_image(project):
    output, document = audited(project, "--lvlm-control", "text-only")
    assert [p["prompt"] for p in document["probes"]] == QUESTIONS
    assert all(p["image"] is None for p in document["probes"])
    seen = verdicts(document)
    assert {seen[c] for c in ("matters", "informs", "grounded")} == {"not applicable"}
    assert document["grounding"]["measured"] is False
    assert "no probe shows an image" in document["grounding"]["words"]
    assert document["subject"]["control"] == "text-only"
    assert document["headline"].startswith("Control run (text-only): ")
    page = (project.path / "r.html").read_text()
    assert "Control: text-only." in output
    assert "<strong>Control: <bdi>text-only</bdi>.</strong>" in page
    assert "6 probes with 6 distinct prompts" in output
    assert "without any image" in output
    assert "without any image" in page


def test_blank_images_tell_nothing_of_the_picture_taken_away(project):
    output, document = audited(project, "--lvlm-control", "blank-image")
    assert len(document["probes"]) == 7
    # Two probes with the same question get the same answer: they are one unit.
    assert len({p["cluster"] for p in document["probes"]}) == 6
    first, last = document["probes"][0], document["probes"][6]
    assert [t["id"] for t in first["tokens"]] == [t["id"] for t in last["tokens"]]
    assert {f["n"] for f in document["findings"] if f["check"] == "informs"} <= {5, 6}
    assert verdicts(document)["matters"] != "not applicable"
    assert "Control: blank-image." in output


def test_swapped_images_turn_the_advantage_of_the_own_image_round(project):
    _, plain = audited(project)
    _, document = audited(project, "--lvlm-control", "swapped-image")
    assert document["provenance"]["traces_reused"] is False
    assert document["provenance"]["probes"] != plain["provenance"]["probes"]
    assert [p["id"] for p in document["probes"]] == [p["id"] for p in plain["probes"]]
    assert [p["cluster"] for p in document["probes"]] == [p["cluster"] for p in plain["probes"]]

    def informs(audit):
        (found,) = (f for f in audit["findings"] if f["check"] == "informs")
        return found["per_image"]

    # Own over next image, and next over own image, of the same reference: one is minus the other.
    own, next_ = informs(plain), informs(document)
    assert own.keys() == next_.keys()
    for image, value in own.items():
        assert next_[image] == pytest.approx(-value, abs=1e-3)
    thumbnails = [p["image"] for p in document["probes"]]
    assert thumbnails == [plain["probes"][(i + 1) % 7]["image"] for i in range(7)]


def test_a_stored_control_is_read_again_and_never_taken_for_an_ordinary_run(project):
    _, control = audited(project, "--lvlm-control", "blank-image")
    _, plain = audited(project)
    assert plain["provenance"]["traces_reused"] is False
    _, again = audited(project, "--lvlm-control", "blank-image")
    assert again["provenance"]["traces_reused"] is True
    assert again["findings"] == control["findings"]


def test_workers_find_what_the_controller_recorded(project):
    output, document = audited(project, "--lvlm-control", "swapped-image", "-n", "2")
    assert document["subject"]["control"] == "swapped-image"
    assert document["provenance"]["traces_reused"] is False
    _, alone = audited(project, "--lvlm-control", "swapped-image")
    assert alone["provenance"]["traces_reused"] is True
    assert alone["findings"] == document["findings"]
    assert output.count("Control: swapped-image.") == 1


def test_the_decoder_alone_is_compared(project):
    output, document = audited(project, "--lvlm-compare-llm")
    found = document["decoder"]
    assert found["prompts"] == 6
    assert "It is not a separate language model" in found["asked"]
    assert found["words"].startswith("The paper reports that a language model alone")
    assert [c["name"] for c in found["layers"]] == [
        "nucleus mass",
        "JSD between neighbouring states",
    ]
    assert [d["name"] for d in found["differences"]] == [
        "onset", "critical (probability)", "settle", "critical (distribution)", "late mutation",
        "change at the last transition",
    ]  # fmt: skip
    assert "decoder alone, 6 distinct prompts" in output
    page = (project.path / "r.html").read_text()
    assert 'id="decoder"' in page
    assert "without images" in page
    # The comparison adds to an audit; it changes nothing of it.
    _, plain = audited(project)
    assert plain["findings"] == document["findings"]
    assert plain["provenance"]["traces_reused"] is True


def test_few_prompts_decide_nothing(project):
    lines = [json.dumps({"image": f"{i}.png", "prompt": QUESTIONS[i % 3]}) + "\n" for i in range(7)]
    (project.path / "probes.jsonl").write_text("".join(lines))
    _, document = audited(project, "--lvlm-compare-llm")
    found = document["decoder"]
    assert found["prompts"] == 3
    assert "inconclusive: 3 distinct prompts are too few" in found["words"]
    intervals = [d["interval"] for d in found["differences"] if d["interval"]]
    assert intervals
    assert {i["method"] for i in intervals} == {"full range"}
    assert all(i["low"] == -i["high"] for i in intervals)


def refused(project, *arguments: str) -> str:
    result = project.runpytest_inprocess(*ARGUMENTS, *arguments)
    output = "\n".join(result.outlines + result.errlines)
    assert result.ret == pytest.ExitCode.USAGE_ERROR, output
    assert "Traceback" not in output
    assert not (project.path / "a.json").exists()
    (said,) = [line for line in result.errlines if line.startswith("ERROR")]
    return said


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--lvlm-control", "text-only"], "--lvlm-control text-only"),
        (["--lvlm-compare-llm"], "--lvlm-compare-llm"),
    ],
)
def test_a_processor_that_insists_on_images_is_named(project, arguments, option):
    said = refused(project, "--lvlm-model", "needs-images", *arguments)
    assert f"{option}: this model could not be asked without an image." in said
    assert "PaliGemmaProcessor" in said


def test_such_a_model_is_audited_all_the_same_with_its_grounding_not_measured(project):
    _, document = audited(project, "--lvlm-model", "needs-images")
    grounding = document["grounding"]
    assert grounding["measured"] is False
    assert grounding["words"].startswith(
        "Not measured: the model could not be asked without an image"
    )
    assert "PaliGemmaProcessor" in grounding["words"]
    assert len(grounding["curves"]) == 1
    seen = verdicts(document)
    assert seen["grounded"] == "not applicable"
    assert seen["matters"] != "not applicable"
    # What could not be done is remembered: a second run does not try again.
    _, again = audited(project, "--lvlm-model", "needs-images")
    assert again["provenance"]["traces_reused"] is True
    assert again["grounding"] == grounding


def test_one_picture_cannot_be_swapped(project):
    for i in range(1, 7):
        shutil.copy(project.path / "0.png", project.path / f"{i}.png")
    said = refused(project, "--lvlm-model", "model", "--lvlm-control", "swapped-image")
    assert "all probes show the same image" in said


def test_a_control_has_no_own_images_to_compare_with(project):
    said = refused(
        project, "--lvlm-model", "model", "--lvlm-control", "blank-image", "--lvlm-compare-llm"
    )
    assert "Drop one of the two" in said


def test_the_blank_picture_in_the_document_is_grey(project):
    import base64
    import io

    _, document = audited(project, "--lvlm-control", "blank-image")
    data = base64.b64decode(document["probes"][0]["image"].partition(",")[2])
    assert Image.open(io.BytesIO(data)).getextrema() == ((128, 128),) * 3
