"""HallusionBench (Guan et al. 2024, github.com/tianyi-lab/HallusionBench): figures, illusions, edited ones.

An answer is 0 (no), 1 (yes) or 2 (uncertain). Questions without visual input are asked without an image.
Where a question has no figure to supplement it (category VS, figure 0), an uncertain answer is right too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import choice, image, name, needed, needed_text, require
from lvlm_audit.probes.formats.each import each
from lvlm_audit.probes.probe import ImageSource
from lvlm_audit.probes.source import Source

KEYS = frozenset(
    {"category", "subcategory", "visual_input", "set_id", "figure_id", "question_id"}
) | {
    "question",
    "gt_answer",
}
"""Keys of a record that are required; `filename` is where there is visual input."""

_EXAMPLE = (
    '{"category": "VD", "subcategory": "illusion", "visual_input": "1", "set_id": "0", "figure_id": "0", '
    '"question_id": "0", "question": "Is ...?", "gt_answer": "1", "filename": "./VD/illusion/0_0.png"}'
)
_ANSWERS = {"0": "no", "1": "yes", "2": None}


def drafts(source: Source) -> Iterator[Draft]:
    """The file's questions; the id is what the data set's own evaluation makes: VD_illusion_0_0_0.

    Questions without an image are clustered by the set whose figures they do without.

    Raises:
        ProbeError: a record that is not HallusionBench's.
    """
    return each(source, _draft)


def _draft(where: str, record: dict[str, Any], source: Source) -> Draft:
    require(where, record, sorted(KEYS), f"A record is {_EXAMPLE}.")
    category = choice(where, record, "category", ("VD", "VS"), _EXAMPLE)
    of_set = [category, *(_part(where, record, key) for key in ("subcategory", "set_id"))]
    figure, question = (_part(where, record, key) for key in ("figure_id", "question_id"))
    visual = choice(where, record, "visual_input", ("0", "1", "2"), _EXAMPLE) != "0"
    expected = _ANSWERS[choice(where, record, "gt_answer", tuple(_ANSWERS), _EXAMPLE)]
    labels: dict[str, Any] = {
        "dataset": "HallusionBench",
        "kind": "yes_no",
        "category": category,
        "subcategory": of_set[1],
    }
    if expected is not None:
        labels["expected"] = expected
    if category == "VS" and figure == "0":
        labels["undecided_is_right"] = True
    identity = "_".join([*of_set, figure, question])
    return Draft(
        where,
        (_figure(where, record, source),) if visual else (),
        needed_text(where, record, "question", _EXAMPLE),
        stem=identity,
        id=identity,
        answer=None if expected is None else expected.capitalize(),
        cluster=None if visual else "_".join(of_set),
        labels=labels,
    )


def _part(where: str, record: Mapping[str, Any], key: str) -> str:
    """A part of the id: text, as the data set writes its numbers."""
    needed(where, record, key, _EXAMPLE)
    return name(where, record, key, optional=False) or ""


def _figure(where: str, record: Mapping[str, Any], source: Source) -> ImageSource:
    """At `filename`; or in the folder that the figures are unzipped to, or that folder is what was named."""
    path = needed_text(where, record, "filename", _EXAMPLE)
    inside = str(PurePosixPath(*PurePosixPath(path).parts[1:]))
    candidates = (path, str(PurePosixPath("hallusion_bench", path)), inside)
    there = [one for one in candidates if os.path.isfile(source.folder / one)]
    return image(where, (there or candidates)[0], source)
