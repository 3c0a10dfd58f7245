"""Reading probes that a person wrote or a benchmark ships: a folder of images, or a file.

What is read was written by nobody we know, so everything is checked here, once, and a message names
file, line, value and remedy. Values are quoted with `repr`, which makes control characters visible.
Nothing is kept of an image but its path and its digest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from lvlm_audit.errors import ProbeError
from lvlm_audit.notes import distinct
from lvlm_audit.probes.drafts import Draft, finish
from lvlm_audit.probes.formats import folder
from lvlm_audit.probes.formats.detect import detect
from lvlm_audit.probes.formats.registry import AUTO, FORMATS, format_names
from lvlm_audit.probes.probe import Probes
from lvlm_audit.probes.quoting import short
from lvlm_audit.probes.source import Source
from lvlm_audit.settings.spelling import spelled


def read_probes(
    path: str | Path,
    *,
    prompt: str | None = None,
    format: str = AUTO,
    images: str | Path | None = None,
) -> Probes:
    """Reads a probe set from a folder of images, from a `.jsonl` file or from a benchmark's file.

    A **folder** is searched with its subfolders for files named like images that this installation can
    decode (JPEG, PNG, WebP, AVIF ...; HEIC with `lvlm-audit[heif]`); hidden files and hidden folders are
    passed over, links to folders are not followed. The order is natural (`2.jpg` before `10.jpg`), folder by
    folder. Every image is asked `prompt`; the id is the path inside the folder without its suffix
    (`cats/tom`). Where a text file of MME's questions lies beside an image, these are asked.

    A **JSONL file** holds one JSON object a line, UTF-8, blank lines allowed. Keys: `image` (a
    path, relative to the file's own folder, a data URI, or a list of them, shown in that order) and `prompt`;
    optional `answer` (text), `labels` (an object), `cluster` (text), `id` (text, unique), `turns` (what
    was said before the prompt) and `background` ("white" lays transparent images on white); an
    optional key may be null. A line without `prompt` is asked the argument `prompt`, if one is
    given. The default id is the (first) image's file name without suffix.

    **POPE**, **AMBER**, **CHAIR** output and **HallusionBench** are read as their repositories have them
    (`lvlm_audit.probes.formats`), with the truth that they hold as labels (`lvlm_audit.probes.labels`);
    **chat messages**, **LLaVA** and **ShareGPT conversations**, **OpenAI batches**, **question files** and
    **lmms-eval's logs** as docs/probes.md says.

    In all, a default id that is taken gets `-2`, `-3` ... appended, and the default cluster is the
    digest of the image's bytes (of several, of their digests): probes on the same images share it,
    whatever the files are called.
    Every image is decoded once to make sure that it can be, and not kept.

    Args:
        path: the folder or the file.
        prompt: one question for all images of a folder (default: "Describe the image."), or for
            the JSONL lines that have none.
        format: of a file: one of `formats.registry.FORMATS` ("jsonl" is our own), to which packages may add
            theirs; "auto" tells by the keys of its first record.
        images: the folder that a file's image paths are relative to; None: the file's own.

    Returns:
        The probes in the order of the files or lines, at least one; `.notes` says what was left out.

    Raises:
        ProbeError: nothing there, nothing in it, or something in it that cannot be asked. The
            message names the file, the line if there is one, the value and what to do.

    Example:
        >>> [probe.id for probe in lvlm_audit.read_probes(photos, prompt="What is shown?")]
        ['0', '1', '2']
    """
    if prompt is not None and not prompt.strip():
        raise ProbeError(f"the prompt {prompt!r} is blank. Give a question, or leave it out.")
    if prompt is not None and any("\ud800" <= c <= "\udfff" for c in prompt):
        # A shell hands bytes that are no text on as such characters; no tokenizer takes them.
        raise ProbeError(
            f"the prompt {short(prompt)} holds half a surrogate pair, which is no character. Give it in "
            f"UTF-8."
        )
    if format != AUTO and format not in FORMATS:
        raise ProbeError(
            f"{spelled('probe_format')} {format!r} is not one of {', '.join(format_names())}."
        )
    source = Source(Path(path), prompt, None if images is None else Path(images))
    if os.path.isdir(path):
        if format != AUTO or images is not None:
            given = f"the format {format!r}" if format != AUTO else "an image folder"
            raise ProbeError(
                f"{source.where} is a folder of images, which has no probe file, so {given} means nothing "
                f"here. Name the file, or leave that out."
            )
        return _read(source, folder.drafts)
    if not os.path.exists(path):
        raise ProbeError(
            f"no probes at {source.where}: there is no such file or folder. Check the path; it may be a "
            f"folder of images, a .jsonl file or a benchmark's JSON."
        )
    if not os.path.isfile(path):
        raise ProbeError(f"{source.where} is not a regular file. Copy the probes to one.")
    if source.images is not None and not source.images.is_dir():
        raise ProbeError(
            f"no images at {str(source.images)!r}: there is no such folder. Check {spelled('image_folder')}, "
            f"or read_probes(..., images=...)."
        )
    chosen = FORMATS.get(detect(source) if format == AUTO else format)
    try:
        return _read(source, chosen.read)
    except ProbeError as error:
        if chosen.name == "jsonl":
            raise
        told = "was read" if format != AUTO else "was recognised"
        raise ProbeError(
            f"{error} The file {told} as {chosen.title or chosen.name} "
            f"({spelled('probe_format', chosen.name)})."
        ) from error


def _read(source: Source, reader: Callable[[Source], Iterable[Draft]]) -> Probes:
    probes = finish(reader(source), source)
    return Probes(probes, distinct([*source.notes, *source.remarks.notes()]))
