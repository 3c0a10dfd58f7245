// Comfort only: the page is complete without this. It filters and orders findings, sorts tables, opens what a
// link leads to and shows values under the pointer. It builds no markup from text.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Findings: filter and order.
  const tools = document.querySelector("[data-tools=findings]");
  const cards = all("#findings .finding");
  const homes = new Map(cards.map((card) => [card, card.parentElement]));
  if (tools && cards.length) {
    const section = document.getElementById("findings");
    const flat = document.createElement("section");
    flat.className = "stage";
    section.append(flat);
    const output = tools.querySelector("output");
    const update = () => {
      const wanted = all("[data-filter]", tools).map((s) => [s.dataset.filter, s.value]);
      const urgent = tools.querySelector("[data-order]").value === "urgency";
      const sorted = [...cards].sort((a, b) => a.dataset.order - b.dataset.order);
      let shown = 0;
      for (const card of sorted) {
        card.hidden = wanted.some(([name, value]) => value && card.dataset[name] !== value);
        shown += card.hidden ? 0 : 1;
        (urgent ? flat : homes.get(card)).append(card);
      }
      for (const group of all("[data-group]", section)) {
        group.hidden = !group.querySelector(".finding:not([hidden])");
      }
      output.textContent = `${shown} of ${cards.length} shown`;
    };
    tools.hidden = false;
    tools.addEventListener("change", update);
    update();
  }

  // Tables: a click on a column's head sorts by it, a second one the other way.
  for (const table of all("table[data-sortable]")) {
    const body = table.tBodies[0];
    all("th", table.tHead).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        all("th", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const text = (row) => row.cells[column].textContent;
        const order = (a, b) => text(a).localeCompare(text(b), undefined, { numeric: true });
        body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
      });
    });
  }

  // A link may lead into something folded or filtered away.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
      if (at.hidden && at.matches(".finding, [data-group]")) at.hidden = false;
    }
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();

  // Values under the pointer.
  const readout = document.getElementById("readout");
  readout.removeAttribute("role"); // moved by the pointer: nothing for a screen reader to follow
  const show = (event, text) => {
    readout.hidden = !text;
    if (!text) return;
    readout.textContent = text;
    const left = Math.min(event.clientX + 14, innerWidth - readout.offsetWidth - 8);
    readout.style.left = `${Math.max(4, left)}px`;
    readout.style.top = `${Math.max(4, event.clientY - readout.offsetHeight - 10)}px`;
  };
  const within = (svg, event) => {
    const matrix = svg.getScreenCTM();
    return matrix ? new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse()) : null;
  };
  const numbers = (text) => text.split(" ").map(Number);
  const follow = (selector, read) => {
    for (const svg of all(selector)) {
      let data = null;
      svg.addEventListener("pointermove", (event) => {
        const at = within(svg, event);
        if (at) show(event, read(svg, at, (data ??= {})));
      });
      svg.addEventListener("pointerleave", (event) => show(event, ""));
    }
  };
  follow("svg.curves", (svg, at, data) => {
    data.x ??= numbers(svg.dataset.x);
    data.y ??= numbers(svg.dataset.y);
    // A curve is read back from its own path: "M x yL x y...", a pixel tenth is finer than two digits.
    data.curves ??= all(".series", svg).map((series) => ({
      name: series.querySelector("title")?.textContent ?? "",
      points: series.querySelector(".curve").getAttribute("d").split(/[ML]/).filter(Boolean).map(numbers),
    }));
    const [x0, x1, last] = data.x;
    const [y0, y1, top] = data.y;
    const state = Math.round(((at.x - x0) / (x1 - x0)) * last);
    if (state < 0 || state > last) return "";
    const x = x0 + (state / last) * (x1 - x0);
    let best = null;
    for (const curve of data.curves) {
      for (const [px, py] of curve.points) {
        if (Math.abs(px - x) > 0.2) continue;
        const far = Math.abs(py - at.y);
        if (!best || far < best.far) best = { far, py, name: curve.name };
      }
    }
    if (!best || best.far > 30) return `state ${state}`;
    const value = (((y0 - best.py) / (y0 - y1)) * top).toFixed(2);
    return `${best.name}\nstate ${state}: ${value} ${svg.dataset.unit}`;
  });
  follow("svg.heat", (svg, at, data) => {
    data.plot ??= numbers(svg.dataset.plot);
    data.rows ??= svg.dataset.values.split("/").map((row) => row.split(" "));
    data.names ??= svg.dataset.names.split("\n");
    const [x, y, wide, high] = data.plot;
    const columns = Math.max(...data.rows.map((row) => row.length));
    const row = Math.floor(((at.y - y) / high) * data.rows.length);
    const column = Math.floor(((at.x - x) / wide) * columns);
    const value = data.rows[row]?.[column];
    if (value === undefined || column < 0) return "";
    return `${data.names[row]}\ntransition ${column}: ${value || "—"} ${svg.dataset.unit}`;
  });
})();
