"""Sample logs of lmms-eval (`--log_samples`), where they name the images that were shown.

A record holds `doc_id`, `target`, `input` (the question) or the document (`doc`), without its images. They
can be asked again where the record names them: under `input_media`, or in the document (`image`,
`image_source`, `image_path`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.formats import questions
from lvlm_audit.probes.formats.each import each
from lvlm_audit.probes.quoting import short
from lvlm_audit.probes.source import Source

KEYS = frozenset({"doc_id", "target"})
"""Keys of a record."""


def drafts(source: Source) -> Iterator[Draft]:
    """The questions of a log; the target is the reference answer.

    Raises:
        ProbeError: records that name no image, all of them.
    """
    return each(source, _draft)


def _draft(where: str, record: dict[str, Any], source: Source) -> Draft:
    doc = record.get("doc") if isinstance(record.get("doc"), dict) else {}
    assert isinstance(doc, dict)
    media = record.get("input_media")
    if isinstance(media, list) and len(media) == 1:
        doc = {**doc, "image": media[0]}
    if not any(isinstance(doc.get(key), str) for key in questions.IMAGES):
        has = ", ".join(short(key) for key in list(record)[:8])
        raise ProbeError(
            f"{where}: a sample log does not hold the images, and this record does not name its one image "
            f"either (it has {has}). Write the questions with their images as a probe file (docs/probes.md)."
        )
    asked = {key: value for key, value in doc.items() if key not in questions.QUESTIONS}
    context = record.get("input")
    if not isinstance(context, str) or not context.strip():
        context = next((doc[key] for key in questions.QUESTIONS if doc.get(key) is not None), None)
    target = record.get("target")
    if isinstance(target, str) and target.strip():
        asked = {key: value for key, value in asked.items() if key not in questions.ANSWERS}
        asked["answer"] = target
    return questions.draft(where, {**asked, "text": context}, source)
