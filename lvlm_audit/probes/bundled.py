"""The probe sets that ship: pictures for any model, drawn scenes for the demo model."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.probes.readers import read_probes

if TYPE_CHECKING:
    from PIL.Image import Image

# An ordinary file in the ordinary format: it is also the example to start one's own set from.
_DEFAULT_SET = Path(__file__).parent / "data" / "default.jsonl"


def default_probes() -> list[Probe]:
    """The set that a model is asked when nobody names another: 48 questions about 24 pictures.

    Descriptions, colours, counts and yes/no questions in equal number (`labels["kind"]`), with a
    reference answer each; a cluster is a picture. Sources and licences: `data/LICENSES.md`.

    Returns:
        The probes, those of one picture together.

    Raises:
        ProbeError: the installation is damaged (a file of the set is missing or broken).
    """
    return read_probes(_DEFAULT_SET)


def demo_probes(count: int = 48, seed: int = 0, *, questions: int = 1) -> list[Probe]:
    """The set that the demo model is asked: drawn scenes that it was not trained on.

    Kinds of question in turn as in `default_probes`. `labels` hold the scene's ground
    truth (`lvlm_audit.demo.probes.question_labels`); a cluster is a scene.

    Args:
        count: number of scenes.
        seed: which set; the same seed gives the same set on every machine, and sets of different
            seeds share no scene.
        questions: about each scene; with four, one of each kind.

    Returns:
        `count * questions` probes, those of a scene together, whose pictures are PNG bytes in memory.

    Raises:
        ValueError: the count is not positive.
    """
    # Imported here: drawing needs NumPy, which reading one's own probes does not.
    from lvlm_audit.demo import probes as demo

    if count < 1:
        raise ValueError(f"a probe set has at least one probe, not {count}")
    return [
        Probe(
            id=record.probe_id,
            prompt=record.prompt,
            image=ImageSource(name=f"{record.cluster}.png", data=_png(record.image)),
            cluster=record.cluster,
            answer=record.answer,
            labels=record.labels,
        )
        for record in demo.demo_probes(count, seed, questions)
    ]


def _png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
