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
      if (tip.dataset.lead) tip.append(`\n${tip.dataset.lead}`);
      tip.append(make("code", { textContent: mark.dataset.command, tabIndex: pinned ? 0 : -1 }));
      if (pinned) tip.append(copyButton(mark.dataset.command));
    }
    tip.hidden = false;
    tip.classList.toggle("pinned", pinned !== null);
    place(mark);
  };
  const place = (mark) => {
    const at = (mark.matches("td") ? mark : mark.lastElementChild).getBoundingClientRect();
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
  // A cell of the numbers: what makes it alone, read from the headers that it stands under.
  const named = (cell) => {
    const { student, teacher, seed, make: options } = cell.closest(".sortable").dataset;
    const table = cell.closest("table");
    const labels = [...cell.parentElement.cells].filter((each) => !each.matches(".number, .word")).map((each) => each.textContent);
    const [groups, heads] = table.tHead.rows;
    const domain = [...groups.cells].flatMap((each) => Array(each.colSpan).fill(each.textContent))[cell.cellIndex];
    const under = heads.cells[cell.cellIndex].textContent;
    const [loss, sampler, of = teacher] = labels;
    const who = student || under;
    Object.assign(cell.dataset, {
      title: [who, loss, sampler, ...labels.slice(2), domain].join(" · "),
      text: student ? `${textOf(cell)} on ${under}` : textOf(cell),
      command: `make cell ${options} CELL=${who}.${loss}.${sampler}.${of}.seed${seed} DOMAIN=${domain}`,
    });
    pin(cell);
  };
  for (const part of document.querySelectorAll(".sortable[data-student]")) {
    const rows = [...part.querySelectorAll("tbody tr")].filter((row) => row.cells[1].textContent && row.cells[1].textContent !== "noise band");
    const cells = rows.flatMap((row) => [...row.cells].filter((cell) => cell.matches(".number") && cell.textContent));
    cells.forEach((cell) => cell.classList.add("made"));
    // One stop of the tab key; a row that a filter hides hands it on.
    const visible = () => [...part.querySelectorAll(".made")].filter((cell) => !cell.parentElement.hidden);
    const stopAt = (stop) => cells.forEach((cell) => (cell.tabIndex = cell === stop ? 0 : -1));
    stopAt(cells[0]);
    part.addEventListener("input", () => {
      const shown = visible();
      if (!shown.some((cell) => cell.tabIndex === 0)) stopAt(shown[0]);
    });
    part.addEventListener("keydown", (event) => {
      const cell = event.target.closest(".made");
      if (!cell) return;
      if (event.key === "Enter") {
        event.preventDefault();
        named(cell);
        tip.querySelector("button")?.focus();
      }
      const [across, down] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [0, 0];
      if (!across && !down) return;
      const line = visible().filter((each) => (across ? each.parentElement === cell.parentElement : each.cellIndex === cell.cellIndex));
      const next = line[line.indexOf(cell) + across + down];
      if (!next) return;
      event.preventDefault();
      stopAt(next);
      next.focus();
    });
  }
  addEventListener("click", (event) => {
    const cell = event.target.closest(".made");
    if (cell) return named(cell);
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
