"""One model and one batch, described by a few numbers and a seed, short enough to print."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from tasks.spec import Batch, ModelSpec, Params, init_params

ParamKind = Literal["uniform", "keras", "zeros", "saturated"]
InputKind = Literal["random", "zeros", "repeated", "padded"]
WeightKind = Literal["random", "zeros", "last"]
LengthKind = Literal["full", "random"]

PARAM_KINDS: tuple[str, ...] = get_args(ParamKind)
INPUT_KINDS: tuple[str, ...] = get_args(InputKind)
WEIGHT_KINDS: tuple[str, ...] = get_args(WeightKind)
LENGTH_KINDS: tuple[str, ...] = get_args(LengthKind)

# Factor for W_xh and b that drives gates to 0 and 1, and states to -1 and 1.
SATURATION = 6.0


@dataclass(frozen=True)
class CaseSpec:
    """`made` gives the arrays. Two cases that differ only in `seed` have the same shapes."""

    spec: ModelSpec
    batch: int = 2  # B
    steps: int = 3  # T
    seed: int = 0
    params: ParamKind = "uniform"
    x: InputKind = "random"  # padded: padding in front, and in the whole first row
    weight: WeightKind | None = None  # last: only the last step counts
    state: bool = False  # True: with an initial state
    lengths: LengthKind | None = None  # full: T for each; random: 1 in the first row, T in the last

    def made(self) -> tuple[Params, Batch]:
        """Parameters, and a batch with x (B,T,D) or ids (B,T); all in float64."""
        rng = np.random.default_rng((self.seed, 1))
        spec = self.spec
        lead = (self.batch, self.steps) if spec.readout == "every_step" else (self.batch,)
        y: np.ndarray = rng.integers(0, spec.logit_size, lead)
        if spec.loss == "mse":
            y = rng.standard_normal((*lead, spec.logit_size))
        state = None
        if self.state:
            size = (self.batch, spec.hidden_size)
            state = {f"{name}0": rng.uniform(-0.9, 0.9, size) for name in spec.state_names()}
        lengths = self._lengths()
        weight = self._weight(rng, lengths)
        return self._params(), Batch(self._x(rng), y, weight, state, lengths)

    def _params(self) -> Params:
        params = init_params(self.spec, self.seed, "keras" if self.params == "keras" else "uniform")
        if self.params == "zeros":
            return {name: np.zeros_like(value) for name, value in params.items()}
        if self.params == "saturated":
            loud = {n for n in params if n.endswith(("W_xh", ".b"))}
            return {n: value * (SATURATION if n in loud else 1) for n, value in params.items()}
        return params

    def _x(self, rng: np.random.Generator) -> np.ndarray:
        """(B,T,D), or token ids (B,T) if there is an embedding; 0 is the padding."""
        shape: tuple[int, ...] = (self.batch, self.steps)
        if self.spec.vocab_size is not None:
            few = max(1, self.spec.vocab_size // 4) if self.x == "repeated" else None
            x: np.ndarray = rng.integers(0, few or self.spec.vocab_size, shape)
        else:
            x = rng.standard_normal((*shape, self.spec.input_size))
            if self.x == "repeated":
                x = np.repeat(x[:, :1], self.steps, axis=1)
        if self.x == "zeros":
            return np.zeros_like(x)
        if self.x == "padded":
            for row, length in enumerate(rng.integers(1, self.steps + 1, self.batch)):
                x[row, : self.steps - length] = 0
            x[0] = 0
        return x

    def _lengths(self) -> np.ndarray | None:
        """(B,), not sorted by falling length; it draws nothing that other arrays are drawn from."""
        if self.lengths is None:
            return None
        if self.lengths == "full":
            return np.full(self.batch, self.steps)
        rng = np.random.default_rng((self.seed, 2))
        lengths = rng.integers(1, self.steps + 1, self.batch)
        if self.batch > 1:
            lengths[0], lengths[-1] = 1, self.steps
        return lengths

    def _weight(self, rng: np.random.Generator, lengths: np.ndarray | None) -> np.ndarray | None:
        """(B,T)."""
        if self.weight is None:
            return None
        shape = self.batch, self.steps
        weight = np.zeros(shape)
        if self.weight == "last":
            last = self.steps if lengths is None else lengths
            weight[np.arange(self.batch), last - 1] = 1
        if self.weight == "random":
            weight = rng.uniform(0, 2, shape) * (rng.uniform(0, 1, shape) < 0.7)
        return weight

    def after(self) -> CaseSpec:
        """Another case with the same shapes."""
        return dataclasses.replace(self, seed=self.seed + 1)

    def code(self) -> str:
        """Python code for this case; it needs `ModelSpec` of tasks.spec and `CaseSpec`."""
        return _code(self)


def _code(thing: Any) -> str:
    """A dataclass as a call with the fields that differ from their defaults."""
    arguments = []
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        if dataclasses.is_dataclass(value):
            arguments.append(_code(value))
        elif field.default is dataclasses.MISSING or value != field.default:
            arguments.append(f"{field.name}={value!r}")
    return f"{type(thing).__name__}({', '.join(arguments)})"
