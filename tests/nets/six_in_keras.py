"""Six nets, as users of Keras write them. `six_in_torch` has the same."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def tagger() -> Any:
    """A class for every word: two bidirectional layers, with dropout between them."""
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(40, 8),
            layers.Bidirectional(layers.LSTM(12, return_sequences=True)),
            layers.Dropout(0.3),
            layers.Bidirectional(layers.LSTM(12, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(5)),
        ]
    )


forecast = keras.Sequential(
    [keras.Input((20, 6)), layers.LSTM(10, use_bias=False), layers.Dense(1)]
)
forecast.compile(optimizer="sgd", loss="mse")


class LanguageModel(keras.Model):
    """The next word after every word."""

    def __init__(self) -> None:
        super().__init__()
        self.head = layers.Dense(30)  # made first, called last
        self.embedding = layers.Embedding(30, 9)
        self.lower = layers.LSTM(11, return_sequences=True)
        self.dropout = layers.Dropout(0.2)
        self.upper = layers.LSTM(11, return_sequences=True, return_state=True)

    def call(self, ids: Any) -> Any:
        y, *state = self.upper(self.dropout(self.lower(self.embedding(ids))))
        return self.head(y), state


def sentiment() -> Any:
    """A class for every sentence, from both last states, over given word vectors."""
    ids = keras.Input((None,), dtype="int32")
    vectors = layers.Embedding(25, 7, trainable=False)(ids)
    outputs = layers.Dense(3, activation="softmax")(layers.Bidirectional(layers.GRU(9))(vectors))
    net = keras.Model(ids, outputs)
    net.compile(
        keras.optimizers.RMSprop(), keras.losses.SparseCategoricalCrossentropy(), ["accuracy"]
    )
    return net


def digits() -> Any:
    """Digits from their rows of pixels."""
    body = keras.Sequential([layers.GRU(13, return_sequences=True), layers.GRU(13)])
    pixels = keras.Input((None, 8))
    return keras.Model(pixels, layers.Dense(10)(body(pixels)))


language_model = LanguageModel
rectified = keras.Sequential(
    [
        keras.Input((None, 4)),
        *(layers.SimpleRNN(6, activation="relu", return_sequences=True) for _ in range(3)),
    ]
)
NETS = ("tagger", "forecast", "language_model", "sentiment", "digits", "rectified")
