// What can be heard: players that take over from each other, and the clips that a run declares.
function bytesOf(id) {
  const text = atob(byId(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k += 1) bytes[k] = text.charCodeAt(k);
  return bytes;
}

function source(clip, type = "audio/flac") {
  if (clip.href) return clip.href.split("/").map(encodeURIComponent).join("/");
  const url = URL.createObjectURL(new Blob([bytesOf(clip.blob)], { type }));
  urls.push(url);
  return url;
}

// A player for each of the named sounds that there are.
function playersOf(clips, names) {
  const audios = [];
  const grid = h("div", { class: "players" });
  for (const [key, name] of Object.entries(names).filter(([each]) => clips[each])) {
    const audio = h("audio", { controls: true, preload: "metadata", src: source(clips[key]), "aria-label": name, "data-clip": key });
    audios.push(audio);
    const note = clips[key].gain_db ? ` ${format.db(clips[key].gain_db)} dB, so as not to clip` : "";
    grid.append(h("label", {}, h("b", { text: name }), h("span", { class: "muted", text: note })), audio);
  }
  alternate(audios);
  return { grid, audios };
}

function players(clips, seconds) {
  if (!clips) return null;
  const { target, prediction, difference } = wordsOf(selection.run);
  const names = { target, prediction, difference };
  const { grid, audios } = playersOf(clips, names);
  const jumps = seconds ? Object.entries({ worst: "Hear the worst second", median: "Hear the median second" }).map(([key, text]) => h("button", { type: "button", text, onclick: () => hearSecond(audios, seconds[key]) })) : [];
  return h("div", {}, h("h3", { text: "Listen" }), h("p", { class: "hint", text: "One plays at a time; starting another goes on at the same place." }), grid, h("div", { class: "tabs" }, ...jumps));
}

function alternate(audios) {
  let last = audios[0];
  for (const audio of audios) {
    audio.addEventListener("play", () => {
      if (audio !== last && !last.ended && Math.abs(audio.currentTime - last.currentTime) > 0.05) audio.currentTime = last.currentTime;
      audios.filter((other) => other !== audio).forEach((other) => other.pause());
      last = audio;
    });
  }
  audios.current = () => last;
}

function hearSecond(audios, second) {
  const audio = audios.current();
  for (const each of audios) each.currentTime = second.start;
  audio.play().catch(() => {}); // a browser may want another click first
  const stop = () => {
    if (audio.currentTime < second.start + second.seconds && !audio.paused) return;
    audio.pause();
    audio.removeEventListener("timeupdate", stop);
  };
  audio.addEventListener("timeupdate", stop);
}

function mediaNote(i, own, media) {
  if (!own || R.clips[i]) return null;
  if (!media.clips) return h("p", { class: "hint", text: wordsOf(i).no_sound });
  return media.excerpts ? null : h("p", { class: "hint", text: "The drawings of this run were left out to keep the page small; report it by itself to see them." });
}

// --- declared clips ----------------------------------------------------------------------------

function clipsBlock(i) {
  const clips = R.clips[i];
  if (!clips) return null;
  return h("div", {}, h("h3", { text: "Listen and look" }), h("p", { class: "hint", text: "One plays at a time; starting another goes on at the same place." }), ...clips.map((clip) => clipBlock(clip, wordsOf(i))));
}

function clipBlock(clip, words) {
  const figures = Object.entries(clip.figures).map(([name, value]) => (name.endsWith("_db") ? `${name.slice(0, -3)} ${format.db(value)} dB` : `${name} ${format.figure(value)}`)).join(" · ");
  const { grid, audios } = playersOf(clip, { target: words.target, generated: words.generated });
  const picture = clip.picture ? h("img", { class: "picture", loading: "lazy", src: source(clip.picture, "image/png"), alt: `${clip.name}: ${words.target}, ${words.generated} and their difference` }) : null;
  const title = clip.why ? `${clip.why}: ${clip.name}` : clip.name;
  return h("div", { class: "excerpt" }, h("div", { class: "bar" }, h("h3", { text: title.charAt(0).toUpperCase() + title.slice(1) }), h("span", { class: "key", text: figures })), audios.length ? grid : null, picture);
}
