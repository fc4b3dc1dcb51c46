// All measurements of the page, to sort and to filter.

const MOST_ROWS = 50; // until all are asked for
let everyRow = false;

const CHOSEN = NAMES.map((name, i) => (
  { title: name, kind: "name", text: (row) => row.workload.choice[i] }
)).filter((_, i) => differs[i]);
const ALL_COLUMNS = [
  {
    title: "variant",
    kind: "name",
    text: (row) => link({ item: row.workload }, row.variant),
    by: (row) => row.variant,
  },
  ...CHOSEN,
  number("rank", "rank"),
  number("median step", "seconds_text"),
  number("ratio", "ratio_text"),
  number("95 % interval", "interval", "ratio_low"),
  column("verdict", "word"),
  number("first call", "first_call_seconds_text"),
  number("memory", "memory", "peak_host_bytes"),
  column("reason", "reason", { kind: "long" }),
].filter((each) => allRows.some((row) => !isEmpty((each.by ?? each.text)(row))));

const plain = (row) =>
  [...row.workload.choice, row.variant, row.word, row.reason].join(" ").toLowerCase();

function showAll() {
  const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = allRows.filter((row) =>
    (!state.failed || row.failed) && words.every((word) => plain(row).includes(word)));
  const shown = sorted(rows, ...sortOf(ALL_COLUMNS, state.sort));
  const chosen = new Set(workloadsOf(state.item));
  byId("count").value = `${rows.length} of ${allRows.length} measurements`;
  byId("table-all").replaceChildren(
    table(ALL_COLUMNS, everyRow ? shown : shown.slice(0, MOST_ROWS), {
      caption: "All measurements",
      sort: state.sort,
      onSort: (sort) => change({ sort }),
      mark: (row) => `${failed(row)} ${chosen.has(row.workload) ? "here" : ""}`.trim(),
    }),
  );
  if (!everyRow && rows.length > MOST_ROWS) {
    const more = () => { everyRow = true; showAll(); };
    const button = { type: "button", onclick: more };
    byId("table-all").append(element("button", button, `Show all ${rows.length}`));
  }
}
