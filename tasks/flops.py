"""Floating-point operations of the matrix products of one step, two per multiply-add.

Per layer and direction, the forward pass has 2 T B G H (I + H). The backward pass has twice that,
without 2 T B G H I if the layer's input needs no gradient: in the first layer without a trained
embedding. The head has 2 N F C forward, and three times that with the backward pass, N = T B or B.
Activations, losses and updates are not counted, because they are of lower order.
"""

from __future__ import annotations

from tasks.spec import ModelSpec


def forward_flops(spec: ModelSpec, batch: int, steps: int) -> int:
    """FLOPs of the outputs and last states, for B = `batch` and T = `steps`."""
    return sum(
        2 * steps * batch * spec.gates * spec.hidden_size * (inputs + spec.hidden_size)
        for inputs in _input_sizes(spec)
    ) + _head(spec, batch, steps)


def bptt_flops(spec: ModelSpec, batch: int, steps: int) -> int:
    """FLOPs of the forward pass and every gradient, through all T steps."""
    gates = 2 * steps * batch * spec.gates * spec.hidden_size
    unneeded = 0
    if not input_needs_gradient(spec):
        unneeded = gates * spec.layer_input_size(0) * len(spec.directions)
    return 3 * forward_flops(spec, batch, steps) - unneeded


def step_flops(spec: ModelSpec, batch: int, steps: int, phase: str) -> int:
    """FLOPs of one step of `phase`, without the optimizer's update."""
    of = forward_flops if phase == "forward" else bptt_flops
    return of(spec, batch, steps)


def input_needs_gradient(spec: ModelSpec) -> bool:
    """Whether there is anything to train below the first layer."""
    return spec.vocab_size is not None and spec.train_embedding


def _input_sizes(spec: ModelSpec) -> list[int]:
    """I of every layer and direction."""
    return [spec.layer_input_size(layer) for layer, _, _ in spec.stack()]


def _head(spec: ModelSpec, batch: int, steps: int) -> int:
    if spec.output_size is None:
        return 0
    rows = batch * (steps if spec.readout == "every_step" else 1)
    return 2 * rows * spec.feature_size * spec.output_size
