"""What the installed variants find on this machine: their versions, and their devices.

Each is started in a process of its own, all of them at once: starting a framework on a GPU takes
seconds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from backends import registry
from bench import ROOT
from bench.config.option_table import TRAINING
from bench.gpu.records import Answer
from bench.workers.pool import WorkerPool
from bench.workers.process import WorkerError, WorkerKey
from tasks import TASKS

FILE = "devices.json"  # in the folder of the run: a list of answers
PLUGIN = "cupy"  # of the plugins that come with the project, the one that needs a GPU
WAIT_SECONDS = 60.0
PROBE = TASKS["hihello"].spec("source")  # a model to ask a variant about


def entries() -> list[registry.Entry]:
    """The variants that may have a GPU: those built in that need a framework and train.

    What only predicts is another call of the nets that these train.
    """
    return [entry for entry in registry.BUILT_IN if entry.modules and _trains(entry)]


def _trains(entry: registry.Entry) -> bool:
    asked = {"device": "cuda:0", "dtype": "float32"}
    reasons = (registry.ask(entry.name, "refusal", PROBE, **asked, phase=p) for p in TRAINING)
    return any(reason is None for reason in reasons)


def asked() -> Iterator[registry.Entry]:
    """One variant of each set of modules, for the others find the same; and the plugin."""
    first = {entry.modules: entry for entry in reversed(entries())}
    yield from reversed(first.values())
    table = registry.table()
    if PLUGIN in table:
        yield table[PLUGIN]


def ask(name: str, device: str) -> Answer:
    """Start one variant in this process' pool."""
    with WorkerPool(None, WAIT_SECONDS) as pool:
        try:
            started = pool.get(WorkerKey(name, "float32", device, 1)).started
        except (registry.BrokenBackendError, WorkerError) as error:
            return Answer(variant=name, problem=str(error))
    return Answer(variant=name, versions=dict(started.versions), devices=started.devices)


def ask_all(device: str) -> list[Answer]:
    """Start all of them at once, and give what each finds."""
    answers: dict[str, Answer] = {}
    running: dict[str, subprocess.Popen[bytes]] = {}
    for entry in asked():
        if missing := registry.missing(entry):
            answers[entry.name] = Answer(variant=entry.name, problem=missing)
            continue
        # The plugin computes on a GPU alone; without one it says so itself.
        where = "cuda:0" if entry.name == PLUGIN and device == "cpu" else device
        command = [sys.executable, "-m", "bench.gpu", "ask", entry.name, where]
        running[entry.name] = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    for name, process in running.items():
        printed, _ = process.communicate()
        try:
            answers[name] = msgspec.json.decode(printed, type=Answer)
        except msgspec.DecodeError:
            problem = f"the process that asks it ended with exit status {process.returncode}"
            answers[name] = Answer(variant=name, problem=problem)
    return [answers[entry.name] for entry in asked() if entry.name in answers]


def report(device: str, file: Path) -> bool:
    """Ask, print, and write `file`; False where no variant finds the device."""
    answers = ask_all(device)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(answers)) + b"\n")
    for answer in answers:
        versions = ", ".join(f"{name} {number}" for name, number in answer.versions.items())
        where = ", ".join(answer.devices) or "no device"
        print(f"{answer.variant}: {answer.problem or f'{versions}; finds {where}'}")
    finding = [answer.variant for answer in answers if device in answer.devices]
    print(f"{device} is found by {', '.join(finding) or 'no variant'}")
    return bool(finding)


def problem(answers: Sequence[Answer], entry: registry.Entry, device: str) -> str:
    """Why the variant of `entry` cannot compute on `device`; empty where it can, or before all
    were asked.
    """
    if missing := registry.missing(entry):
        return missing
    same = {e.name for e in entries() if e.modules == entry.modules} | {entry.name}
    for answer in answers:
        if answer.variant in same:
            found = ", ".join(answer.devices) or "none"
            absent = f"no {device} for {entry.name} here; it finds {found}"
            return answer.problem or ("" if device in answer.devices else absent)
    return ""
