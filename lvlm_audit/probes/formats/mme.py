"""MME (Fu et al. 2023): images, each with a text file of the same name that holds its questions.

A line is a question, a tab and the answer, Yes or No. The text lies beside its image, or the images in
`images/` and the texts in `questions_answers_YN/`. The folder's name is the category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.bounded import read_regular
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.probe import ImageSource
from lvlm_audit.probes.problems import Problems
from lvlm_audit.probes.quoting import short, visible

_TEXTS, _IMAGES = "questions_answers_YN", "images"
_MOST = 1 << 20
_LINE = "A line is a question, a tab, and Yes or No."


def texts_of(
    root: Path, images: Sequence[PurePath], others: Sequence[PurePath]
) -> dict[PurePath, PurePath]:
    """Each image's text file, where the folder is laid out as MME's; empty where it is not.

    Captions beside images, as training sets have them, are no questions: at least one of the texts must
    hold a tab.
    """
    by_place = {_place(path): path for path in others if path.suffix.lower() == ".txt"}
    pairs = {image: by_place[_place(image)] for image in images if _place(image) in by_place}
    return pairs if any("\t" in _content(root, text) for text in pairs.values()) else {}


def drafts(
    where: str, root: Path, images: Sequence[PurePath], texts: Mapping[PurePath, PurePath]
) -> list[Draft]:
    """The questions of all images that have some.

    Raises:
        ProbeError: lines that are not a question and its answer, all of them.
    """
    found: list[Draft] = []
    problems = Problems(where)
    for image in images:
        if image not in texts:
            continue
        shown = ImageSource(name=image.as_posix(), path=root / image)
        for number, line in enumerate(_content(root, texts[image]).splitlines(), start=1):
            if not line.strip():
                continue
            place = f"{where}, {short(texts[image].as_posix())}, line {number}"
            question, _, answer = (part.strip() for part in line.rpartition("\t"))
            expected = answer.lower().rstrip(".")
            if not question or expected not in ("yes", "no"):
                problems.add(place, ProbeError(f"{place}: {short(line)} is not MME's. {_LINE}"))
                continue
            found.append(
                Draft(
                    place,
                    (shown,),
                    question,
                    stem=visible(image.with_suffix("").as_posix()),
                    answer=expected.capitalize(),
                    labels={
                        "dataset": "MME",
                        "kind": "yes_no",
                        "category": visible(_place(image)[0].name) or "MME",
                        "expected": expected,
                    },
                )
            )
    problems.refuse()
    return found


def _place(path: PurePath) -> tuple[PurePath, str]:
    """Folder and stem, the same for an image and its text."""
    folder = path.parent
    return (folder.parent if folder.name in (_TEXTS, _IMAGES) else folder), path.stem


def _content(root: Path, text: PurePath) -> str:
    try:
        return read_regular(root / text, _MOST).decode("utf-8-sig", "replace")
    except OSError:
        # It cannot hold questions; that it is not read is said of all files that are no images.
        return ""
