"""One workload from start to end: build, check, rounds, check again, record.

Every variant is built, checked and warmed up in its own worker, makes the rounds (`rounds`) and is
checked again. Two more candidates run along without a rank: the control, which is the first variant
again, and the GEMM baseline of the workload.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from msgspec.structs import replace

from backends import registry
from bench.analysis.verdicts import ASSUMED
from bench.config import batches
from bench.config.phases import STREAM
from bench.config.protocol import Settings
from bench.correctness.judged_answers import FIRST_LOOKS, FIRST_SECONDS, LOOKS
from bench.correctness.streams import checks_of
from bench.measurement.candidate import Candidate, Outcome, Prepared, outcomes
from bench.measurement.learning import Learner, Lessons, first_seed, same_rounds
from bench.measurement.precision import Processes
from bench.measurement.rounds import Rounds, TimedModel
from bench.measurement.warm_up import warmed_up
from bench.measurement.worker_keys import CONTROL, baseline_key, has_baseline, worker_key
from bench.records import schema
from bench.records.workload import LEARN, Workload
from bench.workers.pool import Pool, Progress
from bench.workers.process import Ask, Worker, WorkerError
from bench.workers.seen_answers import SeenAnswer
from bench.workers.serialization import pack_spec


class WorkloadRun:
    """Measures one workload, with `run`."""

    def __init__(
        self,
        pool: Pool,
        workload: Workload,
        variants: Sequence[str],
        settings: Settings,
        progress: Progress,
        between: schema.BetweenProcess = ASSUMED,
    ) -> None:
        self.processes = Processes(settings, between, self._outcomes)
        self.pool, self.workload, self.settings = pool, workload, settings
        self.progress = progress
        self.streams = workload.phase == STREAM
        self._of_model = workload.of_model
        seed = settings.seed + first_seed(workload)
        self.checks = checks_of(self._of_model, seed, timed=settings.timed)
        self.lessons: Lessons | None = None
        if settings.timed and workload.phase == LEARN:
            self.lessons = Lessons(self._of_model, seed, self.checks.params)
        self.candidates = [Candidate(worker_key(workload, name)) for name in variants]
        if settings.timed and settings.beside:
            control = worker_key(workload, variants[0], CONTROL)
            self.candidates.append(Candidate(control, "control"))
            if has_baseline(workload):
                self.candidates.append(Candidate(baseline_key(workload), "gemm baseline"))
        self.conditions: list[schema.ProcessConditions] = []
        self._workers: dict[Candidate, Worker] = {}
        self._prepared: dict[Candidate, Prepared] = {}

    def run(self) -> dict[str, Outcome]:
        """The outcome of each variant. If one fails, the others go on."""
        for process in self.processes:
            begin = perf_counter()
            if self.settings.processes > 1:  # all processes are fresh, including the first
                for candidate in self.candidates:
                    self.pool.end(candidate.key)
            self._attempt("checking", self._prepare, self._starting())
            if self.settings.timed and self._variants:
                self._rounds(process, perf_counter() - begin)
            self._attempt("releasing", self._finish)
        return self._outcomes()

    def _outcomes(self) -> dict[str, Outcome]:
        return outcomes(self.candidates, self.workload, self.settings.serial)

    def beside(self) -> list[schema.Measurement]:
        """Those of the control and the GEMM baseline."""
        others = [c for c in self.candidates if c.role != "variant" and self.conditions]
        return [c.outcome(self.workload, self.settings.serial).measurement for c in others]

    @property
    def lesson(self) -> schema.Lesson | None:
        """What there was to learn; None in other phases."""
        return None if self.lessons is None else self.lessons.record(self.workload.size)

    @property
    def _running(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.status == "ok"]

    @property
    def _variants(self) -> list[Candidate]:
        return [candidate for candidate in self._running if candidate.role == "variant"]

    def _starting(self) -> list[Candidate]:
        """The candidates in random order, because the order of starting may matter.

        It does not depend on the seed, which is the same in all runs. The control comes last, since
        it repeats a variant that has started.
        """
        running, order = self._running, np.random.default_rng()
        drawn = [running[index] for index in order.permutation(len(running))]
        return sorted(drawn, key=lambda candidate: candidate.role == "control")

    def _attempt(
        self,
        what: str,
        action: Callable[[Candidate], None],
        order: Sequence[Candidate] | None = None,
    ) -> None:
        for candidate in order or self._running:
            self.progress(f"{what} {candidate.label}")
            self._guarded(candidate, action)

    def _guarded(self, candidate: Candidate, action: Callable[[Candidate], None]) -> None:
        try:
            action(candidate)
        except WorkerError as error:
            candidate.fail(error.status, str(error), error.details)
        except registry.BrokenBackendError as error:
            candidate.fail("failed", str(error))
        if candidate.status != "ok" and candidate in self._workers:
            self._release(candidate)

    def _release(self, candidate: Candidate) -> None:
        if not self._workers[candidate].alive():
            return
        try:
            self._call(candidate, "release")
        except WorkerError:
            self.pool.end(candidate.key)  # even releasing fails: use a fresh worker next time

    def _call(self, candidate: Candidate, operation: str, **arguments: Any) -> Any:
        return self._workers[candidate].call(operation, self.pool.timeout, **arguments)

    def _ask(self, candidate: Candidate) -> Ask:
        return partial(self._call, candidate)

    def _prepare(self, candidate: Candidate) -> None:
        """Build it, check it against the oracle, warm it up."""
        if candidate.role == "control" and not self._controlled(candidate):
            return
        worker = self._workers[candidate] = self.pool.get(candidate.key, self.progress)
        candidate.versions = worker.started.versions
        ask = self._ask(candidate)
        if candidate.role == "gemm baseline":
            build_seconds = first_seconds = 0.0
            workload = self.workload
            size = {"sequences": batches.sequences(workload), "dtype": workload.dtype}
            ask("build_gemm_baseline", spec=pack_spec(workload.spec), **size)
        else:
            build_seconds = self.checks.build(ask)
            first_seconds, candidate.loss, found = self.checks.before(ask, candidate.key.variant)
            if not candidate.judge(found):
                return
        cold = schema.ColdStart(
            start_seconds=worker.started.start_seconds,
            import_seconds=worker.started.import_seconds,
            build_seconds=build_seconds,
            first_call_seconds=first_seconds,
        )
        if self.settings.timed:
            vary = self.workload.steps_vary
            options: dict[str, Any] = {}
            if vary:
                later = ask("first_steps", phase=self._of_model.phase)
                options = {"steps": vary[::-1], "first_seconds": (first_seconds, *later)}
            block = self.settings.block(len(vary), stream=self.streams)
            options |= self._judged(candidate, ask)
            if self.lessons is not None:
                learner = partial(Learner, lessons=self.lessons, progress=self.progress)
                options |= {"looks": 0, "make": learner}
            model = warmed_up(candidate.label, worker, ask, self._of_model, block, **options)
            if isinstance(model, Learner):
                model.begin()
            self._prepared[candidate] = Prepared(worker, cold, model)

    def _judged(self, candidate: Candidate, ask: Ask) -> dict[str, Any]:
        """How the rounds look at the answers of a candidate; the GEMM baseline has none."""
        if candidate.role == "gemm baseline":
            return {"counts": False}
        looks = self.checks.looks(ask, candidate.key.variant)
        if looks is None:
            return {}
        candidate.looks = looks

        def judge(looked: list[SeenAnswer]) -> None:
            for found in looks.judge(looked):
                candidate.judge(found)

        vary = len(self.workload.steps_vary)
        # Before the rounds, so that what is new adds nothing to their memory; each T that comes.
        first = {"looks": max(FIRST_LOOKS, vary), "seconds": math.inf if vary else FIRST_SECONDS}
        judge(ask("look", phase=self._of_model.phase, **first))
        return {"looks": LOOKS, "judge": judge, "transfers": self.streams}

    def _controlled(self, control: Candidate) -> bool:
        """Make the control repeat the first variant that still takes part; False if it cannot."""
        if not self._variants:
            control.fail("skipped", "no variant is left to repeat")
            return False
        first = self._variants[0].key
        if control.processes and control.key.variant != first.variant:
            reason = f"{control.key.variant}, which it repeats, no longer takes part"
            control.fail("skipped", reason)
            return False
        control.key = dataclasses.replace(first, copy=CONTROL)
        return True

    def _models(self) -> list[TimedModel]:
        return [self._prepared[candidate].model for candidate in self._running]

    def _rounds(self, process: int, before_seconds: float) -> None:
        """Make the rounds, then one record per candidate."""
        settings, lessons = self.settings, self.lessons
        models = {id(self._prepared[each].model): each for each in self._running}
        rounds = Rounds(
            running=lambda: [model for model in self._models() if not model.finished],
            attempt=lambda model, block: self._guarded(models[id(model)], lambda _: block()),
            device=self.workload.device,
            cores=self.pool.cores_of(self.workload.threads),
            progress=self.progress,
            narrow=settings.narrow if lessons is None else None,
        )
        least, seconds = settings.least_rounds, settings.max_seconds * len(self._running)
        best = self.processes.rounds(self.conditions) if lessons is None else lessons.stretches
        least, seconds = (least, seconds) if best is None else (best, 0.0)
        conditions = rounds.run(
            np.random.default_rng((settings.seed, process)), least=least, seconds=seconds
        )
        begin = perf_counter()
        if lessons is not None:
            conditions = replace(conditions, stopped="nothing left to learn")
            same_rounds(self._models())
        for candidate in self._running:
            self._guarded(candidate, self._record)
        self._attempt("checking again", self._check_again)
        after_seconds = perf_counter() - begin
        self.conditions.append(
            replace(conditions, before_seconds=before_seconds, after_seconds=after_seconds)
        )

    def _record(self, candidate: Candidate) -> None:
        """Check the result of the last timed step, ask what ran, and keep the rounds."""
        ask, model = self._ask(candidate), self._prepared[candidate].model
        learned = None
        if isinstance(model, Learner):
            for found in model.judge_training(candidate.key.variant):
                candidate.judge(found)
            learned = model.learned(candidate.key.variant)
        else:
            candidate.updates = ask("updates")
        # This comes first, because the model may reuse its buffers.
        last = self.checks.last(ask) if candidate.role == "variant" else None
        later = candidate.looks.finish() if candidate.looks else []
        for each in [*([last] if last else []), *later]:
            candidate.judge(each)
        about = ask("about")
        own = self._workers[candidate].started.own_threads
        about["threads"] = ", ".join([about["threads"], *(f"{each} by itself" for each in own)])
        candidate.keep(
            self._prepared[candidate], about, self.settings.room, self.settings.seed, learned
        )

    def _check_again(self, candidate: Candidate) -> None:
        """Check with unseen parameters and batch, and check for skipped work."""
        if candidate.role != "variant":
            return
        ask = self._ask(candidate)
        model = self._prepared[candidate].model
        if candidate.judge(self.checks.after(ask, candidate.key.variant, candidate.updates)):
            if model.steps:
                seconds = {steps: model.seconds_at(n) for n, steps in enumerate(model.steps)}
                skipped = self.checks.skipped_work_at(ask, seconds)
            else:
                # Sentences of their own lengths take different times.
                blocks = [] if self.workload.inputs.lengths == "own" else model.blocks
                skipped = self.checks.skipped_work(ask, *model.medians(), blocks)
            if skipped is not None:
                candidate.fail("disagrees", skipped)

    def _finish(self, candidate: Candidate) -> None:
        """Check again if nothing was timed; then release the model."""
        if not self.settings.timed and candidate.role == "variant":
            candidate.judge(self.checks.after(self._ask(candidate), candidate.key.variant, 0))
        if candidate.status == "ok":
            self._release(candidate)
