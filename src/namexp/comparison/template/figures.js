// What runs declare to be drawn, beside another run if wanted, and what is wrong with them: of their columns,
// and of what came out in the end.
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
    const look = other === null ? "charts" : "charts beside";
    const chartsOf = (figures) => h("div", { class: look }, ...figures.map((figure) => figureOf(figure, runs)));
    const own = R.figures[i] || [];
    const after = own.filter((figure) => figure.after);
    holder.replaceChildren(...[
      ...tables.map((table) => tableOf(table, runs)), chartsOf(own.filter((figure) => !figure.after)),
      after.length ? h("h3", { class: "after", text: "What came out" }) : null, after.length ? chartsOf(after) : null,
    ].filter(Boolean));
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

// Whatever is drawn, as marks: {kind, word, points}; points are [x, y], or [x, low, high] of a band.
const KINDS_OF_MARKS = ["bands", "bars", "lines"];

function marksOf(figure, log) {
  return KINDS_OF_MARKS.flatMap((kind) => Object.entries(figure[kind] || {}).map(([word, all]) => ({ kind, word, points: log ? all.filter((p) => p[1] > 0) : all }))).filter((mark) => mark.points.length);
}

const levelsOf = (figure) => Object.entries(figure.levels || {});
const wordsIn = (figure) => ["bars", "lines", "bands"].flatMap((kind) => Object.keys(figure[kind] || {}));
const valuesIn = (figure) => [...marksOf(figure).flatMap((mark) => mark.points.flatMap((p) => p.slice(1))), ...levelsOf(figure).map(([, level]) => level)];

// One chart for each run, all with one scale of values.
function figureOf(figure, runs) {
  const shown = runs.map((i) => ({ i, figure: (R.figures[i] || []).find((own) => own.title === figure.title) }));
  const known = shown.filter((own) => own.figure);
  const values = known.flatMap((own) => valuesIn(own.figure));
  const log = figure.log && values.some((v) => v > 0);
  const words = [...new Set(known.flatMap((own) => wordsIn(own.figure)))];
  const levels = [...new Set(known.flatMap((own) => levelsOf(own.figure).map(([word]) => word)))];
  const hasBars = known.some((own) => Object.keys(own.figure.bars || {}).length);
  const domain = domainOf(hasBars && !log ? [0, ...values] : values, log);
  if (hasBars && !log) domain[0] = Math.min(0, ...values); // bars stand on the axis
  const plots = shown.map((own) => {
    const plot = h("div", { class: "plot", role: "img", "aria-label": `${figure.title} of ${nameOf(own.i)}` });
    plot.begin = () => drawFigure(plot, own, { log, words, domain });
    const about = [runs.length > 1 ? nameOf(own.i) : "", (own.figure && own.figure.note) || ""].filter(Boolean).join(": ");
    return h("div", {}, about ? h("p", { class: "hint", text: about, title: about }) : null, plot);
  });
  const key = h("span", { class: "key" }, ...words.map((word, k) => keyOf(`--c${k % 8}`, word)), ...levels.map((word) => keyOf("--muted", word)));
  return h("figure", {}, h("figcaption", { class: "bar" }, h("b", { text: figure.title }), key), h("div", { class: "plots" }, ...plots));
}

function drawFigure(plot, { i, figure }, { log, words, domain }) {
  const marks = figure ? marksOf(figure, log) : [];
  const xs = marks.flatMap(({ kind, points }) => {
    const room = kind === "bars" ? spacing(points) / 2 : 0;
    return [points[0][0] - room, points[points.length - 1][0] + room];
  });
  const whole = marks.every(({ points }) => points.every((p) => Number.isInteger(p[0])));
  chart(plot, {
    height: 190, empty: "This run has nothing of it.",
    x: { domain: xs.length ? domainOfX(xs) : null, label: figure ? figure.x : "", format: format.short, whole },
    y: { domain, log, label: (figure && figure.y) || "", format: format.tick },
    draw(svg, sx, sy, frame) {
      for (const { kind, word, points } of marks) {
        const shape = DRAWN[kind](points, `var(--c${words.indexOf(word) % 8})`, sx, sy, frame);
        shape.addEventListener("pointermove", (event) => {
          const at = event.clientX - svg.getBoundingClientRect().left;
          const near = points.reduce((a, b) => (Math.abs(sx(b[0]) - at) < Math.abs(sx(a[0]) - at) ? b : a));
          const where = figure.after ? `at ${figure.x} ${format.value(near[0])}` : `in ${figure.x} ${format.count(near[0])}`;
          showTip(event, `${nameOf(i)}: ${word}\n${near.slice(1).map(format.value).join(" to ")} ${where}`);
        });
        shape.addEventListener("pointerleave", hideTip);
        svg.append(shape);
      }
      for (const [, level] of figure ? levelsOf(figure) : []) {
        if (!log || level > 0) svg.append(s("line", { class: "level", x1: frame.left, x2: frame.right, y1: sy(level), y2: sy(level) }));
      }
    },
  });
}

const spacing = (points) => points.slice(1).reduce((least, p, k) => Math.min(least, p[0] - points[k][0]), points.length > 1 ? Infinity : 1) || 1;

const DRAWN = {
  lines: (points, colour, sx, sy) => (points.length === 1
    ? s("circle", { cx: sx(points[0][0]), cy: sy(points[0][1]), r: 3.5, fill: colour })
    : s("path", { class: "line", stroke: colour, d: pathOf(points, sx, sy) })),
  bars: (points, colour, sx, sy, frame) => {
    const half = spacing(points) / 2;
    const foot = Math.min(frame.bottom, sy(0) || frame.bottom);
    const d = points.map(([x, y]) => `M${sx(x - half).toFixed(1)} ${foot}V${sy(y).toFixed(1)}H${sx(x + half).toFixed(1)}V${foot}Z`).join("");
    return s("path", { class: "bars", fill: colour, d });
  },
  bands: (points, colour, sx, sy) => {
    if (points.length === 1) return s("line", { class: "band", stroke: colour, "stroke-width": 8, x1: sx(points[0][0]), x2: sx(points[0][0]), y1: sy(points[0][1]), y2: sy(points[0][2]) });
    const d = `${pathOf(points, sx, sy)}L${pathOf([...points].reverse().map(([x, , high]) => [x, high]), sx, sy).slice(1)}Z`;
    return s("path", { class: "band", fill: colour, d });
  },
};

function domainOfX(xs) {
  const low = Math.min(...xs);
  const high = Math.max(...xs);
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}
