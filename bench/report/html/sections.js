// The answer to a choice: its sections, each a chart and a table of the same rows.

const column = (title, name, more = {}) => ({ title, text: (row) => row[name], ...more });
const number = (title, name, by = name.replace(/_text$/, "")) =>
  column(title, name, { number: true, by: (row) => row[by] });
const VARIANT = { title: "variant", text: (row) => row.variant, kind: "name" };

const SPAN = [0.95, 1, 1.4]; // what the axis of the ratios holds at least

const shownRows = (workload) => workload.rows.filter((row) => !state.hidden.has(row.variant));
const timed = (rows) => rows.filter((row) => row.seconds !== null);
const failed = (row) => (row.failed ? "failed" : "");

const warnings = (found) => found.map((parts) => element("p", { className: "warning" }, ...sentence(parts)));

// A table that sorts by itself, without a place in the address; empty columns are left out.
function ownTable(id, every, rows, caption) {
  const columns = every.filter((each) => rows.some((row) => !isEmpty(each.text(row))));
  const show = (sort) => {
    byId(id).replaceChildren(table(columns, rows, { caption, sort, onSort: (next) => keepingFocus(() => show(next)), mark: failed }));
  };
  show("");
}

function showWorkload(workload) {
  const rows = shownRows(workload);
  byId("sentence").replaceChildren(...sentence(workload.answer));
  byId("warnings").replaceChildren(...warnings(workload.warnings));
  return [showRatios(rows), ...showCold(workload, rows), showMemory(rows), showRest(workload, rows)];
}

function showRatios(rows) {
  ownTable("table-ratios", [
    VARIANT,
    number("rank", "rank"),
    number("median step", "seconds_text"),
    number("ratio", "ratio_text"),
    number("95 % interval", "interval", "ratio_low"),
    column("verdict", "word"),
    number("back to back", "throughput_seconds_text"),
    number("IQR", "interquartile_range_text"),
    number("share of GEMM baseline", "gemm_baseline_share_text"),
    number("rate", "flops_per_second_text"),
    column("outliers", "outliers", { number: true }),
  ], rows, "Step times and ratios");
  // Not what a run compares nothing of: a serial one, or one with a single variant.
  const compared = rows.filter((row) => row.ratio !== null).length > 1;
  const ordered = marked(rows);
  const has = (row) => row.ratio !== null;
  return draw("chart-ratios", "ratios", {
    rows: compared ? ordered.filter(has) : [],
    words: ordered.filter((row) => !has(row)),
    span: SPAN.map((at) => ({ at })),
  });
}

function showCold(workload, rows) {
  const found = timed(rows).filter((row) => row.cold_seconds > 0);
  byId("cold").hidden = !found.length;
  byId("sentence-cold").replaceChildren(...sentence(workload.cold));
  ownTable("table-cold", [
    VARIANT,
    number("interpreter", "start_seconds_text"),
    number("import", "import_seconds_text"),
    number("build", "build_seconds_text"),
    number("first call", "first_call_seconds_text"),
    number("total", "cold_seconds_text"),
    number("later step", "seconds_text"),
  ], found, "Cold start");
  const lines = found.map((row) => ({ ...row, reach: workload.reach }));
  return [
    draw("chart-totals", "totals", { rows: marked(lines), overtakes: workload.overtakes }),
    draw("chart-cold", "cold", { rows: marked(found) }),
  ];
}

function showMemory(rows) {
  // A device with memory of its own counts that.
  const found = timed(rows).map((row) => ({
    ...row,
    least_bytes: row.peak_device_bytes ?? row.least_host_bytes,
    most_bytes: row.peak_device_bytes ?? row.peak_host_bytes,
    memory: row.peak_device_bytes_text || row.memory,
  })).filter((row) => row.most_bytes > 0);
  byId("memory").hidden = !found.length;
  ownTable("table-memory", [
    VARIANT,
    { title: "memory", text: (row) => row.memory, by: (row) => row.most_bytes, number: true },
  ], found, "Memory");
  return draw("chart-memory", "memory", { rows: marked(found) });
}

function showRest(workload, rows) {
  ownTable("table-agreement", [
    VARIANT,
    column("agreement", "agreement", { kind: "long" }),
    column("path", "path", { kind: "long" }),
    column("reason", "reason", { kind: "long" }),
  ], rows, "Agreement and path");
  byId("about").replaceChildren(...workload.about.map((parts) => element("p", {}, ...sentence(parts))));
  showRuns(workload);
}

// The same workload in every run that has it.
function showRuns(workload) {
  const same = data.workloads.filter((other) =>
    other.choice.slice(1).every((value, i) => value === workload.choice[i + 1]));
  byId("runs").hidden = same.length < 2;
  if (same.length < 2) return;
  const variants = [...new Set(same.flatMap((each) => shownRows(each).map((row) => row.variant)))];
  const rows = variants.map((variant) => ({
    variant,
    in: same.map((each) => each.rows.find((row) => row.variant === variant)),
  }));
  const columns = same.flatMap((each, i) => [
    { title: `${each.choice[0]}: step`, number: true, text: (row) => row.in[i]?.seconds_text || (row.in[i]?.word ?? ""), by: (row) => row.in[i]?.seconds },
    { title: `ratio${" ".repeat(i)}`, number: true, text: (row) => row.in[i]?.ratio_text ?? "", by: (row) => row.in[i]?.ratio },
  ]);
  ownTable("table-runs", [VARIANT, ...columns], rows, "The same workload in each run");
}

function showCurve(sweep) {
  byId("sentence").replaceChildren(sweep.lead);
  byId("warnings").replaceChildren();
  const points = workloadsOf(sweep);
  const found = points.flatMap((workload, i) =>
    shownRows(workload).map((row) => ({ ...row, at: sweep.values[i] })));
  const rows = timed(found);
  const baseline = points.flatMap((workload, i) => (workload.baseline === null ? [] : [{
    variant: BASELINE, at: sweep.values[i], seconds: workload.baseline, seconds_text: workload.baseline_text,
    ratio_text: "", interval: "",
  }]));
  showCurveTable(sweep, points, found, baseline);
  const params = { values: sweep.values };
  return [
    draw("chart-times", `times_${sweep.axis}`, { rows: marked([...rows, ...baseline]) }, params),
    draw("chart-ratios-along", `ratios_${sweep.axis}`, { rows: marked(rows.filter((row) => row.ratio !== null)) }, params),
  ];
}

function showCurveTable(sweep, points, rows, baseline) {
  const variants = [...new Set(rows.map((row) => row.variant))];
  const step = (row) => {
    if (!row) return "";
    if (row.seconds === null) return row.word;
    return row.rank ? `${row.seconds_text} #${row.rank}` : row.seconds_text;
  };
  const at = (variant, value) => [...rows, ...baseline].find((row) => row.variant === variant && row.at === value);
  const lines = sweep.values.map((value, i) => ({
    head: link(points[i], `${sweep.axis} ${value}`),
    text: (variant) => step(at(variant, value)),
  }));
  lines.push({ head: "exponent", text: (variant) => sweep.growth[variant] ?? "" });
  const names = baseline.length ? [...variants, BASELINE] : variants;
  const columns = [
    { title: sweep.axis, text: (line) => line.head },
    ...names.map((variant) => ({ title: variant, number: true, text: (line) => line.text(variant) })),
  ];
  const note = "#1 is the first rank. The exponent is that of a power law fitted to the points, with its 95 % interval: 1 means that the time doubles when the axis doubles.";
  byId("table-curve").replaceChildren(
    table(columns, lines, { caption: `Steps along ${sweep.axis}` }),
    element("p", { className: "note" }, note),
  );
}
