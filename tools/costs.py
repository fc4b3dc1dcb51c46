"""What a variant costs before and in its rounds, from the records of runs.

python -m tools.costs fit RUN [...]       print the constants of bench/measurement/costs.toml
python -m tools.costs compare RUN [...]   what --dry-run would have said, and what it took
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy.optimize import least_squares, nnls

from bench.analysis import estimators
from bench.config.phases import STREAM
from bench.config.protocol import Settings
from bench.measurement import costs
from bench.measurement.costs import Work
from bench.measurement.estimate import parts
from bench.records import store
from bench.records.schema import Measurement, WorkloadRecord
from bench.records.workload import LEARN

app = typer.Typer(add_completion=False)
_Runs = Annotated[list[Path], typer.Argument(help="folders of runs")]
LEAST = 8  # measurements of a variant, for constants of its own


def _timed(run: Path) -> Iterator[tuple[WorkloadRecord, list[Measurement]]]:
    """Each timed workload on a CPU with its candidates that ended well."""
    _, measurements, records = store.read(run / store.FILE)
    for record in records:
        workload = record.workload
        if not record.processes or workload.device != "cpu" or workload.phase in (LEARN, STREAM):
            continue
        here = [m for m in measurements if m.workload == workload and m.status == "ok"]
        yield record, [m for m in here if m.round_seconds]


@app.command()
def fit(runs: _Runs) -> None:
    """Print the constants: of a step, of a start and a first call, and of the checks."""
    found: dict[str, list[tuple[Work, float]]] = defaultdict(list)
    cold: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for run in runs:
        for _, candidates in _timed(run):
            for m in candidates:
                if m.role == "gemm baseline":
                    continue
                found[m.variant].append((costs.work(m.workload), estimators.median_seconds(m)))
                one = m.processes[0].cold
                start = one.start_seconds + one.import_seconds
                cold[m.variant].append((start, one.build_seconds + one.first_call_seconds))
    for variant, steps in found.items():
        if len(steps) >= LEAST:
            start, first = np.median(np.array(cold[variant]), axis=0)
            of_step = ", ".join(f"{value:.3g}" for value in _of_step(steps))
            print(f"{variant} = [{start:.2g}, {first:.2g}, {of_step}]")
    for name, values in (
        ("BEFORE", _of_checks(runs, "before")),
        ("AFTER", _of_checks(runs, "after")),
    ):
        print(f"{name} = {values[0]:.2g}, {values[1]:.2g}")


def _of_step(steps: Sequence[tuple[Work, float]]) -> np.ndarray:
    """The four constants of a step, which fit the logarithms of its times best."""
    work = np.array([(w.cells, w.flops, w.elements, 1.0) for w, _ in steps])
    seconds = np.array([seconds for _, seconds in steps])
    units = np.array([1e-6, 1e-9, 1e-9, 1e-6])  # microseconds, ns a flop, ns, microseconds

    def wrong(logs: np.ndarray) -> np.ndarray:
        expected = work @ (np.exp(logs) * units)
        return np.log(expected / seconds) * np.clip(seconds / 0.005, 0.3, 2.0)

    return np.exp(least_squares(wrong, np.array([2.0, -3.0, 0.0, 2.0]), loss="soft_l1").x)


def _of_checks(runs: Sequence[Path], which: str) -> tuple[float, float]:
    """Seconds of a check of one candidate, beside its first call, and in steps."""
    rows, seconds = [], []
    for run in runs:
        started = set[tuple[str, str]]()
        for record, candidates in _timed(run):
            conditions = record.processes[0]
            before = which == "before"
            roles = ("variant", "control") if before else ("variant",)
            candidates = [m for m in candidates if m.role in roles]
            steps = sum(estimators.median_seconds(m) for m in candidates)
            taken = conditions.before_seconds if before else conditions.after_seconds
            if before:
                for m in candidates:
                    one = m.processes[0].cold
                    taken -= one.build_seconds + one.first_call_seconds
                    if (m.variant, m.role) not in started or len(record.processes) > 1:
                        taken -= one.start_seconds + one.import_seconds
                    started.add((m.variant, m.role))
            rows.append((len(candidates), steps))
            seconds.append(max(0.0, taken))
    weights = 1 / np.maximum(seconds, 0.5)
    found, _ = nnls(np.array(rows) * weights[:, None], np.array(seconds) * weights)
    return float(found[0]), float(found[1])


@app.command()
def compare(runs: _Runs) -> None:
    """Print, for each run, the parts that were expected and those that came."""
    for run in runs:
        expected, came = np.zeros(4), np.zeros(4)
        started = frozenset[str]()
        for record, candidates in _timed(run):
            variants = [m.variant for m in candidates if m.role == "variant"]
            settings = Settings(processes=len(record.processes))
            found = parts(record.workload, variants, settings, started)
            started |= {*variants}
            expected += (found.starting, found.checking, found.rounds, found.again)
            before = sum(p.before_seconds for p in record.processes)
            rounds = sum(p.rounds_seconds for p in record.processes)
            came += (0, before, rounds, sum(p.after_seconds for p in record.processes))
        if came.sum():
            print(
                f"{run.name}: {expected.sum():.0f} s expected, {came.sum():.0f} s came, "
                f"{expected.sum() / came.sum():.2f} times; before the rounds "
                f"{expected[:2].sum():.0f} and {came[1]:.0f}, in them {expected[2]:.0f} and "
                f"{came[2]:.0f}, after them {expected[3]:.0f} and {came[3]:.0f}"
            )


if __name__ == "__main__":
    app()
