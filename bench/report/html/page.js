// Puts the page together, and again whenever the address changes.

const MOST_ROWS = 50; // of the table of all measurements, until all are asked for
const MOST_FAILURES = 8; // that stand at the top by name
const PHASES = {
  forward: "forward: outputs alone",
  bptt: "bptt: loss and all gradients",
  train_step: "train_step: bptt and update",
};
const controls = NAMES.map((name, i) => {
  const select = element("select", { id: `choice-${name}` });
  select.onchange = () => {
    const wishes = state.item.choice.with(i, select.value);
    change({ item: nearest(wishes, i) });
  };
  return select;
});
let everyRow = false;

function showChoices() {
  const { item } = state;
  controls.forEach((select, i) => {
    const found = options(item, i);
    const curves = new Set(NAMES[i] === "size" ? data.sweeps.map((sweep) => sweep.choice[i]) : []);
    const option = (value) => element("option", { value, selected: value === item.choice[i] }, NAMES[i] === "phase" ? (PHASES[value] ?? value) : value);
    const sizes = found.filter((value) => !curves.has(value)).map(option);
    const others = found.filter((value) => curves.has(value)).map(option);
    select.replaceChildren(...sizes, ...(others.length ? [element("optgroup", { label: "curves" }, ...others)] : []));
    select.disabled = found.length < 2;
    select.parentElement.hidden = found.length < 2 && items.every((one) => one.choice[i] === item.choice[i]) && (NAMES[i] === "run" || NAMES[i] === "threads");
  });
}

function showVariants() {
  const names = [...new Set(workloadsOf(state.item).flatMap((each) => each.rows.map((row) => row.variant)))];
  byId("variants").replaceChildren(...names.map((name) => {
    const hidden = state.hidden.has(name);
    const toggle = () => {
      const next = new Set(state.hidden);
      if (!next.delete(name)) next.add(name);
      change({ hidden: next });
    };
    const properties = { type: "button", "aria-pressed": String(!hidden), "data-focus": `variant ${name}`, title: name, onclick: toggle };
    return element("button", properties, swatch(name), element("span", {}, name));
  }));
  if (isCurve(state.item)) {
    byId("variants").append(element("span", { className: "baseline" }, swatch(BASELINE), element("span", {}, BASELINE)));
  }
}

const placeOf = ({ choice, id }) => (data.runs.length > 1 ? `${choice[0]}: ${id}` : id);

function showHead() {
  const run = data.runs.find((each) => each.name === state.item?.choice[0]) ?? data.runs[0];
  const wrong = allRows.filter((row) => row.failed);
  const failures = wrong.slice(0, MOST_FAILURES).flatMap((row, i) => [
    i ? "; " : "", element("strong", {}, row.variant), ` ${row.word} in `, link(row.workload, placeOf(row.workload)),
  ]);
  if (wrong.length > MOST_FAILURES) {
    const all = element("a", { href: addressOf({ ...state, failed: true, find: "" }) }, `all ${wrong.length}`);
    failures.push("; ", all);
  }
  const count = run.warnings.length;
  const more = count ? `; ${count} warning${count > 1 ? "s" : ""}` : "";
  byId("run").replaceChildren(
    ...(wrong.length ? [element("p", { className: "warning failure", id: "failures" }, ...failures, ".")] : []),
    element("p", { className: "machine" }, ...sentence(run.agreement)),
    element("details", { id: "machine-and-load" },
      element("summary", {}, `Machine and load${data.runs.length > 1 ? ` of ${run.name}` : ""}${more}`),
      element("p", { className: "machine" }, ...sentence(run.machine)),
      ...warnings(run.warnings)),
  );
}

function showAll() {
  const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
  const plain = (row) => [...row.workload.choice, row.variant, row.word, row.reason].join(" ").toLowerCase();
  const rows = allRows.filter((row) => (!state.failed || row.failed) && words.every((word) => plain(row).includes(word)));
  const choices = NAMES.map((name, i) => ({ title: name, kind: "name", text: (row) => row.workload.choice[i] }))
    .filter((_, i) => items.some((one) => one.choice[i] !== items[0].choice[i]));
  const columns = [
    ...choices,
    { title: "variant", kind: "name", text: (row) => link(row.workload, row.variant), by: (row) => row.variant },
    number("rank", "rank"),
    number("median step", "seconds_text"),
    number("ratio", "ratio_text"),
    number("95 % interval", "interval", "ratio_low"),
    { title: "verdict", text: (row) => row.word },
    number("first call", "first_call_seconds_text"),
    number("memory", "memory", "peak_host_bytes"),
    column("reason", "reason", { kind: "long" }),
  ];
  const [by, direction] = sortOf(columns, state.sort);
  const shown = sorted(rows, by, direction).slice(0, everyRow ? rows.length : MOST_ROWS);
  byId("count").value = `${rows.length} of ${allRows.length} measurements`;
  const chosen = new Set(workloadsOf(state.item));
  byId("table-all").replaceChildren(table(columns, shown, {
    caption: "All measurements",
    sort: state.sort,
    onSort: (sort) => change({ sort }),
    mark: (row) => `${failed(row)} ${chosen.has(row.workload) ? "here" : ""}`.trim(),
  }));
  if (shown.length < rows.length) {
    const more = () => { everyRow = true; showAll(); };
    byId("table-all").append(element("button", { type: "button", onclick: more }, `Show all ${rows.length}`));
  }
}

function showRunsAbout() {
  byId("runs-about").replaceChildren(...data.runs.flatMap((run) => {
    const versions = Object.entries(run.versions).map(([variant, text]) => ({ variant, text }));
    return [
      element("h3", {}, run.name),
      element("p", {}, `Started ${run.started}; rnnbench ${run.project}. This command repeats the run:`),
      element("pre", {}, run.command),
      table([VARIANT, { title: "versions", kind: "long", text: (row) => row.text }], versions, { caption: `Versions in ${run.name}` }),
    ];
  }));
}

function showItem() {
  const { item } = state;
  const curve = isCurve(item);
  byId("title").textContent = item.choice.slice(data.runs.length > 1 ? 0 : 1).join(", ");
  byId("curve").hidden = !curve;
  byId("workload").hidden = curve;
  if (byId("find").value !== state.find) byId("find").value = state.find;
  byId("failed").checked = state.failed;
  showChoices();
  showVariants();
  showAll();
  return curve ? showCurve(item) : showWorkload(item);
}

async function show() {
  state = readAddress();
  showHead();
  if (state.item) {
    await Promise.all(keepingFocus(showItem));
  } else {
    byId("sentence").textContent = "Nothing was measured.";
    for (const id of ["choices", "variants", "curve", "workload", "all"]) byId(id).hidden = true;
  }
  document.body.dataset.shown = location.hash; // for tests: all of this address is there
}

byId("choices").append(...NAMES.map((name, i) => element("label", {}, data.choices[name], controls[i])));
byId("choices").onsubmit = byId("filter").onsubmit = (event) => event.preventDefault();
byId("find").oninput = () => change({ find: byId("find").value });
byId("failed").onchange = () => change({ failed: byId("failed").checked });
// Whoever follows a link reads on at the answer.
document.body.addEventListener("click", ({ target }) => { if (target.closest("a")) byId("title").focus(); });
addEventListener("hashchange", show);
dark.addEventListener("change", show);
showRunsAbout();
await show();
performance.mark("interactive"); // choices, tables and charts of the first view are there
