"""Our own probe files: one JSON object a line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import image, name, text
from lvlm_audit.probes.json_text import EXAMPLE, records
from lvlm_audit.probes.labels import read_truth
from lvlm_audit.probes.quoting import described, short, visible
from lvlm_audit.probes.source import Source

KEYS = ("image", "prompt", "answer", "labels", "cluster", "id")
"""Keys of a JSONL line; the first two are required."""

# Other data sets' names for our keys, which are too far from them for a spelling suggestion.
_FOREIGN_KEYS = {
    "caption": "answer",
    "file": "image",
    "file_name": "image",
    "filename": "image",
    "gt": "answer",
    "path": "image",
    "query": "prompt",
    "question": "prompt",
    "question_id": "id",
    "text": "prompt",
    "url": "image",
}


def drafts(source: Source) -> Iterator[Draft]:
    """The file's probes, line by line.

    Raises:
        ProbeError: a line that cannot be asked, or none at all.
    """
    for place, line in records(source):
        yield _draft(place, line, source)


def _draft(where: str, line: dict[str, Any], source: Source) -> Draft:
    for key in line:
        if key not in KEYS:
            raise ProbeError(_unknown_key(where, key))
    images = _image_names(where, line)
    if not images:
        raise ProbeError(f"{where}: the key 'image' is missing. Write it as in {EXAMPLE}.")
    question = text(where, line, "prompt", optional=False) if "prompt" in line else source.prompt
    if question is None:
        raise ProbeError(
            f"{where}: the key 'prompt' is missing. Write it as in {EXAMPLE}, or give one prompt "
            f"for all lines that have none."
        )
    stem = visible(PurePath(images[0]).stem)
    draft = Draft(where, tuple(image(where, i, source) for i in images), question, stem)
    draft.answer = text(where, line, "answer")
    draft.id = name(where, line, "id")
    draft.cluster = name(where, line, "cluster")
    labels = line.get("labels")
    if labels is not None:
        if not isinstance(labels, dict):
            raise ProbeError(
                f"{where}: 'labels' must be an object, not {described(labels)}. "
                f'Write it as {{"labels": {{"kind": "color"}}}}.'
            )
        draft.labels = labels
        read_truth(labels, where, draft.answer)
    return draft


def _image_names(where: str, line: dict[str, Any]) -> list[str]:
    """What is under 'image', one path or several; nothing if the key is absent."""
    value = line.get("image")
    if not isinstance(value, list):
        single = text(where, line, "image", optional=False)
        return [] if single is None else [single]
    if not value:
        raise ProbeError(f"{where}: 'image' is an empty list. Name at least one image in it.")
    return [text(where, {"image": one}, "image", optional=False) or "" for one in value]


def _unknown_key(where: str, key: str) -> str:
    near = difflib.get_close_matches(key.lower(), KEYS, n=1)
    guess = _FOREIGN_KEYS.get(key.lower()) or (near[0] if near else None)
    remedy = f"Did you mean {guess!r}?" if guess else "Put facts of your own under 'labels'."
    return f"{where}: unknown key {short(key)}. {remedy} Known keys: {', '.join(KEYS)}."
