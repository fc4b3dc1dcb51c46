// Puts the page together, and again whenever the address changes.

const MOST_FAILURES = 8; // that stand at the top by name
const PHASES = {
  forward: "forward: outputs alone",
  bptt: "bptt: loss and all gradients",
  train_step: "train_step: bptt and update",
  learn: "learn: to the target",
  stream: "stream: one step a call",
};
const several = data.runs.length > 1;
const controls = NAMES.map((name, i) => {
  const select = element("select", { id: `choice-${name}` });
  select.onchange = () => {
    change({ item: nearest(state.item.choice.with(i, select.value), i) });
  };
  return select;
});

function showChoices() {
  controls.forEach((select, i) => {
    const chosen = state.item.choice[i];
    const option = (value) => {
      const words = NAMES[i] === "phase" ? (PHASES[value] ?? value) : value;
      return element("option", { value, selected: value === chosen }, words);
    };
    const values = options(state.item, i);
    const isSize = (value) => NAMES[i] !== "size" || !curves.has(value);
    const others = values.filter((value) => !isSize(value)).map(option);
    select.replaceChildren(...values.filter(isSize).map(option));
    if (others.length) select.append(element("optgroup", { label: "curves" }, ...others));
    select.disabled = values.length < 2;
    select.parentElement.hidden = !differs[i] && ["run", "threads"].includes(NAMES[i]);
  });
}
const curves = new Set(data.sweeps.map((sweep) => sweep.choice.at(-1)));

function showVariants() {
  const rows = workloadsOf(state.item).flatMap((each) => each.rows);
  const names = [...new Set(rows.map((row) => row.variant))];
  const buttons = names.map((name) => {
    const button = element("button", {
      type: "button",
      title: name,
      "aria-pressed": String(!state.hidden.has(name)),
      "data-focus": `variant ${name}`,
    }, swatch(name), element("span", {}, name));
    button.onclick = () => {
      const hidden = new Set(state.hidden);
      if (!hidden.delete(name)) hidden.add(name);
      change({ hidden });
    };
    return button;
  });
  if (isCurve(state.item)) {
    const words = element("span", {}, BASELINE);
    buttons.push(element("span", { className: "baseline" }, swatch(BASELINE), words));
  }
  byId("variants").replaceChildren(...buttons);
}

function showHead() {
  const run = data.runs.find((each) => each.name === state.item?.choice[0]) ?? data.runs[0];
  const count = run.warnings.length;
  const summary = [
    `Machine and load${several ? ` of ${run.name}` : ""}`,
    ...(count ? [`${count} warning${count > 1 ? "s" : ""}`] : []),
  ].join("; ");
  byId("run").replaceChildren(
    ...failures(),
    element("p", { className: "machine" }, ...sentence(run.agreement)),
    element("details", { id: "machine-and-load" },
      element("summary", {}, summary),
      element("p", { className: "machine" }, ...sentence(run.load)),
      ...warnings(run.warnings)),
  );
}

// What failed in any run, each with a link to its workload.
function failures() {
  const wrong = allRows.filter((row) => row.failed);
  if (!wrong.length) return [];
  const parts = wrong.slice(0, MOST_FAILURES).flatMap((row, i) => {
    const { choice, id } = row.workload;
    const place = link({ item: row.workload }, several ? `${choice[0]}: ${id}` : id);
    return [i ? "; " : "", element("strong", {}, row.variant), ` ${row.word} in `, place];
  });
  if (wrong.length > MOST_FAILURES) {
    const all = element("a", { href: "#all" }, `all ${wrong.length}`);
    all.onclick = (event) => {
      event.preventDefault();
      change({ failed: true, find: "" });
      byId("find").focus();
    };
    parts.push("; ", all);
  }
  return [element("p", { className: "warning failure", id: "failures" }, ...parts, ".")];
}

function showRunsAbout() {
  const versions = column("versions", "text", { kind: "long" });
  byId("runs-about").replaceChildren(...data.runs.flatMap((run) => {
    const rows = Object.entries(run.versions).map(([variant, text]) => ({ variant, text }));
    const machine = run.machine.flatMap(([title, parts]) => [
      element("dt", {}, title), element("dd", {}, ...sentence(parts)),
    ]);
    const started = `Started ${run.started}; rnnbench ${run.project}.`;
    return [
      element("h3", {}, run.name),
      element("dl", {}, ...machine),
      element("p", {}, `${started} This command repeats the run:`),
      element("pre", {}, run.command),
      table([VARIANT, versions], rows, { caption: `Versions in ${run.name}` }),
    ];
  }));
}

function showItem() {
  const { item } = state;
  byId("title").textContent = item.choice.slice(several ? 0 : 1).join(", ");
  byId("curve").hidden = !isCurve(item);
  byId("workload").hidden = isCurve(item);
  showChoices();
  showVariants();
  return isCurve(item) ? showCurve(item) : showWorkload(item);
}

let answered = ""; // the part of the address that the answer follows from

async function show() {
  state = readAddress();
  showHead();
  if (state.item) {
    if (byId("find").value !== state.find) byId("find").value = state.find;
    byId("failed").checked = state.failed;
    // Sorting and filtering draw nothing again.
    const answer = addressOf({ ...state, sort: "", find: "", failed: false }) + dark.matches;
    const draws = keepingFocus(() => {
      showAll();
      return answer === answered ? [] : showItem();
    });
    answered = answer;
    await Promise.all(draws);
  } else {
    byId("sentence").textContent = "Nothing was measured.";
    for (const id of ["choices", "variants", "curve", "workload", "all"]) byId(id).hidden = true;
  }
  document.body.dataset.shown = location.hash; // for tests: all of this address is there
}

const labels = NAMES.map((name, i) => element("label", {}, data.choices[name], controls[i]));
byId("choices").append(...labels);
byId("choices").onsubmit = byId("filter").onsubmit = (event) => event.preventDefault();
byId("find").oninput = () => {
  // Not a step for "back" with each letter.
  history.replaceState(null, "", addressOf({ ...state, find: byId("find").value }));
  show();
};
byId("failed").onchange = () => change({ failed: byId("failed").checked });
addEventListener("hashchange", show);
dark.addEventListener("change", show);
showRunsAbout();
await show();
performance.mark("interactive"); // choices, tables and charts of the first view are there
