"""Our own probe files: one JSON object a line."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any, cast

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.decoding import Background
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import choice, image, name, text
from lvlm_audit.probes.formats.each import each
from lvlm_audit.probes.json_text import EXAMPLE
from lvlm_audit.probes.labels import read_truth
from lvlm_audit.probes.probe import ROLES, Role, Turn
from lvlm_audit.probes.quoting import described, short, visible
from lvlm_audit.probes.source import Source

KEYS = ("image", "prompt", "answer", "labels", "cluster", "id", "turns", "background")
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
    return each(source, _draft)


def _draft(where: str, line: dict[str, Any], source: Source) -> Draft:
    _check_keys(where, line, source)
    images = _image_names(where, line)
    asked = text(where, line, "prompt", optional=False) if "prompt" in line else source.prompt
    question = asked or ""
    background = _background(where, line)
    shown = tuple(
        dataclasses.replace(image(where, one, source), background=background) for one in images
    )
    stem = visible(shown[0].path.stem) if shown[0].path else "image"
    draft = Draft(where, shown, question, stem)
    draft.turns = _turns(where, line, len(shown))
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


def _check_keys(where: str, line: dict[str, Any], source: Source) -> None:
    """Refuses a line for all keys that it should not or should have, at once."""
    unknown = [key for key in line if key not in KEYS]
    needed = ["image"] if source.prompt is not None else ["image", "prompt"]
    missing = [repr(key) for key in needed if key not in line]
    said = [_unknown_keys(unknown)] if unknown else []
    if missing:
        kind = "key" if len(missing) == 1 else "keys"
        verb = "is" if len(missing) == 1 else "are"
        joint = "And " if unknown else ""
        said.append(
            f"{joint}the {kind} {' and '.join(missing)} {verb} missing. Write it as in {EXAMPLE}"
            + (
                ", or give one prompt for all lines that have none."
                if "'prompt'" in missing
                else "."
            )
        )
    if unknown:
        said.append(f"Known keys: {', '.join(KEYS)}.")
    if said:
        raise ProbeError(f"{where}: {' '.join(said)}")


def _background(where: str, line: dict[str, Any]) -> Background | None:
    value = line.get("background")
    if value is None or value == "white":
        return value
    raise ProbeError(
        f"{where}: 'background' must be \"white\", not {described(value)}. Leave the key out to show images "
        f"as models' processors do."
    )


def _turns(where: str, line: dict[str, Any], images: int) -> tuple[Turn, ...]:
    value = line.get("turns")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ProbeError(f"{where}: 'turns' must be a list, not {described(value)}. {_TURNS}")
    found = []
    for index, one in enumerate(value):
        at = f"{where}, turns[{index}]"
        if not isinstance(one, dict) or not set(one) <= {"role", "text", "images"}:
            raise ProbeError(
                f"{at}: must be an object of role and text, not {described(one)}. {_TURNS}"
            )
        who = choice(at, one, "role", ROLES, _TURNS)
        shown = one.get("images", 0)
        if type(shown) is not int or not 0 <= shown <= images or (shown and who != "user"):
            raise ProbeError(
                f"{at}: 'images' must be how many of the {images} images this turn of a user shows, not "
                f"{described(shown)}."
            )
        said = one.get("text")
        if not isinstance(said, str):
            raise ProbeError(f"{at}: 'text' must be text, not {described(said)}. {_TURNS}")
        found.append(Turn(cast(Role, who), said, shown))
    if sum(turn.images for turn in found) > images:
        raise ProbeError(f"{where}: 'turns' show more images than the {images} that there are.")
    return tuple(found)


_TURNS = 'Write it as {"turns": [{"role": "system", "text": "Be short."}]}.'


def _image_names(where: str, line: dict[str, Any]) -> list[str]:
    """What is under 'image', one path or several."""
    value = line.get("image")
    if not isinstance(value, list):
        return [text(where, line, "image", optional=False) or ""]
    if not value:
        raise ProbeError(f"{where}: 'image' is an empty list. Name at least one image in it.")
    return [text(where, {"image": one}, "image", optional=False) or "" for one in value]


def _unknown_keys(keys: list[str]) -> str:
    """All of them, each with what may be meant."""
    said = []
    for key in keys[:_SHOWN]:
        near = difflib.get_close_matches(key.lower(), KEYS, n=1)
        guess = _FOREIGN_KEYS.get(key.lower()) or (near[0] if near else None)
        remedy = f"Did you mean {guess!r}?" if guess else "Put facts of your own under 'labels'."
        said.append(f"unknown key {short(key)}. {remedy}")
    more = f" And {len(keys) - _SHOWN} more." if len(keys) > _SHOWN else ""
    return " ".join(said) + more


_SHOWN = 4
