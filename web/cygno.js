// The operator page. All it knows comes by JSON-RPC from ?mjsonrpc (MIDAS's mjsonrpc.cxx), so it
// works on mhttpd and on the standalone experiment alike. SETTINGS is made from the settings models
// (settings.js).
"use strict";

const STATES = { 1: "Stopped", 2: "Paused", 3: "Running" };
const GOING = { 1: "Starting", 2: "Stopping", 4: "Pausing", 8: "Resuming", 16: "Aborting start" };
const LAMPS = {
  greenLight: "var(--good)", yellowGreenLight: "var(--good)", yellowLight: "var(--warn)",
  redLight: "var(--bad)", "": "var(--faint)",
};
const PERIOD_MS = 1000;
const MESSAGES = 30;
const CHANNEL = "/Logger/Channels/0";
const WATCHED = [
  "/Runinfo", "/System/Transition", `${CHANNEL}/Statistics`, `${CHANNEL}/Settings/Current filename`,
  "/Experiment/Name", "/Experiment/Run Parameters/Run description", "/Configurations",
  "/System/Clients",
];

const byId = (id) => document.getElementById(id);
let equipmentNames = [];
let opened = new Set();
let polls = 0;
let lastContact = Date.now();

// JSON-RPC -----------------------------------------------------------------------------------

async function post(requests) {
  const response = await fetch("?mjsonrpc", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(requests.map(
      ([method, params], id) => ({ jsonrpc: "2.0", id, method, params }))),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()).map((reply) => {
    if (reply.error) throw new Error(`${reply.error.message}: ${reply.error.data}`);
    return reply.result;
  });
}

const call = async (method, params) => (await post([[method, params]]))[0];

const read = (paths) => ["db_get_values",
  { paths, omit_names: true, omit_last_written: true, preserve_case: true }];

// 16- and 32-bit unsigned numbers come as hexadecimal text.
const number = (value) => Number(value ?? NaN);

// small pieces ---------------------------------------------------------------------------------

function element(tag, content = "", attributes = {}) {
  const made = document.createElement(tag);
  made.append(...[content].flat());
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "lamp") made.style.setProperty("--lamp", value);
    else made.setAttribute(name, value);
  }
  return made;
}

// Change the page only where something changed, so that selections and focus stay.
function show(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function replace(target, children) {
  const fresh = element("div", children);
  if (fresh.innerHTML === target.innerHTML) return;
  const focus = target.contains(document.activeElement) ? document.activeElement.dataset : {};
  target.replaceChildren(...fresh.childNodes);
  for (const [name, value] of Object.entries(focus)) {
    [...target.querySelectorAll(`[data-${name}]`)].find((e) => e.dataset[name] === value)?.focus();
  }
}

const whole = (value) => Number.isFinite(value) ? Math.round(value).toLocaleString("en") : "–";

function bytes(value) {
  if (!Number.isFinite(value)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value, unit = 0;
  while (size >= 1000 && unit < units.length - 1) { size /= 1000; unit += 1; }
  return `${size.toFixed(size < 10 && unit ? 1 : 0)} ${units[unit]}`;
}

function duration(seconds) {
  if (!(seconds >= 0)) return "–";
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

// the run --------------------------------------------------------------------------------------

function showRun(run, transition, statistics, fileName) {
  const state = number(run["State"]);
  const going = number(run["Transition in progress"]);
  const tile = document.querySelector(".tile.state");
  tile.className = "tile state " + (going ? "busy" : { 2: "paused", 3: "running" }[state] ?? "");
  show(byId("state"), going ? `${GOING[going] ?? "Transition"} …` : STATES[state] ?? "–");
  show(byId("number"), String(run["Run number"] ?? "–"));
  const begin = number(run["Start time binary"]), end = number(run["Stop time binary"]);
  const live = state !== 1;
  show(byId("time-label"), live ? "Runs for" : "Ran for");
  const until = live ? Date.now() / 1000 : end;
  show(byId("time"), begin && until >= begin ? duration(until - begin) : "–");
  show(byId("file"), fileName ? `${fileName}, ${bytes(number(statistics?.["Bytes written"]))}` : "–");
  const level = number(statistics?.["Disk level"]);
  show(byId("disk"), Number.isFinite(level) ? `${Math.round(100 * level)} % used` : "–");
  byId("disk-level").value = Number.isFinite(level) ? level : 0;
  document.title = `${run["Run number"] ?? ""} ${going ? "…" : STATES[state] ?? ""} CYGNO`;

  const allowed = { start: state === 1, stop: state > 1, pause: state === 3, resume: state === 2 };
  for (const [name, may] of Object.entries(allowed)) {
    byId(name).disabled = Boolean(going) || !may;
  }
  showOutcome(transition, going);
}

// The last transition's outcome stands in the ODB, whoever wished it.
function showOutcome(transition, going) {
  const status = number(transition?.status);
  const failed = !going && Number.isFinite(status) && status !== 0 && status !== 1;
  const waits = going && transition?.deferred;
  const outcome = byId("outcome");
  outcome.classList.toggle("bad", failed);
  const what = GOING[number(transition?.transition)] ?? "Transition";
  if (failed) show(outcome, `${what} failed: ${transition.error}`);
  else show(outcome, waits ? `held back by ${transition.deferred}` : refusal);
}

let refusal = "";

async function transit(name) {
  refusal = "";
  try {
    const answer = await call("cm_transition", { transition: name });
    if (answer.status !== 1) refusal = answer.error_string || `${name}: status ${answer.status}`;
  } catch (error) {
    refusal = String(error.message ?? error);
  }
  show(byId("outcome"), refusal);
  poll();
}

// A second click within three seconds confirms.
function confirmed(button, question, action) {
  const usual = button.textContent;
  let until = 0;
  button.addEventListener("click", () => {
    if (Date.now() < until) {
      until = 0;
      show(button, usual);
      action();
      return;
    }
    until = Date.now() + 3000;
    show(button, question);
    setTimeout(() => show(button, usual), 3000);
  });
}

// equipment ------------------------------------------------------------------------------------

function showEquipment(data) {
  const rows = [];
  let trigger = null;
  equipmentNames.forEach((name, index) => {
    const [status, color, statistics, variables, hidden] = data.slice(5 * index, 5 * index + 5);
    if (name === "Trigger") trigger = statistics;
    if (hidden) return;
    const lamp = LAMPS[color] ?? color ?? LAMPS[""];
    const open = element("button", name, {
      class: "link", type: "button", "data-equipment": name,
      "aria-expanded": String(opened.has(name)),
    });
    rows.push(element("tr", [
      element("td", open),
      element("td", status || "–", { class: "lamp", lamp }),
      element("td", whole(number(statistics?.["Events sent"])), { class: "figure" }),
      element("td", rate(statistics?.["Events per sec."]), { class: "figure" }),
      element("td", megabytes(statistics?.["kBytes per sec."]), { class: "figure" }),
    ]));
    if (opened.has(name)) {
      rows.push(element("tr", element("td", describe(variables), { colspan: "5" })));
    }
  });
  if (!rows.length) {
    rows.push(element("tr", element("td", "no equipment yet", { colspan: "5", class: "hint" })));
  }
  replace(byId("equipment"), rows);
  show(byId("events"), whole(number(trigger?.["Events sent"])));
  const perSecond = number(trigger?.["Events per sec."]);
  show(byId("rate"), Number.isFinite(perSecond) ? `${perSecond.toFixed(1)} Hz` : "–");
}

const rate = (value) => value === undefined ? "–" : number(value).toFixed(1);
const megabytes = (value) => value === undefined ? "–" : (number(value) / 1000).toFixed(1);

function describe(variables) {
  if (!variables || typeof variables !== "object") return "no variables";
  const told = Object.entries(variables).flatMap(([name, value]) => [
    element("dt", name), element("dd", brief(value))]);
  return told.length ? element("dl", told) : "no variables";
}

function brief(value) {
  if (Array.isArray(value)) {
    const shown = value.slice(0, 16).map(brief).join(", ");
    return value.length > 16 ? `${shown}, … (${value.length})` : shown;
  }
  if (value && typeof value === "object") return JSON.stringify(value).slice(0, 200);
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(6)));
  return String(value);
}

// alarms, messages, programs ------------------------------------------------------------------

function showAlarms(answer) {
  const alarms = Object.entries(answer.alarms ?? {}).filter(([, alarm]) => alarm.triggered);
  const items = alarms.map(([name, alarm]) => element("li", [
    element("div", [
      element("b", `${alarm.class}: ${name}`), ` ${alarm.show_to_user}`,
      element("small", `since ${alarm.time_triggered_first}`),
    ]),
    element("button", "Reset", { type: "button", "data-alarm": name }),
  ], { lamp: alarm.bgcolor }));
  if (!items.length) {
    const off = answer.alarm_system_active === false;
    items.push(element("li", off ? "The alarm system is switched off" : "No alarm", { class: "none" }));
  }
  replace(byId("alarms"), items);
}

// "<unix time> 22:09:16.572 2026/11/22 [client,TYPE] text"
const MESSAGE = /^(-?\d+) (\d\d:\d\d:\d\d)\S* (\S+) \[([^,\]]*),(\w+)\] (?:\[[^\]]*,ERROR\] )?(.*)$/;

function showMessages(answer) {
  // "LOG" lines tell that programs came and went; the list of programs shows that.
  const lines = (answer.messages ?? "").split("\n")
    .filter((line) => line && !line.includes(",LOG] ")).slice(0, MESSAGES);
  replace(byId("messages"), lines.map((line) => {
    const found = MESSAGE.exec(line);
    if (!found) return element("li", line.replace(/^-?\d+ /, ""));
    const [, , time, date, who, kind, text] = found;
    return element("li", [
      element("time", time, { title: date }), element("span", who, { class: "who" }),
      element("span", text, { class: kind.toLowerCase() }),
    ]);
  }));
}

function showPrograms(clients) {
  const names = Object.values(clients ?? {}).map((client) => client?.Name).filter(Boolean);
  show(byId("programs"), `Programs: ${names.sort().join(", ") || "none"}`);
}

// settings -------------------------------------------------------------------------------------

const MEANING = new Map((typeof SETTINGS === "undefined" ? [] : SETTINGS).map((row) => [row.path, row]));
const fields = new Map();

function flatten(directory, path) {
  return Object.entries(directory ?? {}).flatMap(([name, value]) =>
    value && typeof value === "object" && !Array.isArray(value)
      ? flatten(value, `${path}/${name}`) : [[`${path}/${name}`, value]]);
}

function showSettings(configurations, state) {
  const found = flatten(configurations, "/Configurations");
  const missing = [...fields.keys()].some((path) => !found.some(([other]) => other === path));
  if (missing || found.some(([path]) => !fields.has(path))) buildSettings(found);
  for (const [path, value] of found) fill(fields.get(path), value);
  show(byId("settings-hint"), found.length === 0 ? "The frontend has not declared its settings yet."
    : state === 1 ? "A change takes effect at the next start of a run."
      : "A run goes on: a change takes effect at the next start of a run.");
}

function buildSettings(found) {
  fields.clear();
  byId("settings").replaceChildren(...found.map(([path, value]) => {
    const about = MEANING.get(path);
    const input = element("input", "", {
      type: typeof value === "boolean" ? "checkbox" : "text", "aria-label": path, "data-path": path,
    });
    fields.set(path, input);
    const why = element("span", "", { class: "why" });
    const hint = [about?.description, about?.allowed && `(${about.allowed})`].filter(Boolean).join(" ");
    return element("tr", [
      element("td", path.replace("/Configurations/", ""), { title: path }),
      element("td", [element("div", [input, about?.unit ?? ""], { class: "with-unit" }), why]),
      element("td", hint, { class: "hint" }),
    ]);
  }));
}

function fill(input, value) {
  input.kind = Array.isArray(value) ? "array" : typeof value;
  input.textual = typeof (Array.isArray(value) ? value[0] : value) === "string"
    && !String(Array.isArray(value) ? value[0] : value).startsWith("0x");
  if (document.activeElement === input || input.classList.contains("edited")) return;
  if (input.kind === "boolean") input.checked = value;
  else input.value = Array.isArray(value) ? value.join(", ") : String(value);
}

async function write(input) {
  const path = input.dataset.path;
  let value = input.kind === "boolean" ? input.checked : input.value;
  if (input.kind === "array") value = input.value.split(",").map((part) => part.trim());
  if (!input.textual && input.kind !== "boolean") {
    const texts = [value].flat();
    if (texts.some((text) => text.trim() === "" || Number.isNaN(Number(text)))) {
      return told(input, "a number is wanted");
    }
  }
  try {
    const answer = await call("db_paste", { paths: [path], values: [value] });
    told(input, answer.status[0] === 1 ? "" : `refused (status ${answer.status[0]}), see Messages`);
  } catch (error) {
    told(input, String(error.message ?? error));
  }
  poll();
}

function told(input, problem) {
  input.classList.toggle("refused", Boolean(problem));
  input.classList.toggle("edited", Boolean(problem));
  const why = input.closest("td")?.querySelector(".why");
  if (why) show(why, problem);
}

// the loop -------------------------------------------------------------------------------------

let polling = null;

function poll() {
  polling ??= pollOnce().finally(() => { polling = null; });
  return polling;
}

async function pollOnce() {
  try {
    if (polls % 5 === 0) {
      const answer = await call("db_ls", { paths: ["/Equipment"] });
      equipmentNames = Object.keys(answer.data[0] ?? {}).filter((name) => !name.includes("/"));
    }
    const equipment = equipmentNames.flatMap((name) => [
      `/Equipment/${name}/Common/Status`, `/Equipment/${name}/Common/Status color`,
      `/Equipment/${name}/Statistics`,
      opened.has(name) ? `/Equipment/${name}/Variables` : `/Equipment/${name}/Common/Hidden`,
      `/Equipment/${name}/Common/Hidden`,
    ]);
    const [values, alarms, messages] = await post([
      read([...WATCHED, ...equipment]), ["get_alarms", {}],
      ["cm_msg_retrieve", { facility: "midas", time: 0, min_messages: 2 * MESSAGES }],
    ]);
    const [run, transition, statistics, file, name, description, configurations, clients] = values.data;
    polls += 1;
    lastContact = Date.now();
    showRun(run ?? {}, transition, statistics, file);
    showEquipment(values.data.slice(WATCHED.length));
    showAlarms(alarms);
    showMessages(messages);
    showPrograms(clients);
    showSettings(configurations, number(run?.["State"]));
    show(byId("experiment"), name ? `CYGNO – ${name}` : "CYGNO");
    const box = byId("description");
    if (document.activeElement !== box && description !== null) box.value = description ?? "";
    contact("");
  } catch (error) {
    contact(String(error.message ?? error));
  }
}

function contact(problem) {
  const mark = byId("contact");
  mark.classList.toggle("lost", Boolean(problem));
  show(mark, problem ? "no contact" : "live");
  const trouble = byId("trouble");
  trouble.hidden = !problem;
  const since = new Date(lastContact).toLocaleTimeString("en-GB");
  show(trouble, problem ? `No contact with the experiment since ${since}: ${problem}` : "");
}

function begin() {
  byId("start").addEventListener("click", () => transit("TR_START"));
  byId("pause").addEventListener("click", () => transit("TR_PAUSE"));
  byId("resume").addEventListener("click", () => transit("TR_RESUME"));
  confirmed(byId("stop"), "Really stop?", () => transit("TR_STOP"));
  byId("equipment").addEventListener("click", (event) => {
    const name = event.target.dataset?.equipment;
    if (!name) return;
    opened = new Set(opened.has(name) ? [...opened].filter((other) => other !== name) : [...opened, name]);
    poll();
  });
  byId("alarms").addEventListener("click", async (event) => {
    const name = event.target.dataset?.alarm;
    if (!name) return;
    await call("al_reset_alarm", { alarms: [name] }).catch(() => {});
    poll();
  });
  byId("settings").addEventListener("input", (event) => event.target.classList.add("edited"));
  byId("settings").addEventListener("change", (event) => write(event.target));
  const description = byId("description");
  description.dataset.path = "/Experiment/Run Parameters/Run description";
  description.kind = "string";
  description.textual = true;
  description.addEventListener("change", () => write(description));
  poll();
  setInterval(() => { if (!document.hidden) poll(); }, PERIOD_MS);
}

begin();
