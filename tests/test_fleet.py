"""A fleet: its jobs, by submitit's local executor and by a real SLURM, and who is left out."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
import slurm
from here import rnnbench
from running import environment

from bench import ROOT
from bench.fleet import collect, look, state, status
from bench.fleet.job import Job
from bench.fleet.state import Fleet, NodeState
from bench.records import machine, store, summary
from bench.records.summary import Summary
from bench.selftest.trials import Trial

submitit = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="submitit is not installed"
)
# Small, so that a fleet takes less than a minute, and enough to be killed in the middle of.
WORDS = (
    *("--task=hihello", "--cell=rnn_tanh,rnn_relu,gru,lstm", "--backend=numpy"),
    *("--benchmark-max-time=0.2",),
)
WORKLOADS = 8
FORWARD = "--phase=forward"  # half of them
MOST_SECONDS = 120

FLEET = Fleet(
    words=WORDS,
    variants=("numpy",),
    directory=str(ROOT),
    salt="salt",
    local=True,
    minutes=10,
    requeue=False,
    allow_busy=False,
    sbatch={},
    jobs=((), ()),
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--nodes=2", "--task=nope"], "hihello, sin_sequence, sentiment"),
        (["--nodes=2", "--reports=x"], "--reports=x: a fleet chooses it"),
        (["--nodes=2", "--time=soon"], "--time 'soon': expected minutes, or H:MM:SS"),
        (["--nodes=2", "--sbatch=gres"], "--sbatch 'gres': expected NAME=VALUE"),
        (["--nodes=2", "--local", "--partition=all"], "--local has no queue"),
        (["--nodes=2", "--backend=tensorfow"], "keras-tensorflow"),
    ],
)
def test_wrong_use_is_said_before_anything_is_submitted(
    tmp_path: Path, words: list[str], expected: str
) -> None:
    code, output = rnnbench("fleet", "submit", *words, f"--folder={tmp_path / 'fleet'}")
    assert code == 2, output
    assert expected in output
    assert not (tmp_path / "fleet").exists()


def test_a_folder_that_is_no_fleet(tmp_path: Path) -> None:
    for command in ("status", "requeue", "collect"):
        code, output = rnnbench("fleet", command, tmp_path)
        assert (code, "is not the folder of a fleet" in output) == (2, True), output


def test_an_alias_is_a_salted_hash_and_no_host_name() -> None:
    here = state.alias("one", {"SLURMD_NODENAME": "gpu-17"})
    assert re.fullmatch(r"[0-9a-f]{8}", here)
    assert here == state.alias("one", {"SLURMD_NODENAME": "gpu-17"})
    assert here != state.alias("two", {"SLURMD_NODENAME": "gpu-17"})
    assert here != state.alias("one", {"SLURMD_NODENAME": "gpu-18"})
    assert state.alias("one", {}) == state.alias("one", {"SLURMD_NODENAME": platform.node()})


def _trial(ratio: float) -> Trial:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1.0, 0.02, 12), rng.normal(ratio, 0.02, 12)
    return Trial(
        variant="torch",
        pair=0,
        slowdown=0.0,
        first_seconds=tuple(first),
        second_seconds=tuple(second),
    )


def test_a_variant_that_differs_from_itself() -> None:
    assert not [*look._differing([_trial(1.0), _trial(1.05), _trial(0.95)])]
    (found,) = look._differing([_trial(1.0), _trial(1.4)])
    assert re.fullmatch(r"two processes of torch differ by a factor of 1\.\d\d \(A/A\)", found)


def _examined(folder: Path, fleet: Fleet) -> NodeState:
    """What a job of `fleet` leaves that finds its node sick."""
    state.new(folder, fleet)
    assert Job(folder, 1)() == "sick"
    assert not [*(folder / "runs").glob("*-*")]
    (found,) = state.nodes(folder)
    return found


@pytest.fixture
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNBENCH_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(look, "PAUSE_SECONDS", 0.05)


@pytest.mark.usefixtures("_own_locks")
def test_a_busy_node_is_sick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "LOOK_SECONDS", 0.3)
    (core, *_) = machine.all_cores()
    burning = subprocess.Popen(
        [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"]
    )
    try:
        found = _examined(tmp_path / "fleet", FLEET)
    finally:
        burning.kill()
        burning.wait()
    assert "busy with other programs" in found.found[0]


@pytest.mark.usefixtures("_own_locks")
def test_a_node_that_lacks_a_framework_is_sick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    fleet = msgspec.structs.replace(FLEET, variants=("numpy", "torch"))
    assert "torch is not installed" in _examined(tmp_path / "fleet", fleet).found[0]


@pytest.mark.slow
@pytest.mark.usefixtures("_own_locks")
def test_a_framework_that_cannot_be_imported_is_found_by_the_short_aa(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "broken" / "torch"
    package.mkdir(parents=True)
    error = "raise ImportError('libtorch_cpu.so: undefined symbol')\n"
    (package / "__init__.py").write_text(error)
    monkeypatch.setenv("PYTHONPATH", f"{package.parent}:{ROOT}")
    (found,) = look.differs_from_itself(["numpy", "torch"])
    assert "torch: " in found
    assert "libtorch_cpu.so: undefined symbol" in found


def _run_of(
    folder: Path, task: int, node: str, seconds: float, changes: Mapping[str, object]
) -> None:
    """A run as a job leaves it, on a node whose GEMM baseline takes `seconds`."""
    run = folder / "runs" / f"{task}-{node}"
    run.mkdir()
    one = summary.WorkloadSummary(
        title="bptt[x]",
        row="x",
        device="cpu",
        variants=("torch", "jax"),
        log_ratios=(-0.5,),
        standard_errors=(0.02,),
        degrees=(10.0,),
        baseline_seconds=seconds,
    )
    made = Summary(
        name=run.name,
        node=node,
        started=f"2026-11-28T00:00:0{task}+00:00",
        project="0.1.0",
        machine=machine.describe(),
        between_process=summary.BetweenProcess(deviation=0.02, degrees=8),
        planned=1,
        record_bytes=0,
        workloads=(one,),
    )
    summary.write(run, msgspec.structs.replace(made, **changes))
    state.keep(folder, NodeState(task=task, node=node, job="1", state="measured"))


def test_sick_nodes_and_fragments_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    state.new(folder, msgspec.structs.replace(FLEET, jobs=((),) * 9))
    for task, (node, seconds) in enumerate(
        (("aaaa0001", 1.0), ("aaaa0002", 1.1), ("aaaa0003", 2.0), ("aaaa0004", 0.9)), 1
    ):
        _run_of(folder, task, node, seconds, {})
    _run_of(folder, 5, "aaaa0005", 1.0, {"planned": 2})
    _run_of(folder, 6, "aaaa0001", 1.0, {})
    sick = {"aaaa0006": "0.98 of 2 cores busy", "aaaa0007": "torch is not installed"}
    for task, (node, why) in enumerate(sick.items(), 7):
        state.keep(folder, NodeState(task=task, node=node, job="1", state="sick", found=(why,)))
    code, output = rnnbench("fleet", "collect", folder)
    assert code == 0, output
    assert "left out: aaaa0003: its GEMM baseline takes 2.0" in output
    assert "left out: aaaa0005: task 5: a fragment" in output
    assert "left out: aaaa0001: task 1: measured again by task 6" in output
    assert "left out: aaaa0006: task 7: sick; 0.98 of 2 cores busy" in output
    assert "left out: aaaa0007: task 8: sick; torch is not installed" in output
    assert "left out: -: task 9: on no node yet" in output
    assert "1 workload on 3 nodes of 1 kind of machine" in output
    page = (folder / "machines.md").read_text()
    for node in ("aaaa0003", "aaaa0005", "aaaa0006", "aaaa0007"):
        assert f"| {node} |" in page
    # Copies of two fleets in one table.
    runs, _ = collect.collect([folder, folder])
    assert len(runs) == 4


def _wait(holds: Callable[[], object], what: Callable[[], str]) -> None:
    end = time.monotonic() + MOST_SECONDS
    while not holds():
        assert time.monotonic() < end, what()
        time.sleep(0.1)


class Commands:
    """`rnnbench fleet`, each time from another process and another folder."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder, self._elsewhere = tmp_path / "fleet", tmp_path
        self._environment = environment({"RNNBENCH_LOCKS": str(tmp_path / "locks")}, ROOT)

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "bench.cli", "fleet", *words],
            cwd=self._elsewhere,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
        assert done.returncode in codes, done.stdout + done.stderr + self.logs()
        return done.stdout

    def logs(self) -> str:
        files = sorted((self.folder / "jobs").glob("*.[oe][ur][tr]"))
        return "\n".join(f"{file.name}\n{file.read_text()[-3000:]}" for file in files)

    def states(self) -> dict[int, str]:
        """The word for each task; in this process, which keeps no core busy."""
        found = status.statuses(self.folder, state.load(self.folder))
        return {each.task: each.state for each in found}

    def workloads(self, task: int) -> int:
        """That have ended, of the newest run of a task."""
        files = [*(self.folder / "runs").glob(f"{task}-*/{store.FILE}")]
        return sum(file.read_bytes().count(b'{"record":"workload"') for file in files)

    def collected(self) -> tuple[str, list[list[str]]]:
        """What `collect` prints, and the rows of its first table."""
        # 1: on a machine that computes something else meanwhile, all may be disturbed.
        output = self.run("collect", str(self.folder), codes=(0, 1))
        page = (self.folder / "machines.md").read_text()
        table = page.partition("## Who is fastest")[2].partition("## Ratios")[0]
        rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")]
        return output, rows[1:]


def _expect_nothing_private(folder: Path) -> None:
    """Neither a path nor a host name in what a fleet publishes."""
    words = map(re.escape, (platform.node(), str(folder.parent), '"n1"', '"n2"'))
    private = re.compile(rf"(?<!\w)({'|'.join(words)})(?!\w)")
    files = [*folder.glob("runs/*/*"), *folder.glob("nodes/*"), folder / "machines.md"]
    texts = [file for file in files if file.suffix in (".json", ".jsonl", ".md")]
    assert len(texts) > 6
    for file in texts:
        assert private.search(file.read_text()) is None, file


def _expect_every_row_once(
    output: str, rows: list[list[str]], nodes: int, workloads: int = WORKLOADS
) -> None:
    """Each workload has one row, unless it was disturbed on every node, which is said."""
    assert len(rows) == len({row[0] for row in rows})
    disturbed = sum(map(int, re.findall(r"(\d+) workloads?: more than", output)))
    assert workloads - disturbed // nodes <= len(rows) <= workloads


def _expect_every_workload_once(folder: Path, task: int, count: int = WORKLOADS) -> None:
    """In the records of the task that was killed: none lost, none doubled."""
    (file,) = folder.glob(f"runs/{task}-*/{store.FILE}")
    _, measurements, workloads = store.read(file)
    assert len(workloads) == len({each.workload for each in workloads}) == count
    assert {m.status for m in measurements} == {"ok"}
    variants = [(m.workload, m.variant) for m in measurements if m.role == "variant"]
    assert len(variants) == len(set(variants)) == count


@submitit
@pytest.mark.slow
def test_a_fleet_by_the_local_executor(tmp_path: Path) -> None:
    fleet, half = Commands(tmp_path), WORKLOADS // 2
    options = ("--nodes=2", "--local", "--allow-busy", f"--folder={fleet.folder}")
    output = fleet.run("submit", *options, *WORDS, FORWARD)
    assert "submitted 2 jobs" in output
    started = [*json.loads((fleet.folder / "fleet.json").read_text())["jobs"]]

    def in_the_middle() -> list[int]:
        return [task for task in (1, 2) if 0 < fleet.workloads(task) < half]

    def submitit_of(task: int) -> psutil.Process:
        (process,) = psutil.Process(int(started[task - 1][0])).children()
        return process

    _wait(in_the_middle, fleet.logs)
    (task,) = in_the_middle()
    submitit_of(task).kill()  # the run ends with it
    _wait(lambda: fleet.states()[task] in ("lost", "failed"), fleet.logs)
    assert 0 < fleet.workloads(task) < half
    code, output = rnnbench("fleet", "collect", fleet.folder)
    assert f"task {task}: a fragment of" in output, (code, output)

    other = 3 - task
    _wait(lambda: 0 < fleet.workloads(other) < half, fleet.logs)
    submitit_of(other).send_signal(signal.SIGUSR2)  # as before the time limit: it starts again
    assert "submitted 1 job" in fleet.run("requeue", str(fleet.folder))
    _wait(lambda: set(fleet.states().values()) == {"measured"}, fleet.logs)
    for each in (task, other):
        _expect_every_workload_once(fleet.folder, each, half)
    output, rows = fleet.collected()
    assert not rows or "on 1 node of 1 kind of machine" in output
    assert "measured again by task" in output  # both jobs ran on this one machine
    _expect_every_row_once(output, rows, nodes=1, workloads=half)
    _expect_nothing_private(fleet.folder)
    assert "No task has ended early." in fleet.run("requeue", str(fleet.folder))


@pytest.fixture
def _two_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if why := slurm.problem():
        pytest.skip(f"no SLURM here: {why}")
    with slurm.two_nodes(tmp_path / "slurm") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield


@submitit
@pytest.mark.prove
@pytest.mark.usefixtures("_two_nodes")
@pytest.mark.parametrize("returns", [True, False], ids=["to-its-node", "to-the-other-node"])
def test_a_fleet_by_a_real_slurm_of_two_nodes(tmp_path: Path, returns: bool) -> None:
    """One job is killed in the middle, and SLURM queues it again."""
    fleet = Commands(tmp_path)

    def scontrol(*words: str) -> None:
        subprocess.run(["scontrol", *words], check=True)

    options = ("--nodes=2", "--requeue", "--partition=all", "--time=0:30:00", "--allow-busy")
    print("\n" + fleet.run("submit", *options, f"--folder={fleet.folder}", *WORDS))
    _wait(lambda: 0 < fleet.workloads(1) < WORKLOADS, fleet.logs)
    print(fleet.run("status", str(fleet.folder)))
    (first,) = (json.loads((fleet.folder / "fleet.json").read_text())["jobs"])[0]
    if not returns:
        scontrol("update", "nodename=n1", "state=drain", "reason=gone")
    scontrol("requeue", first)
    _wait(lambda: fleet.states()[1] == "queued", fleet.logs)
    done = fleet.workloads(1)
    assert 0 < done < WORKLOADS
    print(f"killed and queued again after {done} of {WORKLOADS} workloads")
    print(fleet.run("status", str(fleet.folder)))
    _wait(lambda: set(fleet.states().values()) == {"measured"}, fleet.logs)
    print(fleet.run("status", str(fleet.folder)))
    output, rows = fleet.collected()
    print(output)
    _expect_every_row_once(output, rows, nodes=2 if returns else 1)
    _expect_nothing_private(fleet.folder)
    runs = [*(fleet.folder / "runs").glob("1-*")]
    if returns:
        _expect_every_workload_once(fleet.folder, 1)
        assert store.read(runs[0] / store.FILE)[0].resumed
        assert "2 nodes of 1 kind" in output
        assert "fragment" not in output
    else:
        assert len(runs) == 2
        assert re.search(r"left out: [0-9a-f]{8}: task 1: a fragment of \d workload", output)
        assert "measured again by task" in output  # both tasks, on the node that is left
        assert "1 node of 1 kind" in output
