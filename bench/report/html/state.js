// What is on the page, and what of it the address chooses.

const data = JSON.parse(document.getElementById("data").textContent);
const NAMES = Object.keys(data.choices); // "run", "task", ...
const BASELINE = data.baseline.name;

// Rows become objects, and know their workload.
data.workloads.forEach((workload) => {
  workload.rows = workload.rows.map((values) => {
    const row = Object.fromEntries(data.columns.map((column, i) => [column, values[i]]));
    return { ...row, workload };
  });
});
const items = [...data.workloads, ...data.sweeps]; // what can be chosen
const allRows = data.workloads.flatMap((workload) => workload.rows);

const isCurve = (item) => item.points !== undefined;
const workloadsOf = (item) => (isCurve(item) ? item.points.map((i) => data.workloads[i]) : [item]);
const differs = NAMES.map((_, i) => items.some((one) => one.choice[i] !== items[0].choice[i]));

// The item that has the value at `changed`, and of the other wishes as many as possible; a choice
// further left counts more.
function nearest(wishes, changed = -1) {
  const weight = (i) => (i === changed ? 2 ** (NAMES.length + 1) : 2 ** (NAMES.length - i));
  let best = null;
  let most = -1;
  for (const item of items) {
    const score = item.choice.reduce((sum, v, i) => sum + (v === wishes[i] ? weight(i) : 0), 0);
    if (score > most) [best, most] = [item, score];
  }
  return best;
}

// The values that can be chosen at `i`, given all choices left of it.
function options(item, i) {
  const left = items.filter((one) => one.choice.slice(0, i).every((v, j) => v === item.choice[j]));
  return [...new Set(left.map((one) => one.choice[i]))];
}

function readAddress() {
  const found = new URLSearchParams(location.hash.slice(1));
  return {
    item: items.length ? nearest(NAMES.map((name) => found.get(name))) : null,
    hidden: new Set(found.getAll("hide")),
    sort: found.get("sort") ?? "",
    find: found.get("find") ?? "",
    failed: found.has("failed"),
  };
}

function addressOf({ item, hidden, sort, find, failed }) {
  const found = new URLSearchParams();
  // What is the same in all of the page needs no place in the address.
  NAMES.forEach((name, i) => { if (differs[i]) found.set(name, item.choice[i]); });
  [...hidden].sort().forEach((name) => found.append("hide", name));
  if (sort) found.set("sort", sort);
  if (find) found.set("find", find);
  if (failed) found.set("failed", "");
  return `#${found}`;
}

let state = readAddress();

// Every change goes through the address: it can be shared, and the browser's "back" undoes it.
function change(changes) {
  location.hash = addressOf({ ...state, ...changes });
}
