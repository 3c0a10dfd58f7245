"""Which format a probe file has, by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.formats import (
    amber,
    chair,
    conversations,
    hallusion,
    jsonl,
    lmms_eval,
    messages,
    pope,
    questions,
)
from lvlm_audit.probes.formats.unreadable import what_it_is
from lvlm_audit.probes.json_text import EXAMPLE, first_object
from lvlm_audit.probes.quoting import short
from lvlm_audit.probes.source import Source

FileFormat = Literal[
    "pope",
    "amber",
    "chair",
    "hallusion",
    "messages",
    "conversations",
    "openai-batch",
    "lmms-eval",
    "questions",
    "jsonl",
]
ProbeFormat = Literal[
    "auto",
    "pope",
    "amber",
    "chair",
    "hallusion",
    "messages",
    "conversations",
    "openai-batch",
    "lmms-eval",
    "questions",
    "jsonl",
]
PROBE_FORMATS: tuple[ProbeFormat, ...] = get_args(ProbeFormat)


@dataclass(frozen=True, slots=True)
class Format:
    """A format of probe files.

    Attributes:
        title: what a message calls it.
        marks: keys of a first object by which it is told; empty: it is told otherwise.
        drafts: its reader.
    """

    title: str
    marks: frozenset[str]
    drafts: Callable[[Source], Iterator[Draft]]


READERS: Mapping[FileFormat, Format] = {
    "pope": Format("POPE", pope.KEYS, pope.drafts),
    "amber": Format("AMBER", amber.KEYS, amber.drafts),
    "chair": Format("CHAIR output", chair.KEYS, chair.drafts),
    "hallusion": Format("HallusionBench", hallusion.KEYS, hallusion.drafts),
    "messages": Format("chat messages", messages.KEYS, messages.drafts),
    "conversations": Format(
        "LLaVA or ShareGPT conversations", conversations.KEYS, conversations.drafts
    ),
    "openai-batch": Format("an OpenAI batch", messages.BATCH_KEYS, messages.batch_drafts),
    "lmms-eval": Format("a sample log of lmms-eval", lmms_eval.KEYS, lmms_eval.drafts),
    "questions": Format("a question file (LLaVA-Bench)", frozenset(), questions.drafts),
    "jsonl": Format("our own format", frozenset({"image", "prompt"}), jsonl.drafts),
}


def detect(source: Source) -> FileFormat:
    """The format whose keys a file's first object has; our own of a .jsonl file that has no other's.

    Raises:
        ProbeError: several, or none.
    """
    first = first_object(source)
    found: list[FileFormat] = [
        name
        for name, one in READERS.items()
        if first is not None and one.marks and one.marks <= first.keys()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ProbeError(
            f"{source.where} may be {' or '.join(found)}: its first record has the keys of each "
            f"({_keys(first)}). Say which with --lvlm-probe-format, or read_probes(..., format=...)."
        )
    known = what_it_is(source, first)
    if known is not None:
        raise ProbeError(f"cannot read probes from {source.where}: it is {known}")
    if first is not None and questions.recognised(first):
        return "questions"
    if source.path.suffix.lower() == ".jsonl":
        # Its reader says what is wrong with it.
        return "jsonl"
    has = "" if first is None else f" Its first record has the keys {_keys(first)}."
    raise ProbeError(
        f"cannot read probes from {source.where}: it is neither a folder of images nor a probe file "
        f"(.jsonl, chat messages, or the JSON of a benchmark; docs/probes.md has all formats).{has} For one "
        f"image, name its folder; for a list, write one JSON object a line, such as {EXAMPLE}, into a file "
        f"that ends in .jsonl."
    )


def _keys(first: Mapping[str, Any] | None) -> str:
    return ", ".join(short(key) for key in list(first or {})[:8]) or "none"
