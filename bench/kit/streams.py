"""Compares one step at a time with the oracle's forward pass over the same inputs."""

from __future__ import annotations

from dataclasses import replace

from bench.correctness.asked_model import READ_LATE
from bench.correctness.streams import LOADED_LAST, compare, steps_in_turn, with_state
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases
from bench.kit.examine import asked_model
from bench.kit.subject import Subject
from bench.records.schema import Agreement
from bench.workers.serialization import pack


def examine_streams(subject: Subject, case: CaseSpec, dtype: str) -> list[Agreement]:
    """Advance several streams in turn, then with parameters loaded after inputs were placed.

    The second time they begin with given states.
    Raises ValueError for a case that is not well-conditioned.
    """
    pair = pair_of_cases(case, dtype, subject.device)
    if isinstance(pair, str):
        raise ValueError(f"{case.code()} is not well-conditioned: {pair}")
    first, other = pair[0], with_state(pair[1], case.seed)
    model = replace(asked_model(subject, dtype), feature="stream")
    model.build(first)
    found = [compare([first], steps_in_turn(model.ask, case.steps), "one step at a time")]
    model.renew(first, other)
    steps_in_turn(model.ask, case.steps)
    model.reload(other)
    found.append(compare([other], steps_in_turn(model.ask, case.steps), LOADED_LAST))
    late = model.ask("read_late", phase="stream", params=pack(first.params))
    found.append(compare([other], [(0, "", late)], READ_LATE))
    model.ask("release")
    return found
