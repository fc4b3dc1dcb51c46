// Tables. A column is { title, text(row), by(row), number, kind }: `by` is what it sorts by.

const column = (title, name, more = {}) => ({ title, text: (row) => row[name], ...more });
const number = (title, name, by = name.replace(/_text$/, "")) =>
  column(title, name, { number: true, by: (row) => row[by] });
const VARIANT = column("variant", "variant", { kind: "name" });

function table(columns, rows, { caption, sort = "", onSort, mark = () => "" }) {
  const [by, direction] = sortOf(columns, sort);
  const order = (each) => {
    if (each !== by) return "none";
    return direction > 0 ? "ascending" : "descending";
  };
  const head = columns.map((each) => heading(each, caption, onSort && order(each), onSort));
  const body = sorted(rows, by, direction).map((row) =>
    element("tr", { className: mark(row) }, ...columns.map((each) => cell(each, row))));
  const found = element("table", { "aria-label": caption },
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...body));
  const region = { className: "wide", tabIndex: 0, role: "region", "aria-label": caption };
  return element("div", region, found);
}

function heading(column, caption, order, onSort) {
  const properties = { scope: "col", className: column.number ? "number" : "" };
  if (!order) return element("th", properties, column.title);
  const next = order === "ascending" ? `-${column.title}` : column.title;
  const focus = `${caption}: ${column.title}`;
  const press = { type: "button", "data-focus": focus, onclick: () => onSort(next) };
  const button = element("button", press, column.title);
  return element("th", { ...properties, "aria-sort": order }, button);
}

function cell(column, row) {
  const content = column.text(row) ?? "";
  const cut = column.kind === "name" && typeof content === "string";
  const className = column.number ? "number" : (column.kind ?? "");
  return element("td", { className, title: cut ? content : "" }, content);
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
    const numbers = typeof x === "number" && typeof y === "number";
    return direction * (numbers ? x - y : String(x).localeCompare(String(y)));
  });
}

// A table that sorts by itself, without a place in the address; empty columns are left out.
function ownTable(id, every, rows, caption) {
  const columns = every.filter((each) => rows.some((row) => !isEmpty(each.text(row))));
  const show = (sort) => {
    const onSort = (next) => keepingFocus(() => show(next));
    byId(id).replaceChildren(table(columns, rows, { caption, sort, onSort, mark: failed }));
  };
  show("");
}

const failed = (row) => (row.failed ? "failed" : "");
