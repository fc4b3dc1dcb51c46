"""Trains the built model, a stretch of updates at a time, inside its worker."""

from __future__ import annotations

import time

import numpy as np

from bench.workers.serialization import Packed, pack, unpack_batch
from bench.workers.timing import TimedSteps, without_collections


class Learns(TimedSteps):
    """What the phase learn asks. Every public method is an operation."""

    def hold_out(self, *, batch: Packed) -> Packed:
        """Place the sequences that are only scored; return their outputs."""
        self._held_out = self._built.place(unpack_batch(batch))
        return self._scored()

    def learn(
        self, *, batches: list[Packed], updates: int, warmup_steps: int, warmup_seconds: float
    ) -> tuple[bytes, bytes, Packed, float, float]:
        """Make `updates` train steps, with a sync each, on these batches in turn.

        Forward steps on the held-out sequences warm up before them: nothing is learned there.
        Returns the seconds of each update and its loss, as float64 bytes; the outputs for the
        held-out sequences after the last one; the CPU seconds of the whole call; the wall seconds
        of all updates. Placing, reading the losses and scoring are not timed.
        """
        whole, clock = time.process_time(), time.perf_counter
        placed = [self._built.place(unpack_batch(batch)) for batch in batches]
        step, sync = self._stepper("train_step", 0.0)
        losses = []
        with without_collections():
            with self._memory.paused():
                self._warm_up(warmup_steps, warmup_seconds)
            with self._usage.counted() as taken:
                for number in range(updates):
                    batch = placed[number % len(placed)]
                    begin = clock()
                    result = step(batch)
                    sync(result)
                    taken.append(clock() - begin)
                    losses.append(float(self._built.to_host(result)["loss"]))
                    result = None
        self._steps += updates
        with self._memory.paused():
            outputs = self._scored()
        seconds, of_updates = (
            np.asarray(values, np.float64).tobytes() for values in (taken, losses)
        )
        return seconds, of_updates, outputs, time.process_time() - whole, sum(taken)

    def _warm_up(self, steps: int, seconds: float) -> None:
        begin, made = time.perf_counter(), 0
        while made < steps or time.perf_counter() - begin < seconds:
            self._built.sync(self._built.forward(self._held_out))
            made += 1

    def _scored(self) -> Packed:
        result = self._built.forward(self._held_out)
        self._built.sync(result)
        return pack({"outputs": self._built.to_host(result)["outputs"]})
