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
    // A text that is read from the right, or turns what follows, ends where its element ends.
    const asked = text ? ["“", make("bdi", { textContent: text }), `” (query ${id}`] : [`Query ${id} (its text is not shown`];
    document.getElementById("text").replaceChildren(...asked, `; ${about.measure} ${values[0]} and ${values[1]})`);
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
