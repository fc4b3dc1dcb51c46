"""Any model, any batch, every variant: outputs, last states, loss and all gradients agree.

The edges of every range are asked each time, by name; hypothesis' random models come on top: a few
in the profile that CI takes, hundreds with `HYPOTHESIS_PROFILE=long pytest tests/variants`.
"""

from __future__ import annotations

from collections.abc import Callable

import asked
import hypothesis
import pytest
from tally import TALLY

from backends import registry
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases, reference_case
from bench.kit.examine import examine
from bench.kit.shrink import shrunk
from bench.kit.strategy import case_specs, random_cases
from bench.kit.subject import PoolSubject, phases
from bench.workers.pool import WorkerPool
from tasks.spec import ModelSpec

pytestmark = pytest.mark.slow
SHRINK_SECONDS = 30.0

EDGES = {
    "all of it is one, no bias": CaseSpec(
        ModelSpec("gru", 1, 1, bidirectional=True, bias=False, vocab_size=1, output_size=1),
        batch=1,
        steps=1,
        seed=3,
        state=True,
    ),
    "500 steps from repeated tokens": CaseSpec(
        ModelSpec("gru", 3, 4, vocab_size=8, readout="last_step", output_size=2),
        steps=500,
        seed=1,
        x="repeated",
    ),
    "1000 steps, each read": CaseSpec(
        ModelSpec("rnn_tanh", 2, 5, output_size=2, loss="mse"), steps=1000, seed=6
    ),
    "saturated gates": CaseSpec(
        ModelSpec("lstm", 3, 5, output_size=3), steps=6, seed=7, params="saturated", state=True
    ),
    "rows of padding only": CaseSpec(
        ModelSpec(
            "gru", 3, 4, bidirectional=True, vocab_size=6, readout="last_step", output_size=2
        ),
        batch=4,
        steps=9,
        seed=8,
        x="padded",
    ),
    "all weights zero": CaseSpec(
        ModelSpec("lstm", 3, 4, num_layers=2, output_size=3, time_reduction="sum"),
        steps=5,
        params="zeros",
        weight="random",
    ),
    "all steps weigh nothing": CaseSpec(
        ModelSpec("rnn_tanh", 2, 3, bidirectional=True, output_size=2), steps=4, weight="zeros"
    ),
    "layers on a given table, both directions": CaseSpec(
        ModelSpec(
            "rnn_relu",
            3,
            4,
            num_layers=2,
            bidirectional=True,
            vocab_size=7,
            train_embedding=False,
            time_reduction="sum",
        ),
        batch=3,
        steps=4,
        seed=9,
        weight="last",
        state=True,
    ),
    # Its gradient of W_hh is a difference of nearly equal terms: one float32 run of the oracle may
    # be right by luck where XLA's tanh, four ulp off, is not.
    "one unit whose terms cancel": CaseSpec(
        ModelSpec("rnn_tanh", 2, 1, readout="last_step", output_size=2, loss="mse"),
        batch=1,
        steps=6,
        seed=11,
    ),
}


def check(pool: WorkerPool, case: CaseSpec, dtype: str) -> None:
    """Ask every variant; what fails is made smaller before it is reported."""
    compared = 0
    for variant in asked.VARIANTS:
        if registry.missing(registry.find(variant)):
            continue
        subject = asked.subject(pool, variant)

        def outcome(case: CaseSpec, subject: PoolSubject = subject) -> tuple[int, str]:
            """How many phases answered, and the first failure."""
            about = {"spec": case.spec, "device": "cpu", "dtype": dtype}
            if case.lengths and subject.consult("supports", feature="lengths", **about):
                return 0, ""
            taken = phases(subject, case.spec, dtype)
            chosen = tuple(phase for phase in taken if phase != "train_step")
            found = examine(subject, case, dtype, chosen) if chosen else []
            failures = [failure for each in found for failure in each.failures]
            return len(chosen), failures[0] if failures else ""

        answered, failure = outcome(case)
        if failure:
            _fail(variant, case, dtype, outcome)
        if answered:
            compared += variant != "numpy"  # which is the oracle
            TALLY.add(variant, reference_case(case, dtype).expected)  # type: ignore[union-attr]
    assert compared >= 1, "no variant but the oracle's own took it"


def _fail(
    variant: str, case: CaseSpec, dtype: str, outcome: Callable[[CaseSpec], tuple[int, str]]
) -> None:
    def fails(candidate: CaseSpec) -> bool:
        return not isinstance(pair_of_cases(candidate, dtype), str) and bool(outcome(candidate)[1])

    smallest = shrunk(case, fails, SHRINK_SECONDS)
    pytest.fail(
        f"{variant}, {dtype}: {outcome(smallest)[1]}\n{smallest.code()}\nfirst seen on "
        f"{case.code()}"
    )


# What takes programs to their limits does so in float32; in float64 few of them are asked in CI.
IN_FLOAT64 = ("saturated gates", "one unit whose terms cancel")


@pytest.mark.parametrize(
    ("edge", "dtype"),
    [
        *((edge, "float32") for edge in EDGES),
        *((edge, "float64") for edge in IN_FLOAT64),
        *(
            pytest.param(edge, "float64", marks=pytest.mark.prove)
            for edge in EDGES
            if edge not in IN_FLOAT64
        ),
    ],
)
def test_all_variants_agree_at_the_edges(pool: WorkerPool, edge: str, dtype: str) -> None:
    why = pair_of_cases(EDGES[edge], dtype)
    assert not isinstance(why, str), f"{why}: choose another seed for it"
    TALLY.keep(dtype)
    check(pool, EDGES[edge], dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@hypothesis.given(case=case_specs())
def test_all_variants_agree_on_random_cases(pool: WorkerPool, dtype: str, case: CaseSpec) -> None:
    why = pair_of_cases(case, dtype)
    if isinstance(why, str):
        TALLY.drop(why)
        hypothesis.assume(False)
    TALLY.keep(dtype)
    check(pool, case, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_most_random_cases_are_well_conditioned(dtype: str) -> None:
    """A filter that drops most of it would make the test above one of easy models."""
    cases = random_cases(0, 60)
    assert len(cases) == 60
    dropped = [case for case in cases if isinstance(pair_of_cases(case, dtype), str)]
    assert len(dropped) <= len(cases) / 3
