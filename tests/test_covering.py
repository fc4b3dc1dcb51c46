"""The fixed models of the kit: every pair of levels is in one, and in one that can tell."""

from __future__ import annotations

import dataclasses
import itertools
from typing import get_args

import pytest

from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases
from bench.kit.covering import (
    INFEASIBLE,
    LEVELS,
    OF_THE_CASE,
    OF_THE_MODEL,
    TOGETHER,
    Excluded,
    all_pairs,
    covering_array,
    infeasible_pairs,
    levels_of,
    pairs_of,
    pairs_to_show,
    shown_pairs,
)
from bench.kit.fixed_cases import fixed_cases
from tasks.batch import check_batch
from tasks.spec import CELLS, Batch, ModelSpec

ANY_CELLS = [CELLS, *((cell,) for cell in CELLS), ("gru", "lstm")]


def one_of(levels: dict[str, str]) -> CaseSpec:
    """A case with these levels, and the first level of every other field."""
    row = {name: next(iter(named)) for name, named in LEVELS.items()} | levels
    values = {name: LEVELS[name][level] for name, level in row.items()}
    spec = ModelSpec(**{name: values[name] for name in OF_THE_MODEL})
    return CaseSpec(spec, **{name: values[name] for name in OF_THE_CASE})


def test_every_field_has_levels_and_every_named_value_is_one() -> None:
    fields = {field.name for field in dataclasses.fields(ModelSpec)}
    assert fields == {*OF_THE_MODEL, "dropout"}, "dropout is 0 wherever agreement is checked"
    assert {field.name for field in dataclasses.fields(CaseSpec)} == {*OF_THE_CASE, "spec", "seed"}
    # x, weight, state and lengths are fields of the case; y follows from the model.
    assert {field.name for field in dataclasses.fields(Batch)} == {
        *("x", "y", "weight", "state", "lengths")
    }
    annotated = {field.name: field.type for field in dataclasses.fields(ModelSpec)}
    for name, levels in LEVELS.items():
        assert len(levels) > 1, name
        if annotated.get(name) in ("bool", bool):
            assert set(levels.values()) == {False, True}, name
    for name, kind in (("cell", "Cell"), ("readout", "Readout"), ("loss", "Loss")):
        named = getattr(__import__("tasks.spec", fromlist=[kind]), kind)
        assert set(LEVELS[name].values()) == set(get_args(named)), name


@pytest.mark.parametrize("cells", ANY_CELLS, ids="+".join)
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]
)
def test_the_fixed_models_have_every_feasible_pair(seed: int, cells: tuple[str, ...]) -> None:
    cases = fixed_cases(seed, cells)
    rows = [levels_of(case) for case in cases]
    have = set(itertools.chain.from_iterable(map(pairs_of, rows)))
    assert have == all_pairs(cells) - set(infeasible_pairs(cells))
    assert pairs_to_show(cells) <= set().union(*map(shown_pairs, rows))
    assert len(rows) <= 40
    for case in cases:
        for dtype in ("float64", "float32"):
            assert not isinstance(pair_of_cases(case, dtype), str), case.code()
    assert len({dataclasses.replace(case, seed=0) for case in cases}) == len(cases)


@pytest.mark.parametrize("names", TOGETHER, ids="-".join)
@pytest.mark.parametrize("seed", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_fields_of_one_mechanism_have_every_feasible_combination(
    seed: int, names: tuple[str, ...]
) -> None:
    """The padding in the loss shows only where it is read, unweighted, as a mean or as a sum."""
    have = {tuple(levels_of(case)[name] for name in names) for case in fixed_cases(seed)}
    infeasible = set(infeasible_pairs())
    feasible = {
        levels
        for levels in itertools.product(*(LEVELS[name] for name in names))
        if not infeasible & set(pairs_of(dict(zip(names, levels, strict=True))))
    }
    assert have == feasible
    assert len(feasible) > 8


def test_most_pairs_are_feasible_and_told() -> None:
    pairs, infeasible = all_pairs(), infeasible_pairs()
    assert (len(pairs), len(infeasible), len(pairs_to_show())) == (1178, 5, 948)
    assert set(infeasible) < pairs
    assert len(infeasible_pairs(["rnn_relu"])) == 4 + 43, "relu has no model of zeros alone"


@pytest.mark.parametrize("each", INFEASIBLE, ids=lambda each: "-".join(each.levels))
def test_what_is_called_infeasible_is(each: Excluded) -> None:
    """No batch has it, no model differs by it, or no seed makes it well-conditioned."""
    for chosen in itertools.product(*each.levels.values()):
        levels = dict(zip(each.levels, chosen, strict=True))
        case = one_of(levels)
        if levels.get("train_embedding") == "no":
            assert "E" not in case.made()[0]
            continue
        if "weight" in levels:
            with pytest.raises(ValueError, match="expected none"):
                check_batch(case.spec, case.made()[1])
            continue
        for seed in range(20):
            moved = dataclasses.replace(case, seed=seed)
            assert isinstance(pair_of_cases(moved, "float32"), str), moved.code()


@pytest.mark.slow
def test_another_seed_combines_the_levels_in_another_way() -> None:
    first, second = covering_array("1"), covering_array("2")
    assert covering_array("1") == first
    common = {tuple(row.values()) for row in first} & {tuple(row.values()) for row in second}
    assert len(common) < len(first) / 2


def test_an_array_without_one_of_its_models_lacks_pairs() -> None:
    """The count can fail."""
    rows = list(covering_array("3"))
    feasible = all_pairs() - set(infeasible_pairs())
    lacking = [
        feasible
        - set(itertools.chain.from_iterable(map(pairs_of, rows[:place] + rows[place + 1 :])))
        for place in range(len(rows))
    ]
    assert sum(map(bool, lacking)) > len(rows) / 2
