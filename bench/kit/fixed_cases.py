"""The cases that every check runs: together, for each cell, they cover every feature of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases
from tasks.spec import CELLS, ModelSpec

TRIES = 50  # seeds until one is well-conditioned in every dtype


def fixed_cases(seed: int, cells: Sequence[str] = CELLS) -> Iterator[CaseSpec]:
    """Three per cell.

    Every-step readout with weights and a state; last-step readout from tokens; a net without a
    head, a bias or a trained embedding, whose loss is a sum.
    """
    for cell in cells:
        every_step = ModelSpec(
            cell,  # type: ignore[arg-type]
            input_size=3,
            hidden_size=4,
            num_layers=2,
            bidirectional=True,
            output_size=3,
        )
        yield _steady(
            CaseSpec(every_step, batch=3, steps=5, seed=seed, weight="random", state=True)
        )
    for cell in cells:
        last_step = ModelSpec(
            cell,  # type: ignore[arg-type]
            input_size=4,
            hidden_size=4,
            bidirectional=True,
            vocab_size=6,
            readout="last_step",
            output_size=2,
            loss="mse",
        )
        yield _steady(CaseSpec(last_step, batch=4, steps=7, seed=seed, x="padded"))
    for cell in cells:
        bare = ModelSpec(
            cell,  # type: ignore[arg-type]
            input_size=3,
            hidden_size=5,
            bias=False,
            vocab_size=6,
            train_embedding=False,
            time_reduction="sum",
        )
        yield _steady(CaseSpec(bare, batch=3, steps=4, seed=seed, weight="random", state=True))


def training_cases(seed: int, cells: Sequence[str] = CELLS) -> Iterator[CaseSpec]:
    """One per cell, for many updates."""
    for cell in cells:
        spec = ModelSpec(
            cell,  # type: ignore[arg-type]
            input_size=4,
            hidden_size=6,
            bidirectional=True,
            vocab_size=9,
            readout="last_step",
            output_size=3,
        )
        yield _steady(CaseSpec(spec, batch=4, steps=7, seed=seed))


def _steady(case: CaseSpec) -> CaseSpec:
    """The same case with the first of TRIES seeds that makes it well-conditioned in both dtypes.

    Checks with different seeds try different seeds here, so their numbers differ.
    """
    for number in range(TRIES):
        moved = dataclasses.replace(case, seed=case.seed * TRIES + number)
        if not any(
            isinstance(pair_of_cases(moved, dtype), str) for dtype in ("float64", "float32")
        ):
            return moved
    raise ValueError(f"none of {TRIES} seeds makes {case.code()} well-conditioned")
