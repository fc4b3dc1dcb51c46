"""Records to test with: one of every status."""

from __future__ import annotations

import msgspec

from bench.record import Agreement, ColdStart, Machine, Measurement, Rounds, Run, TensorError

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


def agreement(error: float | None = 5.3e-8, *failures: str) -> Agreement:
    worst = TensorError(name="grad.l0.fwd.W_hh", error=error, bound=8.9e-6)
    return Agreement(
        tensors=48, worst=worst, kinds={"gradients": worst, "loss": worst}, failures=failures
    )


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
    off = "before the rounds: grad.l0.bwd.W_hh is off by 3.1e-2; at most 8.9e-6"
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
        stopped("mutant", "disagrees", "", agreement=agreement(3.1e-2, off)),
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
