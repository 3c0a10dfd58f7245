"""Drafts: probes as a reader found them, before their images are looked at and their ids are settled."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes import decoding
from lvlm_audit.probes.image_places import places, without_places
from lvlm_audit.probes.probe import ImageSource, Probe, Turn
from lvlm_audit.probes.problems import Problems
from lvlm_audit.probes.quoting import short
from lvlm_audit.probes.source import Source


@dataclass(slots=True)
class Draft:
    """A probe whose default id waits until all given ids are known.

    Attributes:
        where: file and place, as a message names them.
        images: what is shown, in order; without any, the question is asked blind and needs a cluster.
        prompt: the question.
        stem: what a default id is made of.
        id, answer, cluster, labels, turns: as of a `Probe`; None where they are not given.
    """

    where: str
    images: tuple[ImageSource, ...]
    prompt: str
    stem: str
    id: str | None = None
    answer: str | None = None
    cluster: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    turns: tuple[Turn, ...] = ()


def finish(drafts: Iterable[Draft], source: Source) -> list[Probe]:
    """Probes of drafts: their images are decoded once, and defaults are filled in.

    Args:
        drafts: in the order of the probes.
        source: what they were read from; remarks on images go there.

    Raises:
        ProbeError: images that are not there or cannot be shown, or ids that occur twice; all of them.
    """
    ready = list(drafts)
    _refuse_missing(ready, source.hint)
    given: dict[str, str] = {}
    digests: dict[_Key, str] = {}
    problems = Problems(source.where)
    for draft in ready:
        try:
            _drop_places(draft, source)
            for image in draft.images:
                if _key(image) not in digests:
                    # A broken image is told once, however many probes show it.
                    digests[_key(image)] = ""
                    digests[_key(image)] = _checked_digest(draft.where, image, source)
            if draft.id is not None and draft.id in given:
                raise ProbeError(
                    f"{draft.where}: the id {draft.id!r} is taken already, by {given[draft.id]}. "
                    f"Make one of them different, or leave ids out to have them made."
                )
        except ProbeError as error:
            problems.add(draft.where, error)
        if draft.id is not None:
            given.setdefault(draft.id, draft.where)
    problems.refuse()
    taken = set(given)
    probes = []
    for draft in ready:
        identity = draft.id if draft.id is not None else _free_id(draft.stem, taken)
        taken.add(identity)
        cluster = draft.cluster
        if cluster is None:
            cluster = _one_digest([digests[_key(image)] for image in draft.images])
        probes.append(
            Probe(
                id=identity,
                prompt=draft.prompt,
                image=draft.images[0] if draft.images else None,
                cluster=cluster,
                answer=draft.answer,
                labels=draft.labels,
                more_images=draft.images[1:],
                turns=draft.turns,
            )
        )
    return probes


def _drop_places(draft: Draft, source: Source) -> None:
    """Takes the places for images out of the prompt: a processor would count them beside its own."""
    found = places(draft.prompt)
    if not found:
        return
    bare = without_places(draft.prompt)
    if not bare.strip():
        raise ProbeError(
            f"{draft.where}: the prompt {short(draft.prompt)} is a place for an image and nothing else. Write "
            f"a question."
        )
    if found > max(1, len(draft.images)):
        raise ProbeError(
            f"{draft.where}: the prompt has {found} places for images ({short(draft.prompt)}), but "
            f"{len(draft.images)} images are given. Give as many, as a list."
        )
    draft.prompt = bare
    place = draft.where.removeprefix(f"{source.where}, ")
    source.remarks.add("probes", _PLACES, "probe", draft.id or place)


_PLACES = (
    "places for images (<image>) taken out of prompts, because the model's processor puts images before the "
    "text itself"
)

_Key = tuple[Path | None, bytes | None, str | None]


def _key(image: ImageSource) -> _Key:
    return image.path, image.data, image.background


def _refuse_missing(drafts: Sequence[Draft], hint: str) -> None:
    """One message for all images that are not there: a folder that is named wrongly lacks every one."""
    first: dict[Path | None, tuple[str, ImageSource]] = {}
    for draft in drafts:
        for image in draft.images:
            if image.path is not None:
                first.setdefault(image.path, (draft.where, image))
    missing = [
        # What lies in a folder's listing is there, even if it is a link to nothing.
        (where, image)
        for path, (where, image) in first.items()
        if path is not None and not os.path.lexists(path)
    ]
    if not missing:
        return
    where, image = missing[0]
    if os.sep == "/" and any("\\" in one.name for _, one in missing):
        hint = f"On this system folders are parted by /, not by backslashes. {hint}"
    place = f"(looked for {short(str(image.path))})"
    if len(missing) == 1:
        raise ProbeError(f"{where}: there is no image {short(image.name)} {place}. {hint}")
    shown = ", ".join(short(one.name) for _, one in missing[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    raise ProbeError(
        f"{where}: {len(missing)} of {len(first)} images are not there: {shown}{more} {place}. {hint}"
    )


def _checked_digest(where: str, image: ImageSource, source: Source) -> str:
    """The image's digest, after it was decoded: a broken file must not wait for the model."""
    if image.path is not None and image.path.exists() and not image.path.is_file():
        # Reading a pipe or a device would wait for ever.
        raise ProbeError(
            f"{where}: the image {short(image.name)} is not a regular file. Copy it to one."
        )
    try:
        # The bytes are read once, so that what is decoded is what is hashed.
        held = replace(image, path=None, data=image.read())
        held.open().close()
    except ProbeError as error:
        raise ProbeError(f"{where}: {error}") from error
    assert held.data is not None
    for remark in decoding.remarks(held.data):
        if remark == "frames":
            source.remarks.add("images", "only the first frame is shown", "image", image.name)
        elif image.background is None:
            source.remarks.add("images", _TRANSPARENT, "image", image.name)
    return held.digest()


_TRANSPARENT = (
    "transparency dropped, as models' processors do it, so the colour under it is shown "
    '("background": "white" in a probe lays an image on white)'
)


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
