"""Records to test with: one of every status."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import msgspec
import numpy as np

from bench.analysis import verdicts
from bench.records.schema import (
    Agreement,
    BetweenProcess,
    ColdStart,
    Learned,
    Lesson,
    Machine,
    Measurement,
    ProcessConditions,
    ProcessRounds,
    Run,
    Scored,
    Selftest,
    StepTimes,
    TensorError,
    Trials,
    WorkloadRecord,
)
from bench.records.workload import Workload
from tasks.spec import ModelSpec

Records = list[Measurement | WorkloadRecord]

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
    between_process=verdicts.ASSUMED,
)
SPEC = ModelSpec(
    cell="lstm",
    input_size=64,
    hidden_size=128,
    bidirectional=True,
    vocab_size=500,
    readout="last_step",
    output_size=2,
)
WORKLOAD = Workload(
    phase="bptt",
    task="sentiment",
    shape="many-to-one",
    size="base",
    spec=SPEC,
    batch=64,
    steps=80,
    device="cpu",
    dtype="float32",
    threads=2,
)
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


def rounds(*seconds: float) -> ProcessRounds:
    return ProcessRounds(
        seconds=seconds,
        position=tuple(range(len(seconds))),
        step_seconds=tuple((s, s) for s in seconds),
        steps=42 * len(seconds),
        cold=COLD,
        effective_threads="2 (framework), 2 cores pinned",
    )


def workload(base: Workload = WORKLOAD, **changes: object) -> Workload:
    """`base` with other fields, those of its model among them."""
    of_spec = {field.name for field in dataclasses.fields(ModelSpec)} & changes.keys()
    spec = changes.pop("spec", base.spec)
    spec = dataclasses.replace(spec, **{name: changes.pop(name) for name in of_spec})
    return msgspec.structs.replace(base, spec=spec, **changes)


def measurement(variant: str, *processes: ProcessRounds, **changes: object) -> Measurement:
    """`changes` of its own fields, of its workload's, or of its model's."""
    own = {name: changes.pop(name) for name in Measurement.__struct_fields__ if name in changes}
    fields: dict[str, object] = {
        "status": "ok",
        "versions": {variant: "1.2.3", "numpy": "2.4.6"},
        "path": "one fused operator a layer",
        "agreement": agreement(),
        "processes": processes,
        **own,
        "workload": workload(own.get("workload", WORKLOAD), **changes),
    }
    return Measurement(variant=variant, **fields)


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
        "cell": "rnn_tanh",
        "output_size": None,
        "vocab_size": None,
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
BASELINE_SECONDS = 0.0060


def _timed(
    rng: np.random.Generator, seconds: float, cold: float, common: np.ndarray
) -> ProcessRounds:
    """Rounds (N) of a variant that takes `seconds`, disturbed as all others of the round are."""
    values = seconds * common * np.exp(rng.normal(0, 0.01, len(common)))
    steps = values[:, None] * np.exp(rng.normal(0, 0.02, (len(common), 4)))
    steps[0, 0] *= 3.0
    return ProcessRounds(
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


def workload_records(
    seed: int,
    variants: dict[str, tuple[float, float]] = PACES,
    *,
    rounds: int = 12,
    processes: int = 1,
    disturbed: int = 0,
    slower: dict[str, float] | None = None,
    scale: float = 1.0,
    **changes: object,
) -> Records:
    """A workload as the harness records it: variants, the control of the first, the GEMM baseline.

    `slower` multiplies the time of some variants; `drift` of the machine comes from the seed.
    """
    rng = np.random.default_rng(seed)
    drift = math.exp(rng.normal(0, 0.03))
    common = [drift * np.exp(rng.normal(0, 0.04, rounds)) for _ in range(processes)]
    slower = slower or {}

    def timed(name: str, pace: tuple[float, float], **more: object) -> Measurement:
        seconds = pace[0] * scale * slower.get(name, 1.0)
        lasting = np.exp(rng.normal(0, 0.02 / math.sqrt(2), processes))
        taken = [_timed(rng, seconds * k, pace[1], c) for k, c in zip(lasting, common, strict=True)]
        return measurement(name, *taken, **{**changes, **more})

    found = [timed(name, pace) for name, pace in variants.items()]
    first = next(iter(variants))
    again = timed(first, variants[first], role="control")
    bare = timed(
        "gemm baseline",
        (BASELINE_SECONDS, 0.2),
        role="gemm baseline",
        path="openblas 0.3.31",
        agreement=None,
        versions={"numpy": "2.4.6"},
    )
    around = ProcessConditions(
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
    asked = found[0].workload
    record = WorkloadRecord(
        workload=asked,
        flops=412_000_000,
        processes=(around,) * processes,
        gradient_norms=tuple(0.9**distance for distance in range(min(asked.steps, 100))),
    )
    return [*found, again, bare, record]


BETWEEN_PROCESS = BetweenProcess(
    deviation=0.015, degrees=19.0, measured="2026-11-20T10:00:00+00:00"
)
SELFTEST = Selftest(
    started="2026-11-20T10:00:00+00:00",
    machine=RUN.machine,
    workload=workload(cell="rnn_tanh"),
    seconds=1.0,
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
            pytest_benchmark=(0.9, 1.0, 1.1, 1.2),
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
    between_process=BETWEEN_PROCESS,
    recommended_processes=2,
    others_cores=0.02,
    disturbed=0.01,
)
FULL_RUN = msgspec.structs.replace(
    RUN, name="full", between_process=BETWEEN_PROCESS, selftest=SELFTEST
)
# An option, the field that it sets, its values, and the time as a share of that at the base size.
SWEEPS: list[tuple[str, str, tuple[int, int], Callable[[int], float]]] = [
    ("steps", "steps", (16, 320), lambda steps: 0.002 + steps / 80),
    ("batch", "batch", (8, 256), lambda batch: 0.1 + batch / 64),
    ("hidden", "hidden_size", (32, 512), lambda hidden: 0.1 + (hidden / 128) ** 1.7),
]


def full() -> Records:
    """Two cells and two phases at one size, and a sweep of T, B and H of each."""
    found: Records = []
    for number, cell in enumerate(("rnn_tanh", "lstm")):
        for phase, scale in (("bptt", 1.0 + number), ("forward", 0.35 + 0.3 * number)):
            seed = len(found)
            here = {"phase": phase, "cell": cell, "bidirectional": False, "seed": seed}
            found += workload_records(scale=scale, **here)
            found += workload_records(scale=scale / 40, task="hihello", size="source", **here)
            for name, field, values, growth in SWEEPS:
                for value in values:
                    found += workload_records(
                        scale=scale * growth(value), overridden=(name,), **{field: value}, **here
                    )
    return found


def learned_records(
    seed: int = 1,
    missed: tuple[str, ...] = ("torch",),
    disturbed: tuple[str, ...] = (),
    longer: str = "",
) -> Records:
    """Nets that learned; those of the variants in `missed` did not reach the target.

    One stretch of eight or more was disturbed, and three of the variants in `disturbed`. All
    updates of the variant `longer` took twice as long as its stretches.
    """

    def learned(m: Measurement, number: int) -> Measurement:
        updates = 40 + 5 * number
        (process,) = m.processes
        found = Learned(
            losses=tuple(2.0 * 0.95**i for i in range(updates)),
            scores=tuple(
                Scored(updates=i, score=i / updates, loss=2.1 * 0.94**i)
                for i in range(0, updates + 1, 5)
            ),
            seconds=updates * process.seconds[0] * (1 + (m.variant == longer)),
            reached=m.variant not in missed,
            judged=30,
            disturbed=1 + 2 * (m.variant in disturbed),
            parted=33 if number % 2 else None,
            errors=(1e-7, 1e-6),
        )
        return msgspec.structs.replace(
            m, processes=(msgspec.structs.replace(process, learned=found),)
        )

    lesson = Lesson(
        metric="accuracy",
        threshold=1.0,
        larger_is_better=True,
        most_updates=200,
        every=5,
        data="a made-up sentence",
        scored=64,
        single=False,
        losses=tuple(2.0 * 0.95**i for i in range(60)),
        reference_errors=(1e-7, 1e-6),
    )
    records = workload_records(seed, phase="learn", bidirectional=False)
    return [
        msgspec.structs.replace(record, lesson=lesson)
        if isinstance(record, WorkloadRecord)
        else learned(record, number)
        if record.role == "variant"
        else record
        for number, record in enumerate(records)
    ]


def streamed_records(seed: int = 1, steps: int = 50) -> Records:
    """Streams, of which each process timed so many steps."""

    def streamed(m: Measurement) -> Measurement:
        (process,) = m.processes
        seconds = process.seconds[0]
        times, moved = (
            StepTimes(
                steps=steps,
                median_seconds=seconds * factor,
                p90_seconds=seconds * factor * 1.1,
                p99_seconds=seconds * factor * 1.5,
                worst_seconds=seconds * factor * 3,
            )
            for factor in (1.0, 1.2)
        )
        process = msgspec.structs.replace(process, step_times=times, transfer_step_times=moved)
        return msgspec.structs.replace(m, processes=(process,))

    records = workload_records(seed, phase="stream", bidirectional=False)
    return [
        streamed(record) if isinstance(record, Measurement) and record.role == "variant" else record
        for record in records
    ]


def parted(
    records: Records,
) -> tuple[list[Measurement], list[WorkloadRecord]]:
    return (
        [r for r in records if isinstance(r, Measurement)],
        [r for r in records if isinstance(r, WorkloadRecord)],
    )


def curves() -> Records:
    """Few variants in two phases, and three points of T."""
    few = {name: PACES[name] for name in ("numpy", "torch", "jax")}
    found: Records = []
    for steps in (20, 80, 320):
        points = {"steps": steps, "overridden": ("steps",)}
        found += workload_records(steps, few, scale=steps / 80, **points)
    return [*found, *workload_records(7, few, scale=0.4, phase="forward")]
