"""Backends that crash, hang, eat memory, or leave things behind: many of them in one run."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import faulty
import kit
from kit import Fault, Happened
from running import install

from bench.records import store
from bench.records.schema import Measurement

# Name -> what it does, the status that it gets, and a part of the reason.
BACKENDS = {
    "segfault": ("reads address 0 while it builds", "crashed", "SIGSEGV in build"),
    "abort": ("calls abort() in a timed step", "crashed", "SIGABRT in block"),
    "exits": ("ends its process in a step", "crashed", "exit status 0 in answer"),
    "sys-exit": ("calls sys.exit while it builds", "failed", "SystemExit: 3"),
    "killed": ("is killed while it builds", "crashed", "SIGKILL in build"),
    "kills-its-group": ("kills its process group", "crashed", "SIGKILL in build"),
    "alarm": ("lets its alarm clock ring", "crashed", "SIGALRM in build"),
    "cpu-limit": ("uses up its CPU time", "crashed", "SIGXCPU in build"),
    "real-time-signal": ("gets a signal without a name", "crashed", "signal "),
    "hangs": ("builds for an hour", "timed out", "`build` within 10 s (--worker-timeout)"),
    "hangs-in-a-step": ("hangs in a timed step", "timed out", "`block` within 10 s"),
    "stops-itself": ("stops itself", "timed out", "`build` within 10 s"),
    "raises": ("raises in a timed step", "failed", "ValueError: no such kernel"),
    "raises-evil": ("raises 2 MB of terminal escapes and HTML", "failed", "ValueError: [2J"),
    "recursion": ("calls itself without end", "failed", "RecursionError"),
    "interrupts": ("raises KeyboardInterrupt", "failed", "KeyboardInterrupt"),
    "memory-error": ("raises MemoryError", "failed", "out of memory in build: MemoryError"),
    "eats-memory": ("takes 2 GB of 500 MB while it builds", "crashed", "out of memory"),
    "leaks-memory": ("takes 30 MB more at each step", "crashed", "out of memory"),
    "closes-descriptors": ("closes all descriptors", "crashed", "in build"),
    "corrupts-channel": ("writes into the channel", "timed out", "within 10 s"),
    "dies-beside-a-child": (
        "dies, while a process that it has started holds its channel",
        "crashed",
        "exit status 7 in build",
    ),
    "changes-cores": ("takes all cores in a timed step", "failed", "a thread left its cores"),
    "prints": ("prints in each step", "ok", ""),
    "floods": ("prints 100 MB of errors", "ok", ""),
    "leaves-a-child": ("leaves a process", "ok", ""),
    "leaves-a-daemon": ("leaves a daemon with a session of its own", "ok", ""),
    "leaves-a-thread": ("leaves a thread that never rests", "ok", ""),
    "signal-handlers": ("handles SIGTERM, SIGHUP, SIGCONT and others", "ok", ""),
    "elsewhere": ("changes its folder, its umask, its environment and sys.path", "ok", ""),
    "evil-version": ("has a version of terminal escapes and HTML", "ok", ""),
}


# Those that cost more seconds, in a run of their own.
SLOW = frozenset({"stops-itself", "corrupts-channel", "cpu-limit", "alarm"})


@functools.cache
def _ran(slow: bool) -> tuple[Happened, dict[str, Measurement], str]:
    """One run of them beside numpy: what happened, the measurements, the report."""
    folder = Path(tempfile.mkdtemp(prefix="rnnbench-faults-"))
    plugins = install(folder / "plugins", faulty.ENTRY_POINTS)
    words = ("--task=hihello", "--phase=forward", "--benchmark-max-time=0.05", "--threads=1")
    limits = ("--worker-timeout=10", "--max-memory=500M")
    chosen = [name for name in BACKENDS if (name in SLOW) == slow]
    names = f"--backend={','.join(['numpy', *chosen])}"
    with kit.Run(folder, *words, *limits, names, paths=(plugins, *kit.HERE)) as run:
        happened = run.end(seconds=400)
        _, found, _ = store.read(run.folder / store.FILE)
        variants = {m.variant: m for m in found if m.role == "variant"}
        happened.lost = [] if variants["numpy"].processes else ["numpy"]
        return happened, variants, (run.folder / "report.md").read_text()


def _backend(name: str) -> Happened:
    _, status, reason = BACKENDS[name]
    happened, variants, report = _ran(name in SLOW)
    found = variants[name]
    assert found.status == status, found
    assert reason in found.reason, found
    assert found.reason.isprintable()
    assert len(found.reason) < 1100
    assert bool(found.processes) == (status == "ok")
    assert "\x1b" not in happened.output
    assert "\x1b" not in report
    assert "<script" not in report
    said = f"{name} {status}: {reason}" if status != "ok" else ""
    if status != "ok":
        assert f"{name} {status}: {found.reason}" in happened.output
    # The terminal shows a worker's own traceback too, which is no error of the run.
    assert happened.code == 1
    return Happened(1 if said else None, said, happened.lost, happened.left)


def _left_out(folder: Path) -> Happened:
    plugins = install(folder / "plugins", faulty.ENTRY_POINTS)
    words = ("--task=hihello", "--phase=forward", "--hidden=5,6,7,8", "--batch=2")
    names = "--backend=numpy,segfault"
    quick = "--benchmark-max-time=0.05"
    with kit.Run(folder, *words, names, quick, paths=(plugins, *kit.HERE)) as run:
        happened = run.end(seconds=200)
        _, found, _ = store.read(run.folder / store.FILE)
        report = (run.folder / "report.md").read_text()
    of = [m for m in found if m.variant == "segfault"]
    assert [m.status for m in of] == ["crashed"] * 3 + ["skipped"]
    assert of[3].reason.count("SIGSEGV in build") == 3
    assert "left out after 3 crashes in a row" in report
    healthy = [m for m in found if m.variant == "numpy" and m.role == "variant"]
    assert [bool(m.processes) for m in healthy] == [True] * 4
    return happened


def _dies_at_import(folder: Path) -> Happened:
    plugins = install(folder / "plugins", faulty.ENTRY_POINTS)
    chosen = ("-k", "dies-at-import or float32-numpy]", "--phase=forward", "--task=hihello")
    quick = "--benchmark-max-time=0.05"
    with kit.Run(folder, *chosen, quick, "-rs", paths=(plugins, *kit.HERE)) as run:
        return run.end(kit.BOTH[1])


def _workload_timeout(folder: Path) -> Happened:
    plugins = install(folder / "plugins", faulty.ENTRY_POINTS)
    words = ("--task=hihello", "--backend=numpy,hangs", "--benchmark-max-time=0.05")
    with kit.Run(folder, *words, "--workload-timeout=8", paths=(plugins, *kit.HERE)) as run:
        return run.end()


def _run_timeout(folder: Path) -> Happened:
    words = ("--task=hihello", "--backend=numpy", "--benchmark-max-time=60")
    words += ("--benchmark-min-rounds=100000",)  # intervals that are narrow enough end no workload
    with kit.Run(folder, *words, "--run-timeout=6") as run:
        happened = run.end()
    return happened.also("(--run-timeout): " in happened.output, "what is kept")


FAULTS = [
    Fault(
        name,
        f"A backend {what}",
        "a real memory bound" if "memory" in name and status == "crashed" else "a real backend",
        1 if status != "ok" else None,
        f"{name} {status}: {reason}" if status != "ok" else "",
        functools.partial(lambda name, _: _backend(name), name),
        prove=name in SLOW,
    )
    for name, (what, status, reason) in BACKENDS.items()
]
FAULTS += [
    Fault(
        "three-crashes",
        "A backend crashes in three workloads, one after the other",
        "a real backend",
        1,
        "left out after 3 crashes in a row",
        _left_out,
    ),
    Fault(
        "dies-at-import",
        "A backend that nobody asked for by name dies while it is imported",
        "a real backend",
        0,
        "crashed: SIGILL in start",
        _dies_at_import,
    ),
    Fault(
        "workload-timeout",
        "A backend hangs longer than its workload may take",
        "a real backend",
        1,
        "within the 8 s of its workload (--workload-timeout)",
        _workload_timeout,
    ),
    Fault(
        "run-timeout",
        "A run takes longer than it may",
        "a real run",
        1,
        "the 6 s of the run are used up (--run-timeout)",
        _run_timeout,
    ),
]
