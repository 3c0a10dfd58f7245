"""What an intervention did to labelled words: hallucinated ones that it corrected, correct ones that it broke.

Two answers to one question are held against each other slot by slot (`labels.LabelledWord.slot`), never by
the position of tokens: the new answer is labelled by the same rules, and may be worded otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lvlm_audit.document.corrections import WordOutcome
from lvlm_audit.hallucination.labels import (
    DECISION,
    HALLUCINATED,
    LabelledWord,
    TokenLabels,
    label_answers,
    truth_of,
)
from lvlm_audit.hallucination.phrases import find
from lvlm_audit.hallucination.places import Answer, places
from lvlm_audit.hallucination.verdicts import rule_of
from lvlm_audit.statistics import ClusterMean, Spread, cluster_mean
from lvlm_audit.traces.trace import Asked, TokenClass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Plain:
    """An answer of which only the text is known: enough for labelling its words."""

    asked: Asked
    text: str

    @property
    def tokens(self) -> int:
        """One for the whole text."""
        return 1

    @property
    def token_texts(self) -> tuple[str, ...]:
        """The text."""
        return (self.text,)

    @property
    def token_classes(self) -> tuple[TokenClass, ...]:
        """Nothing special."""
        return (TokenClass.CONTENT,)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one labelled word of the base answer.

    Attributes:
        probe: id.
        cluster: its image.
        slot: what the word answers.
        said: the word.
        now: what the new answer says in its slot; None: nothing.
        expected: what would have been right, where that is known.
        hallucinated: whether the word was.
        prior_driven: of a hallucinated word, whether the text-only answer says it too; None: not known.
        outcome: what the intervention did to it.
    """

    probe: str
    cluster: str
    slot: str
    said: str
    now: str | None
    expected: str | None
    hallucinated: bool
    prior_driven: bool | None
    outcome: WordOutcome


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Base answers against the answers under one intervention.

    Attributes:
        fates: of every labelled slot of the base answers.
        answers: pairs of answers.
        differing: of pairs that differ, space at the ends apart: probe, base answer, new answer.
        added: hallucinated words in slots of which the base answer says nothing.
        labelled_after: labelled slots of the new answers.
        hallucinated_after: those of them that are hallucinated.
        schemes: the rules of labelling, as a report prints them.
    """

    fates: tuple[Fate, ...]
    answers: int
    differing: tuple[tuple[str, str, str], ...]
    added: int
    labelled_after: int
    hallucinated_after: int
    schemes: tuple[str, ...]

    def count(self, outcome: WordOutcome, *, hallucinated: bool) -> int:
        """Words of one outcome."""
        return sum(f.outcome == outcome and f.hallucinated == hallucinated for f in self.fates)


def compare_answers(
    base: Sequence[Answer], again: Sequence[Answer], text_answers: Sequence[Answer] = ()
) -> Compared:
    """What became of the base answers' labelled words.

    Words of one slot count once, the first. A yes/no question is decided by its data set's rule also where
    no word decides (POPE takes that for yes). A listed word, or a span of a given answer, is judged by
    being said at all: where it is not, it is gone, which for a hallucinated one is no proof of sight.

    Args:
        base: plain greedy answers.
        again: answers of the same model under an intervention; probes that it lacks are left out.
        text_answers: answers without an image, to tell errors of the language prior apart.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    anew = {answer.asked.id: answer for answer in again}
    pairs = [(one, anew[one.asked.id]) for one in base if one.asked.id in anew]
    before = label_answers([one for one, _ in pairs], text_answers)
    after = label_answers([other for _, other in pairs])
    fates: list[Fate] = []
    added = 0
    for (_, other), old, new in zip(pairs, before, after, strict=True):
        was, now = _slots(old), _slots(new)
        fates += [_fate(old, word, now.get(slot), other) for slot, word in was.items()]
        added += sum(w.truth == HALLUCINATED for slot, w in now.items() if slot not in was)
    left = [word for labels in after for word in _slots(labels).values()]
    return Compared(
        fates=tuple(fates),
        answers=len(pairs),
        differing=tuple(
            (a.asked.id, first, second)
            for a, b in pairs
            if (first := places(a).text.strip()) != (second := places(b).text.strip())
        ),
        added=added,
        labelled_after=len(left),
        hallucinated_after=sum(word.truth == HALLUCINATED for word in left),
        schemes=tuple(dict.fromkeys(one.scheme for one in before if one.words)),
    )


def _slots(labels: TokenLabels) -> Mapping[str, LabelledWord]:
    """The first word of each slot; of listed phrases a later one says no more."""
    found: dict[str, LabelledWord] = {}
    for word in labels.words:
        found.setdefault(word.slot, word)
    return found


def _fate(labels: TokenLabels, word: LabelledWord, now: LabelledWord | None, again: Answer) -> Fate:
    wrong = word.truth == HALLUCINATED
    said: str | None
    if now is not None:
        outcome = _outcome(wrong, now.truth == HALLUCINATED, now.meaning == word.meaning)
        said = now.text
    else:
        outcome, said = _unlabelled(word, wrong, again)
    return Fate(
        probe=labels.probe,
        cluster=labels.cluster,
        slot=word.slot,
        said=word.text,
        now=said,
        expected=word.expected,
        hallucinated=wrong,
        prior_driven=word.prior_driven if wrong else None,
        outcome=outcome,
    )


def _outcome(was_wrong: bool, is_wrong: bool, same: bool) -> WordOutcome:
    if was_wrong:
        return "corrected" if not is_wrong else "kept" if same else "changed"
    return "broken" if is_wrong else "held"


def _unlabelled(word: LabelledWord, wrong: bool, again: Answer) -> tuple[WordOutcome, str | None]:
    """Of a slot for which no word of the new answer is labelled."""
    text = places(again).text
    if word.slot == DECISION:
        truth = truth_of(again)
        verdict = rule_of(truth.dataset).read(text).verdict
        if verdict is not None:
            # It was decided by no word: the answer says no such word, but counts as one.
            return _outcome(wrong, verdict != truth.verdict, verdict == word.meaning), verdict
    elif word.slot == f"says {word.meaning}" and find(text, [word.meaning]):
        # Spans are labelled in the given answer alone; another answer may say the same word.
        return _outcome(wrong, wrong, True), word.text
    return "gone", None


@dataclass(frozen=True, slots=True)
class Share:
    """Words to which something happened, out of those to which it could.

    Attributes:
        held: words.
        n: words that count.
        images: images that have such a word.
        value: held / n; None where there is none.
        spread: resampled over images; the full range below 5.
    """

    held: int
    n: int
    images: int
    value: float | None
    spread: Spread


def corrected(compared: Compared, *, seed: int = 0, prior_driven: bool | None = None) -> Share:
    """Hallucinated words that became right, of all hallucinated ones.

    Args:
        compared: base and new answers.
        seed: of the resampling.
        prior_driven: only those that the text-only answer says too, or only the others.
    """
    return _share(
        (f for f in compared.fates if f.hallucinated and prior_driven in (None, f.prior_driven)),
        lambda fate: fate.outcome == "corrected",
        seed,
    )


def broken(compared: Compared, *, seed: int = 0) -> Share:
    """Correct words that became wrong, of all correct ones."""
    return _share(
        (f for f in compared.fates if not f.hallucinated), lambda f: f.outcome == "broken", seed
    )


@dataclass(frozen=True, slots=True)
class Net:
    """Words that became right minus right ones that were lost, over labelled ones: above 0 it helps.

    A correct word that is said no more is lost like one that became wrong; a hallucinated word that is said no
    more has not become right. An intervention that breaks the answer off is thereby no improvement.

    Attributes:
        words: corrected, minus broken, minus correct ones that are gone.
        images: images with a labelled word.
        value: words / labelled words, in [-1, 1]; None without any.
        spread: resampled over images; the full range below 5.
    """

    words: int
    images: int
    value: float | None
    spread: Spread

    @property
    def verdict(self) -> Literal["helps", "harms", "undecided"]:
        """What the interval leaves no doubt of."""
        if self.spread.low > 0:
            return "helps"
        return "harms" if self.spread.high < 0 else "undecided"


def _change(fate: Fate) -> int:
    """What becomes of the number of right words."""
    if fate.hallucinated:
        return int(fate.outcome == "corrected")
    return -int(fate.outcome in ("broken", "gone"))


def net(compared: Compared, *, seed: int = 0) -> Net:
    """What an intervention is worth: each image's answers against the same image's base answers."""
    per_image: dict[str, list[int]] = {}
    for fate in compared.fates:
        per_image.setdefault(fate.cluster, []).append(_change(fate))
    sums = [sum(changes) for changes in per_image.values()]
    sizes = [len(changes) for changes in per_image.values()]
    if not sizes:
        return Net(0, 0, None, Spread(-1.0, 1.0, CONFIDENCE, "full range"))
    alike = {change for changes in per_image.values() for change in changes}
    if len(alike) == 1:
        # What befell every word alike is not certain: as much as a share that no image broke.
        (change,) = alike
        known = _mean(sizes, sizes, (0.0, 1.0), seed, share=True).spread(CONFIDENCE)
        room = (1 - known.low) * (1 + abs(change))
        spread = Spread(max(-1.0, change - room), min(1.0, change + room), CONFIDENCE, known.method)
        return Net(sum(sums), len(sizes), float(change), spread)
    mean = _mean(sums, sizes, (-1.0, 1.0), seed, share=False)
    return Net(sum(sums), len(sizes), mean.value, mean.spread(CONFIDENCE))


def _share(fates: Iterable[Fate], holds: Callable[[Fate], bool], seed: int) -> Share:
    per_image: dict[str, list[bool]] = {}
    for fate in fates:
        per_image.setdefault(fate.cluster, []).append(holds(fate))
    held = [sum(one) for one in per_image.values()]
    sizes = [len(one) for one in per_image.values()]
    if not sizes:
        return Share(0, 0, 0, None, Spread(0.0, 1.0, CONFIDENCE, "full range"))
    mean = _mean(held, sizes, (0.0, 1.0), seed, share=True)
    return Share(sum(held), sum(sizes), len(sizes), mean.value, mean.spread(CONFIDENCE))


def _mean(
    sums: Sequence[int],
    sizes: Sequence[int],
    support: tuple[float, float],
    seed: int,
    *,
    share: bool,
) -> ClusterMean:
    return cluster_mean(
        np.array(sums, float), np.array(sizes, float), support=support, seed=seed, is_share=share
    )
