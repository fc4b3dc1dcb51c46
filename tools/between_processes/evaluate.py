"""What the recorded processes come to: how far those of each arm lie apart, and how often verdicts
on resampled trials are right. Seeded: the same file gives the same numbers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis import estimators, verdicts
from bench.analysis.verdicts import Estimate
from bench.config.protocol import MOST_PROCESSES, PILOT
from bench.measurement.precision import processes_for
from bench.records.schema import BetweenProcess
from bench.selftest import trials
from bench.selftest.trials import Trial
from tools.between_processes.arms import NOW
from tools.between_processes.measure import SLOWDOWN
from tools.between_processes.recorded import Process, logs, pairs

SLOWDOWNS = (0.0, 0.03, 0.05, 0.10, 0.20)
COUNTS = (1, 3, 5, 10)
PRECISIONS = (0.03, 0.02)
# Of the default selftest: so many pairs of each of these variants give its deviation.
OF_SELFTEST, PAIRS_OF_SELFTEST = ("numpy", "torch", "keras-tensorflow"), 4
DRAWN, RESAMPLED = 200, 40  # trials of a rate, and rates for its interval
LOW, HIGH = 0.025, 0.975


def lines(processes: Sequence[Process]) -> Iterator[str]:
    """The whole evaluation."""
    yield from of_arms(processes)
    yield ""
    yield from of_verdicts(processes)
    yield ""
    yield from live(processes)


def of_arms(processes: Sequence[Process]) -> Iterator[str]:
    """A line for each arm of each variant in each workload."""
    yield (
        "apart: the between-process standard deviation, beyond the scatter of the rounds, with its "
        "95 % interval; time: of a step, relative to `as now`; faults: page faults a step; "
        "peak: above the imports"
    )
    groups: dict[tuple[str, str], list[Process]] = defaultdict(list)
    for one in processes:
        groups[one.workload, one.variant].append(one)
    for (workload, variant), members in groups.items():
        yield f"{workload}, {variant}"
        for arm in dict.fromkeys(one.arm for one in members):
            yield f"    {arm:16} {_arm(members, arm)}"


def _arm(members: Sequence[Process], arm: str) -> str:
    both = list(pairs(members, arm).values())
    excess = np.array([_excess(*pair) for pair in both])
    rng = np.random.default_rng(0)
    drawn = rng.choice(excess, (2000, len(excess))).mean(axis=1)
    deviation = math.sqrt(max(0.0, excess.mean()))
    low, high = np.sqrt(np.maximum(0.0, np.quantile(drawn, (LOW, HIGH))))
    own = [one for pair in both for one in pair]
    faults = np.median([one.page_faults or 0.0 for one in own])
    switches = np.median([one.switches or 0.0 for one in own])
    peak = np.median([one.peak_bytes or 0 for one in own]) / 2**20
    seconds = np.median([np.median(one.seconds) for one in own])
    return (
        f"{len(own):2} processes, apart {100 * deviation:5.2f} % ({100 * low:.2f} to "
        f"{100 * high:.2f}), time {_relative_time(members, arm)}, {1e6 * seconds:9.1f} us, faults "
        f"{faults:7.1f}, switches {switches:5.1f}, peak {peak:6.1f} MiB"
    )


def _excess(first: Process, second: Process) -> float:
    """The square of the log ratio without what the scatter of the rounds explains."""
    found = logs(first, second)
    return estimators.centre(found) ** 2 - estimators.standard_error(found) ** 2


def _relative_time(members: Sequence[Process], arm: str) -> str:
    """Mean ratio of the arm's processes to those as now in the same set, with 95 % interval."""
    if arm == NOW:
        return "1.000                 "
    by_set = pairs(members, NOW)
    ratios = []
    for key, pair in pairs(members, arm).items():
        beside = by_set[key]
        ratios.append(np.mean([estimators.centre(logs(b, a)) for a in pair for b in beside]))
    values = np.array(ratios)
    if len(values) < 2:
        return f"{math.exp(values.mean()):.3f}                 "
    half = estimators.quantile(len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    low, high = np.exp((values.mean() - half, values.mean() + half))
    return f"{math.exp(values.mean()):.3f} ({low:.3f} to {high:.3f})"


@dataclass(frozen=True)
class _Pool:
    """The pairs of one variant in one workload."""

    centres: np.ndarray  # (pairs,)
    errors: np.ndarray
    rounds: int
    cost_seconds: float  # of a pair

    def trial(
        self, chosen: np.ndarray, signs: np.ndarray, known: BetweenProcess, name: str
    ) -> Estimate:
        """Processes of one program, in either order."""
        deviation = verdicts.deviation_of(known, name, name)
        degrees = verdicts.degrees_of(known, name, name)
        freedom = (self.rounds - 1) * len(chosen)
        return verdicts.of_centres(
            signs * self.centres[chosen], self.errors[chosen], freedom, deviation, degrees
        )


def of_verdicts(processes: Sequence[Process]) -> Iterator[str]:
    """Rates of trials that are drawn from the recorded pairs."""
    yield (
        "Trials drawn from the recorded pairs: A/A quantiles (2.5, 50, 97.5 %) of the ratio, false "
        "alarms, coverage of the 95 % interval, and how often a slow-down of 3, 5, 10, 20 % is "
        "called; in brackets 95 % intervals, over the pairs that were recorded. K: processes."
    )
    found = pairs(processes, NOW)
    for workload in dict.fromkeys(key[0] for key in found):
        of_variants = {
            variant: [pair for key, pair in found.items() if key[:2] == (workload, variant)]
            for variant in dict.fromkeys(key[1] for key in found)
        }
        for variant in of_variants:
            yield f"{workload}, {variant}"
            for label, draw in _plans():
                yield f"    {label:28} {_rates(of_variants, variant, draw)}"


_Draw = Callable[[np.random.Generator, _Pool, BetweenProcess, str], tuple[Estimate, int]]


def _plans() -> Iterator[tuple[str, _Draw]]:
    """How the processes of a trial are drawn: so many, or as many as a precision takes."""
    for count in COUNTS:
        yield f"K = {count}", _fixed(count)
    for precision in PRECISIONS:
        yield f"--precision {100 * precision:g}%", _precise(precision)


def _fixed(count: int) -> _Draw:
    def draw(
        rng: np.random.Generator, pool: _Pool, known: BetweenProcess, name: str
    ) -> tuple[Estimate, int]:
        chosen = rng.integers(len(pool.centres), size=count)
        return pool.trial(chosen, rng.choice((-1, 1), count), known, name), count

    return draw


def _precise(precision: float) -> _Draw:
    def draw(
        rng: np.random.Generator, pool: _Pool, known: BetweenProcess, name: str
    ) -> tuple[Estimate, int]:
        chosen = rng.integers(len(pool.centres), size=MOST_PROCESSES)
        signs, done, needed = rng.choice((-1, 1), MOST_PROCESSES), 0, PILOT
        while done < min(needed, MOST_PROCESSES):
            done = min(needed, MOST_PROCESSES)
            found = pool.trial(chosen[:done], signs[:done], known, name)
            needed = processes_for(found.half_width, precision, done)
        return found, done

    return draw


def _rates(of_variants: dict[str, list[tuple[Process, Process]]], variant: str, draw: _Draw) -> str:
    rng = np.random.default_rng(0)
    results = [_once(of_variants, variant, draw, rng, resample=False, count=5 * DRAWN)]
    results += [
        _once(of_variants, variant, draw, rng, resample=True, count=DRAWN) for _ in range(RESAMPLED)
    ]
    values = np.array(results)
    low, high = np.quantile(values[1:], (LOW, HIGH), axis=0)

    def rate(at: int) -> str:
        return f"{100 * values[0, at]:3.0f} % ({100 * low[at]:.0f} to {100 * high[at]:.0f})"

    quantiles = ", ".join(f"{value:.3f}" for value in values[0, :3])
    powers = ", ".join(rate(5 + number) for number in range(len(SLOWDOWNS) - 1))
    return (
        f"A/A {quantiles}; false {rate(3)}; covered {rate(4)}; found {powers}; "
        f"{values[0, -2]:.1f} processes, {values[0, -1]:.0f} s a pair of variants"
    )


def _once(
    of_variants: dict[str, list[tuple[Process, Process]]],
    variant: str,
    draw: _Draw,
    rng: np.random.Generator,
    *,
    resample: bool,
    count: int,
) -> list[float]:
    """Quantiles, rates, processes and seconds, from `count` trials."""
    own = of_variants[variant]
    if resample:
        own = [own[number] for number in rng.integers(len(own), size=len(own))]
    found = [logs(*pair) for pair in own]
    pool = _Pool(
        np.array([estimators.centre(one) for one in found]),
        np.array([estimators.standard_error(one) for one in found]),
        round(float(np.mean([len(one) for one in found]))),
        float(np.mean([sum(p.before_seconds + p.rounds_seconds for p in pair) for pair in own])),
    )
    ratios, alarms, covered, used = [], 0, 0, 0
    called = np.zeros(len(SLOWDOWNS) - 1)
    known = _selftest(of_variants, rng)
    for number in range(count):
        if number % 10 == 0:  # another selftest
            known = _selftest(of_variants, rng)
        estimate, processes = draw(rng, pool, known, variant)
        used += processes
        ratios.append(estimate.ratio)
        covered += abs(estimate.log_ratio) <= estimate.half_width
        for at, slowdown in enumerate(SLOWDOWNS):
            shifted = Estimate(
                estimate.log_ratio + math.log1p(slowdown),
                estimate.standard_error,
                estimate.degrees,
                estimate.margin,
            )
            verdict = verdicts.judge({"second": shifted})["second"].verdict
            if not slowdown:
                alarms += verdict in ("faster", "slower")
            else:
                called[at - 1] += verdict == "slower"
    quantiles = np.quantile(ratios, (LOW, 0.5, HIGH)).tolist()
    mean = used / count
    rates = [alarms / count, covered / count, *(called / count)]
    return [*quantiles, *rates, mean, mean * pool.cost_seconds]


def _selftest(
    of_variants: dict[str, list[tuple[Process, Process]]], rng: np.random.Generator
) -> BetweenProcess:
    """What a selftest would have found with a few of the recorded pairs."""
    drawn = []
    for number, name in enumerate(OF_SELFTEST):
        members = of_variants.get(name, [])
        for index in rng.permutation(len(members))[:PAIRS_OF_SELFTEST]:
            first, second = members[index]
            pair = 1000 * number + int(index)
            drawn.append(
                Trial(
                    variant=name,
                    pair=pair,
                    slowdown=0.0,
                    first_seconds=first.seconds,
                    second_seconds=second.seconds,
                )
            )
    return trials.between_process(drawn, "")


def live(processes: Sequence[Process]) -> Iterator[str]:
    """Trials that were slowed down for real, by a busy wait, each with one pair of processes."""
    yield f"Live trials, K = 1, a slow-down of {100 * SLOWDOWN:g} % by a busy wait in one process"
    found = pairs(processes, NOW)
    for workload in dict.fromkeys(key[0] for key in found):
        of_variants = {
            variant: [pair for key, pair in found.items() if key[:2] == (workload, variant)]
            for variant in dict.fromkeys(key[1] for key in found)
        }
        rng = np.random.default_rng(0)
        for variant, members in of_variants.items():
            called, covered, ratios = 0, 0, []
            slowed = [pair for pair in members if pair[1].slowed_seconds]
            for first, second in slowed:
                values = np.log(second.slowed_seconds) - np.log(first.slowed_seconds)
                known = _selftest(of_variants, rng)
                estimate = verdicts.estimate(
                    [values],
                    verdicts.deviation_of(known, variant, variant),
                    verdicts.degrees_of(known, variant, variant),
                )
                ratios.append(estimate.ratio)
                called += verdicts.judge({"second": estimate})["second"].verdict == "slower"
                distance = abs(estimate.log_ratio - math.log1p(SLOWDOWN))
                covered += distance <= estimate.half_width
            if slowed:
                yield (
                    f"{workload}, {variant}: {called} of {len(slowed)} called slower, "
                    f"{covered} intervals contain the truth; ratios "
                    + ", ".join(f"{ratio:.3f}" for ratio in sorted(ratios))
                )
