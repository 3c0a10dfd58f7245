"""`lvlm-audit plan` on a tiny model, its figures recomputed on a model that never had the blocks."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from lvlm_audit.cli import main
from lvlm_audit.errors import ProbeError, UnsupportedModel, UsageError
from lvlm_audit.models.opening import load
from lvlm_audit.probes.readers import read_probes
from lvlm_audit.pruning.planning import Wanted, plan_pruning
from lvlm_audit.settings.audit import Settings
from lvlm_audit.traces.recorder import record
from lvlm_audit.traces.trace import Trace
from tests import tiny_models
from tests.interventions.test_skipping import without

LOOSE = 40.0
"""Bits a token: any set passes."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LVLM_AUDIT_CACHE", str(folder / "cache"))
        tiny_models.save(tiny_models.llava(blocks=10), folder / "model")
        (folder / "photos").mkdir()
        rows = []
        for i in range(12):
            (folder / "photos" / f"{i}.png").write_bytes(tiny_models.picture(i).read())
            rows.append({"image": f"photos/{i}.png", "prompt": "What is shown?", "answer": "a dog"})
        (folder / "probes.jsonl").write_text("\n".join(map(json.dumps, rows)))
        yield folder


def settings(project, **more):
    options = {
        "model": str(project / "model"),
        "probes": project / "probes.jsonl",
        "max_new_tokens": 6,
    }
    return Settings(**{**options, **more})


@pytest.fixture(scope="module")
def plan(project):
    wanted = Wanted(budget=LOOSE, max_blocks=2, export=project / "pruned")
    return plan_pruning(settings(project), wanted)


def test_the_halves_share_nothing_and_cover_all(plan):
    assert (plan.nomination_images, plan.certification_images) == (6, 6)
    assert len(plan.answers) == plan.certification_probes == 6


def test_the_model_is_opened_once(project, plan, monkeypatch):
    from lvlm_audit.models import opening

    opened = []

    def counted(*args, **options):
        opened.append(opening_load(*args, **options))
        return opened[-1]

    opening_load = opening.load
    monkeypatch.setattr(opening, "load", counted)
    again = plan_pruning(settings(project, batch_size=4), Wanted(budget=LOOSE, max_blocks=1))
    assert not again.provenance["traces_reused"]
    assert len(opened) == 1
    assert again.candidates[0].nomination.value == pytest.approx(
        plan.candidates[0].nomination.value, rel=1e-3
    )


def test_every_loss_is_that_of_a_model_without_the_blocks(plan, project):
    probes = read_probes(project / "probes.jsonl")
    with load(str(project / "model")) as hooked:
        traces = {t.asked.id: t for t in record(hooked, probes, max_new_tokens=6)}
        second = {a.probe for a in plan.answers}

        def expected(blocks, half):
            reduced = without(hooked.model, tuple(blocks))
            total, tokens = 0.0, 0
            for p in [p for p in probes if (p.id in second) == half]:
                ids = list(traces[p.id].token_ids)
                inputs = hooked.inputs([p], [ids])
                rows = slice(-len(ids) - 1, -1)
                with torch.inference_mode():
                    a, b = (
                        softmax(
                            m(**inputs, use_cache=False).logits[0, rows].double().numpy(), axis=1
                        )
                        for m in (hooked.model, reduced)
                    )
                total += rel_entr(a, b).sum() / np.log(2)
                tokens += len(ids)
            return total / tokens

        for one in plan.candidates:
            assert one.nomination.value == pytest.approx(expected(one.blocks, half=False), rel=2e-3)
            assert one.certification.value == pytest.approx(
                expected(one.blocks, half=True), rel=2e-3
            )
        sleb = next(m for m in plan.methods if m.method == "SLEB")
        for block in (1, 5):
            assert sleb.scores[block] == pytest.approx(expected([block], half=False), rel=2e-3)
        reduced = without(hooked.model, tuple(plan.certified))
        for answer in plan.answers[:3]:
            (probe,) = (p for p in probes if p.id == answer.probe)
            out = reduced.generate(**hooked.inputs([probe]), do_sample=False, max_new_tokens=6)
            text = hooked.tokenizer.decode(out[0, -6:], skip_special_tokens=True).strip()
            assert answer.skipped.strip() in text or text in answer.skipped


def test_candidates_are_the_cheapest_nominated_sets(plan):
    assert [len(c.blocks) for c in plan.candidates] == [1, 2]
    for one in plan.candidates:
        size = len(one.blocks)
        named = {
            tuple(m.sets[size - 1].blocks): m.sets[size - 1].loss
            for m in plan.methods
            if len(m.sets) >= size
        }
        assert named[tuple(one.blocks)] == min(named.values())
        assert one.methods
    methods = {m.method for m in plan.methods}
    assert {"Block Influence", "Block Influence, visual", "angular distance", "LLM-Streamline", "SLEB",
            "JSD plateau", "Layer Contribution, visual", "Layer Contribution, text"} <= methods  # fmt: skip
    for m in plan.methods:
        assert bool(m.sets) != bool(m.reason)


def test_what_it_saves_and_what_was_written(plan, project):
    assert plan.certified == plan.candidates[1].blocks
    assert plan.export is not None
    assert plan.export.difference <= 2e-5 * plan.export.largest_logit
    with load(str(project / "model")) as whole, load(str(project / "pruned")) as pruned:
        assert pruned.blocks == 8
        numbers = [sum(p.numel() for p in h.model.parameters()) for h in (whole, pruned)]
    assert plan.savings is not None
    assert plan.savings.parameters_saved == numbers[0] - numbers[1]
    assert plan.savings.bytes_saved == 4 * plan.savings.parameters_saved
    assert plan.savings.prefill is not None
    assert plan.savings.prefill > 0


def test_nothing_is_certified_below_the_loss_of_a_single_block(project):
    found = plan_pruning(
        settings(project), Wanted(budget=1e-6, max_blocks=2, export=project / "never")
    )
    assert found.certified == []
    assert found.savings is None
    assert found.export is None
    assert not (project / "never").exists()
    assert "No block can be certified" in found.verdict
    assert len(found.answers) == 6
    # SLEB ends with its first set, which costs too much.
    assert [len(m.sets) for m in found.methods if m.method == "SLEB"] == [1]


def test_fewer_than_five_images_certify_nothing(project):
    few = project / "few.jsonl"
    few.write_text("\n".join((project / "probes.jsonl").read_text().splitlines()[:6]))
    found = plan_pruning(settings(project, probes=few), Wanted(budget=LOOSE, max_blocks=1))
    assert found.certified == []
    assert "fewer than 5 decide nothing" in found.verdict
    assert found.candidates[0].certification.high is None


@pytest.mark.parametrize("measure", ["disagreement", "accuracy"])
def test_other_losses(project, plan, measure):
    rows = [json.loads(line) for line in (project / "probes.jsonl").read_text().splitlines()]
    with load(str(project / "model")) as hooked:
        traces = record(hooked, read_probes(project / "probes.jsonl"), max_new_tokens=6)
        said = ["".join(t.token_texts) for t in traces]
    truthful = project / "truthful.jsonl"
    truthful.write_text(
        "\n".join(json.dumps({**row, "answer": one}) for row, one in zip(rows, said, strict=True))
    )
    found = plan_pruning(
        settings(project, probes=truthful), Wanted(budget=1.0, measure=measure, max_blocks=1)
    )
    assert found.measure == measure
    assert found.certified == found.candidates[0].blocks
    for loss in (found.candidates[0].nomination, found.candidates[0].certification):
        assert loss.low <= loss.value <= loss.high <= 1.0


def test_accuracy_cannot_be_lost_where_there_is_none(project):
    with pytest.raises(ProbeError, match="answers none of the 6 questions of the nomination half"):
        plan_pruning(settings(project), Wanted(budget=0.5, measure="accuracy", max_blocks=1))


def test_answers_without_an_eligible_token_name_no_plateau(project, monkeypatch):
    monkeypatch.setattr(Trace, "eligible", property(lambda trace: np.zeros(trace.tokens, bool)))
    found = plan_pruning(settings(project), Wanted(budget=LOOSE, max_blocks=1))
    (reason,) = [m.reason for m in found.methods if m.method == "JSD plateau"]
    assert reason == "the answers show no stabilization stage (no token is eligible)"
    assert found.certified


def test_a_refused_export_does_not_cost_the_plan(project, tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise UnsupportedModel("its family is peculiar")

    monkeypatch.setattr("lvlm_audit.compression.exporting.export", refuse)
    arguments = [
        "plan", str(project / "model"), "--budget", str(LOOSE), "--max-blocks", "1", "--probes",
        str(project / "probes.jsonl"), "--max-new-tokens", "6", "--export", str(tmp_path / "out"),
        "--json", str(tmp_path / "plan.json"), "--report", str(tmp_path / "plan.html"),
    ]  # fmt: skip
    assert main(arguments) == 1
    said = capsys.readouterr().out
    assert "not exported: its family is peculiar" in said
    assert "1 of 10 blocks can be removed" in said
    written = json.loads((tmp_path / "plan.json").read_text())
    assert (written["export"], written["export_refused"]) == (None, "its family is peculiar")
    page = (tmp_path / "plan.html").read_text()
    assert "Not exported: " in page
    assert "its family is peculiar" in page
    clash = [*arguments[:-2], "--report", str(tmp_path / "plan.json")]
    assert main(clash) == 1
    assert "--report and --json name the same file" in capsys.readouterr().err
    assert main([*arguments[:-2], "--export", str(tmp_path / "plan.json")]) == 1
    assert "--json and --export name the same file" in capsys.readouterr().err


def test_a_decoder_without_eyes_is_planned_on_its_prompts(project, tmp_path):
    tiny_models.save(tiny_models.text_only("llama"), tmp_path / "words")
    rows = [
        {"image": str(project / f"photos/{i}.png"), "prompt": f"What is {i} and {i + 1}?"}
        for i in range(10)
    ]
    (tmp_path / "probes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = plan_pruning(
        settings(project, model=str(tmp_path / "words"), probes=tmp_path / "probes.jsonl"),
        Wanted(budget=LOOSE, max_blocks=1),
    )
    assert (found.nomination_images, found.certification_images) == (5, 5)
    assert found.certified


def test_an_adapter_is_merged_before_it_is_exported(project, monkeypatch):
    from lvlm_audit.pruning import planning

    checkpoint, is_demo = planning.open_subject(settings(project))
    over = dataclasses.replace(checkpoint, adapter=project / "adapter")
    monkeypatch.setattr(planning, "open_subject", lambda *_: (over, is_demo))
    with pytest.raises(UsageError, match="merge_and_unload"):
        plan_pruning(settings(project), Wanted(budget=1.0, export=project / "never"))


def test_accuracy_needs_answers_and_options_are_checked(project):
    silent = project / "silent.jsonl"
    silent.write_text(
        '{"image": "photos/0.png", "prompt": "?"}\n{"image": "photos/1.png", "prompt": "?"}'
    )
    with pytest.raises(ProbeError, match="accuracy needs an answer for every probe"):
        plan_pruning(settings(project, probes=silent), Wanted(budget=1.0, measure="accuracy"))
    for wrong, said in (
        ({"budget": -1.0}, "no bound"), ({"budget": float("nan")}, "not a finite number"),
        ({"budget": 1.0, "measure": "loss"}, "not one of kl"),
        ({"budget": 1.0, "max_blocks": 0}, "give 1 or more"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            Wanted(**wrong)
    single = project / "single.jsonl"
    single.write_text('{"image": "photos/0.png", "prompt": "?"}')
    with pytest.raises(UsageError, match="one image cannot be split"):
        plan_pruning(settings(project, probes=single), Wanted(budget=1.0))
    with pytest.raises(UsageError, match="not an empty folder"):
        plan_pruning(settings(project), Wanted(budget=1.0, export=project / "photos"))


def test_the_command_writes_plan_and_page(project, capsys):
    arguments = [
        "plan", str(project / "model"), "--budget", "1e-6", "--probes", str(project / "probes.jsonl"),
        "--max-new-tokens", "6", "--max-blocks", "1", "--json", str(project / "plan.json"),
        "--report", str(project / "plan.html"),
    ]  # fmt: skip
    assert main(arguments) == 0
    assert "No block can be certified" in capsys.readouterr().out.replace("\n", " ")
    assert json.loads((project / "plan.json").read_text())["certified"] == []
    assert "pruning plan" in (project / "plan.html").read_text()
    assert main([*arguments[:3], "-1"]) == 1
    assert capsys.readouterr().err.startswith("UsageError: --budget -1 is no bound")


def test_an_exported_checkpoint_is_audited_against_its_parent(plan, project, pytester, monkeypatch):
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(project / "cache"))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    from tests.pytest_plugin.lab import check_text

    shutil.copytree(project / "pruned", pytester.path / "pruned")
    (pytester.path / "check_a.py").write_text(check_text(["allowed", "warns"]))
    common = (
        "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--lvlm-probes",
        str(project / "probes.jsonl"), "--lvlm-max-new-tokens", "6",
    )  # fmt: skip
    parent = pytester.runpytest_inprocess(
        *common, "--lvlm-model", str(project / "model"), "--lvlm-json", "parent.json"
    )
    assert parent.ret in (0, 1)
    pytester.runpytest_inprocess(
        *common,
        "--lvlm-model",
        "pruned",
        "--lvlm-baseline",
        "parent.json",
        "--lvlm-fail-on",
        "absolute",
        "--lvlm-json",
        "pruned.json",
    )
    found = json.loads((pytester.path / "pruned.json").read_text())
    assert found["subject"]["blocks"] == 8
    assert found["comparison"] is not None
    assert {d["check"] for d in found["comparison"]["differences"]} >= {"allowed", "warns"}
