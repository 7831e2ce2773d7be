// Live: the page follows its sidecar by server-sent events, for as long as somebody looks at it.

const live = {source: null, timer: 0, wait_s: 1, heard_at: 0};
// The sidecar says at least every 15 s that it is there.
const PATIENCE_S = 40;

function draw() {
  drawHead();
  drawCredentials();
  drawCharts();
  drawTroubles();
  drawRoutes();
  drawSettings();
  tick();
}

function connected(state, text) {
  find("live").dataset.live = state;
  say(find("live").lastElementChild, text);
}

function listen() {
  hush();
  const source = new EventSource("/events");
  live.source = source;
  live.heard_at = performance.now();
  source.addEventListener("alive", () => {
    live.heard_at = performance.now();
  });
  source.addEventListener("settings", (event) => {
    settings = JSON.parse(event.data);
  });
  source.addEventListener("status", (event) => {
    const before = status.version;
    status = JSON.parse(event.data);
    if (status.version !== before) location.reload(); // another program, with another page
    ahead_s = status.now - Date.now() / 1000;
    live.heard_at = performance.now();
    live.wait_s = 1;
    connected("on", "Live");
    draw();
  });
  source.addEventListener("end", () => lost("has stopped"));
  source.onerror = () => {
    // Where it does not try again by itself there was an answer, and no events: as many pages look as may.
    if (source.readyState === EventSource.CLOSED) lost("has enough pages to keep live", "Close another one. ");
    else lost("does not answer");
  };
}

function hush() {
  clearTimeout(live.timer);
  if (live.source) live.source.close();
  live.source = null;
}

// What is on the page is old from now on, and says so at its top.
function lost(what, remedy = "") {
  hush();
  connected("off", "Not live; trying again");
  document.documentElement.dataset.level = "waiting";
  shown.delete("verdict");
  say(find("verdict"), `The sidecar ${what}.`);
  say(find("lead"), `${remedy}What follows is as it was at ${moment(status.now, now())}.`);
  document.title = `It ${what} · Sidecar`;
  when("icon", "waiting", () => find("icon").setAttribute("href", icon("waiting")));
  live.timer = setTimeout(listen, live.wait_s * 1000);
  live.wait_s = Math.min(10, live.wait_s * 2);
}

// A page that nobody sees costs nothing.
document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
addEventListener("pagehide", hush);
addEventListener("resize", () => {
  drawCharts();
  tick();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) listen();
});
setInterval(() => {
  if (document.hidden) return;
  tick();
  if (live.source && performance.now() - live.heard_at > PATIENCE_S * 1000) lost("does not answer");
}, 1000);
draw();
if (!document.hidden) listen();
