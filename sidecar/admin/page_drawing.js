// Drawings: a credential's time line, and bars over the last quarter of an hour. Each is drawn at the width it has.

const SVG = "http://www.w3.org/2000/svg";
const STEPS_S = [
  5,
  10,
  15,
  30,
  60,
  120,
  300,
  600,
  900,
  1800,
  3600,
  7200,
  10800,
  21600,
  43200,
  DAY_S,
  2 * DAY_S,
  7 * DAY_S,
  14 * DAY_S,
];

function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function bar(x, y, width, height, kind, radius = 0) {
  return shape("rect", {x: x.toFixed(1), y, width: Math.max(0, width).toFixed(1), height, rx: radius, class: kind});
}

function label(x, y, text, kind, anchor = "middle") {
  return shape("text", {x: x.toFixed(1), y, class: kind, "text-anchor": anchor}, text);
}

// The time line

// From a life before now (of short-lived tokens, some lives), or from when it is known what was, to the current token's
// end; a token that is long dead, and when it came, is still in sight. For a token without end, and for none, a quarter
// of an hour.
function reach(credential, now) {
  const {obtained_at: from, expires_at: until, exchanges} = credential;
  const life = from && until ? Math.max(10, until - from) : 900;
  const known_s = exchanges.length ? now - exchanges[0].at : 0;
  const before = exchanges.length ? Math.min(life * 1.25, Math.max(life * 0.25, known_s * 1.1)) : life * 1.25;
  const past = Math.max(before, Math.min(300, known_s), until && until < now ? (now - until) * 1.1 + life : 0);
  let begin = now - past;
  if (from && from < begin && now - from < life * 4) begin = from - life * 0.1;
  const end = Math.max(until || 0, credential.next_refresh_at || 0, now + past * 0.15);
  return [begin, end + (end - begin) * 0.04];
}

function timeline(credential, now, width) {
  const [begin, end] = reach(credential, now);
  const x = (at) => ((Math.min(Math.max(at, begin), end) - begin) / (end - begin)) * width;
  const parts = [bar(0, 26, width, 12, "t-track", 6), ...ticks(begin, end, x, width, now)];
  parts.push(...pastTokens(credential, begin, x), ...currentToken(credential, now, end, x));
  parts.push(
    ...marks(
      credential.exchanges.filter((each) => each.at >= begin),
      x,
    ),
  );
  const here = x(now);
  parts.push(shape("line", {x1: here.toFixed(1), x2: here.toFixed(1), y1: 15, y2: 47, class: "t-now"}));
  parts.push(label(Math.min(Math.max(here, 14), width - 14), 11, "now", "t-word t-here"));
  return parts;
}

function ticks(begin, end, x, width, now) {
  const room = Math.max(2, Math.floor(width / 90));
  // A token may live for a thousand years, and there are to be as few ticks all the same.
  const month_s = 30 * DAY_S;
  const step =
    STEPS_S.find((each) => (end - begin) / each <= room) || Math.ceil((end - begin) / room / month_s) * month_s;
  const zone = new Date(now * 1000).getTimezoneOffset() * 60;
  const found = [];
  for (let at = Math.ceil((begin - zone) / step) * step + zone; at < end; at += step) {
    const where = x(at);
    found.push(shape("line", {x1: where.toFixed(1), x2: where.toFixed(1), y1: 44, y2: 48, class: "t-tick"}));
    if (where > 20 && where < width - 20) found.push(label(where, 60, tickWord(at, now, step), "t-word"));
  }
  return found;
}

// Each success began a token that lasted until the next one; when it would have expired by itself is not known.
function pastTokens(credential, begin, x) {
  const began = credential.exchanges.filter((each) => each.outcome === "ok").map((each) => each.at);
  return began.slice(0, -1).flatMap((from, at) => {
    const until = began[at + 1];
    return until < begin ? [] : [bar(x(from), 26, x(until) - x(from) - 1.5, 12, "t-past", 3)];
  });
}

function currentToken(credential, now, end, x) {
  const {obtained_at: from, expires_at: until, next_refresh_at: refresh} = credential;
  if (!from) return [];
  const last = until || end;
  const kind = credential.usable ? "t-token" : "t-dead";
  const parts = [bar(x(from), 26, x(last) - x(from), 12, `${kind} t-rest`, 3)];
  parts.push(bar(x(from), 26, x(Math.min(now, last)) - x(from), 12, kind, 3));
  // While exchanges fail, the next refresh is the next try, and no window begins there.
  if (until && refresh && refresh < until && !credential.failures) {
    parts.push(bar(x(refresh), 26.75, x(until) - x(refresh), 10.5, "t-window", 2.5));
  }
  if (refresh && refresh > now) {
    const where = x(refresh).toFixed(1);
    parts.push(shape("line", {x1: where, x2: where, y1: 21, y2: 43, class: "t-refresh"}));
  }
  return parts;
}

// A ring for each success, a cross for each failure; failures too near to be told apart become one thick line.
function marks(exchanges, x) {
  const parts = [];
  for (let at = 0; at < exchanges.length; at += 1) {
    const from = at;
    while (near(exchanges[at], exchanges[at + 1], x)) at += 1;
    parts.push(
      from === at
        ? mark(x(exchanges[at].at), exchanges[at])
        : run(x(exchanges[from].at), x(exchanges[at].at), at - from + 1),
    );
  }
  return parts;
}

function near(one, next, x) {
  return next && one.outcome !== "ok" && next.outcome !== "ok" && x(next.at) - x(one.at) < 10;
}

function run(from, until, count) {
  const line = {x1: from.toFixed(1), x2: until.toFixed(1), y1: 32, y2: 32};
  return shape(
    "g",
    {},
    shape("title", {}, `${count} failed exchanges`),
    shape("line", {...line, class: "t-run t-halo"}),
    shape("line", {...line, class: "t-run"}),
  );
}

function mark(where, exchange) {
  const title = shape("title", {}, `${moment(exchange.at, exchange.at)}: ${OUTCOMES[exchange.outcome]}`);
  if (exchange.outcome === "ok") return shape("circle", {cx: where.toFixed(1), cy: 32, r: 4, class: "t-ok"}, title);
  const d = `M${(where - 3.5).toFixed(1)} 28.5l7 7m0 -7l-7 7`;
  return shape("g", {}, title, shape("path", {d, class: "t-failed t-halo"}), shape("path", {d, class: "t-failed"}));
}

// The time line in words, for whoever does not see it.
function timelineWords(credential, now) {
  const words = [];
  if (credential.obtained_at) words.push(`obtained ${away(credential.obtained_at, now)}`);
  if (credential.next_refresh_at)
    words.push(`${credential.failures ? "next try" : "refresh planned"} ${away(credential.next_refresh_at, now)}`);
  if (credential.expires_at)
    words.push(`${credential.expires_at < now ? "expired" : "expires"} ${away(credential.expires_at, now)}`);
  const failed = credential.exchanges.filter((each) => each.outcome !== "ok").length;
  words.push(
    `${plural(credential.exchanges.length, "exchange", "exchanges")} remembered, ${counted.format(failed)} failed`,
  );
  return `Time line of ${credential.name}: ${words.join(", ")}.`;
}

// Bars

const PLOT_HEIGHT = 92;
const LEFT = 34;

// A chart of stacked bars. series: [column, kind, word], the lowest first.
function bars(traffic, series, width) {
  const count = traffic[series[0][0]].length;
  const sums = Array.from({length: count}, (_, at) => series.reduce((sum, [column]) => sum + traffic[column][at], 0));
  const most = niceMost(Math.max(...sums));
  const room = (width - LEFT) / count;
  const y = (value) => 8 + PLOT_HEIGHT * (1 - value / most);
  const parts = [];
  const empty = Math.max(...sums) === 0;
  for (const value of empty ? [0] : [0, most / 2, most]) {
    parts.push(
      shape("line", {
        x1: LEFT,
        x2: width,
        y1: y(value).toFixed(1),
        y2: y(value).toFixed(1),
        class: value ? "c-grid" : "c-base",
      }),
    );
    parts.push(label(LEFT - 7, (y(value) + 3.5).toFixed(1), counted.format(value), "t-word", "end"));
  }
  if (empty) parts.push(label(LEFT + (width - LEFT) / 2, y(most / 2) + 4, "None", "t-word"));
  for (let at = 0; at < count; at += 1) {
    let below = 0;
    for (const [column, kind] of series) {
      const value = traffic[column][at];
      if (!value) continue;
      const top = y(below + value);
      const height = Math.max(1.5, y(below) - top);
      parts.push(
        bar(
          LEFT + at * room + room * 0.14,
          (y(below) - height).toFixed(1),
          room * 0.72,
          height.toFixed(1),
          kind,
          Math.min(1.5, room * 0.2),
        ),
      );
      below += value;
    }
  }
  const span_min = (count * traffic.bucket_s) / 60;
  for (const ago of [15, 10, 5]) {
    if (ago <= span_min)
      parts.push(
        label(
          LEFT + (width - LEFT) * (1 - ago / span_min),
          PLOT_HEIGHT + 24,
          `−${ago} min`,
          "t-word",
          ago === 15 ? "start" : "middle",
        ),
      );
  }
  parts.push(label(width, PLOT_HEIGHT + 24, "now", "t-word t-here", "end"));
  return parts;
}

// The next of 2, 4, 6, 8, 10, 20, 40 and so on: its half is a whole number too.
function niceMost(value) {
  for (let power = 1; ; power *= 10) {
    for (const factor of [2, 4, 6, 8, 10]) if (value <= factor * power) return factor * power;
  }
}

// What was in one bucket, in words.
function bucketWords(traffic, series, at) {
  const count = traffic[series[0][0]].length;
  const until = traffic.ends_at - (count - 1 - at) * traffic.bucket_s;
  const said = series
    .filter(([column]) => traffic[column][at])
    .map(([column, , word]) => `${counted.format(traffic[column][at])} ${word}`);
  return `${moment(until - traffic.bucket_s, until)} to ${moment(until, until)}: ${said.join(", ") || "nothing"}`;
}
