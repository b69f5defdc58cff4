// The charts of all runs over epochs and over the quality knob.
const nameOf = (i) => `run ${R.runs[i].label}`;
const plural = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;
const dashOf = (index, count) => (index === count - 1 ? "" : index === count - 2 ? "6 4" : "2 3");

// --- learning curves ---------------------------------------------------------------------------

function curveMetrics() {
  const own = R.metrics.filter((metric) => metric.tabled).map((metric) => metric.name);
  const order = [own[0], "val_loss", ...own.slice(1), "train/loss"];
  const columns = [...new Set(Object.values(R.curves).flatMap((curves) => Object.keys(curves)))];
  const known = order.filter((name) => columns.some((key) => key === name || key.startsWith(`${name}_`)));
  return known.length ? known : [own[0]];
}

function curvesOf(i, metric) {
  const own = R.curves[i];
  if (!own) return [];
  const sizes = R.runs[i].submodels.map((submodel) => submodel.suffix);
  const bySize = sizes.map((suffix, j) => ({ j, points: own[`${metric}${suffix}`] })).filter((c) => c.points);
  if (bySize.length) return bySize.map((c) => ({ ...c, count: sizes.length }));
  const columns = Object.keys(own).filter((key) => key.startsWith(`${metric}_`)); // a run that never came to a summary
  if (columns.length) return columns.map((key, j) => ({ j, points: own[key], count: columns.length }));
  return own[metric] ? [{ j: 0, points: own[metric], count: 1 }] : [];
}

function drawCurves() {
  const metric = byId("curve-metric").value;
  const declared = R.metrics.find((own) => own.name === metric);
  const found = R.runs.flatMap((_, i) => curvesOf(i, metric).map((c) => ({ ...c, i })));
  const log = declared ? declared.scale !== "plain" : IS_LOG && found.every((c) => c.points.every((p) => p[1] > 0));
  const all = found.map((c) => ({ ...c, points: log ? c.points.filter((p) => p[1] > 0) : c.points })).filter((c) => c.points.length);
  const strong = (c) => colours.has(c.i) || c.i === selection.run;
  let last = 1;
  for (const c of all) last = Math.max(last, c.points[c.points.length - 1][0]);
  const holder = byId("curves");
  holder.setAttribute("aria-label", `${metric} over the epochs of ${Object.keys(R.curves).length} runs.`);
  chart(holder, {
    height: 360, empty: "No run has finished an epoch yet.",
    x: { domain: all.length ? [last > 1 ? 1 : 0.5, last > 1 ? last : 1.5] : null, label: "epoch", format: format.short, whole: true },
    y: { domain: domainOf(all.flatMap((c) => c.points.map((p) => p[1])), log), log, label: metric, format: format.tick },
    draw(svg, sx, sy) {
      const rest = all.filter((c) => !strong(c));
      if (rest.length) svg.append(s("path", { class: "rest", d: rest.map((c) => pathOf(c.points, sx, sy)).join("") }));
      for (const c of all.filter(strong).sort((a, b) => (a.i === selection.run) - (b.i === selection.run))) {
        const selected = c.i === selection.run;
        const stroke = selected && !colours.has(c.i) ? "var(--ink)" : colourOf(c.i, c.j);
        const shared = { class: "line", stroke, "stroke-dasharray": ALONE ? "" : dashOf(c.j, c.count), "stroke-width": selected ? 2.4 : 1.4 };
        const mark = c.points.length === 1
          ? s("circle", { cx: sx(c.points[0][0]), cy: sy(c.points[0][1]), r: 3.5, fill: stroke })
          : s("path", { ...shared, d: pathOf(c.points, sx, sy) });
        const end = c.points[c.points.length - 1];
        const size = (R.runs[c.i].submodels[c.j] || {}).name || "";
        mark.addEventListener("pointermove", (event) => showTip(event, `${nameOf(c.i)} ${size}\n${metric} ${format.figure(end[1])} after epoch ${format.short(end[0])}`));
        mark.addEventListener("pointerleave", hideTip);
        mark.addEventListener("click", () => selection.set(c.i, c.j));
        svg.append(mark);
      }
      if (ALONE) labelCurves(svg, all, sx, sy);
    },
  });
}

// The names of one run's sizes at the ends of their curves.
function labelCurves(svg, curves, sx, sy) {
  const taken = [];
  for (const c of curves) {
    const own = R.runs[0].submodels[c.j];
    const [x, y] = c.points[c.points.length - 1];
    if (!own || taken.some((at) => Math.abs(at - sy(y)) < 14)) continue;
    taken.push(sy(y));
    svg.append(s("text", { class: "strong", x: sx(x) - 4, y: sy(y) - 7, "text-anchor": "end" }, own.name));
  }
}

// --- the quality knob --------------------------------------------------------------------------

const stepsOf = (knob, values) => values.flatMap((v, k) => [[knob.edges[k], v], [knob.edges[k + 1], v]]);

function drawKnobs() {
  if (!R.knobs.length) return;
  byId("knob-card").hidden = false;
  const quality = (own) => own.esr.map((e) => -10 * Math.log10(e));
  knobChart("knob-quality", quality, { label: `quality: −${HEADLINE.name} in dB`, format: String }, 200);
  knobChart("knob-cost", (own) => own.macs, { label: "MACs per sample", format: format.short, log: true }, 200);
  drawKnobTable();
}

function knobChart(id, values, y, height) {
  const strong = (i) => colours.has(i) || i === selection.run;
  const holder = byId(id);
  holder.setAttribute("aria-label", `${y.label} at each position of the knob, for ${plural(R.knobs.length, "container")}.`);
  chart(holder, {
    height, empty: "",
    x: { domain: [0, 1], label: "slim (position of the knob)", format: (v) => String(v) },
    y: { ...y, domain: domainOf(R.knobs.flatMap((i) => values(R.runs[i].knob)), y.log, 0.1) },
    draw(svg, sx, sy) {
      const rest = R.knobs.filter((i) => !strong(i));
      if (rest.length) svg.append(s("path", { class: "rest", d: rest.map((i) => pathOf(stepsOf(R.runs[i].knob, values(R.runs[i].knob)), sx, sy)).join("") }));
      for (const i of R.knobs.filter(strong).sort((a, b) => (a === selection.run) - (b === selection.run))) {
        const own = R.runs[i].knob;
        const stroke = i === selection.run && !colours.has(i) ? "var(--ink)" : colourOf(i);
        const line = s("path", { class: "line", stroke, "stroke-width": i === selection.run ? 3 : 1.6, d: pathOf(stepsOf(own, values(own)), sx, sy) });
        line.addEventListener("pointermove", (event) => showTip(event, `${nameOf(i)}: knob score ${format.db(own.score)} dB\nthresholds ${own.edges.slice(1).map((e) => Number(e.toFixed(3))).join(", ")}`));
        line.addEventListener("pointerleave", hideTip);
        line.addEventListener("click", () => selection.set(i, 0));
        svg.append(line);
      }
    },
  });
}

function drawKnobTable() {
  const why = `Mean over all positions of the knob of −10 log10 ${HEADLINE.name} − 10 log10 (MACs / 1000): more quality for less computation, every position counted alike.`;
  const head = h("tr", {}, h("th", { class: "text", text: "container" }), h("th", { text: "knob score", title: why }), h("th", { text: "mean quality", title: `−10 log10 ${HEADLINE.name} averaged over the knob` }), h("th", { text: "mean MACs", title: "Computation to expect: MACs per sample averaged over the knob" }));
  const rows = R.knobs.slice(0, 10).map((i) => {
    const own = R.runs[i].knob;
    const open = h("button", { type: "button", class: "open", title: `${nameOf(i)} ${settingsLine(R.runs[i])}`, onclick: () => selection.set(i, 0) }, h("span", { class: "dot", style: `background:${colourOf(i)}` }), nameOf(i));
    return h("tr", { class: i === selection.run ? "selected" : null }, h("td", { class: "text" }, open), h("td", { text: `${format.db(own.score)} dB`, title: why }), h("td", { text: `${format.db(own.mean_quality_db)} dB` }), h("td", { text: format.count(own.mean_macs) }));
  });
  if (R.knobs.length > 10) rows.push(h("tr", {}, h("td", { class: "text muted", colspan: 4, text: `and ${R.knobs.length - 10} more: sort the table by “knob score”` })));
  byId("knob-table").replaceChildren(h("thead", {}, head), h("tbody", {}, ...rows));
}
