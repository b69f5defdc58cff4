// Figures as people read them, and elements without ceremony.
const R = JSON.parse(document.getElementById("data").textContent);
const NONE = "–";

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function s(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const byId = (id) => document.getElementById(id);
const missing = (value) => value === null || value === undefined || Number.isNaN(value);

// What the runs were measured by; the headline ranks them.
const METRICS = Object.fromEntries(R.metrics.map((metric) => [metric.key, metric]));
const HEADLINE = METRICS[R.headline];
const IS_RATIO = HEADLINE.scale === "ratio"; // shown in dB too
const IS_LOG = HEADLINE.scale !== "plain";
const headlineOf = (own) => (own && !missing(own[HEADLINE.key]) && (!IS_LOG || own[HEADLINE.key] > 0) ? own[HEADLINE.key] : null);
const isBetter = (a, b) => (HEADLINE.better === "lower" ? a < b : a > b);

const format = {
  figure: (v) => {
    if (missing(v)) return NONE;
    const size = Math.abs(v);
    return (v === 0 ? "0" : size >= 0.001 && size < 1000 ? v.toPrecision(3) : v.toExponential(2)).replace(/^-/, "−");
  },
  // the headline as people say it, a ratio in dB too
  headline: (own) => {
    const value = headlineOf(own);
    if (value === null) return NONE;
    return `${format.figure(value)}${IS_RATIO ? ` (${format.db(own[`${HEADLINE.key}_db`])} dB)` : ""}`;
  },
  loud: (own) => (IS_RATIO ? `${format.db(own[`${HEADLINE.key}_db`])} dB` : format.figure(headlineOf(own))),
  // a value that may be of any size, as near to what people write as that goes
  value: (v) => {
    if (missing(v)) return NONE;
    const size = Math.abs(v);
    const text = v === 0 ? "0" : size >= 0.0005 && size < 1e5 ? (size < 100 ? v.toFixed(size < 0.1 ? 4 : 3) : v.toFixed(1)) : v.toExponential(1);
    return text.replace(/^-/, "−");
  },
  tick: (v) => {
    const size = Math.abs(v);
    return v === 0 ? "0" : size >= 0.001 && size < 10000 ? String(Number(v.toPrecision(3))).replace("-", "−") : Number(v.toPrecision(3)).toExponential().replace("+", "");
  },
  db: (v) => {
    if (missing(v)) return NONE;
    const text = Math.abs(v).toFixed(Math.abs(v) < 1 ? 2 : 1);
    return v < 0 && Number(text) !== 0 ? `−${text}` : text;
  },
  count: (v) => (missing(v) ? NONE : Math.round(v).toLocaleString("en-US").replaceAll(",", "\u202f")),
  short: (v) => {
    if (missing(v)) return NONE;
    for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (Math.abs(v) >= size) return `${Number((v / size).toPrecision(3))}${unit}`;
    }
    return String(Number(v.toPrecision(3)));
  },
  factor: (v) => (missing(v) ? NONE : `${v >= 10 ? Math.round(v) : v.toFixed(1)}×`),
  duration: (v) => {
    if (missing(v)) return NONE;
    if (v < 60) return `${v < 10 ? v.toFixed(1) : Math.round(v)} s`;
    if (v < 3600) return `${Math.floor(v / 60)} min ${String(Math.round(v % 60)).padStart(2, "0")} s`;
    return `${Math.floor(v / 3600)} h ${String(Math.round((v % 3600) / 60)).padStart(2, "0")} min`;
  },
  date: (text) => {
    const date = text ? new Date(text) : null;
    if (!date || Number.isNaN(date.getTime())) return NONE;
    return date.toLocaleString("en-GB", { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" });
  },
  text: (v) => (missing(v) || v === "" ? NONE : String(v)),
  // a declared fact: large numbers with their thousands apart
  known: (text) => (/^\d{5,}$/.test(text) ? format.count(Number(text)) : text),
  // a value of the config: short where it can be
  setting: (v) => (missing(v) ? NONE : typeof v === "number" ? String(Number(v.toPrecision(6))) : String(v)),
};

const STATES = {
  done: ["done", "good"], failed: ["failed", "bad"], running: ["running", "wait"],
  interrupted: ["interrupted", "wait"], missing: ["missing", "wait"], unknown: ["unknown", "wait"],
  log: ["log of another program", "muted"],
};
const wordsOf = (i) => R.words[R.wording[i]]; // as the run's task calls what is shown

// "model.channels" is enough as "channels" where no other key ends alike
const shortKeys = (() => {
  const last = (key) => key.split(".").pop();
  const seen = {};
  for (const { key } of R.settings) seen[last(key)] = (seen[last(key)] || 0) + 1;
  return Object.fromEntries(R.settings.map(({ key }) => [key, seen[last(key)] > 1 ? key : last(key)]));
})();
const chosenKeys = R.settings.filter((setting) => setting.chosen).map((setting) => setting.key);

function settingsLine(run, keys = chosenKeys) {
  const parts = keys.filter((key) => !missing(run.settings[key])).map((key) => `${shortKeys[key]} ${format.setting(run.settings[key])}`);
  return parts.join(" · ");
}

// Runs that get a colour: all of a few, else the first in the order of interest. One run alone
// has a colour for each size.
const ALONE = R.runs.length === 1;
const COLOURED = R.runs.length <= 8 ? 8 : 6;
const colours = new Map(R.order.filter((i) => R.runs[i].submodels.length || R.curves[i] || R.figures[i]).slice(0, COLOURED).map((i, rank) => [i, `var(--c${rank})`]));
const colourOf = (i, j) => (ALONE && j !== undefined ? `var(--c${j % 8})` : colours.get(i) || "var(--faint)");

// What everybody looks at: one size of one run.
const selection = {
  run: 0, submodel: 0, listeners: [],
  set(run, submodel) {
    this.run = run;
    this.submodel = Math.max(0, Math.min(submodel, R.runs[run].submodels.length - 1));
    for (const listener of this.listeners) listener();
  },
};

const tip = byId("tip");
function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  const left = Math.min(Math.max(8, event.clientX + 14), room - box.width - 8);
  const above = event.clientY - box.height - 12;
  tip.style.left = `${left + window.scrollX}px`;
  tip.style.top = `${(above > 4 ? above : event.clientY + 18) + window.scrollY}px`;
}
const hideTip = () => { tip.hidden = true; };
