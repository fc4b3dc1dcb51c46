"""What a run will do and how long it takes, for `--dry-run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.analysis import text
from bench.config.data import known
from bench.config.phases import STREAM
from bench.config.protocol import (
    SLOW_ROUNDS,
    SLOW_SECONDS,
    THROUGHPUT_EVERY,
    Block,
    Settings,
)
from bench.measurement import costs
from bench.measurement.case import Case
from bench.measurement.worker_keys import has_baseline
from bench.progress import in_words
from bench.records.workload import LEARN, Workload

BASELINE = "numpy"  # which computes the oracle, and the products of the GEMM baseline
BETWEEN_BLOCKS = 0.004  # seconds to stop one process and let the next one run
LOOKS = 1.0  # steps before a block whose results are read


@dataclass(frozen=True)
class Parts:
    """Expected seconds of a workload."""

    starting: float = 0.0  # its worker processes
    checking: float = 0.0  # build, first call, checks and warm-up
    rounds: float = 0.0
    again: float = 0.0  # checks after the rounds

    @property
    def seconds(self) -> float:
        return self.starting + self.checking + self.rounds + self.again

    @property
    def in_words(self) -> str:
        """ "about 17 s: 6 s to start, 4 s to build and check, ..."."""
        named = (
            (self.starting, "to start"),
            (self.checking, "to build and check"),
            (self.rounds, "of rounds"),
            (self.again, "to check again"),
        )
        shown = (f"{in_words(seconds)} {name}" for seconds, name in named if seconds >= 0.5)
        return f"about {in_words(self.seconds)}: {', '.join(shown) or 'less than a second a part'}"


def parts(
    workload: Workload, variants: Sequence[str], settings: Settings, started: frozenset[str]
) -> Parts:
    """Those of a workload; `started` are the variants whose worker processes are there already."""
    if not variants:
        return Parts()
    work = costs.work(workload)
    beside = settings.timed and settings.beside
    copies = [*variants, variants[0]] if beside else list(variants)  # the control comes last
    steps = [costs.of(name).step(work) for name in copies]
    fresh = copies if settings.processes > 1 else [name for name in variants if name not in started]
    fresh += [variants[0]] if beside and settings.processes == 1 and not started else []
    once, in_steps = costs.BEFORE
    found = Parts(
        starting=sum(costs.of(name).start for name in fresh),
        checking=sum(costs.of(name).first + once for name in copies) + in_steps * sum(steps),
        rounds=_rounds(workload, steps, settings) if settings.timed else 0.0,
        again=_again(steps[: len(variants)]) if settings.timed else 0.0,
    )
    times = settings.processes if settings.timed else 1
    oracle = costs.ORACLE * costs.of(BASELINE).step(work)
    return Parts(
        starting=found.starting * times,
        checking=found.checking * times + oracle,
        rounds=found.rounds * times,
        again=found.again * times,
    )


def _again(steps: Sequence[float]) -> float:
    once, in_steps = costs.AFTER
    return sum(once + in_steps * step for step in steps)


def _rounds(workload: Workload, steps: Sequence[float], settings: Settings) -> float:
    """The rounds of one process of each candidate."""
    target = known.of_workload(workload).target
    if workload.phase == LEARN and target is not None:
        # Half of the updates that are allowed.
        return (workload.updates or target.steps / 2) * sum(steps)
    if settings.beside and has_baseline(workload):
        products = replace(costs.work(workload), cells=0.0, elements=0.0)
        steps = [*steps, costs.of(BASELINE).step(products)]
    block = settings.block(len(workload.steps_vary), stream=workload.phase == STREAM)
    slow = max(steps) >= SLOW_SECONDS
    least = max(settings.least_rounds, SLOW_ROUNDS if slow else 0)
    once = sum(_block(block.of_steps(step), step) for step in steps)
    return max(settings.max_seconds * len(steps), least * once)


def _block(block: Block, step: float) -> float:
    if block.one_step:
        return step
    timed = max(block.timed_steps * step, block.timed_seconds)
    warmup = max(block.warmup_steps * step, block.warmup_seconds)
    return BETWEEN_BLOCKS + LOOKS * step + warmup + timed * (1 + 1 / THROUGHPUT_EVERY)


def plan_parts(
    plan: Mapping[Workload, Sequence[Case]], settings: Settings
) -> dict[Workload, Parts]:
    """Those of each workload; the start of a worker counts for the first that needs it.

    A case that cannot run takes no time.
    """
    found, started = {}, frozenset[str]()
    for workload, cases in plan.items():
        names = [case.variant for case in cases if not case.refusal()]
        found[workload] = parts(workload, names, settings, started)
        started |= {*names}
    return found


def plan_seconds(
    plan: Mapping[Workload, Sequence[Case]], settings: Settings
) -> dict[Workload, float]:
    """Expected seconds of each workload."""
    expected = {w: found.seconds for w, found in plan_parts(plan, settings).items()}
    if settings.budget is not None:
        share = settings.budget / max(1, len(expected))
        least = plan_parts(plan, replace(settings, processes=1))
        expected = {w: max(found.seconds, share) for w, found in least.items()}
    return expected


def print_plan(plan: Mapping[Workload, Sequence[Case]], settings: Settings) -> None:
    """Print every workload, its variants, why some cannot run, and its time, part by part."""
    once = settings if settings.budget is None else replace(settings, processes=1)
    of_workload = plan_parts(plan, once)
    each = "" if settings.budget is None else "each process "
    for workload, cases in plan.items():
        refusals = {case.variant: case.refusal() for case in cases}
        running = [case for case in cases if not refusals[case.variant]]
        print(f"{workload.id}: {', '.join(case.variant for case in running) or 'nothing runs'}")
        facts = [f"{name} {fact}" for name, fact in workload.facts.items()]
        print(f"    {text.plain(', '.join([*facts, *workload.besides]))}")
        if running:
            print(f"    {each}{of_workload[workload].in_words}")
        for name, refusal in refusals.items():
            if refusal is not None:
                status, reason = refusal
                print(f"    {name} is {status}: {text.plain(reason)}")
    seconds = sum(plan_seconds(plan, settings).values())
    tests = sum(map(len, plan.values()))
    where = text.plural(len(plan), "workload")
    print(f"{text.plural(tests, 'test')} in {where}, about {in_words(seconds)}")
