"""One test of the suite: one variant in one workload."""

from __future__ import annotations

from dataclasses import dataclass

from backends import registry
from bench.config.phases import STREAM
from bench.correctness import tolerances
from bench.measurement.worker_keys import worker_key
from bench.records.schema import Status
from bench.records.workload import LEARN, Workload
from bench.workers.process import WorkerKey

PARAMETERS = ("task", "cell", "size", "device", "dtype", "variant")


@dataclass(frozen=True)
class Case:
    """One test: one variant in one workload."""

    workload: Workload
    variant: str

    @property
    def id(self) -> str:
        return f"{self.workload.name}-{self.variant}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The values of PARAMETERS, as strings, so `--benchmark-group-by=param:variant` works."""
        workload = self.workload
        where = (workload.label, workload.device, workload.dtype)
        return (workload.task, workload.spec.cell, *where, self.variant)

    @property
    def key(self) -> WorkerKey:
        return worker_key(self.workload, self.variant)

    def refusal(self) -> tuple[Status, str] | None:
        """Why it cannot run, as far as is known without starting a worker; None if it may."""
        workload = self.workload
        missing = registry.missing(registry.find(self.variant))
        if missing:
            return "skipped", missing
        streams = workload.phase == STREAM
        where = {"device": workload.device, "dtype": workload.dtype}
        phase = "forward" if streams else workload.model_phase
        features = {STREAM: streams, "stateful": workload.stateful, "lengths": workload.has_lengths}
        try:
            reason = None
            for feature in (name for name, needed in features.items() if needed):
                needs = {"feature": feature, "spec": workload.spec, **where}
                reason = reason or registry.ask(self.variant, "supports", **needs)
            if reason is None:
                reason = registry.ask(self.variant, "refusal", workload.spec, **where, phase=phase)
            if reason is None and workload.optimizer is not None:
                registry.ask(self.variant, "optimizer", workload.optimizer)  # does it declare one?
        except registry.BrokenBackendError as error:
            return "skipped", str(error)
        if reason is None and workload.dtype not in tolerances.STORAGE:
            reason = f"{workload.dtype} has no rule of agreement yet, and so no times"
        if reason is None and workload.phase == LEARN and workload.dtype == "bfloat16":
            reason = "learn has no rule of agreement in bfloat16; train_step has one"
        return ("refused", str(reason)) if reason is not None else None
