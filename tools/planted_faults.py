"""Plants faults in the code, one at a time, and asks the tests whether they see them.

    python -m tools.planted_faults --seed 0 --count 30

A fault is one change of an expression within a function: another operator, another number, or a
condition turned round. The seed draws its place; the rooms come in turn. Each fault stands in a
copy of the project, where the test files run that cover its room: first what `make test` runs of
them, then what only `make test-all` runs. A fault that changes no result (an equivalent one) counts
as missed.
"""

from __future__ import annotations

import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bench import ROOT

VARIANTS = ("variants/test_each_cell", "variants/test_variants")
# By room, the test files that cover it.
COVERED_BY = {
    "tasks": ("test_spec", "test_tasks", "test_custom", "test_numpy_oracle", "test_gemm_baseline"),
    "backends/numpy": ("test_numpy_oracle", "test_mutants"),
    "backends/torch": (*VARIANTS, "test_torch_operators", "test_described_nets"),
    "backends/keras": (*VARIANTS, "test_described_nets"),
    "backends/jax": VARIANTS,
    "backends/flax": VARIANTS,
    "backends/plugins": ("test_registry", "test_environments", "test_pool", "test_plugins"),
    "bench/correctness": ("test_mutants", "test_kit", "test_checks"),
    "bench/analysis": (
        *("test_verdicts", "test_statistics", "test_curves", "test_memory"),
        *("test_golden_numbers", "test_report", "test_report_formats"),
    ),
    "bench/report": (
        *("test_report", "test_report_conditions", "test_report_formats", "test_figures"),
        "test_curves",
    ),
}
FRAMEWORKS = ("torch", "keras", "jax", "flax")  # rooms whose tests are those of their variants
TIERS = {
    "make test": "not slow and not install and not prove",
    "make test-all": "(slow or install) and not prove",
}
SECONDS = 900.0  # for the tests of one fault in one tier
NO_TESTS = 5  # pytest's exit status where none is selected

_OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


@dataclass(frozen=True)
class Fault:
    """One change of one file."""

    file: str
    line: int
    before: str
    after: str
    code: str  # the whole file with the fault


@dataclass(frozen=True)
class Result:
    fault: Fault
    tier: str  # that saw it, of TIERS; "" if none did
    by: str  # the test that saw it


def _changed(node: ast.AST) -> ast.AST | None:
    """The node with a fault in it; None where there is nothing to change."""
    new = copy.deepcopy(node)
    if isinstance(new, ast.BinOp | ast.BoolOp) and type(new.op) in _OPERATORS:
        new.op = _OPERATORS[type(new.op)]()  # type: ignore[assignment]
    elif isinstance(new, ast.Compare) and type(new.ops[0]) in _OPERATORS:
        new.ops[0] = _OPERATORS[type(new.ops[0])]()  # type: ignore[call-overload]
    elif isinstance(new, ast.UnaryOp) and isinstance(new.op, ast.Not | ast.USub):
        return new.operand
    elif isinstance(new, ast.Constant) and isinstance(new.value, bool):
        new.value = not new.value
    elif isinstance(new, ast.Constant) and isinstance(new.value, int | float):
        new.value = new.value + 1
    elif isinstance(new, ast.IfExp):
        new.body, new.orelse = new.orelse, new.body
    else:
        return None
    return new


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int | None]]:
    """(parent, field, index) of every expression within a function that could be changed."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for parent in (node for statement in function.body for node in ast.walk(statement)):
            for field, value in ast.iter_fields(parent):
                if field in ("annotation", "returns"):
                    continue
                for index, child in (
                    enumerate(value) if isinstance(value, list) else [(None, value)]
                ):
                    if isinstance(child, ast.expr) and _changed(child) is not None:
                        yield parent, field, index


def plant(file: str, rng: random.Random) -> Fault | None:
    """One fault at a place of the file that the generator draws; None where there is none."""
    tree = ast.parse((ROOT / file).read_text())
    places = list(_places(tree))
    if not places:
        return None
    parent, field, index = rng.choice(places)
    value = getattr(parent, field)
    node = value if index is None else value[index]
    new = _changed(node)
    assert new is not None  # it is one of the places
    if index is None:
        setattr(parent, field, new)
    else:
        value[index] = new
    code = ast.unparse(ast.fix_missing_locations(tree))
    return Fault(file, node.lineno, ast.unparse(node), ast.unparse(new), code)


def faults(seed: int, count: int) -> Iterator[tuple[str, Fault]]:
    """(room, fault), the rooms in turn."""
    rng, rooms = random.Random(seed), list(COVERED_BY)
    planted: set[Fault] = set()
    while len(planted) < count:
        room = rooms[len(planted) % len(rooms)]
        files = sorted(
            str(path.relative_to(ROOT))
            for path in (ROOT / room).rglob("*.py")
            if path.name != "__init__.py"
        )
        fault = plant(rng.choice(files), rng)
        if fault is not None and fault not in planted:
            planted.add(fault)
            yield room, fault


def ask(room: str, fault: Fault) -> Result:
    """Run the tests of the room on a copy of the project with the fault in it."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", "*.egg-info")
        shutil.copytree(ROOT, project, ignore=ignored)
        (project / fault.file).write_text(fault.code)
        for tier, marks in TIERS.items():
            if (by := _seen_by(project, room, marks)) is not None:
                return Result(fault, tier, by)
    return Result(fault, "", "")


def _seen_by(project: Path, room: str, marks: str) -> str | None:
    """The first test that fails; None if none does. No answer in SECONDS is a failure, too."""
    tests = [f"tests/{name}.py" for name in COVERED_BY[room]]
    command = [sys.executable, "-m", "pytest", *tests, "-x", "-q", "-p", "no:cacheprovider"]
    command += ["-m", marks]
    framework = room.rpartition("/")[2]
    command += ["-k", framework] if framework in FRAMEWORKS else []
    try:
        done = subprocess.run(
            command,
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(project)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the time that its tests take"
    if done.returncode in (0, NO_TESTS):
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0] if lines else "their collection"


def main(
    seed: Annotated[int, typer.Option(help="of the places")] = 0,
    count: Annotated[int, typer.Option(min=1, help="of faults")] = 30,
    jobs: Annotated[int, typer.Option(min=1, help="faults at a time")] = 2,
) -> None:
    """Plant, ask, and print each fault with the test that saw it."""
    results = []
    with ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(lambda each: ask(*each), list(faults(seed, count))):
            results.append(result)
            fault = result.fault
            seen = f"caught by {result.tier}, {result.by}" if result.tier else "missed"
            print(f"{fault.file}:{fault.line}: {fault.before} -> {fault.after}")
            print(f"    {seen}", flush=True)
    quick, slow = (sum(result.tier == tier for result in results) for tier in TIERS)
    print(
        f"seed {seed}: {quick + slow} of {len(results)} faults are caught, {quick} of them by the "
        "tests of `make test`"
    )


if __name__ == "__main__":
    typer.run(main)
