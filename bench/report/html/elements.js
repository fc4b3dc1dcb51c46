// Elements of the page. Text is only ever set as text: no value of a record becomes markup.

const byId = (id) => document.getElementById(id);
const isEmpty = (value) => value === null || value === undefined || value === "";

function element(tag, properties = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") found.setAttribute(name, value);
    else found[name] = value;
  }
  found.append(...children);
  return found;
}

// Parts of a sentence: pairs of a text and "strong", "code" or nothing.
const sentence = (parts) => parts.map(([text, mark]) => (mark ? element(mark, {}, text) : text));

// A link to `changes` of what is chosen. Whoever follows it reads on at the answer.
function link(changes, text) {
  const found = element("a", { href: addressOf({ ...state, ...changes }) }, text);
  found.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    change(changes);
    byId("title").focus();
  };
  return found;
}

// What replaces the element that has the focus gives it to the one that has its place.
function keepingFocus(render) {
  const name = document.activeElement?.dataset.focus;
  const result = render();
  if (name && document.activeElement?.dataset.focus !== name) {
    const places = [...document.querySelectorAll("[data-focus]")];
    places.find((each) => each.dataset.focus === name)?.focus();
  }
  return result;
}

const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();

function markOf(variant) {
  const mark = variant === BASELINE ? data.baseline : data.marks[variant];
  return { colour: mark.colour || ink(), shape: mark.shape, dash: mark.dash };
}

function svg(tag, attributes) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  return found;
}

// The dash and the marker of a variant, as in the charts.
function swatch(variant) {
  const { colour, shape, dash } = markOf(variant);
  const found = svg("svg", { class: "swatch", width: 30, height: 12, "aria-hidden": "true" });
  const line = { x1: 0, y1: 6, x2: 30, y2: 6, stroke: colour, "stroke-width": 2 };
  found.append(
    svg("line", { ...line, "stroke-dasharray": dash.join(" ") }),
    svg("path", { d: shape, fill: colour, transform: "translate(15 6) scale(4.5)" }),
  );
  return found;
}
