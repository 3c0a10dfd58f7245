"""Probes as a folder that any run can be pointed at: a probe file and its images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from lvlm_audit.errors import ProbeError, UsageError
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.writing import check_new_folder, write_whole


def save(probes: Sequence[Probe], folder: Path) -> Path:
    """Writes probes in the project's own format; `read_probes` gives them back.

    An image that several probes share is written once. Files are named by number: names that come
    with probes are hostile.

    Args:
        probes: with images, not prepared.
        folder: a new or empty folder; nothing is overwritten.

    Returns:
        The probe file in it.

    Raises:
        UsageError: the folder holds something or cannot be written.
        ProbeError: a probe without image, or an image that cannot be read.
    """
    blind = [repr(probe.id) for probe in probes if not probe.images]
    if blind:
        raise ProbeError(
            f"probes without image cannot be written to a probe file: {', '.join(blind[:8])}."
        )
    check_new_folder(folder)
    names: dict[str, str] = {}
    lines = []
    try:
        folder.mkdir(exist_ok=True)
        for probe in probes:
            shown = [_written(image, folder, names) for image in probe.images]
            line: dict[str, Any] = {
                "id": probe.id,
                "image": shown if len(shown) > 1 else shown[0],
                "prompt": probe.prompt,
                "cluster": probe.cluster,
            }
            if probe.answer is not None:
                line["answer"] = probe.answer
            if probe.labels:
                line["labels"] = dict(probe.labels)
            if probe.turns:
                line["turns"] = [dataclasses.asdict(turn) for turn in probe.turns]
            backgrounds = {image.background for image in probe.images}
            if len(backgrounds) > 1:
                raise ProbeError(
                    f"probe {probe.id!r}: a probe file has one background for all images of a probe. Give them "
                    f"all the same."
                )
            if background := backgrounds.pop():
                line["background"] = background
            lines.append(json.dumps(line) + "\n")
    except OSError as error:
        raise UsageError(f"cannot write {str(folder)!r}: {error.strerror or error}.") from error
    path = folder / "probes.jsonl"
    write_whole(path, "".join(lines))
    return path


def _written(image: ImageSource, folder: Path, names: dict[str, str]) -> str:
    digest = image.digest()
    if digest not in names:
        suffix = PurePath(image.name).suffix.lower()
        ending = suffix if suffix in (".png", ".jpg", ".jpeg", ".webp") else ""
        names[digest] = f"{len(names):04d}{ending}"
        (folder / names[digest]).write_bytes(image.read())
    return names[digest]
