"""Records to test with: one of every status."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from bench.record import (
    Agreement,
    ColdStart,
    Machine,
    Measurement,
    Offset,
    Race,
    RaceProcess,
    Rounds,
    Run,
    Selftest,
    TensorError,
    Trials,
)

RUN = Run(
    name="2026-11-21-2329",
    started="2026-11-21T23:29:18+00:00",
    command="pytest --benchmark-only --task hihello,sentiment --processes 2",
    commit="0123abc+changes",
    project="0.1.0",
    machine=Machine(
        cpu="Example CPU 9000",
        cores=2,
        memory_bytes=16 * 2**30,
        gpus=(),
        system="Linux 6.1, x86_64",
        python="CPython 3.11.7",
        pinning=True,
    ),
    threads=(2,),
    cores_busy_before=0.02,
)
SPEC: dict[str, str | int | float | bool | None] = {
    "cell": "lstm",
    "input_size": 64,
    "hidden_size": 128,
    "num_layers": 1,
    "bidirectional": True,
    "bias": True,
    "dropout": 0.0,
    "vocab_size": 500,
    "train_embedding": True,
    "readout": "last_step",
    "output_size": 2,
    "loss": "cross_entropy",
    "time_reduction": "mean",
}
COLD = ColdStart(
    start_seconds=0.021, import_seconds=1.234, build_seconds=0.0456, first_call_seconds=2.5
)


def agreement(
    error: float | None = 5.3e-8, *failures: str, worst: str = "grad.l0.fwd.W_hh"
) -> Agreement:
    near = TensorError(name=worst, error=error, bound=8.9e-6)
    kinds = {
        "outputs": TensorError(name="outputs", error=2.1e-8, bound=8.9e-6),
        "states": TensorError(name="l0.bwd.h", error=1.1e-8, bound=8.9e-6),
        "loss": TensorError(name="loss", error=0.0, bound=8.9e-6),
        "gradients": near,
    }
    return Agreement(tensors=48, worst=near, kinds=kinds, failures=failures)


def rounds(*seconds: float) -> Rounds:
    return Rounds(
        seconds=seconds,
        position=tuple(range(len(seconds))),
        step_seconds=tuple((s, s) for s in seconds),
        steps=42 * len(seconds),
        cold=COLD,
        effective_threads="2 (framework), 2 cores pinned",
    )


def measurement(variant: str, *processes: Rounds, **changes: object) -> Measurement:
    fields: dict[str, object] = {
        "phase": "bptt",
        "task": "sentiment",
        "shape": "many-to-one",
        "size": "base",
        "device": "cpu",
        "dtype": "float32",
        "threads": 2,
        "batch": 64,
        "steps": 80,
        "spec": SPEC,
        "parameters": 230_402,
        "variant": variant,
        "status": "ok",
        "versions": {variant: "1.2.3", "numpy": "2.4.6"},
        "path": "one fused operator a layer",
        "agreement": agreement(),
        "processes": processes,
    }
    return msgspec.convert({**fields, **changes}, Measurement)


def stopped(variant: str, status: str, reason: str, **changes: object) -> Measurement:
    """A variant that was never timed."""
    changes = {"agreement": None, "path": "", "versions": {}, **changes}
    return measurement(variant, status=status, reason=reason, **changes)


def sample() -> list[Measurement]:
    """Every status, two processes, two phases, a Korean reason."""
    off = "before the rounds: grad.l0.bwd.W_hh off by 3.1e-02 (bound 8.9e-06)"
    hihello = {
        "task": "hihello",
        "size": "source",
        "phase": "forward",
        "batch": 1,
        "steps": 6,
        "parameters": 55,
        "spec": {**SPEC, "cell": "rnn_tanh", "output_size": None, "vocab_size": None},
    }
    no_float64 = "computes in float32 whatever the dtypes say"
    return [
        measurement("torch", rounds(0.040, 0.042, 0.044), rounds(0.041, 0.043, 0.045)),
        measurement("numpy", rounds(0.080, 0.084, 0.086), rounds(0.082, 0.086, 0.090)),
        measurement("jax", rounds(0.020, 0.021, 0.022), rounds(0.021, 0.0212, 0.022)),
        stopped(
            "mutant", "disagrees", off, agreement=agreement(3.1e-2, off, worst="grad.l0.bwd.W_hh")
        ),
        stopped("broken", "crashed", "the worker ended with signal 11 (SIGSEGV) | 오류"),
        stopped("slow", "timed out", "no answer within 60 s"),
        stopped("bad-build", "failed", "ValueError: kernel has shape (64, 256)"),
        stopped("keras-jax", "refused", no_float64),
        stopped("keras-torch", "refused", no_float64),
        stopped("flax", "skipped", "flax is not installed: pip install -e .[jax]"),
        measurement("torch", rounds(5e-5, 5.2e-5, 5.1e-5), **hihello),
        stopped("keras-jax", "refused", no_float64, **hihello),
        measurement("numpy", **hihello),
    ]


# Seconds of a step at the base size, and of a cold start, of seven made-up variants.
PACES = {
    "numpy": (0.0143, 0.31),
    "torch": (0.0201, 3.1),
    "keras-tensorflow": (0.0203, 11.0),
    "keras-jax": (0.0188, 6.2),
    "keras-torch": (0.0831, 8.4),
    "jax": (0.0100, 2.4),
    "flax": (0.0102, 2.9),
}
FLOOR_SECONDS = 0.0060


def _timed(rng: np.random.Generator, seconds: float, cold: float, common: np.ndarray) -> Rounds:
    """Rounds (N) of a variant that takes `seconds`, disturbed as all others of the round are."""
    values = seconds * common * np.exp(rng.normal(0, 0.01, len(common)))
    steps = values[:, None] * np.exp(rng.normal(0, 0.02, (len(common), 4)))
    steps[0, 0] *= 3.0
    return Rounds(
        seconds=tuple(values.tolist()),
        position=tuple(range(len(values))),
        step_seconds=tuple(map(tuple, steps.tolist())),
        steps=steps.size,
        cold=ColdStart(
            start_seconds=0.03,
            import_seconds=cold * 0.7,
            build_seconds=0.02,
            first_call_seconds=cold * 0.3,
        ),
        effective_threads="2 by the framework, openblas 2, pinned to 2 cores",
        throughput_seconds=tuple((values * 0.93).tolist()),
        peak_host_bytes=int(2e7 + 4e9 * seconds),
        cores_busy=1.9,
    )


def cell_records(
    seed: int,
    variants: dict[str, tuple[float, float]] = PACES,
    *,
    rounds: int = 12,
    processes: int = 1,
    disturbed: int = 0,
    slower: dict[str, float] | None = None,
    **changes: object,
) -> list[Measurement | Race]:
    """A cell as the harness records it: variants, the control of the first, the floor, the race.

    `slower` multiplies the time of some variants; `drift` of the machine comes from the seed.
    """
    rng = np.random.default_rng(seed)
    drift = math.exp(rng.normal(0, 0.03))
    common = [drift * np.exp(rng.normal(0, 0.04, rounds)) for _ in range(processes)]
    scale = float(np.prod([float(v) for k, v in changes.items() if k == "scale"] or [1.0]))
    changes.pop("scale", None)
    slower = slower or {}

    def entry(name: str, pace: tuple[float, float], **more: object) -> Measurement:
        seconds = pace[0] * scale * slower.get(name, 1.0)
        offset = np.exp(rng.normal(0, 0.02 / math.sqrt(2), processes))
        taken = [_timed(rng, seconds * o, pace[1], c) for o, c in zip(offset, common, strict=True)]
        return measurement(name, *taken, **{**changes, **more})

    found = [entry(name, pace) for name, pace in variants.items()]
    first = next(iter(variants))
    again = entry(first, variants[first], role="control")
    bare = entry(
        "floor",
        (FLOOR_SECONDS, 0.2),
        role="floor",
        path="openblas 0.3.31",
        agreement=None,
        versions={"numpy": "2.4.6"},
    )
    around = RaceProcess(
        rounds=rounds,
        stopped="time used up",
        before_seconds=21.0,
        rounds_seconds=14.0,
        timed_seconds=9.8,
        after_seconds=3.1,
        blocks=rounds * 9,
        repeated=2,
        disturbed=disturbed,
        others_cores=tuple(rng.uniform(0.0, 0.05, rounds).tolist()),
        clock_mhz=(2400.0, 2445.0, 2450.0),
    )
    race = Race(cell=found[0].cell, threads=2, flops=412_000_000, processes=(around,) * processes)
    return [*found, again, bare, race]


OFFSET = Offset(spread=0.015, degrees=19.0, measured="2026-11-20T10:00:00+00:00")
SELFTEST = Selftest(
    started="2026-11-20T10:00:00+00:00",
    machine=RUN.machine,
    cell="bptt[sentiment-rnn_tanh-base-cpu-float32]",
    seconds=1.0,
    threads=2,
    trials=(
        Trials(
            variant="numpy",
            slowdown=0.0,
            processes=1,
            pairs=10,
            ratios=(0.99, 1.0, 1.01, 1.02),
            called=0,
            wrong=0,
            covered=4,
            stock=(0.9, 1.0, 1.1, 1.2),
        ),
        Trials(
            variant="numpy",
            slowdown=0.1,
            processes=2,
            pairs=10,
            ratios=(1.09, 1.1, 1.11, 1.12),
            called=4,
            wrong=0,
            covered=4,
        ),
    ),
    offset=OFFSET,
    recommended_processes=2,
    others_cores=0.02,
    disturbed=0.01,
)
FULL_RUN = msgspec.structs.replace(RUN, name="full", offset=OFFSET, selftest=SELFTEST)
VANILLA: dict[str, object] = {
    "spec": {**SPEC, "cell": "rnn_tanh", "bidirectional": False},
    "phase": "bptt",
}


def full() -> list[Measurement | Race]:
    """Two kinds of cell and two phases at one size, and a sweep of T, B and H of each."""
    found: list[Measurement | Race] = []
    for number, kind in enumerate(("rnn_tanh", "lstm")):
        spec = {**SPEC, "cell": kind, "bidirectional": False}
        for phase, scale in (("bptt", 1.0 + number), ("forward", 0.35 + 0.3 * number)):
            here = {"phase": phase, "spec": spec}
            seed = len(found)
            found += cell_records(seed, scale=scale, **here)
            found += cell_records(seed, scale=scale / 40, task="hihello", size="source", **here)
            for steps in (16, 320):
                growth = scale * (0.002 + steps / 80)
                size = f"base+T{steps}"
                found += cell_records(seed, scale=growth, size=size, steps=steps, **here)
            for batch in (8, 256):
                growth = scale * (0.1 + batch / 64)
                size = f"base+B{batch}"
                found += cell_records(seed, scale=growth, size=size, batch=batch, **here)
            for hidden in (32, 512):
                growth = scale * (0.1 + (hidden / 128) ** 1.7)
                wide = {**here, "spec": {**spec, "hidden_size": hidden}}
                found += cell_records(seed, scale=growth, size=f"base+H{hidden}", **wide)
    return found


def parted(records: list[Measurement | Race]) -> tuple[list[Measurement], list[Race]]:
    return (
        [r for r in records if isinstance(r, Measurement)],
        [r for r in records if isinstance(r, Race)],
    )


def curves() -> list[Measurement | Race]:
    """Few variants in two phases, and three points of T."""
    few = {name: PACES[name] for name in ("numpy", "torch", "jax")}
    found: list[Measurement | Race] = []
    for steps in (20, 80, 320):
        size = f"base+T{steps}"
        found += cell_records(steps, few, scale=steps / 80, steps=steps, size=size)
    return [*found, *cell_records(7, few, scale=0.4, phase="forward")]
