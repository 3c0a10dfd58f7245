"""Scores a demo checkpoint on fresh scenes: ``python -m lvlm_audit.demo.evaluation``.

Every answer is a real greedy `generate` through the checkpoint's own processor. An answer is
scored by the words that the picture decides: the i-th colour word said against the i-th true one,
and likewise objects, numbers and yes/no. A missing word is a wrong one.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lvlm_audit.demo.drawing import draw_scene
from lvlm_audit.demo.questions import QUESTION_KINDS, Question, ask
from lvlm_audit.demo.scenes import HELD_OUT_SEED, make_scene
from lvlm_audit.probes.scene_words import ROLE_WORDS, said_words

#: Kinds of question whose answer turns on one word, with that word's role.
_ONE_WORD: Final[dict[str, str]] = {"color": "color", "count": "count", "yes_no": "verdict"}
#: Role -> kinds of question it is scored in. In the others the word only echoes the question.
_SCORED: Final[dict[str, tuple[str, ...]]] = {
    "color": ("description", "color"),
    "object": ("description",),
    "count": ("count",),
    "verdict": ("yes_no",),
}


@dataclass(frozen=True, slots=True)
class Score:
    """Hits out of tries with a 95 % Wilson interval (tries taken as independent).

    Attributes:
        right: Number of hits.
        total: Number of tries.
        share: right / total, NaN when nothing was tried.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    right: int
    total: int
    share: float
    low: float
    high: float

    @staticmethod
    def of(right: int, total: int) -> Score:
        """The score of `right` hits in `total` tries."""
        if total == 0:
            return Score(0, 0, math.nan, 0.0, 1.0)
        z = 1.959964
        share = right / total
        centre = (share + z * z / (2 * total)) / (1 + z * z / total)
        spread = (z / (1 + z * z / total)) * math.sqrt(
            share * (1 - share) / total + z * z / (4 * total * total)
        )
        return Score(right, total, share, max(0.0, centre - spread), min(1.0, centre + spread))


def word_hits(question: Question, answer: str, role: str) -> list[bool]:
    """For each true word of a role, whether the answer says it in the same place."""
    true = [ROLE_WORDS[role][word.text.lower()] for word in question.words if word.role == role]
    said = said_words(answer, role)
    return [place < len(said) and said[place] == word for place, word in enumerate(true)]


def generate_answers(
    model: Any, processor: Any, prompts: Sequence[str], images: Sequence[Any] | None
) -> list[str]:
    """Greedy answers of a vision-language model.

    Args:
        model: The model.
        processor: Its processor, whose tokenizer pads on the left.
        prompts: Questions.
        images: A picture for each question, or None to ask without pictures.

    Returns:
        The answers, without special tokens.
    """
    import torch

    parts: list[dict[str, str]] = [] if images is None else [{"type": "image"}]
    texts = [
        processor.apply_chat_template(
            [{"role": "user", "content": [*parts, {"type": "text", "text": prompt}]}],
            add_generation_prompt=True,
        )
        for prompt in prompts
    ]
    pictures = {} if images is None else {"images": list(images)}
    inputs = processor(text=texts, padding=True, return_tensors="pt", **pictures)
    if "pixel_values" in inputs:
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
    with torch.inference_mode():
        tokens = model.generate(**inputs, do_sample=False)
    new = tokens[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]


def evaluate(
    model: Any,
    processor: Any,
    *,
    scenes: int = 200,
    first_seed: int = HELD_OUT_SEED,
    batch: int = 48,
) -> dict[str, Any]:
    """Asks one question of each kind about fresh scenes and scores the answers.

    Args:
        model: The model.
        processor: Its processor.
        scenes: Number of scenes.
        first_seed: Seed of the first scene; the default is held out from training.
        batch: Questions per `generate`.

    Returns:
        JSON-ready: `scores` by name, `wrong` answers by kind of question with the prior-driven
        ones among them (the model says the same word without the picture), and `examples`.
    """
    asked = [
        (index, question)
        for index in range(scenes)
        for question in _questions_of(first_seed + index)
    ]
    # Alike in length means little padding.
    asked.sort(key=lambda pair: (pair[1].kind, len(pair[1].text)))
    tally = _Tally()
    wrong: dict[str, list[tuple[Question, str]]] = {kind: [] for kind in _ONE_WORD}
    for start in range(0, len(asked), batch):
        part = asked[start : start + batch]
        images = [draw_scene(make_scene(first_seed + index)) for index, _ in part]
        answers = generate_answers(model, processor, [q.text for _, q in part], images)
        for (_, question), answer in zip(part, answers, strict=True):
            tally.add(question, answer)
            role = _ONE_WORD.get(question.kind)
            if role is not None and not word_hits(question, answer, role)[0]:
                wrong[question.kind].append((question, answer))
    return {
        "scenes": scenes,
        "dtype": str(model.dtype).removeprefix("torch."),
        "first_seed": first_seed,
        "scores": {name: asdict(score) for name, score in tally.scores().items()},
        "wrong": {
            kind: {
                "total": len(answers),
                "prior_driven": _prior_driven(model, processor, answers, batch),
            }
            for kind, answers in wrong.items()
        },
        "examples": tally.examples,
    }


def _questions_of(seed: int) -> list[Question]:
    rng = np.random.default_rng([seed, 3])
    return [ask(make_scene(seed), kind, rng) for kind in QUESTION_KINDS]


def _prior_driven(
    model: Any, processor: Any, wrong: Sequence[tuple[Question, str]], batch: int
) -> int:
    """How many wrong words the model also says when it sees no picture."""
    same = 0
    for start in range(0, len(wrong), batch):
        part = wrong[start : start + batch]
        blind = generate_answers(model, processor, [q.text for q, _ in part], None)
        for (question, seeing), unseeing in zip(part, blind, strict=True):
            role = _ONE_WORD[question.kind]
            said, guessed = said_words(seeing, role)[:1], said_words(unseeing, role)[:1]
            same += bool(said) and said == guessed
    return same


class _Tally:
    """Counts hits and tries by name."""

    def __init__(self) -> None:
        self._right: Counter[str] = Counter()
        self._total: Counter[str] = Counter()
        self.examples: list[dict[str, str]] = []

    def add(self, question: Question, answer: str) -> None:
        exact = answer == question.answer
        self._count(f"exact answer: {question.kind}", exact)
        if not exact and len(self.examples) < 60:
            self.examples.append(
                {"question": question.text, "true": question.answer, "said": answer}
            )
        for role, kinds in _SCORED.items():
            if question.kind not in kinds:
                continue
            words = [word for word in question.words if word.role == role]
            for word, hit in zip(words, word_hits(question, answer, role), strict=True):
                self._count(role, hit)
                if role == "color":
                    self._count(f"color in {question.kind}", hit)
                    if word.prior_conflict:
                        self._count("color against the prior", hit)

    def scores(self) -> dict[str, Score]:
        return {name: Score.of(self._right[name], n) for name, n in sorted(self._total.items())}

    def _count(self, name: str, hit: bool) -> None:
        self._right[name] += hit
        self._total[name] += 1


def _print_table(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result['scenes']} fresh scenes, greedy answers in {result['dtype']}")
    for column in ("what", "right", "of", "share", "95 % interval"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, score in result["scores"].items():
        interval = f"{score['low']:.3f}..{score['high']:.3f}"
        table.add_row(
            name, str(score["right"]), str(score["total"]), f"{score['share']:.3f}", interval
        )
    console = Console()
    console.print(table)
    for kind, wrong in result["wrong"].items():
        console.print(
            f"wrong answers to {kind} questions: {wrong['total']}, of them prior-driven "
            f"(the same word without the picture): {wrong['prior_driven']}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: scores the assembled demo model, or a folder."""
    parser = argparse.ArgumentParser(prog="python -m lvlm_audit.demo.evaluation")
    parser.add_argument("--model", type=Path, help="checkpoint folder (default: the demo model)")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--dtype", default="float32", help="float32 (default) or bfloat16")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)

    from transformers import AutoModelForImageTextToText, AutoProcessor

    from lvlm_audit.demo.assemble import demo_folder

    folder = options.model or demo_folder()
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=options.dtype).eval()
    processor = AutoProcessor.from_pretrained(folder)
    result = evaluate(model, processor, scenes=options.scenes, first_seed=options.first_seed)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        _print_table(result)


if __name__ == "__main__":
    main()
