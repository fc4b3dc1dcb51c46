"""The backend that all variants written in JAX share; each provides its net."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

from backends.features import lacking
from backends.interface import PHASES
from backends.jax.model import COMPUTED, STORAGE, JaxModel
from backends.jax.net import Net
from backends.jax.xla import XlaPeak, xla_threads
from tasks.spec import ModelSpec, OptimizerSpec, Params


@dataclass(frozen=True)
class JaxBackend:
    """A net written in JAX as a variant; `packages` are the modules whose versions matter."""

    name: str
    net: Callable[..., Net]  # (spec, device=, dtype=)
    packages: Sequence[str]
    _peak: XlaPeak = field(default_factory=XlaPeak, repr=False, compare=False)

    def environment(self, *, threads: int, device: str, dtype: str) -> Mapping[str, str]:
        variables = {
            "PJRT_NPROC": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
            "JAX_ENABLE_X64": "1" if dtype == "float64" else "0",
        }
        if device == "cpu":
            return {**variables, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        # Naming both makes an unusable GPU an error, instead of silently running on the CPU.
        return {**variables, "JAX_PLATFORMS": "cuda,cpu", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

    def refusal(self, spec: ModelSpec, *, device: str, dtype: str, phase: str) -> str | None:
        if phase not in PHASES:
            return f"phase {phase!r} is unknown; expected one of {', '.join(PHASES)}"
        if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
            return f"device {device!r} is not supported; expected cpu, cuda or cuda:N"
        if dtype == "float16":
            return (
                "in float16 small gradients become 0 unless the loss is scaled, and JAX has no way "
                "of its own to do that; use bfloat16"
            )
        if dtype not in STORAGE:
            return f"dtype {dtype!r} is not supported; expected one of {', '.join(STORAGE)}"
        if dtype == "tf32" and device == "cpu":
            return "tf32 exists only on a GPU; the CPU has float32 and float64"
        if phase == "train_step" and find_spec("optax") is None:
            return "train_step needs optax: pip install optax"
        return None

    def supports(self, feature: str, spec: ModelSpec, *, device: str, dtype: str) -> str | None:
        return lacking(feature, ("lengths", "stream", "stateful"))

    def optimizer(self, spec: OptimizerSpec) -> OptimizerSpec:
        return replace(spec, eps_placement="corrected")

    def versions(self) -> Mapping[str, str]:
        present = [name for name in self.packages if find_spec(name) is not None]
        return {name: importlib.import_module(name).__version__ for name in present}

    def devices(self) -> Sequence[str]:
        import jax

        gpus = [d for d in jax.devices() if d.platform in ("gpu", "cuda")]
        return ["cpu", *(f"cuda:{d.id}" for d in gpus)]

    def threads(self) -> int | None:
        return xla_threads()

    def peak_bytes(self, device: str) -> int | None:
        return self._peak.read(device)

    def build(
        self,
        spec: ModelSpec,
        params: Params,
        *,
        device: str,
        dtype: str,
        optimizer: OptimizerSpec | None = None,
    ) -> JaxModel:
        phase = "forward" if optimizer is None else "train_step"
        if reason := self.refusal(spec, device=device, dtype=dtype, phase=phase):
            raise ValueError(reason)
        import jax

        if dtype == "float64" and not jax.config.jax_enable_x64:
            raise RuntimeError(
                "JAX computes in float32 in this process; for float64, set JAX_ENABLE_X64=1 before "
                "Python starts"
            )
        platform, _, index = device.partition(":")
        found = jax.devices(platform)
        if int(index or 0) >= len(found):
            raise ValueError(f"device is {device!r}; expected one of {', '.join(self.devices())}")
        net = self.net(spec, device=platform, dtype=COMPUTED[dtype])
        target = found[int(index or 0)]
        self._peak.begin(device)
        return JaxModel(spec, net, params, device=target, dtype=dtype, optimizer=optimizer)
