"""Question files as LLaVA's benchmarks have them (LLaVA-Bench, llava_pope_test), and their near relatives.

A record holds an image (`image`, or `image_source` as exported POPE sets name it), a question (`text` or
`question`) and, where it is known, its answer (`answer`, `label` or `gt_answer`), its id (`question_id` or
`id`) and its `category`. An answer of yes or no is what a right answer says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import image, text
from lvlm_audit.probes.formats import chat
from lvlm_audit.probes.formats.each import each
from lvlm_audit.probes.probe import ImageSource
from lvlm_audit.probes.quoting import visible
from lvlm_audit.probes.source import Source

IMAGES = ("image", "image_source", "image_path")
QUESTIONS = ("text", "question")
ANSWERS = ("answer", "label", "gt_answer")

_READ = (*IMAGES, *QUESTIONS, *ANSWERS, "question_id", "id")
_EXAMPLE = '{"question_id": 1, "image": "photo.jpg", "text": "What is this?", "category": "detail"}'
_POPE_CATEGORIES = ("adversarial", "popular", "random")


def recognised(first: Mapping[str, Any]) -> bool:
    """Whether a record has an image and a question, under these names."""
    return any(key in first for key in IMAGES) and any(key in first for key in QUESTIONS)


def drafts(source: Source) -> Iterator[Draft]:
    """The file's questions.

    Raises:
        ProbeError: records that cannot be asked, all of them.
    """
    return each(source, draft)


def draft(where: str, record: dict[str, Any], source: Source) -> Draft:
    """The draft of one question."""
    missing = [
        " or ".join(map(repr, keys))
        for keys in (IMAGES, QUESTIONS)
        if not any(record.get(key) is not None for key in keys)
    ]
    if missing:
        raise ProbeError(f"{where}: no {' and no '.join(missing)}. A record is {_EXAMPLE}.")
    chat.note_unread(record, _READ, source)
    question = next(key for key in QUESTIONS if record.get(key) is not None)
    key = next((key for key in ANSWERS if record.get(key) is not None), None)
    answer = None if key is None else text(where, record, key)
    labels = chat.labels_of(record)
    if answer is not None and answer.strip().lower().rstrip(".") in ("yes", "no"):
        labels |= {"kind": "yes_no", "expected": answer.strip().lower().rstrip(".")}
        if labels.get("category") in _POPE_CATEGORIES:
            labels["dataset"] = "POPE"
    identity = chat.identity(where, record, "question_id", "id")
    shown = _image(where, record, source)
    return Draft(
        where,
        (shown,),
        text(where, record, question, optional=False) or "",
        stem=identity or (visible(PurePath(shown.name).stem) if shown.path else "question"),
        # Question ids start anew in each part of some data sets: they are names, not keys.
        answer=answer,
        labels=labels,
    )


def _image(where: str, record: Mapping[str, Any], source: Source) -> ImageSource:
    """The image; exported sets name it without its ending."""
    key = next(key for key in IMAGES if record.get(key) is not None)
    name = text(where, record, key, optional=False) or ""
    endings = ("", ".jpg", ".png", ".jpeg") if key == "image_source" else ("",)
    there = [name + end for end in endings if os.path.isfile(source.folder / (name + end))]
    return image(where, (there or [name])[0], source)
