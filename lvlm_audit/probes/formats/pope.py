"""POPE (Li et al. 2023, github.com/RUCAIBox/POPE): is there such an object in the image, yes or no.

Its COCO files hold one object a line, its SEEM files one array; both are read. Further keys are passed
over. Answers are judged by the data set's own rule (`lvlm_audit.hallucination.verdicts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import choice, image, needed_text, number_or_name, require
from lvlm_audit.probes.formats.each import each
from lvlm_audit.probes.source import Source

KEYS = frozenset({"question_id", "image", "text", "label"})
"""Keys of a record; all are required."""

_EXAMPLE = '{"question_id": 1, "image": "photo.jpg", "text": "Is there a dog in the image?", "label": "yes"}'


def drafts(source: Source) -> Iterator[Draft]:
    """The file's questions; the id is `question_id`, the reference answer "Yes" or "No".

    Raises:
        ProbeError: a record that is not POPE's, or none at all.
    """
    return each(source, _draft)


def _draft(where: str, record: dict[str, Any], source: Source) -> Draft:
    require(where, record, ("question_id", "image", "text", "label"), f"A record is {_EXAMPLE}.")
    identity = number_or_name(where, record, "question_id", _EXAMPLE)
    label = choice(where, record, "label", ("yes", "no"), _EXAMPLE)
    return Draft(
        where,
        (image(where, needed_text(where, record, "image", _EXAMPLE), source),),
        needed_text(where, record, "text", _EXAMPLE),
        stem=identity,
        id=identity,
        answer=label.capitalize(),
        labels={"dataset": "POPE", "kind": "yes_no", "expected": label},
    )
