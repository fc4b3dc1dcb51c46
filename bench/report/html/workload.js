// The answer for one workload: its sections, each a chart and a table of the same rows.

const SPAN = [0.95, 1, 1.4]; // what the axis of the ratios holds at least

const shownRows = (workload) => workload.rows.filter((row) => !state.hidden.has(row.variant));
const timed = (rows) => rows.filter((row) => row.seconds !== null);
const warnings = (found) =>
  found.map((parts) => element("p", { className: "warning" }, ...sentence(parts)));

function showWorkload(workload) {
  const rows = shownRows(workload);
  byId("sentence").replaceChildren(...sentence(workload.answer));
  byId("warnings").replaceChildren(...warnings(workload.warnings));
  showRest(workload, rows);
  showRuns(workload);
  return [
    showRatios(rows),
    ...showCold(workload, rows),
    ...showLearning(workload),
    showMemory(rows),
  ];
}

function showRatios(rows) {
  ownTable("table-ratios", [
    VARIANT,
    number("rank", "rank"),
    number("median step", "seconds_text"),
    number("ratio", "ratio_text"),
    number("95 % interval", "interval", "ratio_low"),
    column("verdict", "word"),
    number("90 %", "step_p90_seconds_text"),
    number("99 %", "step_p99_seconds_text"),
    number("worst", "step_worst_seconds_text"),
    number("back to back", "throughput_seconds_text"),
    number("IQR", "interquartile_range_text"),
    number("share of GEMM baseline", "gemm_baseline_share_text"),
    number("rate", "flops_per_second_text"),
    column("outliers", "outliers", { number: true }),
  ], rows, "Step times and ratios");
  // There is no chart of a run that compares nothing: a serial one, or of a single variant.
  const compared = (row) => row.ratio !== null;
  const ordered = rows.filter(compared).length > 1 ? marked(rows) : [];
  byId("ratios-title").textContent = ordered.length ? "Who is fastest" : "Step times";
  byId("ratios-note").hidden = !ordered.length;
  return draw("chart-ratios", "ratios", {
    rows: ordered.filter(compared),
    words: ordered.filter((row) => !compared(row)),
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
    memory: row.peak_device_bytes_text || row.memory || "not counted",
  }));
  const counted = found.filter((row) => row.most_bytes > 0);
  byId("memory").hidden = !counted.length;
  ownTable("table-memory", [VARIANT, number("memory", "memory", "most_bytes")], found, "Memory");
  return draw("chart-memory", "memory", { rows: marked(counted) });
}

function showRest(workload, rows) {
  ownTable("table-agreement", [
    VARIANT,
    column("agreement", "agreement", { kind: "long" }),
    column("path", "path", { kind: "long" }),
    column("reason", "reason", { kind: "long" }),
  ], rows, "Agreement and path");
  const about = workload.about.map((parts) => element("p", {}, ...sentence(parts)));
  byId("about").replaceChildren(...about);
}

// The same workload in every run that has it.
function showRuns(workload) {
  const same = data.workloads.filter((other) =>
    other.choice.slice(1).every((value, i) => value === workload.choice[i + 1]));
  byId("runs").hidden = same.length < 2;
  if (same.length < 2) return;
  const variants = new Set(same.flatMap((each) => shownRows(each).map((row) => row.variant)));
  const rows = [...variants].map((variant) => ({
    variant,
    in: same.map((each) => each.rows.find((row) => row.variant === variant)),
  }));
  const columns = same.flatMap((each, i) => {
    const of = (name) => (row) => row.in[i]?.[name] ?? "";
    const own = (word, name) => ({
      title: `${word} in ${each.choice[0]}`,
      number: true,
      text: of(`${name}_text`),
      by: of(name),
    });
    return [own("step", "seconds"), own("ratio", "ratio")];
  });
  ownTable("table-runs", [VARIANT, ...columns], rows, "The same workload in each run");
}
