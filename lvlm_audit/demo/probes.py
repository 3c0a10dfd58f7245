"""Fixed sets of drawn pictures with one or more questions each: what the demo model is asked."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL.Image import Image

from lvlm_audit.demo.drawing import draw_scene
from lvlm_audit.demo.questions import QUESTION_KINDS, Question, ask
from lvlm_audit.demo.scenes import PROBE_SEED, Scene, make_scene
from lvlm_audit.probes.probe import ImageSource, Probe


def demo_probes(count: int = 48, seed: int = 0, *, questions: int = 1) -> list[Probe]:
    """A fixed probe set on held-out scenes.

    The kinds of question cycle (description, colour, count, yes/no), so every kind is asked
    equally often. `labels` hold the scene's ground truth (`question_labels`); a cluster is a scene.

    Args:
        count: number of scenes.
        seed: which set; the same seed gives the same set on every machine. Sets of different seeds
            share no scene as long as `count` is at most 1,000,000; none shares one with training or
            with the published accuracy figures.
        questions: about each scene; with four, one of each kind.

    Returns:
        `count * questions` probes, those of a scene together, whose pictures are PNG bytes in memory.

    Raises:
        ValueError: the count is not positive.
    """
    if count < 1:
        raise ValueError(f"a probe set has at least one probe, not {count}")
    first = PROBE_SEED + seed * 1_000_000
    probes = []
    for index in range(count):
        scene = make_scene(first + index)
        image = ImageSource(name=f"{scene.scene_id}.png", data=_png(draw_scene(scene)))
        rng = np.random.Generator(np.random.PCG64([scene.seed, 2]))
        for turn in range(questions):
            kind = QUESTION_KINDS[(index + turn) % len(QUESTION_KINDS)]
            question = ask(scene, kind, rng)
            probes.append(
                Probe(
                    id=f"{scene.scene_id}-{kind}-{turn}",
                    prompt=question.text,
                    image=image,
                    cluster=scene.scene_id,
                    answer=question.answer,
                    labels=question_labels(scene, question),
                )
            )
    return probes


def question_labels(scene: Scene, question: Question) -> dict[str, Any]:
    """The ground truth of a question as JSON-ready data.

    Returns:
        A dictionary with `kind` (of question), `truth`, `count` (of objects), `objects` (from
        left to right: kind, color, prior_conflict), `background`, and `words`: the answer's words
        that the picture decides, each with text, role, start (character) and prior_conflict.
    """
    return {
        "kind": question.kind,
        "truth": question.truth,
        "count": len(scene.objects),
        "objects": [
            {"kind": t.kind, "color": t.color, "prior_conflict": t.conflicts_with_prior}
            for t in scene.objects
        ],
        "background": scene.background,
        "words": [
            {"text": w.text, "role": w.role, "start": w.start, "prior_conflict": w.prior_conflict}
            for w in question.words
        ],
    }


def _png(image: Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
