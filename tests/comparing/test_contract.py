"""What binds two audits, what is only named, and what an old document leaves open."""

from __future__ import annotations

import dataclasses

from lvlm_audit.comparing import compare
from lvlm_audit.document import Audit, Outcome, Severity, Verdict
from tests.comparing.sides import advantage, answers, asked, by_image, finding, right, side
from tests.report import documents

PROBES = answers([True] * 24)
VALUES = [5.0 + (-1) ** i for i in range(24)]


def parent(**changes) -> Audit:
    return side([right(PROBES), advantage(VALUES)], PROBES, **changes)


def with_facts(audit: Audit, **facts) -> Audit:
    return dataclasses.replace(audit, provenance={**audit.provenance, **facts})


class TestProbes:
    def test_by_content(self):
        one, other = (with_facts(parent(), probes=key * 32) for key in ("ab", "cd"))
        assert compare(one, one).mismatch == []
        assert compare(one, other).mismatch == [
            "probes: the same ids and images, but other prompts, reference answers or labels "
            "(content abababababab here, cdcdcdcdcdcd in the baseline)"
        ]

    def test_sets_that_overlap_in_part(self):
        some = PROBES[:20] + [asked(i) for i in (30, 31)]
        now = side([right(some), advantage(VALUES)], some)
        assert compare(now, parent()).mismatch == [
            "probes: 20 images in both, 2 here alone and 4 in the baseline alone"
        ]

    def test_another_order_and_other_questions(self):
        turned = PROBES[::-1]
        assert compare(side([right(turned)], turned), side([right(PROBES)], PROBES)).mismatch == [
            "probes: the same ones, in another order, so that other images are shown in exchange"
        ]
        more = [*PROBES, asked(3, id="again")]
        assert compare(side([right(more)], more), side([right(PROBES)], PROBES)).mismatch == [
            "probes: the same 24 images, but 1 probe here alone and 0 in the baseline alone"
        ]

    def test_no_shared_image(self):
        others = [dataclasses.replace(p, cluster=f"x{p.cluster}") for p in PROBES]
        values = {f"xi{i:02d}": 5.0 for i in range(24)}
        now = side([right(others), finding("image_informs", values, max_drop=0.2)], others)
        found = compare(now, parent())
        assert (
            found.mismatch[0]
            == "probes: 0 images in both, 24 here alone and 24 in the baseline alone"
        )
        assert found.mismatch[1].startswith("shared images: none, and ")
        assert {change.outcome for change in found.changes} == {Outcome.NOT_COMPARED}
        assert found.answers is None

    def test_probes_of_one_image_under_another_name_are_not_paired(self):
        moved = [
            dataclasses.replace(p, cluster=PROBES[i - 1].cluster) for i, p in enumerate(PROBES)
        ]
        found = compare(side([right(moved)], moved), side([right(PROBES)], PROBES))
        assert found.answers is None
        assert found.mismatch[0].startswith("probes: the same 24 images, but 24 probes here alone")


class TestConditions:
    def test_they_are_named_and_not_refused(self):
        then = with_facts(parent(), torch="2.13.0", machine={"cpu": "A", "threads": 2}, seconds=1)
        now = with_facts(parent(), torch="2.12.0", machine={"cpu": "B", "threads": 2}, seconds=9)
        now = dataclasses.replace(
            now, subject=dataclasses.replace(now.subject, dtype="float32", blocks=28)
        )
        found = compare(now, then)
        assert found.mismatch == []
        assert {c.what: (c.here, c.there) for c in found.conditions} == {
            "depth (blocks)": ("28", "30"),
            "dtype": ("float32", "bfloat16"),
            "torch": ("2.12.0", "2.13.0"),
            "machine: cpu": ("B", "A"),
        }
        assert "28 blocks here, 30 in the baseline" in found.note
        assert "made under other conditions (machine: cpu)" in found.note
        assert not {c.outcome for c in found.changes} & {Outcome.SHOWN, Outcome.NOT_COMPARED}

    def test_a_tolerance_that_was_loosened(self):
        now = side([right(PROBES, max_drop=0.5)], PROBES)
        (condition,) = compare(now, side([right(PROBES)], PROBES)).conditions
        assert (condition.what, condition.here, condition.there) == (
            "tolerated change of right_answers",
            "max_drop 0.5",
            "max_drop 0.05",
        )


class TestChecks:
    def test_gone_and_new(self):
        lost = finding("image_informs", {}, max_drop=0.2)
        warned = finding("warned", by_image([1.0]), severity=Severity.WARN)
        described = finding("described", by_image([1.0]))
        fresh = finding("fresh", by_image([1.0]))
        then = side([right(PROBES), advantage(VALUES), warned, described], PROBES)
        found = compare(side([right(PROBES), lost, fresh], PROBES), then)
        assert found.gone == ["image_informs"]
        assert found.new == ["fresh"]
        assert compare(side([right(PROBES)], PROBES), then).gone == ["image_informs"]
        # What was not applicable before cannot be gone.
        before = side([lost], PROBES)
        assert lost.verdict is Verdict.NOT_APPLICABLE
        assert compare(side([], PROBES), before).gone == []

    def test_one_name_for_two_measures(self):
        now = side([advantage(VALUES, metric="another", tokens="eligible")], PROBES)
        found = compare(now, side([advantage(VALUES)], PROBES))
        assert found.mismatch[1:] == [
            "tokens of image_informs: eligible here, content in the baseline"
        ]
        assert found.mismatch[0].startswith("metric of image_informs: another here, log2")
        assert found.changes[0].outcome is Outcome.NOT_COMPARED
        assert "measures something else" in found.changes[0].sentence


class TestOldDocuments:
    def test_what_cannot_be_compared_is_said(self):
        old = side([right(PROBES), advantage(VALUES)])
        found = compare(parent(), old)
        assert found.answers is None
        assert found.fed == []
        answers_, informs = found.changes
        assert answers_.outcome is Outcome.NOT_COMPARED
        assert "the baseline is of an older version" in answers_.sentence
        assert informs.outcome is not Outcome.NOT_COMPARED
        assert found.note.startswith(
            "The baseline does not hold the answers one by one: answers, right answers and wrong words are "
            "not compared. The baseline does not hold what the model is fed: processor, chat template,"
        )

    def test_an_image_lost_between_old_documents_of_the_same_probes(self):
        then = with_facts(side([advantage(VALUES)]), probes="ab" * 32)
        now = with_facts(side([advantage(VALUES[:20])]), probes="ab" * 32)
        (change,) = compare(now, then).changes
        assert change.n == 24
        assert "4 images without a value now" in change.sentence

    def test_a_document_from_before_there_was_any_of_this(self):
        old = documents.audit()
        found = compare(old, old)
        assert (found.changes, found.fed, found.mismatch) == ([], [], [])
        assert {one.difference for one in found.differences} <= {0.0, None}
