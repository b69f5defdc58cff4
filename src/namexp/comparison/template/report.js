// Puts the page together.
function drawHead() {
  byId("name").textContent = R.name;
  byId("dates").textContent = [R.started && `begun ${format.date(R.started)}`, `report of ${format.date(R.created)}`].filter(Boolean).join(" · ");
  byId("made").textContent = `${plural(R.runs.length, "job")} · written by namexp.report, works without a network`;
  const chips = Object.keys(STATES).filter((state) => R.counts[state]).map((state) => h("li", {}, h("b", { class: STATES[state][1], text: String(R.counts[state]) }), ` ${STATES[state][0]}`));
  byId("counts").append(...chips);
}

function drawHeadline() {
  const scored = R.runs.flatMap((run, i) => run.submodels.map((own, j) => ({ run, own, i, j }))).filter((row) => headlineOf(row.own) !== null);
  if (!scored.length) return;
  const best = scored.reduce((a, b) => (isBetter(headlineOf(b.own), headlineOf(a.own)) ? b : a));
  const figures = [[format.loud(best.own), `${HEADLINE.better === "lower" ? "lowest" : "highest"} ${HEADLINE.name}: ${R.runs.length > 1 ? `run ${best.run.label}, ` : ""}${best.own.name}`]];
  if (R.front.length > 1 && FIRST_COST) {
    const cheapest = R.runs[R.front[0][0]].submodels[R.front[0][1]];
    figures.push([`${FIRST_COST.format(FIRST_COST.of(cheapest))} ${FIRST_COST.unit}`, `the cheapest model, at ${format.loud(cheapest)}`]);
  }
  if (R.knobs.length) figures.push([`${format.db(R.runs[R.knobs[0]].knob.score)} dB`, R.runs.length > 1 ? `best knob score: run ${R.runs[R.knobs[0]].label}` : "knob score"]);
  const trainings = new Map(R.runs.filter((run) => !missing(run.seconds_training)).map((run) => [run.training_id || run.label, run.seconds_training]));
  if (trainings.size) figures.push([format.duration([...trainings.values()].reduce((a, b) => a + b, 0)), `of training in ${plural(trainings.size, "run")}`]);
  if (R.runs.length === 1 && !missing(best.own.realtime_factor)) figures.push([format.factor(best.own.realtime_factor), `real time, ${best.own.name}`]);
  byId("headline").append(...figures.map(([figure, text]) => h("div", { class: "figure" }, h("b", { text: figure }), h("span", { text }))));
}

// Runs without a result, and those that say themselves that something is wrong with them.
function drawProblems() {
  const isFine = (run) => run.state === "done" || run.state === "log";
  const whyOf = (run) => [run.state === "log" ? null : run.reason, ...run.damages].filter(Boolean).join(" · ");
  const lines = R.runs.map((run, i) => ({ run, i })).filter(({ run }) => !isFine(run) || run.damages.length);
  const wrong = R.runs.map((run, i) => ({ run, i, alarms: run.diagnosis.filter((found) => found.level === "alarm") })).filter(({ alarms }) => alarms.length);
  if (!lines.length && !wrong.length) return;
  byId("problems").hidden = false;
  byId("problems-title").textContent = lines.some(({ run }) => !isFine(run)) ? "Jobs that are not done" : lines.length ? "Runs with damaged files" : "Runs that something is wrong with";
  const alike = new Map(); // jobs that ended for one reason share a line
  for (const line of lines) {
    const why = whyOf(line.run) || { missing: "never begun", running: "at work now" }[line.run.state] || "it does not say why";
    const key = `${line.run.state} ${why}`;
    alike.set(key, [...(alike.get(key) || []), { ...line, why }]);
  }
  const open = ({ run, i }) => h("button", { type: "button", class: "quiet", text: run.label, title: settingsLine(run) || null, onclick: () => { selection.set(i, 0); showDetail(); } });
  byId("problem-list").append(...[...alike.values()].map((jobs) => {
    const { state } = jobs[0].run;
    const many = jobs.length > 1 ? `${jobs.length} ` : "";
    return h("li", {}, h("b", { class: STATES[state][1], text: `${many}${STATES[state][0]}` }), `: ${jobs[0].why} `, h("span", { class: "muted", text: jobs.length > 1 ? "Runs" : "Run" }), ...jobs.map(open));
  }), ...wrong.map((line) => {
    const more = line.alarms.length > 1 ? ` And ${line.alarms.length - 1} more.` : "";
    return h("li", {}, h("b", { class: "bad", text: "wrong" }), `: ${line.alarms[0].text}${more} `, h("span", { class: "muted", text: "Run" }), open(line));
  }));
}

function configTable(run) {
  const entries = Object.entries(run.settings);
  if (!entries.length) return null;
  const differing = new Set(R.settings.map(({ key }) => key));
  const rows = entries.sort(([a], [b]) => differing.has(b) - differing.has(a) || a.localeCompare(b)).map(([key, value]) => h("tr", {}, h("td", { class: "text", text: key }), h("td", { class: "text", text: format.setting(value) })));
  return h("details", {}, h("summary", { text: "All settings" }), h("div", { class: "config scroll" }, h("table", { class: "plain" }, h("tbody", {}, ...rows))));
}

function drawCharts() {
  drawScatter();
  drawCurves();
  drawKnobs();
}

function setUpTheme() {
  const button = byId("theme");
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    renderDetail();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", renderDetail);
}

function start() {
  document.querySelector(".explain").open = window.innerWidth > 860; // there is room beside the curves
  drawHead();
  for (const name of document.querySelectorAll(".headline-name")) name.textContent = HEADLINE.name;
  byId("overview").hidden = R.runs.every((run) => run.state === "log"); // nothing to rank
  if (ALONE) byId("curves-hint").textContent = "Validation after each epoch, for every size.";
  drawHeadline();
  drawProblems();
  byId("curve-metric").append(...curveMetrics().map((name) => h("option", { value: name, text: name })));
  byId("curve-metric").addEventListener("change", drawCurves);
  const first = R.order.find((i) => R.runs[i].submodels.length || R.curves[i] || R.figures[i]) ?? R.order[0];
  selection.run = first;
  selection.submodel = Math.max(0, R.runs[first].submodels.length - 1);
  setUpScatter();
  drawCharts();
  setUpTable();
  drawSeeds();
  renderDetail();
  setUpTheme();
  byId("before").addEventListener("click", () => step(-1));
  byId("after").addEventListener("click", () => step(1));
  selection.listeners.push(drawCharts, markSelected, renderDetail, hideTip);
}

start();
