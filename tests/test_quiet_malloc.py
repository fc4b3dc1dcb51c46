"""torch in a process that keeps freed memory: the same answers, without the page faults."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from running import suite

from backends import registry
from bench.gpu import devices
from tasks.spec import ModelSpec

OF_GLIBC = platform.libc_ver()[0] == "glibc"
NET = ("--task=custom", "--cell=lstm", "--batch=64", "--steps=100", "--input=64", "--hidden=256")


def asked(name: str, member: str, **options: object) -> object:
    pytest.importorskip("torch")
    return registry.ask(name, member, **options)


def test_its_environment_is_that_of_torch_and_the_thresholds() -> None:
    where = {"threads": 2, "device": "cpu", "dtype": "float32"}
    plain, quiet = (asked(name, "environment", **where) for name in ("torch", "torch-quiet-malloc"))
    assert isinstance(plain, dict)
    assert isinstance(quiet, dict)
    assert plain.items() < quiet.items()
    assert all(name.startswith("MALLOC_") for name in quiet.keys() - plain.keys())


def test_another_libc_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.torch.backend import torch_nn, torch_quiet_malloc

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    where = {"device": "cpu", "dtype": "float32", "phase": "bptt"}
    assert "glibc alone" in (torch_quiet_malloc().refusal(ModelSpec("gru", 2, 3), **where) or "")
    assert torch_nn().refusal(ModelSpec("gru", 2, 3), **where) is None


def test_it_is_for_a_cpu() -> None:
    pytest.importorskip("torch")
    about = {"device": "cuda", "dtype": "float32", "phase": "bptt"}
    assert "on a GPU" in str(
        asked("torch-quiet-malloc", "refusal", spec=ModelSpec("gru", 2, 3), **about)
    )
    assert "torch-quiet-malloc" not in [entry.name for entry in devices.entries()]


@pytest.mark.slow
@pytest.mark.skipif(not OF_GLIBC, reason="these settings of malloc exist in glibc alone")
def test_it_agrees_and_has_fewer_page_faults(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = ("--phase=bptt", "--backend=torch,torch-quiet-malloc", "--benchmark-max-time=0.05")
    ran = suite(tmp_path, *NET, *options)
    assert ran.code == 0, ran.output
    faults = {
        measurement.variant: measurement.processes[0].page_faults or 0.0
        for measurement in ran.measurements().values()
    }
    assert faults["torch-quiet-malloc"] < 0.2 * faults["torch"], faults
    assert "page faults" in (ran.folder / "report.md").read_text()
