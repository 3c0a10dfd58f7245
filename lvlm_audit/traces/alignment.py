"""Alignment: a given text as the tokens that would continue a prompt."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from lvlm_audit.errors import LvlmAuditError, ProbeError, RecordingError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import Probe

_TAIL = 8
"""Tokens of the prompt that decide how a text continues it; decoding more costs time alone."""


def reference_ids(model: HookedModel, probe: Probe) -> list[int]:
    """The probe's reference answer as the tokens that would continue its prompt.

    Raises:
        RecordingError: the probe has no reference answer, or as `answer_ids`.
    """
    if probe.answer is None:
        raise RecordingError(
            f"probe {probe.id!r} has no reference answer (field 'answer'). Give it one, or drop it."
        )
    return answer_ids(model, probe, probe.answer)


def answer_ids(model: HookedModel, probe: Probe, answer: str | Sequence[int]) -> list[int]:
    """A given answer as the tokens that would continue the probe's prompt.

    Ids are taken as they are. Text is encoded so that it continues the prompt: one whose template ends
    in a space or newline is continued without another space; otherwise the answer starts a new word.
    The end of sequence is not appended.

    Raises:
        RecordingError: the model has no tokenizer for a text; the answer gives no tokens, only
            control tokens, or ids outside the vocabulary; a text holds a control token, or does not
            come back when its tokens are decoded. The message names the probe and its answer.
    """
    where = f"probe {probe.id!r}, answer"
    found = _encoded(model, probe, answer, where) if isinstance(answer, str) else _ids(answer)
    if not found:
        raise RecordingError(
            f"{where}: it has no tokens. Give at least one word, or drop the probe."
        )
    outside = [i for i in found if not 0 <= i < model.vocabulary]
    if outside:
        raise RecordingError(
            f"{where}: token id {outside[0]} is outside the vocabulary of {model.name} "
            f"({model.vocabulary} tokens). Tokenise the answer with this model's tokenizer."
        )
    if model.special_ids.issuperset(found):
        raise RecordingError(
            f"{where}: it holds nothing but control tokens ({_shown(found)}). Give it words, or drop "
            f"the probe."
        )
    return found


def aligned(
    probes: Sequence[Probe],
    ids_of: Callable[[int], list[int]],
    failures: list[tuple[str, LvlmAuditError]],
) -> list[tuple[int, list[int]]]:
    """Positions and ids of all answers that can be aligned; the others' probes go to `failures`."""
    found = []
    for i, probe in enumerate(probes):
        try:
            found.append((i, ids_of(i)))
        except (ProbeError, RecordingError) as error:
            failures.append((probe.id, error))
    return found


def _ids(answer: Sequence[int]) -> list[int]:
    return [int(i) for i in answer]


def _encoded(model: HookedModel, probe: Probe, text: str, where: str) -> list[int]:
    tokenizer: Any = model.tokenizer
    if tokenizer is None:
        raise RecordingError(
            f"{where}: {model.name} has no tokenizer to read it with. Give token ids, or pass processor=..."
        )
    said = text.strip()
    if not said:
        raise RecordingError(f"{where}: it has no tokens ({text!r} is blank). Fill it in.")
    prompt = model.inputs([probe])["input_ids"][0, -_TAIL:].tolist()
    tail = _decode(tokenizer, prompt)
    if tail and not tail[-1].isspace() and prompt[-1] not in model.special_ids:
        said = " " + said
    found = _continuation(tokenizer, said)
    control = [i for i in found if i in model.special_ids]
    written = [i for i in control if _decode(tokenizer, [i]).strip() in text]
    if written:
        raise RecordingError(
            f"{where}: {_quoted(text)} holds the control token {_decode(tokenizer, written[:1])!r}, "
            f"which no answer says. Remove it."
        )
    if _plain(_decode(tokenizer, found)) != _plain(said):
        raise RecordingError(
            f"{where}: {_quoted(text)} cannot be aligned: this model's tokenizer reads it as "
            f"{_quoted(_decode(tokenizer, found))}. Write it with characters that the model knows."
        )
    return found


def _continuation(tokenizer: Any, text: str) -> list[int]:
    """Ids of text in the middle of a sequence.

    SentencePiece tokenizers put a word boundary before any text they are given; encoding behind an
    anchor and cutting it off tells whether it belongs here.
    """
    encode = tokenizer.encode
    plain: list[int] = list(encode(text, add_special_tokens=False))
    anchor = list(encode("\n", add_special_tokens=False))
    both = list(encode("\n" + text, add_special_tokens=False))
    if anchor and both[: len(anchor)] == anchor and not text.startswith(" "):
        return both[len(anchor) :]
    if text.startswith(" "):
        word = list(encode(text[1:], add_special_tokens=False))
        # A tokenizer that adds the boundary by itself would now write two spaces.
        if tokenizer.decode([*encode("a", add_special_tokens=False), *word]) == "a" + text:
            return word
    return plain


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(
        tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    )


def _plain(text: str) -> str:
    """A text without what some tokenizers change: case, accents, spelling of characters, space."""
    spelled = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in spelled if not c.isspace() and not unicodedata.combining(c))


def _quoted(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def _shown(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:5])) + (", ..." if len(ids) > 5 else "")
