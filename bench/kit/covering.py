"""Which combinations of levels the fixed models have: a covering array over all fields.

Every field of a model, of its batch and of a case has a few named levels, such as one or several
steps. Each feasible pair of levels of two fields is in at least one model. Some levels hide what
another field does: with one step, the mean over the steps is their sum. So each pair of levels that
hide nothing is also in a model without such a level.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import Any, get_args

from covertable.main import Controller

from bench.kit.case import INPUT_KINDS, LENGTH_KINDS, PARAM_KINDS, WEIGHT_KINDS, CaseSpec
from tasks.spec import CELLS, Loss, Readout, Reduction

Row = dict[str, str]  # field -> name of its level
Pair = frozenset[tuple[str, str]]  # two (field, level)

SWITCH: Mapping[str, Any] = {"no": False, "yes": True}


def _named(values: Sequence[str]) -> Mapping[str, Any]:
    return {value: value for value in values}


# Field -> level -> value. The fields of a batch are those of `CaseSpec`. Dropout has one level, 0:
# the oracle cannot repeat the masks that a framework draws.
OF_THE_MODEL: Mapping[str, Mapping[str, Any]] = {
    "cell": _named(CELLS),
    "input_size": {"several": 3, "one": 1},
    "hidden_size": {"several": 5, "one": 1},
    "num_layers": {"one": 1, "two": 2, "three": 3},
    "bidirectional": SWITCH,
    "bias": SWITCH,
    "vocab_size": {"none": None, "several": 6},
    "train_embedding": SWITCH,
    "readout": _named(get_args(Readout)),
    "output_size": {"none": None, "several": 3, "one": 1},
    "loss": _named(get_args(Loss)),
    "time_reduction": _named(get_args(Reduction)),
}
OF_THE_CASE: Mapping[str, Mapping[str, Any]] = {
    "batch": {"several": 3, "one": 1},
    "steps": {"several": 5, "two": 2, "one": 1},
    "params": _named(PARAM_KINDS),
    "x": _named(INPUT_KINDS),
    "weight": {"none": None, **_named(WEIGHT_KINDS)},
    "state": SWITCH,
    "lengths": {"none": None, **_named(LENGTH_KINDS)},
}
LEVELS: Mapping[str, Mapping[str, Any]] = {**OF_THE_MODEL, **OF_THE_CASE}


@dataclass(frozen=True)
class Excluded:
    """No row has a level of each of these fields."""

    reason: str
    levels: Mapping[str, Sequence[str]]


_AT_THE_KINK = "pre-activations of 0 lie at relu's kink, where the slope is not defined"
INFEASIBLE = (
    Excluded(
        "only a net that reads every step has weights of the steps",
        {"weight": WEIGHT_KINDS, "readout": ["last_step"]},
    ),
    Excluded(
        "a net without an embedding has none to freeze",
        {"train_embedding": ["no"], "vocab_size": ["none"]},
    ),
    Excluded(_AT_THE_KINK, {"cell": ["rnn_relu"], "params": ["zeros"]}),
)
# Seldom well-conditioned. Each pair of these levels is in another row.
AVOIDED = (
    Excluded(
        "what passes several saturated units may be lost in rounding",
        {"params": ["saturated"], "hidden_size": ["one"], "num_layers": ["two", "three"]},
    ),
    *(
        Excluded(reason, {"cell": ["rnn_relu"], **where, **without_bias})
        for without_bias in ({"bias": ["no"]}, {"params": ["keras"]})
        for reason, where in (
            (_AT_THE_KINK, {"vocab_size": ["none"], "x": ["zeros", "padded"]}),
            (
                "where its one unit gives 0, the layer above is at relu's kink",
                {"hidden_size": ["one"], "num_layers": ["two", "three"]},
            ),
        )
    ),
)

# Levels beside which other fields may show nothing: their tensors are zero or equal.
HIDING: Sequence[Mapping[str, Sequence[str]]] = (
    {"params": ["zeros", "keras"]},  # biases of zero
    {"x": ["zeros"]},
    {"weight": ["zeros"]},
    {"steps": ["one"]},
    # With one class, the cross entropy is 0 and has no gradient.
    {"loss": ["cross_entropy"], "output_size": ["one"]},
    {
        "loss": ["cross_entropy"],
        "output_size": ["none"],
        "hidden_size": ["one"],
        "bidirectional": ["no"],
    },
)
# In these the mean over the steps is the sum, whatever else the model has.
NO_REDUCTION: Mapping[str, Sequence[str]] = {"readout": ["last_step"], "weight": ["last"]}
# One mechanism of several fields: every feasible combination of their levels is in a model.
TOGETHER: Sequence[Sequence[str]] = (
    ("readout", "time_reduction", "weight", "lengths"),
    ("vocab_size", "train_embedding", "lengths"),
)
_HIDDEN = "hidden"  # the level of `time_reduction` in such a row, until one is chosen


@lru_cache(maxsize=64)
def covering_array(salt: str, cells: Sequence[str] = CELLS) -> tuple[Row, ...]:
    """Rows with every feasible pair of levels; first those that hide nothing.

    Another salt combines the levels in another way.
    """
    every = {name: list(levels) for name, levels in LEVELS.items()} | {"cell": list(cells)}
    hiding = {level for each in HIDING if len(each) == 1 for level in _single(each)}
    plain = {
        name: [level for level in levels if (name, level) not in hiding]
        for name, levels in every.items()
    }
    plain["time_reduction"].append(_HIDDEN)
    rules = [_never(each.levels) for each in (*INFEASIBLE, *AVOIDED)]
    # A row has the hidden level if, and only if, one of NO_REDUCTION hides the others.
    reductions = {"time_reduction": get_args(Reduction)}
    shown = [_never(each) for each in HIDING if len(each) > 1]
    shown += [_never({name: levels} | reductions) for name, levels in NO_REDUCTION.items()]
    elsewhere = {
        name: [level for level in plain[name] if level not in levels]
        for name, levels in NO_REDUCTION.items()
    }
    shown.append(_never(elsewhere | {"time_reduction": [_HIDDEN]}))
    rows = _array(plain, [*rules, *shown], salt)
    draw = random.Random(salt)
    for row in rows:
        if row["time_reduction"] == _HIDDEN:
            row["time_reduction"] = draw.choice(get_args(Reduction))
    return tuple(_array(every, rules, salt, rows))


def _array(
    levels: Mapping[str, list[str]],
    rules: Sequence[Any],
    salt: str,
    rows: Sequence[Row] = (),
) -> list[Row]:
    """`rows`, and those that cover what they leave out."""
    together = [{"fields": list(names), "strength": len(names)} for names in TOGETHER]
    made = Controller(
        levels, salt=salt, constraints=rules, presets=rows, sub_models=together
    ).make_async()
    return [{name: row[name] for name in LEVELS} for row in made]


def _never(levels: Mapping[str, Sequence[str]]) -> Any:
    """The constraint that no row has a level of each of these fields."""
    within = {name: frozenset(each) for name, each in levels.items()}

    def holds(row: Mapping[str, str]) -> bool:
        return not all(row[name] in each for name, each in within.items())

    return {"operator": "fn", "requires": list(within), "evaluate": holds}


# Counting, from the cases alone


def pairs_of(row: Row) -> Iterator[Pair]:
    """Its level of each two fields."""
    yield from map(frozenset, combinations(row.items(), 2))


def levels_of(case: CaseSpec) -> Row:
    """The level of each of its fields; a size without a name is several."""
    return {name: _level(getattr(case.spec, name), of) for name, of in OF_THE_MODEL.items()} | {
        name: _level(getattr(case, name), of) for name, of in OF_THE_CASE.items()
    }


def _level(value: Any, levels: Mapping[str, Any]) -> str:
    for name, named in levels.items():
        if value == named and type(value) is type(named):
            return name
    return "several" if "several" in levels else list(levels)[-1]


def all_pairs(cells: Sequence[str] = CELLS) -> set[Pair]:
    """Every pair of levels of two fields, feasible or not."""
    every = {name: list(levels) for name, levels in LEVELS.items()} | {"cell": list(cells)}
    return {
        frozenset(((first, a), (second, b)))
        for first, second in combinations(every, 2)
        for a in every[first]
        for b in every[second]
    }


def infeasible_pairs(cells: Sequence[str] = CELLS) -> dict[Pair, str]:
    """The pairs that no model has, with the reason.

    A level that is infeasible with every chosen cell has no feasible pair.
    """
    every, found = all_pairs(cells), {}
    for each in INFEASIBLE:
        (first, these), (second, those) = each.levels.items()
        for a, b in product(these, those):
            found[frozenset(((first, a), (second, b)))] = each.reason
    for level in {level for pair in every for level in pair}:
        reasons = [found.get(frozenset((("cell", cell), level))) for cell in cells]
        if level[0] != "cell" and all(reasons):
            found |= {pair: str(reasons[0]) for pair in every if level in pair}
    return {pair: reason for pair, reason in found.items() if pair in every}


def hides(row: Row) -> bool:
    """Whether it has levels beside which other fields may show nothing."""
    return any(_within(row, each) for each in HIDING)


def shown_pairs(row: Row) -> set[Pair]:
    """The pairs of levels whose effects nothing in this row hides."""
    if hides(row):
        return set()
    equal = any(_within(row, {name: levels}) for name, levels in NO_REDUCTION.items())
    return set(pairs_of({n: v for n, v in row.items() if not equal or n != "time_reduction"}))


def pairs_to_show(cells: Sequence[str] = CELLS) -> set[Pair]:
    """The feasible pairs of levels that hide nothing, alone or with each other."""
    found = set()
    for pair in all_pairs(cells) - set(infeasible_pairs(cells)):
        levels = dict(pair)
        alone = any(_within(levels, each) for each in HIDING)
        equal = "time_reduction" in levels and any(
            _within(levels, {name: each}) for name, each in NO_REDUCTION.items()
        )
        if not alone and not equal:
            found.add(pair)
    return found


def _within(levels: Mapping[str, str], of: Mapping[str, Sequence[str]]) -> bool:
    """Whether `levels` has one of each field's of `of`."""
    return all(levels.get(name) in each for name, each in of.items())


def _single(of: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(name, level) for name, levels in of.items() for level in levels]
