"""An ONNX graph from rnnbench's parameters.

Axes: B sequences, T steps, I inputs of a layer, H hidden units, G gates, F = H x directions. The
operators of ONNX are time-major and hold matrices as (directions, G*H, I), with their gates in an
order of their own: LSTM i, o, f, c where rnnbench has i, f, g, o; GRU z, r, h where it has r, z, n.
Their GRU resets after the product, as rnnbench's does, with linear_before_reset=1.
"""

import numpy as np

OPSET, IR_VERSION = 17, 8  # of ONNX 1.12: old enough for every runtime that is in use
OPERATORS = {"rnn_tanh": "RNN", "rnn_relu": "RNN", "gru": "GRU", "lstm": "LSTM"}
GATES = {"rnn_tanh": (0,), "rnn_relu": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}


def make_model(spec, params):
    """x, and h0 (and c0) of every layer (directions,B,H) -> outputs, and as many last states."""
    from onnx import helper

    graph = Graph(spec, params)
    graph.build()
    made = helper.make_graph(graph.nodes, "net", graph.inputs, graph.outputs, graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model


def state_kinds(spec):
    return ("h", "c") if spec.cell == "lstm" else ("h",)


class Graph:
    def __init__(self, spec, params):
        self.spec, self.params = spec, params
        self.nodes, self.inputs, self.outputs, self.weights = [], [], [], []
        self.directions = 2 if spec.bidirectional else 1

    def build(self):
        """From x (B,T,D) or ids (B,T) to outputs (B,T,C) or (B,C)."""
        from onnx import TensorProto

        spec = self.spec
        if spec.vocab_size is None:
            self._input("x", TensorProto.FLOAT, ("B", "T", spec.input_size))
            x = self._node("Transpose", ["x"], perm=(1, 0, 2))
        else:
            self._input("x", TensorProto.INT64, ("B", "T"))
            ids = self._node("Transpose", ["x"], perm=(1, 0))
            x = self._node("Gather", [self._weight("E", self.params["E"]), ids])
        for layer in range(spec.num_layers):
            y, y_h = self._layer(layer, x)  # (T,directions,B,H), (directions,B,H)
            x = self._node(
                "Reshape", [self._node("Transpose", [y], perm=(0, 2, 1, 3)), self._flat(2)]
            )
        every_step = spec.readout == "every_step"
        if every_step:
            read = self._node("Transpose", [x], perm=(1, 0, 2))  # (B,T,F)
        else:
            last = self._node("Transpose", [y_h], perm=(1, 0, 2))
            read = self._node("Reshape", [last, self._flat(1)])  # (B,F)
        if spec.output_size is None:
            self._node("Identity", [read], ["outputs"])
        else:
            product = self._node("MatMul", [read, self._weight("W_hy", self.params["W_hy"])])
            self._node("Add", [product, self._weight("b_y", self.params["b_y"])], ["outputs"])
        width = spec.output_size or spec.hidden_size * self.directions
        self._output("outputs", ("B", "T", width) if every_step else ("B", width))

    def _layer(self, layer, x):
        """One recurrent operator on x (T,B,I), both directions in it."""
        from onnx import TensorProto

        spec = self.spec
        prefixes = [f"l{layer}.{way}" for way in ("fwd", "bwd")[: self.directions]]
        W, R = (
            self._weight(
                f"l{layer}.{ours}", self._stacked([self.params[f"{p}.{ours}"].T for p in prefixes])
            )
            for ours in ("W_xh", "W_hh")
        )
        B = self._weight(f"l{layer}.b", self._biases(prefixes)) if spec.bias else ""
        states, last = [], []
        for kind in state_kinds(spec):
            name = f"l{layer}.{kind}"
            self._input(f"{name}0", TensorProto.FLOAT, (self.directions, "B", spec.hidden_size))
            self._output(name, (self.directions, "B", spec.hidden_size))
            states.append(f"{name}0")
            last.append(name)
        own = {"linear_before_reset": 1} if spec.cell == "gru" else {}
        if spec.cell.startswith("rnn"):
            own["activations"] = [
                {"rnn_tanh": "Tanh", "rnn_relu": "Relu"}[spec.cell]
            ] * self.directions
        y = f"l{layer}.y"
        self._node(
            OPERATORS[spec.cell],
            [x, W, R, B, "", *states],  # "": no lengths, all sequences have T steps
            [y, *last],
            hidden_size=spec.hidden_size,
            direction="bidirectional" if spec.bidirectional else "forward",
            **own,
        )
        return y, last[0]

    def _stacked(self, arrays):
        """(directions, G*H, ..) in ONNX' order of gates, from arrays (G*H, ..) in rnnbench's."""
        order = GATES[self.spec.cell]
        blocks = [a.reshape(len(order), self.spec.hidden_size, *a.shape[1:]) for a in arrays]
        return np.stack(
            [b[list(order)].reshape(a.shape) for a, b in zip(arrays, blocks, strict=True)]
        )

    def _biases(self, prefixes):
        """(directions, 2*G*H): of the input's product, then of the hidden state's."""
        b = self._stacked([self.params[f"{p}.b"] for p in prefixes])
        if self.spec.cell != "gru":
            return np.concatenate([b, np.zeros_like(b)], axis=1)
        return np.concatenate(
            [b, self._stacked([self.params[f"{p}.b_hh"] for p in prefixes])], axis=1
        )

    def _flat(self, kept):
        """The shape that keeps so many axes and joins the others."""
        return self._weight(f"shape{kept}", np.array([0] * kept + [-1], np.int64))

    def _weight(self, name, value):
        from onnx import numpy_helper

        if name not in {weight.name for weight in self.weights}:
            kind = value.dtype if value.dtype.kind == "i" else np.float32
            self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value, kind), name))
        return name

    def _node(self, operator, inputs, outputs=None, **attributes):
        """Add a node; gives the name of its first output."""
        from onnx import helper

        outputs = outputs or [f"{operator}{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs[0]

    def _input(self, name, kind, shape):
        from onnx import helper

        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))

    def _output(self, name, shape):
        from onnx import TensorProto, helper

        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
