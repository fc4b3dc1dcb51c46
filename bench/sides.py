"""What `rnnbench compare` reads: folders of runs, and files of pytest-benchmark, as `Side`s."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import record, statistics, verdicts
from bench.record import Measurement, Offset

RECORDS = "measurements.jsonl"
MOST_ROUNDS = 1000  # of one test
_THREADS = re.compile(r"\+threads\d+(?=[-+])")


@dataclass(frozen=True)
class Key:
    """What has to be the same for two times to be of the same thing; `others` of a stranger."""

    cell: str  # "bptt[sentiment-lstm-base-cpu-float32]", or a test's group
    threads: int | None


@dataclass(frozen=True)
class Sample:
    """The rounds of one entry of a cell."""

    name: str
    program: str  # two entries of one program are a variant and its control
    processes: tuple[np.ndarray, ...]  # seconds, (rounds,) each
    variant: bool = True
    floor: bool = False
    ranked: bool = True  # it may be compared: it agrees, and was timed
    interleaved: bool = True  # its rounds were taken in turn with those of its cell's others
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)  # spec, batch, steps: the same in both

    @property
    def usable(self) -> bool:
        """Has rounds, of something that is known to be right or that nobody checks."""
        return bool(self.processes) and (self.ranked or not self.variant)

    @property
    def seconds(self) -> float:
        """The median round."""
        return float(np.median(np.concatenate(self.processes)))


@dataclass(frozen=True)
class Side:
    """One run; `cells` hold their entries by name, two of one name numbered."""

    name: str
    cells: Mapping[Key, Mapping[str, Sample]]
    machine: str
    commit: str
    started: str
    offset: Offset = verdicts.ASSUMED
    disturbed: Mapping[Key, float] = field(default_factory=dict)
    serial: bool = False


def read(path: Path) -> Side:
    """A folder with measurements.jsonl, that file itself, or JSON of pytest-benchmark.

    Raises FileNotFoundError for what is not there, ValueError for what cannot be compared.
    """
    file = path / RECORDS if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(
            f"{file} does not exist; expected the folder of a run, as in reports/, or a JSON file "
            "of pytest-benchmark"
        )
    return _of_benchmark(file) if file.suffix == ".json" else _of_records(file)


def _of_records(file: Path) -> Side:
    run, measurements, races = record.read_all(file)
    cells: dict[Key, dict[str, Sample]] = {}
    for m in measurements:
        entries = cells.setdefault(_key(m.cell, m.threads), {})
        entries[_free(entries, m.variant if m.role == "variant" else f"{m.role}:{m.variant}")] = (
            _sample(m)
        )
    parts = (run.machine.cpu, f"{run.machine.cores} cores", *run.machine.gpus)
    return Side(
        name=file.resolve().parent.name,
        cells=cells,
        machine=", ".join(parts),
        commit=run.commit or "unknown",
        started=run.started,
        offset=run.offset or verdicts.ASSUMED,
        disturbed={_key(race.cell, race.threads): race.disturbed for race in races},
        serial=run.serial,
    )


def _key(cell: str, threads: int | None) -> Key:
    """Where --threads was given the size says it too, which is no other size."""
    return Key(_THREADS.sub("", cell), threads)


def _sample(m: Measurement) -> Sample:
    return Sample(
        name=m.variant,
        program=m.variant if m.role != "floor" else "floor:",
        processes=tuple(np.array(process.seconds) for process in m.processes),
        variant=m.role == "variant",
        floor=m.role == "floor",
        ranked=statistics.ranked(m),
        versions=m.versions,
        facts={"spec": dict(m.spec), "batch": m.batch, "steps": m.steps},
    )


def _free(entries: Mapping[str, Sample], name: str) -> str:
    number, free = 2, name
    while free in entries:
        free, number = f"{name} ({number})", number + 1
    return free


def _of_benchmark(file: Path) -> Side:
    """pytest-benchmark's own JSON: of this project's suite, or of anybody's tests."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        benchmarks = content["benchmarks"]
        machine, commit = content["machine_info"], content.get("commit_info") or {}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is no JSON of pytest-benchmark ({type(error).__name__}: {error}); "
            "expected what --benchmark-json writes"
        ) from error
    cells: dict[Key, dict[str, Sample]] = {}
    for benchmark in benchmarks:
        key, sample = _benchmark(file, benchmark)
        entries = cells.setdefault(key, {})
        entries[_free(entries, sample.name)] = sample
    infos = [benchmark.get("extra_info", {}) for benchmark in benchmarks]
    serial = any(_ours(info) and info.get("serial") for info in infos)
    cpu = machine.get("cpu", {})
    name = cpu.get("brand_raw") or machine.get("processor") or machine.get("machine") or "unknown"
    return Side(
        name=file.name if file.parent.name == "" else f"{file.resolve().parent.name}/{file.name}",
        cells=cells,
        machine=f"{name}, {cpu.get('count', 'unknown')} cores",
        commit=str(commit.get("id") or "unknown")[:12],
        started=str(content.get("datetime", "unknown")),
        serial=serial,
    )


def _even_choice(values: np.ndarray) -> np.ndarray:
    """(N,) values, or MOST_ROUNDS of them: quick tests have a hundred thousand."""
    if len(values) <= MOST_ROUNDS:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_ROUNDS).round().astype(int)]


def _ours(info: Mapping[str, Any]) -> bool:
    """Is that of a test of this project's suite."""
    return "variant" in info and "spec" in info


def _benchmark(file: Path, benchmark: Mapping[str, Any]) -> tuple[Key, Sample]:
    rounds = benchmark.get("stats", {}).get("data")
    name = str(benchmark.get("fullname") or benchmark.get("name"))
    if not rounds:
        raise ValueError(
            f"{file} holds no rounds of {name}; expected them: --benchmark-json writes them, "
            "--benchmark-save needs --benchmark-save-data"
        )
    info = benchmark.get("extra_info", {})
    ours = _ours(info)
    facts = {key: info[key] for key in ("spec", "batch", "steps")} if ours else {}
    sample = Sample(
        name=str(info["variant"]) if ours else name,
        program=str(info["variant"]) if ours else name,
        processes=(_even_choice(np.array(rounds, float)),),
        interleaved=ours,
        versions=info.get("versions", {}) if ours else {},
        facts=facts,
    )
    if ours:
        return _key(str(benchmark.get("group")), info.get("threads")), sample
    return Key(str(benchmark.get("group") or name), None), sample
