"""Compares every tensor of every call of one variant on one case with the oracle."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bench.correctness import comparison, oracle
from bench.correctness.asked_model import AskedModel
from bench.correctness.oracle import Reference, ReferenceCase
from bench.kit.case import CaseSpec
from bench.kit.conditioning import pair_of_cases, reference_case
from bench.kit.subject import Subject
from bench.records.schema import Agreement
from bench.workers.serialization import unpack
from tasks.spec import OptimizerSpec

# Powers of two are exact in float32 as well. So large an eps makes its placement show in every
# parameter.
ADAM = OptimizerSpec("adam", learning_rate=2.0**-7, eps=2.0**-10)
SGD = OptimizerSpec("sgd", learning_rate=2.0**-5)
TRAIN_STEPS = 50

# Bound on |params() - given| / |given|: the given values are exact in the dtype.
HELD = 1e-16


def asked_model(subject: Subject, dtype: str, optimizer: OptimizerSpec | None = None) -> AskedModel:
    """The model that the subject's worker for `dtype` holds."""
    return AskedModel(partial(subject.ask, dtype), subject.device, dtype, optimizer)


def examine(
    subject: Subject, case: CaseSpec, dtype: str, phases: tuple[str, ...]
) -> list[Agreement]:
    """Compare all results of forward and bptt, as far as they are among `phases`.

    Each is called twice, then with new parameters and a new batch, then with parameters that are
    loaded after the batch was placed. Raises ValueError for a case that is not well-conditioned.
    """
    pair = pair_of_cases(case, dtype, subject.device)
    if isinstance(pair, str):
        raise ValueError(f"{case.code()} is not well-conditioned: {pair}")
    first, other = pair
    model = asked_model(subject, dtype, ADAM if "train_step" in phases else None)
    model.build(first)
    asked = [phase for phase in ("forward", "bptt") if phase in phases]
    found = [model.answer(first, phase, when) for when in ("", "called again") for phase in asked]
    found.append(_held(model, first))
    model.renew(other)
    found += [model.answer(other, phase, "on new parameters") for phase in asked]
    for phase in asked:
        found.append(model.read_late(other, phase, first))
        found.append(model.loaded_last(other, phase, first))
    model.ask("release")
    return found


def examine_training(
    subject: Subject,
    dtype: str,
    optimizer: OptimizerSpec,
    case: CaseSpec,
    *,
    stateful: bool = False,
) -> list[Agreement]:
    """Compare the loss at each of TRAIN_STEPS updates and the parameters after them, twice.

    The second time starts from a new `load`. If `stateful`, each update starts from the state in
    which the last one ended, and that of the last is compared as well.
    """
    start = reference_case(case, dtype, subject.device)
    if isinstance(start, str):
        raise ValueError(f"{case.code()} is not well-conditioned: {start}")
    expected = curve(start, subject.consult("optimizer", optimizer), stateful=stateful)
    feature, what = (
        ("stateful", f"{optimizer.name}, stateful") if stateful else ("", optimizer.name)
    )
    model = replace(asked_model(subject, dtype, optimizer), feature=feature)
    model.build(start)
    found = []
    for when in (what, f"{what}, loaded again"):
        found.append(model.train(expected, TRAIN_STEPS, when))
        model.renew(start)
    model.ask("release")
    return found


def curve(start: ReferenceCase, declared: OptimizerSpec, *, stateful: bool = False) -> Reference:
    """The oracle's TRAIN_STEPS updates with the optimizer that the subject declares."""
    dtype, device = start.expected.dtype, start.expected.device
    given = start.spec, start.params, start.batch, declared, dtype, TRAIN_STEPS, device
    return oracle.training_reference(*given, stateful=stateful)


def _held(model: AskedModel, start: ReferenceCase) -> Agreement:
    """Compare `params` with what `build` got, after the model was used."""
    _, packed = model.ask("train", steps=0)
    given, came = (
        {f"parameter {name}": value for name, value in params.items()}
        for params in (start.params, unpack(packed))
    )
    expected = Reference(start.expected.dtype, given, dict.fromkeys(given, HELD))
    return comparison.compare(expected, "train_step", came, "from params()")
