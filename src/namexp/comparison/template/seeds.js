// Repeated seeds: how far they scatter, and whether settings really differ.
const GROUPS_SHOWN = 24;

function settingOfGroup(group) {
  const run = R.runs.find((each) => each.label === group.runs[0]);
  return settingsLine(run) || (R.groups.length > 1 ? run.label : "this setting");
}

function drawSeeds() {
  if (!R.groups.length || R.runs.filter((run) => run.state !== "log").length < 2) return;
  byId("seeds").hidden = false;
  const body = byId("seeds-body");
  if (!R.groups.some((group) => group.n > 1)) {
    body.replaceChildren(h("p", { text: "Every setting was trained once, so nobody can tell a real difference from luck. Repeat with other seeds: add seed=0,1,2 to the sweep." }));
    return;
  }
  body.replaceChildren(h("div", { class: "scroll tall bare", tabindex: 0, role: "region", "aria-label": "Spread over the seeds" }, spreadTable(GROUPS_SHOWN)), comparisonBlock());
}

function spreadTable(limit) {
  const groups = R.groups.filter((group) => group.metric === R.headline);
  const domain = domainOf(groups.flatMap((group) => group.submodels.flatMap((own) => Object.values(own.seeds))), IS_LOG, 0.05);
  const sorted = [...groups].sort((a, b) => b.n - a.n);
  const rows = sorted.slice(0, limit).flatMap((group) => group.submodels.filter((own) => own.spread).map((own, j) => h("tr", {},
    h("td", { class: "text setting", text: j ? "" : settingOfGroup(group) }), h("td", { class: "text", text: own.name }), h("td", { text: String(own.spread.n) }),
    h("td", { text: format.figure(own.spread.mean) }), h("td", { text: own.spread.std === null ? "cannot tell" : `± ${format.figure(own.spread.std)}`, class: own.spread.std === null ? "muted" : null }),
    h("td", { text: own.spread.n > 1 ? `${format.figure(own.spread.low)} to ${format.figure(own.spread.high)}` : NONE }), h("td", {}, strip(Object.entries(own.seeds), domain)))));
  const head = [["setting", "text"], ["size", "text"], ["n"], [`mean ${HEADLINE.name}`], ["std"], ["min to max"], [IS_LOG ? "each seed, logarithmic" : "each seed"]];
  const made = h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ...head.map(([text, look]) => h("th", { class: look, text })))), h("tbody", {}, ...rows));
  if (sorted.length > limit) {
    made.append(h("tfoot", {}, h("tr", {}, h("td", { class: "text", colspan: 7 }, h("button", { type: "button", text: `Show all ${sorted.length} settings`, onclick: (event) => event.target.closest("table").replaceWith(spreadTable(Infinity)) })))));
  }
  return made;
}

function strip(seeds, domain) {
  const sx = scale(domain, [6, 164], IS_LOG);
  const svg = s("svg", { class: "strip", viewBox: "0 0 170 18", height: 18, role: "img", "aria-label": seeds.map(([seed, v]) => `seed ${seed}: ${format.figure(v)}`).join(", ") });
  svg.append(s("line", { class: "axis", x1: 6, x2: 164, y1: 9, y2: 9 }));
  for (const [seed, v] of seeds) {
    const dot = s("circle", { cx: sx(v), cy: 9, r: 4, fill: "var(--accent)", opacity: 0.75 });
    dot.append(s("title", {}, `seed ${seed}: ${HEADLINE.name} ${format.figure(v)}`));
    svg.append(dot);
  }
  return svg;
}

// What one setting says that the other does not.
function apart(group, other) {
  const theirs = new Set(settingOfGroup(other).split(" · "));
  return settingOfGroup(group).split(" · ").filter((text) => !theirs.has(text)).join(" · ") || settingOfGroup(group);
}

function comparisonBlock() {
  if (!R.comparisons.length) return h("p", { class: "hint", text: "There is only one setting: nothing to compare." });
  const groups = Object.fromEntries(R.groups.map((group) => [group.key, group]));
  const rows = R.comparisons.filter((c) => c.metric === HEADLINE.name).map((c) => {
    const [a, b] = [groups[c.a], groups[c.b]];
    const name = a.submodels[c.submodel].name === b.submodels[c.submodel].name ? a.submodels[c.submodel].name : `${a.submodels[c.submodel].name} / ${b.submodels[c.submodel].name}`;
    const interval = missing(c.low) ? NONE : `${format.figure(c.low)} to ${format.figure(c.high)}`;
    return h("tr", {}, h("td", { class: "text setting", text: apart(a, b), title: settingOfGroup(a) }), h("td", { class: "text setting", text: apart(b, a), title: settingOfGroup(b) }), h("td", { class: "text", text: name }),
      h("td", { text: missing(c.ratio) ? format.figure(c.difference) : `${format.figure(c.ratio)}×` }), h("td", { text: interval }), h("td", { text: pValue(c.p_holm), title: missing(c.p) ? null : `${pValue(c.p)} before the correction; ${c.paired ? "paired by seed" : "Welch"}, n = ${c.n.join(" and ")}` }), verdict(c));
  });
  const head = [["A", "text"], ["B", "text"], ["size", "text"], [`${HEADLINE.name} of A ${IS_LOG ? "/" : "−"} B`], ["95 % interval"], ["p (Holm)"], ["verdict", "text"]];
  return h("div", {}, h("h3", { style: "margin-top:20px", text: "Do the settings really differ?" }), verdictList(),
    h("p", { class: "hint", text: `t-test on ${IS_LOG ? "log " : ""}${HEADLINE.name}, paired where both have the same seeds, else Welch's. p is corrected by Holm for all rows of this table; the intervals are of each row by itself. With many settings the six best are compared.` }),
    h("div", { class: "scroll tall bare", tabindex: 0, role: "region", "aria-label": "Comparisons of settings" }, h("table", { class: "plain", id: "comparisons" }, h("thead", {}, h("tr", {}, ...head.map(([text, look]) => h("th", { class: look, text })))), h("tbody", {}, ...rows))));
}

const VERDICTS_SHOWN = 12;

function verdictList() {
  const lines = R.verdicts.slice(0, VERDICTS_SHOWN).map(({ holds, text }) => h("li", {}, h("b", { class: holds ? "good" : "wait", "aria-label": holds ? "holds" : "cannot tell", text: holds ? "✓" : "?" }), h("span", { text })));
  return h("div", { class: "diagnosis" }, h("ul", { id: "verdicts" }, ...lines));
}

const pValue = (p) => (missing(p) ? NONE : p < 0.001 ? "< 0.001" : p.toFixed(3));

function verdict(c) {
  if (c.differ === null) return h("td", { class: "text muted", text: "cannot tell (n < 2)" });
  if (!c.differ) return h("td", { class: "text muted", text: "this budget cannot tell" });
  return h("td", { class: "text verdict", text: c.better === "a" ? "A is better" : "B is better" });
}
