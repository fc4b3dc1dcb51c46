"""Nodes whose GEMM baseline is off, compared with their sisters of the same kind. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median, median_low

from bench.analysis import machines, text
from bench.analysis.machines import LeftOut
from bench.records.summary import Summary

MOST_OFF = 1.5  # times as long, or as short, as that of its sisters


def off(summaries: Sequence[Summary]) -> dict[int, LeftOut]:
    """The runs, by their place, whose GEMM baseline is more than MOST_OFF from their sisters'.

    A run's ratio is the median, over the workloads that it shares with sisters, of its baseline's
    seconds / theirs (their lower median: of two nodes that differ the slower one is off).
    """
    seconds: dict[tuple[str, str], dict[int, float]] = {}
    for number, summary in enumerate(summaries):
        for workload in summary.workloads:
            if workload.baseline_seconds is not None and not workload.disturbed:
                place = (machines.kind(summary.machine, workload.device), workload.row)
                seconds.setdefault(place, {})[number] = workload.baseline_seconds
    ratios: dict[int, list[float]] = {}
    for of in seconds.values():
        middle = median_low(of.values())
        for number, own in of.items():
            if len(of) > 1:
                ratios.setdefault(number, []).append(own / middle)
    return dict(_off(summaries, {number: median(found) for number, found in ratios.items()}))


def _off(summaries: Sequence[Summary], ratios: dict[int, float]) -> Iterator[tuple[int, LeftOut]]:
    for number, ratio in ratios.items():
        if not 1 / MOST_OFF <= ratio <= MOST_OFF:
            why = f"its GEMM baseline takes {text.ratio(ratio)} times as long as its sisters'"
            yield number, LeftOut(machines.label(summaries[number]), why)
