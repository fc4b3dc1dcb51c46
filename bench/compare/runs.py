"""What `rnnbench compare` reads: folders of runs, and JSON of pytest-benchmark, as `RunData`."""

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

MOST_ROUNDS = 1000  # of one test


@dataclass(frozen=True)
class WorkloadKey:
    """What must be equal for two times to be of the same thing; None is a part that is left out.

    A foreign test, which is none of this project's suite, is known by its group or name alone.
    """

    phase: str | None = None
    task: str | None = None
    cell: str | None = None
    size: str | None = None  # the label; threads that were named make no other size
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    test: str | None = None  # a foreign one

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
    program: str  # a variant and its control are one program
    processes: tuple[np.ndarray, ...]  # seconds, (rounds,) each
    role: Role = "variant"
    ranked: bool = True  # it may be compared: it agrees, and was timed
    interleaved: bool = True  # its rounds alternated with those of the others in its workload
    versions: Mapping[str, str] = field(default_factory=dict)
    workload: Workload | None = None  # None: of a foreign test

    @property
    def usable(self) -> bool:
        """Has rounds, of something that is known to be right or that is not checked."""
        return bool(self.processes) and (self.ranked or self.role != "variant")

    @property
    def seconds(self) -> float:
        """The median round."""
        return float(np.median(np.concatenate(self.processes)))


@dataclass(frozen=True)
class RunData:
    """One run; `workloads` hold their samples by name, two of one name numbered."""

    name: str
    workloads: Mapping[WorkloadKey, Mapping[str, Sample]]
    machine: str
    commit: str
    started: str
    between_process: BetweenProcess = verdicts.ASSUMED
    disturbed: Mapping[WorkloadKey, float] = field(default_factory=dict)  # share of the blocks
    serial: bool = False


def read(path: Path) -> RunData:
    """A folder with measurements.jsonl, that file itself, or JSON of pytest-benchmark.

    Raises FileNotFoundError for what is not there, ValueError for what cannot be compared.
    """
    file = path / store.FILE if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(
            f"{file} does not exist; expected the folder of a run, as in reports/, or a JSON file "
            "of pytest-benchmark"
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
    )


def _sample(m: Measurement) -> Sample:
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
    """pytest-benchmark's own JSON: of this project's suite, or of any tests."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        benchmarks = content["benchmarks"]
        machine, commit = content["machine_info"], content.get("commit_info") or {}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is no JSON of pytest-benchmark ({type(error).__name__}: {error}); "
            "expected what --benchmark-json writes"
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
    """Was that written by a test of this project's suite; others may have a word of that name."""
    return "variant" in info and isinstance(info.get("workload"), dict)


def _benchmark(file: Path, benchmark: Mapping[str, Any]) -> tuple[WorkloadKey, Sample]:
    rounds = benchmark.get("stats", {}).get("data")
    name = str(benchmark.get("fullname") or benchmark.get("name"))
    if not rounds:
        raise ValueError(
            f"{file} holds no rounds of {name}; expected them: --benchmark-json writes them, "
            "--benchmark-save needs --benchmark-save-data"
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
            f"{file}: the workload of {name} cannot be read: {error}; expected a file of this "
            "version's suite"
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
    """(N,) values, or MOST_ROUNDS of them: quick tests have a hundred thousand."""
    if len(values) <= MOST_ROUNDS:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_ROUNDS).round().astype(int)]
