"""Nets of Keras that no workload file describes, one for each reason; tests know the reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

REFUSED: dict[str, Callable[[], Any]] = {}


def refused(make: Callable[[], Any]) -> Callable[[], Any]:
    REFUSED[make.__name__] = make
    return make


def stack(*given: Any, size: tuple[int | None, ...] = (None, 4), **options: Any) -> Any:
    return keras.Sequential([keras.Input(size, **options), *given])


def lstm(hidden: int = 6, **options: Any) -> Any:
    return layers.LSTM(hidden, **{"return_sequences": True, **options})


def of(call: Callable[[Any], Any], size: tuple[int | None, ...] = (None, 4)) -> Any:
    """A functional model."""
    x = keras.Input(size)
    return keras.Model(x, call(x))


def ids(*given: Any) -> Any:
    return stack(*given, size=(None,), dtype="int32")


def read(how: Callable[[Any], Any], recurrent: Any = None) -> Any:
    return of(lambda x: layers.Dense(3)(how((recurrent or lstm())(x))))


def cells(kind: Any) -> Any:
    return layers.RNN(kind(6), return_sequences=True)


def dropping(*shares: float) -> Any:
    return [each for share in shares for each in (layers.Dropout(share), lstm())]


REFUSED |= {
    "layer_between": lambda: stack(lstm(), layers.LayerNormalization(), lstm()),
    "dense_between": lambda: stack(lstm(), layers.Dense(6), lstm()),
    "mean_pooling_layer": lambda: stack(lstm(), layers.GlobalAveragePooling1D(), layers.Dense(3)),
    "mean_over_steps": lambda: read(lambda y: ops.mean(y, axis=1)),
    "maximum_over_steps": lambda: read(lambda y: ops.max(y, axis=1)),
    "last_step_of_both_directions": lambda: read(
        lambda y: y[:, -1], layers.Bidirectional(lstm())
    ),
    "sigmoid_head": lambda: stack(lstm(), layers.Dense(1, activation="sigmoid")),
    "recurrent_dropout": lambda: stack(lstm(recurrent_dropout=0.2)),
    "dropout_option": lambda: stack(lstm(), lstm(dropout=0.2)),
    "hard_sigmoid": lambda: stack(lstm(recurrent_activation="hard_sigmoid")),
    "relu_lstm": lambda: stack(lstm(activation="relu")),
    "sigmoid_rnn": lambda: stack(layers.SimpleRNN(6, activation="sigmoid")),
    "reset_before": lambda: stack(layers.GRU(6, reset_after=False)),
    "mask_zero": lambda: ids(layers.Embedding(9, 4, mask_zero=True), lstm()),
    "masking": lambda: stack(layers.Masking(), lstm()),
    "head_without_bias": lambda: stack(lstm(), layers.Dense(3, use_bias=False)),
    "different_widths": lambda: stack(lstm(6), lstm(7)),
    "different_cells": lambda: stack(lstm(6), layers.GRU(6)),
    "different_biases": lambda: stack(lstm(6), lstm(6, use_bias=False)),
    "different_directions": lambda: stack(layers.Bidirectional(lstm()), lstm()),
    "different_dropouts": lambda: stack(lstm(), *dropping(0.1, 0.2)),
    "one_gap_without_dropout": lambda: stack(lstm(), *dropping(0.1), lstm()),
    "dropout_first": lambda: stack(layers.Dropout(0.1), lstm()),
    "dropout_last": lambda: stack(lstm(), layers.Dropout(0.1), layers.Dense(3)),
    "dropout_of_whole_features": lambda: stack(lstm(), layers.SpatialDropout1D(0.1), lstm()),
    "backwards": lambda: stack(lstm(go_backwards=True)),
    "stateful": lambda: keras.Sequential([keras.Input(batch_shape=(2, 5, 4)), lstm(stateful=True)]),
    "directions_added_up": lambda: stack(layers.Bidirectional(lstm(), merge_mode="sum")),
    "different_directions_of_one": lambda: stack(
        layers.Bidirectional(
            layers.GRU(6), backward_layer=layers.GRU(6, go_backwards=True, use_bias=False)
        )
    ),
    "cells_of_rnn": lambda: stack(cells(layers.LSTMCell)),
    "two_dense_layers": lambda: stack(lstm(), layers.Dense(5), layers.Dense(3)),
    "relu_head": lambda: stack(lstm(), layers.Dense(3, activation="relu")),
    "regularizer": lambda: stack(lstm(kernel_regularizer="l2")),
    "constraint": lambda: stack(lstm(), layers.Dense(3, bias_constraint="non_neg")),
    "frozen_layer": lambda: stack(lstm(trainable=False)),
    "half_precision": lambda: stack(lstm(dtype="mixed_float16")),
    "no_recurrent_layer": lambda: stack(layers.Dense(3)),
    "image": lambda: stack(layers.Conv2D(2, 3), size=(8, 8, 3)),
    "size_unknown": lambda: keras.Sequential([lstm()]),
    "scaled_input": lambda: of(lambda x: lstm()(x * 2)),
    "initial_state": lambda: of(
        lambda x: lstm()(x, initial_state=[ops.ones((3, 6)), ops.ones((3, 6))])
    ),
}  # fmt: skip


@refused
def two_branches() -> Any:
    return of(lambda x: layers.Concatenate()([lstm()(x), lstm()(x)]))


@refused
def two_branches_of_one_kind() -> Any:
    return of(lambda x: ops.add(lstm()(x), lstm()(x)))


@refused
def residual_layer() -> Any:
    return of(lambda x: layers.Add()([x, lstm(4)(x)]))


@refused
def two_inputs() -> Any:
    one, two = keras.Input((None, 4)), keras.Input((None, 4))
    return keras.Model([one, two], lstm()(one + two))


@refused
def two_outputs() -> Any:
    x = keras.Input((None, 4))
    y = lstm()(x)
    return keras.Model(x, [y, layers.Dense(3)(y)])


@refused
def called_twice() -> Any:
    one = lstm(4)
    return of(lambda x: one(one(x)))


class Scaled(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.words = layers.Embedding(9, 4)
        self.lstm = lstm()
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, words: Any) -> Any:
        return self.lstm(self.words(words)) * self.scale


REFUSED["parameters_of_the_net"] = Scaled


class Raising(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.words = layers.Embedding(9, 4)

    def call(self, words: Any) -> Any:
        raise RuntimeError("not today")


REFUSED["raises"] = Raising


class Of(keras.Model):
    """Word vectors, two layers with dropout between them, and a forward pass of them."""

    def __init__(self, how: Callable[..., Any]) -> None:
        super().__init__()
        self.words, self.drop = layers.Embedding(9, 4), layers.Dropout(0.3)
        self.lower, self.upper = lstm(), lstm()
        self.how = how

    def call(self, words: Any, training: bool = False) -> Any:
        return self.how(self, self.lower(self.words(words)), words, training)


REFUSED |= {
    "mask_of_the_ids": lambda: Of(
        lambda net, y, words, _: net.upper(y, mask=ops.not_equal(words, 0))
    ),
    "dropout_turned_off": lambda: Of(lambda net, y, *_: net.upper(net.drop(y, training=False))),
    "dropout_in_training_alone": lambda: Of(
        lambda net, y, _, training: net.upper(net.drop(y) if training else y)
    ),
    "noise_in_training": lambda: Of(
        lambda net, y, _, training: net.upper(y * 2 if training else y)
    ),
    "relu_of_positive_outputs": lambda: of(
        lambda x: ops.relu(layers.Dense(1, bias_initializer="ones")(lstm()(x)))
    ),
    "the_first_steps_alone": lambda: of(lambda x: lstm()(x[:, :20])),
}


class Stopping(layers.Layer):
    """A layer of the user's that lets no gradient pass."""

    def call(self, x: Any) -> Any:
        return ops.stop_gradient(x)


def low_rank(layer: Any) -> Any:
    layer.build((None, None, 6))
    layer.enable_lora(2)
    return layer


def of_many_words(call: Callable[..., Any]) -> Any:
    words, one = layers.Embedding(9000, 4), lstm()
    x = keras.Input((None,), dtype="int32")
    return keras.Model(x, call(x, words, one))


REFUSED |= {
    "stopped_gradient": lambda: of(lambda x: lstm()(ops.stop_gradient(lstm()(x)))),
    "stopped_by_a_layer": lambda: stack(lstm(), Stopping(), lstm()),
    "half_stopped": lambda: read(lambda y: y / 2 + ops.stop_gradient(y) / 2),
    "stopped_in_training": lambda: Of(
        lambda net, y, _, training: net.upper(ops.stop_gradient(y) if training else y)
    ),
    "a_word_in_the_middle_is_padding": lambda: of_many_words(
        lambda x, words, one: one(words(x) * ops.cast(ops.not_equal(x, 7000), "float32")[..., None])
    ),
    "low_rank_updates": lambda: stack(lstm(), low_rank(layers.Dense(3))),
    "mask_zero_of_many_words": lambda: ids(layers.Embedding(30000, 4, mask_zero=True), lstm()),
    "one_batch_alone": lambda: Of(
        lambda net, y, words, _: ops.reshape(net.upper(y), (4, words.shape[1], 6))
    ),
}
