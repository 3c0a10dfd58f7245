"""Conversations as LLaVA's and ShareGPT's training files hold them.

A record holds `conversations`: turns with `from` (human, gpt, system) and `value`; its image stands under
`image`, and `<image>` in the first question. That question is the prompt and gpt's answer to it the
reference; what comes later is not asked, which a note says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import require
from lvlm_audit.probes.formats import chat
from lvlm_audit.probes.formats.each import each
from lvlm_audit.probes.image_places import places
from lvlm_audit.probes.quoting import described
from lvlm_audit.probes.source import Source

KEYS = frozenset({"conversations"})
"""Keys of a record that are required."""

_READ = ("conversations", "image", "images", "id", "system")
_EXAMPLE = (
    '{"id": "1", "image": "photo.jpg", "conversations": [{"from": "human", "value": "What is this?"}, '
    '{"from": "gpt", "value": "A cat."}]}'
)


def drafts(source: Source) -> Iterator[Draft]:
    """The first question about an image of each conversation.

    Raises:
        ProbeError: conversations that cannot be asked, all of them.
    """
    return each(source, _draft)


def _draft(where: str, record: dict[str, Any], source: Source) -> Draft:
    require(where, record, sorted(KEYS), f"A record is {_EXAMPLE}.")
    turns = record["conversations"]
    if not isinstance(turns, list) or not turns:
        raise ProbeError(
            f"{where}: 'conversations' must be a list that is not empty, not {described(turns)}."
        )
    chat.note_unread(record, _READ, source)
    who: list[tuple[str, str]] = []
    for index, turn in enumerate(turns):
        at = f"{where}, conversations[{index}]"
        if not isinstance(turn, dict):
            raise ProbeError(f"{at}: must be an object, not {described(turn)}.")
        require(at, turn, ("from", "value"), f"A record is {_EXAMPLE}.")
        if not isinstance(turn["value"], str):
            raise ProbeError(f"{at}: 'value' must be text, not {described(turn['value'])}.")
        who.append((chat.role(at, turn["from"]), turn["value"]))
    asked = [i for i, (speaker, _) in enumerate(who) if speaker == "user"]
    if not asked:
        raise ProbeError(f"{where}: no turn is of a human, so there is nothing to ask. Mend it.")
    first = next((i for i in asked if places(who[i][1])), asked[0])
    end = (
        first + 2
        if [speaker for speaker, _ in who[first + 1 : first + 2]] == ["assistant"]
        else first + 1
    )
    identity = chat.identity(where, record, "id")
    if end < len(who):
        source.remarks.add(
            "probes",
            "left out: what is said after the first question about the image",
            "conversation",
            identity or where.removeprefix(f"{source.where}, "),
        )
    said = [
        chat.of_text(chat.role(where, speaker), value, f"{where}, conversations[{index}]", source)
        for index, (speaker, value) in enumerate(who[:end])
    ]
    return chat.draft_of(
        where,
        [*chat.system_of(where, record), *said],
        chat.given_images(where, record, source),
        source,
        id=identity,
        labels=chat.labels_of(record),
    )
