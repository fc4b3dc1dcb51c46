"""The variant "onnxruntime": an ONNX graph in a session of the CPU provider."""

import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from rnnbench_onnxruntime.graph import make_model, state_kinds

THREADS = "RNNBENCH_ONNXRUNTIME_THREADS"  # the runtime reads no variable of its own


def make():
    return Backend()


class Backend:
    name = "onnxruntime"

    def environment(self, *, threads, device, dtype):
        return {THREADS: str(threads), "OMP_NUM_THREADS": str(threads)}

    def refusal(self, spec, *, device, dtype, phase):
        if phase != "forward":
            return f"ONNX Runtime is for inference: it has no gradients, and so no {phase}"
        if device != "cpu":
            return f"onnxruntime is run on its CPU provider here, not on {device}"
        if dtype != "float32":
            return f"ONNX Runtime's recurrent operators compute in float32 alone, not in {dtype}"
        return None

    def versions(self):
        import onnx
        import onnxruntime

        return {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}

    def devices(self):
        return ["cpu"]

    def build(self, spec, params, *, device, dtype, optimizer=None):
        if reason := self.refusal(spec, device=device, dtype=dtype, phase="forward"):
            raise ValueError(reason)
        return Model(spec, params)


class Model:
    def __init__(self, spec, params):
        self.spec = spec
        self.load(params)

    def load(self, params):
        """A new session: when it is made, the runtime packs a graph's weights for its kernels."""
        self._params = {name: np.array(value, np.float32) for name, value in params.items()}
        self._model = make_model(self.spec, self._params).SerializeToString()
        self._session = _session(self._model)
        self._names = [output.name for output in self._session.get_outputs()]

    def place(self, batch):
        """As the runtime's own values: x, and the initial states, zeros where none is given."""
        from onnxruntime import OrtValue

        spec = self.spec
        x = np.array(batch.x, np.float32 if spec.vocab_size is None else np.int64)
        arrays = {"x": x}
        ways = ("fwd", "bwd") if spec.bidirectional else ("fwd",)
        for layer in range(spec.num_layers):
            for kind in state_kinds(spec):
                start = np.zeros((len(ways), len(x), spec.hidden_size), np.float32)
                if batch.state is not None:
                    start[:] = [batch.state[f"l{layer}.{way}.{kind}0"] for way in ways]
                arrays[f"l{layer}.{kind}0"] = start
        return {name: OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}

    def forward(self, placed):
        return self._session.run_with_ort_values(self._names, placed)

    def sync(self, result):
        """A call returns with its values computed."""

    def to_host(self, result):
        named = {name: value.numpy() for name, value in zip(self._names, result, strict=True)}
        host = {"outputs": named.pop("outputs")}
        for name, both in named.items():  # (directions,B,H)
            layer, kind = name.split(".")
            for way, value in zip(("fwd", "bwd"), both, strict=False):
                host[f"{layer}.{way}.{kind}"] = value
        return host

    def params(self):
        return dict(self._params)

    def path(self):
        """The operators that are left once the runtime has optimized the graph."""
        import onnx

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "optimized.onnx"
            _session(self._model, str(file))
            counts = Counter(node.op_type for node in onnx.load(file).graph.node)
        operators = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        return f"{' '.join(self._session.get_providers())}: {operators}"


def _session(model, optimized=None):
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = int(os.environ.get(THREADS, "0"))  # 0: all cores
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    if optimized is not None:
        options.optimized_model_filepath = optimized
    return InferenceSession(model, options, providers=["CPUExecutionProvider"])
