"""Hand-made documents of a parent and a candidate: answers, labelled words and values by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lvlm_audit.document import (
    AskedProbe,
    Audit,
    Bound,
    Finding,
    Rounding,
    Severity,
    Stage,
    Verdict,
)
from tests.report import documents

FED = {
    "processor": {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "size": 336},
    "chat template": {"chat_template": "USER: <image>\n{{ text }}\nASSISTANT:"},
    "generation": {"eos_token_id": 2},
}


def asked(number: int, **changes: Any) -> AskedProbe:
    """One probe about an image of its own, answered rightly."""
    values: dict[str, Any] = {
        "id": f"p{number:02d}",
        "cluster": f"i{number:02d}",
        "answer": f"A banana {number}",
        "tokens": [5, 6, number],
        "margins": [4.0, 4.0, 4.0],
        "right": True,
        "words_asked": 2,
        "words_found": 2,
    }
    return AskedProbe(**(values | changes))


def answers(rights: Sequence[bool | None], **changes: Any) -> list[AskedProbe]:
    """One probe for each, whose answer says whether it is right."""
    return [
        asked(
            i,
            right=right,
            answer="right" if right else "wrong",
            tokens=[5, int(bool(right)), 2],
            words_found=2 * bool(right),
            **changes,
        )
        for i, right in enumerate(rights)
    ]


def finding(
    check: str, values: Mapping[str, float], of: str = "average", **declared: Any
) -> Finding:
    """One finding with its values by image; `severity` and `verdict` may be given too."""
    severity = declared.pop("severity", Severity.ERROR)
    observed = sum(values.values()) / len(values) if values else None
    bound = declared.pop("bound", None)
    verdict = declared.pop("verdict", Verdict.DESCRIBED if values else Verdict.NOT_APPLICABLE)
    unit = declared.pop(
        "unit", f"share of {of}" if of in ("answers", "tokens", "images") else "bits"
    )
    return documents.finding(
        check,
        Stage.WHOLE_ANSWER,
        verdict,
        observed,
        Bound(">=", bound, unit),
        severity,
        per_image=dict(values),
        declared={
            "metric": check,
            "property": "Value",
            "parameters": {},
            "holds_for": {"side": ">=", "value": bound, "of": of},
            "tokens": "content",
            "lens": None,
            **declared,
        },
    )


def right(probes: Sequence[AskedProbe], **declared: Any) -> Finding:
    """The check of right answers."""
    values = {p.cluster: float(p.right) for p in probes if p.right is not None}
    told = {
        "metric": "the whole answer is right",
        "max_drop": 0.05,
        "tolerance": "points",
        "support": [0.0, 1.0],
    }
    return finding("right_answers", values, "answers", **(told | declared))


def advantage(values: Sequence[float], **declared: Any) -> Finding:
    """The check of the image's advantage."""
    told = {
        "metric": "log2 likelihood ratio of the reference answer, own image over another probe's",
        "max_drop": 0.2,
        "tolerance": "share",
        "support": [-126.0, 126.0],
        "unit": "bits per token",
    }
    return finding("image_informs", by_image(values), **(told | declared))


def by_image(values: Sequence[float]) -> dict[str, float]:
    """Values of images in order."""
    return {f"i{i:02d}": float(value) for i, value in enumerate(values)}


def side(findings: Sequence[Finding], probes: Sequence[AskedProbe] = (), **changes: Any) -> Audit:
    """A document of them."""
    values: dict[str, Any] = {
        "findings": list(findings),
        "asked": list(probes),
        "fed": FED if probes else {},
        "provenance": {
            "created": "2026-11-22",
            "seed": 0,
            "max_new_tokens": 24,
            "dtype": "bfloat16",
        },
        "rounding": Rounding(floor=0.01, probes=4, tokens=20, runs=["batch of 1"])
        if probes
        else None,
    }
    return documents.audit(0, **(values | changes))
