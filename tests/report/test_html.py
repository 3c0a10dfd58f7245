"""The page: everything is there, nothing is fetched, and it stays small."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
from pathlib import Path

import jinja2
import pytest

from lvlm_audit.document import Audit, ProbeReading, Verdict
from lvlm_audit.errors import UsageError
from lvlm_audit.report import html, select, words
from lvlm_audit.writers.html import HTML
from tests.report import attacks, documents, gate_documents
from tests.report.pages import Page, read

DOCUMENTS = {
    "failing": documents.audit,
    "passing": documents.passing,
    "compared": documents.compared,
    "nothing applies": documents.nothing_applies,
    "empty": documents.empty,
    "two blocks, one token": documents.shallow,
    "eighty blocks": lambda: documents.audit(probes=2, blocks=80),
    "one probe, no image": lambda: dataclasses.replace(
        documents.audit(probes=0), probes=[documents.probe(0, image=False)]
    ),
    "paper mode": documents.paper_mode,
    "unchanged": gate_documents.unchanged,
    "worse": gate_documents.red,
    "undecided": gate_documents.undecided,
    "fed differently": gate_documents.fed_differently,
    "not comparable": gate_documents.mismatched,
    "with an anchor": gate_documents.anchored,
    "hostile": attacks.hostile,
}


@pytest.fixture(params=DOCUMENTS, scope="module")
def page(request: pytest.FixtureRequest) -> Page:
    return read(html.render(DOCUMENTS[request.param]()))


def test_nothing_is_fetched(page: Page) -> None:
    for name in ("src", "srcset", "poster", "action", "formaction", "background", "xlink:href"):
        assert all(v.startswith("data:image/") for v in page.attributes(name))
    for tag, attrs in page.tags:
        target = attrs.get("href") or "#"
        allowed = {"a": ("#",), "image": ("data:image/png;base64,",), "link": ("data:,",)}
        assert target == "#" or target.startswith(allowed[tag])
    style, script = page.raw["style"][0], page.raw["script"][0]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"fetch|XMLHttp|import\(|innerHTML|eval|document\.write", script)


def test_the_policy_allows_exactly_this_style_and_this_script(page: Page) -> None:
    assert len(page.raw["style"]) == len(page.raw["script"]) == 1
    (policy,) = (
        attrs["content"]
        for tag, attrs in page.tags
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for kind in ("style", "script"):
        digest = hashlib.sha256(page.raw[kind][0].encode()).digest()
        assert f"{kind}-src 'sha256-{base64.b64encode(digest).decode()}';" in policy
    assert "unsafe" not in policy
    # Hashes do not cover attributes: there must be none.
    assert not page.attributes("style")
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_links_lead_somewhere_and_names_are_unique(page: Page) -> None:
    names = page.attributes("id")
    assert len(set(names)) == len(names)
    for target in page.attributes("href"):
        if target.startswith("#"):
            assert target[1:] in names


def test_every_image_and_chart_has_words(page: Page) -> None:
    for tag, attrs in page.tags:
        if tag == "img":
            assert attrs.get("alt")
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label")


def test_no_two_regions_have_the_same_name(page: Page) -> None:
    """A screen reader lists them by name."""
    names = [attrs["aria-label"] for _, attrs in page.tags if attrs.get("role") == "region"]
    assert len(names) == len(set(names))


def test_headings_do_not_skip_a_level(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_numbers_that_do_not_exist_never_show_as_such(page: Page) -> None:
    assert not re.search(r"\b(None|nan|NaN|inf|Undefined)\b", page.text)


def test_every_finding_shows_all_that_belongs_to_it() -> None:
    audit = documents.audit()
    text = read(html.render(audit)).text
    for finding in audit.findings:
        got = words.figures(finding)
        wanted = [
            finding.check,
            finding.statement,
            finding.message,
            finding.rationale,
            finding.source,
            f"severity {finding.severity}",
            f"{got.operator} {got.bound} {got.unit}",
            words.counted(finding.n, "image"),
            "16 of 18 images, 148 of 203 tokens",
            "continuation 37",
            "property.max_downward 0.25",
        ]
        if finding.observed is not None:
            wanted += [f"{got.observed} {got.unit}", got.interval, "adjusted for the family"]
        for words_ in wanted:
            assert " ".join(words_.split()) in text
    assert "about 74 images would decide it" in text
    assert "— (not applicable)" in text


def test_the_header_names_verdict_model_lens_and_what_failed() -> None:
    rendered = html.render(documents.audit())
    head = read(rendered[: rendered.index("<main>")] + "</body></html>").text
    for wanted in ("✗ fail", "demo", "This is the demo model.", "normed", "4 probes", "beats_dis"):
        assert wanted in head
    assert head.index("beats_distractor (fail)") < head.index("late_switch_bounded (fail)")
    assert "demo model" not in read(html.render(documents.passing())).text


def test_findings_are_grouped_by_stage_with_deciding_failures_first() -> None:
    rendered = html.render(documents.audit())
    groups = re.findall(r'data-group="(\w+)"', rendered)
    assert groups == ["rapid", "stable", "mutation", "answer"]
    assert rendered.index('data-verdict="fail"') < rendered.index('data-verdict="pass"')


def test_stages_are_told_in_words_too() -> None:
    text = read(html.render(documents.audit())).text
    assert "three stages · critical layer 23 · mutation layers 28–29" in text
    assert "rapid evolution 0–22, stabilization 23–27, mutation 28–30" in text
    assert "feature not measured" in text
    assert "It is a reading, not knowledge itself." in text
    text = read(html.render(documents.nothing_applies())).text
    assert "no such pattern · no critical layer · mutation layers none" in text


def test_uses_are_marked_uncertified_and_a_baseline_is_compared() -> None:
    text = read(html.render(documents.compared())).text
    assert "Two uses, uncertified" in text
    assert "no base rate yet" in text
    assert "0.0041 97 %" in text
    assert "−4.5 points [−11, +2]" in text
    assert "+0.0062" in text


def test_classes_of_tokens_are_compared_in_a_table_and_in_words() -> None:
    text = read(html.render(documents.audit())).text
    assert "Classes differ in settle state (content against punctuation)." in text
    assert "settle state: content words are higher than punctuation by 4.25 states." in text
    row = "punctuation 22 14 19 [17.5, 20.5] +4.25 [+2.1, +6.4]"
    assert row in text
    assert (
        "function 48 16 0\N{NO-BREAK SPACE}% [0" not in text
    )  # One kind of blank in running text.
    assert "function 48 16 0 % [0 %, 22 %] +18 points [−2 points, +38 points] holds 0" in text
    assert "copied" not in text.partition("Classes of tokens")[2].partition("Two uses")[0]
    assert 'id="classes"' not in html.render(documents.empty())


def test_every_probe_shows_question_answer_tokens_and_leaders() -> None:
    audit = documents.audit()
    page = read(html.render(audit))
    for probe in audit.probes:
        assert probe.prompt in page.text
        assert probe.answer in page.text
        for token in probe.tokens:
            assert words.token(token.text) in page.text
            assert words.number(token.probability[-1]) in page.text
            for value in token.leader_probability:
                assert value < 0.01 or words.number(value, 2) in page.text
    assert "thumbnail left out" not in page.text
    # The cards of labelled words show the image once more.
    alts = [str(attrs["alt"]) for tag, attrs in page.tags if tag == "img"]
    assert sum(alt.startswith("Image of probe") for alt in alts) == 4
    assert sum(alt.startswith("Image: ") for alt in alts) == len(alts) - 4 == 4


def test_the_same_document_gives_the_same_page() -> None:
    assert html.render(documents.audit()) == html.render(documents.audit())


def test_a_document_that_went_through_json_gives_the_same_page() -> None:
    audit = documents.compared()
    assert html.render(Audit.from_json(audit.to_json())) == html.render(audit)


def _probes(count: int, tokens: int | None, blocks: int = 30) -> Audit:
    made = [documents.probe(i, blocks, tokens=tokens) for i in range(min(count, 4))]
    spread: list[ProbeReading] = [
        dataclasses.replace(made[i % len(made)], id=f"probe {i}") for i in range(count)
    ]
    return dataclasses.replace(documents.audit(probes=0, blocks=blocks), probes=spread)


@pytest.mark.parametrize(
    ("count", "tokens", "blocks"), [(400, None, 30), (60, 48, 30), (8, 512, 80), (3000, 3, 30)]
)
def test_a_page_of_many_or_long_answers_stays_small(count: int, tokens: int, blocks: int) -> None:
    rendered = html.render(_probes(count, tokens, blocks))
    assert len(rendered.encode()) < 5_000_000
    text = read(rendered).text
    assert "To keep this page small" in text
    assert f"of {count:,} are drawn" in text or f"of {count:,} is drawn" in text


def test_what_is_left_out_is_counted() -> None:
    audit = _probes(2000, 2)
    chosen = select.select(audit)
    assert (len(chosen.full), len(chosen.rows), chosen.left_out) == (24, 1500, 476)
    assert "except 476 that are only in the JSON document" in read(html.render(audit)).text


def test_counterexamples_are_drawn_first() -> None:
    audit = documents.audit(probes=100)
    worst = ["scene-0090", "scene-0070"]
    failing = [
        dataclasses.replace(f, counterexamples=worst) if f.verdict is Verdict.FAIL else f
        for f in audit.findings
    ]
    chosen = select.select(dataclasses.replace(audit, findings=failing))
    assert [p.id for p in chosen.full[:2]] == worst
    assert len({id(p) for p in [*chosen.full, *chosen.rows]}) == 100


def test_probes_of_the_same_name_are_all_shown() -> None:
    audit = documents.audit(probes=0)
    twins = [dataclasses.replace(documents.probe(i), id="twin") for i in range(3)]
    page = read(html.render(dataclasses.replace(audit, probes=twins)))
    assert page.text.count("twin") == 3


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    HTML.write(attacks.hostile(), path)
    assert path.read_text(encoding="utf-8") == html.render(attacks.hostile())
    with pytest.raises(UsageError, match="no folder"):
        HTML.write(documents.audit(), tmp_path / "absent" / "report.html")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def given_answers() -> Audit:
    """Replayed answers to a probe that shows two images, one of them not to be trusted."""
    audit = documents.audit(probes=1)
    (probe,) = audit.probes
    assert probe.image is not None
    probe = dataclasses.replace(
        probe,
        more_images=[documents.picture(5), "https://example.org/x.png"],
        prompt_tokens=131,
        image_tokens=90,
    )
    subject = dataclasses.replace(audit.subject, answers="given", note="The answers were given.")
    return dataclasses.replace(audit, subject=subject, probes=[probe])


def test_several_images_and_the_prompts_tokens_are_shown() -> None:
    audit = given_answers()
    page = html.render(audit)
    shown = re.findall(r'<img src="(data:image/[^"]+)" alt="(Image [^"]+)"', page)
    assert shown == [
        (audit.probes[0].image, "Image 1 of probe 1"),
        (documents.picture(5), "Image 2 of probe 1"),
    ]
    assert "example.org" not in page
    assert "131 tokens, 90 of them image tokens" in page
    assert "image tokens" not in html.render(documents.audit(probes=1)), "not recorded, not shown"


def test_given_answers_are_called_so() -> None:
    page = html.render(given_answers())
    assert "<dt>Given answer</dt>" in page
    assert "The answers were given." in page
    assert "Given answer" not in html.render(documents.audit(probes=1))


def test_every_section_is_linked_from_the_head_and_nothing_else_is(page: Page) -> None:
    ids = [a["id"] for tag, a in page.tags if tag == "section" and "id" in a]
    start = next(n for n, (tag, _) in enumerate(page.tags) if tag == "nav")
    links = itertools.takewhile(lambda one: one[0] == "a", page.tags[start + 1 :])
    assert [attrs["href"] for _, attrs in links] == [f"#{name}" for name in ids]


def test_modules_of_sections_and_pages_have_a_template_each() -> None:
    room = Path(html.__file__).parent
    for folder in ("sections", "pages"):
        modules = {p.stem for p in (room / folder).glob("*.py")} - {"__init__"}
        templates = {p.stem for p in (room / "templates" / folder).glob("*.html")}
        assert modules, folder
        assert modules <= templates, folder
    assert {kind.template for kind in html.KINDS.values()} == {
        p.name for p in (room / "templates" / "pages").glob("*.html")
    }


@dataclasses.dataclass
class Note:
    """Another kind of document."""

    words: str


def test_another_kind_of_document_shares_layout_policy_and_escaping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    template = (
        '{% extends "layout.html" %}{% block title %}t{% endblock %}{% block skip %}{% endblock %}'
        "{% block header %}h{% endblock %}{% block main %}<p>{{ page }}</p>{% endblock %}"
        "{% block footer %}f{% endblock %}"
    )
    ours = html._environment()
    loader = jinja2.ChoiceLoader([jinja2.DictLoader({"pages/note.html": template}), ours.loader])
    monkeypatch.setattr(html, "_environment", lambda: ours.overlay(loader=loader))
    monkeypatch.setitem(html.KINDS, Note, html.Kind("note.html", lambda note: note.words))
    written = html.render(Note("<b>\u202e"))
    page, audit = read(written), read(html.render(documents.empty()))
    assert "<p>&lt;b&gt;⟨U+202E⟩</p>" in written
    assert page.raw == audit.raw
    metas = [[attrs for tag, attrs in one.tags if tag == "meta"] for one in (page, audit)]
    assert metas[0] == metas[1]
    assert not page.open
    assert not page.crossed
