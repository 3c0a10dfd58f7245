"""What the terminal says of the gate, in which order, at 80 columns."""

from __future__ import annotations

import dataclasses

from lvlm_audit.document import Severity
from tests.report import documents, gate_documents
from tests.report.test_gate import in_order
from tests.report.test_terminal import show


def flat(text: str) -> str:
    return " ".join(text.split())


def test_differences_of_what_is_fed_losses_figures_and_what_stayed_open() -> None:
    text = flat(show(gate_documents.red()))
    in_order(
        text,
        "✗ fail 2 of 4 deciding checks failed",
        "fed processor: image_mean: [0.5, 0.5, 0.5] here, [0.48, 0.457, 0.408] in the baseline",
        "loss ✗ right answers fell from 20 to 9 of 24 (11 lost, none gained)",
        "loss ✗ the image's advantage fell by 2.9 [1.0, 4.8] bits",
        "gone levels_agree: no more applicable",
        "against parent: 13 of 24 answers changed (2 ties not counted); right answers fell from 20 to 9;",
        "? undecided: wrong_words; about 72 images would decide",
        "not compared: reference_bits",
        "new, not in the baseline: late_switches",
        "model llava",
        "moved described, image by image; simultaneous 95 % intervals.",
        "settle state +0.85 [+0.4, +1.3], 24 images",
        "1 within chance, 1 without an interval",
    )
    assert text.endswith("4 of 5 deciding checks were run; left out: image_kept_late")


def test_every_line_fits_and_colours_tell_outcomes_apart() -> None:
    coloured = show(gate_documents.red(), colour=True)
    assert "\x1b[1;31m✗ " in coloured
    assert "\x1b[33m? " in coloured
    plain = show(gate_documents.red(), encoding="ascii")
    assert "loss    x right answers" in plain


def test_an_unchanged_model_says_so_and_nothing_was_left_out() -> None:
    text = show(gate_documents.unchanged(), width=200)
    assert (
        "against parent: 0 of 24 answers changed (1 tie not counted); right answers stayed" in text
    )
    labels = {line[:8].strip() for line in text.splitlines()}
    assert "against" in labels
    assert labels.isdisjoint({"loss", "fed", "gone", "asked"})
    assert "undecided" not in text
    assert "left out" not in text
    assert text.rstrip().endswith("[x].json")


def test_many_settings_are_counted_and_a_mismatch_is_named() -> None:
    text = flat(show(gate_documents.fed_differently()))
    assert "26 settings more differ" in text
    assert "asked otherwise: lens: normed here, raw in the baseline" in flat(
        show(gate_documents.mismatched())
    )


def test_the_anchor_is_told_apart() -> None:
    text = flat(show(gate_documents.anchored()))
    assert "loss ✗ against the anchor: right answers fell" in text
    assert "against anchor first: 13 of 24" in text


def test_descriptions_come_last_without_bound() -> None:
    for width in (60, 80, 120):
        text = show(gate_documents.red(), width=width)
        in_order(text, "severity error", "severity warn", "described, no bound", "late_switches")
        described = text[text.index("described, no bound") :]
        described = described[: described.index("moved ")]
        assert "vs" not in described
        assert "≥" not in described
        assert "None" not in described
        assert "✓ pass" not in described
        in_order(described, "✗ loss shown", "? undecided", "– not compared", "late_switches")
        in_order(flat(described), "41 % [32.8, 49.2] of tokens")


def test_a_loss_that_only_warns_is_told_as_such() -> None:
    audit = gate_documents.red()
    assert audit.comparison is not None
    warning = [dataclasses.replace(one, severity=Severity.WARN) for one in audit.comparison.changes]
    again = dataclasses.replace(audit.comparison, changes=warning)
    assert "(severity warn)" in show(dataclasses.replace(audit, comparison=again), width=200)
    assert "(severity warn)" not in show(audit, width=200)


def test_kinds_are_one_line() -> None:
    text = show(gate_documents.red(), width=200)
    line = "kinds   naming 10 of 14 words; colour 5 of 7 right; count 5 of 7 right; yes/no 3 of 3 right\n"
    assert line in text
    assert "kinds" not in show(documents.audit())
