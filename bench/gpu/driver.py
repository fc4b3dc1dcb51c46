"""Which GPUs the driver of this machine names. No framework is started to find out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.records import machine

WAIT_SECONDS = 30.0
# What a driver leaves in /dev, for containers that have neither NVML nor nvidia-smi.
NODES = ("nvidia[0-9]*", "dxg")


def names() -> tuple[str, ...]:
    """ "NVIDIA H100, 80 GiB, driver 580.1" for each GPU, from NVML or else from nvidia-smi."""
    return machine.describe().gpus or _from_nvidia_smi()


def there(nodes: Path = Path("/dev")) -> bool:
    """Whether this machine seems to have an NVIDIA GPU."""
    return bool(names()) or any(any(nodes.glob(pattern)) for pattern in NODES)


def _from_nvidia_smi() -> tuple[str, ...]:
    if shutil.which("nvidia-smi") is None:
        return ()
    fields = "--query-gpu=name,memory.total,driver_version"
    command = ["nvidia-smi", fields, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return ()
    rows = [line.split(", ") for line in done.stdout.splitlines() if done.returncode == 0]
    return tuple(_named(*row) for row in rows if len(row) == 3)


def _named(name: str, mebibytes: str, driver: str) -> str:
    memory = f"{int(mebibytes) / 1024:.0f} GiB" if mebibytes.isdecimal() else "memory unknown"
    return f"{name}, {memory}, driver {driver}"
