"""The page of the hallucination benchmark says what the reading holds, also where it is bad news."""

from __future__ import annotations

import pytest

from benchmarks.hallucination import KINDS, of_kind, page
from lvlm_audit.document import HallucinationReading, Interval, KindScore, SignalScore
from tests.evidence import evidence_of
from tests.hallucination.answers import said


def ends(low: float, high: float) -> Interval:
    return Interval(low, high, 0.95, "cluster bootstrap and t")


def score(
    name: str, auroc: float | None, low: float = 0.0, high: float = 1.0, **more
) -> SignalScore:
    known = auroc is not None
    fields = {
        "name": name,
        "statement": "It is odd.",
        "source": "nobody 2026",
        "auroc": auroc,
        "auroc_interval": ends(low, high) if known else None,
        "average_precision": 0.4 if known else None,
        "ap_interval": ends(0.3, 0.5) if known else None,
        "n_hallucinated": 300,
        "n_correct": 700,
        "n_images": 400,
        "rate_on_correct": 0.21 if known else None,
        "rate_on_hallucinated": 0.5 if known else None,
        "threshold": 0.3 if known else None,
        "own_threshold": False,
    }
    return SignalScore(**{**fields, **more})


def reading(**changes) -> HallucinationReading:
    fields = {
        "scheme": "drawn scene",
        "words": "",
        "images": 400,
        "labelled": 1000,
        "hallucinated": 300,
        "base_rate": 0.3,
        "base_rate_interval": ends(0.27, 0.33),
        "prior_driven": None,
        "not_eligible": 7,
        "baseline": "final_probability",
        "signals": [
            score("final_probability", 0.71, 0.66, 0.76),
            score(
                "good", 0.8, 0.75, 0.85, over_baseline=0.09, over_baseline_interval=ends(0.02, 0.16)
            ),
            score(
                "chance",
                0.52,
                0.47,
                0.57,
                over_baseline=-0.2,
                over_baseline_interval=ends(-0.3, -0.1),
            ),
            score("backwards", 0.31, 0.27, 0.36, note="12 labelled tokens have no value."),
            score("absent", None, note="Not measured: no image."),
        ],
    }
    return HallucinationReading(**{**fields, **changes})


def line(text: str, start: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(start))


def test_each_signal_is_called_what_its_interval_makes_it() -> None:
    made = page(reading(), {}, "m")
    assert (
        line(made, "- Better than chance") == "- Better than chance: `final_probability`, `good`."
    )
    assert line(made, "- No better than chance").endswith(": `chance`.")
    assert line(made, "- Worse than chance").endswith(": `backwards`.")
    assert line(made, "- Better than the baseline").endswith(": `good`.")
    assert (
        "| `good` | 0.80 [0.75, 0.85] | +0.09 [0.02, 0.16] | 0.40 [0.30, 0.50] | 0.21* | 0.50* |"
        in made
    )
    assert "| `absent` | Not measured: no image." in made
    assert "`backwards`: 12 labelled tokens have no value." in made
    assert "1000 labelled words in 400 images, 300 of them hallucinated" in made
    assert "a base rate of 0.30 [0.27, 0.33]" in made


def test_errors_of_the_prior_and_misreadings_stand_apart() -> None:
    kinds = {
        "prior_driven": KindScore(0.6, ends(0, 1), 0.1, ends(0, 1), 4, 700, 300, "inconclusive: 4"),
        "misread": KindScore(0.8, ends(0.7, 0.9), 0.4, ends(0.3, 0.5), 296, 700, 400),
    }
    made = page(reading(prior_driven=4, signals=[score("good", 0.8, 0.7, 0.9, **kinds)]), {}, "m")
    assert "4 of the 300 hallucinated words are *prior-driven*" in made
    assert "| `good` | 0.60 [0.00, 1.00] (inconclusive: 4) | 0.80 [0.70, 0.90] |" in made
    assert "Not told apart." in page(reading(), {}, "m")


def test_kinds_of_question_are_read_by_themselves() -> None:
    made = page(reading(), {"yes_no": reading(labelled=123)}, "m")
    assert "## Yes/no questions alone" in made
    assert "123 words, 300 hallucinated" in made
    traces = [said("Two .", {"kind": kind}, name=kind) for kind in KINDS]
    kept = of_kind(evidence_of("normed", traces), "count")
    assert [t.asked.id for t in kept.traces] == ["count"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_scenes_are_crowded_and_of_the_kinds_that_are_asked(kind) -> None:
    from benchmarks.hallucination import CROWDED, SEED
    from lvlm_audit.demo.probes import demo_probes

    found = [p for p in demo_probes(48, seed=SEED) if p.labels["kind"] == kind]
    assert any(p.labels["count"] == CROWDED for p in found)
