"""Regression: what must not get worse than in a parent (`--lvlm-baseline`).

Without a parent these are described: no bound that is absolute tells a checkpoint that got worse from another
model. `image_informs` (check_grounding.py) is held against the parent as well. Nothing else turns a comparison
red: other differences move in every fine-tune, those that help included.
"""

from lvlm_audit import Check, Severity, Stage, described
from lvlm_audit.metrics import hallucinated, reference_surprisal, right_answer
from lvlm_audit.properties import Holds, Value

right_answers = Check(
    "How many of the whole answers are right.",
    stage=Stage.WHOLE_ANSWER,
    metric=right_answer,
    property=Holds(0.5),
    holds_for=described(of="answers"),
    max_drop=0.05,
    severity=Severity.ERROR,
    rationale=(
        "What a model is for. How many answers are right depends on what is asked, so the parent sets the "
        "bound, not a number of ours. Answers lost are set against answers gained, because every fine-tune "
        "changes some of them; one answer in twenty is what may go."
    ),
)

wrong_words = Check(
    "How many of the words whose truth is known are wrong.",
    stage=Stage.WHOLE_ANSWER,
    metric=hallucinated,
    property=Holds(0.5),
    holds_for=described(of="tokens"),
    max_rise=0.05,
    severity=Severity.ERROR,
    rationale=(
        "A longer answer can stay half right while more of what it names is not there. The rate depends on "
        "what is asked, so the parent sets the bound; one word in twenty more is what may turn wrong."
    ),
)

references_likely = Check(
    "How surprising the reference answer's content words are to the model under their own image.",
    stage=Stage.WHOLE_ANSWER,
    metric=reference_surprisal,
    property=Value(at="last"),
    holds_for=described(of="average"),
    tokens="content",
    max_rise=0.32,
    severity=Severity.ERROR,
    rationale=(
        "It moves before answers do: a model that still says the right word, but barely, has got worse. 0.32 "
        "bit a word is a fifth of the word's likelihood (2 to the power of -0.32 is 0.80). The average over "
        "words, not their median, so that a few words that became impossible count."
    ),
)
