"""Any model, any batch, every variant: outputs, last states, loss and all gradients agree.

The edges of every range are asked each time, by name; what hypothesis draws comes on top: a few
in the profile that CI takes, hundreds with `HYPOTHESIS_PROFILE=long pytest tests/variants`.
"""

from __future__ import annotations

from collections.abc import Callable

import asked
import hypothesis
import pytest
from tally import TALLY, Tally

from backends import registry
from bench.check.condition import known, pair
from bench.check.examine import examine
from bench.check.example import Example
from bench.check.shrink import shrunk
from bench.check.strategy import examples
from bench.lab import Lab
from tasks.spec import ModelSpec

SHRINK_SECONDS = 30.0

EDGES = {
    "all of it is one, no bias": Example(
        ModelSpec("gru", 1, 1, bidirectional=True, bias=False, vocab_size=1, output_size=1),
        batch=1,
        steps=1,
        seed=3,
        state=True,
    ),
    "500 steps from repeated tokens": Example(
        ModelSpec("gru", 3, 4, vocab_size=8, readout="last_step", output_size=2),
        steps=500,
        seed=1,
        x="repeated",
    ),
    "1000 steps, each read": Example(
        ModelSpec("rnn_tanh", 2, 5, output_size=2, loss="mse"), steps=1000, seed=6
    ),
    "saturated gates": Example(
        ModelSpec("lstm", 3, 5, output_size=3), steps=6, seed=7, params="saturated", state=True
    ),
    "rows of padding only": Example(
        ModelSpec(
            "gru", 3, 4, bidirectional=True, vocab_size=6, readout="last_step", output_size=2
        ),
        batch=4,
        steps=9,
        seed=8,
        x="padded",
    ),
    "all weights zero": Example(
        ModelSpec("lstm", 3, 4, num_layers=2, output_size=3, time_reduction="sum"),
        steps=5,
        params="zeros",
        weight="random",
    ),
    "all steps weigh nothing": Example(
        ModelSpec("rnn_tanh", 2, 3, bidirectional=True, output_size=2), steps=4, weight="zeros"
    ),
    "layers on a given table, both directions": Example(
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
    "one unit whose terms cancel": Example(
        ModelSpec("rnn_tanh", 2, 1, readout="last_step", output_size=2, loss="mse"),
        batch=1,
        steps=6,
        seed=11,
    ),
}


def check(lab: Lab, example: Example, dtype: str) -> None:
    """Ask every variant; what fails is made smaller before it is told."""
    compared = 0
    for variant in asked.VARIANTS:
        if registry.find(variant).missing():
            continue
        subject = asked.subject(lab, variant)

        def outcome(example: Example, subject: asked.LabSubject = subject) -> tuple[int, str]:
            """How many phases answered, and the first failure."""
            phases = asked.phases(subject, example.spec, dtype)
            chosen = tuple(phase for phase in phases if phase != "train_step")
            found = examine(subject, example, dtype, chosen) if chosen else []
            failures = [failure for each in found for failure in each.failures]
            return len(chosen), failures[0] if failures else ""

        answered, failure = outcome(example)
        if failure:
            _fail(variant, example, dtype, outcome)
        if answered:
            compared += variant != "numpy"  # which is the oracle
            TALLY.add(variant, known(example, dtype).expected)  # type: ignore[union-attr]
    assert compared >= 1, "no variant but the oracle's own took it"


def _fail(
    variant: str, example: Example, dtype: str, outcome: Callable[[Example], tuple[int, str]]
) -> None:
    def fails(candidate: Example) -> bool:
        return not isinstance(pair(candidate, dtype), str) and bool(outcome(candidate)[1])

    smallest = shrunk(example, fails, SHRINK_SECONDS)
    pytest.fail(
        f"{variant}, {dtype}: {outcome(smallest)[1]}\n{smallest.code()}\nfirst seen on "
        f"{example.code()}"
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("edge", EDGES)
def test_all_variants_agree_at_the_edges(lab: Lab, edge: str, dtype: str) -> None:
    why = pair(EDGES[edge], dtype)
    assert not isinstance(why, str), f"{why}: choose another seed for it"
    TALLY.keep(dtype)
    check(lab, EDGES[edge], dtype)


drawn = {dtype: Tally() for dtype in ("float64", "float32")}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@hypothesis.given(example=examples())
def test_all_variants_agree_on_what_is_drawn(lab: Lab, dtype: str, example: Example) -> None:
    why = pair(example, dtype)
    if isinstance(why, str):
        TALLY.drop(why)
        drawn[dtype].drop(why)
        hypothesis.assume(False)
    TALLY.keep(dtype)
    drawn[dtype].keep(dtype)
    check(lab, example, dtype)


@pytest.mark.parametrize("dtype", drawn)
def test_most_of_what_is_drawn_is_well_conditioned(dtype: str) -> None:
    """A filter that drops most of it would make the test above one of easy models."""
    kept = drawn[dtype].kept(dtype)
    if not kept:
        pytest.skip("nothing was drawn: the test above did not run")
    assert drawn[dtype].dropped <= kept / 2
