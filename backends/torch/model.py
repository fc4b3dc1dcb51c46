"""PyTorch: everything around the recurrent layers, the same for every torch variant.

That is embedding, readout, head, loss, gradients, optimizer, and the conversion of parameters:
torch's matrices are (out, in), ours (in, out).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from tasks.batch import check_batch
from tasks.spec import Batch, ModelSpec, OptimizerSpec, Params, check_params, param_shapes


class Net(Protocol):
    """The recurrent layers of a model."""

    module: Any  # nn.Module with their parameters and the training mode
    tensors: dict[str, Any]  # canonical name -> trainable parameter, matrices (out, in)

    def run(
        self, x: Any, state: tuple[Any, ...] | None, lengths: Lengths | None
    ) -> tuple[Any, Any, Any]:
        """Outputs (B,T,F), last h, and last c or None, (L*directions,B,H) in `spec.stack` order.

        x (B,T,D); state: h0, for an LSTM also c0, with the shape of the last states; None: zeros.
        With lengths (B,) each direction keeps to its sequence; outputs in the padding are any.
        """
        ...

    def title(self) -> str:
        """Its name for a user of torch."""
        ...


class Lengths(NamedTuple):
    """The lengths (B,) of the sequences: on the host, as packing needs them, and on the device."""

    host: Any
    device: Any

    def real(self, steps: int) -> Any:
        """(B,T) bool on the device: which steps are no padding."""
        import torch

        return torch.arange(steps, device=self.device.device) < self.device[:, None]


@dataclass(frozen=True)
class Placed:
    """A batch on the device, batch first."""

    x: Any  # (B,T,D) | (B,T) int
    y: Any  # (B,T) | (B,) int, or (B,T,C) | (B,C)
    weight: Any  # (B,T) or None
    state: tuple[Any, ...] | None  # h0, LSTM also c0, (L*directions,B,H)
    lengths: Lengths | None = None


@dataclass(frozen=True)
class Result:
    """The result of a call: tensors that no later call overwrites."""

    phase: str
    tensors: Mapping[str, Any]


class TorchModel:
    """A `backends.interface.Model`: embedding, a net, head and loss."""

    def __init__(
        self,
        spec: ModelSpec,
        params: Params,
        net: Net,
        device: Any,
        dtype: Any,
        optimizer: OptimizerSpec | None,
    ) -> None:
        from torch import nn

        self._spec, self._net, self._device, self._dtype = spec, net, device, dtype
        self._optimizer_spec = optimizer
        self._embedding = self._head = None
        self._tensors = dict(net.tensors)
        at = {"device": device, "dtype": dtype}
        if spec.vocab_size is not None:
            self._embedding = nn.Embedding(spec.vocab_size, spec.input_size, **at)
            self._embedding.weight.requires_grad_(spec.train_embedding)
            self._tensors["E"] = self._embedding.weight
        if spec.output_size is not None:
            self._head = nn.Linear(spec.feature_size, spec.output_size, **at)
            self._tensors |= {"W_hy": self._head.weight, "b_y": self._head.bias}
        self._trainable = {name: self._tensors[name] for name in spec.trainable()}
        self._last: tuple[str, Placed] | None = None
        self.load(params)

    def load(self, params: Params) -> None:
        import torch

        check_params(self._spec, params)
        with torch.no_grad():
            for name, tensor in self._tensors.items():
                tensor.copy_(torch.from_numpy(_turned(name, np.asarray(params[name])).copy()))
        self._optimizer = self._new_optimizer()

    def place(self, batch: Batch) -> Placed:
        import torch

        check_batch(self._spec, batch)

        def put(array: np.ndarray) -> Any:
            dtype = torch.int64 if array.dtype.kind in "iu" else self._dtype
            return torch.tensor(array, dtype=dtype, device=self._device)

        state = None
        if batch.state is not None:
            kinds = ("h", "c") if self._spec.cell == "lstm" else ("h",)
            prefixes = [prefix for *_, prefix in self._spec.stack()]
            stacked = (np.stack([batch.state[f"{p}.{kind}0"] for p in prefixes]) for kind in kinds)
            state = tuple(map(put, stacked))
        weight = None if batch.weight is None else put(batch.weight)
        lengths = None
        if batch.lengths is not None:
            host = torch.tensor(batch.lengths, dtype=torch.int64)
            lengths = Lengths(host, put(batch.lengths))
        return Placed(put(batch.x), put(batch.y), weight, state, lengths)

    def forward(self, placed: Placed) -> Result:
        import torch

        self._last = ("forward", placed)
        if self._net.module.training:
            self._net.module.eval()
        with torch.inference_mode():
            outputs, h, c = self._run(placed)
            if placed.lengths is not None and self._spec.readout == "every_step":
                padding = ~placed.lengths.real(outputs.shape[1])
                outputs = outputs.masked_fill(padding[..., None], 0.0)
        states = {"h": h} if c is None else {"h": h, "c": c}
        return Result("forward", {"outputs": outputs, **states})

    def bptt(self, placed: Placed) -> Result:
        self._last = ("bptt", placed)
        loss = self._backward(placed)
        gradients = {f"grad.{name}": tensor.grad for name, tensor in self._trainable.items()}
        return Result("bptt", {"loss": loss, **gradients})

    def train_step(self, placed: Placed) -> Result:
        if self._optimizer is None:
            raise ValueError(
                "train_step needs an optimizer; build with optimizer=OptimizerSpec(...)"
            )
        self._last = ("train_step", placed)
        loss = self._backward(placed)
        self._optimizer.step()
        return Result("train_step", {"loss": loss})

    def sync(self, result: Result) -> None:
        """Wait for the GPU. On the CPU a call returns when its result is computed."""
        if self._device.type == "cuda":
            import torch

            torch.cuda.synchronize(self._device)

    def to_host(self, result: Result) -> dict[str, np.ndarray]:
        host = {name: tensor.detach().cpu().numpy() for name, tensor in result.tensors.items()}
        if result.phase != "forward":
            return {name: _turned(name, value).copy() for name, value in host.items()}
        found = {"outputs": host["outputs"].copy()}
        for index, (*_, prefix) in enumerate(self._spec.stack()):
            found |= {f"{prefix}.{k}": host[k][index].copy() for k in ("h", "c") if k in host}
        return found

    def params(self) -> Params:
        return {
            name: _turned(name, self._tensors[name].detach().cpu().numpy()).copy()
            for name in param_shapes(self._spec)
        }

    def path(self) -> str:
        """The kernels of another call like the last one, from torch's profiler."""
        from torch.profiler import ProfilerActivity, profile

        if self._last is None:
            return f"{self._net.title()}, not run yet"
        phase, placed = self._last
        step = self.forward if phase == "forward" else self.bptt  # does not change parameters
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            self.sync(step(placed))
        counts = {e.key.removeprefix("aten::"): e.count for e in profiler.key_averages()}
        fused = [
            name for name in counts if re.match(r"mkldnn_rnn_layer|_cudnn_rnn|_thnn_fused", name)
        ]
        products = [name for name in counts if name in ("addmm", "mm", "bmm", "addbmm", "baddbmm")]
        kernels = ", ".join(f"{counts[name]} {name}" for name in sorted(fused) or sorted(products))
        packed = "_pack_padded_sequence" in counts
        lengths = "" if placed.lengths is None else ", packed" if packed else ", not packed"
        what = "" if fused else "no fused kernel, products "
        return f"{self._net.title()}{lengths}: {what}{kernels}"

    def _run(self, placed: Placed) -> tuple[Any, Any, Any]:
        """Outputs (B,T,C) or (B,C), and the last states as in `Net.run`."""
        import torch

        x = placed.x if self._embedding is None else self._embedding(placed.x)
        y, h, c = self._net.run(x, placed.state, placed.lengths)
        if self._spec.readout == "last_step":
            y = torch.cat((h[-2], h[-1]), dim=-1) if self._spec.bidirectional else h[-1]
        return (y if self._head is None else self._head(y)), h, c

    def _backward(self, placed: Placed) -> Any:
        """Return the loss; leave its gradients in the parameters, without earlier ones."""
        for tensor in self._trainable.values():
            tensor.grad = None
        if not self._net.module.training:
            self._net.module.train()
        loss = _loss(self._spec, self._run(placed)[0], placed)
        loss.backward()
        return loss.detach()

    def _new_optimizer(self) -> Any:
        from torch import optim

        spec, tensors = self._optimizer_spec, list(self._trainable.values())
        if spec is None:
            return None
        if spec.name == "sgd":
            return optim.SGD(tensors, lr=spec.learning_rate)
        betas = (spec.beta1, spec.beta2)
        return optim.Adam(tensors, lr=spec.learning_rate, betas=betas, eps=spec.eps)


def _loss(spec: ModelSpec, outputs: Any, placed: Placed) -> Any:
    """The loss of `tasks.loss`, from outputs (B,T,C) or (B,C)."""
    import torch
    from torch.nn import functional as F

    rows = outputs.reshape(-1, outputs.shape[-1])  # (N,C), N = B*T or B
    classes = spec.loss == "cross_entropy"
    function: Callable[..., Any] = F.cross_entropy if classes else F.mse_loss
    y, width = placed.y.reshape(-1 if classes else rows.shape), 1 if classes else rows.shape[-1]
    weight = placed.weight
    if placed.lengths is not None and spec.readout == "every_step":
        real = placed.lengths.real(outputs.shape[1]).to(outputs.dtype)
        weight = real if weight is None else weight * real
    if weight is None:
        if spec.time_reduction == "mean":
            return function(rows, y)
        return function(rows, y, reduction="sum") / (width * len(outputs))
    each = function(rows, y, reduction="none").reshape(len(rows), -1).mean(dim=-1)
    weight = weight.reshape(-1)
    if spec.time_reduction == "sum":
        return torch.dot(weight, each) / len(outputs)
    total = weight.sum()
    return torch.dot(weight, each) * torch.where(total == 0, 0.0, 1 / total)


def _turned(name: str, array: np.ndarray) -> np.ndarray:
    """Convert a parameter or gradient to torch's form or back: transpose matrices except E."""
    return array.T if array.ndim == 2 and name.rsplit(".", 1)[-1] != "E" else array
