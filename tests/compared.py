"""Runs to compare, and the command that does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from record_samples import (
    FULL_RUN,
    PACES,
    cell_records,
)
from typer.testing import CliRunner

from bench import cli, compare, record, sides
from bench.record import Measurement, Race, Run
from bench.sides import Side

FEW = {name: PACES[name] for name in ("numpy", "torch", "jax")}


def write(folder: Path, records: list[Measurement | Race], run: Run = FULL_RUN) -> Path:
    folder.mkdir(parents=True)
    named = msgspec.structs.replace(run, name=folder.name)
    record.append(folder / "measurements.jsonl", [named, *records])
    return folder


def side(tmp_path: Path, name: str, records: list[Measurement | Race], run: Run = FULL_RUN) -> Side:
    return sides.read(write(tmp_path / name, records, run))


def called(result: compare.Result, verdict: str) -> set[str]:
    """Names of all that are `verdict`, in a cell or over all cells."""
    changes = {c.base.name for c in result.changes if c.judged.verdict == verdict}
    return changes | {n for n, judged in result.variants.items() if judged.verdict == verdict}


def rnnbench(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["compare", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def two_cells(seed: int, **changes: Any) -> list[Measurement | Race]:
    base = cell_records(seed, FEW, processes=3)
    return base + cell_records(seed + 1, FEW, processes=3, task="sin_sequence", **changes)
