"""`lvlm-audit`: every command, and every error as one message and an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lvlm_audit
from lvlm_audit.cli import main
from lvlm_audit.errors import UsageError
from tests.synthetic import rising, trace


@pytest.fixture
def document(tmp_path) -> Path:
    path = tmp_path / "audit.json"
    traces = [trace(rising(), name=f"p{i}") for i in range(6)]
    lvlm_audit.run(lvlm_audit.suite(), traces).save(path)
    return path


def test_render_writes_a_page_and_says_where(document, capsys):
    page = document.parent / "report.html"
    assert main(["render", str(document), str(page)]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>") or text.startswith("<!doctype html>")
    assert "answer_forms" in text


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("nowhere.json", "a.html", "DocumentError: cannot read"),
        ("broken.json", "a.html", "is not JSON"),
        ("audit.json", "missing/a.html", "UsageError: cannot write"),
        ("audit.json", ".", "it is a folder"),
    ],
)
def test_render_errors_are_one_line_without_a_traceback(document, capsys, source, target, message):
    folder = document.parent
    (folder / "broken.json").write_text("{")
    before = sorted(folder.iterdir())
    assert main(["render", str(folder / source), str(folder / target)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert sorted(folder.iterdir()) == before


def test_models_lists_every_alias_with_what_it_stands_for(capsys):
    from lvlm_audit.models.aliases import ALIASES

    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ALIASES)
    assert any(line.split() == ["llava-1.5-7b", "llava-hf/llava-1.5-7b-hf"] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lens", "sideways"], "UsageError: --lens 'sideways' is not one of"),
        (["--checks", "{folder}/nowhere"], "CheckError"),
        (["--json", "{folder}/missing/floor.json"], "UsageError: cannot write"),
        (["no-such-model"], "no model 'no-such-model'"),
    ],
)
def test_calibrate_errors_are_one_line(arguments, message, tmp_path, capsys):
    assert main(["calibrate", *(a.format(folder=tmp_path) for a in arguments)]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""


def test_calibrate_hands_its_options_over_and_writes_what_was_found(tmp_path, monkeypatch, capsys):
    from lvlm_audit.document import Calibration
    from lvlm_audit.progress import Progress

    given = {}

    def calibrate(suite, settings, *, rounds, on_progress):
        given.update(checks=[c.name for c in suite.checks], settings=settings, rounds=rounds)
        on_progress(Progress("recording", 0, 2))
        on_progress(Progress("recording", 1, 2))
        return Calibration("m", "raw", "p", "fresh probes", rounds, [], "A note.", {})

    monkeypatch.setattr("lvlm_audit.auditing.calibrate.calibrate", calibrate)
    file = tmp_path / "floor.json"
    options = ["--rounds", "3", "--lens", "raw", "--dtype", "float32", "--max-new-tokens", "7"]
    assert main(["calibrate", "m", *options, "--json", str(file)]) == 0
    assert given["checks"] == [c.name for c in lvlm_audit.suite().checks]
    s = given["settings"]
    assert (s.model, s.lens, s.dtype, s.max_new_tokens) == ("m", "raw", "float32", 7)
    assert given["rounds"] == 3
    assert json.loads(file.read_text())["method"] == "fresh probes"
    said = capsys.readouterr()
    assert said.err == "recording\n"
    assert "A note." in said.out


def test_no_command_shows_the_help(capsys):
    assert main([]) == 2
    assert "COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["rendr"], ["render"], ["--nope"]])
def test_what_cannot_be_parsed_is_argparses_own_error(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "lvlm-audit" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"lvlm-audit {lvlm_audit.__version__}\n"


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    def interrupted(_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("lvlm_audit.cli.models.execute", interrupted)
    assert main(["models"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_what_a_checkpoint_puts_into_an_error_commands_no_terminal(monkeypatch, capsys):
    def hostile(_options):
        raise UsageError("\x1b]0;pwned\x07\x1b[2Jline\nnext \u202e")

    monkeypatch.setattr("lvlm_audit.cli.models.execute", hostile)
    assert main(["models"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("UsageError: ")
    assert said.endswith("line\nnext ⟨U+202E⟩\n")
    assert not set("\x1b\x07\u202e") & set(said)


def test_demo_reports_what_stands_in_the_way(monkeypatch, capsys):
    def offline(**_):
        raise UsageError("the package cannot be fetched: no network.")

    monkeypatch.setattr("lvlm_audit.demo.assemble.fetch_and_assemble", offline)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "UsageError: the package cannot be fetched: no network.\n"


def test_demo_draws_fresh_scenes_without_fetching_anything(tmp_path, monkeypatch, capsys):
    from lvlm_audit.demo.probes import demo_probes
    from lvlm_audit.probes.readers import read_probes

    monkeypatch.setattr("lvlm_audit.demo.assemble.fetch_and_assemble", None)
    folder = tmp_path / "fresh"
    scenes = ["demo", "--scenes", str(folder), "--count", "3", "--questions", "2"]
    assert main([*scenes, "--seed", "7"]) == 0
    path = capsys.readouterr().out.strip()
    assert path == str(folder / "probes.jsonl")
    expected = demo_probes(3, 7, questions=2)
    found = read_probes(Path(path))
    assert [(p.id, p.prompt, p.answer, p.cluster) for p in found] == [
        (p.id, p.prompt, p.answer, p.cluster) for p in expected
    ]
    assert [p.image.read() for p in found] == [p.image.read() for p in expected]
    assert [dict(p.labels) for p in found] == [dict(p.labels) for p in expected]
    assert main(scenes) == 1
    assert "not an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(["--count", "0"], "--count 0"), (["--questions", "-1"], "-1"), (["--seed", "-1"], "--seed")],
)
def test_demo_refuses_scenes_that_are_none(wrong, said, tmp_path, capsys):
    assert main(["demo", "--scenes", str(tmp_path / "fresh"), *wrong]) == 1
    error = capsys.readouterr().err
    assert error.startswith("UsageError: ")
    assert said in error
    assert list(tmp_path.iterdir()) == []


def lvlm_audit_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lvlm_audit.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_run_collects_the_shipped_checks_from_anywhere(tmp_path):
    """The configuration and the files of the folder that it is called from take no part."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n")
    (tmp_path / "check_mine.py").write_text("import lvlm_audit\n1 / 0\n")
    (tmp_path / "conftest.py").write_text("1 / 0\n")
    done = lvlm_audit_command("run", "--collect-only", "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    names = {c.name for c in lvlm_audit.suite().checks}
    collected = {line.split("::")[-1] for line in done.stdout.splitlines() if "::" in line}
    assert collected == names
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "check_mine.py",
        "conftest.py",
        "pytest.ini",
    ]


@pytest.mark.parametrize("arguments", [["--help"], ["--lvlm-nonsense", "1"], ["-h"]])
def test_run_speaks_of_itself_and_not_of_pytest(arguments, tmp_path):
    done = lvlm_audit_command("run", *arguments, cwd=tmp_path)
    assert "usage: lvlm-audit run [options]" in done.stdout + done.stderr
    assert "pytest.main()" not in done.stdout + done.stderr


def test_run_gives_pytests_exit_code(tmp_path):
    done = lvlm_audit_command("run", "--lvlm-model", "no-such-model", cwd=tmp_path)
    assert done.returncode == 4
    assert "no model 'no-such-model'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_doctor_says_what_the_lens_found(tmp_path, capsys, monkeypatch):
    from tests import tiny_models

    monkeypatch.setenv("COLUMNS", "200")
    folder = tiny_models.save(tiny_models.llava(tied=True), tmp_path / "llava")
    assert main(["doctor", str(folder), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    for expected in (
        "LlavaForConditionalGeneration (model type llava)",
        "10 at model.language_model.layers",
        "model.language_model.norm",
        "lm_head, 384 x 64, tied to the input embeddings",
        "image and text: logits at the last state within",
        "LlavaProcessor, with a chat template",
        "<image> (3)",
    ):
        assert expected in said


def test_doctor_gives_the_reason_for_a_refusal(tmp_path, capsys):
    from transformers import CLIPVisionConfig, CLIPVisionModel

    folder = tmp_path / "eyes"
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    CLIPVisionModel(CLIPVisionConfig(**small, num_attention_heads=2)).save_pretrained(folder)
    capsys.readouterr()
    assert main(["doctor", str(folder), "--device", "cpu"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "UnsupportedModel: " in captured.err
    assert "is neither a vision-language model nor a decoder" in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize("model", [[], ["demo"]])
def test_doctor_without_the_demo_model_names_the_command(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path))
    assert main(["doctor", *model]) == 1
    assert "lvlm-audit demo" in capsys.readouterr().err


def test_doctor_shows_what_is_invisible():
    import io

    from rich.console import Console

    from lvlm_audit.report.terminal.doctor import show

    out = io.StringIO()
    show([("model", "[bold]x\x1b[31m")], Console(file=out, width=80))
    assert "[bold]x" in out.getvalue()
    assert "\x1b[31m" not in out.getvalue()
