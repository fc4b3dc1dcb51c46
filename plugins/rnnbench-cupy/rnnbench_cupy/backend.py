"""The variant "cupy": what rnnbench calls."""

import dataclasses
import re

import numpy as np

from rnnbench_cupy.net import Net

PHASES = ("forward", "bptt", "train_step")


def make():
    return Backend()


def _cupy():
    try:
        import cupy
    except ImportError as error:
        raise ImportError(
            f"{error}; install it with: pip install cupy-cuda12x (cupy-cuda13x for CUDA 13)"
        ) from error
    return cupy


class Backend:
    name = "cupy"

    def environment(self, *, threads, device, dtype):
        counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
        return {**counts, "CUPY_TF32": "0"}  # float32 is true float32

    def refusal(self, spec, *, device, dtype, phase):
        if not re.fullmatch(r"cuda(:\d+)?", device):
            return f"cupy computes on a GPU alone, not on {device}; there, numpy is the same"
        if dtype not in ("float32", "float64"):
            return f"cupy is run in float32 and float64 here, not in {dtype}"
        if phase not in PHASES:
            return f"phase {phase} is unknown; there are {', '.join(PHASES)}"
        return None

    def optimizer(self, spec):
        return dataclasses.replace(spec, eps_placement="corrected")

    def versions(self):
        return {"cupy": str(_cupy().__version__), "numpy": np.__version__}

    def devices(self):
        """None where there is no GPU, or no driver for it."""
        cuda = _cupy().cuda
        try:
            count = cuda.runtime.getDeviceCount()
        except cuda.runtime.CUDARuntimeError:
            count = 0
        return [f"cuda:{index}" for index in range(count)]

    def build(self, spec, params, *, device, dtype, optimizer=None):
        if reason := self.refusal(spec, device=device, dtype=dtype, phase="forward"):
            raise ValueError(reason)
        return Model(spec, params, int(device.partition(":")[2] or 0), dtype, optimizer)


class Model:
    def __init__(self, spec, params, index, dtype, optimizer):
        self.xp = _cupy()
        self.spec, self.dtype, self.update = spec, dtype, optimizer
        self.device = self.xp.cuda.Device(index)
        self.load(params)

    def load(self, params):
        with self.device:
            self.p = {name: self.xp.asarray(np.array(v, self.dtype)) for name, v in params.items()}
            frozen = {"E"} if self.spec.vocab_size and not self.spec.train_embedding else set()
            self.moments = {
                name: (self.xp.zeros_like(v), self.xp.zeros_like(v))
                for name, v in self.p.items()
                if name not in frozen
            }
            self.steps = 0
            self.net = Net(self.xp, self.spec, self.p)

    def place(self, batch):
        with self.device:
            put = self._put
            shares = put(self._shares(batch))
            state = {name: put(value) for name, value in (batch.state or {}).items()}
            return put(batch.x), put(batch.y), shares, state

    def forward(self, placed):
        with self.device:
            x, _, _, state = placed
            outputs, last, _ = self.net.forward(x, state)
            return {"outputs": outputs, **last}

    def bptt(self, placed):
        with self.device:
            loss, grads = self._backward(placed)
            return {"loss": loss, **{f"grad.{name}": value for name, value in grads.items()}}

    def train_step(self, placed):
        with self.device:
            loss, grads = self._backward(placed)
            self._step(grads)
            return {"loss": loss}

    def sync(self, result):
        self.device.synchronize()

    def to_host(self, result):
        return {name: self.xp.asnumpy(value) for name, value in result.items()}

    def params(self):
        return {name: self.xp.asnumpy(value) for name, value in self.p.items()}

    def path(self):
        return f"cupy {self.xp.__version__}, a Python loop over the steps, a kernel an operation"

    def _put(self, array):
        whole = array.dtype.kind in "iu"
        return self.xp.asarray(np.array(array, np.int64 if whole else self.dtype))

    def _shares(self, batch):
        """How much the loss of each output counts, (B,T) or (B,)."""
        every_step = self.spec.readout == "every_step"
        shape = batch.x.shape[:2] if every_step else batch.x.shape[:1]
        weight = np.ones(shape) if batch.weight is None else np.asarray(batch.weight)
        total = len(weight) if self.spec.time_reduction == "sum" else weight.sum()
        return weight / (total or 1)

    def _backward(self, placed):
        x, y, shares, state = placed
        outputs, _, kept = self.net.forward(x, state, training=True)
        loss, d_outputs = self.net.loss(outputs, y, shares)
        return loss, self.net.backward(kept, d_outputs)

    def _step(self, grads):
        """SGD, or Adam with eps beside the corrected root."""
        o, self.steps = self.update, self.steps + 1
        for name, g in grads.items():
            if o.name == "sgd":
                self.p[name] -= o.learning_rate * g
                continue
            m, v = self.moments[name]
            m += (1 - o.beta1) * (g - m)
            v += (1 - o.beta2) * (g * g - v)
            m_hat = m / (1 - o.beta1**self.steps)
            v_hat = v / (1 - o.beta2**self.steps)
            self.p[name] -= o.learning_rate * m_hat / (self.xp.sqrt(v_hat) + o.eps)
