"""What a run will do and how long it takes, for `--dry-run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.analysis import text
from bench.config import batches
from bench.config.data import known
from bench.config.phases import STREAM
from bench.config.protocol import THROUGHPUT_EVERY, WARM_SECONDS, Settings
from bench.measurement.case import Case
from bench.measurement.worker_keys import has_baseline
from bench.progress import in_words
from bench.records import machine
from bench.records.workload import LEARN, Workload
from bench.workers.process import WorkerKey
from tasks.flops import FORWARD

# For an ordinary core; an estimate is accurate to about a factor of two.
FLOPS_PER_SECOND_AND_THREAD = 10e9
STEP_OVERHEAD_SECONDS = 20e-6  # per layer, direction and time step
START_SECONDS = 6.0  # per worker, with its framework
BUILD_SECONDS = 1.0  # per variant and workload: build, trace, compile, check


def workload_seconds(workload: Workload, variants: int, settings: Settings) -> float:
    """Expected seconds of a workload: build, checks, warm-up, rounds."""
    rate = FLOPS_PER_SECOND_AND_THREAD * (workload.threads or len(machine.available_cores()))
    overhead = STEP_OVERHEAD_SECONDS * len(list(workload.spec.stack()))
    overhead *= 1 if workload.phase == STREAM else workload.steps
    step = batches.flops(workload) / rate + overhead * (1.0 if workload.phase in FORWARD else 3.0)
    each, candidates = BUILD_SECONDS + 10 * step, variants
    target = known.of_workload(workload).target
    if settings.timed and workload.phase == LEARN and target is not None:
        # With the oracle's run beside it, its scores, and half of the updates that are allowed.
        return (
            (variants + settings.beside)
            * settings.processes
            * (each + (workload.updates or target.steps) * step)
        )
    if settings.timed and variants:
        block = settings.block(len(workload.steps_vary), stream=workload.phase == STREAM)
        timed = max(block.timed_steps * step, block.timed_seconds)
        warmup = max(block.warmup_steps * step, block.warmup_seconds)
        least = settings.least_rounds * (warmup + timed * (1 + 1 / THROUGHPUT_EVERY))
        each += WARM_SECONDS + max(settings.max_seconds, least)
        candidates += 1 + has_baseline(workload) if settings.beside else 0
        if settings.processes > 1:
            each += START_SECONDS  # every workload gets fresh processes
    return candidates * each * settings.processes


def plan_seconds(
    plan: Mapping[Workload, Sequence[Case]], settings: Settings
) -> dict[Workload, float]:
    """Expected seconds of each workload; the start of a worker counts for the first that needs it.

    A case that cannot run takes no time.
    """
    found, started = {}, set[WorkerKey]()
    for workload, cases in plan.items():
        keys = {case.key for case in cases if not case.refusal()}
        found[workload] = workload_seconds(workload, len(keys), settings)
        if settings.processes == 1:
            found[workload] += START_SECONDS * len(keys - started)
        started |= keys
    return found


def print_plan(plan: Mapping[Workload, Sequence[Case]], settings: Settings) -> None:
    """Print every workload, its variants, why some cannot run, and the total time."""
    for workload, cases in plan.items():
        refusals = {case.variant: case.refusal() for case in cases}
        running = [case for case in cases if not refusals[case.variant]]
        print(f"{workload.id}: {', '.join(case.variant for case in running) or 'nothing runs'}")
        facts = [f"{name} {fact}" for name, fact in workload.facts.items()]
        print(f"    {text.plain(', '.join([*facts, *workload.besides]))}")
        for name, refusal in refusals.items():
            if refusal is not None:
                status, reason = refusal
                print(f"    {name} is {status}: {text.plain(reason)}")
    seconds = sum(plan_seconds(plan, settings).values())
    if settings.budget is not None:
        least = sum(plan_seconds(plan, replace(settings, processes=1)).values())
        seconds = max(least, min(seconds, settings.budget))
    tests = sum(map(len, plan.values()))
    print(f"{tests} tests in {len(plan)} workloads, about {in_words(seconds)}")
