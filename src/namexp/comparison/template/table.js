// The table: a row for each size of each run; sorted, filtered, and filled as it is scrolled.
const CHUNK = 80;

const COLUMNS = [
  { id: "run", name: "run", text: true, fixed: true, value: (run) => run.label, show: null },
  { id: "state", name: "state", text: true, value: (run) => run.state, show: (v) => v },
  ...R.settings.map(({ key, chosen }) => ({
    id: `set:${key}`, name: shortKeys[key], title: key, text: true, hidden: !chosen, value: (run) => run.settings[key], show: format.setting,
  })),
  { id: "seed", name: "seed", value: (run) => run.seed, show: format.text },
  { id: "submodel", name: "size", text: true, title: "submodel, from small to large", value: (run, own) => own && own.name, show: format.text },
  { id: "front", name: "front", title: "On the Pareto front: nothing here is both better and cheaper", text: true, value: (run, own) => (own ? (own.pareto ? 0 : 1) : null), show: (v) => (v === 0 ? "★" : "") },
  ...R.metrics.flatMap((metric) => [
    { id: metric.key, name: metric.name, title: metric.meaning, hidden: !metric.tabled, value: (run, own) => own && own[metric.key], show: format.figure },
    ...(metric.key === R.headline && IS_RATIO ? [{ id: "db", name: `${metric.name} dB`, title: `10 log10 ${metric.name}`, value: (run, own) => own && own[`${metric.key}_db`], show: format.db }] : []),
  ]),
  { id: "macs", name: "MACs", title: "Multiply-accumulates per sample", value: (run, own) => own && own.macs, show: format.count },
  { id: "parameters", name: "weights", title: "Number of parameters", value: (run, own) => own && own.parameters, show: format.count },
  ...[...new Set(R.runs.flatMap((run) => run.submodels.flatMap((own) => Object.keys(own.facts))))].map((name) => ({
    id: name, name: name.replaceAll("_", " "), title: "Declared by the run", hidden: true, text: true, value: (run, own) => own && own.facts[name], show: (v) => (missing(v) ? NONE : format.known(v)),
  })),
  { id: "realtime", name: "real time", title: "Seconds of audio per second of computation, measured by namexp on one CPU thread", value: (run, own) => own && own.realtime_factor, show: format.factor },
  { id: "knob", name: "knob score", title: `Mean over the knob of −10 log10 ${HEADLINE.name} − 10 log10 (MACs / 1000), in dB: more is better`, value: (run) => run.knob && run.knob.score, show: format.db },
  { id: "r", name: "R", title: "Receptive field in samples", value: (run) => run.receptive_field, show: format.count },
  { id: "epochs", name: "epochs", value: (run) => run.epochs, show: format.count },
  { id: "best", name: "best epoch", title: "Whose weights were kept, counted from 1", value: (run, own) => (own && !missing(own.best_epoch) ? own.best_epoch + 1 : null), show: format.count },
  { id: "time", name: "training", title: "Time of the training", value: (run) => run.seconds_training, show: format.duration },
  { id: "reused", name: "reused from", title: "This job took over another job's training", text: true, hidden: !R.runs.some((run) => run.reused_from), value: (run) => run.reused_from, show: format.text },
];
// A column that would be empty everywhere says nothing.
const rowsAll = R.runs.flatMap((run, i) => (run.submodels.length ? run.submodels.map((_, j) => ({ i, j })) : [{ i, j: 0 }]));
const valueOf = (column, row) => column.value(R.runs[row.i], R.runs[row.i].submodels[row.j]);
for (const column of COLUMNS) column.hidden = column.hidden || (!column.fixed && rowsAll.every((row) => missing(valueOf(column, row))));
if (R.runs.every((run) => run.state === "done")) COLUMNS.find((column) => column.id === "state").hidden = true;

const table = { sort: null, descending: false, rows: rowsAll, shown: 0 };
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const textOf = new Map(rowsAll.map((row) => {
  const run = R.runs[row.i];
  const own = run.submodels[row.j];
  const settings = R.settings.map(({ key }) => `${key}=${format.setting(run.settings[key])} ${shortKeys[key]}=${format.setting(run.settings[key])}`).join(" ");
  return [row, [run.label, run.state, run.reason, own && own.name, `seed=${run.seed}`, settings, run.training_id].join(" ").toLowerCase()];
}));

function matches(row, words, front, state) {
  const run = R.runs[row.i];
  if (state && run.state !== state) return false;
  if (front && !(run.submodels[row.j] || {}).pareto) return false;
  return words.every((word) => word(row));
}

// "esr<0.01" or "ll>-2" compares a column, anything else is looked for in the text
function parseWord(word) {
  const found = /^([a-z0-9_ -]+)(<=|>=|<|>)(-?[\d.]+(?:e-?\d+)?)$/.exec(word);
  const column = found && COLUMNS.find((c) => !c.text && (c.id === found[1] || c.name.toLowerCase() === found[1]));
  if (!column) return (row) => textOf.get(row).includes(word);
  const limit = Number(found[3]);
  const compare = { "<": (v) => v < limit, ">": (v) => v > limit, "<=": (v) => v <= limit, ">=": (v) => v >= limit }[found[2]];
  return (row) => { const v = valueOf(column, row); return !missing(v) && compare(v); };
}

function compareRows(a, b) {
  const column = table.sort;
  const [x, y] = [valueOf(column, a), valueOf(column, b)];
  if (missing(x) || missing(y)) return missing(x) - missing(y); // whatever is missing comes last
  const order = typeof x === "number" && typeof y === "number" ? x - y : collator.compare(String(x), String(y));
  return table.descending ? -order : order;
}

function refreshTable() {
  const words = byId("filter").value.toLowerCase().split(/[\s,]+/).filter(Boolean).map(parseWord);
  const front = byId("only-front").checked;
  const state = byId("only-state").value;
  table.rows = rowsAll.filter((row) => matches(row, words, front, state));
  if (table.sort) table.rows = [...table.rows].sort(compareRows);
  const runs = new Set(table.rows.map((row) => row.i)).size;
  const all = table.rows.length === rowsAll.length;
  byId("row-count").textContent = `${plural(runs, "run")}, ${plural(table.rows.length, "row")}${all ? "" : ` of ${rowsAll.length}`}`;
  const visible = COLUMNS.filter((column) => !column.hidden);
  const body = h("tbody");
  byId("table").replaceChildren(h("thead", {}, h("tr", {}, ...visible.map(headCell))), body);
  table.shown = 0;
  byId("table-scroll").scrollTop = 0;
  addRows();
}

function headCell(column) {
  const sorted = table.sort === column ? (table.descending ? "descending" : "ascending") : "none";
  const button = h("button", { type: "button", text: column.name, title: column.title || null, onclick: () => sortBy(column) });
  return h("th", { scope: "col", class: column.text ? "text" : null, "aria-sort": sorted, "data-column": column.id }, button);
}

function sortBy(column) {
  if (table.sort === column && table.descending) { table.sort = null; table.descending = false; }
  else { table.descending = table.sort === column; table.sort = column; }
  refreshTable();
  const button = document.querySelector(`th[data-column="${CSS.escape(column.id)}"] button`);
  if (button) button.focus({ preventScroll: true });
}

function addRows() {
  const body = byId("table").tBodies[0];
  const visible = COLUMNS.filter((column) => !column.hidden);
  const next = table.rows.slice(table.shown, table.shown + CHUNK);
  next.forEach((row, k) => body.append(bodyRow(row, table.rows[table.shown + k - 1], visible)));
  table.shown += next.length;
  if (!table.rows.length) body.append(h("tr", {}, h("td", { class: "text muted", colspan: visible.length, text: "Nothing matches the filter." })));
}

function bodyRow(row, before, visible) {
  const run = R.runs[row.i];
  const again = before && before.i === row.i;
  const isSelected = row.i === selection.run && row.j === selection.submodel;
  const cells = visible.map((column) => {
    if (column.id === "run") {
      const open = h("button", { type: "button", class: "open", title: `${run.label}: show in detail` }, h("span", { class: "dot", style: `background:${colourOf(row.i, row.j)}` }), h("span", { class: "name", text: run.label }));
      return h("td", { class: "text" }, open);
    }
    const text = column.show(valueOf(column, row));
    const look = [column.text ? "text" : "", column.id === "state" ? STATES[run.state][1] : "", column.id === "front" ? "onfront" : ""].join(" ").trim();
    return h("td", { class: look || null, text, title: column.text && text.length > 24 ? text : column.id === "state" ? run.reason : null });
  });
  const tr = h("tr", { class: [again ? "again" : "", isSelected ? "selected" : ""].join(" ").trim() || null, "data-run": row.i, "data-submodel": row.j }, ...cells);
  tr.addEventListener("click", () => { selection.set(row.i, row.j); showDetail(); });
  return tr;
}

function markSelected() {
  for (const tr of byId("table").querySelectorAll("tbody tr[data-run]")) {
    tr.classList.toggle("selected", Number(tr.dataset.run) === selection.run && Number(tr.dataset.submodel) === selection.submodel);
  }
}

function setUpTable() {
  byId("filter").placeholder = `Filter: text, or ${HEADLINE.key}${HEADLINE.better === "lower" ? "<0.01" : ">0.5"}, macs<5000`;
  const scroll = byId("table-scroll");
  scroll.addEventListener("scroll", () => {
    if (scroll.scrollTop + scroll.clientHeight > scroll.scrollHeight - 600 && table.shown < table.rows.length) addRows();
  }, { passive: true });
  let waiting = 0;
  byId("filter").addEventListener("input", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(refreshTable); });
  byId("only-front").addEventListener("change", refreshTable);
  const states = [...new Set(R.runs.map((run) => run.state))];
  byId("only-state").append(...states.map((state) => h("option", { value: state, text: STATES[state][0] })));
  byId("only-state").hidden = states.length < 2;
  byId("only-state").addEventListener("change", refreshTable);
  for (const column of COLUMNS.filter((c) => !c.fixed)) {
    const box = h("input", { type: "checkbox", checked: !column.hidden });
    box.addEventListener("change", () => { column.hidden = !box.checked; refreshTable(); });
    byId("columns").append(h("label", {}, box, ` ${column.title && column.id.startsWith("set:") ? column.title : column.name}`));
  }
  document.addEventListener("click", (event) => {
    const menu = document.querySelector(".menu[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = document.querySelector(".menu[open]");
    if (event.key === "Escape" && menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  refreshTable();
}

// The row before or after the selected one, as the table stands.
function step(direction) {
  const at = table.rows.findIndex((row) => row.i === selection.run && row.j === selection.submodel);
  const next = table.rows[Math.max(0, Math.min(table.rows.length - 1, at + direction))];
  if (next) selection.set(next.i, next.j);
}
