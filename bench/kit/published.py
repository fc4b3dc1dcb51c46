"""Published numbers that every variant must reproduce.

The Lab-11-1 note makes a network with torch.manual_seed(0); torch.nn.RNN(4, 2). It feeds `hello`,
`eolll`, `lleel` time first, as three steps of a batch of five, and prints four digits.
"""

from __future__ import annotations

import numpy as np

from bench.correctness.oracle import Inputs
from tasks.batch import time_first
from tasks.spec import ModelSpec, Params

WORDS = ("hello", "eolll", "lleel")
SPEC = ModelSpec("rnn_tanh", input_size=4, hidden_size=2)
PARAMS: Params = {
    "l0.fwd.W_xh": np.array(
        [
            [-0.005293981172144413, 0.37932288646698, -0.5819807648658752, -0.5203874707221985],
            [-0.27234524488449097, 0.1896158903837204, -0.014010033570230007, 0.5606575012207031],
        ]
    ).T,
    "l0.fwd.W_hh": np.array(
        [
            [-0.06275151669979095, 0.1871093362569809],
            [-0.2136969119310379, -0.13899271190166473],
        ]
    ).T,
    "l0.fwd.b": np.array([-0.6755334138870239, -0.4683041572570801])  # b_ih
    + np.array([-0.2914857566356659, 0.026193760335445404]),  # b_hh
}
PRINTED = """
    -0.7497 -0.6135 -0.5282 -0.2473 -0.9136 -0.4269 -0.9136 -0.4269 -0.9028  0.1180
    -0.5753 -0.0070 -0.9052  0.2597 -0.9173 -0.1989 -0.9173 -0.1989 -0.8996 -0.2725
    -0.9077 -0.3205 -0.8944 -0.2902 -0.5134 -0.0288 -0.5134 -0.0288 -0.9127 -0.2222
"""
OUTPUTS = np.array(PRINTED.split(), float).reshape(3, 5, 2)  # (T,B,H)
HALF_A_DIGIT = 0.5e-4 + 1e-6  # half a printed digit, plus rounding in float32


def inputs() -> Inputs:
    """The network, and x (B,T,D) = (5,3,4)."""
    one_hot = np.eye(4)[[["helo".index(letter) for letter in word] for word in WORDS]]
    return Inputs(SPEC, PARAMS, time_first(one_hot, np.zeros(one_hot.shape[:2], np.int64)))


def difference(outputs: np.ndarray) -> str | None:
    """A message if outputs (B,T,H) differ from the printed ones, else None."""
    expected = OUTPUTS.swapaxes(0, 1)
    if outputs.shape != expected.shape:
        return f"outputs has shape {outputs.shape}; expected {expected.shape}"
    off = np.abs(outputs - expected)
    if (off <= HALF_A_DIGIT).all():  # False for NaN
        return None
    b, t, h = np.unravel_index(np.nanargmax(off), off.shape)
    return (
        f"outputs at t={t}, sequence {b}, unit {h} is {outputs[b, t, h]:.4f}; "
        f"the note prints {expected[b, t, h]:.4f}"
    )
