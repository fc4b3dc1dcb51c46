"""The processor by its name, and which of its cores are fast."""

from __future__ import annotations

import platform
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

_INFO = Path("/proc/cpuinfo")
_CPUS = Path("/sys/devices/system/cpu")
_HYBRID = Path("/sys/devices/cpu_core/cpus")  # the fast cores of a hybrid processor of Intel
SAME_SPEED = 0.85  # of the fastest core; the cores of one kind differ by a few per cent

# As in lscpu of util-linux. ARM has no model names: a core is known by two numbers.
IMPLEMENTERS = {
    0x41: "Arm", 0x42: "Broadcom", 0x43: "Cavium", 0x46: "Fujitsu", 0x48: "HiSilicon",
    0x4E: "NVIDIA", 0x50: "APM", 0x51: "Qualcomm", 0x53: "Samsung", 0x56: "Marvell",
    0x61: "Apple", 0x6D: "Microsoft", 0x70: "Phytium", 0xC0: "Ampere",
}  # fmt: skip
PARTS = {
    (0x41, 0xD03): "Cortex-A53", (0x41, 0xD04): "Cortex-A35", (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57", (0x41, 0xD08): "Cortex-A72", (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75", (0x41, 0xD0B): "Cortex-A76", (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77", (0x41, 0xD40): "Neoverse-V1", (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD44): "Cortex-X1", (0x41, 0xD46): "Cortex-A510", (0x41, 0xD47): "Cortex-A710",
    (0x41, 0xD48): "Cortex-X2", (0x41, 0xD49): "Neoverse-N2", (0x41, 0xD4A): "Neoverse-E1",
    (0x41, 0xD4D): "Cortex-A715", (0x41, 0xD4E): "Cortex-X3", (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD80): "Cortex-A520", (0x41, 0xD81): "Cortex-A720", (0x41, 0xD82): "Cortex-X4",
    (0x41, 0xD84): "Neoverse-V3", (0x41, 0xD8E): "Neoverse-N3",
    (0x46, 0x001): "A64FX", (0x48, 0xD01): "TaiShan v110", (0x4E, 0x004): "Carmel",
    (0xC0, 0xAC3): "Ampere-1", (0xC0, 0xAC4): "Ampere-1a",
}  # fmt: skip


# As Linux calls them: of x86, then of ARM.
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "svebf16")


def name() -> str:
    """ "AMD EPYC 9654"; on ARM the implementer and part of each kind of core, and the board."""
    if _INFO.exists():
        info = _INFO.read_text(errors="replace")
        if kinds := Counter(_arm(info)):
            counted = [kind if len(kinds) == 1 else f"{n} x {kind}" for kind, n in kinds.items()]
            boards = re.findall(r"^(?:Model|Hardware)\s*:\s*(.*\S)", info, re.M)
            return ", ".join([*counted, *boards[-1:]])
        if found := re.search(r"^(?:model name|Model|Hardware|cpu)\s*:\s*(.+)$", info, re.M):
            return found[1].strip()
    if platform.system() == "Darwin":
        sysctl = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            named = subprocess.run(sysctl, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            named = ""
        if named.strip():
            return named.strip()
    return platform.processor() or platform.machine()


def bfloat16() -> tuple[str, ...] | None:
    """The instructions of the processor for bfloat16: ("avx512_bf16",). None: unknown.

    A processor without any computes bfloat16 in software, by converting to float32 and back.
    """
    info = _INFO.read_text(errors="replace") if _INFO.exists() else ""
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", info, re.M)
    if found is None:
        return None
    return tuple(flag for flag in found[1].split() if flag in BFLOAT16)


def _arm(info: str) -> Iterator[str]:
    """ "Arm Neoverse-N1 (0x41, 0xd0c)" for each core."""
    pattern = r"^CPU implementer\s*:\s*(0x[0-9a-f]+)$(?:\n.+)*?\nCPU part\s*:\s*(0x[0-9a-f]+)$"
    for implementer, part in re.findall(pattern, info, re.M):
        numbers = int(implementer, 16), int(part, 16)
        maker = IMPLEMENTERS.get(numbers[0], "ARM implementer")
        yield f"{maker} {PARTS.get(numbers, 'part')} ({implementer}, {part})"


def fast(cores: Sequence[int]) -> list[int]:
    """Those of the fastest kind among `cores`; all of them if the system tells no difference."""
    speeds = {core: _speed(core) for core in cores}
    known = [speed for speed in speeds.values() if speed is not None]
    if len(known) == len(speeds) and known:
        fastest = max(known)
        return [core for core in cores if (speeds[core] or 0.0) >= SAME_SPEED * fastest]
    if _HYBRID.exists():
        chosen = set(numbers(_HYBRID.read_text(encoding="ascii")))
        return [core for core in cores if core in chosen] or list(cores)
    return list(cores)


def _speed(core: int) -> float | None:
    """Its capacity or its highest frequency, in the unit of the system; None if unknown."""
    for file in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        try:
            return float((_CPUS / f"cpu{core}" / file).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return None


def numbers(text: str) -> list[int]:
    """The cores of a list of the kernel: "0-3,8"."""
    ends = ([int(end) for end in part.split("-")] for part in text.strip().split(",") if part)
    return [one for end in ends for one in range(end[0], end[-1] + 1)]
