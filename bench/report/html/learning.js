// Nets that learned: a section where there are any.

function showLearning(workload) {
  const { lesson } = workload;
  byId("learning").hidden = !lesson;
  if (!lesson) return [];
  byId("lesson-task").replaceChildren(...sentence(lesson.task));
  byId("sentence-learning").replaceChildren(...sentence(lesson.sentence));
  const timed = new Map(workload.rows.map((row) => [row.variant, row]));
  const rows = lesson.learned
    .filter((row) => !state.hidden.has(row.variant))
    .map((row) => ({ ...timed.get(row.variant), ...row }));
  ownTable("table-learning", [
    VARIANT,
    number("updates", "updates_text"),
    number("they took", "update_seconds_text"),
    number("cold start", "cold_seconds_text"),
    number("to the target", "seconds_to_target_text"),
    number(lesson.metric, "score_text"),
    column("loss then", "loss_text", { number: true }),
    column("parts at update", "parted_text", { number: true }),
  ], rows, "Learning");
  const ordered = marked(rows);
  const reached = (row) => row.seconds_to_target !== null;
  const points = rows.flatMap((row) => row.losses.map(([at, loss]) => (
    { variant: row.variant, at, loss, loss_text: loss.toPrecision(4) }
  )));
  return [
    draw("chart-targets", "targets", {
      rows: ordered.filter(reached),
      words: ordered.filter((row) => !reached(row)),
    }),
    draw("chart-losses", "losses", { rows: marked(points) }),
  ];
}
