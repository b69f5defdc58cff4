// Axes with units, drawn at the width there is. Data coordinates go in, an SVG comes out.
const MARGIN = { top: 12, right: 14, bottom: 40, left: 56 };

function scale(domain, range, log) {
  const f = log ? Math.log10 : (v) => v;
  const [a, b] = domain.map(f);
  return (v) => range[0] + ((f(v) - a) / (b - a || 1)) * (range[1] - range[0]);
}

function linearTicks([low, high], count, whole) {
  const raw = Math.max((high - low || 1) / count, whole ? 1 : 0);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].filter((m) => !whole || Number.isInteger(m * power)).map((m) => m * power).find((v) => v >= raw * 0.999);
  const ticks = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-6; v += step) ticks.push(Number(v.toPrecision(12)));
  return ticks;
}

function logTicks([low, high], count) {
  for (const steps of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += 1) {
      for (const m of steps) {
        const v = Number((m * 10 ** e).toPrecision(6));
        if (v >= low * 0.9999 && v <= high * 1.0001) ticks.push(v);
      }
    }
    if (ticks.length >= Math.min(3, count)) return ticks.length > count * 2 ? ticks.filter((_, i) => i % 2 === 0) : ticks;
  }
  return linearTicks([low, high], count);
}

function domainOf(values, log, padding = 0.06) {
  const good = values.filter((v) => Number.isFinite(v) && (!log || v > 0));
  if (!good.length) return null;
  let low = good[0];
  let high = good[0];
  for (const v of good) { low = Math.min(low, v); high = Math.max(high, v); }
  if (log) {
    const room = Math.max((high / low) ** padding, 1.08);
    return [low / room, high * room];
  }
  const room = (high - low) * padding || Math.abs(high) * 0.05 || 1;
  return [low - room, high + room];
}

// x, y: {domain, log, label, format}; draw(svg, sx, sy, frame) puts the data in.
function chart(holder, { x, y, height, draw, empty }) {
  const render = () => {
    holder.replaceChildren();
    if (!x.domain || !y.domain) {
      holder.append(h("p", { class: "hint", text: empty }));
      return;
    }
    const width = Math.max(240, holder.clientWidth);
    const frame = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom, width, height };
    const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": "true" });
    const sx = scale(x.domain, [frame.left, frame.right], x.log);
    const sy = scale(y.domain, [frame.bottom, frame.top], y.log);
    drawAxes(svg, frame, x, y, sx, sy);
    draw(svg, sx, sy, frame);
    holder.append(svg);
  };
  render();
  if (!holder.dataset.watched) {
    holder.dataset.watched = "yes";
    let width = holder.clientWidth;
    new ResizeObserver(() => {
      if (holder.clientWidth === width) return;
      width = holder.clientWidth;
      requestAnimationFrame(() => holder.redraw());
    }).observe(holder);
  }
  holder.redraw = render;
}

function drawAxes(svg, frame, x, y, sx, sy) {
  const xs = (x.log ? logTicks : linearTicks)(x.domain, Math.max(3, (frame.right - frame.left) / 90), x.whole);
  const ys = (y.log ? logTicks : linearTicks)(y.domain, Math.max(3, (frame.bottom - frame.top) / 38));
  let after = -Infinity;
  for (const v of xs) {
    const at = sx(v);
    const text = x.format(v);
    const half = text.length * 3.4;
    if (at - half < after) continue;
    after = at + half + 8;
    svg.append(s("line", { class: "grid", x1: at, x2: at, y1: frame.top, y2: frame.bottom }));
    svg.append(s("text", { x: at, y: frame.bottom + 17, "text-anchor": "middle" }, text));
  }
  let above = Infinity;
  for (const v of ys) {
    const at = sy(v);
    if (at > above - 16) continue;
    above = at;
    svg.append(s("line", { class: "grid", x1: frame.left, x2: frame.right, y1: at, y2: at }));
    svg.append(s("text", { x: frame.left - 8, y: at + 4, "text-anchor": "end" }, y.format(v)));
  }
  svg.append(s("line", { class: "axis", x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom }));
  svg.append(s("text", { x: (frame.left + frame.right) / 2, y: frame.height - 5, "text-anchor": "middle" }, x.label));
  const middle = (frame.top + frame.bottom) / 2;
  svg.append(s("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, y.label));
}

function pathOf(points, sx, sy) {
  return points.map(([x, y], i) => `${i ? "L" : "M"}${sx(x).toFixed(1)} ${sy(y).toFixed(1)}`).join("");
}
