"""The memory that the arrays of one step take."""

from __future__ import annotations

from tasks.flops import FORWARD
from tasks.spec import ModelSpec, parameter_count

OPTIMIZER_COPIES = {None: 0, "sgd": 0, "adam": 2}  # of what is trained, beside its gradient


def step_bytes(
    spec: ModelSpec,
    batch: int,
    steps: int,
    phase: str,
    item_bytes: int,
    optimizer: str | None = None,
) -> int:
    """Bytes of the arrays that a step cannot do without, for B = `batch` and T = `steps`.

    Parameters, inputs, the outputs of every layer and of the head; with a backward pass also the
    gradient of whatever is trained, and the gates of every step and an LSTM's cell states; with
    Adam its two moments. What a framework holds besides comes on top.
    """
    parameters = parameter_count(spec)
    frozen = 0
    if spec.vocab_size is not None and not spec.train_embedding:
        frozen = spec.vocab_size * spec.input_size
    rows = batch * steps
    ids = spec.vocab_size is not None
    states = rows * spec.feature_size * spec.num_layers
    read = rows if spec.readout == "every_step" else batch
    numbers = parameters + (0 if ids else rows * spec.input_size) + states
    numbers += read * spec.output_size if spec.output_size is not None else 0
    if phase not in FORWARD:
        # Per state: an LSTM keeps four gates and c, a GRU three gates, an RNN its state alone.
        numbers += states * {1: 0, 3: 3, 4: 5}[spec.gates]
        numbers += (1 + OPTIMIZER_COPIES[optimizer]) * (parameters - frozen)
        numbers += read * spec.logit_size  # the gradient of the outputs
    return numbers * item_bytes + (rows * 8 if ids else 0)
