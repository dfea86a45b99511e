// Draws the data of the pictures of lines (reports/charts.py) when their section opens. Without this, their PNG is seen.
(() => {
const PLOTS = [];
const ink = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const shade = colour => colour === "#000000" ? ink("--fg") : colour;

function number(v) {  // as reports/numbers.py
  if (v === 0) return "0";
  const size = Math.abs(v);
  if (size < 1e4 && Number.isInteger(v)) return String(v);
  if (size >= 1e3 && size < 1e4) return v.toFixed(0);
  return size >= .01 && size < 1e3 ? v.toPrecision(3) : v.toExponential(2).replace("e+", "e");
}

function tick(v) {
  const size = Math.abs(v);
  return size && (size < .001 || size >= 1e4) ? v.toExponential().replace("e+", "e") : String(+v.toPrecision(6));
}

function decades(low, high, room) {  // powers of ten, as many as there is room for
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / room)), found = [];
  for (let k = Math.ceil(first / step) * step; k <= last; k += step) found.push(+`1e${k}`);
  if (found.length > 1) return found;
  return [1, 2, 5].flatMap(m => [first - 1, first, last].map(k => +`${m}e${k}`))
    .filter((v, i, all) => v >= low && v <= high && all.indexOf(v) === i).sort((a, b) => a - b);
}

function axis(label, log, size) {
  const found = {label, stroke: () => ink("--fg"), grid: {stroke: () => ink("--line"), width: 1}, ticks: {show: false},
    font: "11px system-ui,sans-serif", labelFont: "12px system-ui,sans-serif", labelSize: 20, size: size ? 54 : 26,
    values: (u, all) => all.map(v => v == null ? "" : tick(v))};
  if (log) found.filter = (u, splits) => splits;  // uPlot would name every tenth decade only, of those that are left
  if (log) found.splits = (u, at, low, high) => decades(low, high, Math.max(3, Math.floor((size ? u.height : u.width) / (size ? 32 : 62))));
  return found;
}

// Lines of different x on one axis: uPlot wants their union; where a line has no value of its own it is joined over.
function aligned(panel) {
  const tables = panel.series.flatMap(s => [[s.x, s.y], ...(s.low ? [[s.x, s.low], [s.x, s.high]] : [])]);
  return uPlot.join(tables);
}

function nearest(u, index, at) {  // the point of this line that is nearest to the cursor
  const y = u.data[index];
  if (y[at] != null) return at;
  let a = at, b = at;
  while (a >= 0 && y[a] == null) a--;
  while (b < y.length && y[b] == null) b++;
  if (a < 0 || b >= y.length) return a >= 0 ? a : b < y.length ? b : null;
  const x = u.posToVal(u.cursor.left, "x");
  return x - u.data[0][a] < u.data[0][b] - x ? a : b;
}

function tips(panel) {  // a box with the values under the cursor
  const box = document.createElement("div");
  box.className = "tip"; box.hidden = true;
  return {hooks: {
    init: u => { u.over.append(box); u.over.addEventListener("mouseleave", () => { box.hidden = true; }); },
    setCursor: u => {
      const {left, idxs} = u.cursor, rows = [];
      let x = null;
      u.series.forEach((s, i) => {
        const at = idxs && idxs[i];
        if (i && s.show && s.of && at != null && u.data[i][at] != null) {
          rows.push([u.data[i][at], s.of]);
          if (x === null) x = u.data[0][at];
        }
      });
      box.hidden = left < 0 || !rows.length;
      if (box.hidden) return;
      box.replaceChildren(`${panel.x_label} ${number(x)}`);
      for (const [value, of] of rows.sort((a, b) => b[0] - a[0])) {
        const line = document.createElement("div"), dot = document.createElement("i");
        dot.style.background = shade(of.colour);
        line.append(dot, `${of.name.replace(/ \(.*/, "")} ${number(value)}`);  // without what the legend says in brackets
        box.append(line);
      }
      const right = left > u.over.clientWidth / 2;
      box.style.left = right ? "" : `${left + 12}px`; box.style.right = right ? `${u.over.clientWidth - left + 12}px` : "";
    },
    drawClear: u => {  // changes of stage
      const {ctx, bbox} = u;
      ctx.save(); ctx.lineWidth = devicePixelRatio; ctx.globalAlpha = .4;
      u.series.forEach(s => { if (s.show && s.of) for (const mark of s.of.marks || []) {
        const x = u.valToPos(mark.x, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.strokeStyle = shade(s.of.colour); ctx.setLineDash((mark.cut ? [6, 4] : [2, 3]).map(d => d * devicePixelRatio));
        ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
      }});
      ctx.restore();
    }}};
}

function plot(panel, place, width) {
  const paths = panel.stepped ? uPlot.paths.stepped({align: 1}) : undefined;
  const series = [{}], bands = [];
  for (const s of panel.series) {
    const at = series.length;
    series.push({label: s.name, of: s, stroke: () => shade(s.colour), width: s.width, dash: s.dash, paths, 
      points: {show: s.x.length === 1, size: 6}});
    if (s.low) {
      for (const end of ["low", "high"]) series.push({label: `${s.name} ${end}`, stroke: "transparent", width: 0, paths, points: {show: false}, band: s.name});
      bands.push({series: [at + 2, at + 1], fill: () => shade(s.colour) + "26"});
    }
  }
  const y = {distr: panel.log_y ? 3 : 1};
  if (panel.y_range) y.range = () => panel.y_range;
  const u = new uPlot({width, height: panel.below ? 170 : 300, title: panel.title || undefined, series, bands,
    scales: {x: {time: false, distr: panel.log_x ? 3 : 1}, y}, legend: {show: false},
    axes: [axis(panel.x_label, panel.log_x, false), axis(panel.y_label, panel.log_y, true)],
    cursor: {y: false, dataIdx: nearest, drag: {x: true, y: false}, points: {size: 6}}, plugins: [tips(panel)],
  }, aligned(panel), place);
  const step = (by, u) => {
    const x = u.data[0], now = u.cursor.idx ?? 0, to = Math.min(x.length - 1, Math.max(0, now + by));
    u.setCursor({left: u.valToPos(x[to], "x"), top: 10});
  };
  u.root.tabIndex = 0;
  u.root.setAttribute("role", "group");
  u.root.setAttribute("aria-label", `${panel.title || panel.y_label}: left and right arrows tell the values`);
  u.root.addEventListener("keydown", e => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[e.key];
    if (by) { e.preventDefault(); step(by * (e.shiftKey ? 10 : 1), u); }
  });
  PLOTS.push(u);
  return u;
}

function draw(figure) {
  const data = figure.querySelector("script[type='application/json']");
  if (!data || figure.querySelector(".chart")) return;
  const {panels} = JSON.parse(data.textContent);
  const chart = document.createElement("div"), legend = document.createElement("div"), row = document.createElement("div");
  chart.className = "chart"; legend.className = "legend"; row.className = "panels";
  chart.append(legend, row); figure.prepend(chart); figure.classList.add("live");
  const whole = chart.clientWidth, columns = whole < 700 ? 1 : Math.min(panels.length, 3);
  if (panels.some(p => p.below)) row.classList.add("below");
  const width = panels.some(p => p.below) ? Math.min(whole, 1000) : Math.floor(Math.min(whole / columns - 8, 700));
  const plots = panels.map(panel => plot(panel, row, width));
  const lines = new Map(panels.flatMap(p => p.series.map(s => [s.name, s])));
  for (const [name, s] of lines) {
    const button = document.createElement("button"), dash = document.createElement("i");
    button.type = "button"; button.setAttribute("aria-pressed", "true");
    dash.style.borderTop = `3px ${s.dash ? "dashed" : "solid"} ${shade(s.colour)}`;
    button.append(dash, name);
    button.addEventListener("click", () => {
      const show = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(show));
      for (const u of plots) u.series.forEach((each, i) => {
        if (i && (each.label === name || each.band === name)) u.setSeries(i, {show});
      });
    });
    legend.append(button);
  }
}

function look(details) {
  if (!details.open) return;
  for (const figure of details.querySelectorAll("figure")) if (figure.closest("details") === details) draw(figure);
}
document.querySelectorAll("details").forEach(d => d.addEventListener("toggle", () => look(d)));
document.querySelectorAll("figure").forEach(f => { const d = f.closest("details"); if (!d || d.open) draw(f); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => PLOTS.forEach(u => u.redraw(false, true)));

const dialog = document.querySelector("dialog"), large = new Image();
dialog.prepend(large);
document.querySelectorAll("button.enlarge").forEach(button => button.addEventListener("click", () => {
  const of = button.querySelector("img");
  large.src = of.src; large.alt = of.alt; large.className = of.className;
  dialog.showModal();
}));
dialog.addEventListener("click", () => dialog.close());
})();
