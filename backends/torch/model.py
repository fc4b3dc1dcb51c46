"""PyTorch: everything around the recurrent layers, the same for every torch variant.

That is embedding, readout, head, loss, gradients, optimizer, and the conversion of parameters:
torch's matrices are (out, in), ours (in, out).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from backends.torch.loss import batch_loss
from backends.torch.operators import kernels, operator_dtypes
from backends.torch.placed import Lengths as Lengths
from backends.torch.placed import Placed
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


@dataclass(frozen=True)
class Result:
    """The result of a call: tensors that no later call overwrites."""

    phase: str
    tensors: Mapping[str, Any]


NO_OPTIMIZER = "train_step needs an optimizer; build with optimizer=OptimizerSpec(...)"


class TorchModel:
    """A `backends.interface.Model`: embedding, a net, head and loss.

    `mixed`: forward pass and loss run under `torch.autocast` in bfloat16. It chooses by operator
    what is computed in it; parameters, their gradients, optimizer and loss stay in float32.
    """

    def __init__(
        self,
        spec: ModelSpec,
        params: Params,
        net: Net,
        device: Any,
        dtype: Any,
        optimizer: OptimizerSpec | None,
        *,
        mixed: bool = False,
    ) -> None:
        import torch
        from torch import nn

        self._mixed = mixed
        self._autocast: Any = nullcontext()
        if mixed:
            self._autocast = torch.autocast(device.type, dtype=torch.bfloat16)
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
        self._last: tuple[str, Any] | None = None  # a call, and what it got
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
        put = self._put
        state = None if batch.state is None else self._stacked(batch.state)
        weight = None if batch.weight is None else put(batch.weight)
        lengths = None
        if batch.lengths is not None:
            host = torch.tensor(batch.lengths, dtype=torch.int64)
            lengths = Lengths(host, put(batch.lengths))
        return Placed(put(batch.x), put(batch.y), weight, state, lengths)

    def _put(self, array: np.ndarray) -> Any:
        """A copy on the device, in the model's dtype or as int64."""
        import torch

        dtype = torch.int64 if array.dtype.kind in "iu" else self._dtype
        return torch.tensor(array, dtype=dtype, device=self._device)

    def _stacked(self, state: Mapping[str, np.ndarray]) -> tuple[Any, ...]:
        """h0, for an LSTM also c0, (L*directions,B,H) on the device."""
        kinds = ("h", "c") if self._spec.cell == "lstm" else ("h",)
        prefixes = [prefix for *_, prefix in self._spec.stack()]
        return tuple(
            self._put(np.stack([state[f"{p}.{kind}0"] for p in prefixes])) for kind in kinds
        )

    def forward(self, placed: Placed) -> Result:
        import torch

        self._last = ("forward", placed)
        if self._net.module.training:
            self._net.module.eval()
        with torch.inference_mode(), self._autocast:
            outputs, h, c = self._run(placed.x, placed.state, placed.lengths)
            if placed.lengths is not None and self._spec.readout == "every_step":
                padding = ~placed.lengths.real(outputs.shape[1])
                outputs = outputs.masked_fill(padding[..., None], 0.0)
        states = {"h": h} if c is None else {"h": h, "c": c}
        return Result("forward", {"outputs": outputs, **states})

    def bptt(self, placed: Placed) -> Result:
        self._last = ("bptt", placed)
        loss, _ = self._backward(placed)
        gradients = {f"grad.{name}": tensor.grad for name, tensor in self._trainable.items()}
        return Result("bptt", {"loss": loss, **gradients})

    def train_step(self, placed: Placed) -> Result:
        if self._optimizer is None:
            raise ValueError(NO_OPTIMIZER)
        self._last = ("train_step", placed)
        loss, _ = self._backward(placed)
        self._optimizer.step()
        return Result("train_step", {"loss": loss})

    def begin(self, state: Mapping[str, np.ndarray] | None, batch_size: int) -> tuple[Any, ...]:
        if state is None:
            zeros = np.zeros((batch_size, self._spec.hidden_size))
            state = {f"{name}0": zeros for name in self._spec.state_names()}
        return self._stacked(state)

    def place_input(self, x: np.ndarray) -> Any:
        """(B,1,D) or (B,1): a sequence of one step."""
        return self._put(x)[:, None]

    def advance(self, carry: tuple[Any, ...], x: Any) -> tuple[tuple[Any, ...], Any]:
        import torch

        self._last = ("advance", (carry, x))
        if self._net.module.training:
            self._net.module.eval()
        with torch.inference_mode(), self._autocast:
            outputs, h, c = self._run(x, carry, None)
        every_step = self._spec.readout == "every_step"
        return (h,) if c is None else (h, c), outputs[:, 0] if every_step else outputs

    def train_chunk(self, placed: Placed, carry: tuple[Any, ...]) -> tuple[Result, tuple[Any, ...]]:
        if self._optimizer is None:
            raise ValueError(NO_OPTIMIZER)
        placed = replace(placed, state=carry)
        self._last = ("train_chunk", placed)
        loss, states = self._backward(placed)
        self._optimizer.step()
        carry = tuple(state.detach() for state in states)
        return Result("train_chunk", {"loss": loss, **dict(zip("hc", carry, strict=False))}), carry

    def sync(self, result: Result | tuple[Any, Any]) -> None:
        """Wait for the GPU. On the CPU a call returns when its result is computed."""
        if self._device.type == "cuda":
            import torch

            torch.cuda.synchronize(self._device)

    def to_host(self, result: Result | tuple[Any, Any]) -> dict[str, np.ndarray]:
        if isinstance(result, tuple):  # of `advance`
            carry, outputs = result
            states = {} if carry is None else dict(zip(("h", "c"), carry, strict=False))
            result = Result("advance", {"outputs": outputs, **states})
        # numpy has no bfloat16.
        host = {n: t.detach().cpu().to(self._dtype).numpy() for n, t in result.tensors.items()}
        found = {n: _turned(n, value).copy() for n, value in host.items() if n not in ("h", "c")}
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
        phase, given = self._last
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            if phase == "advance":
                self.sync(self.advance(*given))
            else:  # bptt does not change parameters, as train_step does
                self.sync(self.forward(given) if phase == "forward" else self.bptt(given))
        counts = Counter(
            {(e.key.removeprefix("aten::"), ""): e.count for e in profiler.key_averages()}
        )
        padded = phase != "advance" and given.lengths is not None
        packed = "" if ("_pack_padded_sequence", "") in counts else "not "
        lengths = f", {packed}packed" if padded else ""
        if self._mixed:
            counts = operator_dtypes(lambda: self._again_with_autograd(phase, given))
        by = ", by autocast" if self._mixed else ""
        return f"{self._net.title()}{lengths}: {kernels(counts)}{by}"

    def _again_with_autograd(self, phase: str, given: Any) -> None:
        """The same, but not in inference mode, where operators are counted before their casts."""
        import torch

        if phase not in ("forward", "advance"):
            self._backward(given)
            return
        state, x = given if phase == "advance" else (given.state, given.x)
        with torch.no_grad(), self._autocast:
            self._run(x, state, given.lengths if phase == "forward" else None)

    def _run(
        self, x: Any, state: tuple[Any, ...] | None, lengths: Lengths | None
    ) -> tuple[Any, Any, Any]:
        """Outputs (B,T,C) or (B,C), and the last states as in `Net.run`."""
        import torch

        x = x if self._embedding is None else self._embedding(x)
        y, h, c = self._net.run(x, state, lengths)
        if self._spec.readout == "last_step":
            y = torch.cat((h[-2], h[-1]), dim=-1) if self._spec.bidirectional else h[-1]
        return (y if self._head is None else self._head(y)), h, c

    def _backward(self, placed: Placed) -> tuple[Any, list[Any]]:
        """The loss and the last states; leaves its gradients in the parameters, no earlier ones."""
        for tensor in self._trainable.values():
            tensor.grad = None
        if not self._net.module.training:
            self._net.module.train()
        with self._autocast:
            outputs, *states = self._run(placed.x, placed.state, placed.lengths)
            loss = batch_loss(self._spec, outputs.to(self._dtype), placed)
        loss.backward()
        return loss.detach(), [state for state in states if state is not None]

    def _new_optimizer(self) -> Any:
        from torch import optim

        spec, tensors = self._optimizer_spec, list(self._trainable.values())
        if spec is None:
            return None
        if spec.name == "sgd":
            return optim.SGD(tensors, lr=spec.learning_rate)
        betas = (spec.beta1, spec.beta2)
        return optim.Adam(tensors, lr=spec.learning_rate, betas=betas, eps=spec.eps)


def _turned(name: str, array: np.ndarray) -> np.ndarray:
    """Convert a parameter or gradient to torch's form or back: transpose matrices except E."""
    stays = name == "outputs" or name.rsplit(".", 1)[-1] == "E"
    return array.T if array.ndim == 2 and not stays else array
