"""PyTorch: the same nn.RNN, nn.GRU and nn.LSTM under `torch.compile`.

Dynamo leaves recurrent modules alone unless `allow_rnn` is set, and then unrolls their T steps into
one program: compiling takes seconds a step, and a compiler of C++ on a CPU. Compiling is the cold
start of this variant, and no part of its steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.torch.backend import NnNet, TorchBackend
from tasks.spec import ModelSpec


class CompiledNet(NnNet):
    """The recurrent layers, compiled at their first call in each mode."""

    def __init__(self, spec: ModelSpec, device: Any, dtype: Any) -> None:
        import torch

        super().__init__(spec, device, dtype)
        config = torch._dynamo.config
        config.allow_rnn = True
        if hasattr(config, "fail_on_recompile_limit_hit"):
            config.fail_on_recompile_limit_hit = True  # else it goes on uncompiled
        torch._dynamo.reset()  # programs of the model before this one count towards that limit
        torch._dynamo.utils.counters.clear()
        # One program a shape: the checks' other batches must not make the timed one a general one.
        self._compiled = torch.compile(self.module, dynamic=False)

    def run(self, x: Any, state: tuple[Any, ...] | None) -> tuple[Any, Any, Any]:
        if self.module.mode != "LSTM":
            y, h = self._compiled(x, state[0] if state else None)
            return y, h, None
        y, (h, c) = self._compiled(x, state)
        return y, h, c

    def title(self) -> str:
        """With what the compiler reports that it made."""
        import torch

        counters = torch._dynamo.utils.counters
        graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
        made = f"{graphs} graphs, {breaks} graph breaks"
        return f"torch.compile(nn.{type(self.module).__name__}), {made}"


@dataclass(frozen=True)
class CompiledBackend(TorchBackend):
    """As every variant of torch, less what its compiler cannot take."""

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if spec.cell == "lstm" and device == "cpu":
            return (
                "torch.compile fails on nn.LSTM's fused layer there (mkldnn_rnn_layer, TypeError)"
            )
        return super().refusal(spec, device=device, dtype=dtype, phase=phase)


def torch_compile() -> CompiledBackend:
    """The variant "torch-compile"."""
    return CompiledBackend("torch-compile", CompiledNet)
