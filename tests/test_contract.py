"""What third parties get wrong, asked of the contract directly: each fault names both its sides."""

from __future__ import annotations

import re
from typing import Any

import pytest
import third_party

from backends.entry import Entry
from backends.plugins import contract, loading
from backends.plugins.errors import ContractError
from tasks.spec import ModelSpec, OptimizerSpec, init_params

SPEC = ModelSpec("rnn_tanh", 3, 4)
CALL: dict[str, Any] = {"device": "cpu", "dtype": "float32"}
GIVEN: dict[str, dict[str, Any]] = {
    "environment": {"threads": 1, **CALL},
    "refusal": {
        "spec": {"cell": "gru", "input_size": 3, "hidden_size": 4},
        "phase": "bptt",
        **CALL,
    },
    "optimizer": {"spec": {"name": "sgd"}},
}
FAULTS = third_party.EXPECTED
OF_OBJECTS = [
    name
    for name in FAULTS
    if re.match("without-(?!optimizer)|misnamed-|raises-name|another-name|no-object", name)
]
OF_ANSWERS = [name for name in FAULTS if re.match("lying-(?!versions)|bad-variable", name)]
OF_MODELS = [name for name in FAULTS if re.match("model-(without|misnamed)", name)]


ASKED = {"spec": GIVEN["refusal"]["spec"], "feature": "lengths", **CALL}


def test_a_backend_that_knows_no_feature_offers_none() -> None:
    backend = third_party.Without(_made("correct"), "supports")
    assert contract.backend_faults(backend, "correct") == [], "the member is optional"
    reason = contract.answer(backend, "supports", {**ASKED, "spec": dict(ASKED["spec"])})
    assert reason == "correct does not offer sequences of different lengths"
    offers = contract.answer(_made("correct"), "supports", {**ASKED, "spec": dict(ASKED["spec"])})
    assert offers is None


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (lambda feature, spec, *, device, dtype: 7, "returns 7 .*expected a reason in words"),
        (lambda spec, *, device, dtype: None, "expected supports"),
        ("yes", "has str as `supports`"),
    ],
)
def test_a_wrong_answer_about_a_feature_is_named(member: Any, words: str) -> None:
    backend = third_party.Without(_made("correct"), "supports", member)
    faults = contract.backend_faults(backend, "correct")
    if not faults:
        with pytest.raises(ContractError, match=words):
            contract.answer(backend, "supports", {**ASKED, "spec": dict(ASKED["spec"])})
    else:
        assert re.search(words, faults[0])


def _made(name: str) -> Any:
    return loading.make(Entry(name, third_party.ENTRY_POINTS[name], plugin=True))


def test_a_correct_one_has_no_fault() -> None:
    backend = _made("correct")
    for member, given in GIVEN.items():
        contract.answer(backend, member, dict(given))
    model = backend.build(SPEC, init_params(SPEC, 0), **CALL)
    assert contract.model_faults(model, lambda phase: False, lambda feature: True) == []


@pytest.mark.parametrize("member", ["begin", "place_input", "advance"])
def test_a_model_that_streams_has_three_more_members(member: str) -> None:
    model = _made("correct").build(SPEC, init_params(SPEC, 0), **CALL)
    lacking = third_party.Without(model, member)
    streams = "stream".__eq__
    (fault,) = contract.model_faults(lacking, lambda phase: False, streams)
    assert fault.startswith(f"lacks `{member}`; expected {member}(")
    assert fault.endswith("or a reason of `supports` against stream")
    assert contract.model_faults(lacking, lambda phase: False, lambda feature: False) == []


def test_one_that_carries_the_state_on_has_a_member_for_it() -> None:
    model = _made("correct").build(SPEC, init_params(SPEC, 0), **CALL)
    lacking = third_party.Without(model, "train_chunk")
    (fault,) = contract.model_faults(lacking, lambda phase: False, "stateful".__eq__)
    assert fault.startswith("lacks `train_chunk`; expected train_chunk(placed, carry)")


@pytest.mark.parametrize("name", OF_OBJECTS)
def test_an_object_that_is_no_backend_says_what_is_expected(name: str) -> None:
    with pytest.raises(ContractError) as caught:
        _made(name)
    assert FAULTS[name] in str(caught.value)


@pytest.mark.parametrize("name", OF_ANSWERS)
def test_an_answer_that_is_none_says_what_is_expected(name: str) -> None:
    member = {"bad-variable": "environment"}.get(name, name.removeprefix("lying-"))
    with pytest.raises(ContractError) as caught:
        contract.answer(_made(name), member, dict(GIVEN[member]))
    assert FAULTS[name] in str(caught.value)


def test_an_optimizer_may_be_absent_until_it_is_asked_for() -> None:
    backend = _made("without-optimizer")
    with pytest.raises(ContractError) as caught:
        contract.answer(backend, "optimizer", dict(GIVEN["optimizer"]))
    assert FAULTS["without-optimizer"] in str(caught.value)


def test_a_reason_has_no_control_characters() -> None:
    reason = contract.answer(_made("coloured"), "refusal", dict(GIVEN["refusal"]))
    assert FAULTS["coloured"] in reason
    assert reason.isprintable()


@pytest.mark.parametrize("name", OF_MODELS)
def test_an_object_that_is_no_model_says_what_is_expected(name: str) -> None:
    optimizer = OptimizerSpec("sgd")
    with pytest.raises(ContractError) as caught:
        _made(name).build(SPEC, init_params(SPEC, 0), **CALL, optimizer=optimizer)
    assert FAULTS[name] in str(caught.value)


def test_most_faults_are_asked_here() -> None:
    asked = {*OF_OBJECTS, *OF_ANSWERS, *OF_MODELS, "without-optimizer", "coloured"}
    assert len(asked) > len(FAULTS) / 2
