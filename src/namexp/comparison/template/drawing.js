// Waveforms and spectrograms on canvases, in the colours of the page.
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A canvas of sharp pixels, with room for labels on the left and below.
function surface(canvas, height, left = 40) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.parentElement.clientWidth || 300;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  g.clearRect(0, 0, width, height);
  g.font = "11px system-ui, sans-serif";
  return { g, left, right: width - 6, top: 4, bottom: height - 18 };
}

function timeAxis({ g, left, right, bottom }, start, length, unit) {
  g.fillStyle = ink("--muted");
  g.textAlign = "center";
  const count = Math.max(2, Math.floor((right - left) / 70));
  for (const v of linearTicks([start, start + length], count)) {
    const x = left + ((v - start) / length) * (right - left);
    if (x > right - 22) continue; // the unit stands there
    g.fillText(String(Number(v.toFixed(3))), x, bottom + 14);
  }
  g.textAlign = "right";
  g.fillText(unit, right, bottom + 14);
}

function levelAxis({ g, left, right, top, bottom }, peak) {
  g.fillStyle = ink("--muted");
  g.strokeStyle = ink("--grid");
  g.textAlign = "right";
  for (const v of linearTicks([-peak, peak], 4)) {
    const y = (top + bottom) / 2 - (v / peak) * ((bottom - top) / 2);
    g.beginPath(); g.moveTo(left, y); g.lineTo(right, y); g.stroke();
    g.fillText(String(Number(v.toPrecision(3))), left - 5, y + 4);
  }
}

function drawWave(canvas, target, prediction, second) {
  const frame = surface(canvas, 150);
  const { g, left, right, top, bottom } = frame;
  levelAxis(frame, second.peak);
  timeAxis(frame, second.start, second.seconds, "s");
  const n = target.length / 2;
  const y = (v) => (top + bottom) / 2 - (v / 127) * ((bottom - top) / 2);
  const x = (k) => left + (k / n) * (right - left);
  const band = (rows, colour, alpha) => {
    g.globalAlpha = alpha;
    g.fillStyle = colour;
    for (let k = 0; k < n; k += 1) {
      const high = y(rows[n + k]);
      g.fillRect(x(k), high, Math.max(1, (right - left) / n), Math.max(1, y(rows[k]) - high));
    }
    g.globalAlpha = 1;
  };
  band(target, ink("--muted"), 0.75);
  band(prediction, ink("--front"), 0.6);
  const [at, length] = second.zoom_ms.map((v) => v / 1000 / second.seconds);
  g.strokeStyle = ink("--ink");
  g.strokeRect(left + at * (right - left), top, Math.max(3, length * (right - left)), bottom - top);
}

function drawZoom(canvas, target, prediction, second) {
  const frame = surface(canvas, 150);
  const { g, left, right, top, bottom } = frame;
  let highest = 1;
  for (const rows of [target, prediction]) for (const v of rows) highest = Math.max(highest, Math.abs(v));
  const full = Math.min(127, highest * 1.1);
  levelAxis(frame, (second.peak * full) / 127);
  timeAxis(frame, second.zoom_ms[0], second.zoom_ms[1], "ms");
  const line = (rows, colour, width) => {
    g.strokeStyle = colour;
    g.lineWidth = width;
    g.lineJoin = "round";
    g.beginPath();
    rows.forEach((v, k) => g.lineTo(left + (k / (rows.length - 1 || 1)) * (right - left), (top + bottom) / 2 - (v / full) * ((bottom - top) / 2)));
    g.stroke();
    g.lineWidth = 1;
  };
  line(target, ink("--muted"), 2.4);
  line(prediction, ink("--front"), 1.4);
}

function heat(level) {
  const at = (level / LEVELS) * (HEAT.length - 1);
  const k = Math.min(HEAT.length - 2, Math.floor(at));
  return HEAT[k].map((v, c) => v + (HEAT[k + 1][c] - v) * (at - k));
}

function drawHeat(canvas, levels, second, rate) {
  const frame = surface(canvas, 150, 50);
  const { g, left, right, top, bottom } = frame;
  const small = new OffscreenCanvas(FRAMES, BANDS);
  const picture = new ImageData(FRAMES, BANDS);
  for (let band = 0; band < BANDS; band += 1) {
    for (let k = 0; k < FRAMES; k += 1) {
      picture.data.set([...heat(levels[band * FRAMES + k]), 255], 4 * ((BANDS - 1 - band) * FRAMES + k));
    }
  }
  small.getContext("2d").putImageData(picture, 0, 0);
  g.imageSmoothingQuality = "high";
  g.drawImage(small, left, top, right - left, bottom - top);
  g.fillStyle = ink("--muted");
  g.textAlign = "right";
  for (const [hz, text] of [[100, "100 Hz"], [1000, "1 kHz"], [10000, "10 kHz"]]) {
    if (hz >= rate / 2) continue;
    const share = Math.log(hz / LOWEST_HZ) / Math.log(rate / 2 / LOWEST_HZ);
    g.fillText(text, left - 4, bottom - share * (bottom - top) + 4);
  }
  timeAxis(frame, second.start, second.seconds, "s");
}
