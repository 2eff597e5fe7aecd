"use strict";
document.documentElement.classList.remove("no-script");

const make = (tag, options = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), options);
  node.append(...children);
  return node;
};
const drawn = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

// Copying: what a table holds, and every command.
const toClipboard = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page opened as a file may not have the clipboard: the browser's older way.
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
};
const copyButton = (text) => {
  const button = make("button", { type: "button", className: "copy", textContent: "Copy" });
  button.addEventListener("click", async () => {
    await toClipboard(text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return button;
};
for (const code of document.querySelectorAll("code.command")) code.after(copyButton(code.textContent));

// What is behind a dot: on hovering or focusing; a click, a tap or Enter keeps it until Escape or a click elsewhere.
{
  const tip = document.getElementById("tip");
  let pinned = null;
  const show = (mark) => {
    tip.replaceChildren(make("b", { textContent: mark.dataset.title }), `\n${mark.dataset.text}`);
    if (mark.dataset.command) {
      tip.append(make("code", { textContent: mark.dataset.command }));
      if (pinned) tip.append(copyButton(mark.dataset.command));
    }
    tip.hidden = false;
    tip.classList.toggle("pinned", pinned !== null);
    place(mark);
  };
  const place = (mark) => {
    const at = mark.lastElementChild.getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left + at.width / 2 - box.width / 2), innerWidth - box.width - 8);
    const below = at.bottom + 10 + box.height < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${below ? at.bottom + 10 : at.top - box.height - 10}px`;
  };
  const hide = () => (tip.hidden = pinned === null);
  const unpin = () => {
    pinned = null;
    hide();
  };
  const pin = (mark) => {
    pinned = mark;
    show(mark);
  };
  for (const mark of document.querySelectorAll(".mark")) {
    mark.querySelector("title")?.remove();
    for (const event of ["mouseenter", "focus"]) mark.addEventListener(event, () => pinned ?? show(mark));
    for (const event of ["mouseleave", "blur"]) mark.addEventListener(event, hide);
    mark.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      pin(mark);
      tip.querySelector("button")?.focus();
    });
  }
  addEventListener("click", (event) => {
    const mark = event.target.closest(".mark");
    if (mark) pin(mark);
    else if (!tip.contains(event.target)) unpin();
  });
  // Moving to a dot by keyboard scrolls: what is said of it follows.
  addEventListener(
    "scroll",
    () => {
      const mark = pinned ?? document.activeElement.closest(".mark");
      if (mark && !tip.hidden) place(mark);
      else hide();
    },
    { passive: true },
  );
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (tip.contains(document.activeElement)) pinned.focus();
    unpin();
  });
}

// One stop of the tab key for each picture; the arrow keys lead from dot to dot.
for (const picture of document.querySelectorAll("figure svg")) {
  const marks = [...picture.querySelectorAll(".mark")];
  marks.slice(1).forEach((mark) => mark.setAttribute("tabindex", "-1"));
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const now = [...picture.querySelectorAll(".mark")];
    const next = step && now[now.indexOf(event.target.closest(".mark")) + step];
    if (!next) return;
    event.preventDefault();
    marks.forEach((mark) => mark.setAttribute("tabindex", mark === next ? "0" : "-1"));
    next.focus();
  });
}

// Order of the grid's rows, in every panel alike.
document.getElementById("order")?.addEventListener("change", (event) => {
  const by = event.target.value;
  for (const panel of document.querySelectorAll("svg.panel")) {
    const rows = [...panel.querySelectorAll(".row")];
    const places = rows.map((row) => (row.dataset.place ??= row.getAttribute("transform")));
    const ordered = [...rows];
    if (by === "mean") ordered.sort((a, b) => b.dataset.mean - a.dataset.mean);
    else if (by !== "grid") {
      const second = by === "loss" ? "sampler" : "loss";
      ordered.sort((a, b) => a.dataset[by] - b.dataset[by] || a.dataset[second] - b.dataset[second]);
    }
    ordered.forEach((row, place) => {
      row.setAttribute("transform", places[place]);
      panel.append(row);
    });
  }
});

// Tables: sort by a column, filter rows, copy.
const textOf = (cell) => {
  const copy = cell.cloneNode(true);
  copy.querySelectorAll("sup").forEach((letters) => letters.replaceWith(letters.textContent && ` ${letters.textContent}`));
  return copy.textContent.trim();
};
// The number that a cell starts with: "<0.001" lies below 0.001, ">100" above 100; NaN for a text.
const numberOf = (text) => {
  if (/^(infinite|∞)/.test(text)) return Infinity;
  const found = text.replaceAll("−", "-").match(/^([<>]?)\s*([-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?)/i);
  return found ? Number(found[2].replaceAll(",", "")) + { "": 0, "<": -1e-12, ">": 1e-12 }[found[1]] : NaN;
};
const compareNumbers = (a, b, sign) => Number.isNaN(a) - Number.isNaN(b) || (a === b ? 0 : sign * (b - a) || 0);
const copied = {
  Markdown: (rows) => [rows[0], rows[0].map(() => "---"), ...rows.slice(1)].map((row) => `| ${row.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`).join("\n"),
  LaTeX: (rows) => {
    const escaped = (text) => text.replace(/[\\&%$#_{}~^±≠≈²]/g, (c) => ({ "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "≠": "$\\neq$", "≈": "$\\approx$", "²": "$^2$" })[c] ?? `\\${c}`);
    const lines = rows.map((row) => `${row.map(escaped).join(" & ")} \\\\`);
    return [`\\begin{tabular}{${rows[0].map(() => "l").join("")}}`, "\\toprule", lines[0], "\\midrule", ...lines.slice(1), "\\bottomrule", "\\end{tabular}"].join("\n");
  },
  CSV: (rows) => rows.map((row) => row.map((text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(",")).join("\n"),
};
for (const part of document.querySelectorAll(".sortable")) {
  const table = part.querySelector("table");
  const bodies = [...table.tBodies];
  const rows = bodies.flatMap((body) => [...body.rows].map((row) => [row, body]));
  const groups = [...table.tHead.rows].slice(0, -1).flatMap((row) => [...row.cells].flatMap((cell) => Array(cell.colSpan).fill(cell.textContent)));
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  // A label that stands once for several rows: it is written out where rows are no longer together.
  const repeated = [];
  for (const body of bodies) {
    const above = [];
    for (const row of body.rows) {
      let leading = true;
      [...row.cells].forEach((cell, column) => {
        leading &&= !cell.matches(".number, .word") && (cell.textContent === "" || column === 0);
        if (leading && cell.textContent === "" && above[column]) repeated.push([cell, above[column]]);
        else above[column] = cell.textContent;
        leading &&= cell.textContent === "";
      });
    }
  }
  const writeOut = (needed) => repeated.forEach(([cell, label]) => (cell.textContent = needed ? label : ""));
  const rearranged = () => filter.value !== "" || heads.some((head) => head.ariaSort);
  const shown = () => rows.map(([row]) => row).filter((row) => !row.hidden).sort((a, b) => (a.compareDocumentPosition(b) & 4 ? -1 : 1));
  heads.forEach((head, column) => {
    const button = make("button", { type: "button", textContent: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const next = { none: "descending", descending: "ascending", ascending: "none" }[head.ariaSort ?? "none"];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next !== "none") head.ariaSort = next;
      writeOut(rearranged());
      if (next === "none") return rows.forEach(([row, body]) => body.append(row));
      const keyed = rows.map(([row]) => [row, textOf(row.cells[column])]);
      const numeric = keyed.some(([, text]) => !Number.isNaN(numberOf(text)));
      const sign = next === "ascending" ? -1 : 1;
      // Cells without a number come last, whichever way.
      const compare = numeric
        ? ([, a], [, b]) => compareNumbers(numberOf(a), numberOf(b), sign)
        : ([, a], [, b]) => (a === "") - (b === "") || sign * b.localeCompare(a);
      keyed.sort(compare);
      keyed.forEach(([row]) => bodies[0].append(row));
    });
  });
  const filter = make("input", { type: "search", placeholder: "rows that hold …" });
  filter.addEventListener("input", () => {
    writeOut(true);
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [row] of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
    }
    writeOut(rearranged());
  });
  const said = make("span", { role: "status" });
  const buttons = Object.entries(copied).map(([name, format]) =>
    make("button", {
      type: "button",
      textContent: name,
      onclick: async () => {
        const header = heads.map((head, column) => `${groups[column] ?? ""} ${head.textContent}`.trim());
        writeOut(true);
        await toClipboard(format([header, ...shown().map((row) => [...row.cells].map(textOf))]));
        writeOut(rearranged());
        said.textContent = "copied";
        setTimeout(() => (said.textContent = ""), 2000);
      },
    }),
  );
  part.prepend(make("div", { className: "tools" }, make("label", {}, "Filter ", filter), "Copy as ", ...buttons, said));
}

// The query explorer.
const unpack = async (text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
};
const explore = async () => {
  const about = JSON.parse(document.getElementById("about").textContent);
  const buffer = await unpack(document.getElementById("columns").textContent.trim());
  let offset = 0;
  const take = (kind, length) => {
    const array = new kind(buffer, offset, length);
    offset += array.byteLength;
    return array;
  };
  for (const collection of about.collections) {
    const count = collection.queries.length;
    collection.systems = about.systems.map(() => ({
      documents: take(Int32Array, count * about.shown),
      scores: take(Float32Array, count * about.shown),
      judgements: take(Int32Array, count * about.shown),
      values: take(Float32Array, count),
    }));
  }
  const [one, other, where, slider] = ["one", "other", "collection", "query"].map((id) => document.getElementById(id));
  about.systems.forEach((name, place) => [one, other].forEach((select) => select.append(make("option", { value: place, textContent: name }))));
  about.collections.forEach((each, place) => where.append(make("option", { value: place, textContent: each.name })));
  [one.value, other.value] = about.first;
  const strip = document.getElementById("strip");
  let order = [];
  let seen = null;
  const draw = () => {
    const collection = about.collections[where.value];
    const kept = seen?.collection === collection ? seen.query : null;
    const [a, b] = [one, other].map((select) => collection.systems[select.value]);
    const differences = [...a.values].map((value, place) => value - b.values[place]);
    order = [...differences.keys()].sort((x, y) => differences[y] - differences[x] || x - y);
    const most = Math.max(0.01, ...differences.map(Math.abs));
    const width = 1000 / order.length;
    strip.replaceChildren(
      ...order.map((query, place) => {
        const height = Math.max(1, (Math.abs(differences[query]) / most) * 72);
        const sign = Math.sign(differences[query]) || 0;
        const y = [75, 74.5, 75 - height][sign + 1];
        return drawn("rect", { x: place * width, y, width: Math.max(0.7, width * 0.85), height, class: ["loss", "same", "gain"][sign + 1] });
      }),
    );
    document.getElementById("most").textContent = `+${most.toPrecision(2)}`;
    document.getElementById("least").textContent = `−${most.toPrecision(2)}`;
    const better = differences.filter((value) => value > 0).length;
    const worse = differences.filter((value) => value < 0).length;
    const some = collection.queries.length < collection.all ? `, ${collection.queries.length} of ${collection.all} queries are in this page` : "";
    document.getElementById("summary").textContent =
      `${about.measure}: the first is better on ${better} queries, the second on ${worse}, the same on ${order.length - better - worse}${some}.`;
    slider.max = order.length - 1;
    slider.value = kept === null ? 0 : order.indexOf(kept);
    choose();
  };
  const choose = () => {
    const collection = about.collections[where.value];
    const query = order[slider.value];
    seen = { collection, query };
    strip.querySelector(".chosen")?.classList.remove("chosen");
    strip.children[slider.value]?.classList.add("chosen");
    const [id, text] = collection.queries[query];
    const sides = [one, other].map((select) => collection.systems[select.value]);
    const values = sides.map((side) => side.values[query].toFixed(3));
    document.getElementById("text").textContent = `${text ? `“${text}” (query ${id}` : `Query ${id} (its text is not shown`}; ${about.measure} ${values[0]} and ${values[1]})`;
    slider.setAttribute("aria-valuetext", `query ${id}, ${about.measure} ${values[0]} and ${values[1]}`);
    const teacher = about.teacher === null ? null : collection.systems[about.teacher];
    const taught = new Map();
    const cell = (place) => query * about.shown + place;
    if (teacher) for (let place = 0; place < about.shown; place++) taught.set(teacher.documents[cell(place)], teacher.scores[cell(place)]);
    const lists = sides.map((side, number) => {
      const list = make("ol", { ariaLabel: number ? "ranking of the second" : "ranking of the first" });
      for (let place = 0; place < about.shown; place++) {
        const at = side.documents[cell(place)];
        if (at < 0) continue;
        const [name, body, cut] = collection.documents[at];
        const judged = side.judgements[cell(place)];
        const word = judged < 0 ? "not judged" : judged === 0 ? "not relevant" : judged === 1 ? "relevant" : `relevant (${judged})`;
        const details = make("div", { className: "about" }, make("b", { textContent: `${place + 1}. ${name}` }), make("span", { textContent: word }), make("span", { textContent: `score ${side.scores[cell(place)].toPrecision(4)}` }));
        if (taught.has(at) && side !== teacher) details.append(make("span", { textContent: `teacher ${taught.get(at).toPrecision(4)}` }));
        list.append(make("li", { className: judged > 0 ? "relevant" : "not" }, details, make("div", { className: "body", dir: "auto", textContent: body + (cut ? " … (cut)" : ""), title: body })));
      }
      return list;
    });
    const joined = drawn("svg", { viewBox: `0 0 10 ${about.shown}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    for (let place = 0; place < about.shown; place++) {
      const target = sides[1].documents.subarray(query * about.shown, (query + 1) * about.shown).indexOf(sides[0].documents[cell(place)]);
      if (target >= 0 && sides[0].documents[cell(place)] >= 0)
        joined.append(drawn("path", { d: `M0 ${place + 0.5}C4 ${place + 0.5} 6 ${target + 0.5} 10 ${target + 0.5}`, "vector-effect": "non-scaling-stroke", class: target === place ? "" : "moved" }));
    }
    document.getElementById("rankings").replaceChildren(lists[0], joined, lists[1]);
  };
  [one, other, where].forEach((select) => select.addEventListener("change", draw));
  slider.addEventListener("input", choose);
  strip.addEventListener("click", (event) => {
    const box = strip.getBoundingClientRect();
    slider.value = Math.floor(((event.clientX - box.left) / box.width) * order.length);
    choose();
  });
  draw();
};
if (document.getElementById("about")) explore();

// The header of the main table stays in view where the table needs no scrolling of its own.
for (const box of document.querySelectorAll("#numbers > .sortable .scroll")) box.classList.toggle("fits", box.scrollWidth <= box.clientWidth);

// A link to a table or a claim opens it.
const openNamed = () => {
  const named = /^#(table|claim)-/.test(location.hash) && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!named) return;
  named.open = true;
  named.scrollIntoView();
};
addEventListener("hashchange", openNamed);
openNamed();
