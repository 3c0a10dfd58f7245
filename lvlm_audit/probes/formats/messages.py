"""Chat messages, as OpenAI's and transformers' interfaces take them, and OpenAI's batch files of them.

A record holds `messages`: turns with `role` and `content`, which is text or a list of parts (`text`,
`image_url`, `image`, `input_image`). The last turn of a user is the prompt; what was said before it is said
before it here too; an answer of the assistant after it is the reference answer. Images may stand in parts, or
under `image`/`images` beside the messages, with `<image>` in the text where they belong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.fields import require, text
from lvlm_audit.probes.formats import chat
from lvlm_audit.probes.formats.each import each
from lvlm_audit.probes.quoting import described
from lvlm_audit.probes.source import Source

KEYS = frozenset({"messages"})
"""Keys of a record that are required."""
BATCH_KEYS = frozenset({"custom_id", "body"})
"""Keys of a request in a batch file."""

_READ = ("messages", "image", "images", "id", "custom_id", "question_id", "answer", "system")
_EXAMPLE = (
    '{"messages": [{"role": "user", "content": [{"type": "image", "path": "photo.jpg"}, '
    '{"type": "text", "text": "What is this?"}]}]}'
)


def drafts(source: Source) -> Iterator[Draft]:
    """The file's conversations.

    Raises:
        ProbeError: conversations that cannot be asked, all of them.
    """
    return each(source, _draft)


def batch_drafts(source: Source) -> Iterator[Draft]:
    """The requests of an OpenAI batch file; the id is `custom_id`.

    Raises:
        ProbeError: requests that cannot be asked, all of them.
    """
    return each(source, _request)


def _request(where: str, record: dict[str, Any], source: Source) -> Draft:
    require(where, record, sorted(BATCH_KEYS), f"A request's body is {_EXAMPLE}.")
    body = record["body"]
    if not isinstance(body, dict):
        raise ProbeError(f"{where}: 'body' must be an object, not {described(body)}.")
    chat.note_unread(record, (*BATCH_KEYS, "method", "url"), source)
    turns = body.get("messages", body.get("input"))
    inner = {**body, "messages": turns, "custom_id": record["custom_id"]}
    return _draft(where, {key: value for key, value in inner.items() if key != "input"}, source)


def _draft(where: str, record: dict[str, Any], source: Source) -> Draft:
    require(where, record, sorted(KEYS), f"A record is {_EXAMPLE}.")
    messages = record["messages"]
    if not isinstance(messages, list) or not messages:
        raise ProbeError(
            f"{where}: 'messages' must be a list that is not empty, not {described(messages)}."
        )
    chat.note_unread(record, _READ, source)
    said = [_turn(f"{where}, messages[{i}]", one, source) for i, one in enumerate(messages)]
    return chat.draft_of(
        where,
        [*chat.system_of(where, record), *said],
        chat.given_images(where, record, source),
        source,
        id=chat.identity(where, record, "custom_id", "id", "question_id"),
        answer=text(where, record, "answer"),
        labels=chat.labels_of(record),
    )


def _turn(where: str, message: Any, source: Source) -> chat.Said:
    if not isinstance(message, dict):
        raise ProbeError(f"{where}: must be an object, not {described(message)}.")
    require(where, message, ("role", "content"), f"A record is {_EXAMPLE}.")
    who = chat.role(where, message["role"])
    _refuse_tools(where, message)
    content = message["content"]
    if isinstance(content, str):
        return chat.of_text(who, content, where, source)
    if isinstance(content, list):
        return chat.of_parts(who, content, where, source)
    raise ProbeError(f"{where}: 'content' must be text or a list, not {described(content)}.")


def _refuse_tools(where: str, message: Mapping[str, Any]) -> None:
    if message.get("tool_calls"):
        raise ProbeError(f"{where}: 'tool_calls' cannot be asked. Drop the record.")
