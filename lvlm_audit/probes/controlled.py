"""Controls: the same questions with the image taken away, blanked or swapped, before anything is recorded.

What is left of a finding under a control does not come from the image. A control changes what is shown
and nothing else: prompts, reference answers and labels stay those of the original image.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.others import Images, other_images
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.settings.audit import Control

BY_PROMPT: tuple[Control, ...] = ("text-only", "blank-image")
"""Controls under which the unit of statistics is the distinct prompt."""

GREY = (128, 128, 128)
"""Of a blank image: the middle of the range, near zero after most processors' normalisation."""

_SAME_PROMPT = (
    "Equal prompts get equal answers here, so the unit of all statistics is the distinct prompt, "
    "not the image."
)
EXPECTATIONS: Mapping[Control, str] = {
    "text-only": (
        "Every distinct prompt was asked once, without any image. What forms here comes "
        "from the prompt and the language model alone. Checks about the image do not apply. "
        + _SAME_PROMPT
    ),
    "blank-image": (
        "Every probe was shown a uniform grey image of its own size, and is compared "
        "with another probe's real image. A blank image tells nothing, so a check that the image "
        "shown makes the reference answer likelier (image_informs) must not pass. That a real image "
        "changes the answer's distributions (image_matters) may well hold. " + _SAME_PROMPT
    ),
    "swapped-image": (
        "Every probe was shown another probe's image, and is compared with its own. The "
        "reference answer belongs to its own image, so a check that the image shown makes it "
        "likelier (image_informs) should fail if the model looks at all. That the image counts "
        "(image_matters) holds of a whole model: swapping does not blind it."
    ),
}
"""What a control does, and what a reader should expect of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Probes as they are asked, with the image that each is compared with.

    Attributes:
        probes: to ask.
        others: per probe the images of the second run of a paired replay; None where there is none.
    """

    probes: Sequence[Probe]
    others: Sequence[Images | None]

    def of(self, probes: Sequence[Probe]) -> Shown:
        """Some of them, with the same other images."""
        ids = {probe.id for probe in probes}
        kept = [pair for pair in zip(self.probes, self.others, strict=True) if pair[0].id in ids]
        return Shown([probe for probe, _ in kept], [other for _, other in kept])


def under_control(probes: Sequence[Probe], control: Control | None) -> Shown:
    """The probes as a control shows them.

    The image that a probe is compared with must differ from the one it is shown, and should make the
    control tell something: under a swap it is the probe's own image, which the reference answer
    belongs to; under a blank it is another probe's, as without any control, so that a
    model that ignores pictures gives the same zero as ever. Without an image there is nothing to
    compare another with: what the image does to a text is the grounding curve of an ordinary run.

    Args:
        probes: as read.
        control: None shows them as they are.

    Raises:
        ProbeError: prepared probes, whose image is in tensors already; or no probe to change, or no
            second image to swap with.
    """
    others = other_images(probes)
    if control is None:
        return Shown(probes, others)
    for probe in probes:
        if probe.tensors is not None:
            raise ProbeError(
                f"control {control!r}: probe {probe.id!r} is prepared tensors, in which no image can be "
                f"exchanged. Give it as image and prompt."
            )
    if all(probe.image is None for probe in probes):
        raise ProbeError(
            f"control {control!r}: no probe has an image, so there is nothing to change."
        )
    if control == "text-only":
        asked = text_questions(probes)
        return Shown(asked, [None] * len(asked))
    if control == "blank-image":
        return Shown([_blanked(probe) for probe in probes], others)
    if all(other is None for other in others):
        raise ProbeError(
            f"control {control!r}: all probes show the same image. Give probes on at least two."
        )
    swapped = [p.showing(other or ()) for p, other in zip(probes, others, strict=True)]
    return Shown(swapped, [probe.images or None for probe in probes])


def text_questions(probes: Sequence[Probe]) -> list[Probe]:
    """Each distinct prompt once, without an image; the unit of statistics is the prompt.

    Reference answer and labels belong to an image, so only those of the prompt's first probe could be
    kept: they are dropped.
    """
    first: dict[str, Probe] = {}
    for probe in probes:
        first.setdefault(probe.transcript, probe)
    return [
        Probe(
            id=probe.id,
            prompt=probe.prompt,
            image=None,
            cluster=f"prompt: {asked}",
            turns=probe.showing(()).turns,
        )
        for asked, probe in first.items()
    ]


def _blanked(probe: Probe) -> Probe:
    shown = probe.showing([_grey(image) for image in probe.images])
    return replace(shown, cluster=f"prompt: {probe.transcript}")


def _grey(image: ImageSource) -> ImageSource:
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", image.open().size, GREY).save(data, "PNG")
    return ImageSource(f"a grey image as large as {image.name}", data=data.getvalue())
