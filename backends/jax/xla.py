"""What XLA reports: its threads, its memory, and the content of a compiled program."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path


def xla_threads() -> int | None:
    """Number of threads in XLA's CPU pool, found by their names; None if they cannot be listed."""
    names = Path("/proc/self/task").glob("*/comm")
    return sum(name.read_text().startswith("tf_XLA") for name in names) or None


class XlaPeak:
    """Peak memory in use on a device since `begin`.

    XLA counts the peak since the start of the process and cannot reset it. A need that does not
    exceed an earlier peak leaves the count unchanged, and is unknown.
    """

    def __init__(self) -> None:
        self._before: int | None = None

    def begin(self, device: str) -> None:
        self._before = self._counted(device)

    def read(self, device: str) -> int | None:
        """Bytes; None if XLA does not count, as on a CPU, or if the count did not rise."""
        peak = self._counted(device)
        return peak if peak != self._before else None

    def _counted(self, device: str) -> int | None:
        import jax

        platform, _, index = device.partition(":")
        stats = jax.devices(platform)[int(index or 0)].memory_stats()
        return None if stats is None else stats.get("peak_bytes_in_use")


def summary(hlo: str) -> str:
    """Loops and matrix products of a compiled program, from its optimized HLO text."""
    calls: dict[str, set[str]] = defaultdict(set)
    products: Counter[str] = Counter()
    name = ""
    for line in hlo.splitlines():
        if head := re.match(r"(?:ENTRY )?%?([\w.-]+) \(.*\{$", line):
            name = head[1]
        calls[name].update(re.findall(r"\b(?:calls|to_apply|body)=%?([\w.-]+)", line))
        products[name] += bool(re.search(r" (?:dot\(|custom-call\(.*(?:gemm|matmul))", line))
    bodies = re.findall(r"\bbody=%?([\w.-]+)", hlo)
    inside, reached = set[str](), bodies
    while reached:
        inside.update(reached)
        reached = [callee for caller in reached for callee in calls[caller] - inside]
    within = sum(products[name] for name in inside)
    outside = products.total() - within
    libraries = sorted(set(re.findall(r'(?:"kind":|custom_call_target=)"([\w$.]+)"', hlo)))
    loops = f"{len(bodies)} XLA loop{'' if len(bodies) == 1 else 's'}"
    where = f"{loops} with {within} products per step, {outside} outside"
    return f"{where}, by {', '.join(libraries) or 'XLA'}"


def product_dtypes(hlo: str) -> str:
    """What the matrix products of a compiled program compute in: "f32" or "bf16 and f32"."""
    found = re.findall(r"= \(?(\w+)\[[^=]*? (?:dot\(|custom-call\(.*(?:gemm|matmul))", hlo)
    return " and ".join(sorted(set(found)))
