"""Settings: one declaration each, the same meaning and the same words wherever they are given."""

from __future__ import annotations

import argparse
import ast
import dataclasses
from pathlib import Path
from typing import get_args

import pytest

import lvlm_audit
from lvlm_audit.cli import main
from lvlm_audit.errors import UsageError
from lvlm_audit.settings.audit import Answers, Control, Settings, settings_of
from lvlm_audit.settings.declared import AUDIT, FILES, GATE, MODE, PRUNING, add_options
from lvlm_audit.settings.files import Files
from lvlm_audit.settings.gate import Gate
from lvlm_audit.settings.pruning import Measure, Wanted
from lvlm_audit.settings.reading import DivergenceName, ScalingName
from lvlm_audit.settings.spelling import for_command, for_pytest, in_python, speaking, spelled


class TestSettings:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"lens": "tuned"}, "lens 'tuned' is not one of normed, raw"),
            ({"dtype": "int8"}, "dtype 'int8' is not one of"),
            ({"answers": "gold"}, "answers 'gold' is not one of generated, reference"),
            ({"device": "gpu"}, "device 'gpu' is not a device"),
            ({"max_new_tokens": 0}, "max_new_tokens 0 records nothing"),
            ({"batch_size": 0}, "batch_size 0 is empty"),
            ({"control": "dark"}, "control 'dark' is not one of text-only, blank-image"),
            ({"control": "blank-image", "compare_llm": True}, "Drop one of the two"),
            ({"control": "swapped-image", "redecode": True}, "control='swapped-image' replaces"),
            ({"answers": "reference", "redecode": True}, "answers='reference' replaces"),
            ({"seed": -1}, "seed -1 is negative"),
            ({"probe_format": "pope"}, "probe_format is about a probe file: name it with"),
            (
                {"image_folder": Path("x")},
                "image_folder is about a probe file: name it with",
            ),
        ],
    )
    def test_values_that_cannot_be_used(self, fields, message):
        with pytest.raises(UsageError, match=message):
            Settings(**fields)

    def test_a_device_may_have_an_index(self):
        assert Settings(device="cuda:1").device == "cuda:1"

    def test_aliases_become_what_they_mean_and_so_share_a_recording(self):
        assert Settings(dtype="bf16") == Settings(dtype="bfloat16")

    def test_a_misspelled_choice_names_the_nearest(self):
        with pytest.raises(UsageError, match="Did you mean 'blank-image'"):
            Settings(control="blank-imge")

    def test_two_results_in_one_file(self, tmp_path):
        with pytest.raises(UsageError, match="report and json name the same file"):
            Files(report=tmp_path / "x", json=tmp_path / "." / "x")


WRONG = {
    "text": None,
    "path": "",
    "whole": "many",
    "number": "inf",
    "flag": None,
}
"""A value that its kind refuses, as a text; any text is a text, and a flag has no value."""

GOOD = {
    "model": "m",
    "probes": "p.jsonl",
    "probe_format": "pope",
    "image_folder": "pictures",
    "adapter": "a",
    "revision": "v1",
    "lens": "raw",
    "divergence": "paper_index",
    "scaling": "paper",
    "answers": "reference",
    "control": "blank-image",
    "max_new_tokens": "7",
    "device": "cpu",
    "dtype": "fp16",
    "batch_size": "3",
    "seed": "5",
}
NEEDS = {
    "probe_format": "probes",
    "image_folder": "probes",
    "adapter": "model",
    "revision": "model",
}


def parsed(prefix: str, *arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_options(parser.add_argument, AUDIT, prefix=prefix)
    given = vars(parser.parse_args(arguments))
    start = prefix.removeprefix("--").replace("-", "_")
    return {name.removeprefix(start): value for name, value in given.items()}


@pytest.mark.parametrize("name", AUDIT)
class TestEveryField:
    def test_it_means_the_same_in_pytest_on_a_command_line_and_in_python(self, name):
        value = GOOD.get(name)
        asked = {name: True if value is None else value}
        if name in NEEDS:
            asked[NEEDS[name]] = GOOD[NEEDS[name]]
        flags = []
        for field, given in asked.items():
            flags += [f"--{field.replace('_', '-')}", *([] if given is True else [str(given)])]
        for_plugin = [f.replace("--", "--lvlm-", 1) for f in flags]
        by_command = settings_of(parsed("--", *flags))
        by_pytest = settings_of(parsed("--lvlm-", *for_plugin))
        assert by_command == by_pytest == Settings(**asked)
        assert getattr(by_command, name) != AUDIT[name].default

    def test_a_wrong_value_gets_the_same_words_with_the_right_name(self, name):
        known = AUDIT[name]
        wrong = "nothing-known" if known.choices else WRONG[known.kind]
        if wrong is None:
            # Python alone can give a flag or a text something else.
            with pytest.raises(UsageError, match=f"^{name} 7 is "):
                Settings(**{name: 7})
            return
        messages = []
        for spelling in (in_python, for_pytest, for_command(set(AUDIT))):
            with speaking(spelling), pytest.raises(UsageError) as error:
                settings_of({name: wrong, **({"probes": "p"} if name != "probes" else {})})
            assert str(error.value).startswith(spelling(name, None) + " ")
            messages.append(str(error.value).removeprefix(spelling(name, None)))
        assert len(set(messages)) == 1


@pytest.mark.parametrize(
    ("known", "name", "kind"),
    [
        (AUDIT, "answers", Answers),
        (AUDIT, "control", Control),
        (AUDIT, "divergence", DivergenceName),
        (AUDIT, "scaling", ScalingName),
        (PRUNING, "measure", Measure),
    ],
)
def test_the_types_have_the_declared_choices(known, name, kind):
    assert get_args(kind) == known[name].choices


def test_each_declaration_has_its_typed_field():
    for known, view in ((AUDIT, Settings), (FILES, Files), (GATE, Gate), (PRUNING, Wanted)):
        assert [f.name for f in dataclasses.fields(view)] == list(known)
    assert MODE.choices == ("paper",)


def test_defaults_are_values_that_the_settings_take_as_they_are():
    made = Settings()
    assert {name: getattr(made, name) for name in AUDIT} == {
        name: known.default for name, known in AUDIT.items()
    }


def test_a_command_names_the_options_that_it_has(capsys):
    assert main(["plan", "--budget", "1", "--batch-size", "0"]) == 1
    assert "--batch-size 0 is empty" in capsys.readouterr().err
    assert main(["plan", "--budget", "-1"]) == 1
    assert "--budget -1" in capsys.readouterr().err
    assert main(["doctor", "--dtype", "bf61"]) == 1
    assert "Did you mean 'bf16'?" in capsys.readouterr().err


def test_a_setting_that_a_command_lacks_is_the_audits():
    with speaking(for_command({"batch_size"})):
        assert spelled("control", "text-only") == "--lvlm-control text-only"
        assert spelled("batch_size", "8") == "--batch-size 8"
        assert spelled("compare_llm", True) == "--lvlm-compare-llm"
    assert spelled("compare_llm", True) == "compare_llm=True"
    assert spelled("control", "a b") == "control='a b'"
    assert Path("x") == Settings(probes="x").probes


def test_no_message_names_an_option_by_hand():
    """Its reader may be in Python, or call another command: messages say `spelled(name)`."""
    package = Path(lvlm_audit.__file__).parent
    found = []
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0]
        # Where options are declared, and the help of commands that speak of pytest's.
        if room in ("settings", "pytest_plugin", "cli"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        found += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and "--lvlm-" in node.value
            and id(node) not in texts
        ]
    assert found == []
