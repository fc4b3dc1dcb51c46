"""A real SLURM of two nodes on this machine: daemons of this user, on loopback, in one folder.

Each node has one core of its own: its daemon is bound to it, and so is all that it starts. There is
no accounting, so `sacct` does not answer. Tried with slurm-wlm 22.05 of Debian 12.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "taskset")
NODES = ("n1", "n2")
START_SECONDS = 60


def problem() -> str | None:
    """Why there can be none here."""
    absent = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    if absent:
        return f"{', '.join(absent)} is not installed: apt-get install slurm-wlm munge"
    cores = len(os.sched_getaffinity(0))
    return None if cores >= len(NODES) else f"{cores} core; expected one for each of two nodes"


def _path() -> str:
    return os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"))


@contextlib.contextmanager
def two_nodes(folder: Path) -> Iterator[dict[str, str]]:
    """The variables by which the commands of SLURM find it."""
    variables = {"PATH": _path(), "SLURM_CONF": str(folder / "slurm.conf")}
    folder.mkdir()
    socket_file = folder / "munge.socket"
    _configure(folder, socket_file)
    running: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:

        def start(*command: str) -> None:
            log = stack.enter_context((folder / f"{command[0]}-{len(running)}.log").open("wb"))
            environment = {**os.environ, **variables}
            running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

        try:
            files = [f"--{name}-file={folder / name}" for name in ("key", "pid", "log", "seed")]
            start("munged", "--foreground", "--force", f"--socket={socket_file}", *files)
            _wait(socket_file.exists, folder)
            start("slurmctld", "-D", "-c")
            for node, core in zip(NODES, sorted(os.sched_getaffinity(0)), strict=False):
                start("taskset", "-c", str(core), "slurmd", "-D", "-N", node)
            _wait(lambda: _idle(variables), folder)
            yield variables
        finally:
            for process in reversed(running):
                process.terminate()
            for process in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()


def _wait(holds: object, folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not holds():  # type: ignore[operator]
        if time.monotonic() > end:
            logs = "\n".join(file.read_text(errors="replace") for file in folder.glob("*.log"))
            raise TimeoutError(f"SLURM does not start:\n{logs[-4000:]}")
        time.sleep(0.2)


def _idle(variables: dict[str, str]) -> bool:
    done = subprocess.run(
        ["sinfo", "--noheader", "--Node", "--format=%N %T"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split() == ["n1", "idle", "n2", "idle"]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _configure(folder: Path, socket_file: Path) -> None:
    key = folder / "key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    controller, *ports = _free_ports(1 + len(NODES))
    host, user = platform.node(), getpass.getuser()
    lines = [
        "ClusterName=two",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={controller}",
        f"SlurmUser={user}",
        f"SlurmdUser={user}",
        "AuthType=auth/munge",
        f"AuthInfo=socket={socket_file},cred_expire=5",
        "CredType=cred/munge",
        f"StateSaveLocation={folder / 'state'}",
        f"SlurmdSpoolDir={folder}/spool-%n",
        f"SlurmctldPidFile={folder / 'ctld.pid'}",
        f"SlurmdPidFile={folder}/slurmd-%n.pid",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core",
        "SlurmdParameters=config_overrides",
        "ReturnToService=2",
        "JobRequeue=1",
        "MpiDefault=none",
        "KillWait=10",
        *(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 "
            "RealMemory=4000 State=UNKNOWN"
            for node, port in zip(NODES, ports, strict=True)
        ),
        f"PartitionName=all Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP "
        "OverSubscribe=EXCLUSIVE",
    ]
    (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
