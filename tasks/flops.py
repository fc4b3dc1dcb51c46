"""Floating-point operations of the matrix products of one step, two per multiply-add.

Per layer and direction, the forward pass has 2 T B G H (I + H). The backward pass has twice that,
without 2 T B G H I if the layer's input needs no gradient: in the first layer without a trained
embedding. The head has 2 N F C forward, and three times that with the backward pass, N = T B or B.
Activations, losses and updates are not counted, because they are of lower order. Of sequences with
lengths, the `real` steps alone count: nothing needs to be computed for the others.
"""

from __future__ import annotations

from tasks.spec import ModelSpec

FORWARD = ("forward", "stream")  # the phases without a backward pass


def forward_flops(spec: ModelSpec, batch: int, steps: int, real: int | None = None) -> int:
    """FLOPs of the outputs and last states, for B = `batch` and T = `steps`.

    `real` are the steps of the whole batch that are no padding; None: all B T of them.
    """
    rows = batch * steps if real is None else real
    return sum(
        2 * rows * spec.gates * spec.hidden_size * (inputs + spec.hidden_size)
        for inputs in _input_sizes(spec)
    ) + _head(spec, batch, rows)


def bptt_flops(spec: ModelSpec, batch: int, steps: int, real: int | None = None) -> int:
    """FLOPs of the forward pass and every gradient, through all steps."""
    rows = batch * steps if real is None else real
    gates = 2 * rows * spec.gates * spec.hidden_size
    unneeded = 0
    if not input_needs_gradient(spec):
        unneeded = gates * spec.layer_input_size(0) * len(spec.directions)
    return 3 * forward_flops(spec, batch, steps, real) - unneeded


def step_flops(spec: ModelSpec, batch: int, steps: int, phase: str, real: int | None = None) -> int:
    """FLOPs of one step of `phase`, without the optimizer's update."""
    of = forward_flops if phase in FORWARD else bptt_flops
    return of(spec, batch, steps, real)


def input_needs_gradient(spec: ModelSpec) -> bool:
    """Whether there is anything to train below the first layer."""
    return spec.vocab_size is not None and spec.train_embedding


def _input_sizes(spec: ModelSpec) -> list[int]:
    """I of every layer and direction."""
    return [spec.layer_input_size(layer) for layer, _, _ in spec.stack()]


def _head(spec: ModelSpec, batch: int, rows: int) -> int:
    if spec.output_size is None:
        return 0
    read = rows if spec.readout == "every_step" else batch
    return 2 * read * spec.feature_size * spec.output_size
