"""Fixed sets of drawn pictures with one or more questions each, for audits and for scoring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from lvlm_audit.demo.drawing import draw_scene
from lvlm_audit.demo.questions import QUESTION_KINDS, Question, ask
from lvlm_audit.demo.scenes import PROBE_SEED, Scene, make_scene


@dataclass(frozen=True, slots=True)
class DemoProbe:
    """One picture with one question, as plain data.

    Attributes:
        probe_id: Unique within a set, and the same for the same seed.
        image: RGB picture of 288 x 288 pixels.
        prompt: The question alone; the chat template is the processor's business.
        answer: The true answer, a full sentence.
        labels: JSON-ready ground truth, see `question_labels`.
        cluster: The scene's id. Probes with the same cluster share their picture.
    """

    probe_id: str
    image: Image.Image
    prompt: str
    answer: str
    labels: dict[str, Any]
    cluster: str


def demo_probes(
    count: int = 24, seed: int = 0, questions_per_scene: int = 1
) -> Iterator[DemoProbe]:
    """Yields a fixed probe set on held-out scenes.

    The kinds of question cycle (description, colour, count, yes/no), so every kind is asked
    equally often. The default, 24 scenes with one question each, is the default audit set.

    Args:
        count: Number of scenes.
        seed: Which set. Sets of different seeds share no scene as long as `count` is at most
            1,000,000; none shares one with training or with the published accuracy figures.
        questions_per_scene: Number of questions about each scene.

    Yields:
        `count * questions_per_scene` probes, those of one scene together.
    """
    first = PROBE_SEED + seed * 1_000_000
    for index in range(count):
        scene = make_scene(first + index)
        image = draw_scene(scene)
        rng = np.random.Generator(np.random.PCG64([scene.seed, 2]))
        for turn in range(questions_per_scene):
            kind = QUESTION_KINDS[(index + turn) % len(QUESTION_KINDS)]
            question = ask(scene, kind, rng)
            yield DemoProbe(
                probe_id=f"{scene.scene_id}-{kind}-{turn}",
                image=image,
                prompt=question.text,
                answer=question.answer,
                labels=question_labels(scene, question),
                cluster=scene.scene_id,
            )


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
