"""AMBER (Wang et al. 2023, github.com/junyangwang0410/AMBER): queries, and annotations beside them.

Discriminative queries expect yes or no, and the positive class of their scores is **no**: a
hallucination is what is to be found. Generative ones have lists of objects that are in the image
(`truth`) and of likely hallucinations that are not (`hallu`). Other nouns are not labelled: AMBER's own
score compares them with the lists by spaCy's word vectors, which are no ground truth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import choice, image, needed_text, number_or_name, require, words
from lvlm_audit.probes.formats.each import each
from lvlm_audit.probes.json_text import records
from lvlm_audit.probes.plurals import alike
from lvlm_audit.probes.quoting import short
from lvlm_audit.probes.source import Source

KEYS = frozenset({"id", "image", "query"})
"""Keys of a query; all are required."""

ANNOTATIONS = "annotations.json"

_QUERY = '{"id": 1, "image": "AMBER_1.jpg", "query": "Describe this image."}'
_ANNOTATION = '{"id": 1005, "type": "discriminative-attribute-state", "truth": "yes"}'
_GENERATIVE = '{"id": 1, "type": "generative", "truth": ["sky"], "hallu": ["dog"]}'


def drafts(source: Source) -> Iterator[Draft]:
    """The file's queries with their annotations; the id is AMBER's.

    `annotations.json` is looked for in the file's folder and in the one above, as the repository has it.

    Raises:
        ProbeError: a query or an annotation that is not AMBER's, or is missing.
    """
    found = _annotations(source)
    labels: dict[str, Mapping[str, Any]] = {}
    for where, record in records(found):
        identity = number_or_name(where, record, "id", _ANNOTATION)
        if identity in labels:
            raise ProbeError(f"{where}: 'id' {short(identity)} occurs twice. Drop one of them.")
        labels[identity] = _labels(where, record)

    def draft(where: str, record: dict[str, Any], source: Source) -> Draft:
        require(where, record, sorted(KEYS), f"A record is {_QUERY}.")
        identity = number_or_name(where, record, "id", _QUERY)
        shown = image(where, needed_text(where, record, "image", _QUERY), source)
        query = needed_text(where, record, "query", _QUERY)
        if identity not in labels:
            raise ProbeError(
                f"{where}: 'id' {short(identity)} is not in {found.where}. Give the annotations that "
                f"belong to these queries."
            )
        expected = labels[identity].get("expected")
        return Draft(
            where,
            (shown,),
            query,
            stem=identity,
            id=identity,
            answer=None if expected is None else expected.capitalize(),
            labels=labels[identity],
        )

    return each(source, draft)


def _annotations(source: Source) -> Source:
    folder = source.path.absolute().parent
    places: list[Path] = [folder / ANNOTATIONS, folder.parent / ANNOTATIONS]
    for path in places:
        if path.is_file():
            return dataclasses.replace(source, path=path)
    raise ProbeError(
        f"{source.where} holds AMBER's queries, but their {ANNOTATIONS} is neither beside it nor in the "
        f"folder above. Copy it there."
    )


def _labels(where: str, record: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = needed_text(where, record, "type", _ANNOTATION)
    if kind != "generative":
        expected = choice(where, record, "truth", ("yes", "no"), _ANNOTATION)
        return {"dataset": "AMBER", "kind": "yes_no", "type": kind, "expected": expected}
    grounded = words(where, record, "truth", _GENERATIVE)
    # What is in both is in the image: AMBER's own score looks there first.
    absent = [w for w in words(where, record, "hallu", _GENERATIVE) if alike(w, grounded) is None]
    return {
        "dataset": "AMBER",
        "kind": "description",
        "type": kind,
        "grounded": list(dict.fromkeys(grounded)),
        "hallucinated": absent,
    }
