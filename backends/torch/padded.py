"""PyTorch: sequences of different lengths without packing them.

Packed sequences leave the fused kernels of oneDNN, so many users pad instead. Here each layer and
direction is an nn.RNN, nn.GRU or nn.LSTM that computes on behind the end of a sequence; its last
state is gathered at the end. The backward direction gets each sequence reversed by index, so that
it starts at the end, too.

nn.LSTM gives c of the last step alone, not at the end of each sequence. So the forward pass of an
LSTM, which has c among its results, is refused. The checks of its gradients ask for it all the
same, and get it from packed sequences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from backends.features import lacking
from backends.torch.backend import NnNet, TorchBackend
from backends.torch.model import Lengths
from tasks.spec import ModelSpec


class PaddedNet:
    """A `backends.torch.model.Net`: a module of torch for each layer and direction."""

    def __init__(self, spec: ModelSpec, device: Any, dtype: Any) -> None:
        from torch import nn

        self._spec = spec
        self._nets = []
        self.tensors: dict[str, Any] = {}
        for layer, _, prefix in spec.stack():
            one = replace(
                spec,
                input_size=spec.layer_input_size(layer),
                num_layers=1,
                bidirectional=False,
                dropout=0.0,
                readout="every_step",
            )
            net = NnNet(one, device, dtype)
            self._nets.append(net)
            for name, tensor in net.tensors.items():
                self.tensors[f"{prefix}.{name.removeprefix('l0.fwd.')}"] = tensor
        self.module = nn.ModuleList(net.module for net in self._nets)

    def run(
        self, x: Any, state: tuple[Any, ...] | None, lengths: Lengths | None
    ) -> tuple[Any, Any, Any]:
        import torch
        from torch.nn import functional as F

        spec, last = self._spec, []
        rows, steps = x.shape[:2]
        places = torch.arange(steps, device=x.device)
        end = places.new_full((rows, 1), steps) if lengths is None else lengths.device[:, None]
        if spec.bidirectional:
            # (B,T,1): each place counted from the sequence's end; the padding stays where it is.
            turned = torch.where(places < end, end - 1 - places, places)[..., None]
        gathers = lengths is not None and (spec.cell != "lstm" or torch.is_grad_enabled())
        for layer in range(spec.num_layers):
            if layer and spec.dropout:
                x = F.dropout(x, spec.dropout, self.module.training)
            outputs = []
            for k, direction in enumerate(spec.directions):
                index = layer * len(spec.directions) + k
                given = None if state is None else tuple(part[index][None] for part in state)
                into = x if direction == "fwd" else x.gather(1, turned.expand_as(x))
                y, *states = self._nets[index].run(into, given, None if gathers else lengths)
                states = [part[0] for part in states if part is not None]
                if gathers:
                    states = [y.gather(1, (end - 1)[..., None].expand(-1, -1, y.shape[2]))[:, 0]]
                last.append(states)
                if layer + 1 < spec.num_layers or spec.readout == "every_step":
                    outputs.append(y if direction == "fwd" else y.gather(1, turned.expand_as(y)))
            x = torch.cat(outputs, dim=-1) if outputs else None
        h, *c = (torch.stack(kind) for kind in zip(*last, strict=True))
        return x, h, c[0] if c else None

    def title(self) -> str:
        return f"{self._nets[0].title()} on padded sequences, last states gathered"


@dataclass(frozen=True)
class PaddedBackend(TorchBackend):
    """Like every variant of torch, without what nn.LSTM does not give."""

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if spec.cell == "lstm" and phase == "forward":
            return "nn.LSTM gives c of the last step alone, not at the end of each sequence"
        return super().refusal(spec, device=device, dtype=dtype, phase=phase)

    def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
        return lacking(feature, ("lengths",))


def torch_padded() -> PaddedBackend:
    """The variant "torch-padded"."""
    return PaddedBackend("torch-padded", PaddedNet)
