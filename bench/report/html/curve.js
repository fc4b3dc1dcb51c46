// The answer for a curve: workloads that differ in T, B or H alone.

const CURVE_NOTE = "#1 is the first rank. The exponent is that of a power law fitted to the "
  + "points, with its 95 % interval: 1 means that the time doubles when the axis doubles.";

function showCurve(sweep) {
  byId("sentence").replaceChildren(sweep.lead);
  byId("warnings").replaceChildren();
  const points = workloadsOf(sweep);
  const rows = points.flatMap((workload, i) =>
    shownRows(workload).map((row) => ({ ...row, at: sweep.values[i] })));
  const baseline = points.map((workload, i) => ({
    variant: BASELINE,
    at: sweep.values[i],
    seconds: workload.baseline,
    seconds_text: workload.baseline_text,
    ratio_text: "",
    interval: "",
  }));
  showCurveTable(sweep, points, rows, timed(baseline));
  const times = marked([...timed(rows), ...timed(baseline)]);
  const ratios = marked(rows.filter((row) => row.ratio !== null));
  const params = { values: sweep.values };
  return [
    draw("chart-times", `times_${sweep.axis}`, { rows: times }, params),
    draw("chart-ratios-along", `ratios_${sweep.axis}`, { rows: ratios }, params),
  ];
}

function showCurveTable(sweep, points, rows, baseline) {
  const names = [...new Set([...rows, ...baseline].map((row) => row.variant))];
  const lines = sweep.values.map((value, i) => {
    const here = [...rows, ...baseline].filter((row) => row.at === value);
    const found = new Map(here.map((row) => [row.variant, row]));
    return {
      head: link({ item: points[i] }, `${sweep.axis} ${value}`),
      text: (variant) => curveCell(found.get(variant)),
    };
  });
  lines.push({ head: "exponent", text: (variant) => sweep.growth[variant] ?? "" });
  const columns = [
    { title: sweep.axis, text: (line) => line.head },
    ...names.map((variant) => (
      { title: variant, number: true, text: (line) => line.text(variant) }
    )),
  ];
  byId("table-curve").replaceChildren(
    table(columns, lines, { caption: `Steps along ${sweep.axis}` }),
    element("p", { className: "note" }, CURVE_NOTE),
  );
}

function curveCell(row) {
  if (!row) return "";
  if (row.seconds === null) return row.word;
  return row.rank ? `${row.seconds_text} #${row.rank}` : row.seconds_text;
}
