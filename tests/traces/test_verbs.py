"""What a person asks a trace: top, curve, plot, and a repr that fits a line."""

from __future__ import annotations

import dataclasses
import doctest
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.errors import TraceError
from lvlm_audit.hallucination.labels import label_answers
from lvlm_audit.hallucination.signals.evidence import TokenEvidence
from lvlm_audit.recordings.evidence import Evidence, Recorded
from lvlm_audit.traces.features import FeatureMap, FeatureTrace
from lvlm_audit.traces.image_words import ImageWords
from lvlm_audit.traces.redecoded import Redecoded
from lvlm_audit.traces.store import Recording
from lvlm_audit.traces.trace import Asked, TokenClass, Trace
from lvlm_audit.traces.verbs import UNITS
from tests.synthetic import effect, pair, rising, trace

matplotlib.use("Agg")

EXAMPLE = trace(rising(12, 6, 0.75), paper_index=[0.5] * 12)


def test_the_examples_run() -> None:
    runner = doctest.DocTestRunner()
    finder = doctest.DocTestFinder(recurse=True)
    tests = [t for t in finder.find(Trace, globs={"trace": EXAMPLE}) if t.examples]
    # The class has an example too, which needs more names: tests/test_public_names.py runs it.
    verbs = [t for t in tests if "." in t.name]
    assert {t.name for t in verbs} == {"Trace.top", "Trace.curve", "Trace.plot"}
    for one in verbs:
        assert runner.run(one).failed == 0


@pytest.mark.parametrize("state", [0, 6, 12, -1, -13])
@pytest.mark.parametrize("k", [1, 2, None])
def test_top_is_the_traces_own(state: int, k: int | None) -> None:
    said = EXAMPLE.top(state=state, k=k)
    assert len(said) == EXAMPLE.tokens
    for t, candidates in enumerate(said):
        assert len(candidates) == (k or 2)
        assert [c.id for c in candidates] == EXAMPLE.top_ids[t, state, :k].tolist()
        assert [c.probability for c in candidates] == EXAMPLE.top_probs[t, state, :k].tolist()
        assert [c.text for c in candidates] == [EXAMPLE.vocabulary[c.id] for c in candidates]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"state": 13}, r"'p0' has no state 13: its states are 0 \(embedding\) to 12"),
        ({"state": -14}, "no state -14"),
        ({"k": 3}, "keeps the 2 most probable tokens of a state, so k is 1 to 2, not 3"),
        ({"k": 0}, "not 0"),
    ],
)
def test_what_top_cannot_say(asked: dict[str, int], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        EXAMPLE.top(**asked)


@pytest.mark.parametrize("name", UNITS)
def test_a_curve_is_the_field_of_that_name(name: str) -> None:
    values = EXAMPLE.curve(name)
    assert values is getattr(EXAMPLE, name)
    assert values.shape in {(4, 12), (4, 13)}


def test_curves_that_are_not_there() -> None:
    with pytest.raises(TraceError, match="no curve 'probabilty'. Did you mean 'probability'"):
        EXAMPLE.curve("probabilty")
    with pytest.raises(TraceError, match=r"no curve 'x'\. It has probability, rank"):
        EXAMPLE.curve("x")
    with pytest.raises(TraceError, match="holds no paper_index"):
        trace(rising()).curve("paper_index")


@pytest.mark.parametrize("name", UNITS)
def test_a_plot_shows_every_token_at_every_state(name: str, tmp_path: Path) -> None:
    axes = EXAMPLE.plot(name)
    np.testing.assert_array_equal(axes.images[0].get_array(), EXAMPLE.curve(name))
    assert [label.get_text() for label in axes.get_yticklabels()] == [" blue"] * 4
    between = name in ("divergence", "paper_index")
    assert axes.get_xlabel() == ("transition from state" if between else "state (0 = embedding)")
    axes.figure.savefig(tmp_path / "trace.png")
    assert (tmp_path / "trace.png").stat().st_size > 1000
    assert axes.figure.axes[1].get_ylabel().endswith(f"({UNITS[name]})")
    matplotlib.pyplot.close(axes.figure)


def test_a_plot_on_somebodys_axes() -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    assert EXAMPLE.plot(axes=axes) is axes
    assert axes.figure is figure
    pyplot.close(figure)


# The sign for an escape is in few fonts; what matters is that no escape is drawn.
@pytest.mark.filterwarnings("ignore:Glyph")
def test_hostile_tokens_are_drawn_as_they_are(tmp_path: Path) -> None:
    texts = ("$\\frac{", "\u202eevil\x1b[2J", "_^$", "a" * 1000)
    asked = dataclasses.replace(EXAMPLE.asked, prompt="$\\notmath$ \u202e" + "x" * 500)
    axes = dataclasses.replace(EXAMPLE, token_texts=texts, asked=asked).plot()
    axes.figure.savefig(tmp_path / "trace.png")
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "$\\frac{"
    assert labels[1] == "⟨U+202E⟩evil␛[2J"
    assert len(labels[3]) == 24
    assert len(axes.get_title(loc="left")) == 80
    matplotlib.pyplot.close(axes.figure)


def test_without_matplotlib_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from tests.synthetic import trace, rising\n"
        "from lvlm_audit.errors import UsageError\n"
        "try: trace(rising()).plot()\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "trace.plot() needs matplotlib, which is not installed. Install it with: "
        'pip install "lvlm-audit[plot]"\n'
    )


ASKED = Asked("p" * 5000, "What?", "c")
HOSTILE = dataclasses.replace(EXAMPLE, asked=ASKED, answer="\u202e\x1b[2J" + "long " * 5000)
RECORDS = [
    EXAMPLE,
    HOSTILE,
    pair([0.1] * 9),
    effect(agrees=[True, False]),
    FeatureTrace(ASKED, np.array([1]), ("a",), (TokenClass.CONTENT,), np.zeros((1, 4, 8), "f2")),
    FeatureMap(ASKED, "tokens", ("a",), np.zeros((1, 3, 2)), 0.5, np.zeros((1, 3, 2)), 5.0),
    ImageWords(ASKED, "normed", np.array([1]), np.zeros((1, 3), "f4"), np.zeros((1, 3), "i4"), 7),
    Redecoded(ASKED, "DoLa", "d" * 900, "s" * 900, (), np.arange(900), "a" * 9000),
    Recording([EXAMPLE] * 500, {"seconds": 1.0}),
    Evidence.of_items("normed", {"answers": [EXAMPLE] * 500}),
    Recorded((effect(agrees=[True]),), "r" * 900),
    TokenEvidence.of(EXAMPLE),
    label_answers([EXAMPLE])[0],
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: type(r).__name__)
def test_a_repr_fits_a_line(record: object) -> None:
    text = repr(record)
    assert text.startswith(f"{type(record).__name__}(")
    assert text.endswith(")")
    assert 20 < len(text) <= 200
    assert text.isprintable()


def test_a_repr_says_what_it_is_of() -> None:
    assert repr(EXAMPLE).startswith(
        "Trace(asked='p0', lens='normed', answer=' blue blue blue blue', token_ids=int64[4], "
    )


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_breaks_a_repr(name: str, answer: str) -> None:
    text = repr(dataclasses.replace(EXAMPLE, asked=Asked(name, "?", "c"), answer=answer))
    assert len(text) <= 200
    assert text.isprintable()
    text.encode("utf-8")
