"""Nets of torch that no workload file describes, one for each reason; tests know the reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

REFUSED: dict[str, Callable[[], Any]] = {}


class Net(nn.Module):
    """Layers by name, and a forward pass of them."""

    def __init__(self, call: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.call = call

    def forward(self, x: Any) -> Any:
        return self.call(self, x)


def lstm(size: int, hidden: int, layers: int = 1, **options: Any) -> nn.LSTM:
    return nn.LSTM(size, hidden, layers, batch_first=True, **options)


def refused(make: Callable[[], Any]) -> Callable[[], Any]:
    REFUSED[make.__name__] = make
    return make


def two(between: nn.Module, lower: nn.Module, upper: nn.Module) -> Net:
    return Net(
        lambda net, x: net.upper(net.between(net.lower(x)[0]))[0],
        lower=lower,
        between=between,
        upper=upper,
    )


def read(how: Callable[[Any], Any], **options: Any) -> Net:
    """An LSTM, and something of its outputs that a head reads."""
    width = 12 if options.get("bidirectional") else 6
    return Net(
        lambda net, x: net.head(how(net.lstm(x)[0])),
        lstm=lstm(4, 6, **options),
        head=nn.Linear(width, 3),
    )


def put_out(how: Callable[[Any], Any]) -> Net:
    """An LSTM with a head, and something of the head's outputs."""
    return Net(
        lambda net, x: how(net.head(net.lstm(x)[0][:, -1])), lstm=lstm(4, 6), head=nn.Linear(6, 3)
    )


for _name, _how in {
    "mean_over_steps": lambda y: y.mean(dim=1),
    "maximum_over_steps": lambda y: y.max(dim=1).values,
    "first_step": lambda y: y[:, 0],
    "half_of_the_states": lambda y: y[:, -1] / 2,
}.items():
    REFUSED[_name] = lambda how=_how: read(how)
for _name, _how in {
    "sigmoid_function": torch.sigmoid,
    "relu_function": torch.relu,
    "tanh_function": torch.tanh,
}.items():
    REFUSED[_name] = lambda how=_how: put_out(how)
for _name, _layers in {
    "layer_between": lambda: (nn.LayerNorm(6), lstm(4, 6), lstm(6, 6)),
    "linear_between": lambda: (nn.Linear(6, 6), lstm(4, 6), lstm(6, 6)),
    "convolution_between": lambda: (nn.Conv1d(5, 5, 1), lstm(4, 6), lstm(6, 6)),
    "different_widths": lambda: (nn.Identity(), lstm(4, 6), lstm(6, 7)),
    "different_cells": lambda: (nn.Identity(), lstm(4, 6), nn.GRU(6, 6, batch_first=True)),
    "different_biases": lambda: (nn.Identity(), lstm(4, 6), lstm(6, 6, bias=False)),
    "different_directions": lambda: (nn.Identity(), lstm(4, 6, bidirectional=True), lstm(12, 6)),
    "different_dropouts": lambda: (nn.Dropout(0.1), lstm(4, 6, 2, dropout=0.2), lstm(6, 6)),
    "two_dropouts": lambda: (
        nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.1)),
        lstm(4, 6),
        lstm(6, 6),
    ),
    "softmax_between": lambda: (nn.Softmax(-1), lstm(4, 6), lstm(6, 6)),
}.items():
    REFUSED[_name] = lambda layers=_layers: two(*layers())
REFUSED |= {
    "projection": lambda: lstm(4, 6, proj_size=3),
    "no_recurrent_layer": lambda: nn.Linear(4, 3),
    "no_net_at_all": lambda: nn.Sequential(),
    "tuple_of_lstm_into_linear": lambda: nn.Sequential(lstm(4, 6), nn.Linear(6, 3)),
}


@refused
def last_step_of_both_directions() -> Any:
    return read(lambda y: y[:, -1], bidirectional=True)


@refused
def head_of_all_steps() -> Any:
    net = read(lambda y: y.flatten(1))
    net.head = nn.Linear(30, 3)
    return net


@refused
def random_functional_dropout() -> Any:
    return read(lambda y: nn.functional.dropout(y, 0.5))


@refused
def padding_idx() -> Any:
    return Net(lambda net, x: net.lstm(net.words(x))[0],
               words=nn.Embedding(9, 4, padding_idx=0), lstm=lstm(4, 6))  # fmt: skip


@refused
def scaled_embedding() -> Any:
    return Net(lambda net, x: net.lstm(net.words(x) * 2)[0],
               words=nn.Embedding(9, 4), lstm=lstm(4, 6))  # fmt: skip


@refused
def shared_weights() -> Any:
    net = Net(lambda net, x: net.head(net.lstm(net.words(x))[0]),
              words=nn.Embedding(9, 6), lstm=lstm(6, 6), head=nn.Linear(6, 9))  # fmt: skip
    net.head.weight = net.words.weight
    return net


@refused
def head_without_bias() -> Any:
    net = read(lambda y: y[:, -1])
    net.head = nn.Linear(6, 3, bias=False)
    return net


@refused
def two_linear_layers() -> Any:
    net = put_out(lambda z: z)
    net.head = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3))
    return net


@refused
def two_branches() -> Any:
    return Net(lambda net, x: net.head(torch.cat([net.left(x)[0], net.right(x)[0]], -1)),
               left=lstm(4, 6), right=lstm(4, 6), head=nn.Linear(12, 3))  # fmt: skip


@refused
def residual() -> Any:
    return Net(lambda net, x: net.head(net.lstm(x)[0] + x), lstm=lstm(6, 6), head=nn.Linear(6, 3))


@refused
def several_inputs() -> Any:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lstm(4, 6)

        def forward(self, x: Any, lengths: Any) -> Any:
            return self.lstm(x)[0][lengths]

    return Two()


@refused
def dropout_first() -> Any:
    return Net(lambda net, x: net.lstm(net.drop(x))[0], lstm=lstm(4, 6), drop=nn.Dropout(0.1))


@refused
def dropout_last() -> Any:
    return Net(lambda net, x: net.head(net.drop(net.lstm(x)[0])),
               lstm=lstm(4, 6), drop=nn.Dropout(0.1), head=nn.Linear(6, 3))  # fmt: skip


@refused
def functional_dropout() -> Any:
    net = Net(lambda net, x: net.head(nn.functional.dropout(net.lstm(x)[0], 0.5, net.training)),
              lstm=lstm(4, 6), head=nn.Linear(6, 3))  # fmt: skip
    return net


@refused
def cell_in_a_loop() -> Any:
    def call(net: Any, x: Any) -> Any:
        h = c = torch.zeros(len(x), 6)
        for step in x.unbind(1):
            h, c = net.cell(step, (h, c))
        return h

    return Net(call, cell=nn.LSTMCell(4, 6))


@refused
def parameters_of_the_net() -> Any:
    net = read(lambda y: y[:, -1])
    net.scale = nn.Parameter(torch.ones(1))
    return net


@refused
def called_twice() -> Any:
    return Net(lambda net, x: net.lstm(net.lstm(x)[0])[0], lstm=lstm(6, 6))


@refused
def frozen_weights() -> Any:
    net = lstm(4, 6)
    net.weight_ih_l0.requires_grad_(False)
    return net


@refused
def packed() -> Any:
    def call(net: Any, x: Any) -> Any:
        lengths = torch.tensor([5, 4, 3])
        given = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(net.lstm(given)[0], batch_first=True)[0]

    return Net(call, lstm=lstm(4, 6))


@refused
def initial_state() -> Any:
    return Net(lambda net, x: net.gru(x, torch.ones(1, len(x), 6))[0],
               gru=nn.GRU(4, 6, batch_first=True))  # fmt: skip


@refused
def batch_and_time_confused() -> Any:
    """It reads the last sequence of the batch, since its LSTM reads the time first."""
    return Net(lambda net, x: net.head(net.lstm(x)[0][:, -1]),
               lstm=nn.LSTM(4, 6), head=nn.Linear(6, 3))  # fmt: skip


@refused
def returns_a_dict() -> Any:
    return Net(lambda net, x: {"logits": net.lstm(x)[0]}, lstm=lstm(4, 6))


@refused
def raises() -> Any:
    return Net(lambda net, x: net.head(net.lstm(x)[0]), lstm=lstm(4, 6), head=nn.Linear(5, 3))


@refused
def weight_norm() -> Any:
    return nn.utils.parametrizations.weight_norm(lstm(4, 6), "weight_hh_l0")


@refused
def relu_of_positive_outputs() -> Any:
    net = put_out(torch.relu)
    nn.init.constant_(net.head.bias, 9.0)
    return net


@refused
def mean_beside_a_large_bias() -> Any:
    net = read(lambda y: y.mean(dim=1))
    nn.init.constant_(net.head.bias, 1e5)
    return net


@refused
def mean_behind_a_head_of_zeros() -> Any:
    net = read(lambda y: y.mean(dim=1))
    nn.init.zeros_(net.head.weight)
    return net


@refused
def lengths_from_the_ids() -> Any:
    def call(net: Any, x: Any) -> Any:
        last = (x != 0).sum(1) - 1
        return net.lstm(net.words(x))[0][torch.arange(len(x)), last]

    return Net(call, words=nn.Embedding(5000, 4), lstm=lstm(4, 6))


@refused
def a_fixed_step() -> Any:
    return read(lambda y: y[:, 4])


@refused
def the_last_steps_alone() -> Any:
    return Net(lambda net, x: net.lstm(x[:, -20:])[0][:, -1], lstm=lstm(4, 6))


@refused
def dropout_in_training_alone() -> Any:
    def call(net: Any, x: Any) -> Any:
        y = net.lower(x)[0]
        return net.upper(net.drop(y) if net.training else y)[0]

    return Net(call, lower=lstm(4, 6), upper=lstm(6, 6), drop=nn.Dropout(0.4))


@refused
def no_gradient() -> Any:
    return read(lambda y: y[:, -1].detach())


@refused
def detached_between() -> Any:
    return Net(lambda net, x: net.upper(net.lower(x)[0].detach())[0],
               lower=lstm(4, 6), upper=lstm(6, 6))  # fmt: skip


@refused
def half_detached() -> Any:
    """Every weight still gets a gradient."""
    return read(lambda y: y[:, -1] / 2 + y[:, -1].detach() / 2)


@refused
def hook_on_the_gradient() -> Any:
    net = read(lambda y: y)
    net.lstm.weight_hh_l0.register_hook(lambda gradient: gradient * 0.9)
    return net


def of_many_words(call: Callable[..., Any]) -> Net:
    return Net(call, words=nn.Embedding(9000, 4), lstm=lstm(4, 6))


@refused
def a_word_in_the_middle_is_padding() -> Any:
    return of_many_words(
        lambda net, x: net.lstm(net.words(x) * (x != 7000).unsqueeze(-1))[0][:, -1]
    )


@refused
def lengths_from_a_word_in_the_middle() -> Any:
    return of_many_words(
        lambda net, x: net.lstm(net.words(x))[0][torch.arange(len(x)), (x != 7000).sum(1) - 1]
    )


@refused
def one_word_is_not_trained() -> Any:
    net = of_many_words(lambda net, x: net.lstm(net.words(x))[0])
    trained = (torch.arange(9000) != 7000).unsqueeze(-1)
    net.words.weight.register_hook(lambda gradient: gradient * trained)
    return net


@refused
def padding_idx_in_the_middle() -> Any:
    return Net(lambda net, x: net.lstm(net.words(x))[0],
               words=nn.Embedding(30000, 4, padding_idx=7), lstm=lstm(4, 6))  # fmt: skip


@refused
def one_batch_alone() -> Any:
    return Net(lambda net, x: net.gru(x, torch.zeros(1, 4, 6))[0],
               gru=nn.GRU(4, 6, batch_first=True))  # fmt: skip


@refused
def reversed_in_time() -> Any:
    return Net(lambda net, x: net.lstm(x.flip(1))[0], lstm=lstm(4, 6))


@refused
def old_spectral_norm() -> Any:
    net = read(lambda y: y)
    nn.utils.spectral_norm(net.head)
    return net
