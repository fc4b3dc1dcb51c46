"""Nets of Keras that take one size of input alone, B = 4 or T = 6, and are read with it."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops
from refused_in_keras import Of, lstm, of, stack

SIZES = (4, 6)


def batch() -> Any:
    """Its code alone says its B."""
    return Of(lambda net, y, words, _: ops.reshape(net.upper(y), (4, words.shape[1], 6)))


def batch_of_the_input() -> Any:
    return keras.Sequential([keras.Input(batch_shape=(4, None, 3)), lstm(), layers.Dense(2)])


def steps() -> Any:
    return stack(lstm(), layers.Dense(2), size=(6, 4))


def both() -> Any:
    return of(lambda x: ops.reshape(lstm()(x), (4, 6, 6)))


def neither() -> Any:
    """It takes any size; one layer drops numbers in two places."""
    drop = layers.Dropout(0.2)
    return of(lambda x: lstm()(drop(lstm()(drop(lstm()(x))))))


NETS = ("batch", "batch_of_the_input", "steps", "both", "neither")
