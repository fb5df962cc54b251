// The latest event: image with clusters, waveforms and a spectrum, as the analyzer sees them. All of it
// comes by remote calls (JRPC) of the client cygno-analyzer; docs/reference/questions.md has them.
"use strict";

const ANALYZER = "cygno-analyzer";
const LATEST_MS = 2000;
const ROOM = 600000;
const WAVE_POINTS = 160;
const FALLBACK_PEDESTAL = 1 << 0;
const KINDS = [[1 << 6, "spark"], [1 << 5, "muon"], [1 << 4, "alpha"], [1 << 3, "⁵⁵Fe"], [1 << 2, "spot"]];
const LONG_PX = 100;
const SPECTRA = ["light", "spot_energy", "length", "clusters", "noise", "pulse_height", "pulse_charge"];
const SVG = "http://www.w3.org/2000/svg";

let shownEvent = "";
let chosenCamera = 0;

function drawing(tag, attributes, children = []) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

async function ask(verb, parameters = {}) {
  const { reply, status } = await call("jrpc", {
    client_name: ANALYZER, cmd: verb, args: JSON.stringify(parameters), max_reply_length: ROOM });
  if (status === 103) throw new Error("The analyzer does not run: cygno-analyzer online");
  if (status !== 1) throw new Error(`The analyzer does not answer (status ${status})`);
  const answer = JSON.parse(reply);
  if (!answer.ok) throw new Error(answer.message);
  return answer;
}

const kindOf = (flags, length) =>
  KINDS.find(([bit]) => flags & bit)?.[1] ?? (length > LONG_PX ? "track" : "other");

// the image ------------------------------------------------------------------------------------

function showImage(image, clusters) {
  byId("latest-image").src = `data:image/${image.format};base64,${image.picture}`;
  const overlay = byId("latest-clusters");
  overlay.setAttribute("viewBox", `0 0 ${image.columns} ${image.rows}`);
  const columns = clusters.columns, unit = Math.max(image.columns, image.rows) / 576;
  overlay.replaceChildren(...columns.flags.map((flags, i) => {
    const margin = 8 * unit;
    const x = columns.sc_xmin[i] - margin, y = columns.sc_ymin[i] - margin;
    const box = drawing("rect", {
      x, y, rx: 4 * unit, width: columns.sc_xmax[i] - x + margin, height: columns.sc_ymax[i] - y + margin });
    const kind = kindOf(flags, columns.sc_length[i]);
    const label = `${kind}: ${whole(columns.sc_integral[i])} ADU, ` +
      `${columns.sc_energy[i]?.toFixed(1)} keV, length ${whole(columns.sc_length[i])} px`;
    const title = drawing("title", {});
    title.textContent = label;
    const text = drawing("text", { x: x + 2 * unit, y: Math.max(y - 3 * unit, 12 * unit), "font-size": 13 * unit });
    text.textContent = kind;
    return drawing("g", {}, [title, box, text]);
  }));
  const count = columns.flags.length + clusters.left_out;
  show(byId("latest-caption"), `run ${image.run}, event ${image.event}: ` +
    `${count === 1 ? "1 cluster" : `${count} clusters`}; ` +
    `colours from ${image.low} to ${image.high} ADU above the pedestal` +
    (image.flags & FALLBACK_PEDESTAL ? "; the pedestal is estimated: take a pedestal run" : ""));
}

// waveforms and spectra ------------------------------------------------------------------------

const LEFT = 4, WIDTH = 300, HEIGHT = 64;

function showWaveforms(answer) {
  const traces = answer.traces.filter((trace) => trace.channel >= 1 && trace.channel <= 4);
  byId("latest-waveforms").replaceChildren(...traces.map((trace) => {
    const low = Math.min(...trace.low), high = Math.max(...trace.high), span = Math.max(high - low, 1);
    const n = trace.low.length;
    const at = (value, i) =>
      `${(LEFT + (WIDTH - 2 * LEFT) * i / Math.max(n - 1, 1)).toFixed(1)},${(HEIGHT - 4 - (HEIGHT - 8) * (value - low) / span).toFixed(1)}`;
    const band = [...trace.high.map(at), ...trace.low.map(at).reverse()].join(" ");
    const us = trace.sampling_ns * trace.step * n / 1000;
    return element("figure", [
      drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "trace" }, [drawing("polygon", { points: band })]),
      element("figcaption", `V${trace.model} channel ${trace.channel}: ${low} to ${high}, ${us.toFixed(2)} µs`),
    ]);
  }));
}

function showSpectrum(answer) {
  const name = byId("latest-spectrum-name").value;
  const { title, unit, edges, counts } = answer.spectra[name];
  const most = Math.max(...counts, 1), height = 120, step = (WIDTH - 2 * LEFT) / counts.length;
  const bars = counts.map((count, i) => drawing("rect", {
    x: (LEFT + i * step).toFixed(2), width: (step * 0.9).toFixed(2),
    y: (height - 14 - (height - 20) * count / most).toFixed(2), height: ((height - 20) * count / most).toFixed(2) }));
  const label = (x, anchor, value) => {
    const text = drawing("text", { x, y: height - 2, "text-anchor": anchor });
    text.textContent = String(Number(value.toPrecision(3)));
    return text;
  };
  byId("latest-spectrum").replaceChildren(
    ...bars, label(LEFT, "start", edges[0]), label(WIDTH - LEFT, "end", edges.at(-1)));
  show(byId("latest-spectrum-caption"),
    `${title}${unit ? ` [${unit}]` : ""}; ${whole(answer.events)} events of run ${answer.run}, highest bin ${most}`);
}

// polling --------------------------------------------------------------------------------------

function offerCameras(cameras) {
  const chooser = byId("latest-camera");
  chooser.hidden = cameras.length < 2;
  if (!cameras.includes(chosenCamera)) chosenCamera = cameras[0] ?? 0;
  replace(chooser, cameras.map((camera) => element("option", `camera ${camera}`, {
    value: String(camera), ...(camera === chosenCamera ? { selected: "" } : {}) })));
}

async function lookAtLatest(isForced = false) {
  const panel = byId("latest");
  try {
    const status = await ask("status");
    offerCameras(status.cameras);
    const name = byId("latest-spectrum-name").value;
    const key = `${status.run} ${status.event} ${status.analyzed} ${chosenCamera} ${name}`;
    panel.classList.toggle("old", status.state !== "running");
    if (key !== shownEvent || isForced) {
      if (status.cameras.length) {
        showImage(await ask("image", { camera: chosenCamera }), await ask("clusters", { camera: chosenCamera }));
      }
      if (status.boards.length) showWaveforms(await ask("waveforms", { points: WAVE_POINTS }));
      if (status.run !== undefined) showSpectrum(await ask("spectra", { names: [name] }));
      shownEvent = key;
    }
    const missed = status.missed ? `; missed: ${status.missed}` : "";
    show(byId("latest-hint"), status.run === undefined ? "No run was analyzed yet."
      : `${whole(status.analyzed)} events analyzed${missed}`);
  } catch (error) {
    show(byId("latest-hint"), String(error.message ?? error));
  }
}

function beginLatest() {
  byId("latest-spectrum-name").replaceChildren(...SPECTRA.map((name) => element("option", name)));
  byId("latest-spectrum-name").addEventListener("change", () => lookAtLatest(true));
  byId("latest-camera").addEventListener("change", (event) => {
    chosenCamera = Number(event.target.value);
    lookAtLatest(true);
  });
  const look = async () => {
    if (!document.hidden && byId("latest").open) await lookAtLatest();
    setTimeout(look, LATEST_MS);
  };
  byId("latest").addEventListener("toggle", () => lookAtLatest());
  look();
}

beginLatest();
