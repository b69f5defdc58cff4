// One size of one run: what is wrong with it, facts, its worst and its median second, its command.
const COLUMNS_DRAWN = 360;
const BANDS = 56;
const FRAMES = 110;
const LOWEST_HZ = 50;
const LEVELS = 30; // steps of 2.5 dB
const HEAT = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

const showDetail = () => byId("detail").scrollIntoView({ block: "start" });
let detailTurn = 0; // drawings that come too late are thrown away
let urls = [];

function renderDetail() {
  const run = R.runs[selection.run];
  const own = run.submodels[selection.submodel];
  detailTurn += 1;
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  byId("detail-title").textContent = own ? `run ${run.label}: ${own.name}` : `run ${run.label}`;
  const media = ((R.media[selection.run] || {})[selection.submodel]) || {};
  byId("detail-body").replaceChildren(...[
    settingsLine(run) ? h("p", { class: "muted", text: settingsLine(run) }) : null,
    problemLine(run), diagnosisBlock(run), sizeTabs(run), facts(run, own), commandBlock(run), clipsBlock(selection.run),
    players(media.clips, media.excerpts), ...excerpts(media.excerpts, detailTurn), mediaNote(selection.run, own, media),
    figuresBlock(selection.run), configTable(run),
  ].filter(Boolean));
}

function problemLine(run) {
  if (run.state === "log") return h("p", { class: "hint", text: `This is ${run.reason}.` });
  const lines = [run.reason && `${STATES[run.state][0]}: ${run.reason}`, ...run.damages.map((d) => `could not be read: ${d}`)].filter(Boolean);
  return lines.length ? h("p", { class: STATES[run.state][1] === "good" ? "wait" : STATES[run.state][1], text: lines.join(" · ") }) : null;
}

function sizeTabs(run) {
  if (run.submodels.length < 2) return null;
  const buttons = run.submodels.map((own, j) => h("button", {
    type: "button", "aria-pressed": String(j === selection.submodel), text: own.name,
    onclick: () => { selection.set(selection.run, j); byId("detail-body").querySelectorAll(".tabs button")[j].focus(); },
  }));
  return h("div", { class: "tabs", role: "group", "aria-label": "Size" }, ...buttons);
}

function facts(run, own) {
  const milliseconds = run.sample_rate ? ` (${format.db((1000 * run.receptive_field) / run.sample_rate)} ms)` : "";
  const list = [
    [HEADLINE.name, own && format.headline(own)], ...R.metrics.filter((metric) => metric.tabled && metric !== HEADLINE).map((metric) => [metric.name, own && format.figure(own[metric.key])]),
    ["val_loss", own && format.figure(own.val_loss)], ["MACs per sample", own && format.count(own.macs)], ["weights", own && format.count(own.parameters)],
    ["real time, one thread", own && format.factor(own.realtime_factor)],
    ["receptive field", missing(run.receptive_field) ? null : `${format.count(run.receptive_field)}${milliseconds}`],
    ["sample rate", run.sample_rate && `${format.count(run.sample_rate)} Hz`], ["seed", run.seed],
    ["epochs", missing(run.epochs) ? null : `${run.epochs}${own && !missing(own.best_epoch) ? `, best ${own.best_epoch + 1}` : ""}`],
    ["steps", missing(run.steps) ? null : `${format.count(run.steps)}${missing(run.max_minutes) ? "" : ` in ${run.max_minutes} min`}`],
    ["training", missing(run.seconds_training) ? null : format.duration(run.seconds_training)], ["begun", run.started && format.date(run.started)],
    ...Object.entries((own && own.facts) || {}).map(([name, value]) => [name.replaceAll("_", " "), format.known(value)]),
    ["plays at slim", range(run)], ["knob score", run.knob && `${format.db(run.knob.score)} dB`], ["training reused from", run.reused_from],
  ].filter(([, value]) => !missing(value) && value !== "");
  return h("dl", { class: "facts" }, ...list.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", { text: String(value) }))));
}

function range(run) {
  if (!run.max_values) return null;
  const show = (v) => String(Number(v.toFixed(3)));
  const low = selection.submodel ? run.max_values[selection.submodel - 1] : 0;
  return `${show(low)} to ${show(run.max_values[selection.submodel])}`;
}

function commandBlock(run) {
  if (run.state === "log") return null;
  if (!run.command) return h("p", { class: "hint", text: "The overrides of this run were not kept, so the command that repeats it is unknown; config.yaml in its directory has every setting." });
  const said = h("span", { class: "muted", role: "status" });
  const copy = h("button", { type: "button", text: "Copy", "aria-label": "Copy the command", onclick: () => copyText(run.command, said) });
  const where = run.cwd ? `Run it in ${run.cwd}: relative paths are meant from there.` : null;
  return h("div", {}, h("h3", { text: "The command that repeats it" }), h("div", { class: "command" }, h("pre", { tabindex: 0, text: run.command }), copy), h("p", { class: "hint" }, said, where));
}

async function copyText(text, said) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { style: "position:fixed;opacity:0" }); // a page without a server has no clipboard in some browsers
    area.value = text;
    document.body.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
  }
  said.textContent = copied ? "Copied. " : "Select the text and copy it. ";
}

// --- drawn seconds -----------------------------------------------------------------------------

const inflate = async (id) => new Int8Array(await new Response(new Blob([bytesOf(id)]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());

const keyOf = (colour, text) => h("span", {}, h("i", { style: `background:var(${colour})` }), text);

function excerpts(found, turn) {
  if (!found) return [];
  return Object.entries({ worst: "The worst second", median: "The median second" }).map(([key, title]) => {
    const second = found[key];
    const pictures = {};
    const figure = (name, caption, label) => {
      pictures[name] = h("canvas", { role: "img", "aria-label": label });
      return h("figure", {}, h("figcaption", { text: caption }), pictures[name]);
    };
    const at = `${format.db(second.start)} to ${format.db(second.start + second.seconds)} s`;
    const about = `${at} · ${wordsOf(selection.run).ratio} ${format.figure(second.esr)} (${format.db(10 * Math.log10(second.esr))} dB)`;
    const block = h("div", { class: "excerpt" },
      h("div", { class: "bar" }, h("h3", { text: title }), h("span", { class: "key" }, about, keyOf("--muted", "target"), keyOf("--front", "prediction"))),
      h("div", { class: "views" }, figure("wave", "The second", `Waveform of ${title}`), figure("zoom", `${Math.round(second.zoom_ms[1])} ms where it is most wrong`, "Close-up of the waveform")),
      h("div", { class: "views three" }, figure("target", "Spectrogram: target", "Spectrogram of the target"), figure("prediction", "prediction", "Spectrogram of the prediction"), figure("error", "difference", "Spectrogram of the difference")));
    drawExcerpt(second, pictures, turn);
    return block;
  });
}

async function drawExcerpt(second, pictures, turn) {
  const [target, prediction] = await Promise.all([inflate(second.target), inflate(second.prediction)]);
  if (turn !== detailTurn) return;
  const n = COLUMNS_DRAWN;
  const z = second.zoom_samples;
  const rate = R.runs[selection.run].sample_rate || 48000;
  const after = 2 * n + 2 * z;
  const cells = BANDS * FRAMES;
  const redraw = () => {
    if (turn !== detailTurn) return;
    drawWave(pictures.wave, target.subarray(0, 2 * n), prediction.subarray(0, 2 * n), second);
    drawZoom(pictures.zoom, prediction.subarray(2 * n, 2 * n + z), prediction.subarray(2 * n + z, after), second);
    drawHeat(pictures.target, target.subarray(2 * n, 2 * n + cells), second, rate);
    drawHeat(pictures.prediction, prediction.subarray(after, after + cells), second, rate);
    drawHeat(pictures.error, prediction.subarray(after + cells, after + 2 * cells), second, rate);
  };
  redraw();
  let width = pictures.wave.clientWidth;
  new ResizeObserver(() => { if (pictures.wave.clientWidth !== width) { width = pictures.wave.clientWidth; redraw(); } }).observe(pictures.wave);
  pictures.wave.redraw = redraw;
}
