"""The suite on a GPU. Skipped by name on a machine without one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from running import Ran, suite

from backends import registry


def _gpus() -> int:
    """By the driver's own word: no framework is imported to find out."""
    if shutil.which("nvidia-smi") is None:
        return 0
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines())


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not _gpus(), reason="no NVIDIA GPU on this machine"),
]

ON_GPU = [
    entry.name
    for entry in registry.BUILT_IN
    if entry.modules and entry.default and registry.missing(entry) is None
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return suite(
        tmp_path_factory.mktemp("reports"),
        "--device=cuda:0",
        "--task=hihello,sentiment",
        "--size=source",
        "--cell=rnn_tanh,gru,lstm",
        "--layers=2",
        "--bidirectional",
        "--phase=forward,bptt,train_step",
        "--benchmark-max-time=0.1",
        timeout=1500,
    )


@pytest.mark.parametrize("variant", ON_GPU)
def test_every_cell_agrees_in_true_float32(ran: Ran, variant: str) -> None:
    found = [m for (_, name), m in ran.measurements().items() if name == variant]
    assert found
    wrong = [f"{m.workload.id}: {m.status}, {m.reason}" for m in found if m.status != "ok"]
    assert not wrong, "\n".join(wrong)
    for m in found:
        assert m.workload.device == "cuda:0"
    # XLA cannot count anew: nothing is known of a workload that needed no more than one before it.
    counted = [m.workload.id for m in found if m.processes[0].peak_device_bytes]
    assert counted if "jax" in variant or "flax" in variant else len(counted) == len(found)


def test_numpy_is_refused(ran: Ran) -> None:
    statuses = {m.status for (_, name), m in ran.measurements().items() if name == "numpy"}
    assert statuses == {"refused"}


@pytest.mark.skipif("torch" not in ON_GPU, reason="torch is not installed")
def test_torch_runs_cudnn(ran: Ran) -> None:
    for (_, name), m in ran.measurements().items():
        if name == "torch":
            assert "_cudnn_rnn" in m.path, f"{m.workload.id}: {m.path}"


def test_a_gpu_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    found = suite(tmp_path, "--device=cuda:99", "--task=hihello")
    assert found.code == pytest.ExitCode.USAGE_ERROR
    assert "cuda:0" in found.output
