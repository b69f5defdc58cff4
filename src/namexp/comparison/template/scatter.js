// The headline against what it costs: computation, size, time, or whatever else runs declare.
// Each so that less is better. The front of the table is over the first that is declared.
const KNOWN_COSTS = {
  macs_per_sample: { id: "macs", name: "MACs per sample", title: "computation", unit: "MACs" },
  parameters: { name: "weights", title: "size" },
  realtime_factor: { id: "speed", name: "speed", title: "speed", label: "times real time on one thread: faster to the left", unit: "real time", format: (v) => format.factor(1 / v), count: (v) => format.factor(1 / v), all: "real time" },
};
const COSTS = R.costs.map((key) => {
  const name = (KNOWN_COSTS[key] || {}).name || key.replaceAll("_", " ");
  return { key, id: key, title: name, label: name, unit: name, all: name, format: format.short, count: format.count, ...KNOWN_COSTS[key], name, of: (own) => own.costs[key] ?? null };
}).filter((cost) => R.runs.some((run) => run.submodels.some((own) => cost.of(own) > 0 && headlineOf(own) !== null)));
const FIRST_COST = COSTS.find((cost) => cost.key === R.costs[0]) || null;
const costNow = () => COSTS.find((cost) => cost.id === byId("scatter-axis").value) || COSTS[0];

function setUpScatter() {
  byId("scatter-axis").append(...COSTS.map((cost) => h("option", { value: cost.id, text: cost.name })));
  byId("scatter-choice").hidden = COSTS.length < 2;
  byId("scatter-axis").addEventListener("change", drawScatter);
}

function tipOf(i, j) {
  const run = R.runs[i];
  const own = run.submodels[j];
  const costs = COSTS.filter((cost) => cost.of(own) > 0 && (cost === COSTS[0] || cost === costNow())).map((cost) => `${cost.count(cost.of(own))} ${cost.all}`);
  const lines = [`${nameOf(i)}: ${own.name}`, `${HEADLINE.name} ${format.headline(own)}`, ...costs];
  const settings = settingsLine(run);
  if (settings) lines.push(settings);
  if (own.pareto && costNow() === FIRST_COST) lines.push("on the Pareto front");
  return lines.join("\n");
}

// The points that nothing beats in both, from the cheapest on.
function frontOf(cost) {
  if (cost === FIRST_COST) return R.front.map(([i, j]) => R.runs[i].submodels[j]);
  const all = R.runs.flatMap((run) => run.submodels).filter((own) => cost.of(own) > 0 && headlineOf(own) !== null);
  const front = [];
  for (const own of all.sort((a, b) => cost.of(a) - cost.of(b) || (isBetter(headlineOf(a), headlineOf(b)) ? -1 : 1))) {
    if (!front.length || isBetter(headlineOf(own), headlineOf(front[front.length - 1]))) front.push(own);
  }
  return front;
}

function drawScatter() {
  const cost = costNow();
  const front = cost ? frontOf(cost) : [];
  const points = [];
  R.runs.forEach((run, i) => run.submodels.forEach((own, j) => {
    if (cost && cost.of(own) > 0 && headlineOf(own) !== null) points.push({ i, j, x: cost.of(own), y: headlineOf(own), front: front.includes(own) });
  }));
  points.sort((a, b) => a.front - b.front || colours.has(a.i) - colours.has(b.i)); // the important ones on top
  const lower = HEADLINE.better === "lower";
  byId("scatter-title").textContent = `${lower ? "Error" : HEADLINE.name} against ${cost ? cost.title : "computation"}`;
  byId("scatter-hint").textContent = `${lower ? "Lower" : "Upper"} left is better. On the line: nothing else here is both better and cheaper.`;
  const scored = R.runs.some((run) => run.submodels.length);
  const holder = byId("scatter");
  holder.setAttribute("aria-label", `${HEADLINE.name} against ${cost ? cost.name : "MACs per sample"} of ${points.length} models; the same figures are in the table.`);
  chart(holder, {
    height: 360, empty: scored ? "Nothing is known of what these models cost." : "No run has been scored yet.",
    x: { domain: domainOf(points.map((p) => p.x), true, 0.08), log: true, label: cost ? cost.label : "", format: cost ? cost.format : format.short },
    y: { domain: domainOf(points.map((p) => p.y), IS_LOG, 0.1), log: IS_LOG, label: HEADLINE.name, format: format.tick },
    draw(svg, sx, sy, frame) {
      const placed = front.map((own) => ({ own, x: cost.of(own), y: headlineOf(own) })).filter((place) => place.y !== null);
      drawFront(svg, placed, sx, sy, frame);
      for (const p of points) {
        const circle = s("circle", {
          class: "point", cx: sx(p.x), cy: sy(p.y), r: p.front ? 5.5 : 4.2, fill: colourOf(p.i, p.j), opacity: p.front || colours.has(p.i) ? 1 : 0.65,
        });
        circle.addEventListener("pointermove", (event) => showTip(event, tipOf(p.i, p.j)));
        circle.addEventListener("pointerleave", hideTip);
        circle.addEventListener("click", () => selection.set(p.i, p.j));
        svg.append(circle);
      }
      labelFront(svg, placed, sx, sy, frame);
      const chosen = points.find((p) => p.i === selection.run && p.j === selection.submodel);
      if (chosen) svg.append(s("circle", { class: "ring", cx: sx(chosen.x), cy: sy(chosen.y), r: 9 }));
    },
  });
}

// A staircase: at every cost the best that can be had for it, from the worst edge of the chart.
function drawFront(svg, front, sx, sy, frame) {
  if (front.length < 2) return;
  let path = `M${sx(front[0].x)} ${HEADLINE.better === "lower" ? frame.top : frame.bottom}`;
  front.forEach((place, k) => { path += `${k ? `H${sx(place.x)}` : ""}V${sy(place.y)}`; });
  svg.append(s("path", { class: "front", d: `${path}H${frame.right}` }));
}

function labelFront(svg, front, sx, sy, frame) {
  const taken = [];
  const alike = front.length > 1 && new Set(front.map(({ own }) => own.channels)).size === 1;
  for (const { own, x: at, y: height } of [...front].reverse()) {
    if (!alike && !own.channels) continue;
    const text = alike ? own.name : `${own.channels} ch`; // what tells them apart
    const width = text.length * 6.4;
    const right = sx(at) + 10 + width < frame.right;
    const x = right ? sx(at) + 10 : sx(at) - 10 - width;
    const y = sy(height) + (right ? -7 : 17);
    if (y > frame.bottom - 2 || taken.some((t) => Math.abs(t.y - y) < 15 && Math.abs(t.x - x) < width + 10)) continue;
    taken.push({ x, y });
    svg.append(s("text", { class: "strong", x, y }, text));
  }
}
