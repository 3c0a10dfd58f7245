"""Documents that nobody's audit wrote: whatever a file may hold is compared or said, never a crash."""

from __future__ import annotations

import dataclasses
import warnings

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from lvlm_audit.comparing import compare, decide, verdict_sentence
from lvlm_audit.comparing.right_answers import METRIC as RIGHT
from lvlm_audit.comparing.wrong_words import METRIC as WRONG
from lvlm_audit.document import Audit
from lvlm_audit.settings.gate import Gate
from tests.comparing.sides import asked, by_image, finding, right, side
from tests.effort import examples

EVIL = "\x1b[31m</script>\u202e" + "x" * 5000
NUMBERS = st.one_of(
    st.sampled_from([0.0, -1.0, 1e100, -1e100, 5e-324, 0.5]),
    st.floats(-1e100, 1e100),
)
COUNTS = st.integers(-3, 2**31)


def test_hostile_text_is_data_and_the_document_survives_a_round_trip():
    probes = [asked(i, id=f"{EVIL}{i}", cluster=f"{EVIL}{i}", answer=EVIL) for i in range(24)]
    other = [dataclasses.replace(p, answer="other", tokens=[1]) for p in probes]
    fed = {EVIL: {EVIL: EVIL}, "processor": {"image_mean": [EVIL]}}
    then = side([right(probes)], probes, fed=fed)
    now = side([right(other)], other, fed={EVIL: {EVIL: "b"}, "processor": {}})
    provenance = {**then.provenance, EVIL: EVIL, "max_new_tokens": EVIL}
    found = compare(now, dataclasses.replace(then, provenance=provenance))
    assert found.answers.changed == 24
    assert len(found.fed) == 2
    assert all(len(one.there) < 200 for one in found.fed)
    whole = dataclasses.replace(now, comparison=found)
    assert Audit.from_json(whole.to_json()).comparison.changes[0].lost == found.changes[0].lost


PROBE = st.fixed_dictionaries(
    {
        "right": st.sampled_from([True, False, None]),
        "answer": st.sampled_from(["", "a", EVIL]),
        "tokens": st.lists(COUNTS, max_size=3),
        "margins": st.lists(NUMBERS, max_size=3),
        "words_asked": COUNTS,
        "words_found": COUNTS,
        "labelled": COUNTS,
        "wrong": COUNTS,
        "cluster": st.sampled_from(["i00", "i01", "i02", "i03", "i04", "i05", "i06"]),
    }
)
DECLARED = st.fixed_dictionaries(
    {
        "metric": st.sampled_from([RIGHT, WRONG, "other"]),
        "tolerance": st.sampled_from(["points", "share", "absolute", "nonsense", 3]),
        "support": st.sampled_from([None, [], [1.0, 0.0], ["a", None], [-1e100, 1e100]]),
        "holds_for": st.sampled_from([None, {}, {"of": "answers"}, {"of": "tokens"}, "tokens"]),
        "max_drop": st.sampled_from([None, 0.05, 5.0, 1e100, -1, "x", True]),
        "max_rise": st.sampled_from([None, 0.05, 1e100]),
    }
)


@st.composite
def documents_(draw):
    probes = [asked(i, **draw(PROBE)) for i in range(draw(st.integers(0, 8)))]
    found = []
    for name in ("a", "b", "c"):
        values = draw(
            st.dictionaries(st.sampled_from(list(by_image([0] * 8))), NUMBERS, max_size=8)
        )
        made = finding(name, values, **draw(DECLARED))
        # A mean of the largest numbers is none that a file can hold.
        found.append(dataclasses.replace(made, observed=1.0 if values else None))
    return side(found, probes)


@examples(30, allow=list(HealthCheck))
@given(documents_(), documents_())
def test_whatever_a_document_holds(now, before):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(now, before)
    assert decide(now.findings, found, Gate(baseline="x")).headline
    assert verdict_sentence(found)
    # JSON has no infinity, and writing one is refused.
    assert dataclasses.replace(now, comparison=found).to_json()
