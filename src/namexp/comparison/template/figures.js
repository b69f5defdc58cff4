// What runs declare to be drawn of their columns, beside another run if wanted, and what is wrong with them.
const LEVELS_OF = { alarm: ["!", "bad"], notice: ["i", "wait"], fine: ["✓", "good"] };
const NOBODY = "-1";
const figured = R.order.filter((i) => R.figures[i]);
// Two runs are there to be looked at side by side.
let beside = figured.length === 2 ? "other" : NOBODY;

function diagnosisBlock(run) {
  if (!run.diagnosis.length) return null;
  const items = run.diagnosis.map(({ level, text }) => h("li", { class: level }, h("b", { class: LEVELS_OF[level][1], "aria-label": level, text: LEVELS_OF[level][0] }), h("span", { text })));
  return h("div", { class: "diagnosis" }, h("h3", { text: "Diagnosis" }), h("ul", {}, ...items));
}

// The run that is drawn beside run i; null where none is.
function companionOf(i) {
  const chosen = beside === "other" ? figured.find((other) => other !== i) : Number(beside);
  return chosen !== undefined && chosen >= 0 && chosen !== i && R.figures[chosen] ? chosen : null;
}

function figuresBlock(i) {
  const tables = R.runs[i].tables;
  if (!R.figures[i] && !tables.length) return null;
  const holder = h("div", { class: "declared" });
  const fill = () => {
    const other = companionOf(i);
    const runs = other === null ? [i] : [i, other];
    holder.replaceChildren(...tables.map((table) => tableOf(table, runs)), h("div", { class: other === null ? "charts" : "charts beside" }, ...(R.figures[i] || []).map((figure) => figureOf(figure, runs))));
    for (const plot of holder.querySelectorAll(".plot")) plot.begin();
  };
  const others = figured.filter((other) => other !== i);
  const select = h("select", { id: "beside", onchange: () => { beside = select.value; fill(); } }, h("option", { value: NOBODY, text: "no other run" }), ...others.map((other) => h("option", { value: String(other), text: nameOf(other) })));
  const companion = companionOf(i);
  select.value = companion === null ? NOBODY : String(companion);
  requestAnimationFrame(fill); // when the block has its width
  return h("div", { class: "columns" }, h("div", { class: "bar" }, h("h3", { text: "Course of the training" }), others.length ? h("label", {}, "beside ", select) : null), holder);
}

// --- tables ------------------------------------------------------------------------------------

function tableOf(table, runs) {
  const shown = runs.map((i) => ({ i, table: R.runs[i].tables.find((own) => own.title === table.title) })).filter((own) => own.table);
  const valuesOf = (own, name) => (own.rows.find((row) => row.name === name) || { values: own.heads.map(() => null) }).values;
  const when = (own) => (missing(own.epoch) ? "" : `, epoch ${format.count(own.epoch)}`);
  const over = shown.length > 1 ? h("tr", {}, h("th"), ...shown.map((own) => h("th", { colspan: own.table.heads.length, text: `${nameOf(own.i)}${when(own.table)}` }))) : null;
  const head = h("tr", {}, h("th", { class: "text", text: shown.length > 1 ? "" : when(table).slice(2) }), ...shown.flatMap((own) => own.table.heads.map((text) => h("th", { text }))));
  // losses and outputs near 1 need no powers of ten for what is almost 0
  const plain = shown.some((own) => own.table.rows.some((row) => row.values.some((v) => Math.abs(v) > 0.1)));
  const textOfValue = (v) => (plain && !missing(v) && Math.abs(v) < 0.0005 ? "0.000" : format.value(v));
  const rows = table.rows.map(({ name }) => h("tr", {}, h("td", { class: "text", text: name }), ...shown.flatMap((own) => valuesOf(own.table, name).map((v) => h("td", { text: textOfValue(v), title: missing(v) ? null : String(v) })))));
  return h("div", { class: "declared-table" }, h("h3", { text: table.title }), h("div", { class: "scroll bare" }, h("table", { class: "plain small" }, h("thead", {}, ...[over, head].filter(Boolean)), h("tbody", {}, ...rows))));
}

// --- figures -----------------------------------------------------------------------------------

// One chart for each run, all with one scale of values.
function figureOf(figure, runs) {
  const shown = runs.map((i) => ({ i, figure: (R.figures[i] || []).find((own) => own.title === figure.title) }));
  const known = shown.filter((own) => own.figure);
  const values = known.flatMap((own) => Object.values(own.figure.lines)).flatMap((line) => line.map((point) => point[1]));
  const log = figure.log && values.some((v) => v > 0);
  const words = [...new Set(known.flatMap((own) => Object.keys(own.figure.lines)))];
  const domain = domainOf(values, log);
  const plots = shown.map((own) => {
    const plot = h("div", { class: "plot", role: "img", "aria-label": `${figure.title} of ${nameOf(own.i)}` });
    plot.begin = () => drawFigure(plot, own, { log, words, domain });
    return h("div", {}, runs.length > 1 ? h("p", { class: "hint", text: nameOf(own.i) }) : null, plot);
  });
  const key = h("span", { class: "key" }, ...words.map((word, k) => keyOf(`--c${k % 8}`, word)));
  return h("figure", {}, h("figcaption", { class: "bar" }, h("b", { text: figure.title }), key), h("div", { class: "plots" }, ...plots));
}

function drawFigure(plot, { i, figure }, { log, words, domain }) {
  const lines = figure ? Object.entries(figure.lines).map(([word, points]) => ({ word, points: log ? points.filter((p) => p[1] > 0) : points })).filter((line) => line.points.length) : [];
  const xs = lines.flatMap((line) => [line.points[0][0], line.points[line.points.length - 1][0]]);
  chart(plot, {
    height: 190, empty: "This run has no such columns.",
    x: { domain: xs.length ? domainOfX(xs) : null, label: figure ? figure.x : "", format: format.short, whole: true },
    y: { domain, log, label: "", format: format.tick },
    draw(svg, sx, sy) {
      for (const { word, points } of lines) {
        const colour = `var(--c${words.indexOf(word) % 8})`;
        const mark = points.length === 1
          ? s("circle", { cx: sx(points[0][0]), cy: sy(points[0][1]), r: 3.5, fill: colour })
          : s("path", { class: "line", stroke: colour, d: pathOf(points, sx, sy) });
        const [x, y] = points[points.length - 1];
        mark.addEventListener("pointermove", (event) => showTip(event, `${nameOf(i)}: ${word}\n${format.value(y)} in ${figure.x} ${format.count(x)}`));
        mark.addEventListener("pointerleave", hideTip);
        svg.append(mark);
      }
    },
  });
}

function domainOfX(xs) {
  const low = Math.min(...xs);
  const high = Math.max(...xs);
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}
