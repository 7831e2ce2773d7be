// The document: written anew from each status. Values are written as text only.

const find = (id) => document.getElementById(id);
const first = JSON.parse(find("first").textContent);
let status = first.status;
let settings = first.settings;
let ahead_s = 0; // how far the sidecar's clock is ahead of this browser's

function now() {
  return Date.now() / 1000 + ahead_s;
}

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Writes a text where it differs, so that a screen reader hears of changes alone.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Rebuilds what a value shows only where the value is another one: whoever reads there is not thrown out.
const shown = new Map();
function when(key, value, build) {
  const text = JSON.stringify(value);
  if (shown.get(key) === text) return;
  shown.set(key, text);
  build();
}

// A moment that goes on being right: "12 s ago" is written anew each second.
function since(at, kind = "away") {
  return make("time", {"data-at": at, "data-kind": kind, datetime: new Date(at * 1000).toISOString()});
}

function tick() {
  const at = now();
  for (const each of document.querySelectorAll("time[data-at]")) {
    const moment_at = Number(each.dataset.at);
    const {kind} = each.dataset;
    say(each, kind === "clock" ? moment(moment_at, at) : kind === "span" ? span(at - moment_at) : away(moment_at, at));
  }
  for (const card of document.querySelectorAll(".credential")) drawTimeline(card);
}

// The head of the page

function drawHead() {
  const [level, parts] = verdict(status);
  document.documentElement.dataset.level = level;
  say(find("version"), status.version);
  when("verdict", parts, () => {
    find("verdict").replaceChildren(...parts.map((part) => (Array.isArray(part) ? make("em", {}, part[0]) : part)));
    const text = find("verdict").textContent;
    document.title = `${text.replace(/\.$/, "")} · Sidecar`;
  });
  say(find("lead"), lead(status));
  when("icon", level, () => find("icon").setAttribute("href", icon(level)));
  when("advice", advices(status), () => find("advice").replaceChildren(...advices(status).map(notice)));
  when("facts", [status.listeners, status.started_at, status.config_source, status.reload], drawFacts);
}

function icon(level) {
  const fill = {good: "0d7a68", warn: "b7791f", bad: "c8372d", waiting: "7a7f87"}[level];
  const drawing = `<circle cx="8" cy="8" r="6" fill="%23${fill}"/>`;
  return `data:image/svg+xml,<svg xmlns="${SVG}" viewBox="0 0 16 16">${drawing}</svg>`;
}

// A sentence of ours, in which backticks mark what is code.
function prose(text) {
  return sentence(text)
    .split("`")
    .map((part, at) => (at % 2 ? make("code", {}, part) : part));
}

function notice([whose, reason, remedy]) {
  const lines = [make("p", {}, make("b", {}, `${whose}: `), ...prose(reason))];
  if (remedy) lines.push(make("p", {class: "remedy"}, make("b", {}, "What to do: "), ...prose(remedy)));
  return make("div", {class: "notice"}, ...lines);
}

function drawFacts() {
  const facts = [
    ["Listens on", status.listeners.join(", ")],
    ["Runs since", since(status.started_at, "clock"), " (", since(status.started_at, "span"), ")"],
    ["Configured by", status.config_source || "flags and environment"],
  ];
  if (status.reload)
    facts.push(["Last reload", since(status.reload.at), status.reload.error ? ", not taken" : ", taken"]);
  find("facts").replaceChildren(...facts.map(fact));
}

function fact([name, ...value]) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, ...value));
}

// Credentials

function drawCredentials() {
  const list = find("credential-list");
  const known = new Map([...list.children].map((card) => [card.dataset.name, card]));
  const cards = status.credentials.map((credential) => known.get(credential.name) || newCard(credential));
  if (cards.length !== list.children.length || cards.some((card, at) => card !== list.children[at]))
    list.replaceChildren(...cards);
  find("no-credentials").hidden = cards.length > 0;
  status.credentials.forEach((credential, at) => drawCard(cards[at], credential));
}

function newCard(credential) {
  shown.delete(`card ${credential.name}`); // one of that name may have been there, and gone
  const table = make(
    "table",
    {class: "stack past", role: "table"},
    make("caption", {class: "unseen"}, `Exchanges of ${credential.name}, the newest first`),
    make("thead", {role: "rowgroup"}, row("th", ["When", "Why", "Outcome", "Took"])),
    make("tbody", {role: "rowgroup"}),
  );
  return make(
    "article",
    {class: "credential", "data-name": credential.name},
    make("header", {}, make("h3", {}, credential.name), make("span", {class: "state"}), make("p", {class: "left"})),
    shape("svg", {class: "timeline", role: "img"}),
    make("dl", {class: "facts"}),
    make("div", {class: "notices"}),
    make("details", {}, make("summary", {}), table),
  );
}

function drawCard(card, credential) {
  const [level, word] = standing(credential);
  const at = (selector) => card.querySelector(selector);
  card.dataset.level = level;
  say(at(".state"), word);
  when(`card ${credential.name}`, credential, () => {
    at(".left").replaceChildren(...timeLeft(credential));
    at("dl").replaceChildren(...credentialFacts(credential).map(fact));
    const notices = [];
    if (credential.error) notices.push(["What happened", credential.error, credential.remedy]);
    if (credential.verdict) notices.push(["What happened", credential.verdict.reason, credential.verdict.remedy]);
    at(".notices").replaceChildren(...notices.map(notice));
    const {exchanges} = credential;
    const failed = exchanges.filter((each) => each.outcome !== "ok").length;
    const remembered = `${plural(exchanges.length, "exchange", "exchanges")} remembered`;
    say(at("summary"), failed ? `${remembered}, ${counted.format(failed)} failed` : remembered);
    at("details").hidden = !exchanges.length;
    at("tbody").replaceChildren(...[...exchanges].reverse().map(exchangeRow));
  });
}

function timeLeft(credential) {
  if (credential.usable && !credential.expires_at) return ["does not expire"];
  if (!credential.expires_at) return [];
  // A clock that was set back keeps no dead token alive, though its end seems to lie ahead again.
  if (!credential.usable && credential.expires_at > now()) return ["not used any more"];
  return [credential.usable ? "expires " : "expired ", since(credential.expires_at)];
}

function credentialFacts(credential) {
  const both = (at) => [since(at, "clock"), make("small", {}, since(at))];
  const facts = [];
  if (credential.obtained_at) facts.push(["Obtained", ...both(credential.obtained_at)]);
  if (credential.next_refresh_at) facts.push([refreshWord(credential), ...both(credential.next_refresh_at)]);
  if (credential.expires_at) facts.push([credential.usable ? "Expires" : "Expired", ...both(credential.expires_at)]);
  const print = credential.fingerprint
    ? [make("small", {}, "fingerprint ", make("code", {}, credential.fingerprint))]
    : [];
  facts.push(["API key", credential.source, ...print]);
  return facts;
}

function refreshWord(credential) {
  if (credential.failures) return "Next try";
  return credential.next_refresh_at > now() ? "Refresh planned" : "Refresh due";
}

function exchangeRow(exchange) {
  const detail = exchange.detail ? [make("small", {}, sentence(exchange.detail))] : [];
  const outcome = make(
    "span",
    {class: exchange.outcome === "ok" ? "good" : "bad"},
    OUTCOMES[exchange.outcome] || exchange.outcome,
  );
  return row("td", [
    since(exchange.at, "clock"),
    TRIGGERS[exchange.trigger] || exchange.trigger,
    [outcome, ...detail],
    `${counted.format(exchange.duration_s)} s`,
  ]);
}

function drawTimeline(card) {
  const credential = status.credentials.find((each) => each.name === card.dataset.name);
  const svg = card.querySelector("svg");
  const width = svg.clientWidth;
  if (!credential || !width) return;
  svg.setAttribute("viewBox", `0 0 ${width} 66`);
  svg.setAttribute("aria-label", timelineWords(credential, now()));
  svg.replaceChildren(...timeline(credential, now(), width));
}

// Tables: the roles are said because a display other than a table's takes them away.

function row(kind, cells, heads = []) {
  const role = kind === "th" ? "columnheader" : "cell";
  const made = cells.map((cell, at) =>
    make(kind, {role, ...(kind === "th" ? {scope: "col"} : {"data-head": heads[at] || ""})}, ...[cell].flat()),
  );
  return make("tr", {role: "row"}, ...made);
}

function drawTroubles() {
  const {troubles} = status;
  find("troubles").hidden = !troubles.length;
  find("no-troubles").hidden = troubles.length > 0;
  when("troubles", troubles, () => find("troubles").tBodies[0].replaceChildren(...troubles.map(troubleRow)));
}

function troubleRow(trouble) {
  const often =
    trouble.count > 1
      ? [make("small", {}, `${counted.format(trouble.count)} times since `, since(trouble.first_at, "clock"))]
      : [];
  const request = [
    make("b", {}, trouble.method || "Unreadable"),
    make("small", {}, trouble.route || "before any route"),
  ];
  const answer = make("span", {class: "code"}, trouble.status ? String(trouble.status) : "cut");
  const why = [
    make("span", {}, ...prose(trouble.detail)),
    ...(trouble.remedy ? [make("small", {}, ...prose(trouble.remedy))] : []),
  ];
  return row("td", [[since(trouble.last_at), ...often], request, answer, why]);
}

function drawRoutes() {
  when("routes", status.routes, () => find("routes").tBodies[0].replaceChildren(...status.routes.map(routeRow)));
}

function routeRow(route) {
  const matches = `${route.host || ""}${route.path} → ${route.upstream}`;
  const held = route.held_down
    ? [make("small", {class: "bad"}, "held down, ends ", since(route.held_down.ends_at))]
    : [];
  const name = [
    make("b", {}, route.name),
    make("small", {}, matches),
    make("small", {}, route.credential ? `credential ${route.credential}` : "no credential"),
    ...held,
  ];
  const made = row(
    "td",
    [name, counted.format(route.requests), counted.format(route.failed), counted.format(route.rejected)],
    ["", "requests", "failed", "rejected"],
  );
  for (const cell of [...made.cells].slice(1)) cell.classList.add("number");
  return made;
}

function drawSettings() {
  const prints = Object.fromEntries(status.credentials.map((each) => [each.name, each.fingerprint]));
  when("settings", [settings, prints], () => {
    const set = settings.filter((each) => each.origin !== "default");
    const defaults = settings.filter((each) => each.origin === "default");
    const rows = (some) => some.map((each) => settingRow(each, prints[each.credential]));
    find("settings").tBodies[0].replaceChildren(...rows(set));
    find("settings").hidden = !set.length;
    find("no-settings").hidden = settings.length > 0;
    find("defaults").hidden = !defaults.length;
    say(find("defaults").querySelector("summary"), `${plural(defaults.length, "key", "keys")} at the default`);
    find("defaults")
      .querySelector("tbody")
      .replaceChildren(...rows(defaults));
  });
}

function settingRow(setting, print) {
  const value = [setting.value, ...(print ? [make("small", {}, "fingerprint ", make("code", {}, print))] : [])];
  const cut = setting.key.lastIndexOf(".") + 1;
  const key = make("code", {}, make("i", {}, setting.key.slice(0, cut)), setting.key.slice(cut));
  return row("td", [key, value, make("span", {class: "origin"}, setting.origin)]);
}
