"""PyTorch: the same nn.RNN, nn.GRU and nn.LSTM under `torch.compile`.

Dynamo compiles recurrent modules only if `allow_rnn` is set, and then unrolls their T steps into
one program. Compiling takes seconds per time step, and on a CPU needs a C++ compiler. It belongs to
the cold start of this variant, not to its step times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.torch.backend import NnNet, TorchBackend
from backends.torch.model import Lengths
from tasks.spec import ModelSpec

NO_LENGTHS = "torch.compile does not unroll packed sequences"


class CompiledNet(NnNet):
    """The recurrent layers, compiled by their first call in each mode."""

    def __init__(self, spec: ModelSpec, device: Any, dtype: Any) -> None:
        import torch

        super().__init__(spec, device, dtype)
        config = torch._dynamo.config
        config.allow_rnn = True
        if hasattr(config, "fail_on_recompile_limit_hit"):
            config.fail_on_recompile_limit_hit = True  # otherwise it continues without compiling
        torch._dynamo.reset()  # programs of earlier models count towards that limit
        torch._dynamo.utils.counters.clear()
        # One program per shape: other batches of the checks must not make the timed one generic.
        self._compiled = torch.compile(self.module, dynamic=False)

    def run(
        self, x: Any, state: tuple[Any, ...] | None, lengths: Lengths | None
    ) -> tuple[Any, Any, Any]:
        if lengths is not None:
            raise ValueError(NO_LENGTHS)
        if self.module.mode != "LSTM":
            y, h = self._compiled(x, state[0] if state else None)
            return y, h, None
        y, (h, c) = self._compiled(x, state)
        return y, h, c

    def title(self) -> str:
        """The title, with what the compiler reports that it made."""
        import torch

        counters = torch._dynamo.utils.counters
        graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
        made = f"{graphs} graphs, {breaks} graph breaks"
        return f"torch.compile(nn.{type(self.module).__name__}), {made}"


@dataclass(frozen=True)
class CompiledBackend(TorchBackend):
    """Like every variant of torch, without what its compiler cannot handle."""

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if spec.cell == "lstm" and device == "cpu":
            return "torch.compile fails on the fused layer of nn.LSTM (mkldnn_rnn_layer, TypeError)"
        return super().refusal(spec, device=device, dtype=dtype, phase=phase)

    def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
        if feature == "lengths":
            return NO_LENGTHS
        return super().supports(feature, spec, device=device, dtype=dtype)


def torch_compile() -> CompiledBackend:
    """The variant "torch-compile"."""
    return CompiledBackend("torch-compile", CompiledNet)
