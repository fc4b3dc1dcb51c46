"""Workloads by the hundred, a fault in every tenth: all are measured, the parent stays small."""

from __future__ import annotations

import os
import time
from pathlib import Path

import kit
import numpy as np
import psutil
import pytest
from running import install

from bench.records import store

WORKLOADS = int(os.environ.get("RNNBENCH_SOAK", "300"))
# Growth from the first third of a run to its last, for each workload: pytest's own reports of two
# tests, and the results that pytest-benchmark keeps until its end.
MOST_BYTES = 100 * 2**10


@pytest.mark.prove
def test_a_soak(tmp_path: Path) -> None:
    plugins = install(tmp_path / "plugins", {"soaked": "faulty:soaked"})
    # In a random order: larger nets need more memory, whatever came before them.
    order = np.random.default_rng(0).permutation(np.arange(1, WORKLOADS + 1))
    sizes = ",".join(map(str, order))
    words = ("--task=custom", "--cell=rnn_tanh", "--batch=2", "--steps=3", "--input=2")
    words += ("--classes=2", f"--hidden={sizes}", "--phase=forward", "--backend=numpy,soaked")
    looks = []
    with kit.Run(
        tmp_path, *words, "--benchmark-max-time=0.02", "-q", paths=(plugins, *kit.HERE)
    ) as run:
        parent = psutil.Process(run.process.pid)
        while run.process.poll() is None:
            try:
                looks.append((parent.memory_info().rss, parent.num_fds()))
            except psutil.Error:
                break
            time.sleep(0.5)
        happened = run.end(seconds=60)
        _, found, _ = store.read(run.folder / store.FILE)
    memory, files = np.array(looks).T
    third = len(looks) // 3
    # The first look after the imports, and the last before the report is made.
    first, last = np.median(memory[third // 2 : third]), np.median(memory[-third : -third // 4])
    print(f"{len(found)} measurements, {len(looks)} looks at the parent")
    print(f"memory {first / 2**20:.1f} MiB, then {last / 2**20:.1f} MiB")
    print(f"files {np.median(files[:third]):.0f}, then {np.median(files[-third:]):.0f}")
    assert happened.left == []
    of: dict[str, dict[int, list[str]]] = {"numpy": {}, "soaked": {}}
    for m in found:
        if m.role == "variant":
            of[m.variant].setdefault(m.workload.spec.hidden_size, []).append(m.status)
    assert of["numpy"] == {size: ["ok"] for size in range(1, WORKLOADS + 1)}
    assert {size: s for size, s in of["soaked"].items() if size % 10} == {
        size: ["ok"] for size in range(1, WORKLOADS + 1) if size % 10
    }
    faults = {size: status for size, (status,) in of["soaked"].items() if not size % 10}
    assert len(faults) == WORKLOADS // 10
    assert set(faults.values()) >= {"ok", "crashed", "failed"}
    assert last - first <= MOST_BYTES * WORKLOADS
    assert np.median(files[-third:]) <= np.median(files[third : 2 * third]) + 2
