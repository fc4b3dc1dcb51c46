"""What became of a part, from its exit status, its log and its records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.analysis import text
from bench.gpu import reproductions
from bench.gpu.records import Status
from bench.records import store
from bench.records.schema import Measurement, WorkloadRecord

# What `pytest -v` prints as a test ends; a line of progress may part it from the test's name.
_TEST = re.compile(r"(?:^| )(PASSED|FAILED|SKIPPED|ERROR)(?: \(.*\))?\s+\[\s*\d+%\]$")
_REASON = re.compile(r"^(?:FAILED|ERROR) (\S*::.+)$")
# Two clocks of one GPU's work: events that report more than the wall clock are wrong.
MOST_EVENT_SHARE = 1.05


@dataclass(frozen=True)
class Ended:
    """A part that has ended by itself or was ended."""

    code: int
    lines: Sequence[str]  # of its log, without those that are empty


@dataclass(frozen=True)
class Verdict:
    """The status of a part that ended by itself, and one line of what it found."""

    status: Status
    result: str


def last_line(ended: Ended) -> Verdict:
    """Of a program whose last line is its result."""
    result = ended.lines[-1].strip() if ended.lines else "it printed nothing"
    if ended.code:
        return Verdict("failed", f"exit status {ended.code}: {result}")
    return Verdict("good" if ended.lines else "failed", result)


def reproduction(ended: Ended) -> Verdict:
    """Of a program in docs/reproductions; a framework may print behind its verdict."""
    statuses: dict[str, Status] = {
        reproductions.REPRODUCED: "found",
        reproductions.NOT_REPRODUCED: "good",
        reproductions.SKIPPED: "skipped",
    }
    for line in reversed(ended.lines):
        for verdict, status in statuses.items():
            if line.startswith(verdict) and not ended.code:
                return Verdict(status, line)
    return Verdict("failed", f"no verdict; {last_line(ended).result}")


def tests(ended: Ended) -> Verdict:
    """Of a pytest with `-v`: the count of each outcome, and the first failure."""
    counts = counted(ended.lines)
    kinds = ("passed", "failed", "skipped")
    numbers = ", ".join(f"{counts[kind]} {kind}" for kind in kinds if counts[kind]) or "no test"
    if not ended.code and counts["passed"]:
        return Verdict("good", numbers)
    return Verdict("failed", f"{numbers}; {_why(ended)}")


def counted(lines: Sequence[str]) -> Counter[str]:
    """Tests that passed, failed and were skipped; an error is a failure."""
    words = (found[1].lower() for line in lines for found in [_TEST.search(line)] if found)
    return Counter("failed" if word == "error" else word for word in words)


def _why(ended: Ended) -> str:
    """The first failure that pytest lists, else the last line that it printed."""
    failures = (found[1] for line in ended.lines for found in [_REASON.match(line)] if found)
    last = ended.lines[-1].strip("= ") if ended.lines else "it printed nothing"
    return next(failures, f"exit status {ended.code}: {last}")


def timed(ended: Ended, *, folder: Path, device: str) -> Verdict:
    """Of a timed run of the suite whose records are in `folder`."""
    file = folder / store.FILE
    if not file.exists():
        return Verdict("failed", f"nothing was measured; {_why(ended)}")
    _, measurements, workloads = store.read(file)
    variants = [m for m in measurements if m.role == "variant"]
    problems = list(_problems(variants, workloads, device))
    if ended.code and not problems:
        problems = [_why(ended)]
    facts = "; ".join(_facts(variants, workloads, device))
    return Verdict("failed" if problems else "good", "; ".join((*problems[:1], facts)))


def _problems(
    variants: Sequence[Measurement], workloads: Sequence[WorkloadRecord], device: str
) -> Iterator[str]:
    for m in variants:
        if m.status not in ("ok", "refused"):
            yield f"{m.variant}, {m.workload.phase}: {m.status}: {m.reason}"
    on_gpu = [m for m in variants if m.status == "ok" and m.workload.device != "cpu"]
    if device == "cpu":
        return
    for m in on_gpu:
        yield from _wrong_events(m)
    for w in workloads:
        if w.workload.device != "cpu" and not all(p.clock_mhz for p in w.processes):
            yield "no clock of the GPU is known"


def _wrong_events(measurement: Measurement) -> Iterator[str]:
    """The device's own times of the same steps beside the wall clock's."""
    for process in measurement.processes:
        if not process.device_seconds:
            continue
        pairs = zip(process.device_seconds, process.throughput_seconds, strict=True)
        for events, wall in pairs:
            if not 0 < events <= MOST_EVENT_SHARE * wall:
                yield f"{measurement.variant}: events count {events:.2e} s in {wall:.2e} s"


def _facts(
    variants: Sequence[Measurement], workloads: Sequence[WorkloadRecord], device: str
) -> Iterator[str]:
    ok = [m for m in variants if m.status == "ok"]
    names = dict.fromkeys(m.variant for m in ok)
    counted_workloads = len({m.workload for m in ok})
    yield f"{text.plural(counted_workloads, 'workload')}, {', '.join(names) or 'no variant'} timed"
    if device == "cpu":
        return
    ok = [m for m in ok if m.workload.device != "cpu"]
    yield f"cuDNN by path: {_those(m.variant for m in ok if 'cudnn' in m.path.lower())}"
    counting = (m.variant for m in ok if any(p.peak_device_bytes for p in m.processes))
    yield f"memory counted: {_those(counting)}"
    with_events = (m.variant for m in ok if any(p.device_seconds for p in m.processes))
    yield f"event times: {_those(with_events)}"
    worst: dict[str, float] = {}
    for m in ok:
        worst[m.variant] = max(_worst_gradient(m), worst.get(m.variant, 0.0))
    # TF32's are about a thousand times float32's.
    errors = (f"{name} {error:.0e}" for name, error in worst.items() if error)
    yield f"gradients off by: {_those(errors)}"
    clocks = [mhz for w in workloads for p in w.processes for mhz in p.clock_mhz]
    if clocks:
        yield f"clock {min(clocks):.0f} to {max(clocks):.0f} MHz"


def _worst_gradient(measurement: Measurement) -> float:
    """The largest relative error of a gradient; 0 where none was compared."""
    agreement = measurement.agreement
    worst = agreement.kinds.get("gradients") if agreement else None
    return worst.error or 0.0 if worst else 0.0


def _those(names: Iterator[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "none"
