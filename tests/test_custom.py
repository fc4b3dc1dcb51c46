"""Nets of one's own: exactly the model and the batch that the options ask for, or a clear error."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import hypothesis
import numpy as np
import psutil
import pytest
from hypothesis import strategies as st
from least import enough

from backends.interface import PHASES
from backends.numpy.backend import NumpyBackend
from bench.config import batches, given_params
from bench.config.fields import MODEL
from bench.config.grid import Request, workloads
from bench.config.options import IN_LABELS
from bench.records.workload import Workload
from tasks import DEFAULT_TASKS, TASKS
from tasks.batch import check_batch
from tasks.inputs import LARGEST_STATE, SMALLEST_NORMAL, InputOptions, make_batch
from tasks.memory import step_bytes
from tasks.spec import CELLS, Batch, ModelSpec, OptimizerSpec, init_params, parameter_count
from tasks.task import Size

# What `custom` is where an option is not given.
DEFAULT = ModelSpec("lstm", 64, 128, output_size=10)
DEFAULT_STEPS = {"batch": 32, "steps": 50}
FIELD = {
    "cell": "cell", "input": "input_size", "hidden": "hidden_size", "layers": "num_layers",
    "vocab": "vocab_size", "classes": "output_size", "readout": "readout", "loss": "loss",
    "time_reduction": "time_reduction", "no_bias": "bias", "frozen_embedding": "train_embedding",
    "bidirectional": "bidirectional", "dropout": "dropout",
}  # fmt: skip
ENOUGH_BITS = 60  # of random data: two equal batches are then no coincidence
TASK_SIZES = [(name, size) for name, task in TASKS.items() for size in task.sizes]
SIZE_IDS = ["-".join(pair) for pair in TASK_SIZES]


def request(task: str = "custom", *, lists: bool = False, **options: Any) -> Request:
    """As the command line would have it; `size` is no option of the model."""
    size = options.pop("size", None)
    given = {name: tuple(found) if lists else (found,) for name, found in options.items()}
    return Request(
        tasks=[task],
        phases=["forward"],
        devices=["cpu"],
        dtypes=["float32"],
        threads=[1],
        sizes=[size] if size else [],
        model=given,
        shown=frozenset(given) & IN_LABELS,
    )


def asked(task: str = "custom", **options: Any) -> Workload:
    (workload,) = workloads(request(task, **options))
    return workload


def field_value(option: str, value: Any) -> Any:
    """What an option is in ModelSpec."""
    if option in ("no_bias", "frozen_embedding"):
        return not value
    return None if option == "classes" and value == 0 else value


def with_options(spec: ModelSpec, options: Mapping[str, Any]) -> ModelSpec:
    """The same model, with each option in its own field and nowhere else."""
    changed = {FIELD[name]: field_value(name, v) for name, v in options.items() if name in FIELD}
    return replace(spec, **changed)


# Any valid combination


@st.composite
def options(draw: Any) -> dict[str, Any]:
    """Some of the options, each with a value that the others allow."""
    sizes = {"batch": 6, "steps": 9, "input": 7, "hidden": 9, "layers": 3, "vocab": 12}
    values: dict[str, st.SearchStrategy[Any]] = {
        "cell": st.sampled_from(CELLS),
        **{name: st.integers(1, largest) for name, largest in sizes.items()},
        "classes": st.integers(0, 6),
        "readout": st.sampled_from(("every_step", "last_step")),
        "loss": st.sampled_from(("cross_entropy", "mse")),
        "time_reduction": st.sampled_from(("mean", "sum")),
        **dict.fromkeys(("no_bias", "frozen_embedding", "bidirectional"), st.booleans()),
        "dropout": st.sampled_from((0.0, 0.25, 0.9)),
        **dict.fromkeys(("initial_state", "stateful", "weighted"), st.booleans()),
        "values": st.sampled_from(("normal", "denormal")),
        "lengths": st.sampled_from(("uniform", "sorted", "0.3", "0.8")),
        "padding": st.sampled_from(("behind", "front")),
    }
    assert {*values} == {*MODEL} - {"weights", "embedding", "steps_vary", "updates"}, (
        "each is drawn"
    )
    found = {name: draw(value) for name, value in values.items() if draw(st.booleans())}
    if found.get("layers", 1) == 1 and found.get("dropout"):
        del found["dropout"]
    if "vocab" not in found and found.get("frozen_embedding"):
        del found["frozen_embedding"]
    if "vocab" in found:
        found.pop("values", None)
    if "lengths" in found:  # without a padding there are two workloads
        found.setdefault("padding", "behind")
        found.pop("values", None)
    found.pop("padding" if "lengths" not in found else "", None)
    if found.get("dropout") or "lengths" in found:
        found.pop("stateful", None)
    if found.get("readout") == "last_step":
        found.pop("time_reduction", None)
        found.pop("weighted", None)
    return found


@hypothesis.settings(max_examples=max(40, hypothesis.settings.default.max_examples))
@hypothesis.given(chosen=options())
def test_a_workload_is_what_was_asked_and_the_defaults_elsewhere(chosen: dict[str, Any]) -> None:
    workload = asked(**chosen)
    spec = workload.spec
    assert spec == with_options(DEFAULT, chosen)
    wanted = {name: chosen.get(name, default) for name, default in DEFAULT_STEPS.items()}
    assert {name: getattr(workload, name) for name in wanted} == wanted
    assert workload.inputs == InputOptions(
        weighted=chosen.get("weighted", False),
        initial_state=chosen.get("initial_state", False),
        values=chosen.get("values", "normal"),
        lengths=chosen.get("lengths", ""),
        padding=chosen.get("padding", "behind"),
    )
    assert (workload.weights, workload.embedding) == (None, None)
    batch = batches.of_workload(workload, seed=4)
    check_batch(spec, batch)
    assert batch.x.shape[:2] == (wanted["batch"], wanted["steps"])
    expect_what_was_added(spec, batch, workload.inputs)
    expect_it_to_depend_on_the_seed(workload, batch)
    expect_finite_outputs(workload, batch)


def expect_what_was_added(spec: ModelSpec, batch: Batch, inputs: InputOptions) -> None:
    assert (batch.lengths is not None) == (bool(inputs.lengths) and inputs.padding == "behind")
    assert (batch.weight is not None) == inputs.weighted
    if batch.weight is not None:
        assert batch.weight.min() >= 0
        assert batch.weight.max() <= 2
    assert (batch.state is not None) == inputs.initial_state
    for state in (batch.state or {}).values():
        assert 0 < np.abs(state).max() <= LARGEST_STATE
    if inputs.values == "denormal":
        assert (np.abs(batch.x) > 0).all()
        assert (np.abs(batch.x) < SMALLEST_NORMAL).all()
    elif spec.vocab_size is None:
        assert np.abs(batch.x).max() > SMALLEST_NORMAL


def arrays(batch: Batch) -> dict[str, np.ndarray]:
    found = {"x": batch.x, "y": batch.y, "weight": batch.weight, **(batch.state or {})}
    return {name: array for name, array in found.items() if array is not None}


def expect_it_to_depend_on_the_seed(workload: Workload, batch: Batch) -> None:
    first, again, other = (
        arrays(made) for made in (batch, *(batches.of_workload(workload, seed) for seed in (4, 5)))
    )
    assert first.keys() == again.keys() == other.keys()
    values = {"x": workload.spec.vocab_size or np.inf, "y": workload.spec.logit_size}
    if workload.spec.loss == "mse":
        values["y"] = np.inf
    for name, array in first.items():
        np.testing.assert_array_equal(again[name], array)
        few = values.get(name, np.inf)
        weighs = name == "weight" and array.size < ENOUGH_BITS  # it may be 0 at every step
        padded = name == "x" and workload.inputs.lengths
        size = array.size / 6 if padded else array.size  # so much of it is real at the least
        if few > 1 and not weighs and (few == np.inf or size * np.log2(few) > ENOUGH_BITS):
            assert (other[name] != array).any(), name


def expect_finite_outputs(workload: Workload, batch: Batch) -> None:
    """From the numpy backend: it takes the model, and the batch reaches the outputs."""
    spec = workload.spec
    params = given_params.initial(workload, seed=1)
    model = NumpyBackend().build(spec, params, device="cpu", dtype=workload.dtype)
    host = model.to_host(model.forward(model.place(batch)))
    lead = batch.x.shape[:2] if spec.readout == "every_step" else batch.x.shape[:1]
    assert host["outputs"].shape == (*lead, spec.logit_size)
    assert {*host} == {"outputs", *spec.state_names()}
    assert all(np.isfinite(array).all() for array in host.values())


def test_what_is_added_changes_nothing_in_the_data_of_the_task() -> None:
    spec = replace(DEFAULT, input_size=3, hidden_size=4)
    size = Size(batch=3, steps=5, input=3, hidden=4)
    plain = TASKS["custom"].batch(size, 7, spec)
    for added in (
        InputOptions(weighted=True),
        InputOptions(initial_state=True),
        InputOptions(weighted=True, initial_state=True),
    ):
        batch = make_batch(TASKS["custom"], size, spec, added, seed=7)
        np.testing.assert_array_equal(batch.x, plain.x)
        np.testing.assert_array_equal(batch.y, plain.y)


def test_weights_are_zero_at_some_steps_and_differ_at_others() -> None:
    weight = batches.of_workload(asked(weighted=True), seed=0).weight
    assert weight is not None
    assert weight.shape == (32, 50)
    assert 0.2 < (weight == 0).mean() < 0.4
    assert len(np.unique(weight[weight > 0])) == (weight > 0).sum()


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"weighted": True, "readout": "last_step"}, "expected every step to be read"),
        ({"values": "denormal", "vocab": 9}, "expected a model that reads no tokens"),
        ({"frozen_embedding": True}, "expected --vocab beside it"),
        ({"dropout": 0.5}, "expected at least 2 layers"),
        ({"readout": "last_step", "time_reduction": "sum"}, "nothing to reduce over time"),
    ],
)
def test_options_that_do_not_go_together_are_refused(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^custom cannot be made at base.*{words}"):
        asked(**chosen)


def test_unknown_values_are_refused() -> None:
    with pytest.raises(ValueError, match="values is 'tiny'; expected one of normal, denormal"):
        InputOptions(values="tiny")  # type: ignore[arg-type]


@pytest.mark.parametrize("task", DEFAULT_TASKS)
@pytest.mark.parametrize(
    ("option", "value"),
    [("vocab", 9), ("readout", "last_step"), ("readout", "every_step"), ("loss", "mse")],
)
def test_other_tasks_refuse_what_they_decide_themselves(
    task: str, option: str, value: object
) -> None:
    with pytest.raises(ValueError, match=rf"{task} has its own; expected no --{option}.*\bcustom$"):
        asked(task, **{option: value})


# Denormal inputs


def test_denormal_inputs_stay_so_in_float32() -> None:
    x = batches.of_workload(asked(values="denormal"), seed=2).x
    assert x.size == 32 * 50 * 64
    for same in (x, x.astype(np.float32).astype(np.float64)):
        assert (np.abs(same) > 0).all()
        assert (np.abs(same) < SMALLEST_NORMAL).all()
    np.testing.assert_array_equal(x.astype(np.float32), x)
    assert 0.4 < (x < 0).mean() < 0.6
    assert np.abs(x).min() < 0.01 * SMALLEST_NORMAL
    assert np.abs(x).max() > 0.99 * SMALLEST_NORMAL


@pytest.mark.parametrize(
    "other",
    [
        {"phases": ["bptt"]},
        {"phases": ["forward", "bptt"]},
        {"phases": ["train_step"]},
        {"dtypes": ["float64"]},
        {"dtypes": ["float32", "float64"]},
    ],
    ids=str,
)
def test_denormal_inputs_are_for_forward_in_float32_alone(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected --phase=forward --dtype=float32"):
        list(workloads(replace(request(values="denormal"), **other)))


@pytest.mark.parametrize("task", DEFAULT_TASKS)
def test_other_tasks_have_no_denormal_inputs(task: str) -> None:
    with pytest.raises(ValueError, match=f"the inputs of {task} are its own; expected --task=cust"):
        asked(task, values="denormal")


# No coincidences

HIDDEN = (*range(1, 13), 16, 31, 50, 64, 128)
LAYERS = (1, 2, 3, 4)
MANY: Mapping[str, tuple[Any, ...]] = {
    "cell": CELLS,
    "batch": (1, 2, 3, 5, 8),
    "steps": (1, 2, 3, 6, 20, 37),
    "input": (5, 6, 7, 8, 10, 12, 36, 40),  # the letters of some tasks are more
    "hidden": HIDDEN,
    "layers": LAYERS,
    "bidirectional": (False, True),
}


def combinations(task: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Each pair of values of these options that the task allows."""
    given = ("input", "steps")  # which the data limit
    values = [enough(task, n, MANY[n]) if n in given else MANY[n] for n in names]
    found = itertools.product(*values)
    return [dict(zip(names, values, strict=True)) for values in found]


@pytest.mark.parametrize(("task", "size"), TASK_SIZES, ids=SIZE_IDS)
def test_a_model_changes_in_what_was_asked_alone(task: str, size: str) -> None:
    """It is that of the size's own numbers, given as the same options, with the other numbers."""
    compared = 0
    own = TASKS[task].sizes[size]
    plain = TASKS[task].spec(size)
    defaults = {
        "cell": plain.cell, "bidirectional": plain.bidirectional, "batch": own.batch,
        "steps": own.steps, "input": own.input, "hidden": own.hidden, "layers": own.layers,
    }  # fmt: skip
    names = [*((name,) for name in MANY), *itertools.combinations(MANY, 2)]
    for chosen_names in names:
        base = spec_of(task, size, {name: defaults[name] for name in chosen_names})
        differ = [f.name for f in fields(base) if getattr(base, f.name) != getattr(plain, f.name)]
        assert set(differ) <= {"output_size"}, "its own values change nothing but the head"
        for chosen in combinations(task, chosen_names):
            assert spec_of(task, size, chosen) == with_options(base, chosen), chosen
            compared += 1
    assert compared > 600


def spec_of(task: str, size: str, chosen: Mapping[str, Any]) -> ModelSpec:
    """As `grid` makes it, without a batch."""
    steps = {name: chosen[name] for name in ("batch", "steps") if name in chosen}
    changed = {FIELD[name]: value for name, value in chosen.items() if name in FIELD}
    return TASKS[task].spec(TASKS[task].sizes[size].with_overrides(**steps), **changed)


@pytest.mark.parametrize(("task", "size"), TASK_SIZES, ids=SIZE_IDS)
def test_a_curve_over_one_option_is_of_one_model(task: str, size: str) -> None:
    """Through the grid, each value of one option with the same batches and the same head."""
    for option, values in (
        ("hidden", HIDDEN),
        ("layers", LAYERS),
        ("input", enough(task, "input", (*range(1, 14), 36, 40))),
        ("batch", MANY["batch"]),
        ("steps", enough(task, "steps", MANY["steps"])),
    ):
        given = {option: values, "cell": CELLS[:1]}
        found = list(workloads(request(task, lists=True, size=size, **given)))
        assert len(found) == len(values)
        assert len({workload.id for workload in found}) == len(values)
        for workload, value in zip(found, values, strict=True):
            assert workload.spec == with_options(found[0].spec, {option: value})
            assert workload.inputs == InputOptions()
            if option != "input":
                assert workload.words["classes"] == found[0].words["classes"]


def many_requests(task: str, size: str) -> list[Request]:
    """Grids of one task that overlap, so that one model comes under several sets of options."""
    grids: list[dict[str, tuple[Any, ...]]] = [
        {},
        {"hidden": (5, 10, 11), "layers": (1, 2), "bidirectional": (False, True)},
        {"cell": CELLS},
        {"bidirectional": (True,), "no_bias": (True, False)},
        {"input": enough(task, "input", (5, 8, 12, 36)), "steps": (3, 7)},
        {"batch": (1, 2)},
        {"classes": (0,), "hidden": enough(task, "classes", (5, 10, 36))},
        {"initial_state": (False, True)},
        {"layers": (2,), "dropout": (0.0, 0.1, 0.25)},
    ]
    if size == "source":
        grids.append({"cell": ("rnn_tanh",), "batch": (1,)})
    if task == "custom":
        grids += [
            {"vocab": (3, 30), "frozen_embedding": (True, False)},
            {"classes": (1, 5, 10), "readout": ("every_step", "last_step")},
            {"loss": ("mse", "cross_entropy"), "time_reduction": ("sum", "mean")},
            {"weighted": (True, False), "values": ("denormal", "normal")},
        ]
    return [request(task, lists=True, size=size, **grid) for grid in grids]


def test_two_models_never_have_the_same_name() -> None:
    """What is computed under one id is one and the same, in whichever run it was asked for."""
    computed: dict[str, set[Any]] = {}
    for task, size in TASK_SIZES:
        for each in many_requests(task, size):
            for w in workloads(each):
                content = (w.task, w.size, w.spec, w.batch, w.steps, w.inputs)
                computed.setdefault(w.id, set()).add(content)
    shared = {name: found for name, found in computed.items() if len(found) > 1}
    assert not shared
    assert len(computed) > 250


def test_at_source_the_name_shows_the_head_that_an_option_adds() -> None:
    assert asked("hihello").name == "hihello-rnn_tanh-source-cpu-float32"
    assert asked("hihello", cell="rnn_tanh").name == "hihello-rnn_tanh-source+C5-cpu-float32"
    assert asked("hihello", hidden=5).label == "source+H5+C5"
    assert asked("sin_sequence", size="source", layers=2).label == "source+L2+C1"
    assert asked("sentiment", hidden=2).label == "base+H2"
    assert asked("sentiment", hidden=2, classes=0).label == "base+H2+C0"


# Memory


def test_step_bytes_are_those_of_the_arrays() -> None:
    """The sums by hand, array by array."""
    # One layer, every step read: x (4,6,3), h (4,6,5), outputs (4,6,2).
    spec = ModelSpec("rnn_tanh", 3, 5, output_size=2)
    params = 3 * 5 + 5 * 5 + 5 + 5 * 2 + 2
    forward = params + 4 * 6 * 3 + 4 * 6 * 5 + 4 * 6 * 2
    assert step_bytes(spec, 4, 6, "forward", 4) == 4 * forward
    bptt = forward + params + 4 * 6 * 2  # gradients, and that of the outputs
    assert step_bytes(spec, 4, 6, "bptt", 8) == 8 * bptt
    assert step_bytes(spec, 4, 6, "train_step", 4, "sgd") == 4 * bptt
    assert step_bytes(spec, 4, 6, "train_step", 4, "adam") == 4 * (bptt + 2 * params)

    # Tokens, two layers in both directions, the last step read: ids of eight bytes.
    spec = ModelSpec(
        "lstm", 7, 4, 2, bidirectional=True, bias=False, vocab_size=20, readout="last_step",
        output_size=3,
    )  # fmt: skip
    params = 20 * 7 + 2 * 16 * (7 + 4) + 2 * 16 * (8 + 4) + 8 * 3 + 3
    states = 2 * 2 * (5 * 9 * 4)
    forward = params + states + 5 * 3
    assert step_bytes(spec, 5, 9, "forward", 4) == 4 * forward + 8 * 5 * 9
    bptt = forward + params + states * (4 + 1) + 5 * 3  # four gates and c
    assert step_bytes(spec, 5, 9, "bptt", 4) == 4 * bptt + 8 * 5 * 9

    # A frozen table has no gradient, and Adam keeps nothing for it.
    spec = ModelSpec("gru", 6, 3, vocab_size=1000, train_embedding=False)
    table, layer = 1000 * 6, 9 * (6 + 3) + 9 + 9
    states = 2 * 8 * 3
    forward = table + layer + states  # without a head: the states are the outputs
    assert step_bytes(spec, 2, 8, "forward", 8) == 8 * forward + 8 * 2 * 8
    train = forward + layer + states * 3 + 2 * layer + states  # gates r, z, n
    assert step_bytes(spec, 2, 8, "train_step", 8, "adam") == 8 * train + 8 * 2 * 8

    # The language model, to the byte.
    spec = ModelSpec("lstm", 128, 1024, vocab_size=10_000, output_size=10_000)
    params = 10_000 * 128 + 4096 * (128 + 1024) + 4096 + 1024 * 10_000 + 10_000
    assert parameter_count(spec) == params == 16_252_688
    rows = 20 * 30
    numbers = 2 * params + rows * 1024 * 6 + 2 * rows * 10_000
    assert step_bytes(spec, 20, 30, "bptt", 4) == 4 * numbers + 8 * rows


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"num_layers": 3, "bidirectional": True},
        {"output_size": None},
        {"vocab_size": 300, "readout": "last_step"},
        {"vocab_size": 300, "train_embedding": False, "bias": False},
    ],
    ids=str,
)
def test_step_bytes_are_never_more_than_numpy_allocates(cell: str, chosen: dict[str, Any]) -> None:
    size = Size(batch=16, steps=10, input=24, hidden=40)
    spec = TASKS["custom"].spec(size, cell=cell, **chosen)
    batch, params = TASKS["custom"].batch(size, 0, spec), init_params(spec, 0)
    for phase, dtype in itertools.product(PHASES, ("float32", "float64")):
        optimizer = OptimizerSpec("adam") if phase == "train_step" else None
        tracemalloc.start()
        model = NumpyBackend().build(spec, params, device="cpu", dtype=dtype, optimizer=optimizer)
        getattr(model, phase)(model.place(batch))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        item = np.dtype(dtype).itemsize
        least = step_bytes(spec, 16, 10, phase, item, optimizer.name if optimizer else None)
        assert 0.1 * most < least <= most, (phase, dtype)


HUGE = 10**9


@pytest.mark.parametrize(
    ("task", "chosen"),
    [
        ("custom", {"hidden": HUGE}),
        ("custom", {"hidden": HUGE, "layers": 2, "bidirectional": True, "initial_state": True}),
        ("custom", {"input": HUGE}),
        ("custom", {"vocab": HUGE * 100}),
        ("custom", {"classes": HUGE, "weighted": True}),
        ("custom", {"layers": HUGE}),
        ("custom", {"batch": HUGE}),
        ("custom", {"steps": HUGE, "values": "denormal"}),
        ("hihello", {"hidden": HUGE}),
        ("sin_sequence", {"hidden": HUGE}),
        ("sentiment", {"hidden": HUGE}),
        ("sentiment", {"batch": HUGE}),
    ],
    ids=str,
)
def test_what_fits_into_no_memory_is_refused_before_it_is_allocated(
    task: str, chosen: dict[str, Any]
) -> None:
    each = request(task, **chosen)
    tracemalloc.start()
    with pytest.raises(ValueError, match="of memory") as raised:
        list(workloads(each, candidates=3))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**20, "nothing of that size is allocated"

    size = TASKS[task].sizes["source" if task == "hihello" else "base"]
    steps = [chosen.get(name, getattr(size, name)) for name in ("batch", "steps")]
    spec = spec_of(task, size.name, chosen)
    oracle = step_bytes(spec, *steps, "bptt", 8)
    forward = step_bytes(spec, *steps, "forward", 4)
    message = str(raised.value)
    assert message.startswith(f"{task} cannot be made at {size.name}+"), message
    assert f"{HUGE}" in message.partition(":")[0]
    assert f"needs at least {oracle + 3 * forward:,} bytes of memory" in message
    assert f"({oracle:,} to compute the reference, {forward:,} in each of 3 proc" in message
    assert f"this machine has {psutil.virtual_memory().total:,}" in message


def test_what_fits_depends_on_what_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    each = request(hidden=9, input=4)
    (workload,) = workloads(each)
    about = (workload.spec, workload.batch, workload.steps)
    oracle, forward = step_bytes(*about, "bptt", 8), step_bytes(*about, "forward", 4)

    class Memory:
        total = oracle + 2 * forward

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    assert len(list(workloads(each, candidates=2))) == 1
    with pytest.raises(ValueError, match=f"at least {oracle + 3 * forward:,} bytes"):
        list(workloads(each, candidates=3))
    training = replace(each, phases=["train_step"])
    more = step_bytes(*about, "train_step", 4, "adam")
    reference = step_bytes(*about, "train_step", 8, "adam")
    with pytest.raises(ValueError, match=f"at least {reference + more:,} bytes"):
        list(workloads(training))
    elsewhere = replace(each, devices=["cuda:0"])  # its arrays are in the memory of the device
    assert len(list(workloads(elsewhere, candidates=3))) == 1
    Memory.total = oracle - 1
    with pytest.raises(ValueError, match=f"at least {oracle:,} bytes"):
        list(workloads(elsewhere, candidates=3))
