"""What every backend computes: model, batch, parameters, equations. numpy only.

Axes: B batch, T steps, D input, H hidden, G gates, L layers, V vocabulary, C classes or
outputs, F = H x directions.

Equations, for one layer in one direction (`h`, `c` are the previous step's states):

    RNN   h' = act(x W_xh + h W_hh + b)                       act = tanh or relu
    LSTM  i, f, o = sigmoid, g = tanh of x W_xh + h W_hh + b;  gates i, f, g, o
          c' = f * c + i * g;  h' = o * tanh(c')
    GRU   r, z = sigmoid(x W + b + h U + b_hh);                gates r, z, n
          n = tanh(x W_n + b_n + r * (h U_n + b_hh_n));  h' = (1 - z) * n + z * h

The GRU resets after the product, like torch, cuDNN and Keras by default. RNN and LSTM have one
bias, because two would change by twice the optimizer step. `param_shapes` lists the names and
shapes of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

Cell = Literal["rnn_tanh", "rnn_relu", "gru", "lstm"]
Readout = Literal["every_step", "last_step"]
Loss = Literal["cross_entropy", "mse"]
Reduction = Literal["mean", "sum"]
Scheme = Literal["uniform", "keras"]

CELLS: tuple[str, ...] = get_args(Cell)
GATES: Mapping[str, int] = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}

Params = dict[str, np.ndarray]


def _choice(name: str, value: object, valid: tuple[object, ...]) -> None:
    if value not in valid:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(str, valid))}")


def positive(name: str, value: object) -> None:
    """Raise ValueError unless `value` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} is {value!r}; expected a whole number of at least 1")


@dataclass(frozen=True)
class ModelSpec:
    """A recurrent net, independent of any framework. Raises ValueError for invalid values."""

    cell: Cell
    input_size: int  # D (the embedding size if vocab_size is set)
    hidden_size: int  # H
    num_layers: int = 1  # L
    bidirectional: bool = False
    bias: bool = True  # of the recurrent layers; a head always has b_y
    dropout: float = 0.0  # between layers; 0 wherever agreement is checked
    vocab_size: int | None = None  # V: x holds token ids, and an embedding comes first
    train_embedding: bool = True  # False: the table is given and frozen, without a gradient
    readout: Readout = "every_step"  # many-to-many | many-to-one
    output_size: int | None = None  # C; None: no head, the hidden state itself is the output
    loss: Loss = "cross_entropy"  # mse: the mean over C
    time_reduction: Reduction = "mean"  # over the steps; over the batch it is always the mean

    def __post_init__(self) -> None:
        for name, valid in (
            ("cell", CELLS),
            ("readout", get_args(Readout)),
            ("loss", get_args(Loss)),
            ("time_reduction", get_args(Reduction)),
        ):
            _choice(name, getattr(self, name), valid)
        for name in ("input_size", "hidden_size", "num_layers"):
            positive(name, getattr(self, name))
        for name in ("vocab_size", "output_size"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is {self.dropout!r}; expected a share in [0, 1)")

    @property
    def gates(self) -> int:
        """G: 1 (RNN), 3 (GRU: r, z, n) or 4 (LSTM: i, f, g, o)."""
        return GATES[self.cell]

    @property
    def directions(self) -> tuple[str, ...]:
        return ("fwd", "bwd") if self.bidirectional else ("fwd",)

    @property
    def feature_size(self) -> int:
        """F = H x directions, the width of the last layer's output."""
        return self.hidden_size * len(self.directions)

    @property
    def logit_size(self) -> int:
        """C, or F without a head."""
        return self.output_size if self.output_size is not None else self.feature_size

    def layer_input_size(self, layer: int) -> int:
        """I: D for layer 0, F above."""
        return self.input_size if layer == 0 else self.feature_size

    def stack(self) -> Iterator[tuple[int, str, str]]:
        """(layer, direction, "l0.fwd") for every layer and direction: bottom up, fwd first."""
        for layer in range(self.num_layers):
            for direction in self.directions:
                yield layer, direction, f"l{layer}.{direction}"

    def state_names(self) -> tuple[str, ...]:
        """Names of the last states: "l0.fwd.h", for an LSTM each followed by "l0.fwd.c"."""
        kinds = ("h", "c") if self.cell == "lstm" else ("h",)
        return tuple(f"{prefix}.{kind}" for _, _, prefix in self.stack() for kind in kinds)

    def trainable(self) -> tuple[str, ...]:
        """Names of the parameters that have a gradient, in canonical order."""
        return tuple(n for n in param_shapes(self) if n != "E" or self.train_embedding)


@dataclass(frozen=True)
class Batch:
    """One batch of host arrays; `tasks.batch.check_batch` checks whether it fits a spec.

    With `lengths`, what lies behind a sequence's end is padding. Outputs there are 0, the last
    states are those at the end, and the backward direction starts there. The loss counts real steps
    alone: "mean" is the mean over all of them, "sum" their sum / B, both times `weight` if given.
    """

    x: np.ndarray  # (B,T,D) float | (B,T) int
    y: np.ndarray  # (B,T) | (B,) int, or (B,T,C) | (B,C) float
    weight: np.ndarray | None = None  # (B,T): weighted mean sum(w*l)/sum(w); sum(w) = 0 gives 0
    state: Mapping[str, np.ndarray] | None = None  # "l0.fwd.h0" (B,H), LSTM also "l0.fwd.c0"
    lengths: np.ndarray | None = None  # (B,) int in 1..T; None: every sequence has T steps


@dataclass(frozen=True)
class OptimizerSpec:
    """SGD, or Adam with eps added to the corrected or to the uncorrected sqrt(v).

    corrected:   p -= lr * m^ / (sqrt(v^) + eps),  m^ = m / (1 - beta1^t), v^ = v / (1 - beta2^t)
    uncorrected: p -= lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)
    """

    name: Literal["sgd", "adam"] = "adam"
    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    eps_placement: Literal["corrected", "uncorrected"] = "corrected"

    def __post_init__(self) -> None:
        _choice("optimizer", self.name, ("sgd", "adam"))
        _choice("eps_placement", self.eps_placement, ("corrected", "uncorrected"))


def param_shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter by its canonical name, in canonical order.

    E (V,D); then for each layer and direction, such as "l0.fwd.": W_xh (I,G*H), W_hh (H,G*H),
    b (G*H) and, for the GRU, b_hh (3H); then W_hy (F,C) and b_y (C) of the head.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    if spec.vocab_size is not None:
        shapes["E"] = (spec.vocab_size, spec.input_size)
    hidden, gate_width = spec.hidden_size, spec.gates * spec.hidden_size
    for layer, _, prefix in spec.stack():
        shapes[f"{prefix}.W_xh"] = (spec.layer_input_size(layer), gate_width)
        shapes[f"{prefix}.W_hh"] = (hidden, gate_width)
        if spec.bias:
            shapes[f"{prefix}.b"] = (gate_width,)
            if spec.cell == "gru":
                shapes[f"{prefix}.b_hh"] = (gate_width,)
    if spec.output_size is not None:
        shapes["W_hy"] = (spec.feature_size, spec.output_size)
        shapes["b_y"] = (spec.output_size,)
    return shapes


def parameter_count(spec: ModelSpec) -> int:
    """How many numbers the model holds, including a frozen embedding; it does not depend on T."""
    # The layers above the first have the same shapes, so many of them take no longer to count.
    one, two = (
        sum(map(math.prod, param_shapes(replace(spec, num_layers=layers)).values()))
        for layers in (1, 2)
    )
    return one + (spec.num_layers - 1) * (two - one)


def init_params(spec: ModelSpec, seed: int, scheme: Scheme = "uniform") -> Params:
    """Parameters in float64, the same for every framework.

    uniform: as torch does it, +-1/sqrt(H) in the recurrent layers, +-1/sqrt(F) in the head,
    standard normal in the embedding. keras: Glorot uniform W_xh and W_hy, orthogonal W_hh, zero
    biases except 1 for the LSTM's forget gate, +-0.05 in the embedding.
    """
    _choice("scheme", scheme, get_args(Scheme))
    rng = np.random.default_rng(seed)
    draw = _uniform if scheme == "uniform" else _keras
    return {name: draw(rng, spec, name, shape) for name, shape in param_shapes(spec).items()}


def _uniform(
    rng: np.random.Generator, spec: ModelSpec, name: str, shape: tuple[int, ...]
) -> np.ndarray:
    if name == "E":
        return rng.standard_normal(shape)
    fan = spec.feature_size if name in ("W_hy", "b_y") else spec.hidden_size
    return rng.uniform(-1.0, 1.0, shape) / math.sqrt(fan)


def _keras(
    rng: np.random.Generator, spec: ModelSpec, name: str, shape: tuple[int, ...]
) -> np.ndarray:
    kind = name.rsplit(".", 1)[-1]
    if kind == "E":
        return rng.uniform(-0.05, 0.05, shape)
    if kind in ("W_xh", "W_hy"):
        return rng.uniform(-1.0, 1.0, shape) * math.sqrt(6.0 / sum(shape))
    if kind == "W_hh":
        q, r = np.linalg.qr(rng.standard_normal(shape[::-1]))
        return (q * np.sign(np.diag(r))).T.copy()
    bias = np.zeros(shape)
    if kind == "b" and spec.cell == "lstm":
        bias[spec.hidden_size : 2 * spec.hidden_size] = 1.0  # gates i, f, g, o
    return bias


def check_params(spec: ModelSpec, params: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError unless `params` has exactly the names and shapes of `param_shapes`."""
    expected = param_shapes(spec)
    if set(params) != set(expected):
        missing = [name for name in expected if name not in params]
        unknown = [name for name in params if name not in expected]
        raise ValueError(
            f"expected the parameters {', '.join(expected)}; "
            f"missing: {', '.join(missing) or 'none'}; not expected: {', '.join(unknown) or 'none'}"
        )
    for name, shape in expected.items():
        if np.shape(params[name]) != shape:
            raise ValueError(f"{name} has shape {np.shape(params[name])}; expected {shape}")
