"""Conversations: from the turns that a record holds to a prompt, what was said before it, and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import image, number_or_name, text
from lvlm_audit.probes.image_places import lead, places, without_places
from lvlm_audit.probes.probe import ImageSource, Role, Turn
from lvlm_audit.probes.quoting import described, short, visible
from lvlm_audit.probes.source import Source

ROLE_NAMES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
}
"""What data sets call who speaks."""

LABELS = ("category", "kind", "type", "source", "dataset")
"""Keys of a record that become labels where they are text."""

IMAGE_FIRST = "images are shown before the text of their turn, not between or after it as given"

_TEXT_PARTS = ("text", "input_text", "output_text")
_IMAGE_PARTS = ("image", "image_url", "input_image")


@dataclass(slots=True)
class Said:
    """One turn as it stands in a file.

    Attributes:
        role: who speaks.
        text: what is said, places for images taken out.
        images: those that the turn itself holds.
        open: places for images that the record gives elsewhere.
    """

    role: Role
    text: str
    images: list[ImageSource] = field(default_factory=list)
    open: int = 0


def role(where: str, value: Any) -> Role:
    """Who speaks.

    Raises:
        ProbeError: nobody that a chat template knows here.
    """
    if isinstance(value, str) and value.lower() in ROLE_NAMES:
        return ROLE_NAMES[value.lower()]
    raise ProbeError(
        f"{where}: the role {short(value)} is not known. Roles are {', '.join(ROLE_NAMES)}; turns of tools "
        f"cannot be asked."
    )


def of_text(who: Role, said: str, where: str, source: Source) -> Said:
    """A turn that is one text; `<image>` in it are places for images."""
    if not lead(said):
        _note_order(where, source)
    return Said(who, without_places(said), open=places(said))


def of_parts(who: Role, parts: Sequence[Any], where: str, source: Source) -> Said:
    """A turn that is a list of parts, as OpenAI and transformers write them.

    Raises:
        ProbeError: a part that is neither text nor an image.
    """
    turn = Said(who, "")
    texts: list[str] = []
    for index, part in enumerate(parts):
        at = f"{where}, part {index}"
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not isinstance(part, dict):
            raise ProbeError(f"{at}: must be an object, not {described(part)}.")
        kind = part.get("type", next((k for k in ("text", *_IMAGE_PARTS) if k in part), None))
        if kind in _TEXT_PARTS:
            said = part.get("text")
            if not isinstance(said, str):
                raise ProbeError(f"{at}: 'text' must be text, not {described(said)}.")
            inner = of_text(who, said, where, source)
            texts.append(inner.text)
            turn.open += inner.open
        elif kind in _IMAGE_PARTS:
            found = _part_image(at, part, source)
            if any(one.strip() for one in texts):
                _note_order(where, source)
            if found is None:
                turn.open += 1
            else:
                turn.images.append(found)
        else:
            raise ProbeError(
                f"{at}: a part of the type {short(kind)} cannot be asked. Parts are text or image."
            )
    # A turn that holds its images itself may mark their places in its text as well.
    turn.open = max(0, turn.open - len(turn.images))
    turn.text = "\n".join(texts)
    return turn


def _note_order(where: str, source: Source) -> None:
    place = where.removeprefix(f"{source.where}, ")
    source.remarks.add("probes", IMAGE_FIRST, "turn", place)


def _part_image(where: str, part: Mapping[str, Any], source: Source) -> ImageSource | None:
    """The image of a part; None if the part only says that there is one."""
    for key in ("image_url", "image", "path", "url", "base64"):
        value = part.get(key)
        if isinstance(value, dict):
            value = value.get("url", value.get("path"))
        if value is None:
            continue
        if not isinstance(value, str) or not value.strip():
            raise ProbeError(
                f"{where}: {key!r} must be a path or a data URI, not {described(value)}."
            )
        if key == "base64" and not value.startswith("data:"):
            value = f"data:image/*;base64,{value}"
        return image(where, value, source)
    if "file_id" in part:
        raise ProbeError(f"{where}: 'file_id' names a file on a server. Give the image itself.")
    return None


def given_images(where: str, record: Mapping[str, Any], source: Source) -> list[ImageSource]:
    """The images that a record gives beside its turns, under 'image' or 'images'.

    Raises:
        ProbeError: something else stands there, or the record shows videos or sounds.
    """
    for key in ("video", "videos", "audio", "audios"):
        if record.get(key):
            raise ProbeError(
                f"{where}: {key!r} cannot be shown: probes show images. Drop the record."
            )
    found: list[ImageSource] = []
    for key in ("image", "images"):
        value = record.get(key)
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            path = one.get("path") if isinstance(one, dict) else one
            if not isinstance(path, str) or not path.strip():
                raise ProbeError(
                    f"{where}: {key!r} must be a path or a list of paths, not {described(one)}."
                )
            found.append(image(where, path, source))
    return found


def identity(where: str, record: Mapping[str, Any], *keys: str) -> str | None:
    """The id under the first of these keys that is there."""
    key = next((k for k in keys if record.get(k) is not None), None)
    return None if key is None else number_or_name(where, record, key, "")


def labels_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says about itself."""
    return {key: record[key] for key in LABELS if isinstance(record.get(key), str)}


def note_unread(record: Mapping[str, Any], read: Sequence[str], source: Source) -> None:
    """Remarks on the keys of a record that nothing reads."""
    for key in record:
        if key not in read and key not in LABELS:
            source.remarks.add("probes", "left out: what records hold under", "key", key)


def draft_of(
    where: str,
    said: Sequence[Said],
    beside: Sequence[ImageSource],
    source: Source,
    *,
    id: str | None = None,
    answer: str | None = None,
    labels: Mapping[str, Any] | None = None,
) -> Draft:
    """A draft of a conversation: its last turn of a user is the prompt, and what follows is the answer.

    Args:
        where: the record.
        said: its turns, in order.
        beside: images that the record gives beside its turns.
        source: the file.
        id, answer, labels: of the draft; an answer of the conversation itself comes before `answer`.

    Raises:
        ProbeError: nothing to ask, or other places for images than images.
    """
    turns = list(said)
    if turns and turns[-1].role == "assistant":
        answer = turns.pop().text or answer
    if not turns or turns[-1].role != "user":
        last = f"ends with a turn of the {turns[-1].role}" if turns else "has no turn of a user"
        raise ProbeError(f"{where}: the conversation {last}, so there is nothing to ask. Mend it.")
    _place(where, turns, beside)
    prompt = turns[-1].text
    if not prompt.strip():
        if source.prompt is None:
            raise ProbeError(f"{where}: the last turn of the user has no text. Write a question.")
        prompt = source.prompt
    shown = [one for turn in turns for one in turn.images]
    earlier = tuple(Turn(turn.role, turn.text, len(turn.images)) for turn in turns[:-1])
    stem = id or (visible(PurePath(shown[0].name).stem) if shown and shown[0].path else "chat")
    return Draft(
        where,
        tuple(shown),
        prompt,
        stem=stem,
        id=id,
        answer=answer if answer and answer.strip() else None,
        # Without an image there is nothing else that could be the unit of statistics.
        cluster=None if shown else f"prompt: {visible(prompt)}",
        labels=labels or {},
        turns=earlier,
    )


def _place(where: str, turns: Sequence[Said], beside: Sequence[ImageSource]) -> None:
    """Gives each turn its images: in order of the places, or all to the first turn of a user."""
    wanted = sum(turn.open for turn in turns)
    wrong = next(
        (turn.role for turn in turns if turn.role != "user" and (turn.open or turn.images)), None
    )
    if wrong is not None:
        raise ProbeError(f"{where}: a turn of the {wrong} shows an image. Only a user's can.")
    if not wanted:
        first = next(turn for turn in turns if turn.role == "user")
        first.images = [*first.images, *beside]
        return
    if wanted != len(beside):
        raise ProbeError(
            f"{where}: the turns have {wanted} places for images, but {len(beside)} images are given. Give as "
            f"many under 'image' or 'images', in their order."
        )
    left = iter(beside)
    for turn in turns:
        turn.images = [*turn.images, *(next(left) for _ in range(turn.open))]


def system_of(where: str, record: Mapping[str, Any]) -> list[Said]:
    """A system turn that a record gives beside its turns."""
    system = text(where, record, "system") if record.get("system") else None
    return [] if system is None else [Said("system", system)]
