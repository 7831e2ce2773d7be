"use strict";
// Words: moments, durations and the sentence at the top. Nothing here touches the document.

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const clockShort = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit", hourCycle: "h23"});
const day = new Intl.DateTimeFormat(undefined, {weekday: "short", day: "numeric", month: "short"});
const dayOfYear = new Intl.DateTimeFormat(undefined, {day: "numeric", month: "short", year: "numeric"});
const month = new Intl.DateTimeFormat(undefined, {month: "short", year: "numeric"});
const counted = new Intl.NumberFormat(undefined);

const DAY_S = 86400;

// A moment as a clock shows it, with its day where that is not today's, and its year where that is another one.
function moment(at, now, short) {
  const date = new Date(at * 1000);
  const today = new Date(now * 1000);
  const time = (short ? clockShort : clock).format(date);
  if (today.toDateString() === date.toDateString()) return time;
  return `${(today.getFullYear() === date.getFullYear() ? day : dayOfYear).format(date)}, ${time}`;
}

// The same in few letters, for a scale that has a mark each so many seconds.
function tickWord(at, now, step_s) {
  if (step_s < DAY_S) return moment(at, now, step_s >= 60);
  const date = new Date(at * 1000);
  return (step_s < 60 * DAY_S ? day : month).format(date);
}

// A span in the two largest units that say something: 45 s, 12 min, 3 h 5 min, 2 d 4 h, 90 d, 9 years.
function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 100) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return joined(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(minutes / 60);
  if (hours < 24 * 100) return joined(Math.floor(hours / 24), "d", hours % 24, "h");
  const days = Math.round(hours / 24);
  return days < 730 ? `${days} d` : `${counted.format(Math.floor(days / 365.25))} years`;
}

function joined(large, largeUnit, small, smallUnit) {
  return small ? `${large} ${largeUnit} ${small} ${smallUnit}` : `${large} ${largeUnit}`;
}

function away(at, now) {
  return at >= now ? `in ${span(at - now)}` : `${span(now - at)} ago`;
}

function plural(count, one, many) {
  return `${counted.format(count)} ${count === 1 ? one : many}`;
}

// A sentence starts with a capital, where it starts with a word and not with a file's name, and ends with a full stop.
function sentence(text) {
  const whole = /^[a-z]+[ ,;']/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

const STATES = {
  empty: "no token yet",
  fresh: "fresh",
  stale: "stale",
  expired: "expired",
  key_rejected: "key rejected",
};
const OUTCOMES = {
  ok: "brought a token",
  key_rejected: "key refused",
  rate_limited: "rate limited",
  server_error: "server error",
  timeout: "timed out",
  network: "no connection",
  bad_response: "bad answer",
};
const TRIGGERS = {
  start: "at the start",
  expiry: "before expiry",
  rejection: "after a rejection",
  key_change: "for a new key",
  manual: "by hand",
};

// How it is with one credential: its level, and the word for its state.
function standing(credential) {
  const state = STATES[credential.state] || credential.state;
  if (!credential.usable) {
    return credential.state === "empty" && !credential.error ? ["waiting", state] : ["bad", state];
  }
  if (credential.error) return ["warn", credential.state === "key_rejected" ? "key rejected" : `${state}, failing`];
  if (credential.verdict) return ["warn", "not accepted"];
  return ["good", state];
}

// The sentence at the top: a level, and a text in which arrays are names.
function verdict(status) {
  if (status.draining) return ["waiting", ["It is stopping: what runs is finished, and nothing new is taken."]];
  const at = (level) => status.credentials.filter((each) => standing(each)[0] === level);
  const [bad, waiting, warned] = [at("bad"), at("waiting"), at("warn")];
  if (bad.length) return ["bad", ["Requests that need ", ...names(bad), " fail."]];
  if (waiting.length) return ["waiting", ["Waiting for the first token of ", ...names(waiting), "."]];
  const failing = warned.filter((each) => each.error);
  if (failing.length) return ["warn", ["Requests pass, but ", ...names(failing), " cannot renew ", its(failing), "."]];
  if (warned.length) return ["warn", ["An upstream does not take the tokens of ", ...names(warned), "."]];
  const held = status.routes.filter((route) => route.held_down);
  if (held.length) return ["warn", ["Rejections on ", ...names(held), " are passed on as they are."]];
  if (status.reload && status.reload.error) return ["warn", ["It runs, but the last reload was not taken."]];
  const all = status.credentials;
  if (!all.length) return ["good", ["It forwards requests, and puts no token on them."]];
  if (all.length === 1) return ["good", ["All is well. ", ...names(all), " holds a valid token."]];
  return ["good", [`All is well. ${counted.format(all.length)} credentials hold valid tokens.`]];
}

function its(credentials) {
  return credentials.length === 1 ? "its token" : "their tokens";
}

// At most three names, and how many more there are.
function names(things) {
  const shown = things.slice(0, 3).map((each) => [each.name]);
  const rest = things.length - shown.length;
  if (rest) shown.push(`${rest} more`);
  return shown.flatMap((name, at) => {
    if (!at) return [name];
    return [at === shown.length - 1 ? " and " : ", ", name];
  });
}

// What is wrong beyond a credential (whose card says it): [whose, reason, remedy].
function advices(status) {
  const found = [];
  if (status.reload && status.reload.error) {
    found.push([
      "Reload",
      status.reload.error,
      "Correct it, and reload once more. The configuration before it is in use.",
    ]);
  }
  const said = new Set(status.credentials.filter((each) => each.verdict).map((each) => each.name));
  for (const route of status.routes) {
    if (route.held_down && !said.has(route.credential))
      found.push([`Route ${route.name}`, route.held_down.reason, route.held_down.remedy]);
  }
  return found;
}

// The line below the sentence: why, in one breath.
function lead(status) {
  const worst = ["bad", "warn"].flatMap((level) => status.credentials.filter((each) => standing(each)[0] === level))[0];
  if (!worst) return "";
  if (!worst.error) {
    // A machine that has slept wakes with a token that has expired, and no exchange has failed.
    const asleep = `The token of ${worst.name} has expired, and the next one is not here yet.`;
    return worst.verdict ? sentence(worst.verdict.reason) : asleep;
  }
  return worst.usable
    ? sentence(worst.error) + " The token in use goes on being used until it expires."
    : sentence(worst.error);
}
