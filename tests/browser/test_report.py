"""The page in a real browser: no console message, no overflow, and what its script does."""

from __future__ import annotations

import base64
import hashlib
import html as escaping
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lvlm_audit.document import Audit
from lvlm_audit.report import html
from tests.report import attacks, documents, gate_documents

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Debian's `chromium` on PATH: apt-get install chromium"
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--window-size=1280,900",
    "--dump-dom",
)


@dataclass
class Visit:
    """What a browser made of a page."""

    dom: str
    console: list[str]
    answer: Any
    """What the visiting script wrote down."""


def visit(page: str, folder: Path, *, ask: str = "null") -> Visit:
    """Open a page in a fresh browser and evaluate one expression in it.

    The visiting script is let in by its own hash, so that the page's policy stays in force.
    """
    asking = f"document.body.dataset.answer = JSON.stringify((() => {{ return {ask}; }})());"
    digest = base64.b64encode(hashlib.sha256(asking.encode()).digest()).decode()
    page = page.replace("script-src ", f"script-src 'sha256-{digest}' ")
    return _open(page.replace("</body>", f"<script>{asking}</script></body>"), folder)


def visit_framed(
    page: str, folder: Path, *, ask: str, width: int = 1280, sandbox: bool = False
) -> Visit:
    """Open a page in a frame and evaluate one expression about its `document`, from outside.

    A browser window cannot be as narrow as a telephone; a frame can. And a sandbox without scripts is
    how a CI server shows a report.
    """
    outer = f"""<!DOCTYPE html><title>outer</title><body><script>
      const frame = document.createElement("iframe");
      frame.width = {width}; frame.height = 900; frame.style.border = 0;
      {'frame.sandbox = "allow-same-origin";' if sandbox else ""}
      frame.srcdoc = {json.dumps(page).replace("<", chr(92) + "u003c")};
      frame.onload = () => {{
        const answer = ((document, innerWidth) => {{ return {ask}; }})(
          frame.contentDocument, frame.contentWindow.innerWidth);
        window.document.body.dataset.answer = JSON.stringify(answer);
        frame.remove();
      }};
      document.body.append(frame);
    </script></body>"""
    return _open(outer, folder)


def _open(page: str, folder: Path) -> Visit:
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", path.as_uri()],
        capture_output=True,
        timeout=60,
        check=False,
    )
    dom = done.stdout.decode("utf-8")
    errors = done.stderr.decode("utf-8", "replace").splitlines()
    answer = re.search(r'data-answer="([^"]*)"', dom)
    return Visit(
        dom,
        [line for line in errors if "CONSOLE" in line],
        json.loads(escaping.unescape(answer.group(1))) if answer else None,
    )


def test_a_violated_policy_would_be_seen(tmp_path: Path) -> None:
    page = html.render(documents.shallow()).replace("<main>", '<main><p style="color:red">')
    assert any("Content Security Policy" in line for line in visit(page, tmp_path).console)


@pytest.mark.parametrize(
    "audit",
    [documents.compared(), documents.paper_mode(), gate_documents.anchored(), attacks.hostile()],
    ids=["full", "paper mode", "gate", "hostile"],
)
def test_it_opens_without_a_word_on_the_console(audit: Audit, tmp_path: Path) -> None:
    seen = visit(html.render(audit), tmp_path, ask="document.styleSheets[0].cssRules.length")
    assert seen.console == []
    assert seen.answer > 50


def test_without_javascript_everything_is_there_and_nothing_is_dead(tmp_path: Path) -> None:
    ask = """({
      tools: document.querySelector(".tools").checkVisibility(),
      buttons: document.querySelectorAll("button").length,
      checks: [...document.querySelectorAll(".finding .tags code")].map((e) => e.innerText),
      charts: [...document.querySelectorAll("svg.curves")].filter((e) => e.checkVisibility()).length,
      maps: document.querySelectorAll("svg.heat").length,
      ruled: document.styleSheets[0].cssRules.length > 50,
    })"""
    seen = visit_framed(html.render(documents.audit()), tmp_path, ask=ask, sandbox=True)
    assert sorted(seen.answer.pop("checks")) == sorted(f.check for f in documents.findings())
    assert seen.answer == {"tools": False, "buttons": 0, "charts": 12, "maps": 4, "ruled": True}
    assert all("frame is sandboxed" in line for line in seen.console)


OVERFLOW = """(() => {
  document.querySelectorAll("details").forEach((d) => { d.open = true; });
  const wide = document.documentElement.clientWidth;
  const inScroller = (e) => e.closest(".scroll") && !e.classList.contains("scroll");
  const over = [...document.querySelectorAll("body *")].filter((e) => !inScroller(e)
    && !e.closest("svg, .skip, #readout") && e.getBoundingClientRect().right > wide + 0.5);
  return { inner: innerWidth, page: document.documentElement.scrollWidth,
           over: over.slice(0, 5).map((e) => `${e.tagName}.${e.className}`) };
})()"""


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    "audit",
    [documents.compared(), documents.paper_mode(), gate_documents.anchored(), attacks.hostile()],
    ids=["full", "paper mode", "gate", "hostile"],
)
def test_nothing_runs_out_of_the_page(audit: Audit, width: int, tmp_path: Path) -> None:
    seen = visit_framed(html.render(audit), tmp_path, width=width, ask=OVERFLOW).answer
    assert seen == {"inner": width, "page": width, "over": []}


def test_findings_are_filtered_and_ordered(tmp_path: Path) -> None:
    ask = """(() => {
      const tools = document.querySelector("[data-tools]");
      const set = (selector, value) => {
        const select = tools.querySelector(selector);
        select.value = value;
        select.dispatchEvent(new Event("change", { bubbles: true }));
      };
      const shown = () => [...document.querySelectorAll(".finding:not([hidden]) .tags code")]
        .map((e) => e.textContent);
      const all = shown();
      set("[data-filter=verdict]", "fail");
      const failed = shown();
      set("[data-filter=severity]", "error");
      const errors = shown(), said = tools.querySelector("output").textContent;
      const groups = [...document.querySelectorAll("[data-group]:not([hidden])")].length;
      set("[data-filter=verdict]", ""); set("[data-filter=severity]", "");
      set("[data-order]", "urgency");
      return { all: all.length, failed, errors, said, groups, urgent: shown(), hidden: tools.hidden };
    })()"""
    answer = visit(html.render(documents.audit()), tmp_path, ask=ask).answer
    assert answer["all"] == 8
    assert not answer["hidden"]
    assert answer["failed"] == ["beats_distractor", "late_switch_bounded"]
    assert answer["errors"] == ["beats_distractor"]
    assert answer["said"] == "1 of 8 shown"
    assert answer["groups"] == 1
    assert answer["urgent"][:3] == ["beats_distractor", "late_switch_bounded", "image_kept"]


def test_the_pointer_reads_the_documents_own_values(tmp_path: Path) -> None:
    audit = documents.audit()
    shown = audit.probes[3]  # the first counterexample, drawn first
    place = next(i for i, t in enumerate(shown.tokens) if t.text == " snowman")
    token = shown.tokens[place]
    ask = f"""(() => {{
      const readout = document.getElementById("readout");
      const point = (svg, x, y) => {{
        const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
        svg.dispatchEvent(new PointerEvent("pointermove", {{ clientX: at.x, clientY: at.y }}));
        return readout.textContent;
      }};
      const heat = document.querySelector("svg.heat");
      const [x, y, w, h] = heat.dataset.plot.split(" ").map(Number);
      const cell = point(heat, x + (27.5 / 30) * w, y + (({place} + 0.5) / {len(shown.tokens)}) * h);
      const curves = document.querySelector("#probes svg.curves");
      const [x0, x1, last] = curves.dataset.x.split(" ").map(Number);
      const [y0, y1] = curves.dataset.y.split(" ").map(Number);
      const curve = point(curves, x0 + (29 / last) * (x1 - x0), y0 + {token.probability[29]} * (y1 - y0));
      heat.dispatchEvent(new PointerEvent("pointerleave"));
      return {{ cell, curve, gone: readout.hidden }};
    }})()"""
    answer = visit(html.render(audit), tmp_path, ask=ask).answer
    assert answer["cell"] == f"snowman\ntransition 27: {token.divergence[27]:g} bits"
    assert answer["curve"].strip() == f"snowman (content)\nstate 29: {token.probability[29]:.2f}"
    assert answer["gone"]


@pytest.mark.parametrize(
    "audit",
    [documents.compared(), documents.paper_mode(), attacks.hostile(), documents.shallow()],
    ids=["full", "paper mode", "hostile", "shallow"],
)
def test_the_pointer_over_any_drawing_breaks_nothing(audit: Audit, tmp_path: Path) -> None:
    ask = """(() => {
      document.querySelectorAll("details").forEach((d) => { d.open = true; });
      const readout = document.getElementById("readout");
      let moved = 0, said = 0;
      for (const svg of document.querySelectorAll("main svg")) {
        const box = svg.getBoundingClientRect();
        for (const part of [0.02, 0.3, 0.5, 0.7, 0.98]) {
          svg.dispatchEvent(new PointerEvent("pointermove", {
            bubbles: true, clientX: box.x + part * box.width, clientY: box.y + 0.4 * box.height }));
          moved += 1;
          said += readout.hidden ? 0 : 1;
        }
        svg.dispatchEvent(new PointerEvent("pointerleave"));
      }
      const candidates = [...document.querySelectorAll("svg.candidates")];
      return { moved, said, titles: candidates.every((svg) =>
        [...svg.querySelectorAll(".series")].every((s) => s.querySelector("title").textContent)) };
    })()"""
    seen = visit(html.render(audit), tmp_path, ask=ask)
    assert seen.console == []
    assert seen.answer["moved"] > 50
    assert seen.answer["said"] > 0
    assert seen.answer["titles"]


def test_the_pointer_names_a_candidate(tmp_path: Path) -> None:
    audit = documents.audit()
    ask = """(() => {
      const svg = document.querySelector("svg.candidates");
      const [x0, x1, last] = svg.dataset.x.split(" ").map(Number);
      const [y0, y1] = svg.dataset.y.split(" ").map(Number);
      const own = svg.querySelector(".c0 .curve").getAttribute("d");
      const y = Number(own.split(/[ML]/).pop().split(" ")[1]);
      const at = new DOMPoint(x1, y).matrixTransform(svg.getScreenCTM());
      svg.dispatchEvent(new PointerEvent("pointermove", { clientX: at.x, clientY: at.y }));
      return document.getElementById("readout").textContent;
    })()"""
    token = audit.probes[0].tokens[1]
    seen = visit(html.render(audit), tmp_path, ask=ask)
    assert seen.console == []
    assert seen.answer == f"blue\nstate 30: {token.probability[-1]:.2f} probability"


def test_tables_sort_by_a_click_on_their_head(tmp_path: Path) -> None:
    ask = """(() => {
      const table = document.querySelector("table[data-sortable]");
      const button = table.tHead.rows[0].cells[0].querySelector("button");
      const first = () => table.tBodies[0].rows[0].cells[0].textContent;
      const before = first(); button.click(); button.click();
      return [before, first(), button.closest("th").getAttribute("aria-sort")];
    })()"""
    seen = visit(html.render(documents.audit(probes=40)), tmp_path, ask=ask)
    assert seen.answer == ["25", "40", "descending"]
    assert seen.console == []


CONTRAST = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const part = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  document.querySelectorAll("details").forEach((d) => { d.open = true; });
  const poor = new Set();
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility() || e.closest("script, style, title, option, [hidden]")) continue;
    const svg = e instanceof SVGElement, style = getComputedStyle(e);
    let ground = behind(svg ? e.closest("svg").parentElement : e);
    const stage = /^on-(\\w+)$/.exec(e.getAttribute("class") || "");
    if (stage) ground = rgb(getComputedStyle(e.parentElement.querySelector(`.s-${stage[1]}`)).fill);
    const pair = [light(rgb(svg ? style.fill : style.color)), light(ground)].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.add(`${e.tagName} ${e.getAttribute("class")} ${ratio.toFixed(2)}`);
  }
  const dark = light(rgb(getComputedStyle(document.body).backgroundColor)) < 0.2;
  return { dark, poor: [...poor] };
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(
    "audit", [documents.compared(), gate_documents.anchored()], ids=["usual", "gate"]
)
def test_every_text_has_contrast(audit: Audit, dark: bool, tmp_path: Path) -> None:
    page = html.render(audit)
    if dark:
        style = page[page.index("<style>") + 7 : page.index("</style>")]
        changed = style.replace("(prefers-color-scheme: dark)", "(min-width: 1px)")
        digests = [
            base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in (style, changed)
        ]
        page = page.replace(style, changed).replace(*digests)
    seen = visit(page, tmp_path, ask=CONTRAST)
    assert seen.answer == {"dark": dark, "poor": []}


@pytest.mark.parametrize(
    "audit",
    [documents.compared(), gate_documents.anchored(), attacks.hostile()],
    ids=["usual", "gate", "hostile"],
)
def test_in_a_notebook_it_touches_nothing_around_it(audit: Audit, tmp_path: Path) -> None:
    """A notebook's page has no policy of ours: what is inert there is inert by escaping alone."""
    around = "<h1>Somebody's</h1><p class='dim note'>text</p><table><tr><td>1</td></tr></table>"
    look = """(() => {
      const seen = (e) => { const s = getComputedStyle(e);
        return [s.color, s.font, s.margin, s.borderTop, s.display, s.boxSizing].join(); };
      const of = (root) => [...root.children].filter((e) => !e.matches(".lvlm-audit, script"));
      const box = document.querySelector(".lvlm-audit");
      const page = [document.body, ...of(document.body)].map(seen);
      box?.remove();
      const alone = [document.body, ...of(document.body)].map(seen);
      document.body.append(box);
      return {
        same: page.join("|") === alone.join("|"),
        frames: document.querySelectorAll("iframe, object, embed, a, [id], [onclick]").length,
        verdict: getComputedStyle(box.querySelector(".verdict")).fontWeight,
        wide: box.scrollWidth <= box.clientWidth,
        drawn: box.querySelector("svg rect.s-rapid, svg rect.empty").getBoundingClientRect().width > 20,
      };
    })()"""
    page = f"<!DOCTYPE html><title>x</title><body>{around}{audit._repr_html_()}{around}</body>"
    ask = f"document.body.dataset.answer = JSON.stringify({look});"
    seen = _open(page.replace("</body>", f"<script>{ask}</script></body>"), tmp_path)
    assert seen.console == []
    assert seen.answer == {
        "same": True, "frames": 0, "verdict": "650", "wide": True, "drawn": True,
    }  # fmt: skip
