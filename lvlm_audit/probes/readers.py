"""Reading probes that a person wrote: a folder of images, or a JSONL file with one probe a line.

What is read was written by nobody we know, so everything is checked here, once, and a message names
file, line, value and remedy. Values are quoted with `repr`, which makes control characters visible.
Nothing is kept of an image but its path and its digest.
"""

from __future__ import annotations

import codecs
import difflib
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NoReturn

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.probe import ImageSource, Probe

DEFAULT_PROMPT = "Describe the image."
"""What a folder's images are asked when no prompt is given."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
"""File names that a folder's reader takes for images, in lower case."""

KEYS = ("image", "prompt", "answer", "labels", "cluster", "id")
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
_TYPE_NAMES = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "text",
    type(None): "null",
}
_EXAMPLE = '{"image": "photo.jpg", "prompt": "What is this?"}'
# Invisible characters that reorder the text around them in a terminal or a report.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def read_probes(path: str | Path, *, prompt: str | None = None) -> list[Probe]:
    """Reads a probe set from a folder of images or from a `.jsonl` file.

    A **folder** is searched with its subfolders for files named like images (`IMAGE_SUFFIXES`);
    other files, hidden files and hidden folders are passed over, links to folders are not followed.
    The order is natural (`2.jpg` before `10.jpg`), folder by folder. Every image is asked `prompt`;
    the id is the path inside the folder without its suffix (`cats/tom`).

    A **JSONL file** holds one JSON object a line, UTF-8, blank lines allowed. Keys: `image` (a
    path, relative to the file's own folder, or a list of paths, shown in that order) and `prompt`;
    optional `answer` (text), `labels` (an object), `cluster` (text) and `id` (text, unique); an
    optional key may be null. A line without `prompt` is asked the argument `prompt`, if one is
    given. The default id is the (first) image's file name without suffix.

    In both, a default id that is taken gets `-2`, `-3` ... appended, and the default cluster is the
    digest of the image's bytes (of several, of their digests): probes on the same images share it,
    whatever the files are called.
    Every image is decoded once to make sure that it can be, and not kept.

    Args:
        path: the folder or the `.jsonl` file.
        prompt: one question for all images of a folder (default: "Describe the image."), or for
            the JSONL lines that have none.

    Returns:
        The probes in the order of the files or lines; at least one.

    Raises:
        ProbeError: nothing there, nothing in it, or something in it that cannot be asked. The
            message names the file, the line if there is one, the value and what to do.
    """
    if prompt is not None and not prompt.strip():
        raise ProbeError(f"the prompt {prompt!r} is blank. Give a question, or leave it out.")
    where = repr(str(path))
    if os.path.isdir(path):
        drafts = _from_folder(Path(path), where, DEFAULT_PROMPT if prompt is None else prompt)
    elif not os.path.exists(path):
        raise ProbeError(
            f"no probes at {where}: there is no such file or folder. Check the path; it may be a "
            f"folder of images or a .jsonl file."
        )
    elif os.path.splitext(path)[1].lower() != ".jsonl" or not os.path.isfile(path):
        raise ProbeError(
            f"cannot read probes from {where}: it is neither a folder of images nor a .jsonl file. "
            f"For one image, name its folder; for a list, write one JSON object a line, such as "
            f"{_EXAMPLE}, into a file that ends in .jsonl."
        )
    else:
        drafts = _from_jsonl(Path(path), where, prompt)
    return _finish(drafts)


@dataclass(slots=True)
class _Draft:
    """A probe whose default id waits until all given ids are known."""

    where: str
    images: tuple[ImageSource, ...]
    prompt: str
    stem: str
    id: str | None = None
    answer: str | None = None
    cluster: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)


def _finish(drafts: Iterable[_Draft]) -> list[Probe]:
    """Checks the images, fills the defaults in and refuses ids that occur twice."""
    ready: list[tuple[_Draft, str]] = []
    given: dict[str, str] = {}
    digests: dict[Path | None, str] = {}
    for draft in drafts:
        for image in draft.images:
            if image.path not in digests:
                digests[image.path] = _checked_digest(draft.where, image)
        ready.append((draft, _one_digest([digests[image.path] for image in draft.images])))
        if draft.id is not None:
            if draft.id in given:
                raise ProbeError(
                    f"{draft.where}: the id {draft.id!r} is taken already, by {given[draft.id]}. "
                    f"Make one of them different, or leave ids out to have them made."
                )
            given[draft.id] = draft.where
    taken = set(given)
    probes = []
    for draft, digest in ready:
        identity = draft.id if draft.id is not None else _free_id(draft.stem, taken)
        taken.add(identity)
        probes.append(
            Probe(
                id=identity,
                prompt=draft.prompt,
                image=draft.images[0],
                cluster=draft.cluster if draft.cluster is not None else digest,
                answer=draft.answer,
                labels=draft.labels,
                more_images=draft.images[1:],
            )
        )
    return probes


def _checked_digest(where: str, image: ImageSource) -> str:
    """The image's digest, after it was decoded: a broken file must not wait for the model."""
    if image.path is not None and image.path.exists() and not image.path.is_file():
        # Reading a pipe or a device would wait for ever.
        raise ProbeError(
            f"{where}: the image {_short(image.name)} is not a regular file. Copy it to one."
        )
    try:
        # The bytes are read once, so that what is decoded is what is hashed.
        held = ImageSource(name=image.name, data=image.read())
        held.open().close()
    except ProbeError as error:
        raise ProbeError(f"{where}: {error}") from error
    return held.digest()


def _one_digest(digests: list[str]) -> str:
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _free_id(stem: str, taken: set[str]) -> str:
    if stem not in taken:
        return stem
    number = 2
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


# Folders ------------------------------------------------------------------------------------------


def _from_folder(folder: Path, where: str, prompt: str) -> Iterator[_Draft]:
    # Absolute, so that the probes stay readable when the working directory changes.
    root = folder.absolute()
    images: list[PurePath] = []
    others: list[PurePath] = []
    for found in _walk(root, where):
        suffix = found.suffix.lower()
        (images if suffix in IMAGE_SUFFIXES else others).append(found)
    if not images:
        raise ProbeError(_no_images(folder, where, others))
    images.sort(key=_natural_key)
    for image in images:
        name = image.as_posix()
        source = ImageSource(name=name, path=root / image)
        yield _Draft(where, (source,), prompt, _visible(image.with_suffix("").as_posix()))


def _walk(root: Path, where: str) -> Iterator[PurePath]:
    """Every file below `root` that is not hidden, relative to it."""

    def refuse(error: OSError) -> NoReturn:
        raise ProbeError(
            f"cannot list {error.filename!r} in {where}: {error.strerror or error}. "
            f"Check its permissions."
        ) from error

    for folder, subfolders, files in os.walk(root, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = PurePath(folder).relative_to(root)
        for name in files:
            # macOS leaves "._photo.jpg" beside photo.jpg, which is named like an image and is none.
            if not name.startswith("."):
                yield relative / name


def _no_images(folder: Path, where: str, others: list[PurePath]) -> str:
    if not others:
        return f"no probes at {where}: the folder is empty. Put images into it."
    known = ", ".join(sorted(IMAGE_SUFFIXES))
    lists = sorted((o for o in others if o.suffix.lower() == ".jsonl"), key=_natural_key)
    if lists:
        remedy = f"Did you mean the list in it, {str(folder / lists[0])!r}?"
    else:
        seen = sorted({o.suffix.lower() or "no suffix" for o in others})
        shown = ", ".join(repr(s) for s in seen[:5]) + (", ..." if len(seen) > 5 else "")
        remedy = f"It holds files with {shown}. Convert the images, or name another folder."
    return f"no probes at {where}: no file in it is named like an image ({known}). {remedy}"


def _natural_key(path: PurePath) -> tuple[list[list[tuple[int, int, str]]], str]:
    """Numbers by value, letters without case, folder by folder; the text itself breaks ties."""
    return [
        [
            (0, int(piece), "") if piece[0] in "0123456789" else (1, 0, piece.casefold())
            for piece in re.split("([0-9]+)", part)
            if piece
        ]
        for part in path.parts
    ], str(path)


# JSONL --------------------------------------------------------------------------------------------


def _from_jsonl(path: Path, where: str, prompt: str | None) -> Iterator[_Draft]:
    empty = True
    for number, text in _lines(path, where):
        empty = False
        place = f"{where}, line {number}"
        yield _draft(place, _parse(place, text), path.absolute().parent, prompt)
    if empty:
        raise ProbeError(
            f"{where} holds no probes: the file is empty. Write one JSON object a line, such as "
            f"{_EXAMPLE}."
        )


def _lines(path: Path, where: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                raw = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                try:
                    text = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise ProbeError(
                        f"{where}, line {number}: not UTF-8 (byte 0x{raw[error.start]:02x} at byte "
                        f"{error.start + 1} of the line). Save the file as UTF-8."
                    ) from error
                if text.strip():
                    yield number, text
    except OSError as error:
        raise ProbeError(
            f"cannot read {where}: {error.strerror or error}. Check its permissions."
        ) from error


def _parse(where: str, text: str) -> dict[str, Any]:
    try:
        line = json.loads(
            text.rstrip("\r\n"),
            object_pairs_hook=lambda pairs: _object(where, pairs),
            parse_constant=lambda name: _no_constant(where, name),
        )
        # JSON can spell half a surrogate pair, which no file or terminal can be given.
        json.dumps(line, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise ProbeError(
            f"{where}, column {error.colno}: not valid JSON: {error.msg}. "
            f"Each line must be one whole JSON object, such as {_EXAMPLE}."
        ) from error
    except UnicodeEncodeError as error:
        raise ProbeError(
            f"{where}: {error.object[error.start]!r} is half a surrogate pair and no character. "
            f"Write the character itself, or both halves."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ProbeError(
            f"{where}: cannot be read as JSON: {error}. Shorten or flatten the line."
        ) from error
    if not isinstance(line, dict):
        raise ProbeError(
            f"{where}: must be a JSON object, not {_describe(line)}. Write it as {_EXAMPLE}."
        )
    return line


def _object(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Python keeps the last of two equal keys and says nothing.
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ProbeError(f"{where}: the key {_short(key)} occurs twice. Drop one of them.")
        result[key] = value
    return result


def _no_constant(where: str, name: str) -> NoReturn:
    raise ProbeError(f"{where}: {name} is not JSON. Write a number, text or null.")


def _draft(where: str, line: dict[str, Any], folder: Path, prompt: str | None) -> _Draft:
    for key in line:
        if key not in KEYS:
            raise ProbeError(_unknown_key(where, key))
    images = _image_names(where, line)
    if not images:
        raise ProbeError(f"{where}: the key 'image' is missing. Write it as in {_EXAMPLE}.")
    question = _text(where, line, "prompt") if "prompt" in line else prompt
    if question is None:
        raise ProbeError(
            f"{where}: the key 'prompt' is missing. Write it as in {_EXAMPLE}, or give one prompt "
            f"for all lines that have none."
        )
    stem = _visible(PurePath(images[0]).stem)
    draft = _Draft(where, tuple(_image(where, i, folder) for i in images), question, stem)
    draft.answer = _text(where, line, "answer")
    draft.id = _name(where, line, "id")
    draft.cluster = _name(where, line, "cluster")
    labels = line.get("labels")
    if labels is not None:
        if not isinstance(labels, dict):
            raise ProbeError(
                f"{where}: 'labels' must be an object, not {_describe(labels)}. "
                f'Write it as {{"labels": {{"kind": "color"}}}}.'
            )
        draft.labels = labels
    return draft


def _image_names(where: str, line: dict[str, Any]) -> list[str]:
    """What is under 'image', one path or several; nothing if the key is absent."""
    value = line.get("image")
    if not isinstance(value, list):
        name = _text(where, line, "image")
        return [] if name is None else [name]
    if not value:
        raise ProbeError(f"{where}: 'image' is an empty list. Name at least one image in it.")
    return [_text(where, {"image": name}, "image") or "" for name in value]


def _unknown_key(where: str, key: str) -> str:
    near = difflib.get_close_matches(key.lower(), KEYS, n=1)
    guess = _FOREIGN_KEYS.get(key.lower()) or (near[0] if near else None)
    remedy = f"Did you mean {guess!r}?" if guess else "Put facts of your own under 'labels'."
    return f"{where}: unknown key {_short(key)}. {remedy} Known keys: {', '.join(KEYS)}."


def _text(where: str, line: dict[str, Any], key: str) -> str | None:
    """The text under `key`; None if the key is absent, or null where it may be."""
    value = line.get(key)
    optional = key not in ("image", "prompt")
    if value is None and (optional or key not in line):
        return None
    remedy = "Leave the key out." if optional else "Fill it in, or drop the line."
    if not isinstance(value, str):
        if type(value) in (int, float):
            remedy = f'Write it as "{value}".'
        raise ProbeError(f"{where}: {key!r} must be text, not {_describe(value)}. {remedy}")
    if not value.strip():
        raise ProbeError(f"{where}: {key!r} is blank ({_short(value)}). {remedy}")
    return value


def _name(where: str, line: dict[str, Any], key: str) -> str | None:
    """Text that is printed as it stands, on one line: no control characters."""
    value = _text(where, line, key)
    if value is not None and (bad := next((c for c in value if _invisible(c)), None)):
        raise ProbeError(
            f"{where}: {key!r} holds the control character {bad!r} ({_short(value)}). Remove it: "
            f"{key}s are printed as they are, on one line."
        )
    return value


def _image(where: str, text: str, folder: Path) -> ImageSource:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|data:", text):
        raise ProbeError(
            f"{where}: the image {_short(text)} is a URL. Nothing is fetched from the network: "
            f"save the image beside the file and give its path."
        )
    path = folder / text
    if os.path.isdir(path):
        raise ProbeError(
            f"{where}: the image {_short(text)} is a folder. Name one file in it; a folder of "
            f"images is read by naming it instead of the .jsonl file."
        )
    if not os.path.exists(path):
        raise ProbeError(
            f"{where}: there is no image {_short(text)} (looked for {str(path)!r}). "
            f"Paths are relative to the folder of the .jsonl file."
        )
    return ImageSource(name=text, path=path)


# Words for messages -------------------------------------------------------------------------------


def _describe(value: Any) -> str:
    return f"{_TYPE_NAMES.get(type(value), type(value).__name__)} ({_short(value)})"


def _short(value: Any) -> str:
    """`repr`, which makes control characters visible, cut to a length that fits a message."""
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp") or character in _BIDI


def _visible(name: str) -> str:
    """A file name as a printable id: control characters and undecodable bytes are spelled out."""
    spelled = "".join(
        c.encode("unicode_escape").decode("ascii") if _invisible(c) else c for c in name
    )
    return spelled.encode("utf-8", "backslashreplace").decode("utf-8")
