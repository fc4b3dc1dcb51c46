"""Six nets, as users of torch write them. `six_in_keras` has the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Tagger(nn.Module):
    """A class for every word: two bidirectional layers, with dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(24, 5)  # registered first, called last
        self.embedding = nn.Embedding(40, 8)
        self.lstm = nn.LSTM(8, 12, 2, batch_first=True, bidirectional=True, dropout=0.3)

    def forward(self, ids: Any) -> Any:
        y, _ = self.lstm(self.embedding(ids))
        return self.head(y)


class Forecast(nn.Module):
    """The next value of a series, from the state after its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 10, bias=False, batch_first=True)
        self.head = nn.Linear(10, 1)

    def forward(self, x: Any) -> Any:
        y, _ = self.lstm(x)
        return self.head(y[:, -1]).squeeze(-1)


class LanguageModel(nn.Module):
    """The next word after every word; time first, with one row of logits a word."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 9)
        self.lower = nn.LSTM(9, 11)
        self.dropout = nn.Dropout(0.2)
        self.upper = nn.LSTM(11, 11)
        self.head = nn.Linear(11, 30)

    def forward(self, ids: Any) -> Any:
        y, _ = self.lower(self.embedding(ids))
        y, state = self.upper(self.dropout(y))
        return self.head(y).view(-1, 30), state


class Sentiment(nn.Module):
    """A class for every sentence, from both last states, over given word vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.randn(25, 7), freeze=True)
        self.gru = nn.GRU(7, 9, batch_first=True, bidirectional=True)
        self.head = nn.Linear(18, 3)

    def forward(self, ids: Any) -> Any:
        _, h = self.gru(self.embedding(ids))
        return F.log_softmax(self.head(torch.cat([h[-2], h[-1]], dim=-1)), dim=-1)


def digits() -> nn.Module:
    """Digits from their rows of pixels."""

    class Digits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.GRU(8, 13, batch_first=True),
                                         nn.GRU(13, 13, batch_first=True)])  # fmt: skip
            self.head = nn.Linear(13, 10)

        def forward(self, x: Any) -> Any:
            for layer in self.layers:
                x, _ = layer(x, torch.zeros(1, len(x), 13))
            return self.head(x[:, -1, :])

    return Digits()


class Outputs(nn.Module):
    """The outputs of a recurrent layer, without its state."""

    def forward(self, returned: Any) -> Any:
        return returned[0]


tagger, forecast, language_model, sentiment = Tagger, Forecast(), LanguageModel(), Sentiment
rectified = nn.Sequential(nn.RNN(4, 6, 3, nonlinearity="relu"), Outputs())
NETS = ("tagger", "forecast", "language_model", "sentiment", "digits", "rectified")
