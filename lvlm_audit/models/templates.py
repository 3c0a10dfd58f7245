"""Templates: which chat template asks, whether it ends, and what it makes of an image."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models import rendering
from lvlm_audit.notes import Note

_QUESTION = "What-is-shown-here"
_LONGEST_TEMPLATE, _LONGEST_PROMPT = 1_000_000, 200_000
"""Characters; real templates have 20,000 at most, and add a few hundred to a question."""
_PATIENCE = 60
"""Seconds of waiting, on a busy machine; a template's own time is bounded more narrowly."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a template makes of a question.

    Attributes:
        parts: with an image, as a list of parts; None: it cannot.
        string: without, as plain text; None: it cannot.
        text: without, as a list of one part; None: it cannot.
        why: what it said where it cannot take parts.
    """

    parts: str | None
    string: str | None
    text: str | None
    why: str

    @property
    def takes_parts(self) -> bool:
        """The question is in the prompt, and no Python list is."""
        return self.parts is not None and _QUESTION in self.parts and not self.prints_parts

    @property
    def prints_parts(self) -> bool:
        """It writes the list of parts as Python prints it: it was made for plain text."""
        return self.parts is not None and "'type': 'text'" in self.parts


def template_of(processor: Any, tokenizer: Any) -> str | None:
    """The chat template that questions are asked through: the processor's, else its tokenizer's if it can.

    A tokenizer's that was made for text alone has no place for an image.
    """
    own = _text(processor)
    if own is not None or processor is tokenizer:
        return own
    lent = _text(tokenizer)
    return lent if lent is not None and tried(lent).takes_parts else None


def check_template(name: str, processor: Any, tokenizer: Any) -> tuple[Note, ...]:
    """What is to be said of how a model is asked.

    Raises:
        UnsupportedModel: the template does not end, writes without end, or prints a list of parts.
    """
    own, lent = _text(processor), _text(tokenizer)
    for text in (own, lent):
        if text is not None:
            try:
                tried(text)
            except UnsupportedModel as error:
                raise UnsupportedModel(f"the chat template of {name!r} {error}") from error
    if own is not None:
        if processor is not tokenizer and tried(own).prints_parts:
            raise UnsupportedModel(f"the chat template of {name!r} {_TEXT_ALONE}")
        return ()
    if template_of(processor, tokenizer) is not None:
        return (Note("processor", "the processor has no chat template: its tokenizer's is used"),)
    why = (
        "neither the processor nor its tokenizer has one"
        if lent is None
        else "the processor has none, and its tokenizer's takes text alone, without an image"
    )
    return (Note("processor", f"asked without a chat template ({why})"),)


def image_mark(template: str) -> str | None:
    """What a template writes for an image; None: it cannot write one, or not in one place."""
    with_image, without = tried(template).parts, tried(template).text
    if with_image is None or without is None or len(with_image) <= len(without):
        return None
    pairs = enumerate(zip(with_image, without, strict=False))
    start = next((i for i, (one, other) in pairs if one != other), len(without))
    mark = with_image[start : start + len(with_image) - len(without)]
    return mark if with_image.replace(mark, "", 1) == without else None


def why_refused(processor: Any, tokenizer: Any) -> str:
    """Why a processor refuses what its own template made, where it is the template's fault; else ""."""
    text = template_of(processor, tokenizer)
    if text is None or processor is tokenizer:
        return ""
    found = tried(text)
    if found.takes_parts:
        return ""
    if found.string is None:
        return f"Its chat template cannot be rendered: {found.why} Mend it, or save the processor again."
    return f"Its chat template {_TEXT_ALONE}"


_TEXT_ALONE = (
    "was made for text alone: it takes a message's content as one string, not as a list of parts (image, "
    "text), so that it has no place for an image. Give the model's own template (chat_template.jinja), which "
    "writes the image's token for a part of type 'image'; or remove it, to ask without one."
)


@functools.lru_cache(maxsize=64)
def tried(template: str) -> Tried:
    """Renders a template in a process of its own.

    Raises:
        UnsupportedModel: it takes too long, too much memory, or writes too much. The message wants
            "the chat template of ..." before it.
    """
    mend = "Mend it, or save the model's processor again."
    if len(template) > _LONGEST_TEMPLATE:
        raise UnsupportedModel(
            f"has {len(template):,} characters, more than the {_LONGEST_TEMPLATE:,} that are rendered. {mend}"
        )
    image, text = {"type": "image"}, {"type": "text", "text": _QUESTION}
    contents = (
        [image, text],
        _QUESTION,
        [image, image, text],
        [text],
        [{**text, "text": "word " * 2000}],
    )
    answers = _rendered(template, [[{"role": "user", "content": c}] for c in contents])
    if answers is None:
        raise UnsupportedModel(
            f"does not end on a short question: it was stopped after {rendering.SECONDS} seconds of computing, "
            f"or ran out of its bounds. {mend}"
        )
    for answer in answers:
        if answer.get("memory"):
            raise UnsupportedModel(
                f"takes more than {rendering.MEMORY >> 20} MiB of memory on a short question. {mend}"
            )
        length = int(answer.get("length", 0))
        if length > _LONGEST_PROMPT:
            raise UnsupportedModel(
                f"writes {length:,} characters for a short question; at most {_LONGEST_PROMPT:,} are taken. "
                f"{mend}"
            )
    parts, string, alone = answers[0], answers[1], answers[3]
    said = str(parts.get("error", "")).strip()
    why = said if not said or said.endswith(".") else f"{said}."
    return Tried(parts.get("text"), string.get("text"), alone.get("text"), why)


def _rendered(
    template: str, conversations: Sequence[Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]] | None:
    asked = {
        "template": template,
        "conversations": conversations,
        "variables": {"bos_token": "<s>", "eos_token": "</s>"},
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(Path(rendering.__file__))],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_PATIENCE,
            check=False,
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return answers


def _text(asker: Any) -> str | None:
    """The template of a processor or tokenizer; where it has several by name, the one called default."""
    found = getattr(asker, "chat_template", None)
    if isinstance(found, Mapping):
        found = found.get("default")
    return found if isinstance(found, str) else None
