"""Questions about a scene with the answer its ground truth gives.

The wording of a question decides the wording of its answer, so that a model which sees the
picture can predict every word of the answer; what is left to look up is the picture's content.
Answers are written as templates in which `{color:...}`, `{object:...}`, `{count:...}` and
`{verdict:...}` mark the words that carry the truth; the marks become `AnswerWord` positions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from lvlm_audit.demo.scenes import KINDS, OBJECT_COLORS, Scene, SceneObject

#: The kinds of question, in the order in which a probe set cycles through them.
QUESTION_KINDS: Final[tuple[str, ...]] = ("description", "color", "count", "yes_no")

_NUMBERS: Final[tuple[str, ...]] = ("no", "one", "two", "three")
_MARK: Final = re.compile(r"\{(\w+):([^}]*)\}")


@dataclass(frozen=True, slots=True)
class AnswerWord:
    """A word of the answer that the picture decides.

    Attributes:
        text: The word as it stands in the answer.
        role: "color", "object", "count" or "verdict" (yes or no).
        start: Index of its first character in the answer.
        prior_conflict: For a colour: whether language expects another colour of that object.
    """

    text: str
    role: str
    start: int
    prior_conflict: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one scene and the true answer.

    Attributes:
        kind: One of `QUESTION_KINDS`.
        text: The question, without any chat template.
        answer: The true answer, a full sentence.
        words: The answer's words that the picture decides, in order.
        truth: The bare truth: a colour, a number as digits, "yes" or "no", or the caption.
    """

    kind: str
    text: str
    answer: str
    words: tuple[AnswerWord, ...]
    truth: str


def ask(scene: Scene, kind: str, rng: np.random.Generator) -> Question:
    """Asks one question of a kind, worded at random.

    Args:
        scene: The picture's ground truth.
        kind: One of `QUESTION_KINDS`.
        rng: Source of the wording and of what is asked about.

    Returns:
        The question with its true answer.

    Raises:
        ValueError: If the kind is unknown.
    """
    if kind == "description":
        return _describe(scene, rng)
    if kind == "color":
        return _ask_color(scene, rng)
    if kind == "count":
        return _ask_count(scene, rng)
    if kind == "yes_no":
        return _ask_yes_no(scene, rng)
    raise ValueError(f"unknown kind of question {kind!r}; known: {', '.join(QUESTION_KINDS)}")


def color_question(thing: SceneObject) -> Question:
    """The plainest colour question about one object: "What color is the banana?"."""
    return _question(
        "color", f"What color is the {thing.kind}?", _the(thing, "is {}."), thing.color, thing
    )


def _describe(scene: Scene, rng: np.random.Generator) -> Question:
    things = [f"{_article(t.color)} {{color:{t.color}}} {{object:{t.kind}}}" for t in scene.objects]
    things_text = things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]
    ground = f"on {_article(scene.background)} {{color:{scene.background}}} background"
    text, answer = _choose(
        rng,
        ("Describe the picture.", f"{things_text} {ground}."),
        ("Write a caption for this picture.", f"{things_text} {ground}."),
        ("What do you see?", f"I see {things_text}."),
        ("What is in the picture?", f"The picture shows {things_text}."),
        ("Describe this image in one sentence.", f"This image shows {things_text} {ground}."),
    )
    answer = answer[0].upper() + answer[1:]
    truth = _MARK.sub(r"\2", f"{things_text} {ground}")
    return _question("description", text, answer, truth, *scene.objects)


def _ask_color(scene: Scene, rng: np.random.Generator) -> Question:
    if not scene.unique_objects or rng.random() < 0.12:
        truth = scene.background
        text, answer = _choose(
            rng,
            ("What color is the background?", f"The background is {{color:{truth}}}."),
            ("Which color is behind the objects?", f"The background is {{color:{truth}}}."),
        )
        return _question("color", text, answer, truth)
    thing = scene.unique_objects[int(rng.integers(len(scene.unique_objects)))]
    kind = thing.kind
    text, answer = _choose(
        rng,
        (f"What color is the {kind}?", _the(thing, "is {}.")),
        (f"Which color does the {kind} have?", _the(thing, "in the picture is {}.")),
        (
            f"Tell me the color of the {kind}.",
            f"The color of the {kind} is {{color:{thing.color}}}.",
        ),
        (f"Look at the {kind}. What is its color?", f"Its color is {{color:{thing.color}}}."),
    )
    return _question("color", text, answer, thing.color, thing)


def _ask_count(scene: Scene, rng: np.random.Generator) -> Question:
    if rng.random() < 0.3:
        number = len(scene.objects)
        noun = "object" if number == 1 else "objects"
        be = "is" if number == 1 else "are"
        text, answer = _choose(
            rng,
            ("How many objects are in the picture?",
             f"There {be} {{count:{_NUMBERS[number]}}} {noun} in the picture."),
            ("Count the objects.", f"I can see {{count:{_NUMBERS[number]}}} {noun}."),
        )  # fmt: skip
        return _question("count", text, answer, str(number))
    kind = _kind_to_ask(scene, rng, present=0.8)
    number, plural = scene.count(kind), KINDS[kind][0]
    noun = kind if number == 1 else plural
    be = "is" if number == 1 else "are"
    word = f"{{count:{_NUMBERS[number]}}}"
    text, answer = _choose(
        rng,
        (f"How many {plural} are there?", f"There {be} {word} {noun}."),
        (f"How many {plural} do you see?", f"I see {word} {noun}."),
        (f"Count the {plural} in the picture.", f"The picture shows {word} {noun}."),
    )
    return _question("count", text, answer, str(number))


def _ask_yes_no(scene: Scene, rng: np.random.Generator) -> Question:
    if scene.unique_objects and rng.random() < 0.5:
        thing = scene.unique_objects[int(rng.integers(len(scene.unique_objects)))]
        asked = thing.color
        if rng.random() < 0.5:
            # Half of the false colours are the one that language expects: the hard ones.
            others = [color for color in OBJECT_COLORS if color != thing.color]
            expected = KINDS[thing.kind][1][0]
            asked = expected if rng.random() < 0.5 and expected in others else str(
                rng.choice(others))  # fmt: skip
        verdict = "yes" if asked == thing.color else "no"
        return _question(
            "yes_no",
            f"Is the {thing.kind} {asked}?",
            f"{{verdict:{verdict.capitalize()}}}, "
            + _the(thing, "is {}.").replace("The", "the", 1),
            verdict,
            thing,
        )
    kind = _kind_to_ask(scene, rng, present=0.5)
    article = _article(kind)
    verdict = "yes" if scene.count(kind) else "no"
    mark = f"{{verdict:{verdict.capitalize()}}}"
    if verdict == "yes":
        text, answer = _choose(
            rng,
            (f"Is there {article} {kind} in the picture?",
             f"{mark}, there is {article} {kind} in the picture."),
            (f"Do you see {article} {kind}?", f"{mark}, I see {article} {kind}."),
        )  # fmt: skip
    else:
        text, answer = _choose(
            rng,
            (f"Is there {article} {kind} in the picture?",
             f"{mark}, there is no {kind} in the picture."),
            (f"Do you see {article} {kind}?", f"{mark}, I do not see {article} {kind}."),
        )  # fmt: skip
    return _question("yes_no", text, answer, verdict)


def _kind_to_ask(scene: Scene, rng: np.random.Generator, present: float) -> str:
    """A kind that is in the picture with probability `present`, else one that is not."""
    there = sorted({thing.kind for thing in scene.objects})
    absent = sorted(set(KINDS) - set(there))
    return str(rng.choice(there if rng.random() < present else absent))


def _the(thing: SceneObject, rest: str) -> str:
    return f"The {thing.kind} " + rest.replace("{}", f"{{color:{thing.color}}}")


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _choose(rng: np.random.Generator, *options: tuple[str, str]) -> tuple[str, str]:
    return options[int(rng.integers(len(options)))]


def _question(kind: str, text: str, marked: str, truth: str, *things: SceneObject) -> Question:
    """Turns a marked answer into a plain one with word positions.

    `things` are the objects whose colours the answer names, in order; any colour beyond them is
    the background's, of which language expects nothing.
    """
    words: list[AnswerWord] = []
    plain = ""
    end = 0
    colors_seen = 0
    for mark in _MARK.finditer(marked):
        plain += marked[end : mark.start()]
        role, word = mark.group(1), mark.group(2)
        conflict = False
        if role == "color":
            conflict = colors_seen < len(things) and things[colors_seen].conflicts_with_prior
            colors_seen += 1
        words.append(AnswerWord(word, role, len(plain), conflict))
        plain += word
        end = mark.end()
    return Question(kind, text, plain + marked[end:], tuple(words), truth)
