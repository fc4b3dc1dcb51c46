"""What a job does on its node. It may be started again at any time, on this node or another."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil

from bench import ROOT
from bench.fleet import look, state
from bench.fleet.state import Fleet, NodeState
from bench.records import provenance, store
from bench.records import summary as summaries

PR_SET_PDEATHSIG = 1
END_SECONDS = 60  # for a run to write its report after SIGTERM
JOB_VARIABLES = ("SLURM_JOB_ID", "SUBMITIT_LOCAL_JOB_ID")


class Job:
    """One task of a fleet: called on its node, by submitit."""

    def __init__(self, folder: Path, task: int) -> None:
        self.folder, self.task = folder, task

    def __call__(self) -> str:
        """Look at the node, then run or resume; return what has become of it."""
        fleet = state.load(self.folder)
        here = self._here(state.alias(fleet.salt))
        if self._whole(here.name):
            return self._keep(here, "measured")
        self._keep(here, "looking")
        found = tuple(look.look(fleet.variants, allow_busy=fleet.allow_busy))
        if found:
            return self._keep(here, "sick", found)
        self._keep(here, "measuring")
        code = self._run(fleet, here)
        if self._whole(here.name):
            return self._keep(here, "measured")
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return self._keep(here, "failed", (f"the run ended early, {how}: jobs/ has its output",))

    def checkpoint(self) -> object:
        """Before the job is requeued: end the run, whose records lie in the folder already."""
        from submitit.helpers import DelayedSubmission

        child = _running.get(self.task)
        if child is not None:
            # This is called in a signal handler, within child.wait(), whose lock is held.
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(child.pid)
                process.terminate()
                psutil.wait_procs([process], END_SECONDS)
        return DelayedSubmission(self)

    def _here(self, alias: str) -> NodeState:
        job = next((os.environ[name] for name in JOB_VARIABLES if name in os.environ), "")
        return NodeState(task=self.task, node=alias, job=job, state="looking")

    def _keep(self, here: NodeState, now: state.State, found: tuple[str, ...] = ()) -> str:
        state.keep(self.folder, msgspec.structs.replace(here, state=now, found=found))
        return now

    def _whole(self, name: str) -> bool:
        found = summaries.read(state.run_folder(self.folder, name))
        return found is not None and found.whole

    def _run(self, fleet: Fleet, here: NodeState) -> int:
        """The exit status of `rnnbench run`; it goes on with what this node has measured."""
        folder = state.run_folder(self.folder, here.name)
        resumed = (folder / store.FILE).exists()
        anew = [f"--reports={folder.parent}", f"--run-name={here.name}"]
        where = [f"--resume={folder}"] if resumed else anew
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        child = subprocess.Popen(
            [sys.executable, "-m", "bench.cli", "run", *fleet.words, *where, "--queue"],
            cwd=fleet.directory,
            env={**os.environ, provenance.NODE: here.node, "PYTHONPATH": paths},
            preexec_fn=_begin,
        )
        _running[self.task] = child
        return child.wait()


_running: dict[int, subprocess.Popen[bytes]] = {}  # by task: a job is pickled without it


def _begin() -> None:
    """In the child: where its job is killed, the run ends as after Ctrl-C, with a report.

    The signal before the time limit reaches every process of a job; it is for submitit alone.
    """
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
