"""The phase learn: every variant trains from the same parameters until the target is reached.

A round is a stretch of updates, after which the net is scored on sequences that it is not trained
on. The stretches of the variants alternate as blocks do. A stretch cannot be repeated, since the
next one starts where it ended.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from bench.config import batches
from bench.config.data import known
from bench.correctness import oracle
from bench.correctness.learned import LearningChecks
from bench.measurement.rounds import TimedModel
from bench.records import schema
from bench.records.schema import Agreement
from bench.records.workload import LEARN, Workload
from bench.workers.pool import Progress, silent
from bench.workers.process import WorkerError
from bench.workers.serialization import Packed, pack, pack_batch, unpack
from tasks.loss import loss
from tasks.spec import Batch, Params
from tasks.task import NamesClasses, Spells
from tasks.training import TrainingData

SCORES = 60  # of a training that goes on to the end
SHOWN_STEPS = 12  # of the example


def first_seed(workload: Workload) -> int:
    """That of its target for the phase learn, else 0."""
    target = known.of_workload(workload).target
    return target.seed if target is not None and workload.phase == LEARN else 0


class Lessons:
    """What the variants of a workload are trained on, scored on and judged by."""

    def __init__(self, workload: Workload, seed: int, params: Params) -> None:
        """`workload` is in the phase of its model; every variant starts from `params`."""
        self.task = known.of_workload(workload)
        assert self.task.target is not None
        self.target, self.spec, self.params = self.task.target, workload.spec, params
        self.most = workload.updates or self.target.steps
        self.every = max(1, self.most // SCORES)
        given = batches.training(workload, seed)

        @lru_cache(maxsize=2 * self.every)
        def batch(update: int) -> Batch:
            return oracle.rounded(workload.dtype, {}, given.batch(update))[1]

        _, held_out = oracle.rounded(workload.dtype, {}, given.held_out)
        self.data: TrainingData = dataclasses.replace(given, batch=batch, held_out=held_out)
        self.checks = LearningChecks(workload, params, self.data, self.every)

    @property
    def stretches(self) -> int:
        """How many there are at most."""
        return math.ceil(self.most / self.every)

    def packed(self, done: int) -> tuple[list[Packed], int]:
        """The batches of the next stretch after so many updates, and their number of updates."""
        count = min(self.every, self.most - done)
        first = [1] if self.data.single else range(done + 1, done + count + 1)
        return [pack_batch(self.data.batch(update)) for update in first], count

    def score(self, updates: int, outputs: np.ndarray) -> schema.Scored:
        """How good the outputs for the held-out sequences are."""
        found = self.task.score(outputs, self.data.held_out)[self.target.metric]
        return schema.Scored(
            updates=updates,
            score=float(found),
            loss=loss(self.spec, outputs, self.data.held_out),
            spelled=self._spelled(outputs),
        )

    def _spelled(self, outputs: np.ndarray) -> str:
        if not isinstance(self.task, Spells):
            return ""
        try:
            return self.task.spell(outputs[:1])[0]
        except ValueError:  # more outputs than letters
            return ""

    def probabilities(self, outputs: np.ndarray) -> tuple[tuple[float, ...], ...]:
        """The softmax of the first sequence, by step; empty where outputs are numbers."""
        if self.spec.loss != "cross_entropy":
            return ()
        first = np.atleast_2d(outputs[0].astype(np.float64))[-SHOWN_STEPS:]
        powers = np.exp(first - first.max(axis=-1, keepdims=True))
        shares = powers / powers.sum(axis=-1, keepdims=True)
        return tuple(tuple(round(share, 4) for share in row) for row in shares.tolist())

    def record(self, size: str) -> schema.Lesson:
        """What there was to learn, with the longest curve of the oracle."""
        target, held_out, labels = self.target, self.data.held_out, self.spec.loss != "mse"
        curve = self.checks.longest
        perfect = np.eye(self.spec.logit_size)[held_out.y] if labels else held_out.y
        shown = np.atleast_1d(held_out.y[0])[-SHOWN_STEPS:] if labels else ()
        return schema.Lesson(
            metric=target.metric,
            threshold=target.threshold,
            larger_is_better=target.larger_is_better,
            most_updates=self.most,
            every=self.every,
            data=self.data.words,
            scored=len(held_out.x),
            single=self.data.single,
            wanted=self._spelled(perfect),
            classes=self.task.classes(size) if isinstance(self.task, NamesClasses) else (),
            labels=tuple(int(label) for label in shown),
            losses=tuple(map(_short, curve.losses)) if curve else (),
            reference_errors=tuple(map(_short, curve.errors)) if curve else (),
        )


@dataclass
class Learner(TimedModel):
    """One model while it is trained; a block is a stretch of updates."""

    lessons: Lessons = field(kw_only=True)
    progress: Progress = silent
    losses: list[float] = field(default_factory=list)
    scores: list[schema.Scored] = field(default_factory=list)
    outputs: np.ndarray = field(default_factory=lambda: np.zeros(0))  # after the last stretch
    repeats: bool = False

    def begin(self) -> None:
        """Start from the parameters of the workload."""
        self.ask("reload", params=pack(self.lessons.params))
        packed = self.ask("hold_out", batch=pack_batch(self.lessons.data.held_out))
        self.scores.append(self.lessons.score(0, unpack(packed)["outputs"]))

    @property
    def reached(self) -> bool:
        return self.lessons.target.reached(self.scores[-1].score)

    @property
    def finished(self) -> bool:
        return self.reached or len(self.losses) >= self.lessons.most

    def run(self, unbroken: bool) -> tuple[np.ndarray, float | None, float | None, float, float]:
        """Train for a stretch, and score; see `Learns.learn`. There is no throughput."""
        packed, updates = self.lessons.packed(len(self.losses))
        block = self.block
        taken, losses, outputs, own_seconds, wall_seconds = self.ask(
            "learn",
            batches=packed,
            updates=updates,
            warmup_steps=block.warmup_steps,
            warmup_seconds=block.warmup_seconds,
        )
        self.losses += np.frombuffer(losses, np.float64).tolist()
        self.outputs = unpack(outputs)["outputs"]
        self.scores.append(self.lessons.score(len(self.losses), self.outputs))
        for value in (self.losses[-1], self.scores[-1].score):
            if not math.isfinite(value):
                raise WorkerError(f"after update {len(self.losses)} its loss or score is {value}")
        self.progress(
            f"{self.name}, update {len(self.losses)}: loss {self.losses[-1]:.4g}, "
            f"{self.lessons.target.metric} {self.scores[-1].score:.4g}"
        )
        return np.frombuffer(taken, np.float64), None, None, own_seconds, wall_seconds

    def judge_training(self, variant: str) -> list[Agreement]:
        """The comparisons of all losses, and of the outputs of the trained net."""
        _, packed = self.ask("train", steps=0)
        found, self._judged = self.lessons.checks.losses(variant, self.losses)
        outputs = self.lessons.checks.outputs(unpack(packed), self.outputs)
        return [outputs] if found is None else [found, outputs]

    def seconds_of_all(self) -> float:
        """The seconds of all updates."""
        return math.fsum(float(taken) for stretch in self.raw for taken in stretch)

    def learned(self, variant: str) -> schema.Learned:
        """The record of this training; after `judge_training`."""
        return schema.Learned(
            losses=tuple(map(_short, self.losses)),
            scores=tuple(self.scores),
            seconds=self.seconds_of_all(),
            reached=self.reached,
            judged=self._judged,
            disturbed=self.disturbed,
            parted=self.lessons.checks.parted(variant, self.losses),
            errors=tuple(map(_short, self.lessons.checks.errors(variant, self.losses))),
            probabilities=self.lessons.probabilities(self.outputs),
        )


def same_rounds(models: Sequence[TimedModel]) -> None:
    """Leave each the rounds that all of them took part in: ratios are those of the same rounds."""
    common = min((len(each.seconds) for each in models), default=0)
    for each in models:
        each.seconds, each.positions = each.seconds[:common], each.positions[:common]


def _short(value: float) -> float:
    """Rounded to seven digits, more than float32 has."""
    return float(f"{value:.7g}")
