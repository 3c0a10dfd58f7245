"""Whether an answer is right as a whole, and how much of its reference it says.

Whole answers are matched word for word, which no free description of more than a few words survives;
the reference's content words stand in for them (docs/method.md#right-answers).
"""

from __future__ import annotations

from lvlm_audit.hallucination.answers import answer_label
from lvlm_audit.hallucination.labels import CORRECT, HALLUCINATED, truth_of
from lvlm_audit.hallucination.labels.registry import label_text
from lvlm_audit.hallucination.phrases import find
from lvlm_audit.hallucination.places import places
from lvlm_audit.metrics.answers import ARTICLES, correct, normalised
from lvlm_audit.probes.labels import Truth
from lvlm_audit.probes.plurals import alike
from lvlm_audit.probes.scene_words import ROLE_WORDS, said_words
from lvlm_audit.traces.trace import Trace
from lvlm_audit.traces.words import content_words


def right(trace: Trace) -> bool | None:
    """Whether a generated answer is right as a whole.

    The first of these that its probe has decides:

    - an expected yes or no: the data set's own rule (`answer_label`);
    - a drawn scene's words: those of each role, and no others, in their order;
    - another expected word: it is said, and no word that the labels call hallucinated;
    - lists of true and untrue words beside a reference: a true one is said, and no untrue one;
    - a reference answer: the same words (`metrics.answers.correct`).

    An answer that is its reference is right by the last four, whatever their rules find.

    Returns:
        None: nothing says what is right; or the answer was given, so that it is no answer of the model.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    if trace.given:
        return None
    truth, text = truth_of(trace), places(trace).text
    if truth.verdict is not None:
        return answer_label(trace).truth == CORRECT
    reference = right_reference(trace)
    if reference is not None and correct(text, reference):
        return True
    if truth.words and all(word.role in ROLE_WORDS for word in truth.words):
        return _says_scene(truth, text)
    if truth.expected is not None:
        return _says(text, truth.expected) and not _says_untrue(truth, text, None)
    if truth.grounded and reference is not None:
        said = [word.truth for word in label_text(truth, text, trace.asked.reference).words]
        return CORRECT in said and HALLUCINATED not in said
    return None if reference is None else False


def reference_words(trace: Trace) -> tuple[int, int]:
    """Content words of the reference answer, and how many of them the answer has; each counts once.

    Words are the same in any case and number, and whether written as a word or in digits. Words that the
    question says already are not asked.

    Raises:
        ProbeError: labels that cannot be read; names the probe.
    """
    reference = None if trace.given else right_reference(trace)
    if reference is None:
        return 0, 0
    asked: list[str] = []
    for word in content_words(reference, prompt=trace.asked.prompt):
        if alike(word, asked) is None:
            asked.append(word)
    text = places(trace).text
    return len(asked), sum(_says(text, word) for word in asked)


def right_reference(trace: Trace) -> str | None:
    """The reference answer; None where there is none, or where the labels call a word of it wrong.

    An answer of some model that was labelled word by word (CHAIR) is a reference to replay, not to match.
    """
    reference = trace.asked.reference
    if not reference or not reference.strip():
        return None
    return None if _says_untrue(truth_of(trace), reference, reference) else reference


def _says_untrue(truth: Truth, text: str, reference: str | None) -> bool:
    return any(word.truth == HALLUCINATED for word in label_text(truth, text, reference).words)


def _says_scene(truth: Truth, text: str) -> bool:
    for role in {word.role for word in truth.words}:
        known = ROLE_WORDS[role]
        true = [known.get(w.text.lower(), w.text.lower()) for w in truth.words if w.role == role]
        if said_words(text, role) != true:
            return False
    return True


def _says(text: str, phrase: str) -> bool:
    if phrase.casefold() in ARTICLES:
        # The choice "A" is not said by every sentence that has an article.
        return correct(text, phrase)
    return bool(find(text, [phrase]) or find(normalised(text), [normalised(phrase)]))
