"""Runs what is too long, or needs too quiet a machine, for the tests; keeps what it prints.

    python -m tools.prove [NAME ...]

Each of EVIDENCE is one command, whose output goes to docs/evidence/NAME.txt. It is run by hand, and
its output is committed. Without a name all of them run: about six hours on two cores.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Annotated

import typer

from backends import registry
from bench import ROOT
from bench.records import machine

FOLDER = ROOT / "docs" / "evidence"
_TESTS = ("-m", "pytest", "-q", "-p", "no:cacheprovider")

# Name -> the arguments of Python, and what it shows.
EVIDENCE: dict[str, tuple[tuple[str, ...], str]] = {
    "random-cases": (
        (*_TESTS, "tests/variants/test_property.py"),
        "every variant agrees on hundreds of random models",
    ),
    "gpu-rehearsal": (
        (*_TESTS, "tests/test_gpu_script.py", "-m", "prove"),
        "the GPU script runs every kind of part on a CPU",
    ),
    "faults": (
        (*_TESTS, "tests/faults/test_faults.py"),
        "each fault of docs/reliability.md loses no result and leaves no process",
    ),
    "fuzz": (
        (*_TESTS, "tests/faults/test_fuzz.py", "-m", "prove"),
        "100,000 damaged records, workload files and options are read or refused",
    ),
    "own-data": (
        (*_TESTS, "-s", "tests/test_own_data.py", "-m", "prove"),
        "200 MB of one's own data are read in bounded memory",
    ),
    "soak": (
        (*_TESTS, "-s", "tests/faults/test_soak.py", "-m", "prove"),
        "300 workloads with a fault in every tenth",
    ),
    "thousand-nodes": (
        (*_TESTS, "-s", "tests/test_machines.py", "-m", "prove"),
        "1,000 nodes with 200 workloads are collected within a minute and 2 GB",
    ),
    "slurm": (
        (*_TESTS, "-s", "tests/test_fleet.py", "-m", "prove"),
        "a job that SLURM kills goes on, on its node, or leaves a fragment that is named",
    ),
    "workload-composition": (
        ("-m", "tools.workload_composition"),
        "a ratio does not depend on which other variants run beside it",
    ),
    "tolerances": (("-m", "tools.calibrate"), "how far correct variants are from the bounds"),
    "bfloat16": (
        ("-m", "tools.calibrate", "--dtype", "bfloat16", "--mutants", "no"),
        "how far correct variants are from the bounds of bfloat16",
    ),
    "bfloat16-mutants": (
        ("-m", "tools.calibrate", "--dtype", "bfloat16", "--mutants", "only"),
        "which mutants bfloat16 cannot tell",
    ),
    "bfloat16-500-steps": (
        (*_TESTS, "-s", "tests/variants/test_in_bfloat16.py", "-m", "prove"),
        "every variant that has bfloat16 over T 500 with ten seeds, and how far each is off",
    ),
    "planted-faults": (
        ("-m", "tools.planted_faults", "--seed", "0", "--count", "30"),
        "faults that the tests see",
    ),
    "between-processes": (
        ("-m", "tools.between_processes", "evaluate"),
        "how far processes of one program lie apart, and how often verdicts are right",
    ),
    "false-alarms": (
        ("-m", "tools.false_alarms", "--runs", "20"),
        "the checks of 20 runs reject no correct variant",
    ),
    "false-alarms-busy-core": (
        ("-m", "tools.false_alarms", "--runs", "5", "--busy-core"),
        "nor do those of 5 runs beside a process that keeps a core busy",
    ),
    "lengths": (
        (*_TESTS, "tests/variants/test_of_lengths.py", "-m", "prove", "-n", "2", "--dist=load"),
        "default variants agree where sequences have lengths, in every kind of model",
    ),
    "check-seeds": (
        ("-m", "tools.check_seeds", "--seeds", "10"),
        "the conformance kit passes correct variants with ten seeds",
    ),
    **{
        f"check-{name}": (
            ("-m", "bench.cli", "check", name, "--long"),
            f"{name} agrees on 400 models",
        )
        for name in registry.default_names()
    },
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help="some of EVIDENCE; none: all")] = None,
) -> None:
    """Run them, one after the other; exit status 1 where one of them fails."""
    chosen = names or list(EVIDENCE)
    if unknown := [name for name in chosen if name not in EVIDENCE]:
        print(f"{unknown[0]} is unknown; expected some of {', '.join(EVIDENCE)}")
        raise typer.Exit(2)
    FOLDER.mkdir(exist_ok=True)
    failed = [name for name in chosen if _keep(name)]
    print(f"{len(chosen) - len(failed)} of {len(chosen)} succeeded")
    raise typer.Exit(1 if failed else 0)


def _keep(name: str) -> int:
    """Run one of them, and write what it prints; gives its exit status."""
    arguments, shows = EVIDENCE[name]
    print(f"{name}: {shows}", flush=True)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "HYPOTHESIS_PROFILE": "long", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    here = machine.describe()
    head = f"{shows}\npython {' '.join(arguments)}\n{here.cpu}, {here.cores} cores, {here.system}\n"
    output = re.sub(rf"{re.escape(str(ROOT))}/?", "", done.stdout)
    (FOLDER / f"{name}.txt").write_text(f"{head}\n{output}")
    return done.returncode


if __name__ == "__main__":
    typer.run(main)
