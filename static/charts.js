// Charts from JSON the server gives.
//
//   <div class="chart" data-chart="minutes">   id of a json_script, or an address with JSON
//     {"kind": "area" | "line" | "bar", "stacked": true, "label": "Sent, delivered and seen a minute",
//      "x": {"type": "time" | "category", "label": "Minute", "zone": "UTC"},
//      "unit": "devices", "points": ["2026-11-24T09:00:00Z", …],
//      "series": [{"name": "Sent", "colour": "sent", "values": [1, …]}, …]}
//
// `colour` is the name of a --series- colour of pushadmin.css. Each chart can be read as a table.
// Replacing the JSON and firing `chart:data` on the element redraws it without moving anything;
// `data-chart-with="id"` loads it again, at most every five seconds, when htmx refreshes #id; it may
// stand in that part itself, which leaves it as it is.
(() => {
  const charts = new WeakMap();
  const number = new Intl.NumberFormat("en-GB");
  const short = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 });

  // The value of a colour token as a canvas needs it: light-dark() is resolved by the element.
  function colour(host, token) {
    const probe = document.createElement("span");
    probe.hidden = true;
    probe.style.color = `var(--${token})`;
    host.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const stamp = (point, parts) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...parts }).format(new Date(point));
  const isDay = (data) => data.x?.type === "day";
  const pointName = (data, point) => {
    if (data.x?.type === "time") return `${stamp(point, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" })} (${zone})`;
    if (isDay(data)) return stamp(`${point}T12:00:00Z`, { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
    return String(point);
  };
  const tickName = (data, point) => {
    if (data.x?.type === "time") return stamp(point, { hour: "2-digit", minute: "2-digit" });
    if (isDay(data)) return stamp(`${point}T12:00:00Z`, { day: "numeric", month: "short", timeZone: "UTC" });
    return String(point);
  };

  function options(host, data) {
    const ink = colour(host, "ink"), faint = colour(host, "ink-3"), line = colour(host, "line");
    const raised = colour(host, "raised"), strong = colour(host, "line-strong");
    const text = { color: faint, fontSize: 12, fontFamily: getComputedStyle(host).fontFamily };
    const bars = data.kind === "bar";
    const single = data.series.length === 1;
    return {
      animation: false,
      grid: { left: 4, right: bars ? 12 : 24, top: single ? 12 : 36, bottom: 4, containLabel: true },
      legend: single ? undefined : { top: 0, left: 0, icon: "roundRect", itemWidth: 10, itemHeight: 10, itemGap: 18, textStyle: { ...text, color: colour(host, "ink-2") } },
      tooltip: {
        trigger: "axis", renderMode: "richText", confine: true, backgroundColor: raised, borderColor: strong, borderWidth: 1, padding: [8, 12],
        axisPointer: { type: bars ? "shadow" : "line", lineStyle: { color: strong }, shadowStyle: { color: "rgba(128,128,140,0.10)" } },
        textStyle: { ...text, color: ink, lineHeight: 18 },
        formatter: (items) => [pointName(data, data.points[items[0].dataIndex]), ...items.map((item) => `${item.seriesName}: ${number.format(item.value ?? 0)}`)].join("\n"),
      },
      xAxis: {
        type: "category", data: data.points, boundaryGap: bars, axisTick: { show: false }, axisLine: { lineStyle: { color: strong } },
        axisLabel: { ...text, hideOverlap: true, formatter: (point) => tickName(data, point) },
      },
      yAxis: { type: "value", min: 0, minInterval: 1, splitNumber: 4, axisLabel: { ...text, formatter: (value) => short.format(value) }, splitLine: { lineStyle: { color: line } } },
      series: data.series.map((series) => {
        const tone = colour(host, series.colour?.startsWith("--") ? series.colour.slice(2) : `series-${series.colour || "sent"}`);
        return {
          name: series.name, data: series.values, type: bars ? "bar" : "line", stack: data.stacked ? "all" : undefined,
          showSymbol: data.points.length === 1, symbolSize: 5, smooth: false, lineStyle: { width: 1.75, color: tone }, itemStyle: { color: tone, borderRadius: bars ? [3, 3, 0, 0] : 0 },
          areaStyle: data.kind === "area" ? { color: tone, opacity: data.stacked ? 0.55 : 0.14 } : undefined, barMaxWidth: 28, emphasis: { focus: "none" },
        };
      }),
    };
  }

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function table(data) {
    const head = element("tr", {}, element("th", { textContent: data.x?.label || "Time", scope: "col" }),
      ...data.series.map((series) => element("th", { textContent: series.name, scope: "col", className: "is-number" })));
    const rows = data.points.map((point, index) => {
      const name = element("td", { className: "is-title", textContent: pointName(data, point) });
      return element("tr", {}, name, ...data.series.map((series) => {
        const cell = element("td", { className: "is-number", textContent: number.format(series.values[index] ?? 0) });
        cell.dataset.label = series.name;
        return cell;
      }));
    });
    const caption = element("caption", { className: "visually-hidden", textContent: data.label || "" });
    return element("table", { className: "table" }, caption, element("thead", {}, head), element("tbody", {}, ...rows));
  }

  function build(host) {
    const canvas = element("div", { className: "chart-canvas" });
    const rows = element("div", { className: "chart-table", hidden: true, tabIndex: 0 });
    const note = element("span", { className: "chart-note" });
    const toggle = element("button", { type: "button", className: "button is-quiet is-small", textContent: "Show as table" });
    toggle.setAttribute("aria-pressed", "false");
    toggle.addEventListener("click", () => {
      rows.hidden = !rows.hidden;
      canvas.hidden = !rows.hidden;
      toggle.textContent = rows.hidden ? "Show as table" : "Show as chart";
      toggle.setAttribute("aria-pressed", String(!rows.hidden));
    });
    const foot = element("div", { className: "chart-head" }, note, toggle);
    host.replaceChildren(canvas, rows, foot);
    const chart = { canvas, rows, note, data: null, drawing: echarts.init(canvas, null, { renderer: "canvas" }) };
    canvas.setAttribute("role", "img");
    new ResizeObserver(() => { if (canvas.offsetWidth) chart.drawing.resize(); }).observe(canvas);
    charts.set(host, chart);
    return chart;
  }

  function draw(host) {
    const chart = charts.get(host);
    const { data } = chart;
    chart.canvas.setAttribute("aria-label", `${data.label || "Chart"}. The button below shows it as a table.`);
    chart.note.textContent = data.x?.type === "time" ? `Times in ${zone}` : isDay(data) ? "Days in UTC" : "";
    chart.rows.replaceChildren(table(data));
    chart.rows.setAttribute("aria-label", data.label || "Values of the chart");
    if (data.points.length) delete chart.canvas.dataset.nothing;
    else chart.canvas.dataset.nothing = "Nothing to draw yet";
    chart.drawing.setOption(options(host, data), { notMerge: true });
  }

  async function load(host) {
    const source = host.dataset.chart;
    try {
      const script = document.getElementById(source);
      const data = script ? JSON.parse(script.textContent) : await (await fetch(source, { headers: { Accept: "application/json" } })).json();
      const chart = charts.get(host) || build(host);
      if (JSON.stringify(chart.data) === JSON.stringify(data)) return;
      chart.data = data;
      draw(host);
    } catch {
      if (!charts.has(host)) host.textContent = "The chart could not be loaded. Reload the page to try again.";
    }
  }

  const staysAsItIs = (host) => charts.has(host) && host.dataset.chartWith;
  if (window.Idiomorph) Idiomorph.defaults.callbacks.beforeNodeMorphed = (old) => !staysAsItIs(old);

  function start(root) {
    const hosts = [...root.querySelectorAll("[data-chart]")];
    if (root.matches?.("[data-chart]")) hosts.push(root);
    for (const host of hosts) if (!staysAsItIs(host)) load(host);
    // a part that htmx brought may hold only the new numbers
    for (const script of root.querySelectorAll?.("script[type='application/json'][id]") || []) {
      for (const host of document.querySelectorAll(`[data-chart="${CSS.escape(script.id)}"]`)) if (!hosts.includes(host)) load(host);
    }
  }
  document.addEventListener("DOMContentLoaded", () => start(document));
  document.addEventListener("htmx:load", ({ detail }) => { if (detail.elt !== document.body) start(detail.elt); });
  document.addEventListener("chart:data", (event) => load(event.target));
  const SECONDS_BETWEEN_LOADS = 5;
  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    if (!detail.target?.id) return;
    for (const host of document.querySelectorAll(`[data-chart-with="${CSS.escape(detail.target.id)}"]`)) {
      if (Date.now() - (host.loadedAt || 0) < SECONDS_BETWEEN_LOADS * 1000) continue;
      host.loadedAt = Date.now();
      load(host);
    }
  });
  document.addEventListener("theme", () => {
    for (const host of document.querySelectorAll("[data-chart]")) if (charts.get(host)?.data) draw(host);
  });
})();
