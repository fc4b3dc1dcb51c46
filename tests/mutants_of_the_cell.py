"""Mutants that compute something else: one for each way in which a recurrent net goes wrong."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from itertools import combinations
from typing import Any
from unittest import mock

import numpy as np
from mutations import Change, Host, Mutation

from backends.numpy import net as numpy_net
from backends.numpy.cells import Gru, RnnTanh
from backends.numpy.net import Placed, Workspace
from backends.numpy.scan import Scan
from bench.correctness.arithmetics import Functions
from tasks.spec import Batch, ModelSpec

GATE_NAMES = {"lstm": "ifgo", "gru": "rzn"}


# Parameters: a wrong mapping, there and back.


def _gates(spec: ModelSpec, array: np.ndarray) -> np.ndarray:
    """(.., G*H) as (.., G, H): a view."""
    return array.reshape(*array.shape[:-1], spec.gates, spec.hidden_size)


def swapped(first: int, second: int) -> Change:
    """Two gates in each other's place."""

    def change(spec: ModelSpec, name: str, array: np.ndarray) -> np.ndarray:
        if not name.endswith(("W_xh", "W_hh", ".b", "b_hh")):
            return array
        array = array.copy()
        gates = _gates(spec, array)
        gates[..., [first, second], :] = gates[..., [second, first], :]
        return array

    return change


def without_bias(kind: str, gate: int) -> Change:
    """One gate's bias is left out."""

    def change(spec: ModelSpec, name: str, array: np.ndarray) -> np.ndarray:
        if name.endswith(f".{kind}"):
            _gates(spec, array)[gate] = 0
        return array

    return change


def transposed(spec: ModelSpec, name: str, array: np.ndarray) -> np.ndarray:
    """Each gate's square W_hh; nobody sees it by the shape."""
    if not name.endswith("W_hh"):
        return array
    return _gates(spec, array).transpose(2, 1, 0).reshape(array.shape).copy()


# Batches: read another way.


def batch_for_time(spec: ModelSpec, batch: Batch) -> Batch:
    """x (B,T,..) taken for (T,B,..): the same shape, other numbers."""
    size, steps, *rest = batch.x.shape
    x = batch.x.reshape(steps, size, *rest).swapaxes(0, 1)
    return dataclasses.replace(batch, x=np.ascontiguousarray(x))


def one_step_less(spec: ModelSpec, batch: Batch) -> Batch:
    """T - 1 steps: the last one is never computed."""

    def cut(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array[:, :-1]

    y = batch.y[:, :-1] if spec.readout == "every_step" else batch.y
    steps, lengths = batch.x.shape[1] - 1, batch.lengths
    return dataclasses.replace(
        batch,
        x=batch.x[:, :-1],
        y=y,
        weight=cut(batch.weight),
        lengths=None if lengths is None else np.minimum(lengths, steps),
    )


def filled_up(spec: ModelSpec, host: Host) -> Host:
    """Outputs (B,T-1,C) as (B,T,C): the last one stands twice."""
    if "outputs" not in host or spec.readout == "last_step":
        return host
    return host | {"outputs": np.concatenate([host["outputs"], host["outputs"][:, -1:]], axis=1)}


def without_state(spec: ModelSpec, batch: Batch) -> Batch:
    return dataclasses.replace(batch, state=None)


def padded_behind(spec: ModelSpec, batch: Batch) -> Batch:
    """Leading pad ids go to the end."""
    if spec.vocab_size is None:
        return batch
    rows = [np.concatenate([row[n:], row[:n]]) for row, n in zip(*_padding(batch.x), strict=True)]
    return dataclasses.replace(batch, x=np.stack(rows))


def _padding(ids: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """ids (B,T), and how many pad ids each row starts with."""
    return ids, [int((np.cumsum(row != 0) == 0).sum()) for row in ids]


# Within: the scan of a cell, or the net around it, replaced while it runs.

Within = Callable[[], contextlib.AbstractContextManager[Any]]


def scan(cell: str, made: Any) -> Within:
    return lambda: mock.patch.dict(numpy_net.SCANS, {cell: made})


def net(member: str, made: Any) -> Within:
    return lambda: mock.patch.object(Workspace, member, made)


def not_reversed(*arguments: Any, **options: Any) -> Scan:
    """The backward direction runs forward in time."""
    return RnnTanh(*arguments, **(options | {"reverse": False}))


class ResetBefore(Gru):
    """n = tanh(x W_n + b_n + (r*h) U_n + b_hh_n)."""

    def forward(self) -> None:
        self.input_product()
        W_hh, split = self.weights.W_hh, 2 * self.tmp.shape[1]
        for pre_n, pre_rz, _, rz, n, r, z, u, h_prev, h in self.steps:
            rz[...] = 1 / (1 + np.exp(-(pre_rz + h_prev @ W_hh[:, :split])))
            u[...] = (r * h_prev) @ W_hh[:, split:] + self.b_hh_n
            n[...] = np.tanh(pre_n + u)
            h[...] = (1 - z) * n + z * h_prev


class NeverCarried(RnnTanh):
    """h' = tanh(x W_xh + b)."""

    def forward(self) -> None:
        self.input_product()
        for pre, _, _, h in self.steps:
            np.tanh(pre, out=h)


class BiasLate(RnnTanh):
    """The bias is left out of the first step."""

    def forward(self) -> None:
        self.input_product()
        if self.weights.b is not None:
            self.steps[0][0][...] -= self.weights.b
        for pre, _, h_prev, h in self.steps:
            np.tanh(pre + h_prev @ self.weights.W_hh, out=h)


def truncated(cell: str, kept: int) -> Within:
    """The gradient goes back `kept` steps and no further."""
    correct = numpy_net.SCANS[cell]

    class Truncated(correct):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: Any, reverse: bool, **options: Any) -> None:
            super().__init__(*arguments, reverse=reverse, **options)
            self.reverse = reverse

        def backward(self) -> None:
            every = self.back_steps
            self.back_steps = every[:kept]
            super().backward()
            self.back_steps = every
            rows = self.gates.reshape(len(every), -1, self.gates.shape[1])
            (rows[kept:] if self.reverse else rows[: len(every) - kept])[...] = 0

    return scan(cell, Truncated)


_forward = Workspace.forward


def last_column(self: Workspace, placed: Placed) -> None:
    """The readout takes y[:, -1], where the backward direction has seen one step."""
    _forward(self, placed)
    if self._spec.readout == "last_step":
        self._features[...] = self._layers[-1].states[-2]
        if self._spec.output_size is not None:
            np.matmul(self._features, self._values["W_hy"], out=self._outputs)
            np.add(self._outputs, self._values["b_y"], out=self._outputs)


def last_token_alone(self: Workspace, ids: np.ndarray) -> None:
    """A token that comes again overwrites its gradient."""
    assert self._gradients is not None
    dx = self._layers[0].d_input
    assert dx is not None
    self._gradients["E"].fill(0)
    self._gradients["E"][ids.T.reshape(-1)] = dx


class CoarseProducts(Functions):
    """numpy, whose products round what they multiply to 10 bits of mantissa, as TF32 does."""

    def dot(self, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> np.ndarray:
        return np.matmul(_coarse(a), _coarse(b), out=out)

    matmul = dot


def _coarse(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.float32:
        return array
    bits = np.ascontiguousarray(array).view(np.uint32)
    return ((bits + 0x1000) & np.uint32(0xFFFFE000)).view(np.float32)


# name -> (cell in which it shows, mutation, what the first failure says)
MUTANTS: dict[str, tuple[str, Mutation, str]] = {
    f"{cell} gates {names[a]} and {names[b]} swapped": (
        cell,
        Mutation(into=swapped(a, b), out=swapped(a, b)),
        "outputs off by",
    )
    for cell, names in GATE_NAMES.items()
    for a, b in combinations(range(len(names)), 2)
}
MUTANTS |= {
    f"{cell} gradient of gates {names[0]} and {names[1]} swapped": (
        cell,
        Mutation(host=lambda spec, host: _swapped_gradients(spec, host)),
        "grad.l0.fwd.W_xh off by",
    )
    for cell, names in GATE_NAMES.items()
}


def _swapped_gradients(spec: ModelSpec, host: Host) -> Host:
    swap = swapped(0, 1)
    return {
        name: swap(spec, name.removeprefix("grad."), array) if name.startswith("grad.") else array
        for name, array in host.items()
    }


MUTANTS |= {
    "rnn bias dropped": ("rnn_relu", Mutation(into=without_bias("b", 0)), "outputs off by"),
    # In a model whose biases are zeros nothing but params() tells it.
    "forget gate's bias dropped": ("lstm", Mutation(into=without_bias("b", 1)), "off by"),
    "update gate's bias dropped": ("gru", Mutation(into=without_bias("b", 1)), "outputs off by"),
    "n gate's recurrent bias dropped": (
        "gru",
        Mutation(into=without_bias("b_hh", 2)),
        "outputs off by",
    ),
    "reset before the product": ("gru", Mutation(within=scan("gru", ResetBefore)), "outputs off"),
    "last step is y[:, -1]": ("lstm", Mutation(within=net("forward", last_column)), "outputs off"),
    "backward direction not reversed": (
        "rnn_tanh",
        Mutation(within=scan("rnn_tanh", not_reversed)),
        "outputs off by",
    ),
    "state never carried": (
        "rnn_tanh",
        Mutation(within=scan("rnn_tanh", NeverCarried)),
        "outputs at t=",
    ),
    "recurrent bias left out at t=0": (
        "rnn_tanh",
        Mutation(within=scan("rnn_tanh", BiasLate)),
        "outputs at t=",
    ),
    "batch and time swapped": ("gru", Mutation(batch=batch_for_time), "outputs off by"),
    "one step less": ("lstm", Mutation(batch=one_step_less, host=filled_up), "outputs off by"),
    "given state ignored": ("gru", Mutation(batch=without_state), "outputs off by"),
    "padding at the wrong end": ("lstm", Mutation(batch=padded_behind), "outputs off by"),
    "square W_hh transposed": (
        "rnn_relu",
        Mutation(into=transposed, out=transposed),
        "outputs off by",
    ),
    "square W_hh of each gate transposed": (
        "lstm",
        Mutation(into=transposed, out=transposed),
        "outputs off by",
    ),
    **{
        f"{cell} gradient truncated after 2 steps": (
            cell,
            Mutation(within=truncated(cell, 2)),
            "grad.",
        )
        for cell in ("rnn_tanh", "rnn_relu", "gru", "lstm")
    },
    "embedding gradient forgets repeated tokens": (
        "lstm",
        Mutation(within=net("_embedding_gradient", last_token_alone)),
        "grad.E off by",
    ),
    "products rounded as TF32 rounds them": (
        "gru",
        Mutation(ops=CoarseProducts()),
        "outputs off by",
    ),
    "float32 claimed as float64": (
        "lstm",
        Mutation(dtype=lambda _: "float32"),
        "off by",
    ),
}
