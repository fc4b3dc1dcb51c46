"""A machine by its parts, and how busy others keep it."""

from __future__ import annotations

import importlib.machinery
import os
import re
import subprocess
import sys
import time
import types
from pathlib import Path

import msgspec
import psutil
import pytest

from bench.records import cgroups, machine, processor, provenance, schema


def test_this_machine_is_described_by_its_parts() -> None:
    here = machine.describe()
    assert here.cores == len(machine.available_cores()) >= 1
    assert machine.describe(cores=[0]).cores == 1
    assert here.cpu
    assert here.memory_bytes > 2**20
    assert re.fullmatch(r"\w+ [\d.]+, \w+", here.system)  # leaves no room for a host's name
    assert re.fullmatch(r"\w+ [\w.+]+", here.python)
    assert msgspec.json.decode(msgspec.json.encode(here), type=schema.Machine) == here


def test_gpus_are_those_that_the_driver_names(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = types.ModuleType("pynvml")
    nvml.__spec__ = importlib.machinery.ModuleSpec("pynvml", None)
    missing = type("NVMLError", (Exception,), {})
    members = {
        "NVMLError": missing,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: "570.1",
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda gpu: f"GPU {gpu}",
        "nvmlDeviceGetMemoryInfo": lambda gpu: types.SimpleNamespace(total=(gpu + 1) * 2**30),
    }
    for name, member in members.items():
        setattr(nvml, name, member)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert machine.describe().gpus == ("GPU 0, 1 GiB, driver 570.1", "GPU 1, 2 GiB, driver 570.1")

    def refuse(*_: int) -> None:
        raise missing

    monkeypatch.setattr(nvml, "nvmlDeviceGetMemoryInfo", refuse)
    assert machine.describe().gpus[0] == "GPU 0, memory unknown, driver 570.1"
    monkeypatch.setattr(nvml, "nvmlInit", refuse)
    assert machine.describe().gpus == ()


def test_a_busy_process_of_others_is_seen() -> None:
    burning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.1)  # its start
        # On a loaded machine it gets less than a core, and then others use the rest.
        assert machine.cores_busy(0.5) >= 0.5
    finally:
        burning.kill()
        burning.wait()


def test_a_time_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        machine.cores_busy(0.0)


def test_own_work_is_not_that_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    zero = {"idle": 0.0, "user": 0.0, "iowait": 0.0, "guest": 0.0, "steal": 0.0}
    later = {"idle": 5.0, "user": 3.0, "iowait": 7.0, "guest": 2.0, "steal": 1.0}
    times = [_cpu_times(zero), _cpu_times(later)]
    own = [0.0, 1.0]
    wall = [0.0, 2.0]
    monkeypatch.setattr(machine.psutil, "cpu_times", lambda: times.pop(0))
    monkeypatch.setattr(time, "process_time", lambda: own.pop(0))
    monkeypatch.setattr(time, "perf_counter", lambda: wall.pop(0))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert machine.cores_busy(2.0) == pytest.approx((3.0 + 1.0 - 1.0) / 2.0)
    times[:], own[:], wall[:] = [_cpu_times(zero)] * 2, [0.0, 0.0], [0.0, 2.0]
    with pytest.raises(OSError, match="do not advance"):
        machine.cores_busy(2.0)


def _cpu_times(values: dict[str, float]) -> types.SimpleNamespace:
    return types.SimpleNamespace(_fields=tuple(values), **values)


STAT = """\
cpu  100 0 50 1000 5 0 0 7 0 0
cpu0 60 0 20 500 5 0 0 3 10 0
cpu2 40 2 30 500 0 0 0 4 0 0
intr 1 2 3
"""


def test_a_core_is_found_by_its_number_where_another_is_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stat").write_text(STAT)
    monkeypatch.setattr(machine, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(machine, "_CPUS", tmp_path / "nothing")
    tick = os.sysconf("SC_CLK_TCK")
    assert machine.busy_seconds([0]) == pytest.approx(83 / tick)
    assert machine.busy_seconds([0, 2]) == pytest.approx((83 + 76) / tick)
    with pytest.raises(OSError, match="core 1"):
        machine.busy_seconds([1])


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system has none")
def test_each_core_is_counted_as_psutil_does() -> None:
    cores = list(machine._busy_by_core())
    before = machine.busy_seconds(cores)
    middle = sum(machine._busy(times) for times in psutil.cpu_times(percpu=True))
    assert before - 1e-6 <= middle <= machine.busy_seconds(cores) + 1e-6


@pytest.mark.parametrize(
    ("files", "group", "cores"),
    [
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"cpu.max": "50000 100000"}, "0::/", 0.5),
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"cpu.max": "0 0"}, "0::/", None),
        ({"cpu.max": "garbage"}, "0::/", None),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000\n"}, "", 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000"}, "", None),
        ({}, "", None),
        # Nested groups: the least of them holds, whichever that is.
        ({"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b", 1.0),
        ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "200000 100000"}, "0::/a/b", 2.0),
        ({"cpu.max": "300000 100000"}, "0::/on/the/host", 3.0),
        ({"cpu.max": "300000 100000"}, "0::/../../out", 3.0),
        (
            {"cpu/a/b/cpu.cfs_quota_us": "50000", "cpu/a/b/cpu.cfs_period_us": "100000"},
            "5:memory:/m\n4:cpu,cpuacct:/a/b\n0::/",
            0.5,
        ),
    ],
)
def test_the_time_that_a_container_is_given_is_read(
    tmp_path: Path, files: dict[str, str], group: str, cores: float | None
) -> None:
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(content)
    (tmp_path / "cgroup").write_text(f"{group}\n" if group else "")
    assert cgroups.quota(tmp_path / "groups", tmp_path / "cgroup") == cores


def test_pauses_by_a_quota_are_counted_in_all_groups(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "cgroup").write_text("0::/a\n")
    for folder, count in ((tmp_path, 2), (tmp_path / "a", 3)):
        (folder / "cpu.stat").write_text(f"usage_usec 5\nnr_throttled {count}\n")
    assert cgroups.pauses(tmp_path, tmp_path / "cgroup") == 5
    assert cgroups.pauses(tmp_path / "nowhere", tmp_path / "nothing") == 0


CORE = """\
processor\t: {}
BogoMIPS\t: 50.00
CPU implementer\t: {}
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: {}
CPU revision\t: 1

"""


@pytest.mark.parametrize(
    ("cores", "end", "expected"),
    [
        ([("0x41", "0xd0c")] * 4, "", "Arm Neoverse-N1 (0x41, 0xd0c)"),
        ([("0x41", "0xd40")] * 4, "", "Arm Neoverse-V1 (0x41, 0xd40)"),
        (
            [("0x41", "0xd05")] * 4 + [("0x41", "0xd0b")] * 2,
            "",
            "4 x Arm Cortex-A55 (0x41, 0xd05), 2 x Arm Cortex-A76 (0x41, 0xd0b)",
        ),
        ([("0x99", "0x123")], "", "ARM implementer part (0x99, 0x123)"),
        (
            [("0x41", "0xd08")] * 4,
            "Hardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
            "Arm Cortex-A72 (0x41, 0xd08), Raspberry Pi 4 Model B Rev 1.4",
        ),
    ],
)
def test_an_arm_processor_is_known_by_implementer_and_part(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: list[tuple[str, str]],
    end: str,
    expected: str,
) -> None:
    info = "".join(CORE.format(number, *core) for number, core in enumerate(cores)) + end
    (tmp_path / "cpuinfo").write_text(info)
    monkeypatch.setattr(processor, "_INFO", tmp_path / "cpuinfo")
    assert processor.name() == expected


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_vnni", ("avx512_bf16",)),
        ("flags\t\t: fpu avx2 fma", ()),
        ("Features\t: fp asimd svebf16 i8mm bf16", ("svebf16", "bf16")),
        ("model name\t: without flags", None),
    ],
)
def test_instructions_for_bfloat16_are_known_by_the_flags(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    info: str,
    expected: tuple[str, ...] | None,
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{info}\n")
    monkeypatch.setattr(processor, "_INFO", tmp_path / "cpuinfo")
    assert processor.bfloat16() == expected


@pytest.mark.parametrize(
    ("file", "speeds", "fast"),
    [
        ("cpu_capacity", [446, 446, 1024, 1024], [2, 3]),
        ("cpu_capacity", [1024, 1024, 1010, 1024], [0, 1, 2, 3]),
        ("cpufreq/cpuinfo_max_freq", [5_300_000, 5_100_000, 3_900_000, 3_900_000], [0, 1]),
        ("nothing", [1, 2, 3, 4], [0, 1, 2, 3]),
    ],
)
def test_fast_and_slow_cores_are_not_mixed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    speeds: list[int],
    fast: list[int],
) -> None:
    for core, speed in enumerate(speeds):
        (tmp_path / f"cpu{core}" / file).parent.mkdir(parents=True)
        (tmp_path / f"cpu{core}" / file).write_text(f"{speed}\n")
    monkeypatch.setattr(processor, "_CPUS", tmp_path)
    monkeypatch.setattr(processor, "_HYBRID", tmp_path / "no-such-file")
    assert processor.fast(range(4)) == fast
    monkeypatch.setattr(machine, "pinning", lambda: False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(machine, "smt_siblings", lambda core: [core])
    monkeypatch.setattr(cgroups, "quota", lambda: None)
    assert machine.available_cores() == fast
    assert machine.all_cores() == [*fast, *sorted({*range(4)} - {*fast})]


def test_a_hybrid_processor_of_intel_is_known_by_its_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpus").write_text("0-1,3\n")
    monkeypatch.setattr(processor, "_CPUS", tmp_path / "nothing")
    monkeypatch.setattr(processor, "_HYBRID", tmp_path / "cpus")
    assert processor.fast([0, 1, 2, 3, 4]) == [0, 1, 3]
    assert processor.fast([2, 4]) == [2, 4]


@pytest.mark.parametrize("error", [SystemError, RuntimeError, OSError, ZeroDivisionError])
def test_a_frequency_that_cannot_be_read_is_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[Exception]
) -> None:
    def fail() -> None:
        raise error("no")

    monkeypatch.setattr(machine.psutil, "cpu_freq", fail)
    monkeypatch.setattr(machine, "_CPUS", tmp_path)
    assert machine.clock_mhz([0]) is None


def test_cores_that_a_container_numbers_anew_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stat").write_text(STAT)  # it has the cores 0 and 2
    (tmp_path / "online").write_text("0-7\n")
    monkeypatch.setattr(machine, "_STAT", tmp_path / "stat")
    monkeypatch.setattr(machine, "_CPUS", tmp_path)
    with pytest.raises(OSError, match="not numbered as those of the system"):
        machine.busy_seconds([0])
    (tmp_path / "online").write_text("0,2\n")
    assert machine.busy_seconds([0]) > 0


def test_variables_that_change_numbers_are_kept_without_paths() -> None:
    given = {
        "OMP_NUM_THREADS": "4",
        "XLA_FLAGS": "--xla_dump_to=/home/alice/dump",
        "LD_PRELOAD": "/usr/lib/libjemalloc.so.2:/home/alice/libfast.so",
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=1",
        "TF_CONFIG": "worker1.example",
        "HOME": "/home/alice",
    }
    assert provenance.environment(given) == {
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=1",
        "LD_PRELOAD": "libjemalloc.so.2 libfast.so",
        "OMP_NUM_THREADS": "4",
        "XLA_FLAGS": "--xla_dump_to=dump",
    }


def test_cores_are_those_with_time_and_no_siblings_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "pinning", lambda: False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(machine, "smt_siblings", lambda core: [0, 1] if core < 2 else [2, 3])
    monkeypatch.setattr(cgroups, "quota", lambda: None)
    assert machine.available_cores() == [0, 2, 1, 3]
    monkeypatch.setattr(cgroups, "quota", lambda: 2.5)
    assert machine.available_cores() == [0, 2]
    monkeypatch.setattr(cgroups, "quota", lambda: 0.5)
    assert machine.available_cores() == [0]


def test_governor_and_clock_are_those_of_the_cores_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_CPUS", tmp_path)
    monkeypatch.setattr(machine, "_mean_mhz", lambda: None)
    assert machine.describe(cores=[0, 1]).governor == ""
    assert machine.clock_mhz([0, 1]) is None
    for core, governor in enumerate(("performance", "performance", "powersave")):
        folder = tmp_path / f"cpu{core}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(governor + "\n")
        (folder / "scaling_cur_freq").write_text(f"{(core + 1) * 1000000}\n")
    assert machine.describe(cores=[0, 1]).governor == "performance"
    assert machine.describe(cores=[0, 2]).governor == "performance, powersave"
    assert machine.clock_mhz([0, 1]) == pytest.approx(1500.0)
