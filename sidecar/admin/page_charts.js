// The two charts: their figures, with the sums beside them and the same numbers as a table.

const SERIES = {
  requests: [
    ["ok", "c-ok", "answered"],
    ["client_error", "c-client", "with 4xx"],
    ["server_error", "c-server", "with 5xx"],
    ["aborted", "c-cut", "cut or left"],
  ],
  refusals: [
    ["rejected", "c-rejected", "rejected by the upstream"],
    ["refused", "c-refused", "refused here"],
  ],
};
const CHARTS = {requests: "Requests", refusals: "Rejections and refusals"};

function drawCharts() {
  for (const id of Object.keys(CHARTS))
    when(id, [status.traffic, find(id).clientWidth], () => drawChart(find(id), SERIES[id], CHARTS[id]));
}

function drawChart(figure, series, title) {
  const {traffic} = status;
  if (!figure.firstChild) figure.append(...newChart(title));
  const total = ([column]) => traffic[column].reduce((sum, value) => sum + value, 0);
  const sums = series.map((each) => [each, total(each)]);
  const all = sums.reduce((sum, [, value]) => sum + value, 0);
  say(figure.querySelector(".sum"), counted.format(all));
  figure
    .querySelector(".legend")
    .replaceChildren(
      ...sums.map(([[, kind, word], sum]) =>
        make("li", {class: sum ? kind : `${kind} zero`}, make("b", {}, counted.format(sum)), ` ${word}`),
      ),
    );
  const svg = figure.querySelector("svg");
  const width = svg.clientWidth;
  if (width <= LEFT) return; // nothing is to be seen, as in the moment of a change of size
  svg.setAttribute("viewBox", `0 0 ${width} ${PLOT_HEIGHT + 28}`);
  const said = sums.map(([[, , word], sum]) => `${counted.format(sum)} ${word}`);
  svg.setAttribute("aria-label", `${title} in the last quarter of an hour: ${said.join(", ")}.`);
  svg.replaceChildren(...bars(traffic, series, width));
  svg.onpointermove = (event) => point(figure, series, event.offsetX, width);
  svg.onpointerleave = () => say(figure.querySelector(".reading"), "");
  figure.querySelector("thead").replaceChildren(row("th", ["Until", ...series.map((each) => each[2])]));
  figure.querySelector("tbody").replaceChildren(...minutes(traffic, series));
}

function newChart(title) {
  return [
    make("figcaption", {}, make("h3", {}, title), make("b", {class: "sum"}), make("span", {class: "reading"})),
    shape("svg", {role: "img"}),
    make("ul", {class: "legend"}),
    make(
      "details",
      {},
      make("summary", {}, "As a table"),
      make(
        "table",
        {},
        make("caption", {class: "unseen"}, `${title} by the minute`),
        make("thead", {}),
        make("tbody", {}),
      ),
    ),
  ];
}

function point(figure, series, x, width) {
  const {traffic} = status;
  const count = traffic[series[0][0]].length;
  const at = Math.floor(((x - LEFT) / (width - LEFT)) * count);
  say(figure.querySelector(".reading"), at >= 0 && at < count ? bucketWords(traffic, series, at) : "");
}

function minutes(traffic, series) {
  const each = 60 / traffic.bucket_s;
  const count = traffic[series[0][0]].length;
  const rows = [];
  for (let until = count; until > 0; until -= each) {
    const sums = series.map(([column]) =>
      traffic[column].slice(until - each, until).reduce((sum, value) => sum + value, 0),
    );
    const at = traffic.ends_at - (count - until) * traffic.bucket_s;
    rows.push(row("td", [moment(at, at), ...sums.map((sum) => counted.format(sum))]));
  }
  return rows;
}
