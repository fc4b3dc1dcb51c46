"""PyTorch: a cell written by hand, run by a Python loop over the steps.

As in the source notes, input-to-hidden and hidden-to-hidden are nn.Linear. A cell gets their
results a (B,G*H) and u (B,G*H) and the states h, c (B,H); it has no time axis.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from backends.torch.backend import TorchBackend
from backends.torch.model import Lengths
from tasks.spec import ModelSpec

States = tuple[Any, ...]  # h (B,H), for an LSTM also c (B,H)


def torch_cell() -> TorchBackend:
    """The variant "torch-cell": a Python loop over hand-written cells."""
    return TorchBackend("torch-cell", CellNet)


def rnn_tanh(a: Any, u: Any, h: Any) -> States:
    """h' = tanh(a + u)."""
    return ((a + u).tanh(),)


def rnn_relu(a: Any, u: Any, h: Any) -> States:
    """h' = max(a + u, 0)."""
    return ((a + u).relu(),)


def lstm(a: Any, u: Any, h: Any, c: Any) -> States:
    """c' = f*c + i*g; h' = o*tanh(c'); gates i, f, g, o."""
    i, f, g, o = (a + u).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru(a: Any, u: Any, h: Any) -> States:
    """n = tanh(a_n + r*u_n); h' = (1-z)*n + z*h; gates r, z, n."""
    (a_r, a_z, a_n), (u_r, u_z, u_n) = a.chunk(3, dim=-1), u.chunk(3, dim=-1)
    r, z = (a_r + u_r).sigmoid(), (a_z + u_z).sigmoid()
    n = (a_n + r * u_n).tanh()
    return ((1 - z) * n + z * h,)


CELLS: dict[str, Callable[..., States]] = {
    "rnn_tanh": rnn_tanh,
    "rnn_relu": rnn_relu,
    "lstm": lstm,
    "gru": gru,
}


class CellNet:
    """A `backends.torch.model.Net`: layers and directions of one hand-written cell."""

    def __init__(self, spec: ModelSpec, device: Any, dtype: Any) -> None:
        from torch import nn

        self._spec, self._cell = spec, CELLS[spec.cell]
        self.module = nn.ModuleList()  # for each layer and direction: i2h, h2h
        self.tensors: dict[str, Any] = {}
        hidden, width = spec.hidden_size, spec.gates * spec.hidden_size
        at = {"device": device, "dtype": dtype}
        for layer, _, prefix in spec.stack():
            i2h = nn.Linear(spec.layer_input_size(layer), width, bias=spec.bias, **at)
            h2h = nn.Linear(hidden, width, bias=spec.bias and spec.cell == "gru", **at)
            self.module.append(nn.ModuleList((i2h, h2h)))
            named = {"W_xh": i2h.weight, "W_hh": h2h.weight, "b": i2h.bias, "b_hh": h2h.bias}
            found = {f"{prefix}.{name}": t for name, t in named.items() if t is not None}
            self.tensors |= found

    def run(self, x: Any, state: States | None, lengths: Lengths | None) -> tuple[Any, Any, Any]:
        import torch
        from torch.nn import functional as F

        spec, last = self._spec, []
        zeros = x.new_zeros(len(x), spec.hidden_size)
        directions = len(spec.directions)
        # For each step (B,1): which sequences are not over; None without lengths.
        real = None if lengths is None else lengths.real(x.shape[1])[..., None].unbind(1)
        for layer in range(spec.num_layers):
            if layer and spec.dropout:
                x = F.dropout(x, spec.dropout, self.module.training)
            outputs = []
            for k, direction in enumerate(spec.directions):
                index = layer * directions + k
                start = [part[index] for part in state] if state else [zeros] * self._states
                y, end = self._scan(index, x.unbind(1), start, real, reverse=direction == "bwd")
                outputs.append(y)
                last.append(end)
            x = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        h, *c = (torch.stack(kind) for kind in zip(*last, strict=True))
        return x, h, c[0] if c else None

    @property
    def _states(self) -> int:
        return 2 if self._spec.cell == "lstm" else 1

    def _scan(
        self, index: int, x: Any, state: Any, real: Any, *, reverse: bool
    ) -> tuple[Any, States]:
        """Outputs (B,T,H) and last states of one layer and direction, from T inputs (B,I)."""
        import torch

        i2h, h2h = self.module[index]
        outputs = []
        steps = range(len(x))
        for t in reversed(steps) if reverse else steps:
            new = self._cell(i2h(x[t]), h2h(state[0]), *state)
            if real is not None:  # padding leaves the states as they are
                new = tuple(map(partial(torch.where, real[t]), new, state))
            state = new
            outputs.append(state[0])
        return torch.stack(outputs[::-1] if reverse else outputs, dim=1), tuple(state)

    def title(self) -> str:
        return f"Python loop over {self._cell.__name__} with nn.Linear"
