"""PyTorch: nn.RNN, nn.GRU and nn.LSTM as their users call them.

weight_ih = W_xh.T, weight_hh = W_hh.T and bias_ih = b, with the gates in canonical order. bias_hh
is the GRU's b_hh. RNN and LSTM have one bias here (`tasks.spec`), so their bias_hh is zero and
frozen: it gets no gradient, and oneDNN and cuDNN are still used.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backends.features import lacking
from backends.interface import PHASES
from backends.torch.gpu import forget_peak, peak_bytes, set_float32_products
from backends.torch.model import Lengths, Net, TorchModel
from tasks.spec import ModelSpec, OptimizerSpec, Params

# glibc maps each block above 32 MiB anew, and the step takes it page by page. With these it keeps
# what is freed: no block is mapped apart below 1 GiB, none is trimmed. mallopt(3) names 32 MiB as
# the most for the first; glibc 2.36 takes more, and one that does not shows its page faults.
QUIET_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}


def torch_nn() -> TorchBackend:
    """The variant "torch": nn.RNN, nn.GRU, nn.LSTM."""
    return TorchBackend("torch", NnNet)


def torch_quiet_malloc() -> TorchBackend:
    """The variant "torch-quiet-malloc": the same in a process that keeps freed memory."""
    return TorchBackend("torch-quiet-malloc", NnNet, QUIET_MALLOC)


MakeNet = Callable[[ModelSpec, Any, Any], Net]  # spec, torch.device, torch.dtype


@dataclass(frozen=True)
class TorchBackend:
    """`backends.interface.Backend` around one kind of net."""

    name: str
    make_net: MakeNet
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self, *, threads: int, device: str, dtype: str) -> Mapping[str, str]:
        variables = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        variables["KINETO_LOG_LEVEL"] = "99"  # keeps the profiler's notices off the terminal
        variables |= self.variables
        return variables | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
            return f"torch runs on cpu, cuda and cuda:N here, not on {device}"
        if dtype == "tf32" and device == "cpu":
            return "tf32 exists only on a GPU; the CPU has float32 and float64"
        if dtype == "float16":
            return (
                "in float16 small gradients become 0 unless the loss is scaled "
                "(torch.amp.GradScaler), and then they are those of another loss; use bfloat16"
            )
        if dtype not in ("float32", "float64", "tf32", "bfloat16"):
            return (
                f"torch runs in float32, float64, bfloat16 and (on a GPU) tf32 here, not in {dtype}"
            )
        if self.variables and device != "cpu":
            return "it is about memory of the host; expected the variant torch on a GPU"
        if self.variables and platform.libc_ver()[0] != "glibc":
            return "these settings of malloc exist in glibc alone; expected the variant torch"
        if phase not in PHASES:
            return f"phase {phase!r} is unknown; expected one of {', '.join(PHASES)}"
        return None

    def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
        return lacking(feature, ("lengths", "stream", "stateful"))

    def optimizer(self, spec: OptimizerSpec) -> OptimizerSpec:
        return replace(spec, eps_placement="corrected")

    def versions(self) -> Mapping[str, str]:
        import torch

        versions = {"torch": str(torch.__version__)}
        if torch.cuda.is_available():
            cudnn = torch.backends.cudnn.version()
            versions |= {"cuda": str(torch.version.cuda), "cudnn": str(cudnn)}
        return versions

    def devices(self) -> Sequence[str]:
        import torch

        return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))

    def threads(self) -> int:
        """Threads within one operation."""
        import torch

        return torch.get_num_threads()

    def peak_bytes(self, device: str) -> int | None:
        """Peak memory of tensors on a GPU; None on the CPU, where torch does not count."""
        return peak_bytes(device)

    def stopwatch(self, device: str) -> Stopwatch | None:
        """CUDA events for work on a GPU; None on the CPU, where the wall clock is enough."""
        return Stopwatch(device) if device != "cpu" else None

    def build(
        self,
        spec: ModelSpec,
        params: Params,
        *,
        device: str,
        dtype: str,
        optimizer: OptimizerSpec | None = None,
    ) -> TorchModel:
        if reason := self.refusal(spec, device=device, dtype=dtype, phase="bptt"):
            raise ValueError(reason)
        import torch

        if device.split(":")[0] not in {name.split(":")[0] for name in self.devices()}:
            raise ValueError(f"{device} does not exist; torch finds {', '.join(self.devices())}")
        _configure(tf32=dtype == "tf32")
        forget_peak(device)
        stored = torch.float64 if dtype == "float64" else torch.float32
        at = torch.device(device)
        net, mixed = self.make_net(spec, at, stored), dtype == "bfloat16"
        return TorchModel(spec, params, net, at, stored, optimizer, mixed=mixed)


class Stopwatch:
    """Time between two CUDA events of one stream: the device's own time, without the host's."""

    def __init__(self, device: str) -> None:
        import torch

        self._stream = torch.cuda.current_stream(device)
        self._begin, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def start(self) -> None:
        self._begin.record(self._stream)

    def stop(self) -> float:
        """Seconds from `start` until everything queued so far is computed."""
        self._end.record(self._stream)
        self._end.synchronize()
        return float(self._begin.elapsed_time(self._end)) / 1e3


def _configure(*, tf32: bool) -> None:
    """Set the threads from the environment, and true float32 or TF32 products on a GPU.

    Without the variable, torch takes as many threads as it likes.
    """
    import torch

    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        if torch.get_num_interop_threads() != 1:
            torch.set_num_interop_threads(1)
    set_float32_products(tf32=tf32)


class NnNet:
    """nn.RNN, nn.GRU or nn.LSTM."""

    def __init__(self, spec: ModelSpec, device: Any, dtype: Any) -> None:
        from torch import nn

        kinds = {"rnn_tanh": nn.RNN, "rnn_relu": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
        own = {"nonlinearity": spec.cell[4:]} if spec.cell.startswith("rnn") else {}
        self.module = kinds[spec.cell](
            spec.input_size,
            spec.hidden_size,
            spec.num_layers,
            bias=spec.bias,
            batch_first=True,
            dropout=spec.dropout if spec.num_layers > 1 else 0.0,
            bidirectional=spec.bidirectional,
            device=device,
            dtype=dtype,
            **own,
        )
        self._every_step = spec.readout == "every_step"
        self.tensors: dict[str, Any] = {}
        for layer, direction, prefix in spec.stack():
            suffix = f"l{layer}" + ("_reverse" if direction == "bwd" else "")
            names = {"W_xh": "weight_ih", "W_hh": "weight_hh"}
            if spec.bias:
                names["b"] = "bias_ih"
                if spec.cell == "gru":
                    names["b_hh"] = "bias_hh"
                else:
                    nn.init.zeros_(getattr(self.module, f"bias_hh_{suffix}")).requires_grad_(False)
            for ours, theirs in names.items():
                self.tensors[f"{prefix}.{ours}"] = getattr(self.module, f"{theirs}_{suffix}")

    def run(
        self, x: Any, state: tuple[Any, ...] | None, lengths: Lengths | None
    ) -> tuple[Any, Any, Any]:
        from torch.nn.utils import rnn

        steps = x.shape[1]
        if lengths is not None:
            x = rnn.pack_padded_sequence(x, lengths.host, batch_first=True, enforce_sorted=False)
        lstm = self.module.mode == "LSTM"
        y, last = self.module(x, state if lstm or state is None else state[0])
        if lengths is not None and self._every_step:  # else nobody reads y
            y, _ = rnn.pad_packed_sequence(y, batch_first=True, total_length=steps)
        return (y, *last) if lstm else (y, last, None)

    def title(self) -> str:
        return f"nn.{type(self.module).__name__}"
