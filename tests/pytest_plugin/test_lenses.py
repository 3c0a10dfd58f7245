"""`--lvlm-lens NAME` with a lens of a third party's."""

from __future__ import annotations

import dataclasses

import pytest

from lvlm_audit.hallucination.signals import signals, unregister
from lvlm_audit.lenses.registry import GROUP, LENSES
from tests.pytest_plugin.lab import check_text
from tests.third_party import distribution

LENS = """
class Theirs:
    name = "theirs"
    content = "first"

    def fingerprint(self):
        return self.content

    def check(self, anatomy):
        pass

    def rows(self, states, first, readout):
        return readout.normed(states)


theirs = Theirs()
"""


@pytest.fixture
def asked(lab, monkeypatch):
    """The model answers through that lens; what is registered is forgotten afterwards."""
    monkeypatch.setattr(LENSES, "_others", {})
    monkeypatch.setattr(LENSES, "_loaded", False)
    lab.checks("check_a.py", "passes")
    plain = lab.answer
    lab.answer = lambda p: dataclasses.replace(plain(p), lens="theirs")
    return lab


def test_an_installed_package(asked, monkeypatch):
    module = "a_package_with_their_lens"
    site = distribution(asked.path / "site", module, LENS, theirs=(GROUP, "theirs"))
    monkeypatch.syspath_prepend(str(site))
    result, document = asked.audit("--lvlm-lens", "theirs")
    assert result.ret == 0
    assert document["subject"]["lens"] == "theirs"
    assert document["provenance"]["lenses"] == {"theirs": "first"}
    result.stdout.fnmatch_lines(["*theirs lens*"])
    assert {need.lens for need in asked.recorded} == {"theirs"}


@pytest.mark.parametrize("file", ["conftest.py", "check_b.py"])
def test_a_file_that_registers_it(asked, file):
    text = f"{LENS}\nfrom lvlm_audit.lenses import register_lens\nregister_lens(theirs)\n"
    if file.startswith("check_"):
        text += check_text(["passes_too"])
    (asked.path / file).write_text(text)
    result, document = asked.audit("--lvlm-lens", "theirs")
    assert result.ret == 0
    assert document["subject"]["lens"] == "theirs"


def test_another_content_is_another_recording_and_states_are_not(asked):
    text = f"{LENS}\nfrom lvlm_audit.lenses import register_lens\nregister_lens(theirs)\n"
    (asked.path / "conftest.py").write_text(text)
    answers = []
    for content in ("first", "first", "second"):
        LENSES.unregister("theirs")
        (asked.path / "conftest.py").write_text(text.replace('"first"', f'"{content}"'))
        asked.recorded.clear()
        asked.states.clear()
        _, document = asked.audit("--lvlm-lens", "theirs")
        assert document["provenance"]["lenses"] == {"theirs": content}
        states = [need for need in asked.states if need.kind != "rounding"]
        answers.append((len(asked.recorded) > 0, len(states) > 0))
    assert answers == [(True, True), (False, False), (True, False)]


ABSOLUTE = ("--lvlm-fail-on", "absolute")


def test_baselines_through_lenses_of_one_name_and_other_content(asked):
    text = f"{LENS}\nfrom lvlm_audit.lenses import register_lens\nregister_lens(theirs)\n"
    for content, more in (("first", []), ("second", ["--lvlm-baseline", "before.json", *ABSOLUTE])):
        LENSES.unregister("theirs")
        (asked.path / "conftest.py").write_text(text.replace('"first"', f'"{content}"'))
        result = asked.run("--lvlm-lens", "theirs", "--lvlm-json", "before.json", *more)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = " ".join((result.stdout.str() + result.stderr.str()).split())
    assert "content of the theirs lens: second here, first in the baseline" in text
    assert "--lvlm-baseline-allow-mismatch" in text


def test_a_name_that_nobody_registered(asked):
    result = asked.run("--lvlm-lens", "normd")
    assert result.ret != 0
    text = result.stdout.str() + result.stderr.str()
    assert "--lvlm-lens 'normd' is not one of normed, raw. Did you mean 'normed'?" in text


def test_a_check_file_may_register_a_signal_though_it_is_run_twice(lab):
    text = (
        "from lvlm_audit.hallucination import Signal, register_signal\n"
        "register_signal(Signal('mine', 'A length.', 'nobody', lambda e: e.probability[:, 0]))\n"
    )
    (lab.path / "check_c.py").write_text(text + check_text(["passes"]))
    try:
        result = lab.run("check_c.py")
        assert result.ret == 0
        assert "mine" in [signal.name for signal in signals()]
    finally:
        unregister("mine")
