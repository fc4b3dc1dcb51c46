"""`rnnbench gpu` without a GPU: its parts and their processes, its report, what asks the driver."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import msgspec
import psutil
import pytest
from commands import rnnbench
from record_samples import RUN, WORKLOAD, measurement, rounds, stopped, workload
from running import install

from backends.torch import gpu as torch_gpu
from bench import ROOT
from bench.gpu import clocks, devices, driver, judge, pages, process, records, reproductions, runner
from bench.gpu.judge import Ended
from bench.gpu.parts import MINUTES, Part, Plan
from bench.gpu.records import Answer, GpuRun, PartRecord, Status
from bench.gpu.runner import Runner
from bench.measurement import machine_state, warm_up
from bench.records import machine, schema, store
from tools import gpu_paths, gpu_requirements

NVIDIA_SMI = "#!/bin/sh\necho 'NVIDIA Stand-in, 81920, 580.1'\n"
PYNVML = """
NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0
class NVMLError(Exception): pass
def nvmlInit(): pass
def nvmlShutdown(): pass
def nvmlSystemGetDriverVersion(): return "580.1"
def nvmlDeviceGetCount(): return 1
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetName(gpu): return "NVML Stand-in"
def nvmlDeviceGetMemoryInfo(gpu): return type("Memory", (), {"total": 80 * 2**30})
def nvmlDeviceGetClockInfo(gpu, what): return 1980
def nvmlDeviceGetTemperature(gpu, what): return 41
def nvmlDeviceGetCurrentClocksThrottleReasons(gpu): return 0x4
"""
FRAMEWORKS = ("tensorflow", "keras", "jax", "flax")


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skips a test where a framework is not installed."""
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(absent), reason=f"{', '.join(absent)} is not installed")


# What asks the driver


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program in the place of nvidia-smi, where NVML tells nothing."""
    monkeypatch.setattr(machine, "_gpus", tuple)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def put(program: str) -> None:
        (tmp_path / "nvidia-smi").write_text(program)
        (tmp_path / "nvidia-smi").chmod(0o755)

    return put


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module in the place of NVML's."""
    module = types.ModuleType("pynvml")
    module.__spec__ = importlib.machinery.ModuleSpec("pynvml", None)
    exec(PYNVML, module.__dict__)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return module


def test_gpus_are_named_by_nvml(nvml: types.ModuleType) -> None:
    assert driver.names() == ("NVML Stand-in, 80 GiB, driver 580.1",)
    assert driver.there()


def test_gpus_are_named_by_nvidia_smi_where_nvml_tells_none(smi: Callable[[str], None]) -> None:
    smi(NVIDIA_SMI)
    assert driver.names() == ("NVIDIA Stand-in, 80 GiB, driver 580.1",)
    smi("#!/bin/sh\necho 'NVIDIA Stand-in, [N/A], 580.1'\n")
    assert driver.names() == ("NVIDIA Stand-in, memory unknown, driver 580.1",)


def test_a_broken_driver_names_none_and_leaves_its_devices(
    tmp_path: Path, smi: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "WAIT_SECONDS", 0.2)
    nodes = tmp_path / "dev"
    nodes.mkdir()
    for program in ("echo 'Failed to initialize NVML'; exit 9", "exec sleep 30"):
        smi(f"#!/bin/sh\n{program}\n")
        assert driver.names() == ()
        assert not driver.there(nodes)
    (nodes / "nvidiactl").touch()
    assert not driver.there(nodes)
    (nodes / "nvidia0").touch()
    assert driver.there(nodes)


def test_the_clock_is_steady_or_not_or_unknown(
    nvml: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_up, "STEADY_SECONDS", 0.1)
    lines: list[str] = []
    assert clocks.steady("cuda:0", lambda: None, lines.append)
    assert lines[0] == (
        "before the warm-up: clock 1980 MHz, temperature 41 °C, held down by power cap"
    )
    assert lines[-1] == "the clock was steady after 0.0 s, at 1980 MHz"
    assert not clocks.steady("cuda:0", lambda: sleep(0.2), lines.append)
    assert "was not steady" in lines[-1]
    nvml.nvmlDeviceGetCurrentClocksEventReasons = lambda gpu: 0x40  # type: ignore[attr-defined]
    del nvml.nvmlDeviceGetCurrentClocksThrottleReasons
    assert machine_state.clocks("cuda:0").throttled == ("hardware thermal slowdown",)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert not clocks.steady("cuda:0", lambda: None, lines.append)
    assert "NVML tells no clock" in lines[-1]
    assert clocks.steady("cpu", lambda: None, lines.append)


# What torch is asked on CUDA


class Cuda:
    """torch.cuda as far as it counts memory: without `init` there is no count to reset."""

    begun = False

    def init(self) -> None:
        self.begun = True

    def is_available(self) -> bool:
        return True

    def reset_peak_memory_stats(self, device: str) -> None:
        if not self.begun:
            raise RuntimeError("Invalid device argument")

    def max_memory_allocated(self, device: str) -> int:
        return 7


def _torch(monkeypatch: pytest.MonkeyPatch, **rnn: str) -> Any:
    """A stand-in for torch; `rnn` are the attributes of its cudnn.rnn."""
    cudnn = types.SimpleNamespace(rnn=types.SimpleNamespace(**rnn), allow_tf32=None)
    set_to: list[str] = []
    torch = types.SimpleNamespace(
        cuda=Cuda(),
        backends=types.SimpleNamespace(cudnn=cudnn),
        set_float32_matmul_precision=set_to.append,
        products=set_to,
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    return torch


def test_cuda_has_begun_before_its_memory_is_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = _torch(monkeypatch)
    torch_gpu.forget_peak("cpu")
    assert not torch.cuda.begun
    torch_gpu.forget_peak("cuda:0")
    assert torch_gpu.peak_bytes("cuda:0") == 7
    assert torch_gpu.peak_bytes("cpu") is None


@pytest.mark.parametrize(
    ("tf32", "products", "rnn"), [(True, "high", "tf32"), (False, "highest", "ieee")]
)
def test_products_and_cudnn_are_set_alike(
    monkeypatch: pytest.MonkeyPatch, tf32: bool, products: str, rnn: str
) -> None:
    new = _torch(monkeypatch, fp32_precision="none")
    torch_gpu.set_float32_products(tf32=tf32)
    assert new.products == [products]
    assert new.backends.cudnn.rnn.fp32_precision == rnn
    assert new.backends.cudnn.allow_tf32 is None  # torch raises where both are set
    old = _torch(monkeypatch)
    torch_gpu.set_float32_products(tf32=tf32)
    assert (old.products, old.backends.cudnn.allow_tf32) == ([products], tf32)


# The processes of the parts


def _part(
    name: str, code: str, seconds: float = 10.0, *, alone: bool = False, skip: str = ""
) -> Part:
    return Part(name, f"{name} works", ("-c", code), seconds, judge.last_line, alone, {}, skip)


def _marked(found: psutil.Process, part: str) -> bool:
    """Is it one that this process started for the part?"""
    try:
        return part in found.environ().get(process.MARK, "")
    except psutil.Error:
        return False


def _ran(
    folder: Path, *parts: Part, minutes: float = MINUTES, side_by_side: int = 4
) -> dict[str, PartRecord]:
    found: dict[str, PartRecord] = {}

    def keep(record: PartRecord) -> None:
        found[record.name] = record

    Runner(folder, minutes, keep, slots=side_by_side).run(parts)
    return found


HANG = "from bench.gpu import rehearsal; rehearsal.hang()"
STAMP = "import time; a = time.monotonic(); time.sleep({}); print(a, time.monotonic())"


def test_a_part_that_hangs_is_ended_with_all_it_started_and_one_that_fails_is_outlived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine an interpreter starts in a second.
    monkeypatch.setattr(process, "GRACE_SECONDS", 1.5)
    monkeypatch.setattr(runner, "LEAST_SECONDS", 0.1)
    found = _ran(
        tmp_path,
        _part("fails", "raise SystemExit('/secret/place/of/a.file is not there')"),
        _part("hangs", HANG, 1.5),
        _part(
            "asked",
            "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: print('wrote')",
            2.0,
        ),
        _part("works", "print('first'); print('all is well')"),
        _part("silent", ""),
        _part("absent", "print(1)", skip="it is not installed"),
    )
    statuses = {name: record.status for name, record in found.items()}
    assert statuses == {
        **dict.fromkeys(("fails", "silent"), "failed"),
        **dict.fromkeys(("hangs", "asked"), "timed out"),
        "works": "good",
        "absent": "skipped",
    }
    assert found["works"].result == "all is well"
    assert found["fails"].result == "exit status 1: a.file is not there"
    assert "/secret" not in (tmp_path / "fails.log").read_text()
    assert found["asked"].result.endswith("wrote")
    (child,) = re.findall(r"process (\d+)", (tmp_path / "hangs.log").read_text())
    assert not psutil.pid_exists(int(child)) or psutil.Process(int(child)).status() == "zombie"
    assert found["absent"].log == ""


def test_parts_run_side_by_side_and_those_that_time_something_alone(tmp_path: Path) -> None:
    parts = [_part(name, STAMP.format(0.5)) for name in ("one", "two", "three")]
    alone = [_part(name, STAMP.format(0.1), alone=True) for name in ("four", "five")]
    found = _ran(tmp_path, *parts, *alone, _part("six", STAMP.format(0.1)), side_by_side=2)
    spans = {name: tuple(map(float, record.result.split())) for name, record in found.items()}

    def overlap(a: str, b: str) -> bool:
        return spans[a][0] < spans[b][1] and spans[b][0] < spans[a][1]

    others = ("one", "two", "three", "six")
    assert not any(overlap(a, b) for a in ("four", "five") for b in others)
    assert not overlap("four", "five")
    assert sorted(spans, key=spans.__getitem__)[-3:] == ["four", "five", "six"]
    assert not (overlap("one", "two") and overlap("two", "three") and overlap("one", "three"))


def test_what_the_time_does_not_reach_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "END_SECONDS", 0.0)
    monkeypatch.setattr(runner, "LEAST_SECONDS", 1.0)
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)
    long, late = _part("long", "import time; time.sleep(60)", 60), _part("late", "print(1)")
    found = _ran(tmp_path, dataclasses.replace(long, alone=True), late, minutes=2.0 / 60)
    assert found["long"].status == "timed out"
    assert found["long"].limit_seconds <= 2.0
    assert found["late"].status == "not reached"


def test_an_interrupt_ends_what_runs(tmp_path: Path) -> None:
    found: dict[str, PartRecord] = {}
    running = Runner(tmp_path, MINUTES, lambda r: found.update({r.name: r}), slots=2)
    running._wait = lambda: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        running.run([_part("long", "import time; time.sleep(60)")])
    assert found["long"].status == "not reached"
    assert not [p for p in psutil.process_iter() if _marked(p, "-long-")]


def test_half_of_the_cores_are_used_side_by_side() -> None:
    assert [runner.slots(cores) for cores in (1, 2, 3, 16, 64)] == [1, 1, 1, 8, 8]


# What became of a part


def test_tests_are_counted_though_a_line_of_progress_parts_them_from_their_names() -> None:
    lines = [
        "a.py::one PASSED     [ 20%]",
        "a.py::two",
        "[1/2] bptt[x]",
        "PASSED              [ 40%]",
        "a.py::three SKIPPED (no GPU)     [ 60%]",
        "a.py::four ERROR    [ 80%]",
        "FAILED            [100%]",
        "it said: all PASSED",
        "FAILED a.py::five - assert 1 == 2",
        "==== 2 failed, 2 passed in 3 s ====",
    ]
    verdict = judge.tests(Ended(1, lines))
    assert verdict.status == "failed"
    assert verdict.result == "2 passed, 2 failed, 1 skipped; a.py::five - assert 1 == 2"
    assert judge.tests(Ended(0, lines[:4])).status == "good"
    assert judge.tests(Ended(0, lines[4:5])).status == "failed"  # nothing passed
    assert judge.tests(Ended(4, ["usage: no such device"])).result.endswith("usage: no such device")


@pytest.mark.parametrize(
    ("code", "line", "status"),
    [
        (0, "reproduced: it is wrong", "found"),
        (0, "not reproduced: it is right", "good"),
        (0, "skipped: no GPU", "skipped"),
        (0, "it is right", "failed"),
        (1, "not reproduced: it is right", "failed"),
    ],
)
def test_a_reproduction_is_judged_by_its_verdict(code: int, line: str, status: Status) -> None:
    assert (
        judge.reproduction(Ended(code, ["torch 2", line, "a warning at the end"])).status == status
    )


def _timed(
    folder: Path, *measurements: schema.Measurement, mhz: float | None = 1980.0
) -> judge.Verdict:
    conditions = schema.ProcessConditions(
        rounds=10,
        stopped="time used up",
        before_seconds=1.0,
        rounds_seconds=1.0,
        timed_seconds=1.0,
        after_seconds=1.0,
        blocks=10,
        repeated=0,
        disturbed=0,
        clock_mhz=(mhz,) if mhz else (),
    )
    about = schema.WorkloadRecord(workload=GPU, flops=1, processes=(conditions,))
    (folder / store.FILE).unlink(missing_ok=True)
    store.append(folder / store.FILE, [RUN, *measurements, about])
    return judge.timed(Ended(0, ["1 passed"]), folder=folder, device="cuda:0")


GPU = workload(WORKLOAD, device="cuda:0")


def _on_gpu(
    variant: str, path: str, events: tuple[float, ...] = (), peak: int | None = None
) -> schema.Measurement:
    rounds_ = msgspec.structs.replace(
        rounds(0.1, 0.2), throughput_seconds=(0.1,), device_seconds=events, peak_device_bytes=peak
    )
    return measurement(variant, rounds_, workload=GPU, path=path)


def test_a_timed_run_is_judged_by_its_records(tmp_path: Path) -> None:
    fused, loop = _on_gpu("a", "1 _cudnn_rnn", (0.09,), 2**20), _on_gpu("b", "2 XLA loops")
    good = _timed(tmp_path, fused, loop)
    assert good.status == "good"
    assert good.result == (
        "1 workload, a, b timed; cuDNN by path: a; memory counted: a; event times: a; "
        "gradients off by: a 5e-08, b 5e-08; clock 1980 to 1980 MHz"
    )
    wrong = _timed(tmp_path, _on_gpu("a", "1 _cudnn_rnn", (0.2,)))
    assert (wrong.status, wrong.result[:9]) == ("failed", "a: events")
    assert _timed(tmp_path, fused, mhz=None).result.startswith("no clock of the GPU is known")
    bad = _timed(tmp_path, fused, stopped("b", "crashed", "ended by SIGKILL", workload=GPU))
    assert bad.result.startswith("b, bptt: crashed: ended by SIGKILL; 1 workload")
    nothing = judge.timed(Ended(4, ["no such device"]), folder=tmp_path / "x", device="cuda:0")
    assert nothing.result == "nothing was measured; exit status 4: no such device"


# The plan


def test_the_parts_come_in_the_order_of_their_worth_and_those_alone_last() -> None:
    plan = Plan(Path("/run"), "cuda:0")
    parts = [plan.first(), *plan.parts()]
    names = [part.name for part in parts]
    assert names == plan.names()
    assert len(set(names)) == len(names)
    assert names[:2] == ["devices", "tests"]
    assert (
        names.index("agree-torch-float32") < names.index("agree-torch-tf32") < names.index("time")
    )
    first_alone = next(n for n, part in enumerate(parts[1:], 1) if part.alone)
    assert all(part.alone for part in parts[first_alone:])
    assert not any(part.alone for part in parts[1:first_alone])
    assert {"flashrnn", "braun2018", "gpu-beside-cpu", "clocks", "check-cupy"} <= set(names)
    for entry in devices.entries():
        assert [n for n in names if n.startswith(f"agree-{entry.name}")], entry.name
    # Two minutes are left for the timing, even if every part before it takes all of its time.
    shared = sum(part.seconds for part in parts[1:first_alone])
    assert parts[0].seconds + shared / runner.MOST_SLOTS + 120 < 60 * MINUTES


@needs("torch", "jax", "flax")
def test_a_variant_is_asked_where_its_framework_finds_the_device() -> None:
    answers = [
        Answer(variant="torch", devices=("cpu", "cuda:0")),
        Answer(variant="jax", devices=("cpu",)),
        Answer(variant="flax", problem="flax is installed and fails at import"),
    ]
    plan = Plan(Path("/run"), "cuda:0", answers)
    parts = {part.name: part for part in plan.parts()}
    assert parts["agree-torch-float32"].skip == ""
    assert parts["agree-torch-cell"].skip == ""
    assert parts["agree-jax-float32"].skip == "no cuda:0 for jax here; it finds cpu"
    assert parts["agree-jax-unrolled"].skip == "no cuda:0 for jax-unrolled here; it finds cpu"
    assert parts["agree-flax-tf32"].skip == "flax is installed and fails at import"
    (backend,) = (word for word in parts["flashrnn"].command if word.startswith("--backend"))
    assert backend == "--backend=torch"
    unasked = {part.name: part.skip for part in Plan(Path("/run"), "cuda:0").parts()}
    assert unasked["agree-jax-float32"] == unasked["clocks"] == ""


def test_every_reproduction_names_its_modules_and_device(tmp_path: Path) -> None:
    found = reproductions.every()
    assert len(found) == 8
    for one in found:
        assert one.title.endswith("?"), one.name
        assert one.modules
        text = one.file.read_text()
        assert "sys.argv[1]" in text
        assert all(f'"{words}' in text or words in text for words in ("skipped: ", "reproduced: "))
        assert f"reproductions/{one.file.name}" in (ROOT / "docs/findings.md").read_text()
    (tmp_path / "mute.py").write_text('"""It needs nothing."""\n')
    with pytest.raises(ValueError, match=r"mute.py: expected a line 'Needs"):
        reproductions.every(tmp_path)


# The pages


def _run(
    *parts: PartRecord, device: str = "cuda:0", gpus: tuple[str, ...] = ("NVIDIA X",)
) -> GpuRun:
    return GpuRun(
        name="2026-11-27-gpu",
        started="2026-11-27T10:00:00+00:00",
        device=device,
        minutes=8.0,
        seconds=400.0,
        project="0.1.0",
        commit="0123abc",
        machine=RUN.machine,
        gpus=gpus,
        parts=parts,
        answers=(Answer(variant="torch", versions={"torch": "2.11"}, devices=("cpu", "cuda:0")),),
    )


def _record(name: str, status: Status = "good", result: str = "12 passed") -> PartRecord:
    ran = status not in ("skipped", "not reached")
    return PartRecord(
        name=name,
        proves="it works",
        status=status,
        seconds=3.0 if ran else 0.0,
        limit_seconds=9.0,
        result=result,
        log=f"{name}.log" if ran else "",
        last_lines=("the end",) if status == "failed" else (),
    )


def test_the_summary_has_at_most_forty_lines_with_what_is_bad_first() -> None:
    many = [_record(f"good-{n}") for n in range(60)]
    bad = [_record("slow", "timed out", "x" * 500), _record("wrong", "failed", "1 failed")]
    run = _run(*many, *bad, _record("other", "found"), _record("absent", "skipped", "not there"))
    lines = pages.summary(run, "reports/r")
    assert len(lines) == pages.MOST_LINES
    assert max(map(len, lines)) < 200
    assert [line.split()[-1] for line in lines if "NVIDIA" in line] == ["X"]
    statuses = [line[:11].strip() for line in lines[4:7]]
    assert statuses == ["failed", "timed out", "found"]
    shown = sum(line.startswith("good ") for line in lines)
    assert f"and {60 - shown} more, in reports/r/gpu.md" in lines
    assert "skipped: absent" in lines
    assert lines[-2:] == [
        "60 good, 1 found, 1 failed, 1 timed out, 1 skipped, in 400 s",
        "report: reports/r/gpu.md",
    ]
    assert not run.good
    assert _run(_record("a"), _record("b", "skipped")).good
    assert not _run(_record("b", "skipped")).good
    assert not _run(_record("a"), _record("b", "not reached")).good


def test_the_page_has_every_part_and_the_end_of_the_logs_of_the_bad() -> None:
    page = pages.page(_run(_record("one"), _record("two", "failed", "a | b")))
    assert "| [one](one.log) | good " in page
    assert "a \\| b" in page
    assert "## two: the end of its log\n\n    the end\n" in page
    assert "rehearsal" not in page
    assert "rehearsal" in pages.page(_run(_record("one"), device="cpu", gpus=()))


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    for device, name in (("cuda:0", "b"), ("cpu", "a")):
        (tmp_path / name).mkdir()
        records.write(tmp_path / name, _run(_record("one"), device=device))
    assert list(records.on_a_gpu(tmp_path)) == [_run(_record("one"))]
    (tmp_path / "b" / records.FILE).write_text("{}")
    with pytest.raises(ValueError, match=f"b/{records.FILE}"):
        list(records.on_a_gpu(tmp_path))


def test_the_table_of_the_docs_is_that_of_the_committed_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs/gpu.md").read_text()
    assert gpu_paths.of_page(page) == gpu_paths.table(ROOT / "reports").strip()
    committed = list(records.on_a_gpu(ROOT / "reports"))
    assert (pages.NO_RUN in page) == (not committed)
    assert ("Nothing of this project has run on a GPU yet" in page) == (not committed)
    (tmp_path / "r").mkdir()
    run = _run(_record("clocks"), _record("time", "failed"), _record("tests", "not reached"))
    records.write(tmp_path / "r", run)
    made = gpu_paths.table(tmp_path)
    (clock,) = [line for line in made.splitlines() if line.startswith("| clocks ")]
    assert re.search(
        r"\| good +\| NVIDIA X \| \[2026-11-27.*\]\(\.\./reports/2026-11-27-gpu", clock
    )
    (tests,) = [line for line in made.splitlines() if line.startswith("| tests ")]
    assert "| never " in tests
    assert pages.NO_RUN not in made
    assert gpu_paths.of_page(gpu_paths.with_table(page, made)) == made.strip()


# The command


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "tpu"], "--device 'tpu' is unknown; expected cpu, cuda, cuda:N"),
        (["--device", "cpu,cuda"], "expected a single device"),
        (
            ["--device", "cpu", "--only", "tests,nothing"],
            "--only 'nothing' is unknown; expected devices",
        ),
        (["--device", "cpu", "--hang", "nothing"], "--hang 'nothing' is unknown"),
        (["--device", "cpu", "--name", "."], "File exists"),
        ([], "expected one, or --device cpu for a rehearsal"),
    ],
)
def test_wrong_use_says_what_was_expected(tmp_path: Path, arguments: list[str], words: str) -> None:
    if not arguments and driver.there():
        pytest.skip("this machine has a GPU")
    code, output = rnnbench("gpu", "--reports", str(tmp_path), *arguments)
    assert code == 2, output
    assert words in output
    assert not list(tmp_path.iterdir())


def _paths(folder: Path) -> tuple[Path, ...]:
    """A Python without most frameworks, with a stand-in for NVML."""
    folder.mkdir()
    lines = ["import sys", *(f"sys.modules[{module!r}] = None" for module in FRAMEWORKS)]
    (folder / "sitecustomize.py").write_text("\n".join(lines) + "\n")
    (folder / "pynvml.py").write_text(PYNVML)
    return (folder,)


@pytest.mark.slow
@needs("torch")
def test_a_rehearsal_with_a_part_that_hangs_and_one_that_fails(tmp_path: Path) -> None:
    parts = "agree-torch-float32,pytorch-177834,jax-15183,clocks"
    code, output = rnnbench(
        *("gpu", "--device", "cpu", "--reports", str(tmp_path / "reports"), "--name", "r"),
        *("--only", parts, "--hang", "clocks", "--fail", "pytorch-177834"),
        paths=_paths(tmp_path / "python"),
    )
    assert code == 1, output
    run = records.read(tmp_path / "reports/r" / records.FILE)
    assert {part.name: part.status for part in run.parts} == {
        "devices": "good",
        "agree-torch-float32": "good",
        "pytorch-177834": "failed",
        "jax-15183": "skipped",
        "clocks": "timed out",
    }
    assert run.gpus == ("NVML Stand-in, 80 GiB, driver 580.1",)
    (torch,) = [answer for answer in run.answers if answer.variant == "torch"]
    assert "cpu" in torch.devices
    *_, last = output.splitlines()
    assert last == f"report: {tmp_path / 'reports/r'}/gpu.md"
    page = (tmp_path / "reports/r/gpu.md").read_text()
    assert "RuntimeError: failing on purpose" in page
    assert str(tmp_path) not in page
    assert not [p for p in psutil.process_iter() if _marked(p, "-clocks-")]


@pytest.mark.slow
def test_a_gpu_that_no_framework_finds_fails_the_run(tmp_path: Path) -> None:
    if driver.there():
        pytest.skip("this machine has a GPU")
    code, output = rnnbench(
        *(
            "gpu",
            "--reports",
            str(tmp_path / "reports"),
            "--name",
            "r",
            "--only",
            "clocks,flashrnn",
        ),
        paths=_paths(tmp_path / "python"),
    )
    assert code == 1, output
    run = records.read(tmp_path / "reports/r" / records.FILE)
    found = {part.name: (part.status, part.result) for part in run.parts}
    assert found["devices"] == ("failed", "exit status 1: cuda:0 is found by no variant")
    assert found["clocks"] == found["flashrnn"] == ("skipped", "no variant finds cuda:0")


@needs("torch", "jax")
@pytest.mark.prove
def test_a_rehearsal_of_every_kind_of_part(tmp_path: Path) -> None:
    """The plugin with its stand-in for CuPy, the tests, and what is timed, on a quiet machine."""
    plugin = ROOT / "plugins/rnnbench-cupy"
    paths = install(tmp_path / "plugin", {devices.PLUGIN: "rnnbench_cupy.backend:make"})
    untimed, timed = ("agree-jax-float32", "clocks"), ("time", "gpu-beside-cpu")
    parts = (*untimed, "tests", "check-cupy", *timed)
    code, output = rnnbench(
        *("gpu", "--device", "cpu", "--reports", str(tmp_path / "reports"), "--name", "r"),
        *("--only", ",".join(parts), "--minutes", "15"),
        paths=(paths, plugin, plugin / "tests/stand_in"),
    )
    folder = tmp_path / "reports/r"
    run = records.read(folder / records.FILE)
    found = {part.name: part for part in run.parts}
    assert set(found) == {"devices", *parts}, output
    assert code == 0, output
    for name, part in found.items():
        assert part.status == "good", f"{name}: {part.result}"
    assert "passed" in found["tests"].result
    assert "tensors compared" in found["check-cupy"].result
    for name in timed:
        _, measurements, _ = store.read(folder / name / store.FILE)
        assert {m.variant for m in measurements} >= {"torch", "jax"}
        assert (folder / name / "report.md").exists()


# The script for a machine without an environment


@needs("torch", "jax")
def test_the_script_installs_no_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = gpu_requirements.needed()
    assert any(r.startswith("setuptools") for r in needed)
    assert any(r.startswith("msgspec") for r in needed)
    light = [*needed, *gpu_requirements.wanted()]
    heavy = {"torch", "jax", "jaxlib", "tensorflow", "tensorflow-cpu"}
    assert not heavy & {gpu_requirements.name(r) for r in light}
    assert {"keras", "flax", "optax"} <= {gpu_requirements.name(r) for r in light}
    monkeypatch.setattr(gpu_requirements, "find_spec", lambda _: None)
    assert list(gpu_requirements.wanted()) == []
    held = dict(line.split("==") for line in gpu_requirements.held())
    assert {"torch", "jax", "jaxlib", "numpy"} <= set(held)
    assert not {"keras", "pytest"} & set(held)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--wheels"], "--wheels has no value; expected --wheels PATH"),
        (["--wheels", "no-such-folder"], "--wheels no-such-folder is no folder"),
        (["--python", "false"], "false is no Python 3.11 or newer"),
    ],
)
def test_the_script_says_what_it_expects(arguments: list[str], words: str) -> None:
    done = subprocess.run(
        [ROOT / "tools/gpu.sh", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert words in done.stderr


@needs("torch")
@pytest.mark.install
def test_the_script_makes_an_environment_that_sees_the_frameworks(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(ROOT / "tools/gpu.sh", "--python", sys.executable, "--venv", tmp_path / "venv"),
            *("--device", "cpu", "--reports", tmp_path / "reports", "--name", "r"),
            *("--only", "pytorch-177834"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "good" in done.stdout
    (torch,) = [
        a
        for a in records.read(tmp_path / "reports/r" / records.FILE).answers
        if a.variant == "torch"
    ]
    assert torch.devices
