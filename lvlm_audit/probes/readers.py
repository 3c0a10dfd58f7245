"""Reading probes that a person wrote: a folder of images, or a JSONL file with one probe a line.

What is read was written by nobody we know, so everything is checked here, once, and a message names
file, line, value and remedy. Values are quoted with `repr`, which makes control characters visible.
Nothing is kept of an image but its path and its digest.
"""

from __future__ import annotations

import os
from pathlib import Path

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import finish
from lvlm_audit.probes.formats import folder, jsonl
from lvlm_audit.probes.json_text import EXAMPLE
from lvlm_audit.probes.probe import Probe


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
        drafts = folder.drafts(
            Path(path), where, folder.DEFAULT_PROMPT if prompt is None else prompt
        )
    elif not os.path.exists(path):
        raise ProbeError(
            f"no probes at {where}: there is no such file or folder. Check the path; it may be a "
            f"folder of images or a .jsonl file."
        )
    elif os.path.splitext(path)[1].lower() != ".jsonl" or not os.path.isfile(path):
        raise ProbeError(
            f"cannot read probes from {where}: it is neither a folder of images nor a .jsonl file. "
            f"For one image, name its folder; for a list, write one JSON object a line, such as "
            f"{EXAMPLE}, into a file that ends in .jsonl."
        )
    else:
        drafts = jsonl.drafts(Path(path), where, prompt)
    return finish(drafts)
