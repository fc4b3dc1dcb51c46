// Draws the charts, whose descriptions come with the page; each draw fills in the rows.

const specs = JSON.parse(document.getElementById("charts").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map(); // by the id of the element: what ends its last view

function theme() {
  const style = getComputedStyle(document.documentElement);
  const [colour, quiet, line] = ["--ink", "--quiet", "--line"].map((name) =>
    style.getPropertyValue(name).trim());
  const labels = { labelColor: colour, labelFontSize: 12 };
  return {
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: "transparent" },
    axis: {
      ...labels,
      titleColor: quiet,
      titleFontSize: 12,
      titleFontWeight: "normal",
      gridColor: line,
      gridOpacity: 0.7,
      domainColor: line,
      tickColor: line,
    },
    legend: { ...labels, symbolFillColor: quiet, symbolStrokeWidth: 0 },
    rule: { color: colour },
    text: { color: colour, fontSize: 12 },
    style: { ring: { stroke: colour, opacity: 1 } },
  };
}

// What is shown when a mark is hovered over: markup, so its text goes through elements.
function hover(values) {
  const lines = Object.entries(values).filter(([, text]) => text !== "");
  const rows = lines.map(([title, text]) =>
    element("tr", {},
      element("td", { className: "key" }, title),
      element("td", { className: "value" }, String(text))));
  return element("table", {}, ...rows).outerHTML;
}

// The rows with the marks of their variants, and their order.
const marked = (rows) =>
  rows.map(({ workload, ...row }, place) => ({ ...row, ...markOf(row.variant), place }));

function filled(name, datasets, params) {
  const spec = structuredClone(specs[name]);
  // A layer without data would leave its axis without an end.
  if (spec.layer) {
    spec.layer = spec.layer.filter((layer) => datasets[(layer.data ?? spec.data).name].length);
  }
  // Vega-Lite warns of a height by rows beside a width that fits, so the rows are counted here.
  if (spec.height.step) {
    const variants = [...datasets.rows, ...(datasets.words ?? [])].map((row) => row.variant);
    spec.height = spec.height.step * new Set(variants).size;
  }
  for (const param of spec.params ?? []) {
    if (param.name in params) param.value = params[param.name];
  }
  return { ...spec, datasets };
}

// Puts the chart `name` into the element `id`; hides the element where there are no rows.
async function draw(id, name, datasets, params = {}) {
  const place = byId(id);
  drawn.get(id)?.();
  drawn.delete(id);
  place.hidden = !datasets.rows.length;
  place.replaceChildren();
  if (place.hidden) return;
  let ended = false;
  drawn.set(id, () => { ended = true; });
  const holder = element("div");
  place.append(holder);
  const result = await vegaEmbed(holder, filled(name, datasets, params), {
    actions: false,
    renderer: "svg",
    ast: true, // expressions are interpreted: the page allows no code from strings
    config: theme(),
    tooltip: { theme: dark.matches ? "dark" : "light", formatTooltip: hover },
  });
  if (ended) result.finalize();
  else drawn.set(id, () => result.finalize());
}
