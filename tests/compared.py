"""Runs to compare, and the command that does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from record_samples import FULL_RUN, PACES, Records, workload_records
from typer.testing import CliRunner

from bench.cli import app
from bench.compare import changes, runs
from bench.compare.runs import RunData
from bench.records import store
from bench.records.schema import Run

FEW = {name: PACES[name] for name in ("numpy", "torch", "jax")}


def write(folder: Path, records: Records, run: Run = FULL_RUN) -> Path:
    folder.mkdir(parents=True)
    named = msgspec.structs.replace(run, name=folder.name)
    store.append(folder / store.FILE, [named, *records])
    return folder


def run_data(tmp_path: Path, name: str, records: Records, run: Run = FULL_RUN) -> RunData:
    return runs.read(write(tmp_path / name, records, run))


def called(result: changes.Result, verdict: str) -> set[str]:
    """Names of all that are `verdict`, in a workload or over all workloads."""
    changes = {c.base.name for c in result.changes if c.judged.verdict == verdict}
    return changes | {n for n, judged in result.variants.items() if judged.verdict == verdict}


def rnnbench(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app.app, ["compare", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def two_workloads(seed: int, **changes: Any) -> Records:
    base = workload_records(seed, FEW, processes=3)
    return base + workload_records(seed + 1, FEW, processes=3, task="sin_sequence", **changes)
