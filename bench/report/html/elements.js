// Elements of the page. Text is only ever set as text: no value of a record becomes markup.

const isEmpty = (value) => value === null || value === undefined || value === "";
const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") found.setAttribute(name, value);
    else found[name] = value;
  }
  found.append(...children);
  return found;
}

// What replaces the element that has the focus gives it to the one that has its place.
function keepingFocus(render) {
  const name = document.activeElement?.dataset.focus;
  const result = render();
  if (name && document.activeElement?.dataset.focus !== name) {
    [...document.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === name)?.focus();
  }
  return result;
}

// Parts of a sentence: pairs of a text and "strong", "code" or nothing.
const sentence = (parts) => parts.map(([text, mark]) => (mark ? element(mark, {}, text) : text));

const link = (item, text) => element("a", { href: addressOf({ ...state, item }) }, text);

function svg(tag, attributes) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  return found;
}

const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
const markOf = (variant) => {
  const mark = variant === BASELINE ? data.baseline : data.marks[variant];
  return { ...mark, colour: mark.colour || ink() };
};

// The dash and the marker of a variant, as in the charts.
function swatch(variant) {
  const { colour, shape, dash } = markOf(variant);
  const found = svg("svg", { class: "swatch", width: 30, height: 12, "aria-hidden": "true" });
  found.append(
    svg("line", { x1: 0, y1: 6, x2: 30, y2: 6, stroke: colour, "stroke-width": 2, "stroke-dasharray": dash.join(" ") }),
    svg("path", { d: shape, fill: colour, transform: "translate(15 6) scale(4.5)" }),
  );
  return found;
}

// Columns: { title, text(row), by(row)?, number?, kind? }. `by` is what a column sorts by.
function table(columns, rows, { caption, sort = "", onSort, mark } = {}) {
  const [column, direction] = sortOf(columns, sort);
  const head = columns.map((each) => {
    const properties = { scope: "col", className: each.number ? "number" : "" };
    if (!onSort) return element("th", properties, each.title);
    const order = each === column ? (direction > 0 ? "ascending" : "descending") : "none";
    const next = each === column && direction > 0 ? `-${each.title}` : each.title;
    const focus = `${caption}: ${each.title}`;
    const button = element("button", { type: "button", "data-focus": focus, onclick: () => onSort(next) }, each.title);
    return element("th", { ...properties, "aria-sort": order }, button);
  });
  const body = sorted(rows, column, direction).map((row) => {
    const cells = columns.map((each) => {
      const content = each.text(row) ?? "";
      const kind = each.number ? "number" : (each.kind ?? "");
      return element("td", { className: kind, title: each.kind === "name" && typeof content === "string" ? content : "" }, content);
    });
    return element("tr", { className: mark?.(row) ?? "" }, ...cells);
  });
  const found = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  if (caption) found.setAttribute("aria-label", caption);
  return element("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": caption ?? "Table" }, found);
}

function sortOf(columns, sort) {
  const title = sort.replace(/^-/, "");
  return [columns.find((each) => each.title === title), sort.startsWith("-") ? -1 : 1];
}

// Numbers by size, text by its letters; what is missing comes last either way.
function sorted(rows, column, direction) {
  if (!column) return rows;
  const by = column.by ?? column.text;
  return rows.slice().sort((a, b) => {
    const [x, y] = [by(a), by(b)];
    if (isEmpty(x) || isEmpty(y)) return isEmpty(x) - isEmpty(y);
    const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
    return direction * order;
  });
}
