"""Reads what `rnnbench compare` compares: folders of runs, and JSON of pytest-benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.analysis import estimators, text, verdicts
from bench.records import store
from bench.records.schema import BetweenProcess, Measurement, Role
from bench.records.workload import Workload

MOST_ROUNDS = 1000  # per test


@dataclass(frozen=True)
class WorkloadKey:
    """What must be equal for two times to be comparable; None is an omitted part.

    A foreign test, which is not part of this project's suite, is identified by its group or name.
    """

    phase: str | None = None
    task: str | None = None
    cell: str | None = None
    size: str | None = None  # the label, without the threads
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    test: str | None = None  # the name of a foreign test

    @staticmethod
    def of(workload: Workload) -> WorkloadKey:
        overridden = tuple(name for name in workload.overridden if name != "threads")
        return WorkloadKey(
            phase=workload.phase,
            task=workload.task,
            cell=workload.spec.cell,
            size=msgspec.structs.replace(workload, overridden=overridden).label,
            device=workload.device,
            dtype=workload.dtype,
            threads=workload.threads,
        )

    def __str__(self) -> str:
        """ "bptt[sentiment-lstm-base-cpu-float32]", or the foreign test; never read back."""
        if self.test is not None:
            return self.test
        parts = (self.task, self.cell, self.size, self.device, self.dtype)
        return f"{self.phase}[{'-'.join(part for part in parts if part is not None)}]"


@dataclass(frozen=True)
class Sample:
    """The rounds of one candidate of a workload, or of a foreign test."""

    name: str
    program: str  # the same for a variant and its control
    processes: tuple[np.ndarray, ...]  # one (rounds,) array of seconds per process
    role: Role = "variant"
    ranked: bool = True  # it may be compared: it agrees and was timed
    interleaved: bool = True  # its rounds alternated with those of the other candidates
    versions: Mapping[str, str] = field(default_factory=dict)
    workload: Workload | None = None  # None for a foreign test

    @property
    def usable(self) -> bool:
        """Whether it has rounds, and either agrees or is not checked at all."""
        return bool(self.processes) and (self.ranked or self.role != "variant")

    @property
    def seconds(self) -> float:
        """The median round."""
        return float(np.median(np.concatenate(self.processes)))


@dataclass(frozen=True)
class RunData:
    """One run; each workload holds its samples by name, with a number if a name repeats."""

    name: str
    workloads: Mapping[WorkloadKey, Mapping[str, Sample]]
    machine: str
    commit: str
    started: str
    between_process: BetweenProcess = verdicts.ASSUMED
    disturbed: Mapping[WorkloadKey, float] = field(default_factory=dict)  # share of blocks
    serial: bool = False
    damaged: tuple[str, ...] = ()  # lines of its records that are left out


def read(path: Path) -> RunData:
    """Read a folder with measurements.jsonl, that file itself, or JSON of pytest-benchmark.

    Raises FileNotFoundError if it does not exist, ValueError if it cannot be compared.
    """
    file = path / store.FILE if path.is_dir() else path
    if path.suffix in (".md", ".html", ".csv"):
        raise ValueError(
            f"{path} is made for reading; expected the folder of its run, {path.parent}"
        )
    if not file.is_file():
        inside = sorted(each.parent for each in path.glob(f"*/{store.FILE}"))
        such = f"one of those in it, such as {inside[-1]}" if inside else "such as reports/NAME"
        raise FileNotFoundError(
            f"{file} does not exist; expected the folder of a run, {such}, or a JSON file of "
            "pytest-benchmark"
        )
    return _of_benchmark(file) if file.suffix == ".json" else _of_records(file)


def _of_records(file: Path) -> RunData:
    run, measurements, records = store.read(file)
    workloads: dict[WorkloadKey, dict[str, Sample]] = {}
    for m in measurements:
        samples = workloads.setdefault(WorkloadKey.of(m.workload), {})
        name = m.variant if m.role == "variant" else f"{m.role}:{m.variant}"
        samples[text.numbered(name, samples)] = _sample(m)
    parts = (run.machine.cpu, f"{run.machine.cores} cores", *run.machine.gpus)
    return RunData(
        name=file.resolve().parent.name,
        workloads=workloads,
        machine=", ".join(parts),
        commit=run.commit or "unknown",
        started=run.started,
        between_process=run.between_process,
        disturbed={WorkloadKey.of(record.workload): record.disturbed for record in records},
        serial=run.serial,
        damaged=run.damaged,
    )


def _sample(m: Measurement) -> Sample:
    if not all(value > 0 for process in m.processes for value in process.seconds):
        raise ValueError(f"{m.variant} has a round without a positive time in {m.workload.id}")
    return Sample(
        name=m.variant,
        program=m.role if m.role == "gemm baseline" else m.variant,
        processes=tuple(np.array(process.seconds) for process in m.processes),
        role=m.role,
        ranked=estimators.ranked(m),
        versions=m.versions,
        workload=m.workload,
    )


def _of_benchmark(file: Path) -> RunData:
    """Read JSON of pytest-benchmark, from this project's suite or from any tests."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        benchmarks = content["benchmarks"]
        machine, commit = content["machine_info"], content.get("commit_info") or {}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is not JSON of pytest-benchmark ({type(error).__name__}: {error}); "
            "expected a file that --benchmark-json wrote"
        ) from error
    workloads: dict[WorkloadKey, dict[str, Sample]] = {}
    for benchmark in benchmarks:
        key, sample = _benchmark(file, benchmark)
        samples = workloads.setdefault(key, {})
        samples[text.numbered(sample.name, samples)] = sample
    infos = [benchmark.get("extra_info", {}) for benchmark in benchmarks]
    cpu = machine.get("cpu", {})
    name = cpu.get("brand_raw") or machine.get("processor") or machine.get("machine") or "unknown"
    return RunData(
        name=file.name if file.parent.name == "" else f"{file.resolve().parent.name}/{file.name}",
        workloads=workloads,
        machine=f"{name}, {cpu.get('count', 'unknown')} cores",
        commit=str(commit.get("id") or "unknown")[:12],
        started=str(content.get("datetime", "unknown")),
        serial=any(_of_suite(info) and info.get("serial") for info in infos),
    )


def _of_suite(info: Mapping[str, Any]) -> bool:
    """Whether a test of this project's suite wrote it; other tests may use the same keys."""
    return "variant" in info and isinstance(info.get("workload"), dict)


def _benchmark(file: Path, benchmark: Mapping[str, Any]) -> tuple[WorkloadKey, Sample]:
    rounds = benchmark.get("stats", {}).get("data")
    name = str(benchmark.get("fullname") or benchmark.get("name"))
    if not rounds:
        raise ValueError(
            f"{file} has no rounds of {name}; write the file with --benchmark-json, or with "
            "--benchmark-save and --benchmark-save-data"
        )
    processes = (_even_choice(np.array(rounds, float)),)
    info = benchmark.get("extra_info", {})
    if not _of_suite(info):
        key = WorkloadKey(test=str(benchmark.get("group") or name))
        return key, Sample(name=name, program=name, processes=processes, interleaved=False)
    try:
        workload = msgspec.convert(info["workload"], Workload)
    except msgspec.ValidationError as error:
        raise ValueError(
            f"{file}: the workload of {name} cannot be read: {error}; expected a file that this "
            "version of rnnbench wrote"
        ) from error
    variant = str(info["variant"])
    return WorkloadKey.of(workload), Sample(
        name=variant,
        program=variant,
        processes=processes,
        versions=info.get("versions", {}),
        workload=workload,
    )


def _even_choice(values: np.ndarray) -> np.ndarray:
    """The (N,) values, or an even selection of MOST_ROUNDS: quick tests have 100,000."""
    if len(values) <= MOST_ROUNDS:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_ROUNDS).round().astype(int)]
