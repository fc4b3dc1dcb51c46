"""Checks of the machine. Each looks at one thing, and takes at most two seconds."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import psutil

from bench.analysis import text
from bench.doctor.finding import Finding, fine
from bench.measurement import machine_state
from bench.records import cgroups, machine

LOOK_SECONDS = 1.0  # at the background load
MOST_NAMED = 3  # processes
STEADY = ("performance", "userspace")  # governors that leave the clock alone
LEAST_MEMORY = 4 * 2**30  # bytes; all default frameworks together hold about as much
SLOW_TIMER = 2e-6  # seconds for a call; a step of the smallest task takes 10 µs


def background_load() -> Finding:
    """What else computes: cores that are busy, and the processes that keep them busy."""
    about = "background load"
    before, stolen = _busy_by_process(), _stolen_seconds()
    try:
        busy = machine.cores_busy(LOOK_SECONDS)
    except OSError as error:
        return Finding(
            about,
            "note",
            f"unknown: {error}",
            "Close other programs by hand: a disturbed block is not noticed here.",
        )
    after, stolen = _busy_by_process(), _stolen_seconds() - stolen
    found = f"{busy:.2f} of {text.plural(psutil.cpu_count() or 1, 'core')} busy"
    if busy <= machine_state.DISTURBING_CORES:
        return fine(about, found)
    if stolen > machine_state.DISTURBING_CORES * LOOK_SECONDS:
        found += f"; other guests of this host took {stolen / LOOK_SECONDS:.2f} of them"
    if names := _busiest(before, after):
        found += f" ({', '.join(names)})"
    return Finding(
        about,
        "spoils",
        found,
        "Close these programs, or wait. Disturbed blocks are measured again; where more than a "
        "fifth stay disturbed, every verdict is unclear.",
    )


def _busy_by_process() -> dict[tuple[int, str], float]:
    """CPU seconds of each process but this one, by its number and name."""
    found = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]  # None where it may not be read
        if times is not None and process.pid != os.getpid():
            found[process.pid, str(process.info["name"])] = times.user + times.system
    return found


def _busiest(
    before: Mapping[tuple[int, str], float], after: Mapping[tuple[int, str], float]
) -> list[str]:
    """ "chrome 0.93": the processes that used most of a core, and how much."""
    used: dict[str, float] = {}
    for key, seconds in after.items():
        used[key[1]] = used.get(key[1], 0.0) + seconds - before.get(key, seconds)
    most = sorted(used.items(), key=lambda pair: -pair[1])[:MOST_NAMED]
    return [f"{text.plain(name, 30)} {s / LOOK_SECONDS:.2f}" for name, s in most if s >= 0.05]


def _stolen_seconds() -> float:
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def cores() -> Finding:
    """How many cores a run may use, and whether a quota pauses it in the middle of a step."""
    about, used, quota = "cores", len(machine.available_cores()), cgroups.quota()
    allowed = len(os.sched_getaffinity(0)) if machine.pinning() else os.cpu_count() or 1
    found = f"{used} to use"
    if quota is None or quota >= allowed:
        return fine(about, found)
    found += f": a quota of {quota:g} cores, over {allowed} that are there"
    if quota < 1:
        return Finding(
            about,
            "spoils",
            found,
            "A step is paused until the next period begins. Give the container at least one whole "
            "core, as with `docker run --cpus=2`.",
        )
    return Finding(
        about,
        "note",
        found,
        "Other processes in this container spend the same quota: leave it to the run, or bind the "
        "container to cores of its own, as with `docker run --cpuset-cpus=0-3`.",
    )


def hardware_threads() -> Finding | None:
    """Whether two threads of a run would share a physical core."""
    used = machine.available_cores()
    physical = {tuple(machine.smt_siblings(core)) for core in used}
    if len(physical) == len(used):
        return None
    return Finding(
        "hardware threads",
        "note",
        f"{len(used)} cores to use are {len(physical)} physical ones",
        f"By default a run has a thread on each; --threads={len(physical)} measures one a physical "
        "core, which is often faster.",
    )


def pinning() -> Finding | None:
    if machine.pinning():
        return None
    return Finding(
        "pinning",
        "note",
        "this system cannot bind a process to cores",
        "Intervals are wider here; --processes=3 makes them narrower.",
    )


def governor() -> Finding:
    """Whether the clock of the cores follows the load."""
    about, found = "frequency governor", machine.describe().governor
    if not found:
        return fine(about, "not shown by this system, as in most virtual machines")
    if set(found.split(", ")) <= {*STEADY}:
        return fine(about, found)
    return Finding(
        about,
        "spoils",
        f"{found}: the clock follows the load, and a step after a pause is slower",
        "`sudo cpupower frequency-set --governor performance`, until the next start of the machine",
    )


def power() -> Finding | None:
    """Whether a laptop is plugged in."""
    look = getattr(psutil, "sensors_battery", lambda: None)
    battery = look()
    if battery is None:
        return None
    if battery.power_plugged:
        return fine("power", "plugged in")
    return Finding("power", "spoils", "on battery, which lowers the clock", "Plug the machine in.")


def memory() -> Finding:
    about, free = "memory", psutil.virtual_memory().available
    found = f"{free / 2**30:.1f} GiB free"
    if free >= LEAST_MEMORY:
        return fine(about, found)
    return Finding(
        about,
        "spoils",
        found,
        "A machine that swaps measures its disk. Close other programs, or measure fewer variants "
        "at once, as with --backend=numpy,torch.",
    )


def timer() -> Finding:
    """What it costs to read the clock by which steps are timed."""
    about, calls = "timer", 1000
    found = []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(calls):
            time.perf_counter()
        found.append((time.perf_counter() - begin) / calls)
    words = f"a look at the clock takes {text.duration(min(found))}"
    if min(found) < SLOW_TIMER:
        return fine(about, words)
    return Finding(
        about,
        "spoils",
        words,
        "Steps of a few µs are too long by it. Some virtual machines offer a faster clock: see "
        "/sys/devices/system/clocksource/clocksource0/available_clocksource.",
    )


def python_build() -> Finding | None:
    """Whether this Python counts, traces or checks what it runs."""
    debug = hasattr(sys, "gettotalrefcount")
    if not debug and sys.gettrace() is None:
        return None
    found = "a debug build of Python" if debug else "Python traces each line that it runs"
    return Finding(
        "Python", "spoils", found, "Use an ordinary build, without a debugger or coverage."
    )


def gpu() -> Finding | None:
    """Whether somebody else uses a GPU, or it has reduced its clock."""
    if importlib.util.find_spec("pynvml") is None:
        return None
    pynvml = importlib.import_module("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handles = [*map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))]
        others = [_others_on(pynvml, handle) for handle in handles]
    finally:
        pynvml.nvmlShutdown()
    slow = {why for n in range(len(handles)) for why in machine_state.clocks(f"cuda:{n}").throttled}
    busy = [f"{count} on GPU {number}" for number, count in enumerate(others) if count]
    if busy:
        found = f"processes of others: {', '.join(busy)}"
        return Finding("GPU", "spoils", found, "`nvidia-smi` names them; end them, or wait.")
    if slow:
        found = f"the clock is reduced: {', '.join(sorted(slow))}"
        return Finding("GPU", "spoils", found, "Let it cool down, or raise its power limit.")
    return fine("GPU", f"{len(handles)} that nobody uses") if handles else None


def _others_on(pynvml: Any, handle: Any) -> int:
    """Processes that compute on a GPU; 0 if it does not report them."""
    try:
        return len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    except pynvml.NVMLError:
        return 0
