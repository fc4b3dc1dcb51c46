"""The suite on a GPU. Skipped by name on a machine without one.

`rnnbench gpu` runs this file; its rehearsal names the CPU in RNNBENCH_GPU_DEVICE, and what a GPU
alone has is then not looked at.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from running import Ran, command, environment, suite

from backends import registry
from bench import ROOT
from bench.gpu import driver
from bench.gpu.parts import DEVICE_VARIABLE

DEVICE = os.environ.get(DEVICE_VARIABLE, "cuda:0")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        DEVICE != "cpu" and not driver.there(), reason="no NVIDIA GPU on this machine"
    ),
]
on_a_gpu = pytest.mark.skipif(DEVICE == "cpu", reason="a rehearsal on the CPU")

VARIANTS = [
    entry.name
    for entry in registry.BUILT_IN
    if entry.modules and entry.default and registry.missing(entry) is None
]
MODEL = ("--size=source", "--layers=2", "--bidirectional", "--phase=bptt")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return suite(
        tmp_path_factory.mktemp("reports"),
        *MODEL,
        f"--device={DEVICE}",
        "--task=sentiment",
        "--cell=lstm",
        "--benchmark-max-time=0.1",
        *(("--threads=1",) if DEVICE == "cpu" else ()),
        timeout=600,
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_timed_run_counts_memory(ran: Ran, variant: str) -> None:
    found = [m for (_, name), m in ran.measurements().items() if name == variant]
    assert found
    for m in found:
        if m.status == "skipped":  # a build without CUDA
            pytest.skip(m.reason)
        assert m.status == "ok", f"{m.workload.id}: {m.status}, {m.reason}"
        assert m.workload.device == DEVICE
        counted = m.processes[0].peak_device_bytes
        assert counted if DEVICE != "cpu" else counted is None, m.workload.id


@on_a_gpu
def test_numpy_is_refused(ran: Ran) -> None:
    statuses = {m.status for (_, name), m in ran.measurements().items() if name == "numpy"}
    assert statuses == {"refused"}


@on_a_gpu
@pytest.mark.skipif("torch" not in VARIANTS, reason="torch is not installed")
def test_torch_runs_cudnn_and_takes_the_time_of_its_events(ran: Ran) -> None:
    (m,) = (m for (_, name), m in ran.measurements().items() if name == "torch")
    assert "_cudnn_rnn" in m.path, m.path
    (process,) = m.processes
    assert len(process.device_seconds) == len(process.throughput_seconds) > 0
    for events, wall in zip(process.device_seconds, process.throughput_seconds, strict=True):
        assert 0 < events < 1.05 * wall


def test_every_cell_agrees() -> None:
    """In true float32, in three workloads; `rnnbench gpu` has a part for each variant instead."""
    wanted = (f"--device={DEVICE}", "--cell=rnn_tanh,rnn_relu,gru,lstm", *MODEL)
    done = subprocess.run(
        command("bench/suite", "--benchmark-disable", f"--backend={','.join(VARIANTS)}", *wanted),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@on_a_gpu
def test_a_gpu_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    found = suite(tmp_path, "--device=cuda:99", "--task=hihello", f"--backend={VARIANTS[0]}")
    assert found.code == pytest.ExitCode.USAGE_ERROR
    assert "cuda:0" in found.output
