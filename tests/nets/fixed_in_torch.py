"""Nets of torch that take one size of input alone, B = 4 or T = 6, and are read with it."""

from __future__ import annotations

from typing import Any

import torch
from refused_in_torch import Net, lstm
from torch import nn

SIZES = (4, 6)


def batch() -> Any:
    return Net(lambda net, x: net.gru(x, torch.zeros(1, 4, 6))[0],
               gru=nn.GRU(4, 6, batch_first=True))  # fmt: skip


def batch_time_first() -> Any:
    zeros = torch.zeros(1, 4, 6)
    return Net(lambda net, x: net.head(net.lstm(net.words(x), (zeros, zeros))[0][-1]),
               words=nn.Embedding(9, 4), lstm=nn.LSTM(4, 6), head=nn.Linear(6, 3))  # fmt: skip


def steps() -> Any:
    return Net(lambda net, x: net.head(net.lstm(x.view(-1, 6, 4))[0].view(len(x), 6, 6)),
               lstm=lstm(4, 6), head=nn.Linear(6, 3))  # fmt: skip


def both() -> Any:
    return Net(lambda net, x: net.head(net.lstm(x)[0].reshape(24, 6)) + torch.zeros(24, 3),
               lstm=lstm(4, 6), head=nn.Linear(6, 3))  # fmt: skip


def neither() -> Any:
    """It takes any size; one layer drops numbers in two places."""

    def call(net: Any, x: Any) -> Any:
        y = net.drop(net.lower(x)[0])
        return net.upper(net.drop(net.middle(y)[0]))[0]

    lower, middle, upper = lstm(4, 6), lstm(6, 6), lstm(6, 6)
    return Net(call, lower=lower, middle=middle, upper=upper, drop=nn.Dropout(0.2))


NETS = ("batch", "batch_time_first", "steps", "both", "neither")
