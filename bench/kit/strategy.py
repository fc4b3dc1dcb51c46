"""Random cases: models and batches that often hit the ends of every range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast, get_args

import hypothesis
from hypothesis import strategies as st

from bench.kit.case import INPUT_KINDS, LENGTH_KINDS, PARAM_KINDS, WEIGHT_KINDS, CaseSpec
from tasks.spec import CELLS, Loss, ModelSpec, Readout, Reduction

# Sizes are drawn from lists, because the ends of a range would hardly ever be drawn.
HIDDEN = (3, 5, 1, 2, 4, 8, 16)
INPUT = (3, 1, 2, 5, 8)
BATCH = (3, 1, 2, 5)
STEPS = (4, 1, 2, 3, 7, 12, 20)
LONG_STEPS = (100, 500)
OUTPUT = (3, 1, 2, 5, None)
VOCABULARY = (None, None, 7, 1, 3, 12)
SEEDS = 10_000


@st.composite
def case_specs(draw: Any, cells: Sequence[str] = CELLS, long: bool = True) -> CaseSpec:
    """A random CaseSpec with one of `cells`; with `long`, one in twenty has LONG_STEPS."""
    vocabulary = draw(st.sampled_from(VOCABULARY))
    readout = draw(st.sampled_from(get_args(Readout)))
    spec = ModelSpec(
        cell=draw(st.sampled_from(cells)),
        input_size=draw(st.sampled_from(INPUT)),
        hidden_size=draw(st.sampled_from(HIDDEN)),
        num_layers=draw(st.sampled_from((1, 1, 2, 3))),
        bidirectional=draw(st.booleans()),
        bias=draw(st.sampled_from((True, True, True, False))),
        vocab_size=vocabulary,
        train_embedding=vocabulary is None or draw(st.sampled_from((True, True, False))),
        readout=readout,
        output_size=draw(st.sampled_from(OUTPUT)),
        loss=draw(st.sampled_from(get_args(Loss))),
        time_reduction=draw(st.sampled_from(get_args(Reduction))),
    )
    weights = (None, None, *WEIGHT_KINDS) if readout == "every_step" else (None,)
    far = long and draw(st.integers(0, 19)) == 19
    return CaseSpec(
        spec,
        batch=draw(st.sampled_from(BATCH)),
        steps=draw(st.sampled_from(LONG_STEPS if far else STEPS)),
        seed=draw(st.integers(0, SEEDS)),
        # Mostly random numbers: only they reveal two tensors in each other's place.
        params=draw(st.sampled_from(("uniform",) * 5 + PARAM_KINDS)),
        x=draw(st.sampled_from(("random",) * 4 + INPUT_KINDS)),
        weight=draw(st.sampled_from(weights)),
        state=draw(st.booleans()),
        lengths=draw(st.sampled_from((None, None, None, *LENGTH_KINDS))),
    )


def random_cases(seed: int, count: int, cells: Sequence[str] = CELLS) -> list[CaseSpec]:
    """`count` different cases; the same for the same seed."""
    found: dict[CaseSpec, None] = {}

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=2 * count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case_specs(cells))
    def collect(case: CaseSpec) -> None:
        found[case] = None

    cast(Any, collect)()
    return list(found)[:count]
