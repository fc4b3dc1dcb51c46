"""Nets of torch and Keras read from their code (tests/nets): what they are, or why none."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from commands import rnnbench
from running import environment

from bench import ROOT
from tasks.spec import ModelSpec

NETS = ROOT / "tests" / "nets"
FRAMEWORKS = ("torch", "keras")
pytestmark = pytest.mark.slow

# What the refusal of each net must name.
IN_TORCH = {
    "mean_over_steps": "reads the mean over the steps",
    "maximum_over_steps": "reads the maximum over the steps",
    "first_step": "reads the first step",
    "half_of_the_states": "the relative error is",
    "last_step_of_both_directions": "reads the last step of both directions, such as y[:, -1]",
    "sigmoid_function": "puts sigmoid on its outputs",
    "relu_function": "puts relu on its outputs",
    "tanh_function": "puts tanh on its outputs",
    "layer_between": "'between' (LayerNorm) is another layer",
    "linear_between": "'between' (Linear) is another layer between",
    "convolution_between": "'between' (Conv1d) is another layer",
    "softmax_between": "'between' (Softmax) is another layer between",
    "different_widths": "'lower' (LSTM) and 'upper' (LSTM) have different widths, 6 and 7",
    "different_cells": "'lower' (LSTM) and 'upper' (GRU) have different cells",
    "different_biases": "have different biases",
    "different_directions": "have different directions",
    "different_dropouts": "different dropouts between its recurrent layers, 0.2, 0.1",
    "two_dropouts": "2 dropouts stand before 'upper' (LSTM)",
    "projection": "the LSTM has proj_size 3",
    "no_recurrent_layer": "no nn.RNN, nn.GRU or nn.LSTM",
    "no_net_at_all": "no nn.RNN, nn.GRU or nn.LSTM",
    "tuple_of_lstm_into_linear": "forward raises TypeError: linear(): argument 'input'",
    "head_of_all_steps": "'head' (Linear) reads 30 numbers",
    "random_functional_dropout": "random even in evaluation",
    "functional_dropout": "something else in training, such as torch.nn.functional.dropout",
    "padding_idx": "'words' (Embedding) has padding_idx 0",
    "scaled_embedding": "'lstm' (LSTM) does not read the output of 'words' (Embedding)",
    "shared_weights": "'words' (Embedding) and 'head' (Linear) share weights",
    "head_without_bias": "'head' (Linear) is a head without a bias",
    "two_linear_layers": "2 linear layers, 'head.0' (Linear) and 'head.1' (Linear)",
    "two_branches": "'right' (LSTM) reads the net's input, as another layer does: two branches",
    "residual": "the relative error is",
    "several_inputs": "several inputs, x, lengths",
    "dropout_first": "'drop' (Dropout) is dropout before the first recurrent layer",
    "dropout_last": "'drop' (Dropout) is dropout behind the last recurrent layer",
    "cell_in_a_loop": "'cell' (LSTMCell) is a cell in a loop",
    "parameters_of_the_net": "parameters of its own, outside of its layers: scale",
    "called_twice": "'lstm' (LSTM) is called twice",
    "frozen_weights": "the LSTM has frozen weights, weight_ih_l0",
    "packed": "'lstm' (LSTM) reads a PackedSequence",
    "initial_state": "'gru' (GRU) starts from a state of the net's own",
    "batch_and_time_confused": "it reads one sequence of the batch, or batch_first is missing",
    "returns_a_dict": "returns a dict",
    "raises": "forward raises RuntimeError: mat1 and mat2 shapes",
    "weight_norm": "has parametrized weights",
    "relu_of_positive_outputs": "puts relu on its outputs",
    "mean_beside_a_large_bias": "reads the mean over the steps",
    "mean_behind_a_head_of_zeros": "reads the mean over the steps",
    "lengths_from_the_ids": "the relative error is",
    "a_fixed_step": "the relative error is",
    "the_last_steps_alone": "'lstm' (LSTM) does not read the net's input",
    "dropout_in_training_alone": "'drop' (Dropout) is called in training and not in evaluation",
    "no_gradient": "no gradient reaches the weights of 'lstm' (LSTM)",
    "detached_between": "no gradient reaches the weights of 'lower' (LSTM)",
    "half_detached": "the net's gradients are not those of its layers",
    "hook_on_the_gradient": "the relative error of l0.fwd.W_hh is 1.0e-01",
    "a_word_in_the_middle_is_padding": "does not read the output of 'words' (Embedding)",
    "lengths_from_a_word_in_the_middle": "so it is for the ids from 4102 to 8203",
    "one_word_is_not_trained": "the relative error of E is 1.0e+00",
    "reversed_in_time": "'lstm' (LSTM) reads the net's input from the last step to the first",
    "old_spectral_norm": "'head' (Linear) has parametrized weights",
    "padding_idx_in_the_middle": "'words' (Embedding) has padding_idx 7",
    "one_batch_alone": "on an input of shape (3, 5, 4); --batch and --steps name the sizes",
}
IN_KERAS = {
    "layer_between": "(LayerNormalization) is another layer",
    "dense_between": "(Dense) is another layer between the recurrent layers",
    "mean_pooling_layer": "(GlobalAveragePooling1D) is another layer",
    "mean_over_steps": "reads the mean over the steps",
    "maximum_over_steps": "reads the maximum over the steps",
    "last_step_of_both_directions": "reads the last step of both directions, such as y[:, -1]",
    "sigmoid_head": "(Dense) has the activation sigmoid",
    "relu_head": "(Dense) has the activation relu",
    "recurrent_dropout": "(LSTM) has recurrent_dropout 0.2",
    "dropout_option": "(LSTM) has the option dropout 0.2",
    "hard_sigmoid": "(LSTM) has the recurrent_activation hard_sigmoid",
    "relu_lstm": "(LSTM) has the activation relu",
    "sigmoid_rnn": "(SimpleRNN) has the activation sigmoid",
    "reset_before": "(GRU) has reset_after=False",
    "mask_zero": "(Embedding) has mask_zero",
    "masking": "'masking' (Masking) masks steps",
    "head_without_bias": "(Dense) is a head without a bias",
    "different_widths": "have different widths, 6 and 7",
    "different_cells": "have different cells, lstm and gru",
    "different_biases": "have different biases",
    "different_directions": "have different directions, both and one",
    "different_dropouts": "different dropouts between its recurrent layers, 0.1, 0.2",
    "one_gap_without_dropout": "different dropouts between its recurrent layers, 0.1, 0;",
    "dropout_first": "(Dropout) is dropout before the first recurrent layer",
    "dropout_last": "(Dropout) is dropout behind the last recurrent layer",
    "dropout_of_whole_features": "(SpatialDropout1D) is another layer",
    "backwards": "(LSTM) has go_backwards",
    "stateful": "(LSTM) has stateful",
    "directions_added_up": "(Bidirectional) has merge_mode 'sum'",
    "different_directions_of_one": "(Bidirectional) has directions of different use_bias",
    "cells_of_rnn": "'rnn' (RNN) has a cell of its own",
    "two_dense_layers": "2 linear layers",
    "regularizer": "(LSTM) has kernel_regularizer",
    "constraint": "(Dense) has bias_constraint",
    "frozen_layer": "(LSTM) has frozen weights",
    "half_precision": "(LSTM) computes in float16",
    "no_recurrent_layer": "no recurrent layer; it calls 'dense",
    "image": "an input of shape (None, 8, 8, 3)",
    "size_unknown": "does not know the size of its input",
    "scaled_input": "(LSTM) does not read the net's input",
    "initial_state": "(LSTM) starts from a state of the net's own",
    "two_branches": "'concatenate' (Concatenate) joins two branches",
    "two_branches_of_one_kind": "(LSTM) reads the net's input, as another layer does: two branches",
    "residual_layer": "(Add) joins two branches",
    "two_inputs": "several inputs, 2",
    "two_outputs": "several outputs, 2",
    "called_twice": "(LSTM) is called twice",
    "parameters_of_the_net": "parameters outside of the layers that it calls: scaled",
    "raises": "call raises RuntimeError: not today",
    "mask_of_the_ids": "(LSTM) reads a mask",
    "dropout_turned_off": "(Dropout) is called with training=False",
    "dropout_in_training_alone": "calls other layers in training",
    "noise_in_training": "computes something else in training",
    "relu_of_positive_outputs": "puts relu on its outputs",
    "the_first_steps_alone": "(LSTM) does not read the net's input",
    "stopped_gradient": "no gradient reaches the weights of 'lstm",
    "stopped_by_a_layer": "no gradient reaches the weights of 'lstm",
    "half_stopped": "the net's gradients are not those of its layers",
    "stopped_in_training": "no gradient reaches the weights of 'embedding",
    "a_word_in_the_middle_is_padding": "(LSTM) does not read the output of 'embedding",
    "low_rank_updates": "(Dense) has lora_rank",
    "mask_zero_of_many_words": "(Embedding) has mask_zero",
    "one_batch_alone": "on an input of shape (3, 5); --batch and --steps name the sizes",
}
SIX: dict[str, ModelSpec] = {
    "tagger": ModelSpec(
        "lstm", 8, 12, 2, bidirectional=True, dropout=0.3, vocab_size=40, output_size=5
    ),
    "forecast": ModelSpec("lstm", 6, 10, bias=False, readout="last_step", output_size=1),
    "language_model": ModelSpec("lstm", 9, 11, 2, dropout=0.2, vocab_size=30, output_size=30),
    "sentiment": ModelSpec(
        "gru", 7, 9, bidirectional=True, vocab_size=25, train_embedding=False,
        readout="last_step", output_size=3,
    ),
    "digits": ModelSpec("gru", 8, 13, 2, readout="last_step", output_size=10),
    "rectified": ModelSpec("rnn_relu", 4, 6, 3),
}  # fmt: skip


@cache
def _read(module: str, *folder: Path) -> dict[str, Any]:
    """What one process reads of every net of a module."""
    done = subprocess.run(
        [sys.executable, "read_all.py", module, *map(str, folder)],
        capture_output=True,
        text=True,
        cwd=NETS,
        env=environment({}, ROOT),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The workload files of the six nets, by framework, and their weights."""
    made = {name: tmp_path_factory.mktemp(name) for name in FRAMEWORKS}
    for name, folder in made.items():
        _read(f"six_in_{name}", folder)
    return made


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("net", SIX)
def test_six_nets_give_the_same_model_from_both_frameworks(
    net: str, framework: str, folders: dict[str, Path]
) -> None:
    found = _read(f"six_in_{framework}", folders[framework])
    assert found.keys() == SIX.keys()
    assert ModelSpec(**found[net]["spec"]) == SIX[net]


def test_what_a_compiled_net_and_its_code_say_is_read(folders: dict[str, Path]) -> None:
    keras, torch = (_read(f"six_in_{name}", folders[name]) for name in ("keras", "torch"))
    assert keras["forecast"].items() >= {"steps": 20, "loss": "mse", "optimizer": "sgd"}.items()
    assert keras["sentiment"].items() >= {
        "steps": None, "loss": "cross_entropy", "optimizer": "rmsprop", "activation": "softmax",
    }.items()  # fmt: skip
    assert torch["sentiment"]["activation"] == "log_softmax"
    assert torch["forecast"].items() >= {"steps": None, "loss": None, "optimizer": None}.items()
    (note,) = torch["tagger"]["notes"]
    assert note.startswith("torch trains two biases of 'lstm' (LSTM)")
    assert not torch["digits"]["notes"]  # a GRU has two biases here, too
    assert not torch["forecast"]["notes"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_net_that_no_workload_describes_is_refused_by_its_reason(framework: str) -> None:
    expected = {"torch": IN_TORCH, "keras": IN_KERAS}[framework]
    found = _read(f"refused_in_{framework}")
    assert found.keys() == expected.keys()
    wrong = {net: found[net] for net, words in expected.items() if words not in found[net]}
    assert not wrong


# B and T as they are read of a net that takes those alone.
FIXED: dict[str, list[int | None]] = {
    "batch": [4, None],
    "batch_time_first": [4, None],
    "batch_of_the_input": [4, None],
    "steps": [None, 6],
    "both": [4, 6],
    "neither": [None, None],
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_net_that_takes_one_size_alone_is_read_with_it(framework: str) -> None:
    found = _read(f"fixed_in_{framework}")
    read = {name: [net["batch"], net["steps"]] for name, net in found.items()}
    assert read == {name: sizes for name, sizes in FIXED.items() if name in found}


def _compared(folder: Path, backends: str) -> None:
    files = sorted(map(str, folder.glob("*.toml")))
    assert len(files) == len(SIX)
    code, output = rnnbench(
        "run", *files, f"--backend={backends}", "--benchmark-disable", "-p", "no:cacheprovider"
    )
    assert code == 0, output
    # A forward pass and the gradients of each net, for each variant.
    assert f"{2 * len(SIX) * len(backends.split(','))} passed" in output


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_six_nets_agree_on_numpy(framework: str, folders: dict[str, Path]) -> None:
    _compared(folders[framework], "numpy")


@pytest.mark.parametrize(
    ("framework", "backend"), [("torch", "keras-tensorflow"), ("keras", "torch")]
)
def test_each_framework_computes_the_nets_of_the_other(
    framework: str, backend: str, folders: dict[str, Path]
) -> None:
    _compared(folders[framework], backend)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_one_command_is_the_whole_answer(framework: str) -> None:
    code, output = rnnbench(
        "run", f"six_in_{framework}:sentiment", "--backend=numpy", "--benchmark-disable",
        "--steps=5", "-p", "no:cacheprovider", folder=NETS,
    )  # fmt: skip
    assert code == 0, output
    assert f"six_in_{framework}:sentiment: the net ends with" in output
    assert "2 passed" in output


def test_the_command_writes_the_file_and_the_weights(tmp_path: Path) -> None:
    out, weights = tmp_path / "net.toml", tmp_path / "weights" / "net.npz"
    weights.parent.mkdir()
    words = ("--out", str(out), "--weights", str(weights), "--batch=2", "--steps=3")
    code, output = rnnbench("describe", "six_in_torch:tagger", *words, folder=NETS)
    assert code == 0, output
    assert "note: torch trains two biases" in output
    assert 'weights = "weights/net.npz"' in out.read_text()
    code, output = rnnbench("workload", str(out))
    assert code == 0, output
    assert output.count("tagger") == 2
