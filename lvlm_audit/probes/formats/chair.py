"""CHAIR (Rohrbach et al. 2018, github.com/LisaAnne/Hallucination): captions with their hallucinated words.

The output of `utils/chair.py`: given answers, to be replayed (`--lvlm-answers reference`). It says at which
words of a caption an object is hallucinated, but not at which words the others are: their nodes
(`mscoco_generated_words`) are found again by their own name, by every synonym that the file's hallucinated
words show, and by those of CHAIR's `synonyms.txt` if it lies beside the file. A word that is not found so is
not labelled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.bounded import read_regular
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import image, needed, needed_text, number_or_name, words
from lvlm_audit.probes.formats.caption_words import CaptionWord, caption_words, find_object, names
from lvlm_audit.probes.formats.folder import DEFAULT_PROMPT
from lvlm_audit.probes.json_text import as_object, document
from lvlm_audit.probes.plurals import alike
from lvlm_audit.probes.probe import ImageSource
from lvlm_audit.probes.quoting import described, short, visible
from lvlm_audit.probes.source import Source

KEYS = frozenset({"sentences"})
"""Keys of the document; further ones are passed over."""

SYNONYMS = "synonyms.txt"
_MOST_SYNONYMS = 16 << 20

_EXAMPLE = (
    '{"image_id": 42, "caption": "a dog", "mscoco_hallucinated_words": [["dog", "dog"]], '
    '"hallucination_idxs": [1], "mscoco_gt_words": ["cat"], "mscoco_generated_words": ["dog"], '
    '"words": ["a", "dog"]}'
)
# Where COCO's images are, by what its ids are written into.
_COCO = ("COCO_val2014_{:012d}.jpg", "COCO_train2014_{:012d}.jpg", "COCO_test2014_{:012d}.jpg")
_PLAIN = ("{:012d}.jpg", "{}.jpg", "{}.png")

Pairs = Sequence[tuple[str, str]]


def drafts(source: Source) -> Iterator[Draft]:
    """The file's captions as reference answers, each to the prompt, or else to "Describe the image."

    Images are looked for under COCO's names for their id (`COCO_val2014_000000000042.jpg`), then under the
    bare number. Labels hold the caption's object words by their place, and for any other answer the
    objects that are in the image and those that are not.

    Raises:
        ProbeError: a sentence that is not CHAIR's; names its index and the field.
    """
    whole = as_object(source.where, document(source))
    sentences = needed(source.where, whole, "sentences", f'{{"sentences": [{_EXAMPLE}]}}')
    if not isinstance(sentences, list) or not sentences:
        raise ProbeError(
            f"{source.where}: 'sentences' must be a list that is not empty, not {described(sentences)}."
        )
    places = [f"{source.where}, sentences[{index}]" for index in range(len(sentences))]
    checked = [
        as_object(where, sentence) for where, sentence in zip(places, sentences, strict=True)
    ]
    pairs = [_hallucinated(where, s) for where, s in zip(places, checked, strict=True)]
    nodes = _synonyms(source) | {word: node for of_one in pairs for word, node in of_one}
    for where, sentence, hallucinated in zip(places, checked, pairs, strict=True):
        caption = needed_text(where, sentence, "caption", _EXAMPLE)
        identity = number_or_name(where, sentence, "image_id", _EXAMPLE)
        yield Draft(
            where,
            (_image(where, identity, source),),
            DEFAULT_PROMPT if source.prompt is None else source.prompt,
            stem=visible(identity),
            answer=caption,
            labels=_labels(where, sentence, caption, hallucinated, nodes),
        )


def _hallucinated(where: str, sentence: Mapping[str, Any]) -> Pairs:
    """The hallucinated words with their nodes: the object that each is a synonym of."""
    value = needed(where, sentence, "mscoco_hallucinated_words", _EXAMPLE)
    if not isinstance(value, list):
        raise ProbeError(
            f"{where}: 'mscoco_hallucinated_words' must be a list of pairs, not {described(value)}."
        )
    for index, pair in enumerate(value):
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(word, str) and word.strip() for word in pair)
        ):
            raise ProbeError(
                f"{where}: 'mscoco_hallucinated_words[{index}]' must be a word and its node, not "
                f'{described(pair)}. Write it as ["bench", "chair"].'
            )
    return [(word, node) for word, node in value]


def _synonyms(source: Source) -> dict[str, str]:
    """Word to node, of CHAIR's own list: a line is a node and its synonyms, parted by commas."""
    path = source.path.absolute().parent / SYNONYMS
    if not path.is_file():
        return {}
    try:
        lines = read_regular(path, _MOST_SYNONYMS).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeError(
            f"cannot read {str(path)!r}: {error}. Mend it, or move it away: it is optional."
        ) from error
    rows = [[word.strip() for word in line.split(",")] for line in lines if line.strip()]
    return {word: row[0] for row in rows for word in row if word}


def _image(where: str, identity: str, source: Source) -> ImageSource:
    if identity.isascii() and identity.isdigit():
        candidates = [pattern.format(int(identity)) for pattern in (*_COCO, *_PLAIN)]
    else:
        suffix = PurePosixPath(identity).suffix
        candidates = [identity] if suffix else [f"{identity}.jpg", f"{identity}.png"]
    there = [path for path in candidates if os.path.isfile(source.folder / path)]
    return image(where, (there or candidates)[0], source)


def _labels(
    where: str,
    sentence: Mapping[str, Any],
    caption: str,
    hallucinated: Pairs,
    nodes: Mapping[str, str],
) -> Mapping[str, Any]:
    in_image = words(where, sentence, "mscoco_gt_words", _EXAMPLE)
    said = words(where, sentence, "mscoco_generated_words", _EXAMPLE)
    of_caption = caption_words(caption)
    untrue = _untrue(where, sentence, hallucinated, of_caption)
    taken = {token for first, last in untrue for token in range(first, last + 1)}
    true = [
        span
        for span, node in names(of_caption, {n: n for n in said} | dict(nodes))
        if node in in_image and node in said and taken.isdisjoint(range(span[0], span[1] + 1))
    ]
    grounded = list(
        dict.fromkeys([*in_image, *(w for w, node in nodes.items() if node in in_image)])
    )
    absent = dict.fromkeys(word for pair in hallucinated for word in pair)
    return {
        "dataset": "CHAIR",
        "kind": "description",
        "spans": [
            _span(caption, of_caption, span, hallucinated=span in untrue)
            for span in sorted([*untrue, *true])
        ],
        "grounded": grounded,
        "hallucinated": [word for word in absent if alike(word, grounded) is None],
    }


def _untrue(
    where: str, sentence: Mapping[str, Any], hallucinated: Pairs, of_caption: Sequence[CaptionWord]
) -> list[tuple[int, int]]:
    """The words of the caption that are hallucinated, first and last of each."""
    places = needed(where, sentence, "hallucination_idxs", _EXAMPLE)
    if not isinstance(places, list) or len(places) != len(hallucinated):
        raise ProbeError(
            f"{where}: 'hallucination_idxs' must be a list with a place for each of the "
            f"{len(hallucinated)} 'mscoco_hallucinated_words', not {described(places)}."
        )
    words(where, sentence, "words", _EXAMPLE)
    found: list[tuple[int, int]] = []
    for index, (place, (word, _)) in enumerate(zip(places, hallucinated, strict=True)):
        if type(place) is not int or place < 0:
            raise ProbeError(
                f"{where}: 'hallucination_idxs[{index}]' must be the index of a word, not "
                f"{described(place)}."
            )
        span = find_object(of_caption, word, place, found)
        if span is None:
            raise ProbeError(
                f"{where}: 'hallucination_idxs[{index}]' is {place}, but 'caption' has no word "
                f"{short(word)} there or elsewhere. Make the file anew, or drop the sentence."
            )
        found.append(span)
    return found


def _span(
    caption: str, of_caption: Sequence[CaptionWord], span: tuple[int, int], *, hallucinated: bool
) -> dict[str, Any]:
    start, end = of_caption[span[0]].start, of_caption[span[1]].end
    return {"text": caption[start:end], "start": start, "hallucinated": hallucinated}
