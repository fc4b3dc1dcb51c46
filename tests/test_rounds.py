"""Blocks and rounds, with models that answer as they are set to."""

from __future__ import annotations

import dataclasses
import itertools
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.config import protocol
from bench.config.protocol import Block
from bench.measurement import machine_state
from bench.measurement.rounds import Rounds, TimedModel
from bench.workers import timing
from bench.workers.timing import TimedSteps


class Answers:
    """Stands for a worker: blocks of three steps, `seconds` each, with a scatter of `noise`."""

    def __init__(self, seconds: float, noise: float = 0.0, seed: int = 0) -> None:
        self.seconds, self.noise, self.asked = seconds, noise, 0
        self.rng = np.random.default_rng(seed)

    def __call__(self, operation: str, **arguments: Any) -> Any:
        assert operation == "block"
        self.asked += 1
        taken = self.seconds * np.exp(self.noise * self.rng.standard_normal(3))
        unbroken = self.seconds if arguments["unbroken"] else None
        of_batch = np.zeros(3, np.int16).tobytes()
        wall = (6 if unbroken else 3) * self.seconds
        return taken.tobytes(), of_batch, unbroken, None, 0.0, wall, []


def timed(name: str, answers: Answers) -> TimedModel:
    return TimedModel(name, answers, "bptt", Block())


def rounds_of(models: list[TimedModel], **options: Any) -> Rounds:
    return Rounds(running=lambda: models, attempt=lambda _, block: block(), **options)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], bool]], None]:
    """Says of each block, by its number, whether others disturb it; none by default."""
    count = 0
    answers: list[Callable[[int], bool]] = [lambda _: False]

    def disturbing(used: float, passed: float, cores: int) -> bool:
        nonlocal count
        count += 1
        return answers[-1](count)

    monkeypatch.setattr(machine_state, "disturbing", disturbing)
    return answers.append


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Clock:
    """Stands for the module `time` within a worker, and moves by the steps of a model alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    process_time = perf_counter


@pytest.mark.parametrize("step_seconds", [26e-6, 1e-3, 15e-3, 49e-3, 0.06, 0.4, 0.6, 5.0])
def test_most_of_a_block_is_timed(step_seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, steps = Clock(), TimedSteps()
    monkeypatch.setattr(timing, "time", clock)

    def forward(_: object) -> None:
        clock.now += step_seconds

    steps._model = types.SimpleNamespace(forward=forward, sync=lambda _: None)  # type: ignore[assignment]
    steps._batches = [None]
    options = dataclasses.asdict(Block())
    taken, _, _, _, whole, wall, _ = steps.block(phase="forward", unbroken=False, **options)
    seconds = np.frombuffer(taken)
    assert seconds == pytest.approx(np.full(len(seconds), step_seconds))
    assert wall == pytest.approx(seconds.sum())
    assert whole == clock.now
    assert wall / whole >= 2 / 3 - 1e-9
    assert wall >= 0.020
    assert len(seconds) >= 2


def test_a_block_of_slow_steps_is_one_of_which_the_result_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block = Block().of_steps(protocol.SLOW_SECONDS)
    assert block.one_step
    assert Block().of_steps(0.99 * protocol.SLOW_SECONDS) == Block()
    three_shapes = protocol.Settings().block(3)
    assert three_shapes.of_steps(2.0) == three_shapes

    clock, steps = Clock(), TimedSteps()
    monkeypatch.setattr(timing, "time", clock)
    updates = 0

    def train_step(_: object) -> dict[str, Any]:
        nonlocal updates
        updates += 1
        clock.now += 2.0
        return {"loss": np.array(float(updates))}

    def load(_: object) -> None:
        nonlocal updates
        updates = 0

    steps._model = types.SimpleNamespace(  # type: ignore[assignment]
        train_step=train_step,
        load=load,
        sync=lambda _: None,
        to_host=lambda result: result,
        params=lambda: {"w": np.array(10.0 * updates)},
    )
    steps._batches, steps._trains = [None], True
    model = TimedModel("slow", lambda _, **options: steps.block(**options), "train_step", block)
    looked: list[Any] = []
    model.looks, model.judge = 3, looked.extend
    for _ in range(2):
        taken, back_to_back, _, _, wall = model.run(unbroken=True)
        assert taken.tolist() == [2.0]
        assert (back_to_back, wall) == (None, 2.0)
    assert clock.now == 4.0, "no other step"
    assert [each[0] for each in looked] == [0, 0]
    assert [each[2] is not None for each in looked] == [True, False], "the same, bit by bit"


def test_rounds_end_where_the_ratios_are_narrow(quiet: object) -> None:
    models = [timed("a", Answers(1e-3, 1e-4, 1)), timed("b", Answers(2e-3, 1e-4, 2))]
    found = rounds_of(models, narrow=0.005).run(rng(), least=10, seconds=60.0)
    assert (found.rounds, found.stopped) == (10, "narrow enough")
    assert [len(s.seconds) for s in models] == [10, 10]
    assert [len(s.throughput_seconds) for s in models] == [4, 4]  # of rounds 1, 4, 7 and 10


def test_of_slow_steps_there_are_twelve_rounds(quiet: object) -> None:
    models = [timed("a", Answers(2.0, 0.1, 1)), timed("b", Answers(0.1, 0.1, 2))]
    models[0].block = Block().of_steps(2.0)
    found = rounds_of(models).run(rng(), least=10, seconds=0.0)
    assert found.rounds == protocol.SLOW_ROUNDS
    assert [len(s.seconds) for s in models] == [protocol.SLOW_ROUNDS] * 2
    assert [len(s.throughput_seconds) for s in models] == [0, 4]


def test_of_latency_alone_the_timed_steps_are_counted(quiet: object) -> None:
    models = [timed("a", Answers(1e-3)), timed("b", Answers(1e-3))]
    found = rounds_of(models, narrow=None, latency_alone=True).run(rng(), least=10, seconds=0.15)
    assert found.rounds == 25, "of two blocks with three steps of a millisecond each"
    assert found.timed_seconds == pytest.approx(0.15)
    assert not any(s.throughput_seconds for s in models)


def test_rounds_go_on_while_a_ratio_is_wide_until_the_time_is_used_up(quiet: object) -> None:
    models = [timed("a", Answers(1e-3, 0.5, 1)), timed("b", Answers(2e-3, 0.5, 2))]
    found = rounds_of(models, narrow=0.005).run(rng(), least=10, seconds=0.2)
    assert found.stopped == "time used up"
    assert found.rounds > 10


def test_one_model_alone_is_never_narrow(quiet: object) -> None:
    found = rounds_of([timed("a", Answers(1e-3))], narrow=0.5).run(rng(), least=10, seconds=0.0)
    assert (found.rounds, found.stopped) == (10, "time used up")


def test_the_baseline_does_not_prolong_the_rounds(quiet: object) -> None:
    baseline = timed("the baseline", Answers(1e-3, 0.9, 3))
    baseline.counts = False
    models = [timed("a", Answers(1e-3, 1e-4, 1)), timed("b", Answers(2e-3, 1e-4, 2)), baseline]
    assert rounds_of(models, narrow=0.005).run(rng(), least=10, seconds=60.0).rounds == 10
    assert len(baseline.seconds) == 10


def test_a_disturbed_block_is_taken_again_and_counted(
    quiet: Callable[[Callable[[int], bool]], None],
) -> None:
    quiet(lambda number: number in (4, 9))
    models = [timed("a", Answers(1e-3)), timed("b", Answers(2e-3))]
    found = rounds_of(models, narrow=None).run(rng(), least=10, seconds=0.0)
    assert (found.blocks, found.repeated, found.disturbed) == (22, 2, 0)
    assert [len(s.seconds) for s in models] == [10, 10]
    assert sum(s.ask.asked for s in models) == 22  # type: ignore[attr-defined]


def test_a_machine_that_is_never_quiet_ends_nobodys_run(
    quiet: Callable[[Callable[[int], bool]], None],
) -> None:
    quiet(lambda _: True)
    models = [timed("a", Answers(1e-3)), timed("b", Answers(2e-3))]
    found = rounds_of(models, narrow=None).run(rng(), least=10, seconds=0.0)
    assert found.disturbed == 20, "every block that was kept"
    assert found.repeated <= protocol.LEAST_REPEATS + protocol.MOST_REPEATED * found.blocks + 1
    assert found.blocks == 20 + found.repeated


def test_every_model_stands_in_every_place(quiet: object) -> None:
    models = [timed(name, Answers(1e-3, seed=k)) for k, name in enumerate("abc")]
    rounds_of(models, narrow=None).run(rng(), least=30, seconds=0.0)
    for one in models:
        assert set(one.positions) == {0, 1, 2}
    assert [sorted(p) for p in zip(*(s.positions for s in models), strict=True)] == [[0, 1, 2]] * 30


def test_a_model_that_drops_out_leaves_the_others_whole(quiet: object) -> None:
    good, bad = timed("a", Answers(1e-3)), timed("b", Answers(2e-3))
    models = [good, bad]

    def attempt(one: TimedModel, block: Callable[[], None]) -> None:
        if one is bad and len(bad.seconds) == 4:
            models.remove(bad)
        else:
            block()

    found = Rounds(running=lambda: list(models), attempt=attempt, narrow=None).run(
        rng(), least=10, seconds=0.0
    )
    assert (found.rounds, len(good.seconds), len(bad.seconds)) == (10, 10, 4)


def test_others_are_counted_beside_the_worker_and_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = [5.0, 6.0]
    monkeypatch.setattr(machine_state.machine, "busy_seconds", lambda cores: counts.pop(0))
    watch = machine_state.Watch()
    watch.begin()
    used, passed = watch.others(worker_seconds=1e6)
    assert used == 0.0
    assert passed > 0.0
    assert machine_state.disturbing(others_seconds=0.1, passed=0.1)
    assert not machine_state.disturbing(others_seconds=0.02, passed=0.04), "two ticks of the clock"
    assert not machine_state.disturbing(others_seconds=None, passed=0.04), "not known"


def test_the_ticks_of_many_cores_are_no_others() -> None:
    rng = np.random.default_rng(0)
    for cores in (2, 16, 64, 192):
        # Each core counts in ticks of 10 ms: a block sees the difference of two that are cut off.
        begin, passed = rng.uniform(0.0, 1.0, (2000, cores)), 0.027
        ticks = np.floor((begin + passed) / 0.01) - np.floor(begin / 0.01)
        off = 0.01 * ticks.sum(axis=1) - passed * cores
        assert np.mean([machine_state.disturbing(used, passed, cores) for used in off]) < 0.01


def test_others_are_not_known_where_the_system_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: list[float | OSError] = [5.0, 5.0, 5.0, 5.01, OSError("none"), 6.0]

    def busy_seconds(cores: object) -> float:
        count = counts.pop(0)
        if isinstance(count, OSError):
            raise count
        return count

    monkeypatch.setattr(machine_state.machine, "busy_seconds", busy_seconds)
    watch, used = machine_state.Watch(), []
    for _ in range(3):
        watch.begin()
        used.append(watch.others(worker_seconds=1.0)[0])
    assert used == [None, 0.0, None]


def test_what_a_worker_spins_after_its_answer_is_its_own(
    quiet: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0.0, 30.0)
    one = replace(timed("a", Answers(1e-3)), cpu_seconds=lambda: next(clock))
    own: list[float] = []
    found = rounds_of([one], narrow=None)

    def others(worker_seconds: float) -> tuple[float, float]:
        own.append(worker_seconds)
        return 0.0, 1.0

    monkeypatch.setattr(found._watch, "others", others)
    found.run(rng(), least=2, seconds=0.0)
    assert own == [30.0, 30.0]


def test_the_clock_of_the_processor_is_that_of_the_cores_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_state.machine, "_CPUS", tmp_path)
    monkeypatch.setattr(machine_state.machine, "_mean_mhz", lambda: None)
    assert machine_state.clocks("cpu", [0, 1]) == machine_state.Clocks(), "nobody knows it"
    for core, khz in enumerate((1_000_000, 2_000_000, 9_000_000)):
        file = tmp_path / f"cpu{core}" / "cpufreq" / "scaling_cur_freq"
        file.parent.mkdir(parents=True)
        file.write_text(f"{khz}\n")
    assert machine_state.clocks("cpu", [0, 1]).mhz == 1500.0
    monkeypatch.setattr(machine_state.machine, "available_cores", lambda: [2])
    assert machine_state.clocks("cpu").mhz == 9000.0


class FakeNvml(types.ModuleType):
    """Two GPUs, of which the second does not tell its temperature."""

    NVML_CLOCK_SM = NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.open = 0

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index > 1:
            raise self.NVMLError("no such GPU")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        return {"GPU-a": 0, "GPU-b": 1}[uuid]

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu: int) -> int:
        return 0x4

    def nvmlDeviceGetClockInfo(self, gpu: int, kind: int) -> int:
        return 1000 * (gpu + 1)

    def nvmlDeviceGetTemperature(self, gpu: int, kind: int) -> int:
        if gpu:
            raise self.NVMLError("not supported")
        return 40


@pytest.mark.parametrize(
    ("visible", "device", "mhz", "celsius"),
    [
        (None, "cuda:0", 1000.0, 40.0),
        (None, "cuda:1", 2000.0, None),
        (None, "cuda:7", None, None),
        ("1", "cuda:0", 2000.0, None),
        ("1,0", "cuda:1", 1000.0, 40.0),
        ("GPU-b", "cuda:0", 2000.0, None),
    ],
)
def test_the_gpu_that_is_read_is_the_one_that_frameworks_use(
    visible: str | None,
    device: str,
    mhz: float | None,
    celsius: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml := FakeNvml())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = machine_state.clocks(device)
    assert (found.mhz, found.gpu_celsius) == (mhz, celsius)
    assert found.throttled == (("power cap",) if mhz else ())
    assert nvml.open == 0


def test_a_gpu_whose_library_is_not_there_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise FakeNvml.NVMLError("library not found")

    monkeypatch.setitem(sys.modules, "pynvml", nvml := FakeNvml())
    monkeypatch.setattr(nvml, "nvmlInit", absent)
    assert machine_state.clocks("cuda:0") == machine_state.Clocks()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert machine_state.clocks("cuda:0") == machine_state.Clocks()
